package ftp

import (
	"io/fs"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestAppendFacts(t *testing.T) {
	t.Parallel()
	when := time.Date(2026, 2, 28, 23, 59, 58, 987654321, time.UTC)
	file := Entry{Name: "a;b=c d", Type: FileEntry, Size: 12, Part: 3, ModTime: when, Mode: 0o640, HasMode: true, Perm: "rw", Unique: "u1"}
	dir := Entry{Name: "d", Type: DirEntry, Size: 4096, Part: -1, ModTime: when, Perm: "el"}
	for _, test := range []struct {
		set  FactSet
		e    Entry
		want string
	}{
		{AllFacts, file, "type=file;size=12;modify=20260228235958;perm=rw;unique=u1;UNIX.mode=0640;X.part=3; a;b=c d"},
		{FactSize | FactType, file, "type=file;size=12; a;b=c d"},
		{0, file, " a;b=c d"},
		{AllFacts, dir, "type=dir;modify=20260228235958;perm=el; d"},
		{FactType, Entry{Name: "a\r\nb\x01", Type: LinkEntry}, "type=OS.unix=slink; a\\x0d\\x0ab\x01"},
	} {
		if got := string(AppendFacts(nil, test.set, test.e)); got != test.want {
			t.Errorf("%s\nwant %s", got, test.want)
		}
	}
}

func TestFactSet(t *testing.T) {
	t.Parallel()
	set := ParseFactSet("size;TYPE;x.PART;nonsense;")
	if set != FactSize|FactType|FactPart || set.String() != "type;size;X.part;" {
		t.Error(set)
	}
	if got := set.Feature(); got != "type*;size*;modify;perm;unique;UNIX.mode;X.part*;" {
		t.Error(got)
	}
	if ParseFactSet("") != 0 || ParseFactSet(AllFacts.String()) != AllFacts {
		t.Error("no facts, or not all")
	}
}

func TestAppendList(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		e    Entry
		want string
	}{
		{
			Entry{Name: "中 文", Type: FileEntry, Size: 1234, ModTime: now.Add(-time.Hour), Mode: 0o644},
			"-rw-r--r--   1 ftp      ftp               1234 Nov 20 11:00 中 文",
		},
		{
			Entry{Name: "d", Type: DirEntry, Size: -1, ModTime: now.AddDate(-2, 0, -15), Mode: 0o755},
			"drwxr-xr-x   1 ftp      ftp                  0 Nov  5  2024 d",
		},
		{
			Entry{Name: "later", Type: FileEntry, Size: 1 << 50, ModTime: now.AddDate(0, 1, 0)},
			"----------   1 ftp      ftp      1125899906842624 Dec 20  2026 later",
		},
	} {
		if got := string(AppendList(nil, test.e, now)); got != test.want {
			t.Errorf("%s\nwant %s", got, test.want)
		}
	}
}

// FuzzListings: what one end writes, the other reads back.
func FuzzListings(f *testing.F) {
	f.Add("a b", int64(7), int64(1_700_000_000), uint16(0o644), false)
	f.Add(" -> x ", int64(0), int64(0), uint16(0o777), true)
	f.Fuzz(func(t *testing.T, name string, size, stamp int64, mode uint16, dir bool) {
		if name == "" || strings.ContainsAny(name, "\r\n\x00/") || size < 0 || stamp < 0 || stamp > 4e9 {
			return
		}
		e := Entry{Name: name, Type: FileEntry, Size: size, Part: -1, ModTime: time.Unix(stamp, 0).UTC(), Mode: fs.FileMode(mode) & 0o777, HasMode: true}
		if dir {
			e.Type = DirEntry
		}
		got, ok := ParseFacts(string(AppendFacts(nil, AllFacts, e)))
		if dir {
			e.Size = -1
		}
		if !ok || got != e {
			t.Fatalf("%+v\nread as %+v", e, got)
		}
		now := time.Unix(stamp, 0).Add(time.Hour)
		line := string(AppendList(nil, e, now))
		got, ok = ParseList(line, now)
		if !ok || got.Name != name && name != "." && name != ".." || got.Mode != e.Mode || got.Size != max(e.Size, 0) {
			t.Fatalf("%q\nread as %+v", line, got)
		}
		if !got.ModTime.Equal(e.ModTime.Truncate(time.Minute)) {
			t.Fatalf("%q\nread as %v", line, got.ModTime)
		}
		_ = ParseFactSet(name).Feature()
	})
}

// TestDates: they are written as package time writes them.
func TestDates(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		when := time.Unix(rapid.Int64Range(-62135596800, 400000000000).Draw(t, "s"), 0).UTC()
		for old, layout := range map[bool]string{false: "Jan _2 15:04", true: "Jan _2  2006"} {
			if got, want := string(appendDate(nil, when, old)), when.Format(layout); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	})
}

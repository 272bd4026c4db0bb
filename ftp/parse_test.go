package ftp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadReply(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want Reply
		err  error
	}{
		{"220 ready\r\n", Reply{220, []string{"ready"}}, nil},
		{"220\r\n", Reply{220, []string{""}}, nil},
		{"220 bare\n", Reply{220, []string{"bare"}}, nil},
		{"211-Features:\r\n MDTM\r\n 211 not the end\r\n211 End\r\n", Reply{211, []string{"Features:", " MDTM", " 211 not the end", "End"}}, nil},
		{"220-one\r\n220-two\r\n221 other code\r\n220 end\r\n", Reply{220, []string{"one", "two", "221 other code", "end"}}, nil},
		{"250-\r\n\r\n250 \r\n", Reply{250, []string{"", "", ""}}, nil},
		{"SSH-2.0\r\n", Reply{}, ErrBadReply},
		{"720 no\r\n", Reply{}, ErrBadReply},
		{"2200 no\r\n", Reply{}, ErrBadReply},
		{"220 cut", Reply{}, io.EOF},
		{"220-cut\r\n", Reply{}, io.EOF},
		{"220 " + strings.Repeat("x", MaxReplyLine) + "\r\n", Reply{}, ErrLongReply},
		{"220-x\r\n" + strings.Repeat("y\r\n", MaxReplyLines) + "220 x\r\n", Reply{}, ErrLongReply},
		{"220-x\r\n" + strings.Repeat(strings.Repeat("y", 4096)+"\r\n", 70) + "220 x\r\n", Reply{}, ErrLongReply},
	} {
		got, err := ReadReply(bufio.NewReaderSize(strings.NewReader(c.in), 16))
		if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("%.40q: %v, want %v", c.in, err, c.err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%.40q (-want +got):\n%s", c.in, diff)
		}
	}
}

// TestRepliesFollowEachOther: message boundaries come from the grammar, however the bytes arrive.
func TestRepliesFollowEachOther(t *testing.T) {
	t.Parallel()
	const all = "220-a\r\n220 b\r\n331 c\r\n230 d\r\n"
	r := bufio.NewReader(iotestOneByte{strings.NewReader(all)})
	for _, want := range []int{220, 331, 230} {
		if got, err := ReadReply(r); err != nil || got.Code != want {
			t.Errorf("%+v %v, want %d", got, err, want)
		}
	}
}

type iotestOneByte struct{ r io.Reader }

func (o iotestOneByte) Read(p []byte) (int, error) { return o.r.Read(p[:1]) }

func TestParseAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"Entering Passive Mode (127,0,0,1,4,1).", "127.0.0.1:1025"},
		{"Entering Passive Mode 127,0,0,1,4,1", "127.0.0.1:1025"},
		{"=10,0,0,1,255,255", "10.0.0.1:65535"},
		{"mode 2: (1,2,3,4,5,6)", "1.2.3.4:1286"},
		{"(127,0,0,1,0,0)", ""},
		{"(127,0,0,256,1,1)", ""},
		{"(127,0,0,1,4)", ""},
		{"(127,0,0,1,4,1000)", ""},
		{"nothing", ""},
	} {
		got := ""
		if a, ok := ParsePASV(c.in); ok {
			got = a.String()
		}
		if got != c.want {
			t.Errorf("PASV %q: %q, want %q", c.in, got, c.want)
		}
	}
	for _, c := range []struct {
		in   string
		want uint16
	}{
		{"Entering Extended Passive Mode (|||6446|)", 6446},
		{"x (!!!1!)", 1},
		{"(|||0|)", 0},
		{"(|||65536|)", 0},
		{"(||x|1|)", 0},
		{"(|||1|", 0},
		{"|||1|", 0},
		{"(1111111)", 0},
		{"(|||1", 0},
	} {
		if got, ok := ParseEPSV(c.in); got != c.want && ok || ok != (c.want != 0) {
			t.Errorf("EPSV %q: %d %v, want %d", c.in, got, ok, c.want)
		}
	}
}

func TestParseFacts(t *testing.T) {
	t.Parallel()
	when := time.Date(2024, 2, 29, 23, 59, 58, 123_000_000, time.UTC)
	for _, c := range []struct {
		in   string
		want Entry
		ok   bool
	}{
		{"type=file;size=12;modify=20240229235958.123;perm=adfr;unique=x;UNIX.mode=0644; a b;c=d ", Entry{
			Name: "a b;c=d ", Type: FileEntry, Size: 12, Part: -1, ModTime: when, Perm: "adfr", Unique: "x", Mode: 0o644, HasMode: true,
		}, true},
		{"Type=Dir;SIZD=5; d", Entry{Name: "d", Type: DirEntry, Size: 5, Part: -1}, true},
		{"type=cdir; .", Entry{Name: ".", Type: SelfEntry, Size: -1, Part: -1}, true},
		{"type=OS.unix=slink:/x/y; l", Entry{Name: "l", Type: LinkEntry, Target: "/x/y", Size: -1, Part: -1}, true},
		{"type=file;size=3;X.part=3; p", Entry{Name: "p", Type: FileEntry, Size: 3, Part: 3}, true},
		{"type=file;size=-1;modify=2024;UNIX.mode=9; p", Entry{Name: "p", Type: FileEntry, Size: -1, Part: -1}, true},
		{"type=file;size=99999999999999999999; p", Entry{Name: "p", Type: FileEntry, Size: -1, Part: -1}, true},
		{" name", Entry{Name: "name", Size: -1, Part: -1}, true},
		{"type=file; ", Entry{}, false},
		{"type=file;", Entry{}, false},
		{"type=file name", Entry{}, false},
		{"", Entry{}, false},
	} {
		got, ok := ParseFacts(c.in)
		if diff := cmp.Diff(c.want, got); diff != "" || ok != c.ok {
			t.Errorf("%q: %v (-want +got):\n%s", c.in, ok, diff)
		}
	}
}

func TestParseList(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)
	day := func(y int, m time.Month, d, h, min int) time.Time { return time.Date(y, m, d, h, min, 0, 0, time.UTC) }
	unix := func(name string, typ EntryType, size int64, when time.Time, mode fs.FileMode) Entry {
		return Entry{Name: name, Type: typ, Size: size, Part: -1, ModTime: when, Mode: mode, HasMode: true}
	}
	link := unix("l", LinkEntry, 4, day(2025, 1, 2, 3, 4), 0o777)
	link.Target = "to -> x"
	for _, c := range []struct {
		in   string
		want Entry
		ok   bool
	}{
		{"-rw-r--r--   1 o    g        1234 Jan  2 15:04 a b", unix("a b", FileEntry, 1234, day(2025, 1, 2, 15, 4), 0o644), true},
		{"-rw-r--r--   1 o    g        1234 Dec 31 15:04  lead", unix(" lead", FileEntry, 1234, day(2024, 12, 31, 15, 4), 0o644), true},
		{"-rwsr-xr-T+  1 o    g        0 Feb 29  2024 x", unix("x", FileEntry, 0, day(2024, 2, 29, 0, 0), 0o754), true},
		{"-rw-r--r--   1 o    g        7 Feb 29 12:00 leap", unix("leap", FileEntry, 7, day(2024, 2, 29, 12, 0), 0o644), true},
		{"drwxr-xr-x   2 user        4096 Mar  1  2020 no group", unix("no group", DirEntry, 4096, day(2020, 3, 1, 0, 0), 0o755), true},
		{"drwxr-xr-x   2 1000 1000   4096 2020-03-01 07:08 iso", unix("iso", DirEntry, 4096, day(2020, 3, 1, 7, 8), 0o755), true},
		{"-rw-r--r--   1 o g 5 1 Jan 03:04 eplf", unix("eplf", FileEntry, 5, day(2025, 1, 1, 3, 4), 0o644), true},
		{"lrwxrwxrwx   1 o    g        4 Jan  2 03:04 l -> to -> x", link, true},
		{"drwxr-xr-x   2 o    g        4096 Mar  1  2020 ..", unix("..", SelfEntry, 4096, day(2020, 3, 1, 0, 0), 0o755), true},
		{"01-02-06  03:04PM       <DIR>          my dir", Entry{Name: "my dir", Type: DirEntry, Size: -1, Part: -1, ModTime: day(2006, 1, 2, 15, 4)}, true},
		{"01-02-2016  15:04    1,234,567 a b.txt", Entry{Name: "a b.txt", Type: FileEntry, Size: 1234567, Part: -1, ModTime: day(2016, 1, 2, 15, 4)}, true},
		{"01-02-06  03:04PM       <JUNCTION>     j [C:\\x]", Entry{Name: "j", Type: LinkEntry, Target: `C:\x`, Size: -1, Part: -1, ModTime: day(2006, 1, 2, 15, 4)}, true},
		{"total 12", Entry{}, false},
		{"", Entry{}, false},
		{"-rw-r--r-- 1 o g", Entry{}, false},
		{"-rw-r--r-- 1 o g 12 Jan 2 15:04", Entry{}, false},
		{"99-99-99 99:99PM 12 x", Entry{}, false},
		{"ls: /x: Permission denied", Entry{}, false},
	} {
		got, ok := ParseList(c.in, now)
		if !c.ok {
			got = Entry{}
		}
		if diff := cmp.Diff(c.want, got); diff != "" || ok != c.ok {
			t.Errorf("%q: %v (-want +got):\n%s", c.in, ok, diff)
		}
	}
}

func TestFeatures(t *testing.T) {
	t.Parallel()
	f := ParseFeatures(Reply{211, []string{"Features:", " MLST type*;size*;modify;", " HASH SHA-256*;SHA-1", " SITE PART;QUOTA", " auth TLS", " AUTH SSL", "  ", "End"}})
	for _, c := range []struct {
		name  string
		words []string
		want  bool
	}{
		{"MLST", nil, true},
		{"MLST", []string{"type", "MODIFY"}, true},
		{"MLST", []string{"perm"}, false},
		{"HASH", []string{"sha-256"}, true},
		{"SITE", []string{"PART"}, true},
		{"AUTH", []string{"TLS", "SSL"}, true},
		{"EPSV", nil, false},
		{"End", nil, false},
	} {
		if got := f.Has(c.name, c.words...); got != c.want {
			t.Errorf("%s %v: %v", c.name, c.words, got)
		}
	}
	if f := ParseFeatures(Reply{211, []string{"none"}}); len(f) != 0 {
		t.Errorf("%v", f)
	}
}

func TestUnquotePath(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, want string
		ok       bool
	}{
		{`"/a" is it`, "/a", true},
		{`created "/a ""b""" well`, `/a "b"`, true},
		{`""`, "", true},
		{`"/a`, "", false},
		{`/a`, "", false},
		{`"a""`, "", false},
	} {
		if got, ok := UnquotePath(c.in); got != c.want || ok != c.ok {
			t.Errorf("%q: %q %v", c.in, got, ok)
		}
	}
}

func FuzzReadReply(f *testing.F) {
	for _, s := range []string{"220 x\r\n", "211-a\r\n b\r\n211 c\r\n", "220", "220-\n220-\n220\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ReadReply(bufio.NewReaderSize(strings.NewReader(s), 16))
		if err != nil {
			return
		}
		if r.Code < 100 || r.Code > 659 || len(r.Lines) == 0 || len(r.Lines) > MaxReplyLines {
			t.Fatalf("%q: %+v", s, r)
		}
		ParseFeatures(r)
		UnquotePath(r.Text())
	})
}

func FuzzParseAddresses(f *testing.F) {
	f.Add("Entering Passive Mode (127,0,0,1,4,1).")
	f.Add("Entering Extended Passive Mode (|||6446|)")
	f.Fuzz(func(t *testing.T, s string) {
		if a, ok := ParsePASV(s); ok && (!a.Addr().Is4() || a.Port() == 0) {
			t.Errorf("PASV %q: %v", s, a)
		}
		if port, ok := ParseEPSV(s); ok && (port == 0 || !strings.Contains(s, fmt.Sprint(port)) && !strings.Contains(s, "0")) {
			t.Errorf("EPSV %q: %d", s, port)
		}
	})
}

func FuzzParseFacts(f *testing.F) {
	f.Add("type=file;size=12;modify=20240229235958.123;perm=adfr;unique=x;UNIX.mode=0644; a b;c=d")
	f.Add("type=OS.unix=slink:/x; l")
	f.Fuzz(func(t *testing.T, s string) {
		e, ok := ParseFacts(s)
		if !ok {
			return
		}
		if e.Name == "" || e.Size < -1 || e.Part < -1 || e.Mode&^fs.ModePerm != 0 {
			t.Fatalf("%q: %+v", s, e)
		}
		if e.Type == OtherEntry || strings.ContainsAny(e.Perm+e.Unique, "=; ") || strings.ContainsAny(s, "\r\n") {
			return
		}
		again, ok := ParseFacts(string(AppendFacts(nil, AllFacts, e)))
		if !ok || again.Name != e.Name || again.Type != e.Type || !again.ModTime.Equal(e.ModTime.Truncate(time.Second)) || again.Part != e.Part {
			t.Errorf("%q: %+v was written and read as %+v", s, e, again)
		}
	})
}

func FuzzParseList(f *testing.F) {
	for _, s := range []string{
		"-rw-r--r--   1 o    g        1234 Jan  2 15:04 a b", "lrwxrwxrwx 1 o g 4 Jan  2  2006 l -> x",
		"01-02-06  03:04PM       <DIR>          my dir", "drwxr-xr-x 2 1000 1000 4096 2020-03-01 07:08 iso",
	} {
		f.Add(s)
	}
	now := time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		e, ok := ParseList(s, now)
		if ok && (e.Name == "" || e.Size < -1 || e.Part != -1 || e.Mode&^fs.ModePerm != 0 || !strings.Contains(s, e.Name)) {
			t.Fatalf("%q: %+v", s, e)
		}
	})
}

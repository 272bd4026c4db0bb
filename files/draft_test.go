package files

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sampan/fault"
)

// draft starts an upload as a Draft.
func draft(t testing.TB, h *Home, name string, w Want) Draft {
	t.Helper()
	u, err := h.As("a").Create(context.Background(), mustPath(name), w)
	if err != nil {
		t.Fatal(err)
	}
	return u.(Draft)
}

func publish(t testing.TB, h *Home, name, data string) {
	t.Helper()
	d := draft(t, h, name, Want{Size: -1})
	if _, err := io.WriteString(d, data); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Commit(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
}

func writeAt(t testing.TB, d Draft, data string, off int64) {
	t.Helper()
	if _, err := d.WriteAt([]byte(data), off); err != nil {
		t.Fatal(err)
	}
}

// TestDraftIsAFile holds a Draft against a slice of bytes, and the quota against the disk.
func TestDraftIsAFile(tb *testing.T) {
	tb.Parallel()
	dir := tempHome(tb)
	runs := 0
	rapid.Check(tb, func(t *rapid.T) {
		runs++
		h, err := openHome(filepath.Join(dir, time.Duration(runs).String()), Options{Quota: 1500}, "boot", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		want := bytes.Repeat([]byte("o"), rapid.IntRange(0, 300).Draw(t, "old"))
		publish(tb, h, "x", string(want))
		d := draft(tb, h, "x", Want{From: int64(len(want)), Size: -1})
		for range rapid.IntRange(0, 12).Draw(t, "steps") {
			off := rapid.IntRange(0, 800).Draw(t, "off")
			switch rapid.SampledFrom([]string{"write", "write", "append", "truncate"}).Draw(t, "step") {
			case "write":
				data := bytes.Repeat([]byte{byte('a' + runs%26)}, rapid.IntRange(1, 200).Draw(t, "n"))
				_, err = d.WriteAt(data, int64(off))
				if err == nil {
					want = append(want, make([]byte, max(0, off+len(data)-len(want)))...)
					copy(want[off:], data)
				}
			case "append":
				if _, err = d.Write([]byte("tail")); err == nil {
					want = append(want, "tail"...)
				}
			case "truncate":
				if err = d.Truncate(int64(off)); err == nil {
					want = append(want[:min(off, len(want))], make([]byte, max(0, off-len(want)))...)
				}
			}
			if err != nil && fault.KindOf(err) != fault.OverQuota {
				t.Fatal(err)
			}
			got := make([]byte, 2000)
			n, err := d.ReadAt(got, 0)
			if err != io.EOF || !bytes.Equal(got[:n], want) {
				t.Fatalf("%q, %v; want %q", got[:n], err, want)
			}
			if i, err := d.Stat(); err != nil || i.Size != int64(len(want)) {
				t.Fatalf("size %d, %v; want %d", i.Size, err, len(want))
			}
		}
		if rapid.Bool().Draw(t, "commit") {
			if _, err := d.Commit(context.Background(), nil); err != nil {
				t.Fatal(err)
			}
			f, i, err := h.As("a").Open(context.Background(), mustPath("x"), 0)
			if err != nil || i.Size != int64(len(want)) {
				t.Fatalf("%d bytes, %v; want %d", i.Size, err, len(want))
			}
			got, _ := io.ReadAll(f)
			f.Close()
			if !bytes.Equal(got, want) {
				t.Fatalf("%q, want %q", got, want)
			}
		} else if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		checkUsed(tb, h, h.root.Name())
	})
}

func TestDraftRefusals(t *testing.T) {
	t.Parallel()
	h, _ := steppedHome(t, Options{Strict: true, Quota: 1000})
	d := draft(t, h, "x", Want{Size: -1})
	for what, err := range map[string]error{
		"a size before 0":     d.Truncate(-1),
		"more than the quota": d.Truncate(1001),
		"all there is":        d.Truncate(1 << 62),
	} {
		if k := fault.KindOf(err); err == nil || k != fault.OverQuota && k != fault.BadOffset {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := d.ReadAt(make([]byte, 1), -1); fault.KindOf(err) != fault.BadOffset {
		t.Errorf("ReadAt(-1): %v", err)
	}
	late := time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := d.Set(Attr{ModTime: &late}); fault.KindOf(err) != fault.Syntax {
		t.Errorf("the year 3000: %v", err)
	}
	if err := d.Truncate(1000); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"Truncate": d.Truncate(1), "Set": d.Set(Attr{}), "Sync": d.Sync(), "MoveTo": d.MoveTo(mustPath("y")),
	} {
		if fault.KindOf(err) != fault.Stopped {
			t.Errorf("%s behind Commit: %v", what, err)
		}
	}
	if _, err := d.Reopen(); fault.KindOf(err) != fault.Stopped {
		t.Errorf("Reopen behind Commit: %v", err)
	}
}

func TestDraftModeAndTime(t *testing.T) {
	t.Parallel()
	h, _ := steppedHome(t, Options{Strict: true, Quota: -1})
	l := h.As("a")
	then := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	check := func(d Draft, name string, mode uint32, at time.Time) {
		t.Helper()
		before, err := d.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Commit(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		i, err := l.Stat(t.Context(), mustPath(name))
		if err != nil || uint32(i.Mode) != mode || !at.IsZero() && !i.ModTime.Equal(at) || !i.ModTime.Equal(before.ModTime) {
			t.Errorf("%s: mode %o, time %v (%v before), %v", name, i.Mode, i.ModTime, before.ModTime, err)
		}
	}
	d := draft(t, h, "new", Want{Size: -1, Mode: 0o750})
	check(d, "new", 0o750, time.Time{})
	d = draft(t, h, "new", Want{Size: -1, Mode: 0o600}) // what is there keeps its mode
	check(d, "new", 0o750, time.Time{})
	d = draft(t, h, "new", Want{Size: -1})
	mode := fs.ModeSetuid | 0o640
	for _, a := range []Attr{{Mode: &mode}, {ModTime: &then}} {
		if err := d.Set(a); err != nil {
			t.Fatal(err)
		}
	}
	writeAt(t, d, "written behind the time was set", 0)
	check(d, "new", 0o640, then)
}

// TestDraftChangedInPlaceIsNotParkedAfterACrash: what was half changed would pass for the head of an upload, and stand in
// the way of the next change.
func TestDraftChangedInPlaceIsNotParkedAfterACrash(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(tempHome(t), "h")
	o := Options{Strict: true, Quota: -1}
	h, err := openHome(dir, o, "boot", nil)
	if err != nil {
		t.Fatal(err)
	}
	publish(t, h, "x", "old content")
	publish(t, h, "y", "old content")
	publish(t, h, "z", "old content")
	writeAt(t, draft(t, h, "x", Want{From: 11, Size: -1}), "OLD", 0)
	writeAt(t, draft(t, h, "y", Want{From: 11, Size: -1}), " and more", 11)
	if err := draft(t, h, "z", Want{From: 11, Size: -1}).Truncate(5); err != nil {
		t.Fatal(err)
	}
	moved := draft(t, h, "from", Want{Size: -1})
	writeAt(t, moved, "moved", 0)
	if err := moved.MoveTo(mustPath("to")); err != nil {
		t.Fatal(err)
	}
	h.abandon()
	if h, err = openHome(dir, o, "boot", nil); err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	checkUsed(t, h, dir)
	got := h.partsOf(t, "a")
	if len(got) != 2 || got["y"] != "old content and more" || got["to"] != "moved" {
		t.Errorf("parts: %q", got)
	}
}

func TestDraftMoves(t *testing.T) {
	t.Parallel()
	h, _ := steppedHome(t, Options{Strict: true, Quota: -1})
	d := draft(t, h, "a", Want{Size: -1, New: true})
	writeAt(t, d, "content", 0)
	other := draft(t, h, "taken", Want{Size: -1, New: true})
	if err := d.MoveTo(mustPath("taken")); fault.KindOf(err) != fault.Exist {
		t.Errorf("a name that somebody holds: %v", err)
	}
	if err := d.MoveTo(mustPath("b")); err != nil {
		t.Fatal(err)
	}
	if u, err := h.As("a").Create(t.Context(), mustPath("a"), Want{Size: -1, New: true}); err != nil {
		t.Errorf("the old name is still held: %v", err)
	} else {
		u.Close()
	}
	r, err := d.Reopen()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	writeAt(t, d, "CONT", 0)
	if i, err := d.Commit(t.Context(), nil); err != nil || i.Path != mustPath("b") {
		t.Fatalf("%+v, %v", i, err)
	}
	if got, err := io.ReadAll(r); string(got) != "CONTent" || err != nil {
		t.Errorf("the other reader sees %q, %v", got, err)
	}
	if got := read(t, h, "b"); got != "CONTent" {
		t.Errorf("b has %q", got)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
}

func TestDraftSyncThatFailsLosesIt(t *testing.T) {
	t.Parallel()
	h, s := steppedHome(t, Options{Quota: -1})
	d := draft(t, h, "x", Want{Size: -1})
	writeAt(t, d, "content", 0)
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	s.reset("sync data")
	if err := d.Sync(); err == nil {
		t.Error("the failure is not told")
	}
	s.reset()
	if _, err := d.Commit(t.Context(), nil); err == nil {
		t.Error("what may be torn was published")
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// TestStripedAcrossACrash: of a stage that is written out of order a killed process leaves what stands before its first gap,
// as far as the ledger heard of it, and never what is behind one.
func TestStripedAcrossACrash(t *testing.T) {
	t.Parallel()
	const step = 1 << 20
	data := make([]byte, 40*step)
	rand.NewChaCha8([32]byte{1}).Read(data)
	for _, c := range []struct {
		name        string
		truncate    int64 // after all was written, 0 not
		least, most int64
	}{{"", 0, 30*step - tellEvery, 30 * step}, {"cut again", 5*step + 1, 5*step + 1 - tellEvery, 5*step + 1}} {
		dir := tempHome(t)
		h, err := openHome(dir, Options{Quota: -1}, "boot", nil)
		if err != nil {
			t.Fatal(err)
		}
		d := draft(t, h, "x", Want{Size: -1})
		for i := 0; i < 40; i += 2 { // two writers, of whom one lacks a step
			writeAt(t, d, string(data[(i+1)*step:(i+2)*step]), int64(i+1)*step)
			if i != 30 {
				writeAt(t, d, string(data[i*step:(i+1)*step]), int64(i)*step)
			}
		}
		if c.truncate > 0 {
			if err := d.Truncate(c.truncate); err != nil {
				t.Fatal(err)
			}
			if err := d.Truncate(35 * step); err != nil { // a hole, which is no part
				t.Fatal(err)
			}
		}
		h.abandon()
		if h, err = openHome(dir, Options{Quota: -1}, "boot", nil); err != nil {
			t.Fatal(err)
		}
		part, err := h.As("a").Part(t.Context(), mustPath("x"))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(data[:min(part.Size, int64(len(data)))])
		if part.Size < c.least || part.Size > c.most || !bytes.Equal(part.Sum, sum[:]) {
			t.Errorf("%s: the part has %d bytes, its hash matches: %t", c.name, part.Size, bytes.Equal(part.Sum, sum[:]))
		}
		checkUsed(t, h, dir)
		h.Close()
	}
}

// TestDirectoryThatCameUnderANewUpload is told as one, also to who wanted the name for something new.
func TestDirectoryThatCameUnderANewUpload(t *testing.T) {
	t.Parallel()
	h, _ := steppedHome(t, Options{Quota: -1})
	for _, isNew := range []bool{false, true} {
		d := draft(t, h, "d", Want{Size: -1, New: isNew})
		writeAt(t, d, "content", 0)
		if err := h.As("b").Mkdir(t.Context(), mustPath("d")); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Commit(t.Context(), nil); fault.KindOf(err) != fault.IsDir {
			t.Errorf("new %t: %v", isNew, err)
		}
		if err := errors.Join(d.Close(), h.As("b").Remove(t.Context(), mustPath("d"))); err != nil {
			t.Fatal(err)
		}
	}
}

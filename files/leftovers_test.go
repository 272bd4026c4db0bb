package files

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

// A crashHome is a home that is left as by a killed process, again and again.
type crashHome struct {
	*Home
	t    testing.TB
	dir  string
	opts Options
}

func newCrashHome(t testing.TB, o Options) *crashHome {
	t.Helper()
	c := &crashHome{t: t, dir: filepath.Join(tempHome(t), "h"), opts: o}
	c.open("boot")
	t.Cleanup(func() { c.Close() })
	return c
}

func (c *crashHome) open(boot string) {
	c.t.Helper()
	h, err := openHome(c.dir, c.opts, boot, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.Home = h
	checkUsed(c.t, h, c.dir)
}

// crash kills the process; another boot says that the machine went down too.
func (c *crashHome) crash(boot string) {
	c.t.Helper()
	c.abandon()
	c.open(boot)
}

// resume goes on with a's part.
func (c *crashHome) resume(name string, size int64) Draft {
	c.t.Helper()
	return draft(c.t, c.Home, name, Want{From: size, Size: -1, Part: true})
}

// TestOpenForEditingIsNotParkedAfterACrash: a file that somebody had opened to change it, and had not, leaves no part, for that
// would keep everybody from opening it again. What was added is one, and stays one.
func TestOpenForEditingIsNotParkedAfterACrash(t *testing.T) {
	t.Parallel()
	c := newCrashHome(t, Options{Strict: true, Quota: -1})
	publish(t, c.Home, "x", "old content")
	publish(t, c.Home, "y", "old content")
	draft(t, c.Home, "x", Want{From: 11, Size: -1})
	added := draft(t, c.Home, "y", Want{From: 11, Size: -1})
	if err := c.checkpoint(false); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(added, " and more"); err != nil {
		t.Fatal(err)
	}
	c.crash("boot")
	if got := c.partsOf(t, "a"); len(got) != 1 || got["y"] != "old content and more" {
		t.Fatalf("parts: %q", got)
	}
	c.resume("y", 20)
	c.crash("boot")
	if got := c.partsOf(t, "a"); len(got) != 1 || got["y"] != "old content and more" {
		t.Fatalf("parts, once more: %q", got)
	}
	if err := c.resume("y", 20).Close(); err != nil {
		t.Fatal(err)
	}
	c.resume("y", 20)
	c.crash("boot")
	if got := c.partsOf(t, "a"); len(got) != 1 || got["y"] != "old content and more" {
		t.Fatalf("parts, parked and opened again: %q", got)
	}
}

// TestPartWrittenOverIsNotTakenForWhatItWas: what was safe of a part is not when other bytes took its place.
func TestPartWrittenOverIsNotTakenForWhatItWas(t *testing.T) {
	t.Parallel()
	c := newCrashHome(t, Options{Strict: true, Quota: -1})
	park := func(name string) {
		t.Helper()
		d := draft(t, c.Home, name, Want{Size: -1})
		writeAt(t, d, "0123456789", 0)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	park("hole")
	d := c.resume("hole", 10)
	if err := d.Truncate(0); err != nil {
		t.Fatal(err)
	}
	writeAt(t, d, "56789", 5)
	c.crash("boot")
	if got := c.partsOf(t, "a"); len(got) != 0 {
		t.Errorf("a part with a hole: %q", got)
	}
	park("other")
	writeAt(t, c.resume("other", 10), "x", 3)
	c.crash("boot")
	if got := c.partsOf(t, "a"); got["other"] != "012x456789" {
		t.Errorf("the machine ran on: %q", got)
	}
	park("lost")
	d = c.resume("lost", 10)
	before := c.ledger.synced
	writeAt(t, d, "x", 3)
	if c.ledger.synced == before {
		t.Error("other bytes may reach the disk sooner than the record of that")
	}
	c.crash("another boot")
	if got := c.partsOf(t, "a"); got["lost"] != "012" {
		t.Errorf("the disk never confirmed it: %q", got)
	}
}

// TestPartBelowAVeryLongPath: the name of a part can become longer than one that a client may say, when a directory above it
// is moved. The ledger must go on to be read.
func TestPartBelowAVeryLongPath(t *testing.T) {
	t.Parallel()
	c := newCrashHome(t, Options{Strict: true, Quota: -1})
	deep := func(top string) (p string) {
		t.Helper()
		for p = top; len(p) < 3000; p += "/" + strings.Repeat("x", 200) {
			if err := c.As("a").Mkdir(t.Context(), mustPath(p)); err != nil {
				t.Fatal(err)
			}
		}
		return filepath.Dir(p)
	}
	from, to := deep("from"), deep("to")
	d := draft(t, c.Home, from+"/f", Want{Size: -1})
	writeAt(t, d, "content", 0)
	if err := errors.Join(d.Close(), c.As("a").Rename(t.Context(), mustPath("from"), mustPath(to+"/moved"), false)); err != nil {
		t.Fatal(err)
	}
	c.abandon()
	h, err := openHome(c.dir, c.opts, "boot", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Home = h
	text, err := c.readLedger()
	if err != nil {
		t.Fatal(err)
	}
	if replay(text).hole {
		t.Error("the ledger cannot be read")
	}
	if err := c.As("a").Rename(context.Background(), mustPath(to+"/moved"), mustPath("from"), false); err != nil {
		t.Fatal(err)
	}
	if got := c.partsOf(t, "a"); got[from+"/f"] != "content" {
		t.Errorf("parts: %q", got)
	}
	checkUsed(t, c.Home, c.dir)
}

// TestPartWhoseDirectorySyncFails: its bytes count as long as they are there.
func TestPartWhoseDirectorySyncFails(t *testing.T) {
	t.Parallel()
	h, s := steppedHome(t, Options{Strict: true, Quota: -1})
	for _, step := range []string{"sync part", "ledger", "sync ledger", "park", "sync parts", "cut"} {
		d := draft(t, h, "x", Want{Size: -1})
		writeAt(t, d, "content", 0)
		writeAt(t, d, "gap", 10)
		s.reset(step)
		if err := d.Close(); err == nil {
			t.Errorf("%s: the failure is not told", step)
		}
		s.reset()
		checkUsed(t, h, h.root.Name())
	}
}

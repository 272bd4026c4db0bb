package ftpd

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHomeThatDoesNotOpenTellsNoPath: what the server calls its directories is nobody's business.
func TestHomeThatDoesNotOpenTellsNoPath(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	if err := os.Remove(h.home("alice")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.home("alice"), []byte("no directory"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := h.dial()
	p.cmd(331, "USER alice")
	if got := p.cmd(451, "PASS "+password).Text(); strings.Contains(got, h.dir) {
		t.Error(got)
	}
	if !strings.Contains(h.log.String(), h.home("alice")) {
		t.Error("the log does not name it")
	}
}

// TestHomeMovedAway: the account is removed, its home moved elsewhere, and an account of the same name made. It gets
// nothing of the old one, and what it is told to be safe is where it belongs.
func TestHomeMovedAway(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	p := h.login("alice")
	p.store(226, "STOR old", []byte("of the first"))
	late := p.begin("STOR late")
	late.Write([]byte("half"))
	if err := os.Rename(h.home("alice"), filepath.Join(h.dir, "aside")); err != nil {
		t.Fatal(err)
	}
	if err := h.book.Remove(context.Background(), "alice"); err != nil {
		t.Fatal(err)
	}
	h.add("alice", -1, nil)
	p = h.login("alice")
	if got := p.fetch("NLST"); len(got) != 0 {
		t.Errorf("the second sees %q", got)
	}
	p.store(226, "STOR new", []byte("of the second"))
	same(t, "new", h.read("alice", "new"), []byte("of the second"))
	late.Close()
	eventually(t, "the first has gone", func() bool { return len(h.hub.Live()) == 1 })
	for _, name := range []string{filepath.Join(h.home("alice"), "late"), filepath.Join(h.dir, "aside", "late")} {
		if _, err := os.Stat(name); !os.IsNotExist(err) {
			t.Errorf("%s was published: %v", name, err)
		}
	}
}

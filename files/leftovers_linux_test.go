package files

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A watched context counts the descriptors of the process whenever somebody looks at it.
type watched struct {
	context.Context
	most int
}

func (w *watched) Err() error {
	if fds, err := os.ReadDir("/proc/self/fd"); err == nil {
		w.most = max(w.most, len(fds))
	}
	return w.Context.Err()
}

// TestCountOfADeepTree: whoever makes directories in directories cannot make a home that is too deep to be counted. It runs
// alone, for it looks at the descriptors of the process.
func TestCountOfADeepTree(t *testing.T) {
	c := newCrashHome(t, Options{Quota: -1})
	deep := filepath.Join(c.dir, strings.Repeat("d/", 500))
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(deep, "f"), []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	w := &watched{Context: t.Context()}
	w.Err()
	before := w.most
	if _, counted, err := c.Check(w, true); err != nil || counted != 7 {
		t.Fatalf("counted %d, %v", counted, err)
	}
	if w.most > before+20 {
		t.Errorf("%d descriptors, and %d before", w.most, before)
	}
}

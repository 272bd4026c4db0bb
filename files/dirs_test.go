//go:build unix

package files

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"sampan/fault"
)

// TestKeptDirectories: what is read under the name of a directory that is kept open is what lies there now, whoever came
// past us, and never what lies outside or would keep us waiting.
func TestKeptDirectories(t *testing.T) {
	t.Parallel()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	home, outside := filepath.Join(tempHome(t), "home"), t.TempDir()
	h, err := OpenHome(home, Options{Quota: -1})
	must(err)
	defer h.Close()
	inHome := func(name string) string { return filepath.Join(home, name) }
	// look reads d/f twice; the second time d is kept, if it can be.
	look := func(want string, kind fault.Kind) {
		t.Helper()
		for range 2 {
			r, _, err := h.As("a").Open(t.Context(), mustPath("d/f"), 0)
			if err != nil {
				if want != "" || fault.KindOf(err) != kind {
					t.Errorf("%v, want %q", err, want)
				}
				continue
			}
			got, err := io.ReadAll(r)
			if r.Close(); err != nil || string(got) != want {
				t.Errorf("%q, %v; want %q", got, err, want)
			}
		}
	}
	must(os.WriteFile(filepath.Join(outside, "f"), []byte("outside"), 0o600))
	must(h.As("a").Mkdir(t.Context(), mustPath("d")))
	must(put("d/f", "one").run(t.Context(), h.As("a")))
	look("one", 0)

	must(os.Rename(inHome("d"), inHome("e")))
	look("", fault.NotExist)
	must(os.Mkdir(inHome("d"), 0o700))
	must(put("d/f", "two").run(t.Context(), h.As("a")))
	look("two", 0)

	must(os.Remove(inHome("d/f")))
	must(os.Symlink("../e/f", inHome("d/f")))
	look("one", 0)
	must(os.Remove(inHome("d/f")))
	must(os.Symlink(filepath.Join(outside, "f"), inHome("d/f")))
	look("", fault.Denied)
	must(os.Remove(inHome("d/f")))
	must(syscall.Mkfifo(inHome("d/f"), 0o600))
	look("", fault.NotExist)

	must(os.RemoveAll(inHome("d")))
	must(os.Symlink("e", inHome("d")))
	look("one", 0)
	must(os.Remove(inHome("d")))
	must(os.Symlink(outside, inHome("d")))
	look("", fault.Denied)
	must(os.Remove(inHome("d")))
	must(os.Rename(inHome("e"), inHome("d")))
	look("one", 0)
}

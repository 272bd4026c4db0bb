package files

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFullDiskCanBeEmptied: each removal needs a record in the ledger, and each opening of a home a new one. Both must
// go on a disk without one free byte, else nobody could make room any more.
func TestFullDiskCanBeEmptied(t *testing.T) {
	disk := t.TempDir()
	if err := unix.Mount("none", disk, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("needs to mount a file system: ", err)
	}
	defer unix.Unmount(disk, unix.MNT_DETACH)
	dir := filepath.Join(disk, "home")
	h, err := OpenHome(dir, Options{Strict: true, Quota: -1})
	if err != nil {
		t.Fatal(err)
	}
	const n = 100
	name := func(i int) Path { return mustPath(fmt.Sprintf("%s-%d", strings.Repeat("x", 150), i)) }
	for i := range n {
		u, err := h.As("a").Create(t.Context(), name(i), Want{Size: -1})
		if err == nil {
			_, err = u.Write([]byte("x"))
		}
		if err == nil {
			_, err = u.Commit(t.Context(), nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	fill := func() {
		t.Helper()
		f, err := os.OpenFile(filepath.Join(disk, "other"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
		}
	}
	for i := range n {
		fill()
		if i%10 == 9 { // also behind a kill
			h.shut()
			if h, err = OpenHome(dir, Options{Strict: true, Quota: -1}); err != nil {
				t.Fatal(err)
			}
			fill()
		}
		if err := h.As("a").Remove(t.Context(), name(i)); err != nil {
			t.Fatalf("removal %d: %v", i, err)
		}
	}
	fill()
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}

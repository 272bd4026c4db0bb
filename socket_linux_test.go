package main

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSocketIsPrivateFromTheStart: between its making and a chmod anybody could connect, and whoever connects is an
// operator. So it is made under a mask of its own, which is gone afterwards.
func TestSocketIsPrivateFromTheStart(t *testing.T) { // not parallel: the mask is the process's
	dir := t.TempDir()
	defer unix.Umask(unix.Umask(0))
	l, stop, err := listenAdmin(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	defer l.Close()
	if i, err := os.Stat(filepath.Join(dir, socketFile)); err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", i.Mode(), err)
	}
	if old := unix.Umask(0); old != 0 {
		t.Errorf("the mask is %o afterwards", old)
	}
}

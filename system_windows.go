package main

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// reloadSignals make a server read its settings again: this system has none.
var reloadSignals []os.Signal

const errAddrInUse = windows.WSAEADDRINUSE

// inForeground reports whether this process may use its terminal.
func inForeground(*os.File) bool { return true }

// privately calls f. Who may open a new file is the directory's to say here.
func privately(f func()) { f() }

// lockFile locks one byte far behind the content, for a locked byte cannot be read by others.
func lockFile(f *os.File) error {
	at := &windows.Overlapped{OffsetHigh: 1 << 30}
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return errLocked
	}
	return err
}

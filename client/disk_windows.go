package client

import (
	"os"

	"golang.org/x/sys/windows"
)

const (
	nonblock      = 0
	closeToRename = true // Windows renames no open file
)

var errLocked = windows.ERROR_LOCK_VIOLATION

// lockFile takes the one lock on f, far behind its end, for Windows keeps others from reading what is locked.
func lockFile(f *os.File) error {
	at := &windows.Overlapped{OffsetHigh: 0x7fffffff}
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, at)
}

// syncDir does nothing: Windows cannot sync a directory.
func syncDir(*os.Root, string) error { return nil }

//go:build unix

package main

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// reloadSignals make a server read its settings again.
var reloadSignals = []os.Signal{syscall.SIGHUP}

const errAddrInUse = syscall.EADDRINUSE

// inForeground reports whether this process may use its terminal: one that was started with & may not.
func inForeground(terminal *os.File) bool {
	group, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// privately calls f, whose new files nobody else can open, not for a moment. The mask is the process's own: f is short.
func privately(f func()) {
	defer unix.Umask(unix.Umask(0o177))
	f()
}

func lockFile(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errLocked
	}
	return err
}

//go:build unix

package client

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

const (
	nonblock      = unix.O_NONBLOCK // open does not wait for the other end of a pipe
	closeToRename = false           // an open file can be renamed
)

var errLocked = unix.EWOULDBLOCK

// lockFile takes the one lock on f, which ends with the process at the latest. On file systems without locks it does
// nothing.
func lockFile(f *os.File) error {
	c, err := f.SyscallConn() // Fd would have it block, with two system calls more
	if err != nil {
		return err
	}
	var locked error
	if err := c.Control(func(fd uintptr) { locked = unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
		return err
	}
	err = locked
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOLCK) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}

// syncDir makes a rename durable. File systems that cannot sync directories say EINVAL; they do it by themselves.
func syncDir(root *os.Root, dir string) error {
	f, err := root.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	return nil
}

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
	err := withFd(f, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
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

// withFd calls do with the descriptor of f, which is not closed meanwhile. By Fd the file would block, with two system calls more.
func withFd(f *os.File, do func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var done error
	if err := c.Control(func(fd uintptr) { done = do(int(fd)) }); err != nil {
		return err
	}
	return done
}

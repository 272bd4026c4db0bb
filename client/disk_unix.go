//go:build unix

package client

import (
	"errors"
	"os"
	"syscall"
)

// nonblock keeps open from waiting for the other end of a pipe.
const nonblock = syscall.O_NONBLOCK

// syncDir makes a rename durable. File systems that cannot sync directories say EINVAL; they do it by themselves.
func syncDir(root *os.Root, dir string) error {
	f, err := root.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}

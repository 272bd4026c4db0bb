package client

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// openNameless opens a file in a directory that has no name yet. Some file systems have no such files, and Btrfs does not make
// durable what has no name.
func openNameless(dir *os.Root, mode fs.FileMode) (*os.File, error) {
	f, err := dir.OpenFile(".", os.O_RDWR|unix.O_TMPFILE|nonblock, mode)
	if err != nil {
		return nil, err
	}
	var on unix.Statfs_t
	err = withFd(f, func(fd int) error { return unix.Fstatfs(fd, &on) })
	if err == nil && on.Type == unix.BTRFS_SUPER_MAGIC {
		err = errors.ErrUnsupported
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// setTime sets the time of an open file.
func setTime(f *os.File, t time.Time) error {
	both := []unix.Timespec{unix.NsecToTimespec(t.UnixNano()), unix.NsecToTimespec(t.UnixNano())}
	return withFd(f, func(fd int) error { return unix.UtimesNanoAt(fd, "", both, unix.AT_EMPTY_PATH) })
}

// giveName gives a file its first name, which nothing may have. By its descriptor alone that is for root, or since Linux 6.10
// for who opened it; everybody else goes by /proc (linkat(2)), which takes twice as long.
func giveName(f, dir *os.File, name string) error {
	return withFd(f, func(fd int) error {
		return withFd(dir, func(to int) error {
			err := unix.Linkat(fd, "", to, name, unix.AT_EMPTY_PATH)
			if err == unix.ENOENT {
				err = unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), to, name, unix.AT_SYMLINK_FOLLOW)
			}
			return err
		})
	})
}

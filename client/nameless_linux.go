package client

import (
	"io/fs"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// openNameless opens a file in a directory that has no name yet. Some file systems have no such files.
func openNameless(dir *os.Root, mode fs.FileMode) (*os.File, error) {
	return dir.OpenFile(".", os.O_RDWR|unix.O_TMPFILE|nonblock, mode)
}

// setTime sets the time of an open file.
func setTime(f *os.File, t time.Time) error {
	both := []unix.Timespec{unix.NsecToTimespec(t.UnixNano()), unix.NsecToTimespec(t.UnixNano())}
	return withFd(f, func(fd int) error { return unix.UtimesNanoAt(fd, "", both, unix.AT_EMPTY_PATH) })
}

// giveName gives a file its first name, which nothing may have (linkat(2) has this way for who is not root).
func giveName(f, dir *os.File, name string) error {
	return withFd(f, func(fd int) error {
		return withFd(dir, func(to int) error {
			return unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), to, name, unix.AT_SYMLINK_FOLLOW)
		})
	})
}

// withFd calls do with the descriptor of f, which is not closed meanwhile.
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

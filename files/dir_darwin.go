package files

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// renameNew is one system call where the volume can.
func renameNew(fromDir int, from string, toDir int, to string) error {
	err := unix.RenameatxNp(fromDir, from, toDir, to, unix.RENAME_EXCL)
	if err != unix.ENOTSUP && err != unix.EINVAL {
		return err
	}
	return renameLooking(fromDir, from, toDir, to)
}

// setTime sets the modification time of name, in one of our own directories.
func (d *dir) setTime(name string, t time.Time) error { return d.own.Chtimes(name, time.Time{}, t) }

// datasync makes the bytes of f, and its size, durable (F_FULLFSYNC).
func datasync(f *os.File) error { return f.Sync() }

// syncDisk is not to be had: each file is synced by itself.
func syncDisk(*os.File) error { return errors.ErrUnsupported }

// readBelow does not work: there is no such call.
func (d *dir) readBelow(Path) *os.File { return nil }

// allocate does nothing here: a full disk may have to be emptied past Sampan.
func allocate(*os.File, int64) error { return nil }

// bootID names the time since the machine was started.
func bootID() string {
	s, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return ""
	}
	return s
}

func changeTime(st *syscall.Stat_t) int64 { return st.Ctimespec.Nano() }

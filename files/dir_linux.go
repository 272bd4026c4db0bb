package files

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// renameNew is one system call where the file system can.
func renameNew(fromDir int, from string, toDir int, to string) error {
	err := unix.Renameat2(fromDir, from, toDir, to, unix.RENAME_NOREPLACE)
	if err != unix.EINVAL && err != unix.ENOSYS {
		return err
	}
	return renameLooking(fromDir, from, toDir, to)
}

// readBelow opens p for reading by one system call, where no element of it is a link or a mount; nil if that does not work,
// for whatever reason.
func (d *dir) readBelow(p Path) (f *os.File) {
	_ = control(d.f, func(dir int) error {
		fd, err := unix.Openat2(dir, p.Rel(), &unix.OpenHow{
			Flags:   uint64(openFileFlags | unix.O_CLOEXEC),
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
		})
		if err == nil {
			f = os.NewFile(uintptr(fd), p.Base())
		}
		return err
	})
	return f
}

// setTime sets the modification time of name, in one of our own directories, by one system call ([os.Root.Chtimes] takes two).
func (d *dir) setTime(name string, t time.Time) error {
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(t.UnixNano())}
	return control(d.f, func(fd int) error { return unix.UtimesNanoAt(fd, name, times, unix.AT_SYMLINK_NOFOLLOW) })
}

// datasync makes the bytes of f, and its size, durable.
func datasync(f *os.File) error {
	return control(f, unix.Fdatasync)
}

// syncDisk makes everything durable that was written to the disk of f. It is unsupported where the system may not tell
// that some of it failed: before Linux 5.8, and on file systems of which that is not known.
func syncDisk(f *os.File) error {
	return control(f, func(fd int) error {
		var st unix.Statfs_t
		if err := unix.Fstatfs(fd, &st); err != nil {
			return err
		}
		switch uint32(st.Type) {
		case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC:
			if tellsDiskErrors() {
				return unix.Syncfs(fd)
			}
		}
		return errors.ErrUnsupported
	})
}

var tellsDiskErrors = sync.OnceValue(func() bool {
	var u unix.Utsname
	var major, minor int
	if unix.Uname(&u) != nil {
		return false
	}
	n, _ := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor)
	return n == 2 && (major > 5 || major == 5 && minor >= 8)
})

// allocate takes the disk's room for the first n bytes of f, whose size stays.
func allocate(f *os.File, n int64) error {
	return control(f, func(fd int) error { return unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, 0, n) })
}

// bootID names the time since the machine was started: what a process wrote before it died is still there in the same
// boot, and may not be in another.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func changeTime(st *syscall.Stat_t) int64 { return st.Ctim.Nano() }

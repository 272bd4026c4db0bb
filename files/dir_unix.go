//go:build linux || darwin

package files

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"sampan/fault"
)

const (
	openDirFlags  = os.O_RDONLY | syscall.O_DIRECTORY | syscall.O_NONBLOCK
	openFileFlags = os.O_RDONLY | syscall.O_NONBLOCK // never waits for the other end of a FIFO
)

// changeTimes says that node.ctime is what the system sets with every change, and not mtime once more.
const changeTimes = true

// control runs fn with f's descriptor, which stays what it is (Fd would make it blocking).
func control(f *os.File, fn func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if cerr := c.Control(func(fd uintptr) { err = again(func() error { return fn(int(fd)) }) }); cerr != nil {
		return cerr
	}
	return err
}

// again calls fn until no signal comes in between.
func again(fn func() error) error {
	for {
		if err := fn(); err != unix.EINTR {
			return err
		}
	}
}

func statNode(st *unix.Stat_t) node {
	return node{
		id:    nodeID{uint64(st.Dev), st.Ino},
		mode:  modeOf(uint32(st.Mode)),
		size:  st.Size,
		mtime: st.Mtim.Nano(),
		ctime: st.Ctim.Nano(),
	}
}

func modeOf(m uint32) fs.FileMode {
	mode := fs.FileMode(m & 0o777)
	switch m & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		mode |= fs.ModeDir
	case unix.S_IFLNK:
		mode |= fs.ModeSymlink
	default:
		mode |= fs.ModeIrregular
	}
	return mode
}

func infoNode(fi fs.FileInfo) node {
	st, _ := fi.Sys().(*syscall.Stat_t)
	n := node{mode: modeOf(uint32(st.Mode)), size: fi.Size(), mtime: fi.ModTime().UnixNano(), ctime: changeTime(st)}
	n.id = nodeID{uint64(st.Dev), st.Ino}
	return n
}

// unopenable reports whether err of an open tells a socket or a device.
func unopenable(err error) bool {
	return errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EOPNOTSUPP)
}

func fileNode(f *os.File) (node, error) {
	var st unix.Stat_t
	err := control(f, func(fd int) error { return unix.Fstat(fd, &st) })
	return statNode(&st), err
}

// lstat describes name without following it.
func (d *dir) lstat(name string) (node, error) {
	var st unix.Stat_t
	err := control(d.f, func(fd int) error {
		return unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	})
	return statNode(&st), err
}

// lstats describes names without following them. What cannot be described, as it went meanwhile, is irregular.
func (d *dir) lstats(names []string, nodes []node) {
	err := control(d.f, func(fd int) error {
		var st unix.Stat_t
		for i, name := range names {
			if again(func() error { return unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) }) != nil {
				nodes[i] = node{mode: fs.ModeIrregular}
				continue
			}
			nodes[i] = statNode(&st)
		}
		return nil
	})
	if err != nil {
		for i := range names {
			nodes[i] = node{mode: fs.ModeIrregular}
		}
	}
}

// open opens name, a file, inside d, which is one of our own directories. A link is refused.
func (d *dir) open(name string, flags int) (f *os.File, err error) {
	err = control(d.f, func(dir int) error {
		fd, err := unix.Openat(dir, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
		if err == nil {
			f = os.NewFile(uintptr(fd), name)
		}
		return err
	})
	if err != nil {
		return nil, &fs.PathError{Op: "openat", Path: name, Err: err}
	}
	return f, nil
}

// read opens name for reading; errLink if it is a link.
func (d *dir) read(name string) (*os.File, error) {
	f, err := d.open(name, openFileFlags)
	if errors.Is(err, unix.ELOOP) {
		err = errLink
	}
	return f, err
}

func (d *dir) unlink(name string, isDir bool) error {
	flags := 0
	if isDir {
		flags = unix.AT_REMOVEDIR
	}
	return control(d.f, func(fd int) error { return unix.Unlinkat(fd, name, flags) })
}

func (d *dir) mkdir(name string) error {
	return control(d.f, func(fd int) error { return unix.Mkdirat(fd, name, 0o755) })
}

// sync makes the names in d durable.
func (d *dir) sync() error { return d.f.Sync() }

// move renames from/a to to/b. Without replace it fails with ErrExist, at once and against everybody, if the name is
// taken.
func move(from *dir, a string, to *dir, b string, replace bool) error {
	err := control(from.f, func(x int) error {
		return control(to.f, func(y int) error {
			if replace {
				return unix.Renameat(x, a, y, b)
			}
			return renameNew(x, a, y, b)
		})
	})
	if err == unix.EXDEV {
		return fault.Wrap(fault.Unsupported, err, "%s: another disk is mounted there", to.path)
	}
	return err
}

// renameLooking gives a file a name that nothing has, where that is no single call: it looks first, which is enough against
// everybody who comes through Sampan, for names change one batch at a time.
func renameLooking(fromDir int, from string, toDir int, to string) error {
	var st unix.Stat_t
	if unix.Fstatat(toDir, to, &st, unix.AT_SYMLINK_NOFOLLOW) == nil {
		return unix.EEXIST
	}
	return unix.Renameat(fromDir, from, toDir, to)
}

// unlock ends lock at once, also for a child process that is just being started and has not closed d yet.
func (d *dir) unlock() {
	_ = control(d.f, func(fd int) error { return unix.Flock(fd, unix.LOCK_UN) })
}

// lock makes the home this process's own.
func (d *dir) lock() error {
	err := control(d.f, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if err != unix.EWOULDBLOCK {
		return nil // a file system without such locks has that of the data directory
	}
	return err
}

func (d *dir) free() int64 {
	var st unix.Statfs_t
	if err := control(d.f, func(fd int) error { return unix.Fstatfs(fd, &st) }); err != nil {
		return -1
	}
	return int64(st.Bavail) * int64(st.Bsize)
}

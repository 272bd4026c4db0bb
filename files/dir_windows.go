package files

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/windows"

	"sampan/fault"
)

// What Windows keeps of the promises: old or new version whole, the quota, resume. It cannot sync a directory, so a
// name may be lost in a power cut though its data was synced; it has no identity of the boot, so after any unclean end
// only parts that were synced are kept; and a file that a reader holds open cannot be replaced meanwhile (Busy).

const (
	openDirFlags  = os.O_RDONLY
	openFileFlags = os.O_RDONLY
)

// changeTimes says that node.ctime is what the system sets with every change, and not mtime once more.
const changeTimes = false

func infoNode(fi fs.FileInfo) node {
	mode := fi.Mode()
	if t := mode.Type(); t != 0 && t != fs.ModeDir && t != fs.ModeSymlink {
		mode = mode.Perm() | fs.ModeIrregular
	}
	t := fi.ModTime().UnixNano()
	return node{mode: mode & (fs.ModePerm | fs.ModeDir | fs.ModeSymlink | fs.ModeIrregular), size: fi.Size(), mtime: t, ctime: t}
}

func fileNode(f *os.File) (node, error) {
	fi, err := f.Stat()
	if err != nil {
		return node{}, err
	}
	n := infoNode(fi)
	c, err := f.SyscallConn()
	if err != nil {
		return node{}, err
	}
	var by windows.ByHandleFileInformation
	cerr := c.Control(func(h uintptr) { err = windows.GetFileInformationByHandle(windows.Handle(h), &by) })
	if cerr == nil && err == nil {
		n.id = nodeID{uint64(by.VolumeSerialNumber), uint64(by.FileIndexHigh)<<32 | uint64(by.FileIndexLow)}
	}
	return n, nil
}

func (d *dir) rel(name string) string { return d.path.below(name).Rel() }

func (d *dir) lstat(name string) (node, error) {
	fi, err := d.root.Lstat(d.rel(name))
	if err != nil {
		return node{}, err
	}
	return infoNode(fi), nil
}

// lstats describes names without following them. What cannot be described, as it went meanwhile, is irregular.
func (d *dir) lstats(names []string, nodes []node) {
	for i, name := range names {
		var err error
		if nodes[i], err = d.lstat(name); err != nil {
			nodes[i] = node{mode: fs.ModeIrregular}
		}
	}
}

// open opens name inside d, which is one of our own directories.
func (d *dir) open(name string, flags int) (*os.File, error) {
	return d.own.OpenFile(name, flags, 0o644)
}

// read opens name for reading; errLink if it is a link.
func (d *dir) read(name string) (*os.File, error) {
	if n, err := d.lstat(name); err != nil || n.mode&fs.ModeSymlink != 0 {
		return nil, cmp.Or(err, errLink)
	}
	return d.root.OpenFile(d.rel(name), openFileFlags, 0)
}

// readBelow does not work: there is no such call.
func (d *dir) readBelow(Path) *os.File { return nil }

func (d *dir) unlink(name string, isDir bool) error { return d.root.Remove(d.rel(name)) }

func (d *dir) mkdir(name string) error { return d.root.Mkdir(d.rel(name), 0o755) }

// sync does nothing: Windows has no sync of a directory.
func (d *dir) sync() error { return nil }

// move renames from/a to to/b. The look before a rename that must not replace is enough against everybody who comes
// through Sampan, for names change one batch at a time.
func move(from *dir, a string, to *dir, b string, replace bool) error {
	if !replace {
		if _, err := to.lstat(b); err == nil {
			return fs.ErrExist
		}
	}
	err := from.root.Rename(from.rel(a), to.rel(b))
	if errors.Is(err, windows.ERROR_NOT_SAME_DEVICE) {
		return fault.Wrap(fault.Unsupported, err, "%s: another disk is mounted there", to.path)
	}
	return err
}

// lock does nothing here: the lock of the data directory keeps a second server out.
func (d *dir) lock() error { return nil }

func (d *dir) unlock() {}

func (d *dir) free() int64 {
	name, err := windows.UTF16PtrFromString(d.root.Name())
	if err != nil {
		return -1
	}
	var free uint64
	if windows.GetDiskFreeSpaceEx(name, &free, nil, nil) != nil {
		return -1
	}
	return int64(free)
}

// setTime sets the modification time of name, in one of our own directories.
func (d *dir) setTime(name string, t time.Time) error { return d.own.Chtimes(name, time.Time{}, t) }

func datasync(f *os.File) error { return f.Sync() }

// syncDisk is not to be had: each file is synced by itself.
func syncDisk(*os.File) error { return errors.ErrUnsupported }

// allocate does nothing here: a full disk may have to be emptied past Sampan.
func allocate(*os.File, int64) error { return nil }

func bootID() string { return "" }

func unopenable(error) bool { return false }

package files

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"sampan/fault"
)

// dir is an open directory of a home. Its methods (in dir_*.go) take one element, so nothing can lead elsewhere.
type dir struct {
	f    *os.File
	root *os.Root // the home
	own  *os.Root // d itself; only for what is ours
	path Path
	id   nodeID
	lent bool // f is another dir's, which closes it
	kept *keptDir
}

// nodeID is what the system knows a file by; zero where it cannot be told.
type nodeID struct{ dev, ino uint64 }

// node is what the disk says about one name.
type node struct {
	id    nodeID
	mode  fs.FileMode
	size  int64
	mtime int64 // nanoseconds since 1970, as ctime
	ctime int64
}

// counts returns what n adds to the used bytes: only regular files count.
func (n node) counts() int64 {
	if n.mode.IsRegular() {
		return n.size
	}
	return 0
}

// openDir opens directory p inside the home. Our own directories, under whatever name, are not there.
func (h *Home) openDir(p Path) (*dir, error) {
	f, err := h.root.OpenFile(p.Rel(), openDirFlags, 0)
	if err != nil {
		return nil, classify(err, p)
	}
	n, err := fileNode(f)
	if err == nil && !n.mode.IsDir() {
		err = fault.New(fault.NotDir, "%s: not a directory", p)
	}
	if err == nil && h.isOwn(n.id) {
		err = notThere(p)
	}
	if err != nil {
		f.Close()
		return nil, classify(err, p)
	}
	return &dir{f: f, root: h.root, path: p, id: n.id}, nil
}

// truncate cuts name, in one of our own directories, to n bytes.
func (d *dir) truncate(name string, n int64) error {
	f, err := d.open(name, os.O_RDWR)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(n), f.Close())
}

// parent is openDir for a look at names and their change, not for a listing: the home itself is open already, and what was
// used of late.
func (h *Home) parent(p Path) (*dir, error) {
	if p.IsRoot() {
		return &dir{f: h.top.f, root: h.root, id: h.top.id, lent: true}, nil
	}
	if k := h.dirs.get(p); k != nil {
		if h.leadsTo(p, k.id) {
			return &k.dir, nil
		}
		h.dirs.giveBack(k, true)
	}
	d, err := h.openDir(p)
	if err != nil || d.id.dev != h.top.id.dev || !h.leadsTo(p, d.id) {
		return d, err
	}
	return &h.dirs.put(d).dir, nil
}

// leadsTo reports whether p is the directory id, with no link on the way; false where the system has no nodeID.
func (h *Home) leadsTo(p Path, id nodeID) bool {
	d, err := h.parent(p.Dir())
	if err != nil {
		return false
	}
	defer d.close()
	n, err := d.lstat(p.Base())
	return err == nil && n.id == id && id != (nodeID{}) && n.mode.IsDir()
}

func (d *dir) close() {
	switch {
	case d.lent:
	case d.kept != nil:
		d.kept.in.giveBack(d.kept, false)
	default:
		d.f.Close()
		if d.own != nil {
			d.own.Close()
		}
	}
}

// openOwnDir opens one of our own directories.
func (h *Home) openOwnDir(p Path) (*dir, error) {
	d, err := h.openDir(p)
	if err != nil {
		return nil, err
	}
	if d.own, err = h.root.OpenRoot(p.Rel()); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// isOwn reports whether id is one of the directories that no name may reach, whatever the file system takes as
// equal names.
func (h *Home) isOwn(id nodeID) bool {
	return id != nodeID{} && (id == h.own[0] || id == h.own[1] || id == h.own[2])
}

func notThere(p Path) error {
	return fault.New(fault.NotExist, "%s: no such file or directory", p)
}

// classify turns an error of the system about p into one for the user.
func classify(err error, p Path) error {
	var pe *fs.PathError
	if errors.As(err, &pe) && pe.Err != nil && pe.Err.Error() == "path escapes from parent" {
		return fault.Wrap(fault.Denied, err, "%s: leads out of the home", p)
	}
	if errors.Is(err, context.Canceled) && fault.KindOf(err) == fault.Internal {
		return fault.Wrap(fault.Cut, err, "%s: interrupted", p)
	}
	return fault.From(err, p.String())
}

package client

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"sampan/fault"
	"sampan/files"
)

// diskUpload writes NAME.part. It stays there until Commit renames it.
type diskUpload struct {
	d       *disk
	path    files.Path
	name    string
	file    *os.File
	size    int64
	isNew   bool
	dropped bool
}

func (d *disk) Create(ctx context.Context, p files.Path, w files.Want) (files.Upload, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name, err := d.newName(p)
	if err != nil {
		return nil, err
	}
	i, err := d.root.Stat(name)
	switch {
	case err == nil && i.IsDir():
		return nil, fault.New(fault.IsDir, "%s: is a directory", p.String())
	case err == nil && w.New:
		return nil, fault.New(fault.Exist, "%s: that name is taken", p.String())
	case err == nil && !i.Mode().IsRegular():
		return nil, fault.New(fault.Unsupported, "%s: not a regular file", p.String())
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, local(err, p.String())
	}
	flags := os.O_RDWR | os.O_CREATE | nonblock
	if !w.Part {
		if err := d.root.Remove(name + partSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, local(err, p.String())
		}
		flags |= os.O_EXCL
	}
	mode := fs.FileMode(0o666)
	if err == nil && i != nil {
		mode = i.Mode().Perm()
	}
	f, err := d.root.OpenFile(name+partSuffix, flags, mode)
	if err != nil {
		return nil, local(err, p.String())
	}
	u := &diskUpload{d: d, path: p, name: name, file: f, isNew: w.New}
	if err := u.keep(ctx, w); err != nil {
		if !w.Part {
			u.dropped = true
		}
		u.Close()
		return nil, err
	}
	return u, nil
}

// keep begins the part with what w keeps.
func (u *diskUpload) keep(ctx context.Context, w files.Want) error {
	i, err := u.file.Stat()
	if err != nil {
		return local(err, u.path.String())
	}
	if !i.Mode().IsRegular() {
		return fault.New(fault.Unsupported, "%s: not a regular file", u.path.String())
	}
	u.size = i.Size()
	if w.Part {
		if i.Size() != w.From {
			return fault.New(fault.BadOffset, "%s: the part is not %d bytes long", u.path.String(), w.From)
		}
		return nil
	}
	if w.From == 0 {
		return nil
	}
	src, _, err := u.d.Open(ctx, u.path, 0)
	if fault.KindOf(err) == fault.NotExist && err != nil {
		return fault.New(fault.BadOffset, "%s: there are only %d bytes", u.path.String(), 0)
	}
	if err != nil {
		return err
	}
	defer src.Close()
	n, err := io.CopyN(u.file, src, w.From)
	u.size = n
	if errors.Is(err, io.EOF) {
		return fault.New(fault.BadOffset, "%s: there are only %d bytes", u.path.String(), n)
	}
	return local(err, u.path.String())
}

func (u *diskUpload) Write(p []byte) (int, error) { return u.WriteAt(p, u.size) }

// WriteAt grows the contiguous head only where it touches it; a hole is cut off again by Close.
func (u *diskUpload) WriteAt(p []byte, off int64) (int, error) {
	if u.file == nil {
		return 0, fault.New(fault.Internal, "the upload is over")
	}
	if off > u.size {
		return 0, fault.New(fault.Unsupported, "%s: bytes are written in order only", u.path.String())
	}
	n, err := u.file.WriteAt(p, off)
	u.size = max(u.size, off+int64(n))
	return n, local(err, u.path.String())
}

// Room grants all: the disk says itself when it is full.
func (u *diskUpload) Room(want int64) (int64, error) { return want, nil }

func (u *diskUpload) Size() int64 { return u.size }

// Commit syncs, renames and syncs the directory.
func (u *diskUpload) Commit(ctx context.Context, sure func() error) (files.Info, error) {
	if u.file == nil {
		return files.Info{}, fault.New(fault.Internal, "the upload is over")
	}
	defer u.Close()
	if err := u.file.Sync(); err != nil {
		u.dropped = true // what is on the disk is unknown now
		return files.Info{}, local(err, u.path.String())
	}
	if err := ctx.Err(); err != nil {
		return files.Info{}, err
	}
	if sure != nil {
		if err := sure(); err != nil {
			return files.Info{}, err
		}
	}
	err := u.file.Close()
	u.file = nil
	if err == nil {
		err = u.publish()
	}
	if err != nil {
		return files.Info{}, local(err, u.path.String())
	}
	i, err := u.d.root.Stat(u.name)
	if err != nil {
		return files.Info{}, local(err, u.path.String())
	}
	return diskInfo(u.path, i, -1), nil
}

func (u *diskUpload) publish() error {
	if u.isNew {
		if _, err := u.d.root.Lstat(u.name); err == nil {
			return fault.New(fault.Exist, "%s: that name is taken", u.path.String())
		}
	}
	if err := u.d.root.Rename(u.name+partSuffix, u.name); err != nil {
		return err
	}
	return syncDir(u.d.root, filepath.Dir(u.name))
}

// Close keeps the part; an empty one goes.
func (u *diskUpload) Close() error {
	if u.file == nil {
		return nil
	}
	err := u.file.Close()
	u.file = nil
	if u.size == 0 || u.dropped {
		err = u.d.root.Remove(u.name + partSuffix)
	}
	return local(err, u.path.String())
}

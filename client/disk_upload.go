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

// diskUpload writes NAME.part, which stays there until Commit renames it. A lock on it keeps two copies to one name
// apart: without it one could publish what the other has only begun.
type diskUpload struct {
	d      *disk
	path   files.Path
	name   string
	part   string
	file   *os.File
	size   int64
	isNew  bool
	doomed bool // the part is of no use to anybody
}

// Create is Busy while another copy writes to the same name.
func (d *disk) Create(ctx context.Context, p files.Path, w files.Want) (files.Upload, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name, err := d.newName(p)
	if err != nil {
		return nil, err
	}
	mode := fs.FileMode(0o666)
	switch i, err := d.look(name, (*os.Root).Stat); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, local(err, p.String())
	case i.IsDir():
		return nil, fault.New(fault.IsDir, "%s: is a directory", p.String())
	case w.New:
		return nil, fault.New(fault.Exist, "%s: that name is taken", p.String())
	case !i.Mode().IsRegular():
		return nil, fault.New(fault.Unsupported, "%s: not a regular file", p.String())
	default:
		mode = i.Mode().Perm()
	}
	u := &diskUpload{d: d, path: p, name: name, part: partName(name), isNew: w.New}
	if err := u.take(w, mode); err != nil {
		return nil, local(err, p.String())
	}
	if err := u.keep(ctx, w); err != nil {
		u.doomed = !w.Part
		u.Close()
		return nil, err
	}
	return u, nil
}

// take opens the part and locks it: the one that is there to go on with it, else a new one in its place. Nothing is
// written through a link that somebody may have put there.
func (u *diskUpload) take(w files.Want, mode fs.FileMode) error {
	old, err := u.d.look(u.part, (*os.Root).Lstat)
	switch {
	case errors.Is(err, fs.ErrNotExist) && w.Part:
		return fault.New(fault.BadOffset, "%s: the part is not %d bytes long", u.path.String(), w.From)
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !old.Mode().IsRegular():
		return fault.New(fault.Unsupported, "%s: not a regular file", u.part)
	case w.Part && old.Size() != w.From:
		return fault.New(fault.BadOffset, "%s: the part is not %d bytes long", u.path.String(), w.From)
	case !w.Part && w.From > 0:
		return fault.New(fault.Busy, "%s: a part of %d bytes waits there", u.path.String(), old.Size())
	}
	if err == nil {
		if err := u.lock(os.O_RDWR|nonblock, mode); err != nil || w.Part {
			return err
		}
		if closeToRename { // nor removes one
			return u.file.Truncate(0)
		}
		defer u.file.Close() // its lock is held until the new one is there
		if err := u.d.do(u.part, (*os.Root).Remove); err != nil {
			return err
		}
	}
	return u.lock(os.O_RDWR|os.O_CREATE|os.O_EXCL|nonblock, mode)
}

// lock opens the part and makes sure that it is still the one of that name when the lock is held.
func (u *diskUpload) lock(flags int, mode fs.FileMode) error {
	f, err := u.d.openFile(u.part, flags, mode)
	busy := fault.New(fault.Busy, "%s: another copy is writing it just now", u.path.String())
	if errors.Is(err, fs.ErrExist) {
		return busy
	}
	if err != nil {
		return err
	}
	held, err := f.Stat()
	if err == nil {
		err = lockFile(f)
	}
	if err == nil {
		var now fs.FileInfo
		if now, err = u.d.look(u.part, (*os.Root).Lstat); err == nil && !os.SameFile(held, now) {
			err = busy
		}
	}
	if errors.Is(err, errLocked) || errors.Is(err, fs.ErrNotExist) {
		err = busy
	}
	if err != nil {
		f.Close()
		return err
	}
	u.file = f
	return nil
}

// keep begins the part with what w keeps.
func (u *diskUpload) keep(ctx context.Context, w files.Want) error {
	if w.Part {
		u.size = w.From
		return nil
	}
	if w.From == 0 {
		return nil
	}
	src, _, err := u.d.Open(ctx, u.path, 0)
	if err != nil && fault.KindOf(err) == fault.NotExist {
		return fault.New(fault.BadOffset, "%s: there are only %d bytes", u.path.String(), 0)
	}
	if err != nil {
		return err
	}
	defer src.Close()
	n, err := io.CopyN(u.file, src, w.From)
	u.size = n
	if err == io.EOF {
		return fault.New(fault.BadOffset, "%s: there are only %d bytes", u.path.String(), n)
	}
	return local(err, u.path.String())
}

func (u *diskUpload) Write(p []byte) (int, error) { return u.WriteAt(p, u.size) }

// WriteAt overwrites or goes on, but leaves no hole.
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
		u.doomed = true // what is on the disk is unknown now
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
	if err := u.rename(); err != nil {
		return files.Info{}, err
	}
	if err := u.d.syncDir(u.name); err != nil {
		return files.Info{}, local(err, u.path.String())
	}
	i, err := u.d.look(u.name, (*os.Root).Stat)
	if err != nil {
		return files.Info{}, local(err, u.path.String())
	}
	return diskInfo(u.path, i, -1), nil
}

// syncDir makes the name of a file in its directory durable.
func (d *disk) syncDir(name string) error {
	return d.do(name, func(r *os.Root, name string) error { return syncDir(r, filepath.Dir(name)) })
}

// rename gives the part its name.
func (u *diskUpload) rename() error { return local(u.publish(), u.path.String()) }

// publish renames the part, if it still is the file that was written.
func (u *diskUpload) publish() error {
	if u.isNew {
		if _, err := u.d.look(u.name, (*os.Root).Lstat); err == nil {
			return fault.New(fault.Exist, "%s: that name is taken", u.path.String())
		}
	}
	ours, err := u.file.Stat()
	if err != nil {
		return err
	}
	err = u.d.do(u.part, func(r *os.Root, part string) error {
		if now, err := r.Lstat(part); err != nil || !os.SameFile(ours, now) {
			return fault.New(fault.Busy, "%s: another copy is writing it just now", u.path.String())
		}
		if closeToRename {
			u.file.Close()
		}
		return r.Rename(part, filepath.Join(filepath.Dir(part), filepath.Base(u.name)))
	})
	if err != nil {
		return err
	}
	u.file.Close()
	u.file = nil
	return nil
}

// Close keeps the part; an empty one goes.
func (u *diskUpload) Close() error {
	if u.file == nil {
		return nil
	}
	if closeToRename {
		u.file.Close()
	}
	var err error
	if u.size == 0 || u.doomed {
		err = u.d.do(u.part, (*os.Root).Remove)
	}
	u.file.Close()
	u.file = nil
	return local(err, u.path.String())
}

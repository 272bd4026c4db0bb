package client

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sampan/fault"
	"sampan/files"
)

// diskUpload writes NAME.part, which stays there until Commit renames it. A lock on it keeps two copies to one name
// apart: without it one could publish what the other has only begun.
type diskUpload struct {
	d      *disk
	path   files.Path
	name   string
	part   string // "" if the file has no name yet
	file   *os.File
	is     fs.FileInfo // the part, to be told from what others may put there
	size   int64
	isNew  bool
	doomed bool // the part is of no use to anybody

	time    time.Time // to be the file's; zero if it is not told
	stamped bool      // it is
}

// Create is Busy while another copy writes to the same name.
func (d *disk) Create(ctx context.Context, p files.Path, w files.Want) (files.Upload, error) {
	i, err := d.Stat(ctx, p)
	switch {
	case err == nil:
	case fault.KindOf(err) == fault.NotExist:
		i.Part = -1
	default:
		return nil, err
	}
	return d.create(ctx, p, w, sight{info: i, there: err == nil && !i.PartOnly(), sure: true})
}

// create is Create for who has just looked at the name.
func (d *disk) create(ctx context.Context, p files.Path, w files.Want, seen sight) (files.Upload, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name, err := d.newName(p)
	if err != nil {
		return nil, err
	}
	mode := fs.FileMode(0o666)
	switch i := seen.info.Mode; {
	case !seen.there:
	case i.IsDir():
		return nil, fault.New(fault.IsDir, "%s: is a directory", d.show(p))
	case w.New:
		return nil, fault.New(fault.Exist, "%s: that name is taken", d.show(p))
	case !i.IsRegular():
		return nil, fault.New(fault.Unsupported, "%s: not a regular file", d.show(p))
	default:
		mode = i.Perm()
	}
	u := &diskUpload{d: d, path: p, name: name, part: partName(name), isNew: w.New}
	if !seen.there && seen.info.Part < 0 && w.From == 0 && !w.Part && w.Size >= 0 && w.Size <= smallFile && u.takeNameless(mode) {
		return u, nil
	}
	if err := u.take(w, mode); err != nil {
		return nil, local(err, d.show(p))
	}
	if err := u.keep(ctx, w); err != nil {
		u.doomed = !w.Part
		u.Close()
		return nil, err
	}
	return u, nil
}

// takeNameless opens a file that has no name before it is whole: a small one is cut so seldom, and then so soon copied anew, that a
// part of it is of no use. Nobody can come upon it, so no lock is needed.
func (u *diskUpload) takeNameless(mode fs.FileMode) bool {
	dir, base := filepath.Split(u.name)
	near, ok := u.d.nearDir(dir)
	if !ok || base == "" || u.d.named.Load() {
		return false
	}
	f, err := openNameless(near.root, mode)
	if err != nil {
		return false
	}
	u.file, u.part = f, ""
	return true
}

// take opens the part and locks it: the one that is there to go on with it, else a new one in its place. Nothing is
// written through a link that somebody may have put there.
func (u *diskUpload) take(w files.Want, mode fs.FileMode) error {
	const fresh = os.O_RDWR | os.O_CREATE | os.O_EXCL | nonblock
	if !w.Part { // mostly there is none
		if err := u.lock(fresh, mode); !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	old, err := u.d.look(u.part, (*os.Root).Lstat)
	switch {
	case errors.Is(err, fs.ErrNotExist) && w.Part:
		return fault.New(fault.BadOffset, "%s: the part is not %d bytes long", u.d.show(u.path), w.From)
	case errors.Is(err, fs.ErrNotExist):
		return u.busy()
	case err != nil:
		return err
	case !old.Mode().IsRegular():
		return fault.New(fault.Unsupported, "%s: not a regular file", u.part)
	case w.Part && old.Size() != w.From:
		return fault.New(fault.BadOffset, "%s: the part is not %d bytes long", u.d.show(u.path), w.From)
	case !w.Part && w.From > 0:
		return fault.New(fault.Busy, "%s: a part of %d bytes waits there", u.d.show(u.path), old.Size())
	}
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
	if err = u.lock(fresh, mode); errors.Is(err, fs.ErrExist) {
		return u.busy()
	}
	return err
}

// lock opens the part and makes sure that it is still the one of that name when the lock is held.
func (u *diskUpload) lock(flags int, mode fs.FileMode) error {
	f, err := u.d.openFile(u.part, flags, mode)
	if err != nil {
		return err
	}
	u.is, err = f.Stat()
	if err == nil {
		err = lockFile(f)
	}
	if err == nil {
		var now fs.FileInfo
		if now, err = u.d.look(u.part, (*os.Root).Lstat); err == nil && !os.SameFile(u.is, now) {
			err = u.busy()
		}
	}
	if errors.Is(err, errLocked) || errors.Is(err, fs.ErrNotExist) {
		err = u.busy()
	}
	if err != nil {
		f.Close()
		return err
	}
	u.file = f
	return nil
}

func (u *diskUpload) busy() error {
	return fault.New(fault.Busy, "%s: another copy is writing it just now", u.d.show(u.path))
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
		return fault.New(fault.BadOffset, "%s: there are only %d bytes", u.d.show(u.path), 0)
	}
	if err != nil {
		return err
	}
	defer src.Close()
	n, err := io.CopyN(u.file, src, w.From)
	u.size = n
	if err == io.EOF {
		return fault.New(fault.BadOffset, "%s: there are only %d bytes", u.d.show(u.path), n)
	}
	return local(err, u.d.show(u.path))
}

func (u *diskUpload) Write(p []byte) (int, error) { return u.WriteAt(p, u.size) }

// WriteAt overwrites or goes on, but leaves no hole.
func (u *diskUpload) WriteAt(p []byte, off int64) (int, error) {
	if u.file == nil {
		return 0, fault.New(fault.Internal, "the upload is over")
	}
	if off > u.size {
		return 0, fault.New(fault.Unsupported, "%s: bytes are written in order only", u.d.show(u.path))
	}
	n, err := u.file.WriteAt(p, off)
	u.size = max(u.size, off+int64(n))
	return n, local(err, u.d.show(u.path))
}

// Room grants all: the disk says itself when it is full.
func (u *diskUpload) Room(want int64) (int64, error) { return want, nil }

func (u *diskUpload) Size() int64 { return u.size }

// Commit publishes and looks at the result.
func (u *diskUpload) Commit(ctx context.Context, sure func() error) (files.Info, error) {
	if err := u.publish(ctx, sure); err != nil {
		return files.Info{}, err
	}
	i, err := u.d.look(u.name, (*os.Root).Stat)
	if err != nil {
		return files.Info{}, local(err, u.d.show(u.path))
	}
	return diskInfo(u.path, i, -1), nil
}

// publish syncs, renames and syncs the directory.
func (u *diskUpload) publish(ctx context.Context, sure func() error) error {
	if u.file == nil {
		return fault.New(fault.Internal, "the upload is over")
	}
	defer u.Close()
	if err := u.file.Sync(); err != nil {
		u.doomed = true // what is on the disk is unknown now
		return local(err, u.d.show(u.path))
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if sure != nil {
		if err := sure(); err != nil {
			return err
		}
	}
	if err := u.rename(); err != nil {
		return err
	}
	return local(u.d.syncDir(u.name), u.d.show(u.path))
}

// syncDir makes the name of a file in its directory durable.
func (d *disk) syncDir(name string) error {
	return d.do(name, func(r *os.Root, name string) error { return syncDir(r, filepath.Dir(name)) })
}

// link gives a file without a name its time and its name. What came there meanwhile is not replaced.
func (u *diskUpload) link() error {
	u.stamped = !u.time.IsZero() && setTime(u.file, u.time) == nil
	dir, base := filepath.Split(u.name)
	err := error(os.ErrClosed)
	for try := 0; try < 3 && errors.Is(err, os.ErrClosed); try++ { // what is open may be closed just now
		near, ok := u.d.nearDir(dir)
		if !ok {
			return fault.New(fault.NotExist, "%s: no such file or directory", u.d.show(u.path))
		}
		err = giveName(u.file, near.self, base)
	}
	switch {
	case err == nil:
		u.file.Close()
		u.file = nil
		return nil
	case errors.Is(err, fs.ErrExist) && u.isNew:
		return fault.New(fault.Exist, "%s: that name is taken", u.d.show(u.path))
	case !errors.Is(err, fs.ErrExist):
		u.d.named.Store(true) // the next try does without
	}
	return u.busy()
}

// rename gives the part its time and its name, if it still is the file that was written.
func (u *diskUpload) rename() error {
	if u.part == "" {
		return u.link()
	}
	if u.isNew {
		if _, err := u.d.look(u.name, (*os.Root).Lstat); err == nil {
			return fault.New(fault.Exist, "%s: that name is taken", u.d.show(u.path))
		}
	}
	err := u.d.do(u.part, func(r *os.Root, part string) error {
		if now, err := r.Lstat(part); err != nil || !os.SameFile(u.is, now) {
			return u.busy()
		}
		u.stamped = !u.time.IsZero() && r.Chtimes(part, u.time, u.time) == nil
		if closeToRename {
			u.file.Close()
		}
		return r.Rename(part, filepath.Join(filepath.Dir(part), filepath.Base(u.name)))
	})
	if err != nil {
		return local(err, u.d.show(u.path))
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
	if u.part != "" && (u.size == 0 || u.doomed) {
		err = u.d.do(u.part, (*os.Root).Remove)
	}
	u.file.Close()
	u.file = nil
	return local(err, u.d.show(u.path))
}

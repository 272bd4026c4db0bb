package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"sampan/fault"
	"sampan/files"
)

// partSuffix is what the name of an unfinished download ends with.
const partSuffix = ".part"

// partName is the name of the part of a file. A name that is too long for the suffix is shortened, with a hash of the
// whole so that no two meet.
func partName(name string) string {
	dir, base := filepath.Split(name)
	if len(base)+len(partSuffix) > 255 {
		sum := sha256.Sum256([]byte(base))
		head := base[:200]
		for !utf8.ValidString(head) && len(head) > 196 {
			head = head[:len(head)-1]
		}
		base = head + "~" + hex.EncodeToString(sum[:8])
	}
	return dir + base + partSuffix
}

// Disk is a Store over a directory of this machine, with NAME.part files and a rename at commit. It is a Parter and a
// Summer, and an io.Closer. It has one owner, so parts are listed like the files that they are. Its errors are Local
// where this machine is to blame. Links that lead out of dir are not followed.
func Disk(dir string) (files.Store, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, local(err, dir)
	}
	return &disk{root: root, dir: dir}, nil
}

// Disks remembers the Disks that it opened: names in one directory have one. The zero value has none.
type Disks struct{ open map[string]*disk }

// On returns the Disk and the Path of a name that the user typed, relative to the working directory or absolute.
// The parent directory must exist; a link is followed.
func (ds *Disks) On(name string) (files.Store, files.Path, error) {
	full, err := filepath.Abs(name)
	if err != nil {
		return nil, files.Path{}, local(err, name)
	}
	if real, err := filepath.EvalSymlinks(full); err == nil {
		full = real
	}
	dir, base := filepath.Dir(full), filepath.Base(full)
	if dir == full { // the root of the file system, or of a volume
		s, err := Disk(dir)
		return s, files.Root, err
	}
	p, err := files.Root.Join(base)
	if err != nil {
		return nil, p, err
	}
	if d := ds.open[dir]; d != nil {
		return d, p, nil
	}
	if i, err := os.Stat(dir); err == nil && !i.IsDir() {
		return nil, p, fault.New(fault.NotDir, "%s: not a directory", dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, p, local(err, filepath.Dir(name))
	}
	d := &disk{root: root, dir: filepath.Dir(name)}
	if ds.open == nil {
		ds.open = map[string]*disk{}
	}
	ds.open[dir] = d
	return d, p, nil
}

type disk struct {
	root  *os.Root
	dir   string // as the user writes it
	dirs  nearDirs
	named atomic.Bool // every file has a name from the beginning
}

func (d *disk) Close() error {
	d.dirs.forget()
	return d.root.Close()
}

// local classes an error of this machine's disk: what is wrong with the name stays as it is, the rest is Local.
func local(err error, name string) error {
	if err == nil {
		return nil
	}
	var f *fault.Error
	if errors.As(err, &f) {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	switch fault.KindOf(fault.From(err, name)) {
	case fault.NotExist, fault.Exist, fault.NotDir, fault.IsDir, fault.NotEmpty, fault.BadName:
		return fault.From(err, name)
	}
	reason := err
	for inner := errors.Unwrap(reason); inner != nil; inner = errors.Unwrap(reason) {
		reason = inner
	}
	return fault.Wrap(fault.Local, err, "%s: this machine says: %s", name, reason.Error())
}

// show is p as the user would write it.
func (d *disk) show(p files.Path) string { return filepath.Join(d.dir, filepath.FromSlash(p.Rel())) }

// name is p as this system can have it.
func (d *disk) name(p files.Path) (string, error) {
	if p.IsRoot() {
		return ".", nil
	}
	elems := strings.Split(p.Rel(), "/")
	for i, e := range elems {
		s, err := localName(runtime.GOOS, e)
		if err != nil {
			return "", err
		}
		elems[i] = s
	}
	return filepath.Join(elems...), nil
}

func (d *disk) Stat(ctx context.Context, p files.Path) (files.Info, error) {
	if err := ctx.Err(); err != nil {
		return files.Info{}, err
	}
	name, err := d.name(p)
	if err != nil {
		return files.Info{}, err
	}
	part := int64(-1)
	if !p.IsRoot() {
		if i, err := d.look(partName(name), (*os.Root).Lstat); err == nil && i.Mode().IsRegular() {
			part = i.Size()
		}
	}
	i, err := d.look(name, (*os.Root).Stat)
	if errors.Is(err, fs.ErrNotExist) && part >= 0 {
		i, err := d.look(partName(name), (*os.Root).Stat)
		if err != nil {
			return files.Info{}, local(err, d.show(p))
		}
		return files.Info{Path: p, Size: part, ModTime: i.ModTime(), Mode: fs.ModeIrregular, Part: part}, nil
	}
	if err != nil {
		return files.Info{}, local(err, d.show(p))
	}
	return diskInfo(p, i, part), nil
}

// file is Stat without a look for a part.
func (d *disk) file(p files.Path) (files.Info, error) {
	name, err := d.name(p)
	if err != nil {
		return files.Info{}, err
	}
	i, err := d.look(name, (*os.Root).Stat)
	if err != nil {
		return files.Info{}, local(err, d.show(p))
	}
	return diskInfo(p, i, -1), nil
}

func diskInfo(p files.Path, i fs.FileInfo, part int64) files.Info {
	size := i.Size()
	if i.IsDir() {
		size = 0
	}
	return files.Info{
		Path: p, Size: size, ModTime: i.ModTime(), Mode: i.Mode() & (fs.ModeType | fs.ModePerm), Part: part,
		Tag: fmt.Sprintf("%d-%d", i.Size(), i.ModTime().UnixNano()),
	}
}

// List yields links as links; what they lead to is for Stat. A name that no Path can have is an error behind all others.
func (d *disk) List(ctx context.Context, p files.Path) iter.Seq2[files.Info, error] {
	return func(yield func(files.Info, error) bool) {
		if err := d.list(ctx, p, func(i files.Info) bool { return yield(i, nil) }); err != nil {
			yield(files.Info{}, err)
		}
	}
}

func (d *disk) list(ctx context.Context, p files.Path, yield func(files.Info) bool) error {
	name, err := d.name(p)
	if err != nil {
		return err
	}
	i, err := d.root.Stat(name)
	if err != nil {
		return local(err, d.show(p))
	}
	if !i.IsDir() {
		return fault.New(fault.NotDir, "%s: not a directory", d.show(p))
	}
	dir, err := d.root.Open(name)
	if err != nil {
		return local(err, d.show(p))
	}
	defer dir.Close()
	var odd error
	for {
		entries, err := dir.ReadDir(256)
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				return err
			}
			q, err := p.Join(e.Name())
			if err != nil {
				if odd == nil && e.Name() != files.Hidden {
					odd = fault.Wrap(fault.BadName, err, "%s holds a name that cannot be used: %s", d.show(p), e.Name())
				}
				continue
			}
			i, err := e.Info()
			if err != nil || !i.Mode().IsRegular() && !i.IsDir() && i.Mode()&fs.ModeSymlink == 0 {
				continue // gone meanwhile, or a device
			}
			if !yield(diskInfo(q, i, -1)) {
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return odd
		}
		if err != nil {
			return local(err, d.show(p))
		}
	}
}

// open opens a regular file, without waiting for the other end of a pipe.
func (d *disk) open(p files.Path, part bool) (*os.File, fs.FileInfo, error) {
	name, err := d.name(p)
	if err != nil {
		return nil, nil, err
	}
	if part {
		name = partName(name)
	}
	f, err := d.openFile(name, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, nil, local(err, d.show(p))
	}
	i, err := f.Stat()
	switch {
	case err != nil:
		err = local(err, d.show(p))
	case i.IsDir():
		err = fault.New(fault.IsDir, "%s: is a directory", d.show(p))
	case !i.Mode().IsRegular():
		err = fault.New(fault.Unsupported, "%s: not a regular file", d.show(p))
	default:
		return f, i, nil
	}
	f.Close()
	return nil, nil, err
}

func (d *disk) Open(ctx context.Context, p files.Path, off int64) (io.ReadCloser, files.Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, files.Info{}, err
	}
	f, i, err := d.open(p, false)
	if err != nil {
		return nil, files.Info{}, err
	}
	if off < 0 || off > i.Size() {
		f.Close()
		return nil, files.Info{}, fault.New(fault.BadOffset, "%s: there are only %d bytes", d.show(p), i.Size())
	}
	if off > 0 {
		if _, err := f.Seek(off, io.SeekStart); err != nil {
			f.Close()
			return nil, files.Info{}, local(err, d.show(p))
		}
	}
	return f, diskInfo(p, i, -1), nil
}

func (d *disk) Mkdir(ctx context.Context, p files.Path) error {
	if p.IsRoot() {
		return fault.New(fault.Exist, "%s: that name is taken", d.show(p))
	}
	name, err := d.newName(p)
	if err != nil {
		return err
	}
	return local(d.do(name, func(r *os.Root, name string) error { return r.Mkdir(name, 0o777) }), d.show(p))
}

// newName is name for what is about to be made: on systems that do not tell capitals from small letters a name that
// is there already, written otherwise, is refused.
func (d *disk) newName(p files.Path) (string, error) {
	if err := p.CheckNew(); err != nil {
		return "", err
	}
	name, err := d.name(p)
	if err != nil || !foldsCase(runtime.GOOS) {
		return name, err
	}
	if _, err := d.root.Lstat(name); err != nil {
		return name, nil
	}
	parent, err := d.root.Open(filepath.Dir(name))
	if err != nil {
		return "", local(err, d.show(p))
	}
	defer parent.Close()
	names, err := parent.Readdirnames(-1)
	if err != nil {
		return "", local(err, d.show(p))
	}
	if twin := caseTwin(filepath.Base(name), names); twin != "" {
		return "", fault.New(fault.BadName, "%s: this machine takes it for the same name as %s", d.show(p), twin)
	}
	return name, nil
}

func (d *disk) Remove(ctx context.Context, p files.Path) error {
	name, err := d.name(p)
	if err != nil {
		return err
	}
	if p.IsRoot() {
		return fault.New(fault.BadName, "the root cannot be replaced")
	}
	i, err := d.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return local(d.root.Remove(partName(name)), d.show(p))
	}
	if err == nil {
		if !i.Mode().IsRegular() {
			d.dirs.forget() // Windows removes nothing that is open
			defer d.dirs.forget()
		}
		err = d.root.Remove(name)
	}
	if err == nil && i.Mode().IsRegular() {
		err = d.dropPart(name)
	}
	return local(err, d.show(p))
}

func (d *disk) Rename(ctx context.Context, from, to files.Path, replace bool) error {
	if from.IsRoot() {
		return fault.New(fault.BadName, "the root cannot be replaced")
	}
	old, err := d.name(from)
	if err != nil {
		return err
	}
	name, err := d.newName(to)
	if err != nil {
		return err
	}
	source, err := d.root.Lstat(old)
	if err != nil {
		return local(err, d.show(from))
	}
	if target, err := d.root.Lstat(name); err == nil && (!replace || target.IsDir() || source.IsDir()) {
		return fault.New(fault.Exist, "%s: that name is taken", d.show(to))
	}
	if from == to {
		return nil
	}
	if !source.Mode().IsRegular() {
		d.dirs.forget() // Windows moves nothing that is open
		defer d.dirs.forget()
	}
	err = d.root.Rename(old, name)
	if err == nil && source.Mode().IsRegular() {
		err = errors.Join(d.dropPart(old), d.dropPart(name))
	}
	return local(err, d.show(to))
}

func (d *disk) Set(ctx context.Context, p files.Path, a files.Attr) error {
	name, err := d.name(p)
	if err != nil {
		return err
	}
	if a.ModTime != nil {
		set := func(r *os.Root, name string) error { return r.Chtimes(name, *a.ModTime, *a.ModTime) }
		if err := d.do(name, set); err != nil {
			return local(err, d.show(p))
		}
	}
	if a.Mode != nil {
		if err := d.root.Chmod(name, *a.Mode&fs.ModePerm); err != nil {
			return local(err, d.show(p))
		}
	}
	return nil
}

// Part describes NAME.part.
func (d *disk) Part(ctx context.Context, p files.Path) (files.PartInfo, error) {
	h := sha256.New()
	n, i, err := d.feed(ctx, p, true, 0, -1, h)
	if fault.KindOf(err) == fault.NotExist && err != nil {
		return files.PartInfo{}, fault.New(fault.NotExist, "%s: no part is kept there", d.show(p))
	}
	if err != nil {
		return files.PartInfo{}, err
	}
	return files.PartInfo{Size: n, Sum: h.Sum(nil), Time: i.ModTime()}, nil
}

func (d *disk) DropPart(ctx context.Context, p files.Path) error {
	name, err := d.name(p)
	if err != nil {
		return err
	}
	return local(d.root.Remove(partName(name)), d.show(p))
}

// dropPart removes a part that may be there.
func (d *disk) dropPart(name string) error {
	if err := d.root.Remove(partName(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Sum hashes a range of a file.
func (d *disk) Sum(ctx context.Context, p files.Path, algo string, off, n int64) ([]byte, error) {
	if algo != "SHA-256" {
		return nil, fault.New(fault.Unsupported, "%s is not computed here", algo)
	}
	h := sha256.New()
	if _, _, err := d.feed(ctx, p, false, off, n, h); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}

// feed reads n bytes (all if -1) of a file, or of its part, into h.
func (d *disk) feed(ctx context.Context, p files.Path, part bool, off, n int64, h hash.Hash) (int64, fs.FileInfo, error) {
	f, i, err := d.open(p, part)
	if err != nil {
		return 0, nil, err
	}
	defer f.Close()
	if n < 0 {
		n = i.Size() - off
	}
	if off < 0 || n < 0 || off > i.Size() || n > i.Size()-off {
		return 0, nil, fault.New(fault.BadOffset, "%s: there are only %d bytes", d.show(p), i.Size())
	}
	stop := context.AfterFunc(ctx, func() { f.Close() })
	defer stop()
	got, err := io.CopyBuffer(struct{ io.Writer }{h}, io.NewSectionReader(f, off, n), make([]byte, 256<<10))
	switch {
	case ctx.Err() != nil:
		return 0, nil, ctx.Err()
	case err != nil:
		return 0, nil, local(err, d.show(p))
	case got != n:
		return 0, nil, fault.New(fault.BadOffset, "%s: there are only %d bytes", d.show(p), off+got)
	}
	return n, i, nil
}

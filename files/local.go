package files

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"sampan/fault"
)

// Local is a home's Store for one owner; see Home.As.
//
// Every name goes through os.Root, and what changes names takes one element in a directory that was opened so. Links
// are followed inside the home and never out of it; a name that is a link is replaced, renamed and removed as a link.
type Local struct {
	home  *Home
	owner string
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

func taken(p Path) error { return fault.New(fault.Exist, "%s: that name is taken", p) }

// info turns what the disk says into what a Store says.
func (n node) info(p Path) Info {
	i := Info{Path: p, Size: n.size, ModTime: time.Unix(0, n.mtime), Mode: n.mode, Part: -1}
	if n.mode.IsDir() {
		i.Size = 0
	}
	var tag [80]byte
	b := strconv.AppendUint(tag[:0], n.id.ino, 32) // a base that needs no division
	b = strconv.AppendInt(append(b, '-'), n.size, 32)
	b = strconv.AppendInt(append(b, '-'), n.mtime, 32)
	b = strconv.AppendInt(append(b, '-'), n.ctime, 32)
	i.Tag = string(b)
	return i
}

// begin enters the home, and returns p as the home has it; the operation ends with home.leave.
func (l *Local) begin(ctx context.Context, p Path) (Path, error) {
	if ctx.Err() != nil {
		return p, classify(context.Cause(ctx), p)
	}
	if err := checkSystem(runtime.GOOS, p); err != nil {
		return p, err
	}
	if err := l.home.enter(); err != nil {
		return p, err
	}
	return l.spelled(p), nil
}

// partOf returns the size of the asker's part of p, -1 if none.
func (l *Local) partOf(p Path) int64 {
	l.home.mu.Lock()
	defer l.home.mu.Unlock()
	if e := l.home.parts.get(owned{l.owner, p}); e != nil {
		return e.size
	}
	return -1
}

// find opens what p names, a regular file or a directory, links followed.
func (h *Home) find(p Path) (*os.File, node, error) {
	f, err := h.open(p)
	if errors.Is(err, errLink) {
		var to Path
		if to, err = h.follow(p); err == nil {
			f, err = h.open(to)
		}
	}
	if err != nil {
		if unopenable(err) || errors.Is(err, errLink) {
			err = notThere(p)
		}
		return nil, node{}, classify(err, p)
	}
	n, err := fileNode(f)
	if err == nil && (!n.mode.IsRegular() && !n.mode.IsDir() || h.isOwn(n.id)) {
		err = notThere(p)
	}
	if err != nil {
		f.Close()
		return nil, node{}, classify(err, p)
	}
	return f, n, nil
}

// open opens what p names for reading; errLink if that is a link.
func (h *Home) open(p Path) (*os.File, error) {
	if p.IsRoot() {
		return h.root.OpenFile(p.Rel(), openFileFlags, 0)
	}
	if h.dirs.keeps(p.Dir()) { // so it is not one of our own
		if f := h.top.readBelow(p); f != nil {
			return f, nil
		}
	}
	d, err := h.parent(p.Dir())
	if err != nil {
		return nil, err
	}
	defer d.close()
	return d.read(p.Base())
}

// look describes what p names, links followed, without opening it.
func (h *Home) look(p Path) (node, error) {
	n, err := h.lstat(p)
	if err == nil && n.mode&fs.ModeSymlink != 0 {
		var to Path
		if to, err = h.follow(p); err == nil {
			n, err = h.lstat(to)
		}
	}
	if err != nil {
		return node{}, classify(err, p)
	}
	if !n.mode.IsRegular() && !n.mode.IsDir() || h.isOwn(n.id) {
		return node{}, notThere(p)
	}
	return n, nil
}

// lstat describes what p names.
func (h *Home) lstat(p Path) (node, error) {
	if p.IsRoot() {
		return fileNode(h.top.f)
	}
	d, err := h.parent(p.Dir())
	if err != nil {
		return node{}, err
	}
	defer d.close()
	return d.lstat(p.Base())
}

// Stat implements Store.
func (l *Local) Stat(ctx context.Context, p Path) (Info, error) {
	p, err := l.begin(ctx, p)
	if err != nil {
		return Info{}, err
	}
	defer l.home.leave()
	n, err := l.home.look(p)
	if err == nil {
		i := n.info(p)
		i.Part = l.partOf(p)
		return i, nil
	}
	l.home.mu.Lock()
	defer l.home.mu.Unlock()
	if e := l.home.parts.get(owned{l.owner, p}); e != nil && fault.KindOf(err) == fault.NotExist {
		return Info{Path: p, Size: e.size, ModTime: e.time, Mode: fs.ModeIrregular | 0o600, Part: e.size}, nil
	}
	return Info{}, err
}

// List implements Store. It holds two batches of entries at a time: one is described while the other is told.
func (l *Local) List(ctx context.Context, p Path) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		p, err := l.begin(ctx, p)
		if err != nil {
			yield(Info{}, err)
			return
		}
		d, err := l.home.openDir(p)
		l.home.leave() // who reads the list may be slow; the open directory is enough
		if err != nil {
			yield(Info{}, err)
			return
		}
		defer d.close()
		var now, next described
		ready := make(chan struct{})
		for now.read(d); ; now, next = next, now {
			more := now.err == nil
			if more {
				go func() {
					next.read(d)
					ready <- struct{}{}
				}()
			}
			goesOn := l.tell(d, now, yield)
			if more {
				<-ready
			}
			if !goesOn {
				return
			}
			if err := now.err; err != nil || ctx.Err() != nil {
				if err == nil {
					err = context.Cause(ctx)
				}
				if err = endOfDir(err, p); err != nil {
					yield(Info{}, err)
				}
				return
			}
		}
	}
}

// described is a batch of a directory's names.
type described struct {
	names []string
	nodes []node
	err   error // behind them
}

// read fills b with what comes next in d.
func (b *described) read(d *dir) {
	if b.nodes == nil {
		b.nodes = make([]node, 1024)
	}
	b.names, b.err = d.f.Readdirnames(len(b.nodes))
	if b.err == nil && len(b.names) < len(b.nodes) {
		b.err = io.EOF
	}
	half := len(b.names) / 2
	if half < 64 {
		d.lstats(b.names, b.nodes)
		return
	}
	var other sync.WaitGroup
	other.Go(func() { d.lstats(b.names[:half], b.nodes) })
	d.lstats(b.names[half:], b.nodes[half:])
	other.Wait()
}

// tell yields the entries of b, and reports whether more are wanted.
func (l *Local) tell(d *dir, b described, yield func(Info, error) bool) bool {
	parts := l.hasParts()
	for n, name := range b.names {
		if i, ok := l.entry(d, name, b.nodes[n]); ok {
			if parts {
				i.Part = l.partOf(i.Path)
			}
			if !yield(i, nil) {
				return false
			}
		}
	}
	return true
}

// hasParts reports whether partOf can find anything.
func (l *Local) hasParts() bool {
	l.home.mu.Lock()
	defer l.home.mu.Unlock()
	return len(l.home.parts) > 0
}

// entry describes one entry of d, but for its part; false for what is not to be seen: ours, neither file nor
// directory, a link that leads nowhere or out, a name that no protocol could carry, or what went meanwhile.
func (l *Local) entry(d *dir, name string, n node) (Info, bool) {
	if !d.path.mayHold(name) {
		return Info{}, false
	}
	p := d.path.below(name)
	if n.mode&fs.ModeSymlink != 0 {
		var err error
		if n, err = l.home.look(p); err != nil {
			return Info{}, false
		}
	}
	if !n.mode.IsRegular() && !n.mode.IsDir() || l.home.isOwn(n.id) {
		return Info{}, false
	}
	return n.info(p), true
}

// Open implements Store; the reader is an *os.File.
func (l *Local) Open(ctx context.Context, p Path, off int64) (io.ReadCloser, Info, error) {
	p, err := l.begin(ctx, p)
	if err != nil {
		return nil, Info{}, err
	}
	defer l.home.leave()
	f, n, err := l.openFile(p)
	if err != nil {
		return nil, Info{}, err
	}
	if off < 0 || off > n.size {
		err = beyond(p, off, n.size)
	} else if off > 0 {
		_, err = f.Seek(off, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, Info{}, classify(err, p)
	}
	i := n.info(p)
	i.Part = l.partOf(p)
	return f, i, nil
}

func beyond(p Path, off, size int64) error {
	return fault.New(fault.BadOffset, "%s: %d is not within its %d bytes", p, off, size)
}

func (l *Local) openFile(p Path) (*os.File, node, error) {
	f, n, err := l.home.find(p)
	if err == nil && n.mode.IsDir() {
		f.Close()
		return nil, node{}, fault.New(fault.IsDir, "%s: is a directory", p)
	}
	return f, n, err
}

// Create implements Store. The part under the name, when the upload starts from 0, goes with the first byte that comes,
// so that an upload that never gets a byte costs nothing.
func (l *Local) Create(ctx context.Context, p Path, w Want) (Upload, error) {
	if err := p.CheckNew(); err != nil {
		return nil, err
	}
	p, err := l.begin(ctx, p)
	if err != nil {
		return nil, err
	}
	defer l.home.leave()
	vacant, err := l.mayCreate(p, w)
	if err != nil {
		return nil, err
	}
	if w.Part {
		return l.resume(p, w)
	}
	e, err := l.home.begin(l.owner, p, w.From)
	if err != nil {
		return nil, classify(err, p)
	}
	u := &upload{h: l.home, e: e, want: w, vacant: vacant}
	u.tally.must, u.tally.least = w.Sum, l.home.sums.least
	if w.New && !l.home.claim(e) {
		l.home.forget(e)
		return nil, taken(p)
	}
	err = l.home.stepped("create", true, func() (err error) {
		u.f, err = l.home.stage.open(e.name(), os.O_RDWR|os.O_CREATE|os.O_EXCL)
		return err
	})
	if err != nil {
		l.home.forget(e)
		return nil, classify(err, p)
	}
	u.tally.again = u.f
	if w.From > 0 || w.All {
		if err := l.copyHead(ctx, u, p, w.From); err != nil {
			if serr := u.seal(); serr == nil {
				_ = u.lost(err)
			}
			return nil, err
		}
	}
	return u, nil
}

// mayCreate refuses what cannot become a file: a directory, a name that is not new, another disk, an announced size that
// has no room. It tells whether nothing has the name.
func (l *Local) mayCreate(p Path, w Want) (vacant bool, err error) {
	h := l.home
	d, err := h.parent(p.Dir())
	if err != nil {
		return false, err
	}
	defer d.close()
	if d.id.dev != h.stage.id.dev {
		return false, fault.New(fault.Unsupported, "%s: another disk is mounted there", d.path)
	}
	n, err := d.lstat(p.Base())
	vacant = missing(err)
	switch {
	case err != nil && !vacant:
		return false, classify(err, p)
	case err == nil && n.mode.IsDir():
		return false, fault.New(fault.IsDir, "%s: is a directory", p)
	case err == nil && (w.New || n.mode&fs.ModeIrregular != 0):
		return false, taken(p)
	}
	if w.From < 0 {
		return false, beyond(p, w.From, n.counts())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if w.New && h.fresh[p] != nil {
		return false, taken(p)
	}
	part := h.parts.get(owned{l.owner, p})
	if w.From > 0 && !w.Part && part != nil {
		return false, parkedThere(p, part.size)
	}
	need := w.Size
	if w.Part {
		need -= w.From
	} else if part != nil {
		need -= part.size
	}
	if missing := need - (h.quota - h.used + h.slack); w.Size >= 0 && h.quota >= 0 && need > 0 && missing > 0 {
		return false, overQuota(h.quota, missing)
	}
	return vacant, nil
}

// claim holds e's name against others who want it new.
func (h *Home) claim(e *entry) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fresh[e.path] != nil {
		return false
	}
	h.fresh[e.path] = e
	return true
}

// resume continues a part.
func (l *Local) resume(p Path, w Want) (Upload, error) {
	e, f, err := l.home.resume(owned{l.owner, p}, w.From)
	if err != nil {
		return nil, err
	}
	u := &upload{h: l.home, e: e, f: f, want: w, end: w.From}
	if file, err := fileNode(f); err == nil {
		l.home.restore(&u.tally, e, file)
	}
	u.tally.must = w.Sum
	u.filled.add(0, w.From)
	if w.New && !l.home.claim(e) {
		return nil, errors.Join(taken(p), u.Close())
	}
	return u, nil
}

// copyHead fills the stage with the first n bytes of the file; the kernel copies, or shares the blocks where the file
// system can.
func (l *Local) copyHead(ctx context.Context, u *upload, p Path, n int64) error {
	src, was, err := l.openFile(p)
	if gone := err != nil && fault.KindOf(err) == fault.NotExist; gone && n == 0 {
		return nil
	} else if gone {
		err = beyond(p, n, 0)
	}
	if err != nil {
		return err
	}
	defer src.Close()
	switch {
	case n > was.size:
		return beyond(p, n, was.size)
	case u.want.All && n < was.size:
		return changedMeanwhile(p)
	}
	u.head = was
	u.mu.Lock()
	_, err = u.grant(n, n)
	u.mu.Unlock()
	for left := n; err == nil && left > 0; {
		var m int64
		if m, err = u.ReadFrom(&io.LimitedReader{R: src, N: min(left, 64<<20)}); m == 0 && err == nil {
			err = beyond(p, n, n-left) // it was cut meanwhile, past us
		}
		if left -= m; err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}
	return classify(err, p)
}

// Set implements Store.
func (l *Local) Set(ctx context.Context, p Path, a Attr) error {
	p, err := l.begin(ctx, p)
	if err != nil {
		return err
	}
	defer l.home.leave()
	before, err := l.home.look(p)
	if err == nil {
		err = a.check(p)
	}
	if err != nil {
		return err
	}
	if a.Mode != nil {
		if err := l.home.root.Chmod(p.Rel(), a.mode(before.mode.IsDir())); err != nil {
			return classify(err, p)
		}
	}
	if a.ModTime != nil {
		if err := l.home.root.Chtimes(p.Rel(), time.Time{}, *a.ModTime); err != nil {
			return classify(err, p)
		}
	}
	if after, err := l.home.look(p); err == nil {
		l.home.sums.moved(before, after, a.ModTime != nil)
	}
	return nil
}

// Space implements Spacer.
func (l *Local) Space(ctx context.Context) (Space, error) { return l.home.Space(ctx) }

package files

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"sampan/fault"
)

// upload is a stage: a file of ours that grows under HOME/.sampan/stage. Its size never passes what is reserved.
type upload struct {
	h    *Home
	e    *entry
	f    *os.File
	want Want
	head node // the file whose head was copied, if any

	tally tally
	sum   []byte // SHA-256 of what was published, if it was taken

	stale  atomic.Bool // it is no longer that file
	vacant bool        // nothing had the name when it began

	mu      sync.Mutex // guards what follows, is not held while bytes move
	end     int64      // size of the stage
	granted int64      // reserved behind its end
	pos     int64      // where the file's offset stands
	unsure  bool       // a write failed: the stage may be smaller
	spent   bool       // the disk was full
	mtime   int64      // as measure saw it
	filled  spans
	attr    Attr  // what Set said
	altered bool  // it was changed within what it kept of the file
	random  bool  // the ledger knows that it is written out of order
	told    int64 // and of so many bytes before the first gap
	full    bool  // the quota refused the last bytes that were asked for
	tried   bool  // Commit was called
	sealed  bool  // by a Commit under way
	over    bool  // committed, parked or dropped
	flying  sync.WaitGroup
}

func ended() error { return fault.New(fault.Stopped, "the upload has ended") }

// Room implements Upload. When there is none it also returns the OverQuota error that says how many bytes are missing.
func (u *upload) Room(want int64) (int64, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if left := u.want.Size - u.end; left > 0 {
		want = min(want, left)
	}
	return u.grant(min(want, 1), want)
}

// grant makes sure that at least least and at best want bytes may be written behind its end. u.mu is held.
func (u *upload) grant(least, want int64) (int64, error) {
	if u.over || u.sealed {
		return 0, ended()
	}
	if want <= u.granted {
		return want, nil
	}
	got, missing := u.h.reserve(max(0, least-u.granted), want-u.granted)
	if missing > 0 && u.dropPart() {
		got, missing = u.h.reserve(least-u.granted, want-u.granted)
	}
	if u.full = missing > 0; u.full {
		if u.want.Size > u.end+u.granted {
			missing = max(missing, u.want.Size-u.end-u.granted)
		}
		return 0, overQuota(u.h.limit(), missing)
	}
	u.granted += got
	return u.granted, nil
}

// dropPart removes the older part under the same name, which an upload from 0 gives up.
func (u *upload) dropPart() bool {
	if u.want.From > 0 {
		return false
	}
	u.h.mu.Lock()
	k := u.e.key()
	u.h.mu.Unlock()
	old := u.h.takePart(k)
	return old != nil && u.h.discard(u.h.part, old) == nil
}

// grew notes n bytes written behind its end, and err that came behind them.
func (u *upload) grew(n int64, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.failed(err)
	u.h.wrote(n)
	if u.end == u.want.From && n > 0 {
		u.dropPart()
	}
	u.filled.add(u.end, u.end+n)
	u.granted -= n
	u.end += n
	u.pos = u.end
}

// failed notes the error of a write, if there is one. u.mu is held.
func (u *upload) failed(err error) {
	u.unsure = u.unsure || err != nil
	u.spent = u.spent || err != nil && fault.KindOf(classify(err, Root)) == fault.NoSpace
}

// ready puts the file's offset at the end, off, and makes sure of room.
func (u *upload) ready(least, want int64) (off, n int64, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	n, err = u.grant(least, want)
	if err == nil && u.pos != u.end {
		_, err = u.f.Seek(u.end, io.SeekStart)
		u.pos = u.end
	}
	return u.end, min(n, want), err
}

// Write appends b; all of it or nothing, as far as the quota is concerned.
func (u *upload) Write(b []byte) (int, error) {
	off, _, err := u.ready(int64(len(b)), int64(len(b)))
	if err == nil {
		err = u.h.step("write")
	}
	if err != nil {
		return 0, err
	}
	n, err := u.f.Write(b)
	u.tally.add(off, b[:n])
	u.grew(int64(n), err)
	return n, u.classify(err)
}

// ReadFrom appends what src has until EOF, or as much as an *io.LimitedReader says. The kernel moves the bytes where it
// can: from sockets and files. What was granted and is not needed in the end is given back.
func (u *upload) ReadFrom(src io.Reader) (done int64, err error) {
	defer u.unreserve()
	limited, _ := src.(*io.LimitedReader)
	if limited != nil {
		src = limited.R
	}
	for {
		want := int64(1 << 20)
		if limited != nil {
			if want = min(limited.N, 1<<30); want <= 0 {
				return done, nil
			}
		}
		off, n, err := u.ready(1, want)
		if fault.KindOf(err) == fault.OverQuota && err != nil {
			return done, drained(src, err)
		}
		if err == nil {
			err = u.h.step("write")
		}
		if err != nil {
			return done, err
		}
		m, err := u.copy(src, off, n)
		u.grew(m, err)
		done += m
		if limited != nil {
			limited.N -= m
		}
		if err != nil || m < n {
			return done, u.blame(err)
		}
	}
}

// blame makes an error of a copy ours if no source can have it: a full disk. Any other one stays what it is.
func (u *upload) blame(err error) error {
	if ours := u.classify(err); err != nil && fault.KindOf(ours) == fault.NoSpace {
		return ours
	}
	return err
}

// copy appends up to n bytes at off. What passes through our hands is hashed, but for the beginning of what the kernel will
// move.
func (u *upload) copy(src io.Reader, off, n int64) (done int64, err error) {
	limited := &io.LimitedReader{R: src, N: n}
	if _, ok := src.(syscall.Conn); ok {
		return u.f.ReadFrom(limited)
	}
	if _, ok := src.(Veiled); ok && !u.tally.must {
		return copyBuffered(u.f, limited, nil)
	}
	return copyBuffered(u.f, limited, func(buf *buffer, n int) *buffer {
		at := off
		off += int64(n)
		return u.tally.hand(at, buf, n)
	})
}

// unreserve gives back what was granted and not written.
func (u *upload) unreserve() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.h.giveBack(u.granted)
	u.granted = 0
}

// WriteAt writes b at off; bytes of a gap that it leaves count as written.
func (u *upload) WriteAt(b []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(b)) < off {
		return 0, badOffset(off)
	}
	if len(b) == 0 {
		return 0, nil
	}
	next, err := u.makeRoom(off, off+int64(len(b)))
	if err != nil {
		return 0, err
	}
	defer u.flying.Done()
	if !next {
		u.tally.spoil(off)
	}
	n := 0
	if err = u.h.step("write"); err == nil {
		n, err = u.f.WriteAt(b, off)
	}
	if next {
		u.tally.offer(off, b[:n])
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.filled.add(off, off+int64(n))
	u.failed(err)
	if u.random && !u.altered && u.filled.whole()-u.told >= tellEvery {
		_ = u.tell() // if it fails, what is known already stays known
	}
	return n, u.classify(err)
}

// makeRoom reserves for bytes from a to b, and starts to count their writer among those who fly. next tells that they are those
// behind the end, where nobody else writes first.
func (u *upload) makeRoom(a, b int64) (next bool, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	grow := max(0, b-u.end)
	if _, err := u.grant(grow, grow); err != nil {
		return false, err
	}
	if err := u.changes(a); err != nil {
		return false, u.classify(err)
	}
	next = a == u.end
	if u.end == 0 {
		u.dropPart()
	}
	u.h.wrote(grow)
	u.granted -= grow
	u.end += grow
	u.flying.Add(1)
	return next, nil
}

// setRandom tells the ledger that after a crash nobody will know the gaps of e behind whole.
func (h *Home) setRandom(e *entry, whole int64) error {
	h.mu.Lock()
	e.random, e.whole = true, whole
	h.mu.Unlock()
	return h.record(sealRandom(nil, e.id, whole))
}

// Size implements Upload.
func (u *upload) Size() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.filled.whole()
}

// Sum implements Hashed.
func (u *upload) Sum() []byte { return u.sum }

func (u *upload) classify(err error) error {
	if err == nil {
		return nil
	}
	u.h.mu.Lock()
	p := u.e.path
	u.h.mu.Unlock()
	return classify(err, p)
}

// Close implements Upload. An upload that the quota or a full disk refused is not parked but for the part that it began with: it would
// only keep the home full.
func (u *upload) Close() error {
	if err := u.h.enter(); err != nil {
		u.f.Close() // the next OpenHome parks it
		return err
	}
	defer u.h.leave()
	u.flying.Wait()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over {
		return nil
	}
	u.over = true
	u.measure()
	size := u.want.parks(min(u.filled.whole(), u.end), (u.full || u.spent) && !u.tried || u.altered || u.stale.Load())
	u.h.unclaim(u.e)
	return u.classify(u.h.park(u, size))
}

// parks returns how many of the bytes that are there without a gap are worth a part. refused means that the quota or the
// disk cut the upload short, or that it is stale or altered. A head copied from the file, with nothing new behind it, would only be in the way of the next.
func (w Want) parks(whole int64, refused bool) int64 {
	switch {
	case w.Part && refused:
		return min(w.From, whole)
	case !w.Part && (refused || whole <= w.From):
		return 0
	}
	return whole
}

// unclaim frees the name that e held for itself.
func (h *Home) unclaim(e *entry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fresh[e.path] == e {
		delete(h.fresh, e.path)
	}
}

// measure looks at the stage and gives back what is reserved and not on the disk. u.mu is held.
func (u *upload) measure() {
	u.h.giveBack(u.granted)
	u.granted = 0
	n, err := fileNode(u.f)
	if err != nil {
		return
	}
	if u.mtime = n.mtime; n.size < u.end { // a write failed
		u.h.release(u.end - n.size)
		u.end = n.size
	}
}

// Commit implements Upload: data sync, a last look whether it is wanted, then the change of the name; see commit.go.
func (u *upload) Commit(ctx context.Context, sure func() error) (i Info, err error) {
	u.h.commit(ctx, []*upload{u}, sure, func(_ int, got Info, why error) { i, err = got, why })
	return i, err
}

// seal ends the writing for a Commit: what is synced and published is what was written before.
func (u *upload) seal() error {
	u.mu.Lock()
	if u.over || u.sealed {
		u.mu.Unlock()
		return ended()
	}
	u.tried, u.sealed = true, true
	u.mu.Unlock()
	u.flying.Wait()
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.dress(); err != nil {
		u.sealed = false
		return u.classify(err)
	}
	if u.unsure || u.end >= u.h.sums.least {
		u.measure()
		u.mark()
	}
	u.h.giveBack(u.granted)
	u.granted = 0
	return nil
}

func (u *upload) unseal() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sealed = false
}

// finish marks the upload as ended.
func (u *upload) finish() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.over = true
}

// lost drops a stage whose data sync failed: its pages are undefined, and a second sync would not tell.
func (u *upload) lost(cause error) error {
	u.finish()
	u.h.unclaim(u.e)
	u.f.Close()
	u.e.size = u.end
	if err := u.h.discard(u.h.stage, u.e); err != nil {
		u.h.opts.Log.Warn("a stage could not be removed", "err", err)
	}
	return u.classify(cause)
}

// publish is the change that gives the stage its name. A link of that name is replaced, not followed.
func (u *upload) publish() *change {
	h, e := u.h, u.e
	h.mu.Lock()
	c := &change{names: []Path{e.path}}
	h.mu.Unlock()
	var to *dir
	c.plan = func(b *batch) (err error) {
		h.mu.Lock()
		p := e.path // it may have moved with its directory
		h.mu.Unlock()
		c.names[0] = p
		if to, err = b.dir(p.Dir()); err != nil {
			return err
		}
		p = p.Dir().below(to.spelling(p.Base())) // its twin may have come meanwhile
		c.names[0] = p
		if err := u.fresh(p); err != nil {
			return err
		}
		if !u.vacant { // else the rename tells
			if c.gone, err = u.replaces(to, p); err != nil {
				return err
			}
		}
		c.places, c.dirs = []place{to.at(p.Base())}, []*dir{to}
		c.intent = intent{verb: verbPut, stage: e.id, to: p, delta: u.end - c.gone}
		return nil
	}
	c.do = func() error {
		err := h.stepped("rename", true, func() error {
			return move(h.stage, e.name(), to, c.names[0].Base(), !u.want.New && !u.vacant)
		})
		if errors.Is(err, fs.ErrExist) && u.vacant {
			u.vacant, c.again = false, true
		}
		return err
	}
	c.settle = func() []*entry {
		delete(h.entries, e.id)
		if h.fresh[e.path] == e {
			delete(h.fresh, e.path)
		}
		return append(h.parts.takeAt(c.names[0]), h.parts.takeAt(e.path)...)
	}
	return c
}

// replaces looks at what has the name p in to. It returns how many bytes go with it, whose mode the stage gets.
func (u *upload) replaces(to *dir, p Path) (int64, error) {
	old, err := to.lstat(p.Base())
	switch {
	case missing(err):
		return 0, nil
	case err != nil:
	case old.mode.IsDir():
		err = fault.New(fault.IsDir, "%s: is a directory", p)
	case u.want.New, old.mode&fs.ModeIrregular != 0:
		err = taken(p)
	case old.mode.IsRegular() && u.attr.Mode == nil:
		err = u.f.Chmod(old.mode.Perm())
	}
	return old.counts(), classify(err, p)
}

// fresh refuses to publish a tail behind the head of a file that became another one meanwhile: that would undo what
// somebody else was told to be safe.
func (u *upload) fresh(p Path) error {
	if u.want.Part || u.want.From == 0 && !u.want.All {
		return nil
	}
	now, err := u.h.look(p)
	if err != nil && fault.KindOf(err) != fault.NotExist {
		return err
	}
	if err != nil && u.head == (node{}) { // there was none, and is none
		return nil
	}
	if err != nil || now.id != u.head.id || now.size != u.head.size || now.mtime != u.head.mtime {
		u.stale.Store(true)
		return changedMeanwhile(p)
	}
	return nil
}

func changedMeanwhile(p Path) error {
	return fault.New(fault.Busy, "%s: it was changed while you went on behind it; look again, and try again", p)
}

// spans are the ranges that were written, in order, apart from each other.
type spans []span

type span struct{ a, b int64 }

// maxSpans bounds what one upload written at random costs; beyond it the ranges farthest from 0 are forgotten, which
// only shortens what a park keeps.
const maxSpans = 4096

// whole returns how far it goes from 0 without a gap.
func (s spans) whole() int64 {
	if len(s) == 0 || s[0].a > 0 {
		return 0
	}
	return s[0].b
}

func (s *spans) add(a, b int64) {
	if a >= b {
		return
	}
	old := *s
	if n := len(old); n > 0 && old[n-1].b == a { // in order
		old[n-1].b = b
		return
	}
	i := 0
	for i < len(old) && old[i].b < a {
		i++
	}
	j := i
	for j < len(old) && old[j].a <= b {
		a, b = min(a, old[j].a), max(b, old[j].b)
		j++
	}
	out := append(old[:i:i], span{a, b})
	out = append(out, old[j:]...)
	*s = out[:min(len(out), maxSpans)]
}

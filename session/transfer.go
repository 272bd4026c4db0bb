package session

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"sampan/account"
	"sampan/fault"
	"sampan/files"
)

// Transfer is one upload or download under way. It is in the live list until Close, and leaves one record. ReadFrom,
// WriteTo and Commit are for one goroutine; the rest is for any.
type Transfer struct {
	s       *Session
	who     *login
	verb    string // "put" or "get"
	path    files.Path
	from    []files.Path // what a copy reads
	read    []files.Info // and has read
	key     target
	store   *files.Local
	need    account.Perm // what the account must keep having at path
	info    files.Info
	base    int64 // where the bytes of this transfer begin in the file
	size    int64 // of the whole file, -1 if unknown
	started time.Time
	ctx     context.Context
	cancel  context.CancelCauseFunc
	counted bool // under hub.mu: see Hub.count

	at      atomic.Pointer[files.Path] // of a draft: the name that it has now
	dropped atomic.Bool                // of a draft: its name was removed
	draft   files.Draft                // up, if it is a draft
	appends bool                       // a draft that only grows

	moved   atomic.Int64 // over the wire
	heard   atomic.Int64 // time of the last byte, Unix ns
	paused  atomic.Int64 // since when it waits for a limit, Unix ns; 0 if it does not
	waited  atomic.Int64 // for limits since the last byte, ns
	settled atomic.Bool  // all bytes are there: Commit is at work, and nobody takes over
	meter   meter

	mu     sync.Mutex    // held by what works on the ends
	up     files.Upload  // of a put
	src    io.ReadCloser // of a get
	err    error         // the first failure
	whole  bool          // the source ended well
	ended  bool
	closed chan struct{}
}

// transfer begins a Transfer whose ends the caller sets before it is enlisted, or strikes it. Busy if the account has as
// many as it may.
func (v visit) transfer(verb string, p files.Path, need account.Perm) (*Transfer, error) {
	t := &Transfer{
		s: v.s, who: v.login, verb: verb, path: p, key: v.target(p), store: v.store, need: need,
		started: v.since, closed: make(chan struct{}),
	}
	t.heard.Store(time.Now().UnixNano())
	return t, v.s.hub.count(t)
}

// Info describes the file at the start: of a download what is read, of an upload what is kept.
func (t *Transfer) Info() files.Info { return t.info }

// Sum returns the SHA-256 of an upload that was committed, or of all of the file that is downloaded, nil if it is not known;
// see files.Hashed.
func (t *Transfer) Sum() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.src != nil && !t.ended && t.base == 0 && t.size == t.info.Size {
		return t.store.Known(t.src)
	}
	if u, ok := t.up.(files.Hashed); ok {
		return u.Sum()
	}
	return nil
}

// Context is done when the session ends or the transfer is aborted. The protocol then closes the data connection; a
// connection with deadlines is woken by the Transfer itself.
func (t *Transfer) Context() context.Context { return t.ctx }

// Done returns how many bytes went over the wire.
func (t *Transfer) Done() int64 { return t.moved.Load() }

// Abort cancels Context, for ABOR and kicks; the goroutine that moves the bytes then calls Close.
func (t *Transfer) Abort(why error) { t.cancel(why) }

// wake is how often a reader with deadlines is woken, so that a stall shows.
const wake = 250 * time.Millisecond

// ReadFrom receives the upload's bytes from src until EOF, through files.Pump. Any error other than EOF means cut:
// after one, Commit is refused and Close parks.
//
// A src with SetReadDeadline is woken four times a second; reading must be able to go on after os.ErrDeadlineExceeded, as
// it can on net.Conn and tls.Conn. Its deadline is cleared at the end. A src that brings nothing for Config.Stall
// is cut. One with Push is told to send what it holds back before the transfer waits for a limit.
func (t *Transfer) ReadFrom(src io.Reader) (int64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(t.up != nil); err != nil {
		return 0, err
	}
	deadline := func(time.Time) error { return nil }
	if d, ok := src.(interface{ SetReadDeadline(time.Time) error }); ok {
		deadline = d.SetReadDeadline
	}
	defer t.interrupt(deadline)()
	var total int64
	before := t.moved.Load() // by other calls, for a copy of several files
	f := flow{t: t, deadline: deadline, patience: wake, push: pushes(src), before: before}
	for {
		n, err := files.Pump(t.up, src, mostStep, func(done, want int64) (int64, error) {
			n, err := f.step(before+total+done, want)
			if err != nil {
				return 0, err
			}
			return t.up.Room(n)
		})
		total += n
		f.end(before + total)
		switch {
		case t.ctx.Err() != nil:
			return total, t.fail(why(t.ctx))
		case err == nil:
			t.arrived()
			return total, nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return total, t.fail(cut(err))
		case t.silence(time.Now()) >= t.s.hub.cfg.Stall:
			return total, t.fail(fault.Wrap(fault.Cut, err, "nothing came for %s", t.s.hub.cfg.Stall))
		}
	}
}

// arrived notes that the source of an upload ended well. What waits for its commit then does not count any more: a
// protocol may have many that do.
func (t *Transfer) arrived() {
	t.whole = true
	if len(t.from) == 0 {
		t.s.hub.mu.Lock()
		defer t.s.hub.mu.Unlock()
		t.s.hub.uncount(t)
	}
}

// Fill copies what Copy named, as ReadFrom receives what comes: the kernel moves the bytes, or shares the blocks.
func (t *Transfer) Fill() error {
	for _, p := range t.from {
		src, i, err := t.source(p)
		if err != nil {
			t.mu.Lock()
			defer t.mu.Unlock()
			return t.fail(err)
		}
		_, err = t.ReadFrom(src)
		src.Close()
		if err != nil {
			return err
		}
		t.read = append(t.read, i)
	}
	return nil
}

// Read returns what Fill copied, as it was then.
func (t *Transfer) Read() []files.Info { return t.read }

// source opens one file of a copy, if the account still may read it.
func (t *Transfer) source(p files.Path) (io.ReadCloser, files.Info, error) {
	a, store, err := t.who.now(t.ctx)
	if err == nil && a.May(p)&account.Read == 0 {
		err = denied(p)
	}
	if err != nil {
		return nil, files.Info{}, err
	}
	return store.Open(t.ctx, p, 0)
}

// errEnough ends a download of a part of a file.
var errEnough = errors.New("all that was asked for is sent")

// WriteTo sends the download's bytes to dst, through files.Pump. A dst with SetWriteDeadline that takes nothing for
// Config.Stall is cut; its deadline is cleared at the end. One with Push is told to send what it holds back before the
// transfer waits for a limit.
func (t *Transfer) WriteTo(dst io.Writer) (int64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(t.src != nil); err != nil {
		return 0, err
	}
	deadline := func(time.Time) error { return nil }
	if d, ok := dst.(interface{ SetWriteDeadline(time.Time) error }); ok {
		deadline = d.SetWriteDeadline
	}
	defer t.interrupt(deadline)()
	f := flow{t: t, deadline: deadline, patience: t.s.hub.cfg.Stall, push: pushes(dst)}
	n, err := files.Pump(dst, t.src, mostStep, func(done, want int64) (int64, error) {
		if left := t.size - t.base - done; left > 0 {
			return f.step(done, min(left, want))
		}
		return 0, errEnough
	})
	f.end(n)
	switch {
	case t.ctx.Err() != nil:
		return n, t.fail(why(t.ctx))
	case err != nil && err != errEnough:
		return n, t.fail(cut(err))
	case t.base+n < t.size:
		return n, t.fail(fault.New(fault.Cut, "%s: it became shorter while it was read", t.path))
	}
	t.whole = true
	return n, nil
}

// pushes returns the Push of one end of a connection.
func pushes(end any) func() {
	if p, ok := end.(interface{ Push() }); ok {
		return p.Push
	}
	return func() {}
}

// usable tells why the bytes cannot be moved, nil if they can; mine is false for the wrong direction. t.mu is held.
func (t *Transfer) usable(mine bool) error {
	switch {
	case !mine:
		return fault.New(fault.Unsupported, "the transfer goes the other way")
	case t.err != nil:
		return t.err
	case t.ctx.Err() != nil:
		return t.fail(why(t.ctx))
	case t.ended:
		return fault.New(fault.Cut, "the transfer has ended")
	}
	return nil
}

// interrupt wakes who waits for the connection when the transfer is aborted; the caller calls stop at the end, which
// leaves the connection without a deadline.
func (t *Transfer) interrupt(deadline func(time.Time) error) (stop func()) {
	forget := context.AfterFunc(t.ctx, func() { deadline(time.Unix(1, 0)) })
	return func() {
		if forget() {
			deadline(time.Time{})
		}
	}
}

// allowed tells whether the transfer may go on: it was not aborted, and the account still may.
func (t *Transfer) allowed() error {
	_, err := t.entitled()
	return err
}

// entitled is allowed with the account as it is now.
func (t *Transfer) entitled() (account.Account, error) {
	if t.ctx.Err() != nil {
		return account.Account{}, why(t.ctx)
	}
	a, _, err := t.who.now(t.ctx)
	if err == nil && a.May(t.path)&t.need != t.need {
		err = denied(t.path)
	}
	return a, err
}

// count notes that done bytes went over the wire.
func (t *Transfer) count(now time.Time, done int64) {
	if t.moved.Swap(done) != done {
		t.heard.Store(now.UnixNano())
		t.waited.Store(0)
		t.s.heard.Store(now.UnixNano())
	}
	t.meter.note(now, done)
}

// silence tells how long no byte went over the wire although one might have.
func (t *Transfer) silence(now time.Time) time.Duration {
	since := t.heard.Load() + t.waited.Load()
	if p := t.paused.Load(); p != 0 {
		since += now.UnixNano() - p
	}
	return now.Sub(time.Unix(0, since))
}

func (t *Transfer) moving(now time.Time) *Moving {
	done := t.moved.Load()
	return &Moving{
		Verb: t.verb, Path: t.where(), Done: t.base + done, Size: t.size, Started: t.started,
		BytesPerSec: t.meter.rate(now, done),
	}
}

// fail keeps the first failure. t.mu is held.
func (t *Transfer) fail(err error) error {
	if t.err == nil {
		t.err = err
	}
	return err
}

// cut makes what is not a fault yet one of the connection.
func cut(err error) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	return fault.Wrap(fault.Cut, err, "the connection broke before the end")
}

// Commit publishes the upload; sure may be nil; see files.Upload. It is refused (Cut) unless ReadFrom saw the end.
func (t *Transfer) Commit(sure func() error) (files.Info, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.settle(); err != nil {
		return files.Info{}, err
	}
	info, err := t.up.Commit(t.ctx, sure)
	if err := t.committed(t.ctx, info, err); err != nil {
		return files.Info{}, err
	}
	return info, nil
}

// settle checks that the upload may be published, and keeps others from taking over. t.mu is held.
func (t *Transfer) settle() error {
	if err := t.usable(t.up != nil); err != nil {
		return err
	}
	if !t.whole {
		return t.fail(fault.New(fault.Cut, "the upload did not reach its end"))
	}
	if err := t.allowed(); err != nil {
		return t.fail(err)
	}
	t.settled.Store(true)
	return nil
}

// committed notes how the publishing under ctx ended. t.mu is held.
func (t *Transfer) committed(ctx context.Context, info files.Info, err error) error {
	if err == nil {
		t.info = info
		return nil
	}
	if ctx.Err() != nil && fault.KindOf(err) != fault.Durability {
		err = why(ctx)
	}
	return t.fail(err)
}

// Close ends the transfer: an upload without Commit is parked. It writes the record. It waits for a ReadFrom, WriteTo
// or Commit that still runs, so Abort comes first where one does. It is idempotent.
func (t *Transfer) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return nil
	}
	t.ended = true
	size := t.info.Size
	var err error
	if t.up != nil {
		if size = t.up.Size(); t.complete() {
			size = t.info.Size
		}
		err = t.up.Close()
		t.dropCopy()
	} else {
		err = t.src.Close()
	}
	t.s.hub.strike(t)
	t.record(size)
	t.cancel(fault.New(fault.Cut, "the transfer has ended"))
	close(t.closed)
	return err
}

// dropCopy removes what Close parked of a copy, which can be made again, and of a draft whose name was removed: their
// users did not ask for a part. t.mu is held.
func (t *Transfer) dropCopy() {
	if len(t.from) == 0 && !t.dropped.Load() || t.complete() || t.base+t.moved.Load() == 0 {
		return
	}
	ctx := context.WithoutCancel(t.ctx)
	if _, store, err := t.who.now(ctx); err == nil {
		store.DropPart(ctx, t.where())
	}
}

// complete reports whether all of it arrived, and an upload was published. t.mu is held.
func (t *Transfer) complete() bool {
	return t.err == nil && t.whole && (t.up == nil || t.settled.Load())
}

// record writes what became of the transfer. A session that ends right behind a complete one does not change that.
// t.mu is held.
func (t *Transfer) record(size int64) {
	outcome := result(t.err)
	if !t.complete() && (t.err == nil || t.ctx.Err() != nil) {
		outcome = "cut"
	}
	r := account.Transfer{
		When: time.Now(), Account: t.who.name, Remote: t.s.address().String(), Proto: t.s.via.Proto,
		Verb: t.verb, Path: t.where().String(), Bytes: t.moved.Load(), Size: size,
		Took: time.Since(t.started), Result: outcome,
	}
	if len(t.from) > 0 {
		r.Verb, r.Path, r.To = "copy", t.from[0].String(), r.Path
	}
	t.s.hub.book.Record(r)
	t.s.hub.log.Info(r.Verb, "session", t.s.id, "account", r.Account, "path", r.Path, "bytes", r.Bytes, "size", r.Size, "took", r.Took,
		"remote", t.s.via.Remote.String(), "reason", outcome)
}

// CommitAll is Commit for several uploads at once; error n is that of ts[n], whose Info says what was published. A protocol
// that knows for sure that all of each arrived calls it: their syncs are shared.
func CommitAll(ts []*Transfer) []error {
	errs := make([]error, len(ts))
	ups := make([]files.Upload, 0, len(ts))
	which := make([]int, 0, len(ts))
	var ctx context.Context
	for n, t := range ts {
		t.mu.Lock()
		defer t.mu.Unlock()
		if errs[n] = t.settle(); errs[n] == nil {
			ups, which, ctx = append(ups, t.up), append(which, n), t.s.ctx
		}
	}
	files.CommitAll(ctx, ups, func(k int, i files.Info, err error) {
		errs[which[k]] = ts[which[k]].committed(ctx, i, err)
	})
	return errs
}

// Now describes the file of a download as it is at this moment. It has another Tag than Info if the file changed, or was
// replaced, since it was opened.
func (t *Transfer) Now() files.Info {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.src == nil || t.ended {
		return t.info
	}
	return files.Opened(t.src, t.info)
}

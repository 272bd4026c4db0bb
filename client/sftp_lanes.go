package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"sampan/files"
	"sampan/sftp"
)

// A long link holds more than one channel of SSH can carry: the window of a channel is 2 MiB here and at most servers, and that of
// a TCP connection is bounded too. So a big file goes over several sessions, of two connections, and the files of a
// tree are shared out among them. Servers that allow fewer are served as they wish, without a word.

// A lane is a file that is open on one session.
type lane struct {
	w      *wire
	handle []byte // nil when it was given back
	flying int64  // bytes that were asked for, or sent, and not answered
}

// close gives the handle back.
func (l *lane) close() {
	if l.handle != nil {
		l.w.giveUp(l.handle, false)
	}
}

// An extraSession is a further one, opened when it is wanted.
type extraSession struct {
	sync.Mutex // held while it is opened
	wire       atomic.Pointer[wire]
	refused    bool
}

// extras are the further sessions of a remote.
type extras struct {
	sessions [3]extraSession
	turn     atomic.Uint32
	dialing  sync.Mutex // held while the second connection is made
	second   *sshConn
	refused  bool        // it is
	shaky    atomic.Bool // one broke under an upload, which was cut by it: no other one uses them

	using sync.Mutex
	users int           // transfers that may want them
	rest  time.Duration // how long they outlive the last one
	timer *time.Timer   // nil until then
	over  error         // what who still goes over them hears then
}

// restOfExtras is how long further sessions stay when nothing goes over them: they are a process each at many servers.
const restOfExtras = time.Minute

// use keeps the further sessions until done is called, and some time longer.
func (x *extras) use() (done func()) {
	x.using.Lock()
	defer x.using.Unlock()
	if x.users++; x.timer != nil {
		x.timer.Stop()
	}
	return sync.OnceFunc(func() {
		x.using.Lock()
		defer x.using.Unlock()
		if x.users--; x.users == 0 {
			x.timer = time.AfterFunc(x.rest, x.unused)
		}
	})
}

// unused ends them if nobody came meanwhile.
func (x *extras) unused() {
	x.using.Lock()
	defer x.using.Unlock()
	if x.users == 0 {
		x.close(x.over)
	}
}

// worth is for how many bytes each of them pays. All but the first go over the second connection. Where a connection may have one
// session only, there is one further one, which goes there.
var worth = [len(extras{}.sessions)]int64{16 << 20, 64 << 20, 64 << 20}

// longTrip is the round trip from which on they do.
const longTrip = 10 * time.Millisecond

// close ends them.
func (x *extras) close(why error) {
	for i := range x.sessions {
		if w := x.sessions[i].wire.Load(); w != nil {
			w.fail(why)
		}
	}
	x.dialing.Lock()
	defer x.dialing.Unlock()
	x.second.close()
	x.second = nil
}

// errNoExtra is never told to anybody.
var errNoExtra = errors.New("there is no further session")

// extra returns a further session, opened if need be. A person is asked nothing for its sake. What was refused once is not
// tried again.
func (r *sshRemote) extra(ctx context.Context, n int) (*wire, error) {
	main, err := r.acquire(ctx)
	if err != nil {
		return nil, err
	}
	e := &r.extras.sessions[n]
	e.Lock()
	defer e.Unlock()
	if e.refused {
		return nil, errNoExtra
	}
	if w := e.wire.Load(); w != nil && !w.broken() {
		return w, nil
	}
	w, err := r.openExtra(ctx, n)
	if err != nil {
		e.refused = ctx.Err() == nil
		return nil, err
	}
	w.limits = main.limits
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		w.fail(errNoExtra)
		return nil, errNoExtra
	}
	e.wire.Store(w)
	return w, nil
}

// share returns a session for one more file of a tree: in turn the first one and those further ones that are there.
func (r *sshRemote) share(ctx context.Context) (*wire, error) {
	main, err := r.acquire(ctx)
	if err != nil {
		return nil, err
	}
	all := append(make([]*wire, 0, 1+len(worth)), main)
	for i := range r.extras.sessions {
		if w := r.extras.sessions[i].wire.Load(); w != nil && !w.broken() {
			all = append(all, w)
		}
	}
	return all[r.extras.turn.Add(1)%uint32(len(all))], nil
}

func (r *sshRemote) openExtra(ctx context.Context, n int) (*wire, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout())
	defer cancel()
	r.mu.Lock()
	conn, several := r.conn, r.wire != nil && r.wire.several
	r.mu.Unlock()
	if n > 0 && !several {
		return nil, errNoExtra
	}
	if n > 0 || !several {
		var err error
		if conn, err = r.secondConn(ctx); err != nil {
			return nil, err
		}
	}
	if conn == nil {
		return nil, errNoExtra
	}
	type begun struct {
		w   *wire
		err error
	}
	done := make(chan begun, 1)
	go func() {
		w, err := r.begin(conn)
		done <- begun{w, err}
	}()
	select {
	case b := <-done:
		return b.w, b.err
	case <-ctx.Done():
		go func() {
			if b := <-done; b.w != nil {
				b.w.fail(errNoExtra)
			}
		}()
		return nil, ctx.Err()
	}
}

// far reports whether the link is long.
func (r *sshRemote) far() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wire != nil && r.wire.trip() >= longTrip
}

// secondConn returns the second connection, a new one if it broke.
func (r *sshRemote) secondConn(ctx context.Context) (*sshConn, error) {
	x := &r.extras
	x.dialing.Lock()
	defer x.dialing.Unlock()
	switch {
	case x.refused:
		return nil, errNoExtra
	case x.second != nil && !x.second.over.Load():
		return x.second, nil
	}
	conn, err := r.hop.again(ctx)
	if err != nil {
		x.refused = ctx.Err() == nil
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		conn.close()
		return nil, errNoExtra
	}
	x.second.close()
	x.second = conn
	return conn, nil
}

// lanes are what one transfer goes over.
type lanes struct {
	all    []*lane    // the first one is that on which the file was opened; none when it is closed
	joined chan *lane // hands over further ones; nil if none are wanted
	stop   func()     // ends the looking for them; nil likewise
}

// wide reports whether further lanes would pay: the link is long and there is enough to move.
func (l *lanes) wide(left int64) bool { return l.all[0].w.trip() >= longTrip && left >= worth[0] }

// widen has the file opened on further sessions by open, which has to make sure that it is the same one there.
func (l *lanes) widen(ctx context.Context, r *sshRemote, left int64, open func(context.Context, *wire) ([]byte, error)) {
	ctx, l.stop = context.WithCancel(ctx)
	l.joined = make(chan *lane)
	for n, least := range worth {
		if left >= least {
			go r.lane(ctx, n, open, l.joined)
		}
	}
}

// lane hands over a file that is opened on a further session.
func (r *sshRemote) lane(ctx context.Context, n int, open func(context.Context, *wire) ([]byte, error), joined chan<- *lane) {
	w, err := r.extra(ctx, n)
	if err != nil {
		return
	}
	handle, err := open(ctx, w)
	if err != nil {
		return
	}
	l := &lane{w: w, handle: handle}
	select {
	case joined <- l:
	case <-ctx.Done():
		l.close()
	}
}

// join takes a further lane that is ready.
func (l *lanes) join() {
	select {
	case next := <-l.joined:
		l.all = append(l.all, next)
	default:
	}
}

// emptiest is the lane to use next.
func (l *lanes) emptiest() *lane {
	least := l.all[0]
	for _, other := range l.all[1:] {
		if other.flying < least.flying {
			least = other
		}
	}
	return least
}

// widen has the file opened on further sessions, where that pays.
func (b *sftpBody) widen(r *sshRemote) {
	if !b.wide(b.left) {
		return
	}
	done := r.extras.use()
	b.lanes.widen(b.ctx, r, b.left, func(ctx context.Context, w *wire) ([]byte, error) {
		return w.openSame(ctx, b.info.Path, sftp.OpenRead, func(a sftp.Attrs) bool { return !changed(b.info, sftpInfo(b.info.Path, a)) })
	})
	stop := b.stop
	b.stop = func() {
		stop()
		go func(looks []*rpc) { // the last answers come still
			for _, c := range looks {
				<-c.done
			}
			done()
		}(b.looks)
	}
}

// widen has the stage opened on further sessions, where that pays.
func (u *sftpUpload) widen(left int64) {
	if !u.wide(left) || u.r.extras.shaky.Load() || u.w.ours() && !u.w.has(sftp.ExtShare) {
		return
	}
	done := u.r.extras.use()
	u.lanes.widen(u.ctx, u.r, left, u.invite())
	stop := u.stop
	u.stop = func() {
		stop()
		done()
	}
}

// invite returns what opens the stage on a further session. Sampan gives a token for it. Elsewhere it has a name, but under that there
// may be another one by then, somebody else's: so it gets a time of access by which it is known, which writing does not change.
func (u *sftpUpload) invite() func(context.Context, *wire) ([]byte, error) {
	if u.w.ours() {
		asked := u.w.start(sftp.Request{Type: sftp.TypeExtended, Extension: sftp.ExtShare, Handle: u.handle})
		token := sync.OnceValues(func() (t sftp.Token, err error) {
			err = asked.parsed(u.ctx, &t)
			return t, err
		})
		return func(ctx context.Context, w *wire) ([]byte, error) {
			t, err := token()
			if err != nil {
				return nil, err
			}
			return w.start(sftp.Request{Type: sftp.TypeExtended, Extension: sftp.ExtJoin, Token: t}).handle(ctx)
		}
	}
	mark := sftp.Attrs{Has: sftp.HasTimes, Atime: rand.Uint32() >> 1, Mtime: uint32(time.Now().Unix())}
	asked := u.w.start(sftp.Request{Type: sftp.TypeFsetstat, Handle: u.handle, Attrs: mark})
	marked := sync.OnceValue(func() error { return asked.ok(u.ctx) })
	u.marked = true
	return func(ctx context.Context, w *wire) ([]byte, error) {
		if err := marked(); err != nil {
			return nil, err
		}
		return w.openSame(ctx, u.stage, sftp.OpenWrite, func(a sftp.Attrs) bool { return a.Has&sftp.HasTimes != 0 && a.Atime == mark.Atime })
	}
}

// endFurther waits until all that was sent is answered, and ends the further lanes: what is asked on the first one then comes behind it.
func (u *sftpUpload) endFurther(ctx context.Context) {
	if u.stop == nil {
		return
	}
	u.stop()
	u.stop = nil
	u.settleAll()
	ends := make([]*rpc, 0, len(u.all))
	for _, l := range u.all[1:] {
		ends = append(ends, l.w.start(sftp.Request{Type: sftp.TypeClose, Handle: l.handle}))
	}
	u.all = u.all[:1]
	for _, c := range ends {
		if err := c.ok(ctx); u.err == nil {
			u.err = named(err, u.path)
		}
		if c.w.broken() {
			u.r.extras.shaky.Store(true)
		}
	}
}

// openSame opens a file of which is tells that it is the one that is wanted.
func (w *wire) openSame(ctx context.Context, p files.Path, f sftp.Open, is func(sftp.Attrs) bool) ([]byte, error) {
	handle, err := w.start(sftp.Request{Type: sftp.TypeOpen, Path: p.String(), Flags: f}).handle(ctx)
	if err != nil {
		return nil, err
	}
	a, err := w.start(sftp.Request{Type: sftp.TypeFstat, Handle: handle}).attrs(ctx)
	if err == nil && !is(a) {
		err = errNoExtra
	}
	if err != nil {
		w.giveUp(handle, false)
	}
	return handle, err
}

// forsake leaves a further lane that broke: what was asked for there is asked for on the first one.
func (b *sftpBody) forsake(broken *lane) {
	for i, l := range b.all {
		if l == broken {
			b.all = append(b.all[:i:i], b.all[i+1:]...)
			break
		}
	}
	for i, s := range b.ahead {
		if s.lane == broken && s.got == nil {
			b.ahead[i] = b.read(b.all[0], s.off, s.n)
		}
	}
}

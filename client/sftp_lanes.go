package client

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"sampan/files"
	"sampan/sftp"
)

// A long link holds more than one channel of SSH can carry: the window of a channel is 2 MiB here and at most servers, and that of
// a TCP connection is bounded too. So a big file is fetched over several sessions, of two connections, and the files of a
// tree are shared out among them. Servers that allow fewer are served as they wish, without a word.

// A lane is a file that is open on one session.
type lane struct {
	w      *wire
	handle []byte
	flying int64 // bytes that were asked for and did not come
}

// close gives the handle back.
func (l *lane) close() { l.w.giveUp(l.handle, false) }

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
	refused  bool // it is

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

// worth is for how many bytes each of them pays. All but the first go over the second connection.
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
	conn := r.conn
	r.mu.Unlock()
	if n > 0 {
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

// lane opens the file that i describes on a further session, and hands it over if it is the same one there.
func (r *sshRemote) lane(ctx context.Context, n int, i files.Info, joined chan<- *lane) {
	w, err := r.extra(ctx, n)
	if err != nil {
		return
	}
	handle, err := w.start(sftp.Request{Type: sftp.TypeOpen, Path: i.Path.String(), Flags: sftp.OpenRead}).handle(ctx)
	if err != nil {
		return
	}
	l := &lane{w: w, handle: handle}
	a, err := w.start(sftp.Request{Type: sftp.TypeFstat, Handle: handle}).attrs(ctx)
	if err != nil || changed(i, sftpInfo(i.Path, a)) {
		l.close()
		return
	}
	select {
	case joined <- l:
	case <-ctx.Done():
		l.close()
	}
}

// widen has the file opened on further sessions, where the link is long and there is enough to come.
func (b *sftpBody) widen(r *sshRemote) {
	if b.lanes[0].w.trip() < longTrip {
		return
	}
	ctx, stop := context.WithCancel(b.ctx)
	done := r.extras.use()
	b.joined = make(chan *lane)
	b.stopLanes = func() {
		stop()
		go func(looks []*rpc) { // the last answers come still
			for _, c := range looks {
				<-c.done
			}
			done()
		}(b.looks)
	}
	for n, least := range worth {
		if b.left >= least {
			go r.lane(ctx, n, b.info, b.joined)
		}
	}
}

// join takes a further lane that is ready.
func (b *sftpBody) join() {
	select {
	case l := <-b.joined:
		b.lanes = append(b.lanes, l)
	default:
	}
}

// emptiest is the lane to ask next.
func (b *sftpBody) emptiest() *lane {
	least := b.lanes[0]
	for _, l := range b.lanes[1:] {
		if l.flying < least.flying {
			least = l
		}
	}
	return least
}

// forsake leaves a further lane that broke: what was asked for there is asked for on the first one.
func (b *sftpBody) forsake(broken *lane) {
	for i, l := range b.lanes {
		if l == broken {
			b.lanes = append(b.lanes[:i:i], b.lanes[i+1:]...)
			break
		}
	}
	for i, s := range b.ahead {
		if s.lane == broken && s.got == nil {
			b.ahead[i] = b.read(b.lanes[0], s.off, s.n)
		}
	}
}

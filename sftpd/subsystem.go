package sftpd

import (
	"bufio"
	"context"
	"encoding/binary"
	"sync"

	"sampan/fault"
	"sampan/files"
	"sampan/session"
	"sampan/sftp"
)

// A subsystem is SFTP on one channel. Two kinds of goroutine touch it: the loop reads requests, runs most of them, one
// after another, and sends the replies before it waits for more; those that may take long run apart. A request
// that names something waits for those before it that are changing that name, or a directory above it.
type subsystem struct {
	*channel
	gulp    gulp
	in      *bufio.Reader // of gulp
	out     replies
	loop    context.Context // ends when no more requests are read
	opens   sync.Mutex      // guards open and lastID
	open    map[string]*handle
	lastID  uint32 // of handles
	changes changes
	slots   chan struct{} // for requests that run apart
	running sync.WaitGroup

	closings struct {
		sync.Mutex
		room    chan struct{} // full while so many are under way
		waiting []*closing
		busy    bool
	}
}

// sftp runs the subsystem until the peer sends no more. What it has asked for by then is done and answered; drafts that it
// did not close are parked.
func (ch *channel) sftp() uint32 {
	s := &subsystem{channel: ch, open: map[string]*handle{}, slots: make(chan struct{}, ch.srv.limits.apart)}
	s.gulp.src = ch
	s.in = bufio.NewReaderSize(&s.gulp, sip)
	s.changes.ended.L = &s.changes.mu
	s.closings.room = make(chan struct{}, ch.srv.limits.closings)
	s.out.init(ch, ch.srv.limits.unread, func() { ch.ssh.Close() })
	ch.mu.Lock()
	ch.sub = s
	ch.mu.Unlock()
	ctx, ended := context.WithCancel(context.Background())
	s.loop = ctx
	err := s.hello()
	for err == nil {
		err = s.next()
	}
	ended()
	s.out.flush()
	s.running.Wait()
	for _, h := range s.open {
		h.close()
	}
	s.handles.Add(-int32(len(s.open)))
	s.out.close()
	return 0
}

// hello agrees on the version (section 4).
func (s *subsystem) hello() error {
	p, err := sftp.ReadPacket(s.in)
	if err != nil {
		return err
	}
	defer p.Free()
	if _, err := sftp.ParseHello(p, sftp.TypeInit); err != nil {
		return err
	}
	s.out.expect()
	s.out.send(sftp.Hello{Version: sftp.Version, Extensions: offered()}.Packet(sftp.TypeVersion))
	return nil
}

// ready reports whether a whole request is there, so that reading it does not wait.
func (s *subsystem) ready() bool {
	there := s.in.Buffered() + len(s.gulp.have)
	if there < 4 {
		return false
	}
	head, err := s.in.Peek(4)
	return err == nil && uint64(there) >= 4+uint64(binary.BigEndian.Uint32(head))
}

// next runs one request.
func (s *subsystem) next() error {
	if s.ready() {
		s.out.linger()
	} else {
		s.out.flush()
	}
	p, err := sftp.ReadPacket(s.in)
	if err != nil {
		return err
	}
	defer p.Free()
	s.touch()
	a := &ask{sub: s}
	if err := a.Parse(p); err != nil {
		return err // nobody knows what else is not as it should be
	}
	s.out.expect()
	s.do(a)
	return nil
}

// do runs a request, here or apart.
func (s *subsystem) do(a *ask) {
	r := s.srv.rows[keyOf(&a.Request)]
	if r == nil {
		s.answer(a, nil, fault.New(fault.Unsupported, "this server does not know that request"))
		return
	}
	if err := a.prepare(r); err != nil {
		s.answer(a, nil, err)
		return
	}
	if r.how&(named|both) != 0 {
		s.changes.wait(a.names(r)...)
	}
	if r.how&(apart|changing) == 0 {
		p, err := r.run(a)
		s.answer(a, p, err)
		return
	}
	var done func()
	if r.how&changing != 0 {
		done = s.changes.begin(a.names(r)...)
	}
	a.use(1)
	s.slots <- struct{}{}
	s.running.Go(func() {
		p, err := r.run(a)
		if done != nil {
			done()
		}
		a.use(-1)
		<-s.slots
		s.reply(a, p, err)
	})
}

// answer sends the reply to a request: p, or what err says, or that all is well. A reply that is nil for errLater comes later.
func (s *subsystem) answer(a *ask, p *sftp.Packet, err error) {
	switch {
	case err == errLater:
		return
	case err != nil:
		p = s.status(a.ID, err)
	case p == nil && a.Extension == sftp.ExtClose:
		p = sftp.ExtendedPacket(a.ID, sftp.Sums{Algorithm: "sha256", Hashes: a.proof})
	case p == nil:
		p = sftp.StatusPacket(a.ID, sftp.OK, "", "")
	}
	s.out.send(p)
}

// reply is answer behind the loop's back: nothing waits for what comes next.
func (s *subsystem) reply(a *ask, p *sftp.Packet, err error) {
	s.answer(a, p, err)
	s.out.flush()
}

// settle waits until everything that was asked for is answered and sent.
func (s *subsystem) settle() { s.out.settle() }

// An ask is a request with what was looked up for it.
type ask struct {
	sftp.Request
	sub      *subsystem
	path, to files.Path
	h, toH   *handle
	proof    []byte // of close@sampan: SHA-256 of what is published
}

// prepare looks up what the row says that the request is about.
func (a *ask) prepare(r *row) (err error) {
	if r.how&(named|both) != 0 {
		if a.path, err = files.Parse(files.Root, a.Path); err != nil {
			return err
		}
	}
	if r.how&both != 0 {
		if a.to, err = files.Parse(files.Root, a.To); err != nil {
			return err
		}
	}
	if r.how&handled != 0 {
		if a.h, err = a.sub.find(a.Handle); err != nil {
			return err
		}
		if r.how&twice != 0 {
			a.toH, err = a.sub.find(a.ToHandle)
		}
	}
	return err
}

func (a *ask) names(r *row) []files.Path {
	switch {
	case r.how&both != 0:
		return []files.Path{a.path, a.to}
	case r.how&named != 0:
		return []files.Path{a.path}
	}
	return nil
}

// use counts requests that run apart on the handles of a: CLOSE waits for them.
func (a *ask) use(n int) {
	for _, h := range []*handle{a.h, a.toH} {
		if h != nil {
			h.busy.Add(n)
			h.users.Add(int32(n))
		}
	}
}

// changes are the names that requests which run apart are changing.
type changes struct {
	mu    sync.Mutex
	ended sync.Cond
	held  []*change
}

type change struct{ names []files.Path } // in the form that their twins have in common

// wait waits until nothing changes any of names, or what is above or below it.
func (c *changes) wait(names ...files.Path) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.held) == 0 {
		return
	}
	names = common(names)
	for c.touches(names) {
		c.ended.Wait()
	}
}

func common(names []files.Path) []files.Path {
	for i, p := range names {
		names[i] = p.NFC()
	}
	return names
}

func (c *changes) touches(names []files.Path) bool {
	for _, ch := range c.held {
		for _, p := range ch.names {
			for _, q := range names {
				if p.Holds(q) || q.Holds(p) {
					return true
				}
			}
		}
	}
	return false
}

// begin holds names until done is called.
func (c *changes) begin(names ...files.Path) (done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := &change{common(names)}
	c.held = append(c.held, ch)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for i, other := range c.held {
			if other == ch {
				c.held = append(c.held[:i], c.held[i+1:]...)
				break
			}
		}
		c.ended.Broadcast()
	}
}

// A closing is a draft that its peer closed and that is to be published.
type closing struct {
	a    *ask
	h    *handle
	done func()
}

// publish commits a draft behind the loop's back. Those that wait together share their syncs.
func (s *subsystem) publish(c *closing) {
	if err := c.h.file.Whole(); err != nil {
		s.concluded(c, err)
		return
	}
	q := &s.closings
	q.Lock()
	defer q.Unlock()
	q.waiting = append(q.waiting, c)
	if !q.busy {
		q.busy = true
		s.running.Go(s.commit)
	}
}

// maxTogether bounds how long the first of them waits for the others.
const maxTogether = 64

// commit publishes what waits until nothing does.
func (s *subsystem) commit() {
	q := &s.closings
	for {
		q.Lock()
		n := min(len(q.waiting), maxTogether)
		some := q.waiting[:n:n]
		q.waiting = q.waiting[n:]
		if n == 0 {
			q.busy = false
			q.Unlock()
			return
		}
		q.Unlock()
		s.commitAll(some)
		s.out.flush()
	}
}

func (s *subsystem) commitAll(cs []*closing) {
	ts := make([]*session.Transfer, len(cs))
	for i, c := range cs {
		c.a.prove()
		ts[i] = c.h.file
	}
	for i, err := range session.CommitAll(ts) {
		s.concluded(cs[i], err)
	}
}

// concluded says what became of a closing.
func (s *subsystem) concluded(c *closing, err error) {
	c.h.close()
	c.done()
	s.answer(c.a, nil, err)
	<-s.closings.room
}

package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"sampan/fault"
	"sampan/sftp"
)

// A wire is one SFTP session. Any number of requests may be on their way over it: replies come in any order and are told
// apart by their ids. Two goroutines serve it; one sends what waits, gathered, the other hands replies to who asked.
type wire struct {
	host  string
	wait  time.Duration // of silence
	conn  io.ReadWriteCloser
	trace func() func(line string) // returns nil to be silent

	showing sync.Mutex

	mu    sync.Mutex
	calls map[uint32]*rpc
	next  uint32
	slow  int // calls that may take long
	queue []*sftp.Packet
	err   error // why it broke

	kick  chan struct{} // buffered: the queue is not empty
	gone  chan struct{} // closed when it broke
	near  atomic.Int64  // the shortest round trip, ns; 0 until there was one
	heard atomic.Int64  // when the last packet came, or the first call since began; Unix ns

	// What the server said of itself, set before anybody else has the wire.
	offers  map[string]string
	limits  sftp.Limits
	hashes  bool // it computes them
	several bool // a connection may have several sessions
}

// An rpc is one request on its way. reply is good between wait and free.
type rpc struct {
	w      *wire
	id     uint32
	slow   bool
	upload bool // an OPEN to write
	sent   time.Time
	came   time.Time
	reply  sftp.Reply
	packet *sftp.Packet
	err    error
	done   chan struct{}
	orphan bool // nobody waits any more
}

func newWire(conn io.ReadWriteCloser, host string, wait time.Duration, trace func() func(string)) *wire {
	w := &wire{host: host, wait: wait, conn: conn, trace: trace, calls: map[uint32]*rpc{}}
	w.kick, w.gone = make(chan struct{}, 1), make(chan struct{})
	w.limits = sftp.Limits{Packet: 34000, Read: 32 << 10, Write: 32 << 10} // what every server takes (section 3)
	return w
}

// hello exchanges the versions (section 4), and begins to serve.
func (w *wire) hello() error {
	_, werr := w.conn.Write(sftp.Hello{Version: sftp.Version}.Packet(sftp.TypeInit).Wire())
	in := bufio.NewReaderSize(w.conn, 64<<10)
	p, err := sftp.ReadPacket(in) // what a server said before it went tells more than that it went
	if err == io.EOF && werr != nil {
		err = werr
	}
	if err != nil {
		return err
	}
	h, err := sftp.ParseHello(p, sftp.TypeVersion)
	p.Free()
	if err == nil && h.Version < sftp.Version {
		err = fault.New(fault.Unsupported, "%s speaks version %d of SFTP only", w.host, h.Version)
	}
	if err != nil {
		return err
	}
	w.offers = make(map[string]string, len(h.Extensions))
	for _, e := range h.Extensions {
		w.offers[e.Name] = e.Data
	}
	go w.write()
	go w.read(in)
	go w.watch()
	return nil
}

// has reports whether the server offers an extension.
func (w *wire) has(name string) bool {
	_, ok := w.offers[name]
	return ok
}

// fail breaks the wire. Who waits for a reply hears why.
func (w *wire) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	w.err = err
	close(w.gone)
	for _, c := range w.calls {
		c.err = err
		close(c.done)
	}
	clear(w.calls)
	for _, p := range w.queue {
		p.Free()
	}
	w.queue = nil
	go w.conn.Close() // it may wait for what cannot be sent
}

// trip is the shortest round trip that was seen, what a server needs for the easiest request included.
func (w *wire) trip() time.Duration { return time.Duration(w.near.Load()) }

// broken reports whether the wire is of no more use.
func (w *wire) broken() bool {
	select {
	case <-w.gone:
		return true
	default:
		return false
	}
}

// lost is what to say about an error of the connection.
func (w *wire) lost(err error) error {
	var senseless *sftp.Error
	var own *fault.Error
	switch {
	case errors.As(err, &own):
		return err
	case errors.As(err, &senseless):
		return fault.Wrap(fault.Unsupported, err, "%s does not speak SFTP: %s", w.host, senseless.What)
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF // must not pass for the end of a file
	}
	return fault.Wrap(fault.Cut, err, "the connection to %s was lost", w.host)
}

// senseless breaks the wire because of a reply that no server gives.
func (w *wire) senseless(format string, args ...any) error {
	err := w.lost(&sftp.Error{What: fmt.Sprintf(format, args...)})
	w.fail(err)
	return err
}

// start sends a request.
func (w *wire) start(r sftp.Request) *rpc {
	c := &rpc{w: w, slow: slow(&r), upload: r.Type == sftp.TypeOpen && r.Flags&sftp.OpenWrite != 0 || r.Extension == sftp.ExtResume}
	w.traceRequest(&r)
	w.send(c, r.Packet())
	return c
}

// write sends a WRITE of data, which is copied.
func (w *wire) startWrite(handle []byte, off int64, data []byte) *rpc {
	c := &rpc{w: w}
	p, place := sftp.WritePacket(0, handle, uint64(off), len(data))
	copy(place, data)
	w.send(c, p)
	return c
}

// send gives a packet an id and has it go out.
func (w *wire) send(c *rpc, p *sftp.Packet) {
	c.done = make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		c.err = w.err
		close(c.done)
		p.Free()
		return
	}
	for w.next++; w.calls[w.next] != nil; w.next++ {
	}
	c.id, c.sent = w.next, time.Now()
	if len(w.calls) == 0 {
		w.heard.Store(c.sent.UnixNano())
	}
	w.calls[c.id] = c
	if c.slow {
		w.slow++
	}
	p.SetID(c.id)
	w.queue = append(w.queue, p)
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// gathered is how much of small packets goes out in one go.
const gathered = 32 << 10

// write sends what waits.
func (w *wire) write() {
	var queue []*sftp.Packet
	small := make([]byte, 0, gathered)
	for {
		select {
		case <-w.kick:
		case <-w.gone:
			return
		}
		w.mu.Lock()
		queue, w.queue = w.queue, queue[:0]
		w.mu.Unlock()
		var err error
		for _, p := range queue {
			if err == nil && len(small) > 0 && len(small)+p.Len() > gathered {
				_, err = w.conn.Write(small)
				small = small[:0]
			}
			switch {
			case err != nil:
			case p.Len() > gathered/2:
				_, err = w.conn.Write(p.Wire())
			default:
				small = append(small, p.Wire()...)
			}
			p.Free()
		}
		if err == nil && len(small) > 0 {
			_, err = w.conn.Write(small)
			small = small[:0]
		}
		if err != nil {
			w.fail(w.lost(err))
			return
		}
	}
}

// read hands replies to who asked.
func (w *wire) read(in io.Reader) {
	for {
		p, err := sftp.ReadPacket(in)
		if err != nil {
			w.fail(w.lost(err))
			return
		}
		now := time.Now()
		w.heard.Store(now.UnixNano())
		var r sftp.Reply
		if err := r.Parse(p); err != nil {
			w.fail(w.lost(err))
			return
		}
		if err := w.hand(r, p, now); err != nil {
			return
		}
	}
}

func (w *wire) hand(r sftp.Reply, p *sftp.Packet, now time.Time) error {
	w.traceReply(&r)
	w.mu.Lock()
	c := w.calls[r.ID]
	if c == nil {
		w.mu.Unlock()
		return w.senseless("an answer to nothing that was asked")
	}
	delete(w.calls, r.ID)
	if took := int64(now.Sub(c.sent)); w.near.Load() == 0 || took < w.near.Load() {
		w.near.Store(took)
	}
	if c.slow {
		w.slow--
	}
	if !c.orphan {
		c.reply, c.packet, c.came = r, p, now
		close(c.done)
		w.mu.Unlock()
		return nil
	}
	w.mu.Unlock()
	if r.Type == sftp.TypeHandle {
		w.giveUp(r.Handle, c.upload)
	}
	p.Free()
	return nil
}

// watch breaks a wire on which calls wait in vain.
func (w *wire) watch() {
	tick := time.NewTicker(max(w.wait/8, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-w.gone:
			return
		case now := <-tick.C:
			w.mu.Lock()
			limit, silence := w.wait, now.Sub(time.Unix(0, w.heard.Load()))
			if w.slow > 0 {
				limit = max(limit, longWait)
			}
			late := silence > limit && len(w.calls) > 0
			for _, c := range w.calls { // who answers others may not keep one waiting for ever
				late = late || now.Sub(c.sent) > max(w.wait, longWait)
			}
			w.mu.Unlock()
			if late {
				w.fail(fault.New(fault.Cut, "%s did not answer in time", w.host))
				return
			}
		}
	}
}

// wait waits for the reply. When ctx is done first, the reply is of no more interest.
func (c *rpc) wait(ctx context.Context) error {
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
	}
	c.w.mu.Lock()
	select {
	case <-c.done:
		c.w.mu.Unlock()
		return c.err
	default:
		c.orphan = true
		c.w.mu.Unlock()
		return ctx.Err()
	}
}

// free gives the reply back.
func (c *rpc) free() {
	if c.packet != nil {
		c.packet.Free()
		c.packet, c.reply = nil, sftp.Reply{}
	}
}

// tell sends a request whose answer nobody waits for.
func (w *wire) tell(r sftp.Request) {
	c := w.start(r)
	w.mu.Lock()
	defer w.mu.Unlock()
	c.orphan = true
}

// giveUp ends a handle that is of no more use. Where the server is Sampan, CLOSE would publish an upload.
func (w *wire) giveUp(handle []byte, upload bool) {
	if upload && w.ours() {
		w.tell(sftp.Request{Type: sftp.TypeExtended, Extension: sftp.ExtAbandon, Handle: handle})
		return
	}
	w.tell(sftp.Request{Type: sftp.TypeClose, Handle: handle})
}

// ours reports whether the server stages uploads by itself and keeps parts: it is Sampan.
func (w *wire) ours() bool {
	return w.has(sftp.ExtAbandon) && w.has(sftp.ExtPart) && w.has(sftp.ExtResume)
}

// An answer is a STATUS that is no success. Who asked knows the name and makes a fault of it.
type answer struct {
	code sftp.Code
	text string
}

func (a *answer) Error() string { return refusedAnswer(a, "").Error() }

// expect waits for a reply of that type. Another STATUS than OK is an *answer; what no server says breaks the wire. After a
// nil error the caller frees.
func (c *rpc) expect(ctx context.Context, t sftp.Type) error {
	if err := c.wait(ctx); err != nil {
		return err
	}
	switch r := &c.reply; {
	case r.Type == sftp.TypeStatus && (r.Code != sftp.OK || t != sftp.TypeStatus):
		err := &answer{r.Code, r.Message}
		c.free()
		if err.code == sftp.OK {
			return c.w.senseless("success where something was asked for")
		}
		return err
	case r.Type != t:
		got := r.Type
		c.free()
		return c.w.senseless("a reply of type %d where %d should be", got, t)
	}
	return nil
}

// ok waits for STATUS OK.
func (c *rpc) ok(ctx context.Context) error {
	err := c.expect(ctx, sftp.TypeStatus)
	if err == nil {
		c.free()
	}
	return err
}

// do sends a request that STATUS answers.
func (w *wire) do(ctx context.Context, r sftp.Request) error { return w.start(r).ok(ctx) }

// handle waits for a HANDLE.
func (c *rpc) handle(ctx context.Context) ([]byte, error) {
	if err := c.expect(ctx, sftp.TypeHandle); err != nil {
		return nil, err
	}
	defer c.free()
	return bytes.Clone(c.reply.Handle), nil
}

// attrs waits for ATTRS.
func (c *rpc) attrs(ctx context.Context) (sftp.Attrs, error) {
	if err := c.expect(ctx, sftp.TypeAttrs); err != nil {
		return sftp.Attrs{}, err
	}
	defer c.free()
	return c.reply.Attrs, nil
}

// extended sends an extended request and reads its reply.
func (w *wire) extended(ctx context.Context, r sftp.Request, reply parser) error {
	r.Type = sftp.TypeExtended
	return w.start(r).parsed(ctx, reply)
}

// A parser is what an EXTENDED_REPLY is read into.
type parser interface{ Parse(payload []byte) error }

// parsed waits for an EXTENDED_REPLY and reads it.
func (c *rpc) parsed(ctx context.Context, reply parser) error {
	if err := c.expect(ctx, sftp.TypeExtendedReply); err != nil {
		return err
	}
	defer c.free()
	if err := reply.Parse(bytes.Clone(c.reply.Payload)); err != nil {
		err = c.w.lost(err)
		c.w.fail(err)
		return err
	}
	return nil
}

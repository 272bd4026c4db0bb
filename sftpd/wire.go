package sftpd

import (
	"io"
	"net"
	"sync"
	"time"
)

// A wire is the connection under SSH. The library hands over each packet in two pieces and flushes it; while a wire is
// held it gathers them, so that the kernel is called once for many. It gives the peer so long to take what is sent.
type wire struct {
	net.Conn
	unread time.Duration
	in     gulp

	mu   sync.Mutex
	held int     // by how many
	out  *[]byte // what is gathered; nil for nothing
	err  error   // of a flush that nobody heard of yet
	late *time.Timer
}

// mostGathered is how much a wire gathers. What its holder does may take longer than it thinks, for the peer's window may
// be full: after lateness what is gathered goes out.
const (
	mostGathered = 256 << 10
	lateness     = time.Millisecond
)

// gathers is a pool of what bytes are gathered in. The piece that makes it full may be a whole packet.
var gathers = sync.Pool{New: func() any { b := make([]byte, 0, roomGathered); return &b }}

const roomGathered = mostGathered + 64<<10

// letGo gives back to gathers what came from it.
func letGo(b *[]byte) {
	if cap(*b) == roomGathered {
		*b = (*b)[:0]
		gathers.Put(b)
	}
}

func newWire(nc net.Conn, unread time.Duration) *wire {
	w := &wire{Conn: nc, unread: unread, in: gulp{src: nc}}
	w.late = time.AfterFunc(time.Hour, w.flushLate)
	w.late.Stop()
	return w
}

func (w *wire) Read(p []byte) (int, error) { return w.in.Read(p) }

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	if w.held == 0 {
		return w.send(p)
	}
	if w.out == nil {
		w.out = gathers.Get().(*[]byte)
		w.late.Reset(lateness)
	}
	*w.out = append(*w.out, p...)
	if len(*w.out) >= mostGathered {
		w.flush()
	}
	return len(p), w.err
}

// send writes to the socket. w.mu is held.
func (w *wire) send(p []byte) (int, error) {
	w.SetWriteDeadline(time.Now().Add(w.unread))
	return w.Conn.Write(p)
}

// flush sends what is gathered. w.mu is held.
func (w *wire) flush() {
	if w.out == nil {
		return
	}
	w.late.Stop()
	if w.err == nil {
		_, w.err = w.send(*w.out)
	}
	letGo(w.out)
	w.out = nil
}

func (w *wire) flushLate() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flush()
}

// hold gathers what is written until release.
func (w *wire) hold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held++
}

// release sends what was gathered since hold.
func (w *wire) release() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held--
	w.flush()
	return w.err
}

// A gulp reads little while little comes, so that who waits for a request holds no memory, and much at once while much
// comes. What reads from it is a bufio.Reader of that size.
type gulp struct {
	src  io.Reader
	mug  *[gulpSize]byte // what have is part of
	have []byte
	err  error // behind have
	much bool  // more is there, as far as is known
}

const (
	sip      = 4 << 10
	gulpSize = 128 << 10
)

var mugs = sync.Pool{New: func() any { return new([gulpSize]byte) }}

func (g *gulp) Read(p []byte) (int, error) {
	if len(g.have) == 0 {
		if g.err != nil {
			return 0, g.err
		}
		if !g.much && len(p) <= sip {
			n, err := g.src.Read(p)
			g.much = n == sip
			return n, err
		}
		g.fill()
	}
	n := copy(p, g.have)
	g.have = g.have[n:]
	if len(g.have) > 0 {
		return n, nil
	}
	mugs.Put(g.mug)
	g.mug = nil
	if n == 0 {
		return 0, g.err
	}
	return n, nil
}

func (g *gulp) fill() {
	g.mug = mugs.Get().(*[gulpSize]byte)
	var n int
	n, g.err = g.src.Read(g.mug[:])
	g.have = g.mug[:n]
	g.much = n == gulpSize
}

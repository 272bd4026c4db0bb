package ftpd

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"sampan/fault"
)

// Bounds of the commands sent ahead; a client that sends more waits. In block mode clients send many on purpose, and
// FEAT tells them how many may be on their way, so that an ABOR behind them is still seen.
const (
	maxHeld      = 128
	maxAhead     = 1024
	maxHeldBytes = 256 << 10
)

// A queue holds the lines that were read while a command moves: the ear puts them in, and whoever runs commands takes them.
type queue struct {
	hold   sync.Mutex // guards what follows
	held   []line
	first  int // of held, not taken yet
	bytes  int
	aborts int  // ABORs among them
	full   bool // nothing more is read until many are taken

	busy    bool          // a command moves
	inOrder bool          // what moves goes on with what is held
	ear     chan struct{} // closed when the ear ends; nil if there is none
	shut    bool          // nothing is read behind the line that was read last
	over    bool          // the session ends
	parked  *time.Timer   // wakes the session that is in the lot; nil if it is not

	ctx    context.Context // of the moving command
	cancel context.CancelCauseFunc
}

// move runs what moves bytes. The ear begins to listen when that takes long, and ends with it. Where the end of the
// connection cannot be seen behind bytes that nobody reads, and in block mode, where clients send ahead, it listens at once.
func (c *conn) move(run func()) {
	c.hold.Lock()
	c.ctx, c.cancel = context.WithCancelCause(c.sess.Context())
	c.busy, c.inOrder = true, c.blocks
	if c.blocks || !seesEnd {
		c.overhearLocked()
	}
	c.hold.Unlock()
	c.srv.pulse.begin(c)
	defer c.still()
	run()
}

// still ends the ear and the context of the command that moved.
func (c *conn) still() {
	c.gather(false)
	c.srv.pulse.end(c)
	c.hold.Lock()
	c.busy = false
	c.cancel(nil)
	if len(c.held) == 0 {
		c.held = nil
	}
	ear := c.ear
	if ear != nil {
		c.tcp.SetReadDeadline(longAgo)
		c.wakes = time.Time{}
	}
	c.hold.Unlock()
	if ear != nil {
		<-ear
	}
}

// deaf says whether nothing is read behind the line that was read last.
func (c *conn) deaf(on bool) {
	c.hold.Lock()
	defer c.hold.Unlock()
	c.shut = on
}

// wakeAt sets when reading ends without a line: at once if the session was told to end.
func (c *conn) wakeAt(t time.Time) {
	c.hold.Lock()
	defer c.hold.Unlock()
	c.wakes = t
	if c.sess.Context().Err() != nil { // whose wake may have come before
		t = longAgo
	}
	c.tcp.SetReadDeadline(t)
}

// wake ends reading, and soon the writing of replies that nobody reads.
func (c *conn) wake() {
	c.hold.Lock()
	defer c.hold.Unlock()
	if !c.over {
		c.tcp.SetReadDeadline(longAgo)
		c.tcp.SetWriteDeadline(time.Now().Add(c.srv.limits.linger))
		c.rouseLocked()
	}
}

// park leaves the session to the lot, until rouse; false if that cannot be.
func (c *conn) park() bool {
	c.hold.Lock()
	defer c.hold.Unlock()
	if c.sess.Context().Err() != nil || !c.srv.lot.park(c) {
		return false
	}
	c.parked = time.AfterFunc(time.Until(c.until()), c.rouse)
	return true
}

// rouse goes on with a session that is parked.
func (c *conn) rouse() {
	c.hold.Lock()
	defer c.hold.Unlock()
	c.rouseLocked()
}

func (c *conn) rouseLocked() {
	if c.parked == nil {
		return
	}
	c.parked.Stop()
	c.parked = nil
	c.srv.lot.leave(c)
	go c.serve()
}

// goodbye keeps wake from the last words.
func (c *conn) goodbye() {
	c.hold.Lock()
	defer c.hold.Unlock()
	c.over = true
}

// longAgo is a deadline that is over.
var longAgo = time.Unix(1, 0)

// fresh begins a context for what moves behind an ABOR.
func (c *conn) fresh() {
	c.hold.Lock()
	defer c.hold.Unlock()
	c.ctx, c.cancel = context.WithCancelCause(c.sess.Context())
}

// abort ends the command that moves.
func (c *conn) abort(why error) {
	c.hold.Lock()
	defer c.hold.Unlock()
	if c.busy {
		c.cancel(why)
	}
}

// holdBack keeps the replies of a command that moves until it ends, or until somebody listens.
func (c *conn) holdBack() {
	c.hold.Lock()
	defer c.hold.Unlock()
	if c.ear == nil {
		c.gather(true)
	}
}

// overhear makes sure that there is an ear, if a command moves and more may be read. It returns the ear.
func (c *conn) overhear() <-chan struct{} {
	c.hold.Lock()
	defer c.hold.Unlock()
	c.overhearLocked()
	return c.ear
}

func (c *conn) overhearLocked() {
	if c.ear != nil || !c.busy || c.full || c.shut || c.eof.Load() {
		return
	}
	c.ear = make(chan struct{})
	c.tcp.SetReadDeadline(time.Time{})
	go c.hear(c.ear, c.inOrder)
}

// hear is the ear.
func (c *conn) hear(ear chan struct{}, inOrder bool) {
	defer close(ear)
	defer func() {
		c.hold.Lock()
		c.ear = nil
		c.hold.Unlock()
	}()
	if !inOrder {
		c.gather(false)
	}
	for {
		l, err := c.readLine()
		if errors.Is(err, os.ErrDeadlineExceeded) { // nothing moves any more, or all ends
			return
		}
		if err != nil {
			// A control connection that ends without QUIT aborts what it began (RFC 959 section 4.1.1, QUIT).
			if c.eof.Store(true); !c.sawQuit.Load() {
				c.abort(errGone())
			}
			return
		}
		if row := c.answered(l); row != nil {
			c.run(row, "")
		} else if !c.keep(l) {
			return
		}
	}
}

// answered returns the row of a line that is answered while another command moves; nil if it has to wait.
func (c *conn) answered(l line) *command {
	c.hold.Lock()
	waits := c.inOrder || c.first < len(c.held)
	c.hold.Unlock()
	row, arg := c.find(l.cmd)
	if waits || l.err != nil || row == nil || row.need&during == 0 || arg != "" {
		return nil
	}
	return row
}

// keep puts a line in, and tells whether more may be read. An ABOR ends what moves, and drops what stands before it.
func (c *conn) keep(l line) bool {
	c.hold.Lock()
	defer c.hold.Unlock()
	c.held = append(c.held, l)
	c.bytes += len(l.cmd.Verb) + len(l.cmd.Arg)
	if l.cmd.Verb == "ABOR" && c.busy {
		c.aborts++
		c.cancel(fault.New(fault.Cut, "aborted as you asked"))
	}
	n := len(c.held) - c.first
	c.full = c.bytes >= maxHeldBytes || n >= maxAhead || !c.inOrder && n >= maxHeld
	return !c.full && !c.shut
}

// next takes a line out; aborted says that it is an ABOR behind which everything begins anew.
func (c *conn) next() (l line, aborted, ok bool) {
	c.hold.Lock()
	defer c.hold.Unlock()
	if c.first == len(c.held) {
		return line{}, false, false
	}
	l = c.held[c.first]
	c.held[c.first] = line{}
	if c.first++; c.first == len(c.held) {
		c.first, c.held = 0, c.held[:0]
	}
	c.bytes -= len(l.cmd.Verb) + len(l.cmd.Arg)
	if c.full && c.bytes < maxHeldBytes/2 && len(c.held)-c.first < maxHeld/2 {
		c.full = false
		c.overhearLocked()
	}
	if c.aborts > 0 {
		if l.cmd.Verb != "ABOR" {
			l.dropped = true
		} else {
			c.aborts--
			aborted = c.aborts == 0
		}
	}
	return l, aborted, true
}

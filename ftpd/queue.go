package ftpd

import (
	"context"
	"sync"

	"sampan/fault"
)

// Bounds of the commands sent ahead; a client that sends more waits. In block mode clients send many on purpose, and
// FEAT tells them how many may be on their way, so that an ABOR behind them is still seen.
const (
	maxHeld      = 128
	maxAhead     = 1024
	maxHeldBytes = 256 << 10
)

// A queue holds the lines that were read while a command moves. The loop puts them in; whoever runs commands takes them.
type queue struct {
	held struct {
		sync.Mutex
		lines  []line
		first  int // of lines, not taken yet
		bytes  int
		aborts int  // ABORs among them
		waits  bool // the loop waits for room
	}
	room chan struct{} // hears when there is room again

	ctx    context.Context // of the moving command
	cancel context.CancelCauseFunc
}

// fresh begins a context for a command that moves.
func (q *queue) fresh(parent context.Context) {
	q.held.Lock()
	defer q.held.Unlock()
	q.ctx, q.cancel = context.WithCancelCause(parent)
}

// abort ends the command that moves.
func (q *queue) abort(why error) {
	q.held.Lock()
	defer q.held.Unlock()
	q.cancel(why)
}

// hold puts a line in. An ABOR ends what moves, and drops what stands before it.
func (c *conn) hold(l line) {
	h := &c.held
	h.Lock()
	defer h.Unlock()
	h.lines = append(h.lines, l)
	h.bytes += len(l.cmd.Verb) + len(l.cmd.Arg)
	if l.cmd.Verb == "ABOR" && c.busy != nil {
		h.aborts++
		c.cancel(fault.New(fault.Cut, "aborted as you asked"))
	}
}

// next takes a line out; aborted says that it is an ABOR behind which everything begins anew.
func (q *queue) next() (l line, aborted, ok bool) {
	h := &q.held
	h.Lock()
	defer h.Unlock()
	if h.first == len(h.lines) {
		return line{}, false, false
	}
	l = h.lines[h.first]
	h.lines[h.first] = line{}
	if h.first++; h.first == len(h.lines) {
		h.first, h.lines = 0, h.lines[:0]
		if cap(h.lines) > 2*maxHeld {
			h.lines = nil
		}
	}
	h.bytes -= len(l.cmd.Verb) + len(l.cmd.Arg)
	if h.waits && h.bytes < maxHeldBytes/2 && len(h.lines)-h.first < maxHeld/2 {
		h.waits = false
		select {
		case q.room <- struct{}{}:
		default:
		}
	}
	if h.aborts > 0 {
		if l.cmd.Verb != "ABOR" {
			l.dropped = true
		} else {
			h.aborts--
			aborted = h.aborts == 0
		}
	}
	return l, aborted, true
}

// full reports whether no more lines should be read now.
func (q *queue) full(ahead bool) bool {
	q.held.Lock()
	defer q.held.Unlock()
	n := len(q.held.lines) - q.held.first
	q.held.waits = q.held.bytes >= maxHeldBytes || n >= maxAhead || !ahead && n >= maxHeld
	return q.held.waits
}

func (q *queue) nothingHeld() bool {
	q.held.Lock()
	defer q.held.Unlock()
	return q.held.first == len(q.held.lines)
}

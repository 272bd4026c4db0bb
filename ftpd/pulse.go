package ftpd

import (
	"sync"
	"time"
)

// A pulse makes the commands that take longer than a beat be listened to. Most are over by then, and a timer for each would
// cost as much as a small file.
type pulse struct {
	mu    sync.Mutex
	busy  map[*conn]bool // by the commands under way: whether they were there at the last beat
	timer *time.Timer
	every time.Duration
	beats bool // the timer runs
	still bool // nothing began since the last beat
}

func (p *pulse) begin(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy == nil {
		p.busy, p.every = map[*conn]bool{}, c.srv.limits.beat
	}
	p.busy[c], p.still = false, false
	if !p.beats {
		p.beats = true
		p.next()
	}
}

func (p *pulse) end(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.busy, c)
}

func (p *pulse) beat() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c, seen := range p.busy {
		if p.busy[c] = true; seen {
			delete(p.busy, c)
			c.overhear()
		}
	}
	if p.beats = len(p.busy) > 0 || !p.still; p.beats {
		p.next()
	}
	p.still = true
}

func (p *pulse) next() {
	if p.timer == nil {
		p.timer = time.AfterFunc(p.every, p.beat)
	} else {
		p.timer.Reset(p.every)
	}
}

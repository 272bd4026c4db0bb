package session

import (
	"context"
	"slices"
	"time"

	"sampan/fault"
	"sampan/files"
)

// A client whose line broke often comes back while the server still takes the old connection for alive. So an upload
// that received nothing for halfDead is parked as soon as another session of its account asks for the name.
const (
	halfDead   = 5 * time.Second
	parkWithin = time.Second // how long the parking itself may take
	look       = 20 * time.Millisecond
)

// A target is what an account uploads to.
type target struct {
	home, account string
	path          files.Path
}

func (v visit) target(p files.Path) target { return target{v.acct.Home, v.acct.Name, p.NFC()} }

// enlist puts t in the live list. If the session ended meanwhile t is closed and refused.
func (h *Hub) enlist(t *Transfer) (*Transfer, error) {
	t.ctx, t.cancel = context.WithCancelCause(t.s.ctx)
	h.mu.Lock()
	if t.s.ctx.Err() == nil {
		t.s.transfers = append(t.s.transfers, t)
		if t.up != nil {
			h.uploads[t.key] = append(h.uploads[t.key], t)
		}
		h.mu.Unlock()
		return t, nil
	}
	h.mu.Unlock()
	t.Close()
	return nil, t.s.gone()
}

// strike takes t out of the live list.
func (h *Hub) strike(t *Transfer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.uncount(t)
	t.s.transfers = without(t.s.transfers, t)
	if t.up != nil {
		if h.uploads[t.key] = without(h.uploads[t.key], t); len(h.uploads[t.key]) == 0 {
			delete(h.uploads, t.key)
		}
	}
	h.rest(t.s)
}

func without(ts []*Transfer, t *Transfer) []*Transfer {
	if i := slices.Index(ts, t); i >= 0 {
		ts = slices.Delete(ts, i, i+1)
	}
	return ts
}

// takeOver parks the uploads of k by other sessions than s that are half dead, and reports whether one is alive.
// Unless patient it asks only how things stand; else it waits until each received something, ended, or was silent for long enough.
func (h *Hub) takeOver(s *Session, k target, patient bool) (alive bool) {
	h.mu.Lock()
	others := slices.DeleteFunc(slices.Clone(h.uploads[k]), func(t *Transfer) bool { return t.s == s })
	h.mu.Unlock()
	asked := time.Now()
	for _, t := range others {
		if !t.yields(s, asked, patient) {
			alive = true
		}
	}
	return alive
}

// yields waits until t has ended (true) or shows that it is alive (false), and aborts it if it is half dead.
func (t *Transfer) yields(s *Session, asked time.Time, patient bool) bool {
	tick := time.NewTicker(look)
	defer tick.Stop()
	var aborted time.Time
	for now := asked; ; now = time.Now() {
		switch {
		case !aborted.IsZero():
			if now.Sub(aborted) > parkWithin {
				return false
			}
		case !t.settled.Load() && t.silence(now) >= halfDead:
			t.Abort(fault.New(fault.Cut, "another of your sessions goes on with it"))
			aborted = now
		case !patient, time.Unix(0, t.heard.Load()).After(asked), now.Sub(asked) > halfDead:
			return false
		}
		select {
		case <-t.closed:
			return true
		case <-s.ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

package session

import (
	"context"
	"errors"
	"slices"

	"sampan/fault"
)

// A guest is what the sessions of one account have in common.
type guest struct {
	down, up *valve

	// under Hub.mu
	sessions  int
	transfers int             // whose bytes are not all there yet
	lists     int             // directories that are being read
	waiting   []chan struct{} // each is closed when there is room for a transfer
}

// seat makes l the log-in of s, which counts among the sessions of its account. TooMany when these are as many as they
// may be.
func (h *Hub) seat(s *Session, l *login) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sessions[s.id] != s {
		return s.gone()
	}
	h.unseat(s)
	g := h.guests[l.name]
	if g == nil {
		g = &guest{down: newValve(), up: newValve()}
		h.guests[l.name] = g
	}
	if g.sessions >= h.cfg.MaxPerAccount {
		return fault.New(fault.TooMany, "your account has as many sessions as it may; end one and try again")
	}
	g.sessions++
	l.guest = g
	s.login.Store(l)
	return nil
}

// unseat takes the log-in from s. h.mu is held.
func (h *Hub) unseat(s *Session) {
	if l := s.login.Swap(nil); l != nil {
		l.guest.sessions--
	}
}

// errCrowded is the cause of a Busy that ends when a transfer of the account does.
var errCrowded = errors.New("as many transfers as the account may have")

// count counts t among the transfers of its account; Busy when these are as many as they may be.
func (h *Hub) count(t *Transfer) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.who.guest.transfers >= h.cfg.MaxTransfers {
		return fault.Wrap(fault.Busy, errCrowded, "your account moves as many files at once as it may; wait until one has ended")
	}
	t.counted = true
	t.who.guest.transfers++
	return nil
}

// uncount is the reverse of count; once is enough. h.mu is held.
func (h *Hub) uncount(t *Transfer) {
	if t.counted {
		t.counted = false
		t.who.guest.transfers--
		h.call(t.who.guest)
	}
}

// call calls the first who waits for a transfer of g, if there is room for one. h.mu is held.
func (h *Hub) call(g *guest) {
	if len(g.waiting) > 0 && g.transfers < h.cfg.MaxTransfers {
		close(g.waiting[0])
		g.waiting = slices.Delete(g.waiting, 0, 1)
	}
}

// Crowded reports whether an error of one of s's doors says that the account has as many transfers as it may; see WhenRoom.
func Crowded(err error) bool { return errors.Is(err, errCrowded) }

// WhenRoom calls begin, which begins a transfer, until its error is not Crowded: again when another one of the account
// ended. When ctx ends first the error is what begin returned last.
func (s *Session) WhenRoom(ctx context.Context, begin func() error) error {
	h := s.hub
	for {
		err := begin()
		l := s.login.Load()
		if l == nil {
			return err
		}
		h.mu.Lock()
		if !Crowded(err) {
			h.call(l.guest) // it may have been called and not have begun any
			h.mu.Unlock()
			return err
		}
		turn := make(chan struct{})
		l.guest.waiting = append(l.guest.waiting, turn)
		h.call(l.guest)
		h.mu.Unlock()
		select {
		case <-turn:
		case <-ctx.Done():
			h.mu.Lock()
			defer h.mu.Unlock()
			if i := slices.Index(l.guest.waiting, turn); i >= 0 {
				l.guest.waiting = slices.Delete(l.guest.waiting, i, i+1)
			} else {
				h.call(l.guest)
			}
			return err
		}
	}
}

// mostLists is how many directories one account reads at once. Each takes a descriptor while it is read, and over SFTP its
// reader may leave it open: without a limit one account could take all that the server has.
const mostLists = 1000

// countList counts one that is read; uncountList is the reverse.
func (h *Hub) countList(l *login) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l.guest.lists >= mostLists {
		return fault.New(fault.Busy, "your account reads as many directories at once as it may; close some")
	}
	l.guest.lists++
	return nil
}

func (h *Hub) uncountList(l *login) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l.guest.lists--
}

// forgetGuests drops those who are gone, when their valves are free: who comes back sooner finds them as they were.
func (h *Hub) forgetGuests() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, g := range h.guests {
		if g.sessions == 0 && g.transfers == 0 && g.lists == 0 && g.down.wait() <= 0 && g.up.wait() <= 0 {
			delete(h.guests, name)
		}
	}
}

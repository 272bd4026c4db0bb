package session

import (
	"sync"
	"time"

	"sampan/files"
)

// View is one live session for the console and `who`.
type View struct {
	ID      int64
	Account string // "" before log-in
	Via     Via
	Since   time.Time
	Idle    time.Duration // since the last request or byte
	Doing   *Moving       // nil when idle
}

// Live lists the sessions, oldest first.
func (h *Hub) Live() []View {
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]View, 0, len(h.sessions))
	for _, s := range h.allLocked() {
		v := View{
			ID: s.id, Via: s.via, Since: s.since,
			Idle: max(0, now.Sub(time.Unix(0, s.heard.Load()))),
		}
		if l := s.login.Load(); l != nil {
			v.Account = l.name
		}
		if len(s.transfers) > 0 {
			v.Doing = s.transfers[0].moving(now)
		}
		list = append(list, v)
	}
	return list
}

// Moving is one transfer under way.
type Moving struct {
	Verb        string // "put" or "get"
	Path        files.Path
	Done, Size  int64 // Size -1 if unknown; both count from the file's first byte
	Started     time.Time
	BytesPerSec float64 // over the last seconds
}

// A meter tells the rate of the last seconds from what was counted at a few moments.
type meter struct {
	mu    sync.Mutex
	marks [8]mark // a ring
	next  int     // marks made so far
}

type mark struct {
	at   time.Time
	done int64
}

const (
	markEvery  = 500 * time.Millisecond
	rateWindow = 3 * time.Second
)

// note records that done bytes are through.
func (m *meter) note(now time.Time, done int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.next > 0 && now.Sub(m.marks[(m.next-1)%len(m.marks)].at) < markEvery {
		return
	}
	m.marks[m.next%len(m.marks)] = mark{now, done}
	m.next++
}

// rate returns bytes a second up to now, when done are through, since the latest mark that is a window old, else since the oldest.
func (m *meter) rate(now time.Time, done int64) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	var from mark
	for i := m.next - 1; i >= 0 && i >= m.next-len(m.marks); i-- {
		from = m.marks[i%len(m.marks)]
		if now.Sub(from.at) >= rateWindow {
			break
		}
	}
	took := now.Sub(from.at).Seconds()
	if from.at.IsZero() || took <= 0 {
		return 0
	}
	return float64(done-from.done) / took
}

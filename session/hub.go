package session

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sampan/account"
	"sampan/fault"
	"sampan/files"
)

// Config is what a Hub needs.
type Config struct {
	Book    *account.Book
	Strict  bool
	PartAge time.Duration
	Stall   time.Duration // a transfer that moves no byte for so long is cut; 0 is 5 min
	Limits
	Log *slog.Logger
}

// Limits can be changed while a Hub runs.
type Limits struct {
	MaxSessions   int   // 0 is 1000
	MaxPerAddress int   // sessions; 0 is 50; an IPv6 address counts with its /64
	MaxPerAccount int   // sessions; 0 is 200
	MaxTransfers  int   // of one account at once, open files of SFTP among them; 0 is 1000
	Down, Up      int64 // bytes a second of all downloads, and of all uploads; 0 or less is no limit
}

// Hub admits sessions, keeps the live list and the open homes, and drains.
type Hub struct {
	cfg  Config
	book *account.Book
	log  *slog.Logger

	mu       sync.Mutex
	left     sync.Cond // a session left
	draining bool
	closed   bool
	lastID   int64
	sessions map[int64]*Session
	perNet   map[netip.Prefix]int
	guests   map[string]*guest      // by the account's name
	uploads  map[target][]*Transfer // not closed yet
	homes    map[string]*home       // by directory

	down, up         *valve // of the whole server
	downRate, upRate atomic.Int64

	stop    context.CancelFunc // of the caretaker
	stopped chan struct{}
}

// A home is opened once and then shared.
type home struct {
	open  func() (*files.Home, error)
	quota sync.Mutex // held from asking the Book for the quota until it is set
}

// Strict reports whether a commit waits until all of it is on stable storage.
func (h *Hub) Strict() bool { return h.cfg.Strict }

// NewHub returns a Hub over an open Book.
func NewHub(c Config) *Hub {
	if c.Stall == 0 {
		c.Stall = 5 * time.Minute
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	h := &Hub{
		cfg: c, book: c.Book, log: c.Log,
		sessions: map[int64]*Session{},
		perNet:   map[netip.Prefix]int{},
		guests:   map[string]*guest{},
		uploads:  map[target][]*Transfer{},
		homes:    map[string]*home{},
		down:     newValve(), up: newValve(),
		stop: stop, stopped: make(chan struct{}),
	}
	h.left.L = &h.mu
	h.SetLimits(c.Limits)
	go h.care(ctx)
	return h
}

// care looks every second whether the Book changed, so that whoever was suspended goes even when nothing moves, and who
// is gone; and every hour for parts that nobody resumed.
func (h *Hub) care(ctx context.Context) {
	defer close(h.stopped)
	second, hour := time.NewTicker(time.Second), time.NewTicker(time.Hour)
	defer second.Stop()
	defer hour.Stop()
	seen := h.book.Version()
	for {
		select {
		case <-ctx.Done():
			return
		case <-second.C:
			h.forgetGuests()
			if v := h.book.Version(); v != seen {
				seen = v
				h.recheck()
			}
		case <-hour.C:
			for dir, home := range h.opened() {
				h.expire(ctx, dir, home)
			}
		}
	}
}

// recheck kicks the sessions whose account is no longer let in.
func (h *Hub) recheck() {
	for _, s := range h.all() {
		if s.login.Load() != nil {
			s.who()
		}
	}
}

// expire removes the parts of a home that nobody resumed.
func (h *Hub) expire(ctx context.Context, dir string, home *files.Home) {
	if n, err := home.Expire(ctx); err != nil {
		h.log.Warn("parts could not be expired", "home", dir, "error", err)
	} else if n > 0 {
		h.log.Info("parts expired", "home", dir, "count", n)
	}
}

// all returns the sessions, oldest first.
func (h *Hub) all() []*Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.allLocked()
}

func (h *Hub) allLocked() []*Session {
	list := make([]*Session, 0, len(h.sessions))
	for _, s := range h.sessions {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *Session) int { return int(a.id - b.id) })
	return list
}

// opened returns the homes that are open, by directory.
func (h *Hub) opened() map[string]*files.Home {
	h.mu.Lock()
	entries := maps.Clone(h.homes)
	h.mu.Unlock()
	list := map[string]*files.Home{}
	for dir, e := range entries {
		if home, err := e.open(); err == nil {
			list[dir] = home
		}
	}
	return list
}

// Close closes all homes; call it after Drain.
func (h *Hub) Close() error {
	h.stop()
	<-h.stopped
	h.mu.Lock()
	h.draining, h.closed = true, true
	h.mu.Unlock()
	var errs []error
	for _, home := range h.opened() {
		errs = append(errs, home.Close())
	}
	h.mu.Lock()
	clear(h.homes)
	h.mu.Unlock()
	return errors.Join(errs...)
}

// Home opens (or shares) the home of an account, with the quota that the Book says now: the account in hand may be
// older than a change, as it is after a log-in that took its time. A home whose directory was moved away or replaced is
// closed and opened anew, for what is told to be safe must be found under its name.
func (h *Hub) Home(a account.Account) (*files.Home, error) {
	dir := filepath.Clean(a.Home)
	e, opened, err := h.shared(dir, a.Quota)
	if err == nil && !opened.IsAt(dir) {
		h.log.Warn("a home was moved or replaced while it was open", "home", dir)
		h.forget(dir, e)
		if err := opened.Close(); err != nil {
			h.log.Warn("a home could not be closed", "home", dir, "error", err)
		}
		e, opened, err = h.shared(dir, a.Quota)
	}
	if err != nil {
		return nil, err
	}
	e.quota.Lock()
	defer e.quota.Unlock()
	quota, err := h.book.Quota(context.Background(), a.Home)
	if err != nil {
		return nil, err
	}
	opened.SetQuota(quota)
	return opened, nil
}

// shared returns the open home of a directory.
func (h *Hub) shared(dir string, quota int64) (*home, *files.Home, error) {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil, nil, stopping()
	}
	e := h.homes[dir]
	if e == nil {
		e = &home{open: sync.OnceValues(func() (*files.Home, error) {
			opened, err := files.OpenHome(dir, files.Options{
				Strict: h.cfg.Strict, PartAge: h.cfg.PartAge, Quota: quota, Log: h.log,
			})
			if err == nil {
				h.expire(context.Background(), dir, opened)
			}
			return opened, err
		})}
		h.homes[dir] = e
	}
	h.mu.Unlock()
	opened, err := e.open()
	if err != nil {
		h.forget(dir, e) // the next one tries again
	}
	return e, opened, err
}

// forget takes e out of the open homes.
func (h *Hub) forget(dir string, e *home) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.homes[dir] == e {
		delete(h.homes, dir)
	}
}

// Via says how somebody came.
type Via struct {
	Proto  string // "ftp", "ftps"
	Remote netip.AddrPort
	TLS    bool
}

// network is what MaxPerAddress counts: an IPv4 address, or the /64 of an IPv6 one, for that is what one person has.
func (v Via) network() netip.Prefix {
	a := v.Remote.Addr().Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// SetLimits changes the limits from now on, for transfers under way too; who is in stays in.
func (h *Hub) SetLimits(l Limits) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l.MaxSessions = cmp.Or(l.MaxSessions, 1000)
	l.MaxPerAddress = cmp.Or(l.MaxPerAddress, 50)
	l.MaxPerAccount = cmp.Or(l.MaxPerAccount, 200)
	l.MaxTransfers = cmp.Or(l.MaxTransfers, 1000)
	h.cfg.Limits = l
	for _, g := range h.guests {
		h.call(g)
	}
	h.downRate.Store(l.Down)
	h.upRate.Store(l.Up)
}

// Begin admits a connection. TooMany past the limits, unless somebody who did not log in gives way; Stopped while draining. Kick and Drain end the session;
// Session.Context tells the protocol.
func (h *Hub) Begin(v Via) (*Session, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	net := v.network()
	switch {
	case h.draining:
		return nil, stopping()
	case h.perNet[net] >= h.cfg.MaxPerAddress && !h.makeRoom(net, true):
		return nil, fault.New(fault.TooMany, "your address has as many sessions as it may; end one and try again")
	case len(h.sessions) >= h.cfg.MaxSessions && !h.makeRoom(net, false):
		return nil, fault.New(fault.TooMany, "the server has as many sessions as it may; try again later")
	}
	h.lastID++
	s := &Session{hub: h, id: h.lastID, since: time.Now(), via: v}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.Touch()
	h.sessions[s.id] = s
	h.perNet[net]++
	return s, nil
}

// leave takes s out of the list.
func (h *Hub) leave(s *Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(s)
}

// drop is leave, for who holds h.mu.
func (h *Hub) drop(s *Session) {
	if h.sessions[s.id] != s {
		return
	}
	delete(h.sessions, s.id)
	h.unseat(s)
	net := s.via.network()
	if h.perNet[net]--; h.perNet[net] == 0 {
		delete(h.perNet, net)
	}
	h.left.Broadcast()
}

// Kick ends a session for a reason that its user is told; false if there is no such session.
func (h *Hub) Kick(id int64, why error) bool {
	h.mu.Lock()
	s := h.sessions[id]
	h.mu.Unlock()
	if s == nil {
		return false
	}
	h.log.Info("kicked", "session", s.id, "remote", s.via.Remote.String(), "reason", why.Error())
	s.stop(why)
	return true
}

// KickAccount ends all sessions of an account and returns how many.
func (h *Hub) KickAccount(name string, why error) int {
	n := 0
	for _, s := range h.all() {
		if l := s.login.Load(); l != nil && strings.EqualFold(l.name, name) && h.Kick(s.id, why) {
			n++
		}
	}
	return n
}

// Drain stops admission, ends idle sessions at once and the others when their transfer ends or ctx does, and returns
// when none is left. What was cut is parked.
func (h *Hub) Drain(ctx context.Context) {
	h.mu.Lock()
	h.draining = true
	for _, s := range h.sessions {
		h.rest(s)
	}
	h.mu.Unlock()
	cut := context.AfterFunc(ctx, func() {
		for _, s := range h.all() {
			s.stop(stopping())
		}
	})
	defer cut()
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.sessions) > 0 {
		h.left.Wait()
	}
}

// rest ends s if the server drains and s has nothing under way. h.mu is held.
func (h *Hub) rest(s *Session) {
	if h.draining && s.requests == 0 && len(s.transfers) == 0 {
		s.stop(stopping())
	}
}

func stopping() error { return fault.New(fault.Stopped, "the server is stopping") }

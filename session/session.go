// Package session is the one door: everything that a protocol can do to a file is a method of Session. Permission,
// quota, the live list and transfer records happen here and nowhere else; protocol packages only translate.
//
// What each act needs (letters as in account.Perm, looked up at the path itself):
//
//	Enter            e
//	Stat, List       l; who may not list but may put learns of their own part, and of nothing else
//	Get, Sum         r
//	Copy             r at what is read, and what Put needs
//	Put from 0       w, also where a file is replaced
//	Put behind       a; where it goes on inside the file, so that old bytes are replaced, w as well
//	Put of the part  w or a, and so do Part and DropPart
//	Edit, Resize     w; a where it only appends. Set of one's own draft as below, and M for the mode of a new file
//	Remove           d
//	Rename           f at both ends, and at every grant below them; to replace something d at the target as well
//	Mkdir            m
//	Set              M for the mode, T for the time
//	Operate          an operator, whatever is granted
//
// What is denied is answered fault.Denied before the store is asked, so that nobody learns what is there.
package session

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"sampan/account"
	"sampan/fault"
	"sampan/files"
)

// Session is one connection. Its methods may be called by several goroutines (SFTP does).
type Session struct {
	hub    *Hub
	id     int64
	since  time.Time
	ctx    context.Context
	cancel context.CancelCauseFunc
	wake   atomic.Pointer[func()]
	login  atomic.Pointer[login] // nil: nobody; changed under hub.mu
	heard  atomic.Int64          // time of the last request or byte, Unix ns

	// under hub.mu
	via       Via
	requests  int         // methods at work
	transfers []*Transfer // not closed yet, oldest first

	ending sync.Once
}

// End ends the session; running transfers are parked. It waits for calls of ReadFrom, WriteTo and Commit that still
// run: Context is done by then, so whoever made them lets go of the data connection. It is idempotent.
func (s *Session) End() {
	s.stop(fault.New(fault.Stopped, "the session has ended"))
	s.ending.Do(func() {
		for t := s.anyTransfer(); t != nil; t = s.anyTransfer() {
			t.Close()
		}
		s.hub.leave(s)
		s.hub.log.Debug("session ended", "session", s.id, "remote", s.via.Remote.String(), "reason", s.gone().Error())
	})
}

// anyTransfer returns a transfer that is not closed, nil if there is none.
func (s *Session) anyTransfer() *Transfer {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if len(s.transfers) == 0 {
		return nil
	}
	return s.transfers[0]
}

// Context is done when the session is kicked, drained or ended; context.Cause tells why. While a server drains it is
// done when the last Transfer closes, so a protocol finishes the reply in hand before it looks.
func (s *Session) Context() context.Context { return s.ctx }

// Wake makes f be called when Context is done, at once if it is: it wakes who waits for the client. It may be called more
// than once, on any goroutine, and must not call the session.
func (s *Session) Wake(f func()) {
	s.wake.Store(&f)
	if s.ctx.Err() != nil {
		f()
	}
}

// stop ends the context.
func (s *Session) stop(why error) {
	s.cancel(why)
	if f := s.wake.Load(); f != nil {
		(*f)()
	}
}

// ID is unique in this run of the server.
func (s *Session) ID() int64 { return s.id }

// SetTLS notes that the connection is now encrypted (AUTH TLS).
func (s *Session) SetTLS(on bool) {
	s.hub.mu.Lock()
	s.via.TLS = on
	s.hub.mu.Unlock()
}

// Touch notes activity (a command was read).
func (s *Session) Touch() { s.heard.Store(time.Now().UnixNano()) }

// Login lets the account in: Book.Check, then its home is opened. A second Login replaces the first, also when it
// fails. Unauth for every refusal of the Book; TooMany when there were too many tries, or the account has as many sessions
// as it may.
func (s *Session) Login(name, password string) error { return s.prove(s.proof(name, password)) }

// LoginKey is Login for who signed with a public key, as SSH has it.
func (s *Session) LoginKey(name string, key []byte) error {
	return s.prove(account.Proof{Name: name, Key: key, Remote: s.address().String()})
}

// LoginVouched is Login for whom an authority that the operator trusts says to be the owner of the account.
func (s *Session) LoginVouched(name string) error {
	return s.prove(account.Proof{Name: name, Vouched: true, Remote: s.address().String()})
}

// MayOffer reports whether LoginKey would let somebody in who signs with key.
func (s *Session) MayOffer(name string, key []byte) bool {
	ok, err := s.hub.book.HasKey(s.ctx, name, key)
	return ok && err == nil
}

func (s *Session) prove(p account.Proof) error {
	s.Logout()
	done, err := s.request()
	if err != nil {
		return err
	}
	defer done()
	l := &login{hub: s.hub, version: s.hub.book.Version()}
	a, err := s.hub.book.Check(s.ctx, p)
	if err == nil {
		l.name = a.Name
		if err = l.take(a); err == nil {
			err = s.hub.seat(s, l)
		}
	}
	if err != nil {
		s.hub.log.Warn("log-in refused", "session", s.id, "account", p.Name, "proto", s.via.Proto,
			"remote", s.via.Remote.String(), "reason", err.Error())
		return err
	}
	s.hub.log.Info("log-in", "session", s.id, "account", a.Name, "proto", s.via.Proto, "remote", s.via.Remote.String(), "reason", "ok")
	return nil
}

func (s *Session) proof(name, password string) account.Proof {
	return account.Proof{Name: name, Password: password, Remote: s.address().String()}
}

// address is where the connection comes from, IPv4 as such.
func (s *Session) address() netip.Addr { return s.via.Remote.Addr().Unmap().WithZone("") }

// Logout forgets the account (REIN, AUTH). A transfer under way goes on as the account that began it (RFC 959
// section 4.1.1, REIN).
func (s *Session) Logout() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.hub.unseat(s)
}

// Account returns who is logged in, as the Book says now; Unauth if nobody is or the account was suspended or removed.
func (s *Session) Account() (account.Account, error) {
	a, _, err := s.who()
	return a, err
}

// who is Account with the account's Store. A session whose account is no longer let in is kicked.
func (s *Session) who() (account.Account, *files.Local, error) {
	return s.admitted(s.login.Load())
}

// admitted is who for a log-in of s.
func (s *Session) admitted(l *login) (account.Account, *files.Local, error) {
	if l == nil {
		return account.Account{}, nil, fault.New(fault.Unauth, "log in first")
	}
	a, store, err := l.now(s.ctx)
	if fault.KindOf(err) == fault.Unauth {
		s.stop(err)
	}
	return a, store, err
}

// Operate returns what an operator may do to other sessions; Denied to everybody else.
func (s *Session) Operate() (*Hub, error) {
	a, _, err := s.who()
	if err == nil && !a.Operator {
		err = fault.New(fault.Denied, "only operators may do this")
	}
	if err != nil {
		return nil, err
	}
	return s.hub, nil
}

// Register files a request for an account, see account.Book.
func (s *Session) Register(name, email, password, note string) (account.Ticket, error) {
	done, err := s.request()
	if err != nil {
		return "", err
	}
	defer done()
	return s.hub.book.Register(s.ctx, name, email, s.proof(name, password), note)
}

// Answer tells how the request of a ticket stands, see account.Book.
func (s *Session) Answer(t account.Ticket) (account.Answer, error) {
	done, err := s.request()
	if err != nil {
		return account.Answer{}, err
	}
	defer done()
	return s.hub.book.Answer(s.ctx, t)
}

// Passwd changes the logged-in account's own password after proving the old one. Other sessions of the account stay.
func (s *Session) Passwd(old, new string) error {
	done, err := s.request()
	if err != nil {
		return err
	}
	defer done()
	a, _, err := s.who()
	if err != nil {
		return err
	}
	if _, err = s.hub.book.Check(s.ctx, s.proof(a.Name, old)); err == nil {
		_, err = s.hub.book.Update(s.ctx, a.Name, account.Change{Password: &new})
	}
	if err != nil {
		s.hub.log.Warn("password not changed", "session", s.id, "account", a.Name, "remote", s.via.Remote.String(), "reason", err.Error())
		return err
	}
	s.hub.log.Info("password changed", "session", s.id, "account", a.Name, "remote", s.via.Remote.String(), "reason", "ok")
	return nil
}

// request notes that a method is at work, so that a drain waits for it; the caller calls done. It fails when the
// session or the server is ending.
func (s *Session) request() (done func(), err error) {
	if s.ctx.Err() != nil {
		return nil, s.gone()
	}
	s.Touch()
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return nil, stopping()
	}
	s.requests++
	return s.requested, nil
}

func (s *Session) requested() {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	s.requests--
	h.rest(s)
}

// gone says why the session's context is done.
func (s *Session) gone() error { return why(s.ctx) }

// why returns the cause of ctx as a fault.
func why(ctx context.Context) error {
	err := context.Cause(ctx)
	if err == context.Canceled || err == context.DeadlineExceeded {
		return fault.Wrap(fault.Stopped, err, "the session has ended")
	}
	return err
}

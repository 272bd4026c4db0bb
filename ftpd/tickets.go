package ftpd

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// Data connections are bound to their control connection by TLS tickets (RFC 5077, RFC 8446 section 4.6.1): a ticket
// carries the id of the control connection that it was given on, and only our client can show it. What is asked of data
// connections is the operator's to say:
//
//   - "required": each shows a ticket of its own control connection.
//   - "auto": each that can, and nobody shows one of somebody else.
//   - "off": nobody looks.
//
// Some clients share one memory of sessions between all their connections, and keep one session there for a server: what
// is shown on one connection was given on another, and there may be nothing left to show. So under auto the sessions of one
// account from one address count as one client.

// ticketMark begins what the tickets carry beside the session: the id of their control connection follows.
var ticketMark = []byte("sampan-control:")

// mark makes cfg write tickets that carry the id of this control connection.
func (c *conn) mark(cfg *tls.Config) {
	base := c.srv.tls
	cfg.WrapSession = func(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
		ss.Extra = [][]byte{slices.Concat(ticketMark, c.id)}
		return base.EncryptTicket(cs, ss)
	}
}

// givenOn returns the id of the control connection that a ticket was given on.
func givenOn(ss *tls.SessionState) []byte {
	for _, extra := range ss.Extra {
		if id, ok := bytes.CutPrefix(extra, ticketMark); ok {
			return id
		}
	}
	return nil
}

// owners remembers the accounts of control connections with TLS, by their ids: about the last 10,000 to 20,000 log-ins, so
// that also one that has ended is known for a while.
type owners struct {
	mu             sync.Mutex
	recent, before map[string]string
}

func (o *owners) set(id []byte, account string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.recent == nil || len(o.recent) >= 10_000 {
		o.recent, o.before = map[string]string{}, o.recent
	}
	o.recent[string(id)] = account
}

// get returns "" for a control connection that nobody logged in on, or that is forgotten.
func (o *owners) get(id []byte) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if account := o.recent[string(id)]; account != "" {
		return account
	}
	return o.before[string(id)]
}

// tickets are what the client of a control connection can resume on its data connections.
type tickets struct {
	given bool // it was given one
	once  bool // crypto/tls gives one, and with TLS 1.3 clients may show it once only (RFC 8446 appendix C.4)
	shown bool // one that was its own to show was shown
	keeps bool // more than once
}

// A holder is whoever is at the other end of a control connection under TLS.
type holder struct {
	id    []byte
	known chan struct{} // closed when the session has logged in, or ended
	seat  seat          // the zero one before and after; under holders.Mutex
	spent atomic.Bool   // what it was given was shown on another control connection
}

// A seat is what the sessions of one client have in common.
type seat struct {
	account string
	peer    netip.Addr
}

// A circle is the sessions under TLS that have a seat in common.
type circle struct {
	n       int
	several bool // there were two at once, and always one since
}

// holders are all of them.
type holders struct {
	sync.Mutex
	byID    map[string]*holder // the id of the control connection
	circles map[seat]*circle
}

// meet makes a holder known by the id of his control connection.
func (hs *holders) meet(id []byte) *holder {
	h := &holder{id: id, known: make(chan struct{})}
	hs.Lock()
	defer hs.Unlock()
	hs.byID[string(id)] = h
	return h
}

// sit gives a holder his seat, the zero one when he logs out. There is none without TLS.
func (hs *holders) sit(h *holder, at seat) {
	if h == nil {
		return
	}
	hs.Lock()
	defer hs.Unlock()
	if old := hs.circles[h.seat]; old != nil {
		if old.n--; old.n == 0 {
			delete(hs.circles, h.seat)
		}
	}
	h.seat = at
	if at == (seat{}) {
		return
	}
	all := hs.circles[at]
	if all == nil {
		all = &circle{}
		hs.circles[at] = all
	}
	all.n++
	all.several = all.several || all.n > 1
	h.tell()
}

// leave forgets a holder.
func (hs *holders) leave(h *holder) {
	if h == nil {
		return
	}
	hs.sit(h, seat{})
	hs.Lock()
	defer hs.Unlock()
	delete(hs.byID, string(h.id))
	h.tell()
}

func (h *holder) tell() {
	select {
	case <-h.known:
	default:
		close(h.known)
	}
}

// find returns the holder by the id of his control connection, nil if he is gone.
func (hs *holders) find(id []byte) *holder {
	hs.Lock()
	defer hs.Unlock()
	return hs.byID[string(id)]
}

// wait returns when it is known who logged in on a control connection, or there is no more time.
func (hs *holders) wait(ctx context.Context, id []byte) {
	if h := hs.find(id); h != nil {
		select {
		case <-h.known:
		case <-ctx.Done():
		}
	}
}

// alone reports whether a holder has his seat for himself.
func (hs *holders) alone(h *holder) bool {
	hs.Lock()
	defer hs.Unlock()
	all := hs.circles[h.seat]
	return all == nil || !all.several
}

// left reports whether the client must have a ticket that it can show.
func (c *conn) left() bool {
	switch {
	case !c.given, c.once && c.holder.spent.Load():
		return false
	case c.once && c.shown && !c.keeps:
		return false
	}
	return c.srv.holders.alone(c.holder)
}

var (
	errForeignTicket = errors.New("the data connection resumes the TLS session of another account")
	errNoTicket      = errors.New("the data connection does not resume the TLS session of its control connection")
)

// recognize reports whether a ticket is of this client, and refuses one that was given to somebody else. One that was given
// where somebody is logging in is looked at when he has; one of which nothing comes to be known counts as none.
func (c *conn) recognize(ctx context.Context, ss *tls.SessionState) (ours bool, err error) {
	id, mode := givenOn(ss), c.srv.cfg.TLSData
	switch {
	case mode == "off", bytes.Equal(id, c.id):
		return true, nil
	case mode == "required":
		return false, errForeignTicket
	}
	ctx, cancel := context.WithTimeout(ctx, c.srv.limits.known)
	defer cancel()
	c.srv.holders.wait(ctx, id)
	owner := c.srv.owners.get(id)
	if owner == "" {
		return false, nil
	}
	if a, err := c.sess.Account(); err != nil || a.Name != owner {
		return false, errForeignTicket
	}
	return true, nil
}

// vouch decides about a data connection whose handshake is done. One that resumes is our client's. One that does not may
// be that of a client that cannot, for it was given no ticket or has spent it, or somebody's who came first. Clients that
// never resume have to be allowed by the operator, for each account.
func (c *conn) vouch(resumed bool) error {
	mode := c.srv.cfg.TLSData
	switch {
	case resumed:
		c.keeps = c.shown
		return nil
	case mode == "off", mode == "auto" && !c.left():
		return nil
	case mode == "auto":
		if a, err := c.sess.Account(); err == nil && a.Lenient {
			return nil
		}
	}
	return errNoTicket
}

// errNoTicket says what can be done about a data connection that showed no ticket.
func (c *conn) errNoTicket() error {
	a, err := c.sess.Account()
	if err != nil || c.srv.cfg.TLSData == "required" {
		return refuse(425, "The data connection did not resume the TLS session of its control connection, which is required here; your client may have a setting for it")
	}
	c.srv.noteCareless(a.Name, "data connections do not resume the TLS session of their control connection; if the client never does, allow it")
	return refuse(425, "The data connection did not resume the TLS session of its control connection, so it could be anybody's. Your client may have a setting for it; "+
		"if it never resumes, the operator can allow it: sampan user set %s --lenient on", a.Name)
}

package ftpd

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"sampan/words"
)

// ports are the passive ports. A port has one listener, which all sessions share: connections are told apart by their
// peer. So a port is lent to one session of each peer address at a time, and whoever takes many takes them from his own
// address only.
//
// Two connections of one peer to one port cannot be told apart. A session that was lent a port has it again for the next
// transfer as long as nothing came there but what was asked for; to open another one would be most of the work of a
// small transfer. After a connection too many, and when the client did not come or was not wanted any more, it gets
// another one if there is one: that connection may still be on its way. For the same reason the port is not lent to
// another session of the peer for a while.
type ports struct {
	srv       *Server
	low, high int           // 0: what the system gives
	rest      time.Duration // a port is not lent to another session of a peer whose connection may still be on its way

	mu     sync.Mutex
	open   map[netip.AddrPort]*port // by the address that clients reached
	swept  time.Time
	closed bool
	round  *time.Timer // runs while a port is open
}

const (
	// maxLeases is how many ports of its peer a session can keep from the others.
	maxLeases = 4
	// roundEvery is how often somebody looks who came to ports that nobody uses.
	roundEvery = time.Second
	// settleTime bounds what is a moment on every machine that may talk to itself.
	settleTime = time.Second
)

var (
	errPortsLent  = errors.New("all passive ports are lent to this address")
	errPortsTaken = errors.New("other programs have all passive ports")
)

// A port is one passive port on one address.
type port struct {
	at   netip.AddrPort
	door *door

	mu   sync.Mutex
	lent map[netip.Addr]*lease // by peer
}

// A lease is a port as one session has it. It is the way of one data connection after another.
type lease struct {
	ports *ports
	port  *port
	peer  netip.Addr
	came  chan *visitor // holds what came while it was awaited

	// The rest is under port.mu.
	lent    bool
	awaited bool
	clean   bool      // nothing came but what was awaited, and that was taken
	back    time.Time // when it was given back
}

// lend finds a port for a session that was lent those of old, the last one behind, and returns them with the new one.
// local is the address that the client reached: nobody is nearer than it was.
func (ps *ports) lend(ctx context.Context, old []*lease, local, peer netip.Addr) ([]*lease, error) {
	peer = peer.WithZone("") // a port is one of one zone already
	if n := len(old); n > 0 && old[n-1].again(false) {
		return old, nil
	}
	old = slices.DeleteFunc(old, (*lease).lost)
	err := errPortsLent
	if len(old) < maxLeases {
		var l *lease
		if l, err = ps.find(ctx, local, peer); err == nil {
			return append(old, l), nil
		}
	}
	for i := 0; errors.Is(err, errPortsLent) && i < len(old); i++ {
		l := old[i]
		l.port.settle()
		if l.again(true) {
			return append(slices.Delete(old, i, i+1), l), nil
		}
	}
	return old, err
}

// lost reports whether the port is another session's, or was forgotten.
func (l *lease) lost() bool {
	l.port.mu.Lock()
	defer l.port.mu.Unlock()
	return l.port.lent[l.peer] != l
}

// again lends a lease to its session once more; anyway means although something else came than what was asked for.
func (l *lease) again(anyway bool) bool {
	l.port.door.look(nil)
	l.port.mu.Lock()
	defer l.port.mu.Unlock()
	if l.port.lent[l.peer] != l || !l.clean && !anyway {
		return false
	}
	l.lent, l.awaited, l.clean = true, true, true
	return true
}

// settle waits until everything that came to the port so far was handed on: a connection of our own, which nobody wants,
// stands behind it.
func (p *port) settle() {
	d := net.Dialer{Timeout: settleTime, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(p.at.Addr(), 0))}
	nc, err := d.Dial("tcp", p.at.String())
	if err != nil {
		return
	}
	p.door.look(nil)
	nc.SetReadDeadline(time.Now().Add(settleTime))
	nc.Read(make([]byte, 1))
	nc.(*net.TCPConn).SetLinger(0) // nothing of it stays in the kernel
	nc.Close()
}

// find lends a port that the peer was not lent for a while, if there is one, else the one that rests longest of those on
// which everything came that was asked for. The choice is random (RFC 2577 section 8). Ports that others hold are skipped.
func (ps *ports) find(ctx context.Context, local, peer netip.Addr) (*lease, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	now := time.Now()
	ps.sweep(now)
	var rested *port
	var since time.Time
	err := errPortsTaken
	for at := range ps.candidates(local) {
		if at.Port() == 0 && rested != nil {
			break
		}
		p, failed := ps.listen(ctx, at)
		switch {
		case failed == nil:
			err = errPortsLent
		case portTaken(failed):
			continue
		default:
			return nil, failed
		}
		p.door.look(nil)
		p.mu.Lock()
		old := p.lent[peer]
		switch {
		case old == nil, old.over(now, ps.rest):
			defer p.mu.Unlock()
			return ps.lease(p, peer), nil
		case !old.lent && old.clean && (rested == nil || old.back.Before(since)):
			rested, since = p, old.back
		}
		p.mu.Unlock()
	}
	if rested == nil {
		return nil, err
	}
	rested.mu.Lock()
	defer rested.mu.Unlock()
	if old := rested.lent[peer]; old.lent { // its session was quicker
		return nil, err
	}
	return ps.lease(rested, peer), nil
}

func (ps *ports) lease(p *port, peer netip.Addr) *lease {
	l := &lease{ports: ps, port: p, peer: peer, came: make(chan *visitor, 1), lent: true, awaited: true, clean: true}
	p.lent[peer] = l
	return l
}

// over reports whether nothing of the lease matters any more.
func (l *lease) over(now time.Time, rest time.Duration) bool {
	return !l.lent && now.Sub(l.back) >= rest
}

// candidates are where a port may be found on an address, in the order in which to try.
func (ps *ports) candidates(local netip.Addr) iter.Seq[netip.AddrPort] {
	return func(yield func(netip.AddrPort) bool) {
		if ps.low == 0 {
			for at := range ps.open {
				if at.Addr() == local && !yield(at) {
					return
				}
			}
			yield(netip.AddrPortFrom(local, 0))
			return
		}
		n := ps.high - ps.low + 1
		first := rand.IntN(n)
		for i := range n {
			if !yield(netip.AddrPortFrom(local, uint16(ps.low+(first+i)%n))) {
				return
			}
		}
	}
}

// listen opens a port, unless it is open.
func (ps *ports) listen(ctx context.Context, at netip.AddrPort) (*port, error) {
	if p := ps.open[at]; p != nil {
		return p, nil
	}
	if ps.closed {
		return nil, net.ErrClosed
	}
	network := "tcp4"
	if !at.Addr().Is4() {
		network = "tcp6"
	}
	// A transfer that stalls is cut anyway, without probes; and a socket of Multipath TCP costs more to make and to use.
	cfg := net.ListenConfig{KeepAlive: -1}
	cfg.SetMultipathTCP(false)
	ln, err := cfg.Listen(ctx, network, at.String())
	if err != nil {
		return nil, err
	}
	p := &port{at: netip.AddrPortFrom(at.Addr(), addrPort(ln.Addr()).Port()), lent: map[netip.Addr]*lease{}}
	if p.door, err = openDoor(ln, ps.srv, p.hand); err != nil {
		return nil, err
	}
	if ps.open[p.at] = p; len(ps.open) == 1 {
		ps.round = time.AfterFunc(roundEvery, ps.goRound)
	}
	return p, nil
}

// hand gives a connection to who awaits it. Whatever else comes is closed without a word, and the port goes on.
func (p *port) hand(v *visitor) {
	p.mu.Lock()
	l := p.lent[v.from]
	wanted := l != nil && l.awaited
	switch {
	case wanted:
		l.awaited = false
		l.came <- v
	case l != nil:
		l.clean = false
	}
	p.mu.Unlock()
	if !wanted {
		v.Close()
	}
}

// goRound turns away strangers from ports that nobody uses just now, and closes ports.
func (ps *ports) goRound() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.open {
		p.door.look(nil)
	}
	ps.sweep(time.Now())
	if len(ps.open) > 0 {
		ps.round.Reset(roundEvery)
	}
}

// sweep forgets leases that are over, and closes ports that nobody has, now and then.
func (ps *ports) sweep(now time.Time) {
	if now.Sub(ps.swept) < ps.rest {
		return
	}
	ps.swept = now
	for at, p := range ps.open {
		p.mu.Lock()
		for peer, l := range p.lent {
			if l.over(now, ps.rest) {
				delete(p.lent, peer)
			}
		}
		nobodys := len(p.lent) == 0
		p.mu.Unlock()
		if nobodys {
			p.door.close()
			delete(ps.open, at)
		}
	}
}

// close closes all ports. No session may be left.
func (ps *ports) close() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.closed = true
	for at, p := range ps.open {
		p.door.close()
		delete(ps.open, at)
	}
}

// say names the ports for people who look at firewalls.
func (ps *ports) say() words.Message {
	if ps.low == 0 {
		return words.M("any port")
	}
	return words.M("ports %d-%d", ps.low, ps.high)
}

// take returns the client's connection if it is there, which it nearly always is; else nil.
func (l *lease) take() *visitor {
	l.port.door.look(func() bool { return len(l.came) > 0 })
	select {
	case v := <-l.came:
		return v
	default:
		return nil
	}
}

// open waits for the client's connection.
func (l *lease) open(ctx context.Context, patience time.Duration) (net.Conn, error) {
	v := l.take()
	if v != nil {
		return v.conn()
	}
	defer l.port.door.watch()()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case v := <-l.came:
		return v.conn()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-timer.C:
		return nil, refuse(425, "Nobody connected to port %d from %s within %s; is a firewall closing the passive ports (%s), or do your data connections come from another address?",
			l.port.at.Port(), l.peer.String(), patience, l.ports.say())
	}
}

// close gives the port back.
func (l *lease) close() {
	l.port.mu.Lock()
	defer l.port.mu.Unlock()
	l.clean = l.clean && !l.awaited
	select {
	case v := <-l.came:
		v.Close()
		l.clean = false
	default:
	}
	l.lent, l.awaited, l.back = false, false, time.Now()
}

package ftpd

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"sampan/ftp"
	"sampan/words"
)

// A way is how the next data connection comes about; it serves one.
type way interface {
	open(ctx context.Context, patience time.Duration) (net.Conn, error)
	close()
}

// agree makes w the way of the next data connection, and gives up the one before.
func (c *conn) agree(w way) {
	if c.way != nil {
		c.way.close()
	}
	if w != nil {
		c.drop()
	}
	c.way = w
}

// peer is the only address that data connections are made with: that of the control connection's peer.
func (c *conn) peer() netip.Addr { return remote(c.tcp).Addr() }

// local is this end's address of the control connection, IPv4 as such.
func (c *conn) local() netip.Addr { return addrPort(c.tcp.LocalAddr()).Addr() }

// pasv opens a port for an IPv4 client (RFC 959 section 4.1.2).
func (c *conn) pasv(string) error {
	switch {
	case c.onlyEPSV:
		return refuse(503, "EPSV ALL was sent: only EPSV from now on")
	case !c.local().Is4():
		return refuse(502, "PASV cannot name an IPv6 address; send EPSV")
	}
	port, err := c.listen()
	if err != nil {
		return err
	}
	shown := netip.AddrPortFrom(c.srv.public.shown(c.sess.Context(), c.local(), c.peer()), port)
	return c.reply(227, "Entering passive mode (%s)", ftp.FormatPORT(shown))
}

// epsv opens a port for the family of the control connection (RFC 2428 section 3): a client of the other family could
// not be told from a stranger.
func (c *conn) epsv(arg string) error {
	family, all, err := ftp.ParseEPSVArg(arg)
	mine := 1
	if !c.local().Is4() {
		mine = 2
	}
	switch {
	case errors.Is(err, ftp.ErrAddress):
		return badSyntax("EPSV [1 | 2 | ALL]")
	case err != nil, family != 0 && family != mine:
		return refuse(522, "That network protocol does not fit this connection, use (%d)", mine)
	case all:
		c.onlyEPSV = true
		return c.reply(200, "Only EPSV from now on")
	}
	port, err := c.listen()
	if err != nil {
		return err
	}
	return c.reply(229, "Entering extended passive mode %s", ftp.FormatEPSV(port))
}

// listen makes a passive way and returns its port.
func (c *conn) listen() (uint16, error) {
	c.agree(nil)
	if c.kept != nil && someoneWaits(c.kept) {
		c.leavePort()
	}
	if c.kept == nil {
		ln, err := c.srv.listenPassive(c.sess.Context(), c.local())
		if err != nil {
			c.srv.log.Error("no passive port", "reason", err.Error())
			return 0, refuse(425, "No passive port is free (%s); try again, or ask the operator for more", c.srv.ports())
		}
		c.kept = ln
	}
	c.agree(&passive{c: c, ln: c.kept, peer: c.peer(), ports: c.srv.ports()})
	return addrPort(c.kept.Addr()).Port(), nil
}

// leavePort closes the passive port, and every connection on it that was not taken.
func (c *conn) leavePort() {
	if c.kept != nil {
		c.kept.Close()
		c.kept = nil
	}
}

// ports names the passive ports for people who look at firewalls.
func (s *Server) ports() words.Message {
	if s.cfg.PassiveLow == 0 {
		return words.M("any port")
	}
	return words.M("ports %d-%d", s.cfg.PassiveLow, s.cfg.PassiveHigh)
}

// listenPassive opens a passive port on the address that the client reached, so that nobody else is near it. Ports that
// others hold are skipped.
func (s *Server) listenPassive(ctx context.Context, local netip.Addr) (*net.TCPListener, error) {
	network := "tcp4"
	if !local.Is4() {
		network = "tcp6"
	}
	// A transfer that stalls is cut anyway, without probes; and a socket of Multipath TCP costs more to make and to use.
	cfg := net.ListenConfig{KeepAlive: -1}
	cfg.SetMultipathTCP(false)
	try := func(port int) (*net.TCPListener, error) {
		ln, err := cfg.Listen(ctx, network, netip.AddrPortFrom(local, uint16(port)).String())
		if err != nil {
			return nil, err
		}
		return ln.(*net.TCPListener), nil
	}
	if s.cfg.PassiveLow == 0 {
		return try(0)
	}
	n := s.cfg.PassiveHigh - s.cfg.PassiveLow + 1
	first := rand.IntN(n)
	for i := range n {
		ln, err := try(s.cfg.PassiveLow + (first+i)%n)
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EACCES) {
			return ln, err
		}
	}
	return nil, syscall.EADDRINUSE
}

// A passive way waits for the client. Its port is kept for the next one, for to open a port is most of the work of a
// small transfer. Two connections to one port cannot be told apart, so only a port on which nothing ever came but what
// was asked for is kept: with a connection too many, also one that came between two transfers, the port is closed and
// the next one is chosen at random (RFC 2577 section 8). A configured range is small: its ports are given back at once.
type passive struct {
	c       *conn
	ln      *net.TCPListener
	peer    netip.Addr
	ports   words.Message
	exposed bool // strangers know it
}

func (p *passive) close() {
	if p.exposed || p.c.srv.cfg.PassiveLow != 0 || someoneWaits(p.ln) {
		p.c.leavePort()
	}
}

// open takes the client's connection. Strangers are closed without a word, and the port goes on waiting.
func (p *passive) open(ctx context.Context, patience time.Duration) (net.Conn, error) {
	p.exposed = true // until the client came, and nobody else
	p.ln.SetDeadline(time.Now().Add(patience))
	strangers := false
	stop := context.AfterFunc(ctx, func() { p.ln.SetDeadline(time.Unix(1, 0)) })
	defer func() { p.exposed = p.exposed || !stop() }() // the deadline may still come, too late for this one
	for {
		nc, err := p.ln.AcceptTCP()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				nc.Close()
			}
			return nil, context.Cause(ctx)
		case err != nil:
			return nil, refuse(425, "Nobody connected to port %d within %s; is a firewall closing the passive ports (%s)?",
				addrPort(p.ln.Addr()).Port(), patience, p.ports)
		case remote(nc).Addr() == p.peer:
			p.exposed = strangers
			return nc, nil
		}
		nc.Close()
		strangers = true
	}
}

// port names where the client waits, over IPv4.
func (c *conn) port(arg string) error {
	to, err := ftp.ParsePORT(arg)
	return c.callBack("PORT", to, err)
}

// eprt names where the client waits, over either family (RFC 2428 section 2).
func (c *conn) eprt(arg string) error {
	to, err := ftp.ParseEPRT(arg)
	return c.callBack("EPRT", to, err)
}

// callBack agrees to connect to the client. Any other address would make the server a tool against third parties, and
// the low ports are services (RFC 2577 sections 3 and 4). The unspecified address, which lftp names over IPv6, means
// the client itself.
func (c *conn) callBack(verb string, to netip.AddrPort, err error) error {
	switch {
	case errors.Is(err, ftp.ErrFamily):
		return refuse(522, "Unknown network protocol, use (1,2)")
	case err != nil:
		return badSyntax(c.srv.verbs[verb].usage())
	case c.onlyEPSV:
		return refuse(503, "EPSV ALL was sent: only EPSV from now on")
	case to.Addr().Unmap() != c.peer().WithZone("") && !to.Addr().IsUnspecified():
		return refuse(504, "Data connections go to your own address only")
	case to.Port() < 1024:
		return refuse(504, "Data connections do not go to ports below 1024")
	}
	c.agree(&active{from: c.local(), to: netip.AddrPortFrom(c.peer(), to.Port())})
	return c.reply(200, "Noted")
}

// An active way connects to the client.
type active struct {
	from netip.Addr
	to   netip.AddrPort
}

func (a *active) close() {}

func (a *active) open(ctx context.Context, patience time.Duration) (net.Conn, error) {
	d := net.Dialer{Timeout: patience, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.from, 0))}
	nc, err := d.DialContext(ctx, "tcp", a.to.String())
	switch {
	case ctx.Err() != nil:
		if err == nil {
			nc.Close()
		}
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, refuse(425, "Cannot connect to your port %d; is a firewall in between? Passive mode may work", a.to.Port())
	}
	return nc, nil
}

// A dataConn is a data connection: a bare *net.TCPConn, which Transfer can hand to the kernel, or a *secureData.
type dataConn interface {
	net.Conn
	CloseWrite() error
}

// openData makes the data connection that was agreed, of TLS under PROT P.
func (c *conn) openData() (dataConn, error) {
	w := c.way
	if w == nil {
		return nil, errNoWay()
	}
	defer c.agree(nil)
	nc, err := w.open(c.ctx, c.srv.limits.connect)
	if err != nil {
		return nil, err
	}
	if !c.private {
		return nc.(*net.TCPConn), nil
	}
	d, err := c.secureDataConn(nc)
	switch {
	case err == nil:
		return d, nil
	case c.ctx.Err() != nil:
		return nil, context.Cause(c.ctx)
	case errors.Is(err, errForeignTicket):
		return nil, refuse(425, "The data connection showed the TLS session of another connection")
	}
	c.srv.log.Info("no TLS on a data connection", "reason", err.Error(), "remote", remote(nc).String())
	return nil, refuse(425, "TLS on the data connection failed")
}

func errNoWay() error { return refuse(425, "PASV, EPSV, PORT or EPRT comes first") }

// socket returns the TCP connection of d.
func socket(d dataConn) *net.TCPConn {
	if s, ok := d.(*secureData); ok {
		return s.beneath.Conn.(*net.TCPConn)
	}
	return d.(*net.TCPConn)
}

// finish ends in order what was sent. What the client sent is read first: left unread, the close would become a reset,
// which takes from the client what it has not read yet.
func finish(d dataConn) error {
	defer d.Close()
	err := d.CloseWrite()
	discardUnread(socket(d))
	return err
}

// cutOff ends a data connection so that the other end cannot take it for the end of the data, and at once.
func cutOff(d dataConn) {
	tcp := socket(d)
	tcp.SetLinger(0)
	tcp.Close()
}

// public tells which address a client is shown in PASV.
type public struct {
	name string // "" if the local address always does

	mu    sync.Mutex
	addr  netip.Addr
	until time.Time // addr is not looked up again before
}

// shown is the local address for peers on this machine's networks, else the public one, as long as it is known.
func (p *public) shown(ctx context.Context, local, peer netip.Addr) netip.Addr {
	if p.name == "" || isNear(peer) {
		return local
	}
	if a, err := netip.ParseAddr(p.name); err == nil && a.Is4() {
		return a
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().After(p.until) {
		p.until = time.Now().Add(time.Minute)
		ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", p.name)
		if err == nil && len(found) > 0 {
			p.addr = found[0].Unmap()
		}
	}
	if p.addr.IsValid() {
		return p.addr
	}
	return local
}

// isNear reports whether a is on one of this machine's networks.
func isNear(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	nets, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, n := range nets {
		if n, ok := n.(*net.IPNet); ok && n.Contains(a.AsSlice()) {
			return true
		}
	}
	return false
}

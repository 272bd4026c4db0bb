package ftpd

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"sampan/ftp"
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
	var err error
	c.leases, err = c.srv.ports.lend(c.sess.Context(), c.leases, c.local(), c.peer())
	switch {
	case errors.Is(err, errPortsLent):
		return 0, refuse(425, "All passive ports (%s) are lent to your address; end other sessions there, or try again in a minute", c.srv.ports.say())
	case errors.Is(err, errPortsTaken):
		c.srv.log.Error("no passive port", "reason", err.Error(), "try", "--passive-ports A-B")
		return 0, refuse(425, "Other programs have all passive ports (%s); the operator can choose others", c.srv.ports.say())
	case err != nil:
		c.srv.log.Error("no passive port", "reason", err.Error())
		return 0, refuse(425, "No passive port can be opened now; the operator's log says why")
	}
	l := c.leases[len(c.leases)-1]
	c.agree(l)
	return l.port.at.Port(), nil
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
		return nil, refuse(425, "The data connection showed the TLS session of another account")
	case errors.Is(err, errNoTicket):
		return nil, c.errNoTicket()
	}
	c.srv.log.Info("no TLS on a data connection", "reason", err.Error(), "remote", remote(nc).String())
	return nil, refuse(425, "TLS on the data connection failed: behind PROT P your client has to begin it there as soon as it reads 150")
}

// visitor takes the data connection that was agreed, in clear text, if it came to a passive port already; else nil.
func (c *conn) visitor() *visitor {
	l, ok := c.way.(*lease)
	if !ok {
		return nil
	}
	v := l.take()
	if v != nil {
		c.agree(nil)
	}
	return v
}

func errNoWay() error { return refuse(425, "PASV, EPSV, PORT or EPRT comes first") }

// socket returns the TCP connection of d.
func socket(d dataConn) *net.TCPConn {
	if s, ok := d.(*secureData); ok {
		return s.beneath.Conn.(*net.TCPConn)
	}
	return d.(*net.TCPConn)
}

// finish ends in order what was sent, and waits up to linger for the client's end. What the client sent is read first: left
// unread, the close would become a reset, which takes from the client what it has not read yet.
func finish(d dataConn, linger time.Duration) error {
	defer d.Close()
	tcp := socket(d)
	if d == dataConn(tcp) && linger == 0 {
		if some, err := discardUnread(tcp); !some { // to close is enough
			return err
		}
	}
	err := d.CloseWrite()
	if err == nil && linger > 0 {
		tcp.SetReadDeadline(time.Now().Add(linger))
		io.Copy(io.Discard, io.LimitReader(tcp, 64<<10))
	}
	discardUnread(tcp)
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

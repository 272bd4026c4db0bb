package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"sampan/fault"
	"sampan/ftp"
)

// data is one data connection and the transfer command that uses it.
type data struct {
	c      *control
	ctx    context.Context
	stop   func() bool
	raw    *net.TCPConn
	conn   net.Conn // raw, or TLS over it
	wait   time.Duration
	ended  bool // the last reply was read
	answer error
	last   ftp.Reply // that ended the transfer

	link     *link // of block mode: raw and conn are its own
	reads    bool  // the file was begun to be read
	sentAll  bool  // the end of the file was sent
	unlooked int   // bytes sent since the last look at the control connection
}

// transfer opens a data connection and starts command on it. before are commands that come ahead of it and must
// succeed (REST). Cancelling ctx ends the transfer.
func (c *control) transfer(ctx context.Context, before []string, command string) (*data, error) {
	mode := "S"
	if c.ahead() > 0 {
		mode = "B"
	}
	modes := c.setMode(mode)
	if c.link != nil && modes == nil {
		return c.linked(ctx, before, command)
	}
	c.dropLink()
	c.mode = ""
	dial, err := c.rendezvous(ctx, append(modes, before...))
	if err != nil {
		return nil, err
	}
	c.mode = mode
	if err := c.send(ctx, command); err != nil {
		dial.Close()
		return nil, err
	}
	d := &data{c: c, ctx: ctx, wait: c.remote.timeout()}
	opened := make(chan error, 1)
	go func() { opened <- d.open(dial) }() // some servers do the handshake before 150, some after it
	r, err := c.reply(ctx, d.wait)
	for err == nil && r.Code == 110 {
		r, err = c.reply(ctx, d.wait)
	}
	if err == nil && r.Failed() || err != nil {
		dial.Close()
		<-opened
		d.close()
		if err == nil {
			err = &refusal{r}
		}
		return nil, err
	}
	if err := <-opened; err != nil {
		d.close()
		if r.Preliminary() {
			if _, late := c.reply(ctx, d.wait); late != nil {
				return nil, late
			}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	d.ended = r.Done() // a server that skips 150
	if mode == "B" {
		c.link = newLink(d)
		d.link = c.link
		d.begin()
		return d, nil
	}
	d.stop = context.AfterFunc(ctx, func() { d.raw.SetDeadline(longAgo) })
	return d, nil
}

// refusal is a reply that refused a command; the caller knows the name and makes a fault of it.
type refusal struct{ ftp.Reply }

func (r *refusal) Error() string { return refused(r.Reply, "").Error() }

// rendezvous is where both ends meet: a place to connect to, or a listener.
type rendezvous struct {
	c        *control
	ctx      context.Context
	conn     *net.TCPConn
	listener *net.TCPListener
}

func (v *rendezvous) Close() {
	if v.conn != nil {
		v.conn.Close()
	}
	if v.listener != nil {
		v.listener.Close()
	}
}

// rendezvous asks the server to listen, or tells it where we do.
func (c *control) rendezvous(ctx context.Context, before []string) (*rendezvous, error) {
	if c.remote.options().Active {
		return c.active(ctx, before)
	}
	return c.passive(ctx, before)
}

// passive sends EPSV, or PASV where that is not known, and connects. Only the port of the reply counts: the address
// is that of the control connection, whatever the server says.
func (c *control) passive(ctx context.Context, before []string) (*rendezvous, error) {
	ask := "EPSV"
	if c.noEPSV {
		ask = "PASV"
	}
	replies, err := c.cmds(ctx, c.ours, append([]string{ask}, before...)...)
	if err != nil {
		return nil, err
	}
	peer := c.raw.RemoteAddr().(*net.TCPAddr)
	if r := replies[0]; ask == "EPSV" && r.Code >= 500 && r.Code != 530 && peer.IP.To4() != nil {
		c.noEPSV = true
		return c.passive(ctx, before)
	}
	var port uint16
	var ok bool
	switch r := replies[0]; {
	case r.Failed():
		return nil, refused(r, "")
	case r.Code == 229:
		port, ok = ftp.ParseEPSV(r.Text())
	case r.Code == 227:
		var a netip.AddrPort
		a, ok = ftp.ParsePASV(r.Text())
		port = a.Port()
	}
	if !ok {
		return nil, fault.New(fault.Unsupported, "%s does not say where to connect: %s", c.remote.url.Address(), printable(replies[0].Text()))
	}
	for _, r := range replies[1:] {
		if r.Failed() {
			return nil, &refusal{r}
		}
	}
	d := net.Dialer{Timeout: c.remote.timeout()}
	conn, err := d.DialContext(ctx, "tcp", (&net.TCPAddr{IP: peer.IP, Port: int(port), Zone: peer.Zone}).String())
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fault.Wrap(fault.Unreachable, err, "no data connection to %s (%s); perhaps --active gets through", c.remote.url.Address(), cause(err))
	}
	return &rendezvous{c: c, ctx: ctx, conn: conn.(*net.TCPConn)}, nil
}

// active listens at the address that the control connection has here, and says so: EPRT, for IPv4 PORT if need be.
func (c *control) active(ctx context.Context, before []string) (*rendezvous, error) {
	here := c.raw.LocalAddr().(*net.TCPAddr)
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: here.IP, Zone: here.Zone})
	if err != nil {
		return nil, fault.Wrap(fault.Local, err, "cannot listen for the data connection: %s", cause(err))
	}
	port := l.Addr().(*net.TCPAddr).Port
	lines := []string{}
	if ip := here.IP.To4(); ip != nil {
		lines = append(lines, fmt.Sprintf("PORT %s,%d,%d", strings.ReplaceAll(ip.String(), ".", ","), port>>8, port&255))
	} else {
		lines = append(lines, fmt.Sprintf("EPRT |2|%s|%d|", here.IP, port))
	}
	replies, err := c.cmds(ctx, c.ours, append(lines, before...)...)
	if err == nil {
		for _, r := range replies {
			if r.Failed() {
				err = &refusal{r}
				break
			}
		}
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return &rendezvous{c: c, ctx: ctx, listener: l}, nil
}

// open has the TCP connection, accepting it from the server alone, and does the handshake.
func (d *data) open(v *rendezvous) error {
	d.raw = v.conn
	if v.listener != nil {
		defer v.listener.Close()
		stop := context.AfterFunc(d.ctx, func() { v.listener.SetDeadline(longAgo) })
		defer stop()
		v.listener.SetDeadline(time.Now().Add(d.wait))
		for d.raw == nil {
			conn, err := v.listener.AcceptTCP()
			if err != nil {
				return fault.Wrap(fault.Unreachable, err, "the server did not open the data connection; perhaps it gets through without --active")
			}
			if !conn.RemoteAddr().(*net.TCPAddr).IP.Equal(d.c.raw.RemoteAddr().(*net.TCPAddr).IP) {
				conn.Close() // a stranger
				continue
			}
			d.raw = conn
		}
	}
	d.conn = d.raw
	if d.c.secure == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(d.ctx, d.wait)
	defer cancel()
	t := tls.Client(d.raw, d.c.secure)
	if err := t.HandshakeContext(ctx); err != nil {
		var f *fault.Error
		if errors.As(err, &f) {
			return err
		}
		return fault.Wrap(fault.Cut, err, "no TLS on the data connection: %s", cause(err))
	}
	d.conn = t
	return nil
}

// Read reads with the time-out of silence.
func (d *data) Read(p []byte) (int, error) {
	if d.link != nil {
		return d.read(p)
	}
	d.raw.SetReadDeadline(time.Now().Add(d.wait))
	if err := d.ctx.Err(); err != nil {
		return 0, err
	}
	return d.conn.Read(p)
}

// Write writes with the time-out of silence.
func (d *data) Write(p []byte) (int, error) {
	if d.link != nil {
		return d.write(p)
	}
	d.raw.SetWriteDeadline(time.Now().Add(d.wait))
	if err := d.ctx.Err(); err != nil {
		return 0, err
	}
	return d.conn.Write(p)
}

func (d *data) close() {
	stopped := d.stop == nil || d.stop()
	d.stop = nil
	if d.link != nil {
		if d.link == d.c.link && (!stopped || !d.over()) {
			d.c.dropLink()
		}
		return
	}
	if d.conn != nil {
		d.conn.Close()
	}
	if d.raw != nil {
		d.raw.Close()
	}
}

// received ends a download: first the connection is closed, for some servers (ProFTPD) wait for that with their reply.
func (d *data) received(ctx context.Context) error {
	d.close()
	return d.finish(ctx, d.wait)
}

// finish reads the reply that ends the transfer, which may take until, and closes. It is idempotent.
func (d *data) finish(ctx context.Context, until time.Duration) error {
	if !d.ended {
		d.ended = true
		r, err := d.c.reply(ctx, until)
		for err == nil && r.Preliminary() { // 110: a restart marker was seen
			r, err = d.c.reply(ctx, until)
		}
		if err == nil && !r.Done() {
			err = &refusal{r}
		}
		d.last, d.answer = r, err
		if d.link != nil && d.link == d.c.link && (r.Code == 425 || r.Code == 426) { // the server's end of it is gone
			d.c.dropLink()
		}
	}
	d.close()
	return d.answer
}

// sent ends an upload well: close_notify and FIN; then what the server may still send (session tickets) is read, for
// a close with unread bytes would be a reset and the server could lose what it has not read yet.
func (d *data) sent(ctx context.Context) error {
	if d.link != nil {
		if err := d.endFile(false); err != nil {
			return d.broke(err)
		}
		return d.finish(ctx, longWait)
	}
	if t, ok := d.conn.(*tls.Conn); ok {
		d.raw.SetWriteDeadline(time.Now().Add(d.wait))
		if err := t.CloseWrite(); err != nil {
			return d.broke(err)
		}
	}
	if err := d.raw.CloseWrite(); err != nil {
		return d.broke(err)
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		d.raw.SetReadDeadline(time.Now().Add(longWait))
		io.Copy(io.Discard, d.raw)
	}()
	err := d.finish(ctx, longWait)
	<-drained
	return err
}

// broke is what to say after an error on the data connection: the server's reason if it gives one.
func (d *data) broke(err error) error {
	if d.ctx.Err() != nil {
		return d.ctx.Err()
	}
	d.close()
	answer := d.finish(d.ctx, d.wait)
	var own *fault.Error
	if errors.As(err, &own) { // our own reason to stop
		return err
	}
	var r *refusal
	if errors.As(answer, &r) {
		return r
	}
	if answer != nil {
		return answer
	}
	return fault.Wrap(fault.Cut, err, "the data connection to %s was lost: %s", d.c.remote.url.Address(), cause(err))
}

// cut ends an upload so that the server parks what came and publishes nothing. promised means that it waits for more
// bytes than it got (ALLO), so that even a plain end is none. Otherwise ABOR says so: TLS without close_notify is an end for
// a lenient account. Servers other than Sampan know no parts; they get a reset.
func (d *data) cut(promised bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.ctx), 5*time.Second)
	defer cancel()
	if d.stop != nil {
		d.stop()
	}
	if d.ended || d.c.broken {
		d.close()
		return
	}
	if d.link != nil {
		d.link.ctx = ctx
		d.endFile(true)
		if d.finish(ctx, 5*time.Second); ctx.Err() != nil {
			d.c.broken = true
		}
		return
	}
	switch {
	case !d.c.ours:
		d.raw.SetLinger(0)
		d.raw.Close()
	case promised:
		d.raw.CloseWrite()
	default:
		// What is on its way is worth a moment: ABOR overtakes it.
		if pause(ctx, 200*time.Millisecond) != nil || d.c.send(ctx, "ABOR") != nil {
			break
		}
		d.finish(ctx, 5*time.Second)
		d.c.reply(ctx, 5*time.Second) // the one to ABOR itself
		return
	}
	if d.finish(ctx, 5*time.Second); ctx.Err() != nil {
		d.c.broken = true
	}
}

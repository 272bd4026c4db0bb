package ftpd

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"sampan/ftp"
)

// baseTLS is what all connections of a server share: the certificate, and the keys of the tickets.
func baseTLS(given *tls.Config) *tls.Config {
	c := given.Clone()
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
	c.NextProtos = []string{"ftp"} // RFC 7301; a browser that is lured here gets no further
	c.GetConfigForClient = nil
	return c
}

// controlTLS is the config of the control connection. It takes tickets of earlier ones, and gives its own.
func (c *conn) controlTLS() *tls.Config {
	cfg := c.srv.tls.Clone()
	c.mark(cfg)
	wrap := cfg.WrapSession
	cfg.WrapSession = func(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
		c.given = true
		return wrap(cs, ss)
	}
	cfg.UnwrapSession = func(identity []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		ss, err := c.srv.tls.DecryptTicket(identity, cs)
		if ss != nil {
			if h := c.srv.holders.find(givenOn(ss)); h != nil {
				h.spent.Store(true)
			}
		}
		return ss, err
	}
	return cfg
}

// dataTLS is the config of one data connection; it sets shown if the client shows a ticket that it may resume from.
//
// No ticket is sent on a TLS 1.3 data connection: a client that only uploads would not read it, and its close would
// become a reset that destroys what we have not read yet. SessionTicketsDisabled does that, but it would stop resuming
// if it were set before the client's tickets were looked at. Without a pre_shared_key in the hello nothing is looked
// at; else it is set by the look. TLS 1.2 renews the ticket inside the handshake, with the same id.
func (c *conn) dataTLS(ctx context.Context, shown *bool) *tls.Config {
	const preSharedKey = 41 // RFC 8446 section 4.2
	cfg := c.srv.tls.Clone()
	cfg.DynamicRecordSizingDisabled = true
	if choose := cfg.GetCertificate; choose != nil { // clients compare it with the control connection's
		cfg.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			named := *hello
			named.ServerName = c.name
			return choose(&named)
		}
	}
	c.mark(cfg)
	modern := false
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		modern = slices.Contains(hello.SupportedVersions, tls.VersionTLS13)
		resumes := modern && slices.Contains(hello.Extensions, preSharedKey)
		if modern && !resumes {
			cfg.SessionTicketsDisabled = true
		}
		// The secret that the ticket stands for came from the control connection's key exchange, which is the hybrid one
		// of ML-KEM where the client knows it, and goes into these keys too (RFC 8446 section 7.1). So a second hybrid
		// exchange adds no safety against recording now and decrypting later. A fresh handshake makes its own. (A ticket that turns out to be from before a restart gets a
		// full handshake with X25519; crypto/tls chooses the group before it opens the ticket.)
		if resumes && cfg.CurvePreferences == nil && slices.Contains(hello.SupportedCurves, tls.X25519) {
			cfg.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
		}
		return nil, nil
	}
	cfg.UnwrapSession = func(identity []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		cfg.SessionTicketsDisabled = modern
		ss, err := c.srv.tls.DecryptTicket(identity, cs)
		if ss == nil || err != nil {
			return nil, err
		}
		ours, err := c.recognize(ctx, ss)
		if !ours {
			return nil, err
		}
		*shown = true
		return ss, nil
	}
	return cfg
}

// startTLS makes the control connection one of TLS.
func (c *conn) startTLS() error {
	c.holder = c.srv.holders.meet(c.id)
	t := tls.Server(c.tcp, c.controlTLS())
	until := time.Now().Add(c.srv.limits.handshake)
	c.wakeAt(until)
	c.tcp.SetWriteDeadline(until)
	if err := t.Handshake(); err != nil {
		c.srv.holders.leave(c.holder)
		return err
	}
	c.wakes = time.Time{}
	c.write.Lock()
	c.out = t
	c.write.Unlock()
	c.in = ftp.NewLineReader(t)
	c.encrypted = true
	s := t.ConnectionState()
	c.once, c.name = s.Version == tls.VersionTLS13, s.ServerName
	c.sess.SetTLS(true)
	return nil
}

// A beneath is the connection under a TLS data connection. It buffers, so that the kernel is asked for much at once,
// and it sees what crypto/tls hides: whether the bytes ended before TLS did. crypto/tls says io.EOF both for a
// close_notify and for a connection that merely ends between two records, which anybody on the way can do (RFC 8446
// section 6.1). But it reads on behind a record only when it needs more: after a close_notify it never comes to the
// end of the bytes, so an end that was seen means that no close_notify came.
type beneath struct {
	net.Conn
	few  [4 << 10]byte // enough for a handshake, and for what comes while we send
	much *bulk         // nil until few was filled at once
	in   []byte        // of few or much, not handed on yet
	over bool          // the end of the bytes was handed on

	shaking bool  // until the handshake is over
	waits   int   // how often more was awaited while it went on
	out     *bulk // gathers records while it is there
	outLen  int
	lost    error // what was gathered could not be sent: nothing may follow it
}

// A bulk holds 256 KiB, the most that Pump hands on at once, and the heads and tags of their records.
type bulk [257 << 10]byte

var bulks = sync.Pool{New: func() any { return new(bulk) }}

func (b *beneath) Read(p []byte) (int, error) {
	if len(b.in) == 0 {
		buf := b.few[:]
		if b.much != nil {
			buf = b.much[:]
		}
		if b.shaking {
			// GnuTLS (lftp, FileZilla) sends the end of its handshake in two small pieces, and Nagle's algorithm keeps the
			// second until we acknowledge the first: after 40 ms, for we have nothing to send then. That would be the time
			// of every small file.
			if b.waits++; b.waits > 2 {
				ackAtOnce(b.Conn)
			}
		}
		n, err := b.Conn.Read(buf)
		b.in = buf[:n]
		if n == 0 {
			b.over = b.over || errors.Is(err, io.EOF)
			return 0, err
		}
		if n == len(b.few) && b.much == nil { // in stays where it is
			b.much = bulks.Get().(*bulk)
		}
	}
	n := copy(p, b.in)
	b.in = b.in[n:]
	return n, nil
}

// Write sends, or gathers between gather and flush.
func (b *beneath) Write(p []byte) (int, error) {
	switch {
	case b.lost != nil:
		return 0, b.lost
	case b.out == nil:
		return b.Conn.Write(p)
	case len(p) > len(b.out)-b.outLen:
		if err := b.send(); err != nil {
			return 0, err
		}
	}
	if len(p) > len(b.out) {
		return b.Conn.Write(p)
	}
	b.outLen += copy(b.out[b.outLen:], p)
	return len(p), nil
}

func (b *beneath) gather() { b.out = bulks.Get().(*bulk) }

// flush sends what was gathered, and ends gathering.
func (b *beneath) flush() error {
	err := b.send()
	bulks.Put(b.out)
	b.out = nil
	return err
}

func (b *beneath) send() error {
	if b.outLen > 0 && b.lost == nil {
		_, b.lost = b.Conn.Write(b.out[:b.outLen])
	}
	b.outLen = 0
	return b.lost
}

// A secureData is a TLS data connection.
type secureData struct {
	*tls.Conn
	beneath *beneath
}

// secureDataConn makes a data connection one of TLS; the server's end is always the server of TLS (RFC 4217
// section 7), also where it dialled.
func (c *conn) secureDataConn(nc net.Conn) (*secureData, error) {
	b := &beneath{Conn: nc, shaking: true}
	shown := false
	ctx, cancel := context.WithTimeout(c.ctx, c.srv.limits.handshake)
	defer cancel()
	t := tls.Server(b, c.dataTLS(ctx, &shown))
	err := t.HandshakeContext(ctx)
	b.shaking = false
	if err == nil {
		err = c.vouch(t.ConnectionState().DidResume)
	}
	c.shown = c.shown || shown
	switch {
	case errors.Is(err, errNoTicket): // in order, so that the client comes to read why
		t.CloseWrite()
		hangUp(nc, c.srv.limits.linger)
		return nil, err
	case err != nil:
		nc.Close()
		return nil, err
	}
	return &secureData{t, b}, nil
}

// Write sends all of p before it returns, many records at a time. An error says that not all of p was sent; how much
// was is not known then, so nothing of it counts.
func (d *secureData) Write(p []byte) (int, error) {
	const record = 16 << 10 // RFC 8446 section 5.1
	if len(p) <= record {
		return d.Conn.Write(p)
	}
	d.beneath.gather()
	_, err := d.Conn.Write(p)
	if lost := d.beneath.flush(); err == nil {
		err = lost
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// truncated reports, after io.EOF, that no close_notify came.
func (d *secureData) truncated() bool { return d.beneath.over }

// Close ends TLS in order, and waits no longer than a moment for a peer that takes nothing. Nothing reads any more.
func (d *secureData) Close() error {
	d.SetWriteDeadline(time.Now().Add(5 * time.Second))
	err := d.Conn.Close()
	if b := d.beneath; b.much != nil {
		bulks.Put(b.much)
		b.much, b.in = nil, nil
	}
	return err
}

package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"time"

	"sampan/fault"
	"sampan/files"
	"sampan/ftp"
)

// remote is an FTP server, with a few idle control connections: each transfer needs one for itself.
type remote struct {
	dialed
	verifier verifier

	// mu guards these too.
	feats ftp.Features
	ours  bool
	idle  []*control
}

// maxIdle is how many control connections are kept for later.
const maxIdle = 4

func newRemote(u URL, o Options) *remote {
	return &remote{
		dialed:   dialed{url: u, opts: o, user: u.User},
		verifier: verifier{host: u.Host, address: u.Address(), pin: o.Pin, keep: o.Keep, file: o.Pins},
	}
}

// start makes the first connection.
func (r *remote) start(ctx context.Context) error {
	c, err := r.acquire(ctx)
	if err != nil {
		return err
	}
	r.release(c)
	return nil
}

// Close ends the idle connections; those in use end when they are put back.
func (r *remote) Close() error {
	r.mu.Lock()
	idle := r.idle
	r.idle, r.closed = nil, true
	r.mu.Unlock()
	for _, c := range idle {
		c.quit()
	}
	return nil
}

// acquire returns a connection that is logged in: an idle one that still lives, else a new one.
func (r *remote) acquire(ctx context.Context) (*control, error) {
	for {
		r.mu.Lock()
		if r.closed {
			r.mu.Unlock()
			return nil, fault.New(fault.Unreachable, "the connection to %s was closed", r.url.Address())
		}
		n := len(r.idle)
		if n == 0 {
			r.mu.Unlock()
			return r.connect(ctx)
		}
		c := r.idle[n-1]
		r.idle = r.idle[:n-1]
		r.mu.Unlock()
		if c.alive() {
			return c, nil
		}
		c.conn.Close()
	}
}

// release puts a connection back.
func (r *remote) release(c *control) {
	if !c.broken {
		c.idle = time.Now()
		r.mu.Lock()
		if !r.closed && len(r.idle) < maxIdle {
			r.idle = append(r.idle, c)
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
	}
	c.quit()
}

// do runs f with a connection.
func (r *remote) do(ctx context.Context, f func(*control) error) error {
	c, err := r.acquire(ctx)
	if err != nil {
		return err
	}
	defer r.release(c)
	return f(c)
}

// connect dials, encrypts and logs in. Trust is asked between two connections, so that none waits for a person.
func (r *remote) connect(ctx context.Context) (*control, error) {
	c, err := r.greet(ctx)
	var unknown *unknownCertificate
	if errors.As(err, &unknown) {
		if err = r.verifier.ask(ctx, unknown.certificate, r.options().Trust); err != nil {
			return nil, err
		}
		c, err = r.greet(ctx)
		if errors.As(err, &unknown) { // another one than a moment ago
			return nil, unknown.refusal()
		}
	}
	if err != nil {
		return nil, err
	}
	if err := r.login(ctx, c); err != nil {
		c.quit()
		return nil, err
	}
	return c, nil
}

// greet dials, reads the greeting and makes the connection private as the URL says.
func (r *remote) greet(ctx context.Context) (*control, error) {
	d := net.Dialer{Timeout: r.timeout()}
	conn, err := d.DialContext(ctx, "tcp", r.url.Address())
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fault.Wrap(fault.Unreachable, err, "cannot connect to %s: %s", r.url.Address(), cause(err))
	}
	c := &control{remote: r, raw: conn.(*net.TCPConn), conn: conn, in: bufio.NewReaderSize(conn, 4096), typ: "A", mode: "S"}
	if err := c.private(ctx); err != nil {
		c.broken = true
		c.quit()
		return nil, err
	}
	return c, nil
}

// private reads the greeting and begins TLS: RFC 4217 section 4 on ftp://, at once on ftps://. Clear text is left
// only if it was asked for.
func (c *control) private(ctx context.Context) error {
	implicit := c.remote.url.Scheme == "ftps"
	if implicit {
		if err := c.encrypt(ctx); err != nil {
			return err
		}
	}
	r, err := c.reply(ctx, c.remote.timeout())
	for err == nil && r.Preliminary() { // 120: ready in a moment
		r, err = c.reply(ctx, c.remote.timeout())
	}
	if err != nil || !r.Done() {
		return noService(r, err, c.remote.url.Address())
	}
	if implicit || c.remote.options().Plain {
		return nil
	}
	if r, err = c.cmd(ctx, "AUTH TLS"); err != nil {
		return err
	}
	if r.Code != 234 {
		return fault.New(fault.Unsupported, "%s does not offer TLS (%s); --plain sends everything, also the password, in clear text",
			c.remote.url.Address(), printable(r.Text()))
	}
	if c.in.Buffered() > 0 { // clear text put before the handshake by somebody in between
		return fault.New(fault.Untrusted, "%s sent something in clear text where TLS had to begin", c.remote.url.Address())
	}
	return c.encrypt(ctx)
}

// encrypt does the handshake. Each control connection has its own session cache: servers accept on its data
// connections only its own sessions.
func (c *control) encrypt(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.remote.timeout())
	defer cancel()
	conf := &tls.Config{
		ServerName:         c.remote.url.Host,
		NextProtos:         []string{"ftp"},
		MinVersion:         tls.VersionTLS12,
		ClientSessionCache: tls.NewLRUClientSessionCache(1),
		InsecureSkipVerify: true, // verified in VerifyConnection, by pins as well as by roots
		VerifyConnection:   c.remote.verifier.verify,
	}
	t := tls.Client(c.raw, conf)
	if err := t.HandshakeContext(ctx); err != nil {
		var f *fault.Error
		var unknown *unknownCertificate
		switch {
		case errors.As(err, &unknown), errors.As(err, &f):
			return err
		case context.Cause(ctx) == context.Canceled:
			return ctx.Err()
		}
		return fault.Wrap(fault.Unreachable, err, "no TLS connection with %s: %s", c.remote.url.Address(), cause(err))
	}
	c.conn, c.in = t, bufio.NewReaderSize(t, 4096)
	c.secure = conf.Clone()
	c.secure.VerifyConnection = sameKey(t.ConnectionState())
	c.secure.ClientSessionCache = controlSessions{conf.ClientSessionCache}
	return nil
}

// controlSessions are what data connections resume: always the session of their control connection, for that is what
// servers look for, never one that an earlier data connection left.
type controlSessions struct{ tls.ClientSessionCache }

func (controlSessions) Put(string, *tls.ClientSessionState) {}

// login sends what is needed in few packets: PBSZ, PROT and USER; PASS; FEAT, TYPE and PWD.
func (r *remote) login(ctx context.Context, c *control) error {
	user := r.user
	if user == "" {
		user = "anonymous"
	}
	var replies []ftp.Reply
	var err error
	if c.secure != nil {
		replies, err = c.cmds(ctx, true, "PBSZ 0", "PROT P", "USER "+user)
		if err == nil && !replies[1].Done() {
			return fault.New(fault.Unsupported, "%s does not encrypt data connections: %s", r.url.Address(), printable(replies[1].Text()))
		}
	} else {
		replies, err = c.cmds(ctx, true, "USER "+user)
	}
	if err != nil {
		return noService(ftp.Reply{}, err, r.url.Address())
	}
	answer := replies[len(replies)-1]
	if answer.Code == 331 {
		password, err := r.secret(ctx)
		if err != nil {
			return err
		}
		if answer, err = c.cmd(ctx, "PASS "+password); err != nil {
			return noService(answer, err, r.url.Address())
		}
	}
	if answer.More() {
		return fault.New(fault.Unsupported, "%s asks for more than a password: %s", r.url.Address(), printable(answer.Text()))
	}
	if !answer.Done() {
		r.forget()
		return fault.New(fault.Unauth, "%s did not let %s in: %s", r.url.Address(), user, printable(answer.Text()))
	}
	return r.learn(ctx, c)
}

// learn asks what the server can do and where we are.
func (r *remote) learn(ctx context.Context, c *control) error {
	replies, err := c.cmds(ctx, true, "FEAT", "TYPE I", "OPTS UTF8 ON", "PWD") // older servers want to be asked for UTF-8
	if err != nil {
		return err
	}
	if replies[0].Done() {
		c.feats = ftp.ParseFeatures(replies[0])
	}
	if replies[1].Done() {
		c.typ = "I"
	}
	c.ours = c.feats.Has("SITE", "PART")
	home := files.Root
	if text, ok := ftp.UnquotePath(replies[3].Text()); ok && replies[3].Code == 257 {
		if home, err = files.Parse(files.Root, text); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.home, r.feats, r.ours = home, c.feats, c.ours
	return nil
}

// noService says why a server does not serve us: 421 before log-in means too many connections.
func noService(r ftp.Reply, err error, host string) error {
	switch {
	case r.Code == 421:
		return fault.New(fault.TooMany, "%s does not serve us now: %s", host, printable(r.Text()))
	case err != nil:
		return err
	}
	return fault.New(fault.Unreachable, "%s does not serve us now: %s", host, printable(r.Text()))
}

// cause is the short reason of a network error, without addresses in front.
func cause(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dns.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "timeout"
	}
	s := err.Error()
	if _, tail, ok := strings.Cut(s, "connect: "); ok {
		s = tail
	}
	return printable(s)
}

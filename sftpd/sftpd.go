// Package sftpd is the SSH server that serves SFTP, and nothing else: no shell, no commands, no forwarding. It finds the
// row of each request in one table, and translates to session.Session.
package sftpd

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/cpu"

	"sampan/fault"
	"sampan/session"
)

// Config is what a Server needs.
type Config struct {
	Hub      *session.Hub
	HostKeys []ssh.Signer           // see HostKeys
	UserCA   func() []ssh.PublicKey // authorities whose certificates let the accounts in that they name; nil for none
	Log      *slog.Logger
}

// limits bound what one peer can take, and for how long. They are fields so that tests need not wait.
type limits struct {
	grace    time.Duration // from the connection to the log-in
	startups int           // connections of one address that are not logged in
	pending  int           // and of all addresses
	alone    time.Duration // without a channel
	unread   time.Duration // for the peer to take what it asked for
	linger   time.Duration // for the last replies to be taken
	asking   time.Duration // for the dialogue of who asks for an account
	here     time.Duration // how often a peer with open drafts is asked whether it is there
	channels int           // of a connection
	handles  int           // of a connection
	apart    int           // requests of a channel that run beside the others
	crowded  time.Duration // for other transfers of the account to end, where they are as many as they may be
	closings int           // uploads of a channel that are closed and not yet published: their handles are free for others
}

// Server serves any number of listeners.
type Server struct {
	cfg    Config
	log    *slog.Logger
	limits limits
	rows   map[key]*row
	ssh    ssh.ServerConfig
	gate   gate
	shared sync.Map // of sftp.Token: *handle

	street *session.Acceptor
}

// New returns a Server.
func New(c Config) *Server {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg: c, log: c.Log,
		limits: limits{
			grace: 2 * time.Minute, startups: 32, pending: 200, alone: time.Minute, unread: 5 * time.Minute,
			linger: time.Second, asking: 10 * time.Minute, here: 2 * time.Second, channels: 10, handles: 512, apart: 64,
			closings: 256, crowded: 20 * time.Second,
		},
		rows: index(), ssh: algorithms(),
		gate: gate{per: map[netip.Prefix][]net.Conn{}},
	}
	for _, k := range c.HostKeys {
		s.ssh.AddHostKey(k)
	}
	s.street = session.NewAcceptor(c.Hub, s.log)
	return s
}

// algorithms are the modern ones of the library, the post-quantum hybrid first. The library adds strict key exchange for
// clients that know it. Clients prefer chacha20-poly1305, which costs three times as much where the processor knows AES:
// there it is not offered.
func algorithms() ssh.ServerConfig {
	c := ssh.ServerConfig{
		ServerVersion:           "SSH-2.0-Sampan",
		MaxAuthTries:            6,
		PublicKeyAuthAlgorithms: ssh.SupportedAlgorithms().PublicKeyAuths,
		NoClientAuth:            true, // for who asks for an account; see none
	}
	c.KeyExchanges = []string{
		ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519, ssh.KeyExchangeECDHP256, ssh.KeyExchangeECDHP384,
		ssh.KeyExchangeECDHP521, ssh.KeyExchangeDH16SHA512, ssh.KeyExchangeDH14SHA256,
	}
	c.Ciphers = []string{ssh.CipherAES128GCM, ssh.CipherAES256GCM, ssh.CipherAES128CTR, ssh.CipherAES192CTR, ssh.CipherAES256CTR}
	if !cpu.X86.HasAES && !cpu.ARM64.HasAES {
		c.Ciphers = append([]string{ssh.CipherChaCha20Poly1305}, c.Ciphers...)
	}
	c.MACs = []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM, ssh.HMACSHA256, ssh.HMACSHA512}
	return c
}

// Serve accepts until l is closed, by Shutdown or past us.
func (s *Server) Serve(l net.Listener) {
	s.street.Serve(l, func(nc net.Conn, done func()) {
		defer done()
		s.handle(nc)
	})
}

// handle serves one connection to its end.
func (s *Server) handle(nc net.Conn) {
	defer nc.Close()
	from := remote(nc)
	leave, err := s.gate.enter(nc, from.Addr(), s.limits)
	if err != nil {
		s.turnAway(nc, err)
		return
	}
	defer leave()
	sess, err := s.cfg.Hub.Begin(session.Via{Proto: "sftp", Remote: from})
	if err != nil {
		s.turnAway(nc, err)
		return
	}
	defer sess.End()
	newConn(s, nc, sess).serve(leave)
}

// turnAway says why before the connection is closed: clients show what comes before the version (RFC 4253 section 4.2).
func (s *Server) turnAway(nc net.Conn, err error) {
	s.log.Warn("connection refused", "remote", remote(nc).String(), "reason", err.Error())
	nc.SetDeadline(time.Now().Add(s.limits.linger))
	nc.Write([]byte(fault.Say(err).String() + "\r\n"))
}

// Shutdown closes the listeners and returns when all sessions ended or ctx is done; the Hub's Drain decides about the
// transfers.
func (s *Server) Shutdown(ctx context.Context) { s.street.Shutdown(ctx) }

// remote returns the peer's address, IPv4 as such.
func remote(nc net.Conn) netip.AddrPort {
	t, ok := nc.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := t.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// Package ftpd is the FTP and FTPS server: it reads commands, finds the row of the verb in one table, and translates to
// session.Session.
package ftpd

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"sampan/fault"
	"sampan/session"
)

// Config is what a Server needs.
type Config struct {
	Hub           *session.Hub
	TLS           *tls.Config // never nil: AUTH TLS is always offered
	PassiveLow    int         // passive port range; 0 takes free ports of the system
	PassiveHigh   int
	PublicAddress string // host name or IP told in PASV to peers that are not on this machine's networks; "" tells the local address
	PlainLogins   string // "loopback", "always" or "never": from where passwords and data are taken in clear text
	TLSData       string // "auto", "required" or "off": must data connections resume the TLS session of their control connection?
	Log           *slog.Logger
}

// limits are how long things may take. They are fields so that tests need not wait.
type limits struct {
	idle      time.Duration // between commands
	doze      time.Duration // a session that hears nothing for so long waits with as little as it can
	beat      time.Duration // a command that goes on for so long is listened to
	login     time.Duration // from the connection to the log-in
	connect   time.Duration // for a data connection to come about
	handshake time.Duration
	known     time.Duration // for whoever shows the TLS ticket of a session that has not logged in yet
	write     time.Duration // for the client to take a reply
	linger    time.Duration // for the client to read the last reply
	taken     time.Duration // for the client to close the data connection of a download behind REST
	below     int           // entries of a listing with -R
}

// Server serves any number of listeners.
type Server struct {
	cfg      Config
	log      *slog.Logger
	limits   limits
	commands []command
	site     []command
	verbs    map[string]*command // of commands
	subverbs map[string]*command // of site
	tls      *tls.Config         // what the configs of all connections are made from; see tickets
	public   public
	ports    ports
	owners   owners
	pulse    pulse
	lot      lot
	holders  holders

	street *session.Acceptor

	mu       sync.Mutex
	careless map[string]int // accounts and what their TLS clients leave out: how often
}

// New returns a Server.
func New(c Config) *Server {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.PlainLogins == "" {
		c.PlainLogins = "loopback"
	}
	if c.TLSData == "" {
		c.TLSData = "auto"
	}
	s := &Server{
		cfg: c,
		log: c.Log,
		limits: limits{
			idle: 5 * time.Minute, doze: 2 * time.Second, beat: 20 * time.Millisecond, login: 2 * time.Minute,
			connect:   10 * time.Second,
			handshake: 10 * time.Second, known: time.Second, write: 30 * time.Second, linger: time.Second,
			taken: 100 * time.Millisecond,
			below: 100_000,
		},
		commands: commands(),
		site:     siteCommands(),
		tls:      baseTLS(c.TLS),
		public:   public{name: c.PublicAddress},
		holders:  holders{byID: map[string]*holder{}, circles: map[seat]*circle{}},
		careless: map[string]int{},
	}
	s.verbs, s.subverbs = index(s.commands), index(s.site)
	s.street = session.NewAcceptor(c.Hub, s.log)
	s.ports = ports{low: c.PassiveLow, high: c.PassiveHigh, rest: time.Minute, open: map[netip.AddrPort]*port{}, srv: s}
	return s
}

// Serve accepts until l is closed, by Shutdown or past us; implicit means that TLS starts at once (port 990).
func (s *Server) Serve(l net.Listener, implicit bool) {
	s.street.Serve(l, func(nc net.Conn, done func()) { s.handle(nc, implicit, done) })
}

// handle serves one control connection.
func (s *Server) handle(nc net.Conn, implicit bool, done func()) {
	c := s.begin(nc, implicit)
	if c == nil {
		nc.Close()
		done()
		return
	}
	c.done = done
	c.reply(220, "Sampan at your service")
	c.serve()
}

// begin admits a connection; nil if it is not to be served.
func (s *Server) begin(nc net.Conn, implicit bool) *conn {
	via := session.Via{Proto: "ftp", Remote: remote(nc), TLS: implicit}
	if implicit {
		via.Proto = "ftps"
	}
	sess, err := s.cfg.Hub.Begin(via)
	if err != nil {
		s.turnAway(nc, implicit, err)
		return nil
	}
	c := newConn(s, nc, sess)
	if implicit {
		if aside(func() { err = c.startTLS() }); err != nil {
			s.log.Info("no TLS", "reason", err.Error(), "remote", via.Remote.String())
			sess.End()
			return nil
		}
		c.pbsz, c.private = true, true
	}
	return c
}

// turnAway answers 421 and closes: the connection was not admitted. Behind implicit TLS nothing can be said without
// a handshake, which is work that a flood must not get.
func (s *Server) turnAway(nc net.Conn, implicit bool, err error) {
	s.log.Warn("connection refused", "remote", remote(nc).String(), "reason", err.Error())
	if implicit {
		return
	}
	nc.SetDeadline(time.Now().Add(s.limits.linger))
	nc.Write(appendReply(421, fault.Say(err).String()))
	hangUp(nc, s.limits.linger)
}

// Shutdown closes the listeners, sends 421 to idle sessions, and returns when all sessions ended or ctx is done; the
// Hub's Drain decides about the transfers.
func (s *Server) Shutdown(ctx context.Context) {
	s.street.Shutdown(ctx)
	s.ports.close()
	s.lot.close()
}

// remote returns the peer's address, IPv4 as such.
func remote(nc net.Conn) netip.AddrPort { return addrPort(nc.RemoteAddr()) }

func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := t.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

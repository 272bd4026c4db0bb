// Package ftpd is the FTP and FTPS server: it reads commands, finds the row of the verb in one table, and translates to
// session.Session.
package ftpd

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"

	"sampan/session"
)

// Config is what a Server needs.
type Config struct {
	Hub           *session.Hub
	TLS           *tls.Config // never nil: AUTH TLS is always offered
	PassiveLow    int         // passive port range; 0 takes free ports of the system
	PassiveHigh   int
	PublicAddress string // host name or IP told in PASV to peers that are not on this machine's networks; "" tells the local address
	PlainLogins   string // "loopback", "always" or "never"
	Log           *slog.Logger
}

// Server serves any number of listeners.
type Server struct{}

// New returns a Server.
func New(c Config) *Server { panic("not built") }

// Serve accepts until l is closed; implicit means that TLS starts at once (port 990). It returns nil after Shutdown.
func (s *Server) Serve(l net.Listener, implicit bool) error { panic("not built") }

// Shutdown closes the listeners, sends 421 to idle sessions, and returns when all sessions ended or ctx is done; the
// Hub's Drain decides about the transfers.
func (s *Server) Shutdown(ctx context.Context) { panic("not built") }

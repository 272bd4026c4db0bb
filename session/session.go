// Package session is the one door: everything that a protocol can do to a file is a method of Session. Permission,
// quota, the live list and transfer records happen here and nowhere else; protocol packages only translate.
package session

import (
	"context"
	"io"
	"iter"
	"log/slog"
	"net/netip"
	"time"

	"sampan/account"
	"sampan/files"
)

// Config is what a Hub needs.
type Config struct {
	Book          *account.Book
	Strict        bool
	PartAge       time.Duration
	MaxSessions   int // 0 is 1000
	MaxPerAddress int // 0 is 50
	Log           *slog.Logger
}

// Hub admits sessions, keeps the live list and the open homes, and drains.
type Hub struct{}

// NewHub returns a Hub over an open Book.
func NewHub(c Config) *Hub { panic("not built") }

// Close closes all homes; call it after Drain.
func (h *Hub) Close() error { panic("not built") }

// Via says how somebody came.
type Via struct {
	Proto  string // "ftp", "ftps"
	Remote netip.AddrPort
	TLS    bool
}

// Begin admits a connection. TooMany past the limits, Stopped while draining. ctx ends the session, and so does a
// Kick; Session.Context tells the protocol.
func (h *Hub) Begin(ctx context.Context, v Via) (*Session, error) { panic("not built") }

// View is one live session for the console and `who`.
type View struct {
	ID      int64
	Account string // "" before log-in
	Via     Via
	Since   time.Time
	Idle    time.Duration // since the last request or byte
	Doing   *Moving       // nil when idle
}

// Moving is one transfer under way.
type Moving struct {
	Verb        string // "put" or "get"
	Path        files.Path
	Done, Size  int64 // Size -1 if unknown; both count from the file's first byte
	Started     time.Time
	BytesPerSec float64 // over the last seconds
}

// Live lists the sessions, oldest first.
func (h *Hub) Live() []View { panic("not built") }

// Kick ends a session for a reason that its user is told; false if there is no such session.
func (h *Hub) Kick(id int64, why error) bool { panic("not built") }

// KickAccount ends all sessions of an account and returns how many.
func (h *Hub) KickAccount(name string, why error) int { panic("not built") }

// Drain stops admission, ends idle sessions at once and the others when their transfer ends or ctx does, and returns
// when none is left. What was cut is parked.
func (h *Hub) Drain(ctx context.Context) { panic("not built") }

// Home opens (or shares) the home of an account, with its current quota.
func (h *Hub) Home(a account.Account) (*files.Home, error) { panic("not built") }

// Session is one connection. Its methods may be called by several goroutines (SFTP does).
type Session struct{}

// End ends the session; running transfers are parked. It is idempotent.
func (s *Session) End() { panic("not built") }

// Context is done when the session is kicked, drained or ended; context.Cause tells why.
func (s *Session) Context() context.Context { panic("not built") }

// ID is unique in this run of the server.
func (s *Session) ID() int64 { panic("not built") }

// SetTLS notes that the connection is now encrypted (AUTH TLS).
func (s *Session) SetTLS(on bool) { panic("not built") }

// Touch notes activity (a command was read).
func (s *Session) Touch() { panic("not built") }

// Login lets the account in: Book.Check, then its home is opened. A second Login replaces the first.
func (s *Session) Login(name, password string) error { panic("not built") }

// Logout forgets the account (REIN, AUTH).
func (s *Session) Logout() { panic("not built") }

// Account returns who is logged in, as the Book says now; Unauth if nobody is or the account was suspended or removed.
func (s *Session) Account() (account.Account, error) { panic("not built") }

// Register and Answer are the Book's, with this connection's address; Passwd changes the logged-in account's own
// password after proving the old one.
func (s *Session) Register(name, email, password, note string) (account.Ticket, error) {
	panic("not built")
}
func (s *Session) Answer(t account.Ticket) (account.Answer, error) { panic("not built") }
func (s *Session) Passwd(old, new string) error                    { panic("not built") }

// May reports whether the account has all of need at p; for CWD and for facts in listings.
func (s *Session) May(p files.Path, need account.Perm) bool { panic("not built") }

// Enter checks that p is a directory that the account may change into.
func (s *Session) Enter(p files.Path) error { panic("not built") }

func (s *Session) Stat(p files.Path) (files.Info, error)          { panic("not built") }
func (s *Session) List(p files.Path) iter.Seq2[files.Info, error] { panic("not built") }
func (s *Session) Mkdir(p files.Path) error                       { panic("not built") }
func (s *Session) Remove(p files.Path) error                      { panic("not built") }
func (s *Session) Rename(from, to files.Path, replace bool) error { panic("not built") }
func (s *Session) Set(p files.Path, a files.Attr) error           { panic("not built") }
func (s *Session) Part(p files.Path) (files.PartInfo, error)      { panic("not built") } // waits for, or parks, the account's own half-dead upload of p
func (s *Session) DropPart(p files.Path) error                    { panic("not built") }
func (s *Session) Space() (files.Space, error)                    { panic("not built") }
func (s *Session) Sum(p files.Path, algo string, off, n int64) ([]byte, error) {
	panic("not built")
}

// Get starts a download of p from byte off.
func (s *Session) Get(p files.Path, off int64) (*Transfer, error) { panic("not built") }

// Put starts an upload of p. Appending (From > 0) needs Append, else Write; replacing needs Delete as well only if the
// grant has neither Write nor Append there. If another session of the same account is uploading p and received
// nothing for 5 s, that upload is parked first.
func (s *Session) Put(p files.Path, w files.Want) (*Transfer, error) { panic("not built") }

// Transfer is one upload or download under way. It is in the live list until Close, and leaves one record.
type Transfer struct{}

// Info describes the file at the start: of a download what is read, of an upload what is kept.
func (t *Transfer) Info() files.Info { panic("not built") }

// Context is done when the session ends or the transfer is aborted.
func (t *Transfer) Context() context.Context { panic("not built") }

// ReadFrom receives the upload's bytes from src until EOF, through files.Pump. Any error other than EOF means cut.
func (t *Transfer) ReadFrom(src io.Reader) (int64, error) { panic("not built") }

// WriteTo sends the download's bytes to dst, through files.Pump.
func (t *Transfer) WriteTo(dst io.Writer) (int64, error) { panic("not built") }

// Commit publishes the upload; sure may be nil; see files.Upload.
func (t *Transfer) Commit(sure func() error) (files.Info, error) { panic("not built") }

// Abort cancels Context, for ABOR and kicks; the goroutine that moves the bytes then calls Close.
func (t *Transfer) Abort(why error) { panic("not built") }

// Done returns how many bytes went over the wire.
func (t *Transfer) Done() int64 { panic("not built") }

// Close ends the transfer: an upload without Commit is parked. It writes the record. It is idempotent.
func (t *Transfer) Close() error { panic("not built") }

// Package client moves files between stores: Dial makes a files.Store of a remote, Disk makes one of the local disk,
// Copy and its kin work between any two.
package client

import (
	"context"
	"crypto/x509"
	"time"

	"sampan/files"
	"sampan/words"
)

// Options says how to dial.
type Options struct {
	Plain  bool // clear text is wanted (--plain); never chosen by itself
	Active bool // PORT/EPRT instead of PASV/EPSV
	Stream bool // a data connection for each transfer, even where the server offers block mode
	ASCII  bool // TYPE A: line ends are converted, so nothing is resumed, skipped or proved

	// Pin is "sha256:HEX" of the certificate's public key (SPKI), or of the host key as SSH writes it, for which
	// "SHA256:…" as ssh-keygen shows it will do too; when set, it alone decides.
	Pin string
	// Keep remembers what Pin matched, as if Trust had said yes, so that who joined with a pin needs it this once.
	Keep bool
	// Trust is asked about a certificate that neither the system's roots nor the pins accept, or a host key that
	// SSH's known hosts do not hold, and that is not a changed one. nil refuses. No connection is held open while
	// it thinks.
	Trust func(ctx context.Context, c Certificate) (bool, error)
	// Pins is the file that remembers the certificates that Trust accepted; "" is the user's own (PinsFile).
	Pins string
	// SSH is the directory with config, known_hosts and keys; "" is the user's ~/.ssh, with the system's files behind it.
	SSH string

	// Password is asked when the server wants one and URL, environment and netrc have none. nil is none.
	Password func(ctx context.Context, u URL) (string, error)
	// Ask puts another question of an SSH log-in: the passphrase of a key, a code. nil answers none.
	Ask func(ctx context.Context, question words.Message, hidden bool) (string, error)

	Trace   func(line string)   // the protocol as it goes, passwords masked; nil is silent
	Timeout time.Duration       // of connecting and of silence; 0 is 30 s
	Say     func(words.Message) // remarks for the person; nil is silent
}

// Certificate is what the person is asked about: the certificate of a TLS server, or the host key of an SSH server.
type Certificate struct {
	Host    string // host:port
	Leaf    *x509.Certificate
	Key     string // the kind of an SSH host key, "" where there is a certificate
	SHA256  string // "sha256:HEX" of the SPKI; of a host key "SHA256:…", as ssh-keygen shows it
	Changed bool   // a different one was pinned before: never accepted by Trust
}

// Remote is a Store on a server. A connection that broke while nobody used it is replaced without a word; a break in
// the middle of something is Cut or Unreachable, and Copy then tries again.
type Remote interface {
	files.Store
	files.Parter // Unsupported over FTP where the server has no SITE PART
	files.Summer // Unsupported where the server has neither HASH nor check-file
	files.Spacer // Unsupported where the server is not Sampan
	URL() URL    // what was dialed, without the password
	Home() files.Path
	// Passwd changes the account's own password. Unauth if old is wrong; Unsupported over SFTP.
	Passwd(ctx context.Context, old, new string) error
	// Tune changes Active, ASCII, Trace and Say from the next command on.
	Tune(change func(*Options))
	Close() error
}

// Dial connects and logs in. Kinds: Unreachable, Untrusted, Unauth, TooMany, Unsupported (no TLS or no SFTP there).
func Dial(ctx context.Context, u URL, o Options) (Remote, error) {
	var r interface {
		Remote
		start(ctx context.Context) error
	}
	if u.Scheme == "sftp" {
		r = newSSHRemote(u, o)
	} else {
		r = newRemote(u, o)
	}
	if err := r.start(ctx); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

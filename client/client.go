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

	// Pin is "sha256:HEX" of the certificate's public key (SPKI); when set, it alone decides.
	Pin string
	// Trust is asked about a certificate that neither the system's roots nor the pins accept and that is not a
	// changed one. nil refuses. No connection is held open while it thinks.
	Trust func(ctx context.Context, c Certificate) (bool, error)
	// Pins is the file that remembers what Trust accepted; "" is the user's own (PinsFile).
	Pins string

	// Password is asked when the server wants one and URL, environment and netrc have none. nil is none.
	Password func(ctx context.Context, u URL) (string, error)

	Trace   func(line string)   // the protocol as it goes, passwords masked; nil is silent
	Timeout time.Duration       // of connecting and of silence; 0 is 30 s
	Say     func(words.Message) // remarks for the person; nil is silent
}

// Certificate is what the person is asked about.
type Certificate struct {
	Host    string // host:port
	Leaf    *x509.Certificate
	SHA256  string // "sha256:HEX" of the SPKI
	Changed bool   // a different one was pinned before: never accepted by Trust
}

// Remote is a Store on a server. A connection that broke while nobody used it is replaced without a word; a break in
// the middle of something is Cut or Unreachable, and Copy then tries again.
type Remote interface {
	files.Store
	files.Parter // Unsupported where the server has no SITE PART
	files.Summer // Unsupported where the server has no HASH
	files.Spacer // Unsupported where the server has no SITE QUOTA
	URL() URL    // what was dialed, without the password
	Home() files.Path
	// Passwd changes the account's own password. Unauth if old is wrong.
	Passwd(ctx context.Context, old, new string) error
	// Tune changes Active, ASCII, Trace and Say from the next command on.
	Tune(change func(*Options))
	Close() error
}

// Dial connects and logs in. Kinds: Unreachable, Untrusted, Unauth, TooMany, Unsupported (no TLS there).
func Dial(ctx context.Context, u URL, o Options) (Remote, error) {
	r := newRemote(u, o)
	if err := r.start(ctx); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

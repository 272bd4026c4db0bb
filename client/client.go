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

// URL names a place on a remote: ftp:// (explicit TLS, required), ftps:// (implicit, port 990).
type URL struct {
	Scheme string
	User   string // "" means anonymous
	Pass   string // discouraged; from netrc, environment or prompt instead
	Host   string // without brackets
	Port   int
	Path   string // as the server takes it: relative to the log-in directory, or absolute when it starts with "/"
}

// ParseURL reads a URL; Syntax with a sentence if it is none.
func ParseURL(s string) (URL, error) { panic("not built") }

// String writes the URL without the password.
func (u URL) String() string { panic("not built") }

// Options says how to dial.
type Options struct {
	Plain  bool // clear text is wanted (--plain); never chosen by itself
	Active bool // PORT/EPRT instead of PASV/EPSV
	ASCII  bool // TYPE A

	// Pin is "sha256:HEX" of the certificate's public key (SPKI); when set, it alone decides.
	Pin string
	// Trust is asked about a certificate that neither the system's roots nor the pins accept and that is not a
	// changed one. nil refuses.
	Trust func(ctx context.Context, c Certificate) (bool, error)
	// Pins is the file that remembers what Trust accepted; "" is the user's own.
	Pins string

	// Password is asked when the server wants one and URL, environment and netrc have none. nil is none.
	Password func(ctx context.Context, u URL) (string, error)

	Trace   func(line string)   // the protocol as it goes, passwords masked; nil is silent
	Timeout time.Duration       // of connecting and of silence; 0 is 30 s
	Say     func(words.Message) // remarks for the person ("reconnecting in 2 s"); nil is silent
}

// Certificate is what the person is asked about.
type Certificate struct {
	Host    string
	Leaf    *x509.Certificate
	SHA256  string // "sha256:HEX" of the SPKI
	Changed bool   // a different one was pinned before: never accepted by Trust
}

// Remote is a Store on a server. It reconnects by itself within a command; see Copy.
type Remote interface {
	files.Store
	files.Parter // Unsupported where the server has no SITE PART
	files.Summer // Unsupported where the server has no HASH
	files.Spacer
	Home() files.Path // the log-in directory
	Close() error
}

// Dial connects and logs in. Kinds: Unreachable, Untrusted, Unauth.
func Dial(ctx context.Context, u URL, o Options) (Remote, error) { panic("not built") }

// Disk is a Store over a directory of this machine, with NAME.part files and a rename at commit. It is a Parter and a
// Summer.
func Disk(dir string) (files.Store, error) { panic("not built") }

package client

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"

	"sampan/fault"
)

// hostKeys decides about the host keys of servers, by what ~/.ssh/known_hosts says of them.
type hostKeys struct {
	home *sshHome

	mu       sync.Mutex
	accepted map[string]string // address to fingerprint: by Trust, in this process
}

// unknownKey ends a handshake so that Trust can be asked.
type unknownKey struct {
	address string
	key     ssh.PublicKey
}

func (u *unknownKey) Error() string { return u.refusal().Error() }

func (u *unknownKey) refusal() error {
	return fault.New(fault.Untrusted, "the host key of %s is not known: %s", u.address, ssh.FingerprintSHA256(u.key))
}

// pinned compares a host key with a pin: "SHA256:…" as ssh-keygen writes it, or "sha256:HEX".
func pinned(pin, address string, key ssh.PublicKey) error {
	sum := sha256.Sum256(key.Marshal())
	_, encoded, _ := strings.Cut(strings.TrimSpace(pin), ":")
	if strings.TrimRight(encoded, "=") == base64.RawStdEncoding.EncodeToString(sum[:]) || normalPin(pin) == "sha256:"+hex.EncodeToString(sum[:]) {
		return nil
	}
	return fault.New(fault.Untrusted, "the host key of %s is %s, but %s was asked for", address, ssh.FingerprintSHA256(key), printable(pin))
}

// database reads the known hosts. A damaged file must not look like an empty one.
func (k *hostKeys) database() (*knownhosts.HostKeyDB, error) {
	db, err := knownhosts.NewDB(k.home.known()...)
	if err != nil {
		return nil, fault.Wrap(fault.Local, err, "the known hosts of ssh cannot be read: %s", printable(err.Error()))
	}
	return db, nil
}

// algorithms are what host keys to ask a server for: the known ones first, so that another one is noticed as a change.
// Certificates count only where an authority is known.
func algorithms(db *knownhosts.HostKeyDB, address string) []string {
	all := append(db.HostKeyAlgorithms(address), ssh.KeyAlgoED25519)
	for _, a := range ssh.SupportedAlgorithms().HostKeys {
		if !slices.Contains(all, a) && !strings.Contains(a, "-cert-v01@") {
			all = append(all, a)
		}
	}
	return all
}

// check is called in every handshake, before anything about the user is sent. The error is an *unknownKey where Trust may
// say yes; a key that took the place of another is never one.
func (k *hostKeys) check(db *knownhosts.HostKeyDB, address string, remote net.Addr, key ssh.PublicKey) error {
	err := db.HostKeyCallback()(address, remote, key)
	var known *xknownhosts.KeyError
	var revoked *xknownhosts.RevokedError
	print := ssh.FingerprintSHA256(key)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &revoked):
		return fault.New(fault.Untrusted, "the host key of %s is revoked: %s", address, print)
	case !errors.As(err, &known):
		return fault.Wrap(fault.Untrusted, err, "the host key of %s was refused: %s", address, printable(err.Error()))
	case len(known.Want) > 0:
		was := known.Want[0]
		return fault.New(fault.Untrusted, "the host key of %s has changed: it was %s, now it is %s. If the operator confirms the new one, remove line %d from %s",
			address, ssh.FingerprintSHA256(was.Key), print, was.Line, was.Filename)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.accepted[address] == print {
		return nil
	}
	return &unknownKey{address, key}
}

// ask lets Trust decide about an unknown key, and remembers a yes.
func (k *hostKeys) ask(ctx context.Context, u *unknownKey, trust func(context.Context, Certificate) (bool, error)) error {
	if trust == nil {
		return u.refusal()
	}
	yes, err := trust(ctx, Certificate{Host: u.address, SHA256: ssh.FingerprintSHA256(u.key), Key: u.key.Type()})
	if err != nil {
		return err
	}
	if !yes {
		return u.refusal()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.accepted[u.address] = ssh.FingerprintSHA256(u.key)
	return k.remember(u)
}

// note remembers a key that a pin matched, unless another one is known: known hosts belong to the user.
func (k *hostKeys) note(db *knownhosts.HostKeyDB, address string, remote net.Addr, key ssh.PublicKey) {
	var unknown *unknownKey
	if errors.As(k.check(db, address, remote, key), &unknown) {
		_ = k.remember(unknown)
	}
}

// remember appends to the user's known_hosts, in one write.
func (k *hostKeys) remember(u *unknownKey) error {
	name := filepath.Join(k.home.own(), "known_hosts")
	fail := func(err error) error {
		return fault.Wrap(fault.Local, err, "%s: the host key could not be remembered", name)
	}
	if err := os.MkdirAll(k.home.own(), 0o700); err != nil {
		return fail(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fail(err)
	}
	line := knownhosts.Line([]string{u.address}, u.key) + "\n"
	if size, err := f.Seek(0, io.SeekEnd); err == nil && size > 0 {
		var last [1]byte
		if _, err := f.ReadAt(last[:], size-1); err == nil && last[0] != '\n' {
			line = "\n" + line
		}
	}
	_, err = f.WriteString(line)
	if err := errors.Join(err, f.Close()); err != nil {
		return fail(err)
	}
	return nil
}

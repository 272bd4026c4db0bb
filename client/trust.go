package client

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"sampan/fault"
)

// Fingerprint is the name by which a certificate is pinned: "sha256:HEX" of its public key (SPKI), so that a renewed
// certificate of the same key stays trusted.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// PinsFile is where accepted certificates are remembered when Options.Pins is empty.
func PinsFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fault.Wrap(fault.Local, err, "this machine names no directory for settings; set HOME, or name the certificate with --pin")
	}
	return filepath.Join(dir, "sampan", "known_servers"), nil
}

// verifier decides about the certificate of one server.
type verifier struct {
	host    string // as in the URL
	address string // host:port, the key in the pins file
	pin     string
	keep    bool // remember what pin matched
	file    string

	mu       sync.Mutex
	accepted string // by Trust, in this process
}

// unknownCertificate ends a handshake so that Trust can be asked.
type unknownCertificate struct{ certificate Certificate }

func (u *unknownCertificate) Error() string { return u.refusal().Error() }

func (u *unknownCertificate) refusal() error {
	c := u.certificate
	return fault.New(fault.Untrusted, "the certificate of %s is not known: %s", c.Host, c.SHA256)
}

// verify is called at the end of every handshake of a control connection, before anything is sent: the pin alone if
// there is one, else the system's roots with the host name, else the pins file, else what Trust said.
func (v *verifier) verify(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return fault.New(fault.Untrusted, "%s showed no certificate", v.address)
	}
	leaf := s.PeerCertificates[0]
	print := Fingerprint(leaf)
	if v.pin != "" {
		if normalPin(v.pin) == print {
			v.note(print)
			return nil
		}
		return fault.New(fault.Untrusted, "the certificate of %s is %s, but %s was asked for", v.address, print, normalPin(v.pin))
	}
	between := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		between.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: v.host, Intermediates: between}); err == nil {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.accepted == print {
		return nil
	}
	pinned, err := v.pinned()
	switch {
	case err != nil:
		return err
	case pinned == print:
		return nil
	case pinned != "":
		return fault.New(fault.Untrusted, "the certificate of %s has changed: it was %s, now it is %s. If the operator confirms the new one, remove the line from %s",
			v.address, pinned, print, v.file)
	}
	return &unknownCertificate{Certificate{Host: v.address, Leaf: leaf, SHA256: print}}
}

// note remembers what the pin matched, if that is wanted. What cannot be remembered will be asked about, no more.
func (v *verifier) note(print string) {
	if !v.keep {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if known, err := v.pinned(); err == nil && known != print {
		_ = v.remember(print)
	}
}

// normalPin writes a pin as Fingerprint does: the prefix may be missing, colons between bytes and capitals are fine.
func normalPin(pin string) string {
	pin = strings.TrimPrefix(strings.ToLower(strings.TrimSpace(pin)), "sha256:")
	return "sha256:" + strings.ReplaceAll(pin, ":", "")
}

// ask lets Trust decide about an unknown certificate, and remembers a yes.
func (v *verifier) ask(ctx context.Context, c Certificate, trust func(context.Context, Certificate) (bool, error)) error {
	if trust == nil {
		return (&unknownCertificate{c}).refusal()
	}
	yes, err := trust(ctx, c)
	if err != nil {
		return err
	}
	if !yes {
		return (&unknownCertificate{c}).refusal()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.accepted = c.SHA256
	return v.remember(c.SHA256)
}

// pinned looks the server up in the pins file.
func (v *verifier) pinned() (string, error) {
	if v.file == "" {
		file, err := PinsFile()
		if err != nil {
			return "", err
		}
		v.file = file
	}
	text, err := os.ReadFile(v.file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fault.Wrap(fault.Local, err, "%s: cannot be read", v.file)
	}
	pins, bad := parsePins(text)
	if bad > 0 {
		return "", fault.New(fault.Local, "%s: line %d is not a server and its fingerprint", v.file, bad)
	}
	return pins[v.address], nil
}

// parsePins reads lines "host:port sha256:HEX"; "#" begins a comment. The last line of a server counts. bad is the
// number of the first line that is none, 0 if all are well: a damaged file must not look like an empty one.
func parsePins(text []byte) (pins map[string]string, bad int) {
	pins = map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	n := 0
	for lines.Scan() {
		n++
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 2 || len(normalPin(fields[1])) != len("sha256:")+64 {
			return nil, n
		}
		pins[fields[0]] = normalPin(fields[1])
	}
	if lines.Err() != nil {
		return nil, n + 1
	}
	return pins, 0
}

// remember appends to the pins file, in one write.
func (v *verifier) remember(print string) error {
	fail := func(err error) error {
		return fault.Wrap(fault.Local, err, "%s: the certificate could not be remembered", v.file)
	}
	if err := os.MkdirAll(filepath.Dir(v.file), 0o700); err != nil {
		return fail(err)
	}
	f, err := os.OpenFile(v.file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fail(err)
	}
	_, err = f.WriteString(v.address + " " + print + "\n")
	if err := errors.Join(err, f.Close()); err != nil {
		return fail(err)
	}
	return nil
}

// sameKey verifies data connections: whoever answers there must hold the key of the control connection.
func sameKey(control tls.ConnectionState) func(tls.ConnectionState) error {
	want := Fingerprint(control.PeerCertificates[0])
	return func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 || Fingerprint(s.PeerCertificates[0]) != want {
			return fault.New(fault.Untrusted, "somebody else answered on the data connection")
		}
		return nil
	}
}

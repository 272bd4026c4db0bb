package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sampan/fault"
)

const (
	year          = 365 * 24 * time.Hour
	authorityLife = 30 * year
	certLife      = 10 * year
	certRenew     = year / 12 // renewed when less is left
)

// certificates are what the server shows: that of an authority to who asks for its name, else the operator's or the
// generated one, which a reload may exchange.
type certificates struct {
	now       atomic.Pointer[tls.Certificate]
	authority *authority // nil without

	mu     sync.Mutex
	files  *certFiles   // of the operator, nil without
	looked atomic.Int64 // when, Unix ns
}

// certFiles are a certificate and its key in files that somebody else may renew.
type certFiles struct {
	cert, key string
	log       *slog.Logger
	state     [2]fileState // when they were loaded
}

// fileState tells one version of a file from the next.
type fileState struct {
	size     int64
	modified time.Time
}

// lookEvery is how often handshakes look whether the operator's files have changed.
const lookEvery = 5 * time.Second

// config is the TLS configuration of the listeners.
func (c *certificates) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if cert := c.authority.certificate(hello); cert != nil {
				return cert, nil
			}
			c.look()
			return c.now.Load(), nil
		},
	}
}

// look loads the operator's files again when they have changed. While they do not fit each other the old ones stay.
func (c *certificates) look() {
	last, now := c.looked.Load(), time.Now().UnixNano()
	if now-last < int64(lookEvery) || !c.looked.CompareAndSwap(last, now) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.files
	if f == nil {
		return
	}
	before := f.state
	if f.note(); f.state == before {
		return
	}
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		f.log.Warn("the certificate has changed and cannot be used; the old one stays", "file", f.cert, "err", err)
		return
	}
	c.now.Store(&pair)
	f.log.Info("the certificate has changed", "file", f.cert, "pin", c.pin())
}

// note remembers the state of the files.
func (f *certFiles) note() {
	for i, name := range []string{f.cert, f.key} {
		f.state[i] = fileState{}
		if info, err := os.Stat(name); err == nil {
			f.state[i] = fileState{info.Size(), info.ModTime()}
		}
	}
}

// pin is "sha256:HEX" of the certificate's public key (its SubjectPublicKeyInfo), which stays when it is renewed.
func (c *certificates) pin() string {
	sum := sha256.Sum256(c.now.Load().Leaf.RawSubjectPublicKeyInfo)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// load takes the operator's certificate if the settings name one, else the generated one of DATA.
func (c *certificates) load(dir string, s settings, log *slog.Logger) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.TLSCert != "" {
		files := &certFiles{cert: string(s.TLSCert), key: string(s.TLSKey), log: log}
		files.note()
		pair, err := tls.LoadX509KeyPair(files.cert, files.key)
		if err != nil {
			return fault.Wrap(fault.Local, err, "the certificate %s and its key %s cannot be used", s.TLSCert, s.TLSKey)
		}
		c.files = files
		c.now.Store(&pair)
		return nil
	}
	pair, err := ownCertificate(filepath.Join(dir, "tls"), certNames(string(s.PublicAddress)), time.Now(), log)
	if err != nil {
		return err
	}
	c.files = nil
	c.now.Store(pair)
	return nil
}

// certNames is what the generated certificate is good for: this machine by all its names and addresses.
func certNames(public string) (names []string) {
	names = []string{"localhost", "127.0.0.1", "::1"}
	if host, err := os.Hostname(); err == nil && host != "" {
		names = append(names, host)
	}
	for _, a := range localAddresses() {
		names = append(names, a.String())
	}
	if public != "" {
		names = append(names, public)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// localAddresses lists this machine's addresses that others may reach it by.
func localAddresses() (list []netip.Addr) {
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().IsGlobalUnicast() {
			list = append(list, p.Addr())
		}
	}
	return list
}

// ownCertificate returns the generated certificate in dir: cert.pem holds the certificate and, behind it, the one of
// its authority, which --cacert and its kin take; key.pem holds the key of both. The certificate is made when it is
// missing and renewed when it is near its end or does not name all of names. A renewal keeps the key, and with it
// every pin, and the authority, so that a copy of cert.pem that a client was given verifies the new one too.
func ownCertificate(dir string, names []string, now time.Time, log *slog.Logger) (*tls.Certificate, error) {
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Wrap(fault.Local, err, "%s cannot be made", dir)
	}
	key, err := ownKey(keyFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	var authority *x509.Certificate
	if err == nil && len(pair.Certificate) == 2 {
		if authority, err = x509.ParseCertificate(pair.Certificate[1]); err == nil && pair.Leaf.CheckSignatureFrom(authority) != nil {
			authority = nil
		}
	}
	if authority != nil && covers(pair.Leaf, names, now) {
		return &pair, nil
	}
	chain, err := issue(key, authority, names, now)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "the certificate cannot be made")
	}
	if err := replaceFile(certFile, chain, 0o644); err != nil {
		return nil, fault.Wrap(fault.Local, err, "%s cannot be written", certFile)
	}
	log.Info("certificate made", "file", certFile)
	pair, err = tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fault.Wrap(fault.Local, err, "%s cannot be read", certFile)
	}
	return &pair, nil
}

// ownKey reads or makes the key. A key that cannot be read is an error: making another one would break every pin.
func ownKey(file string) (*ecdsa.PrivateKey, error) {
	old, err := os.ReadFile(file)
	switch {
	case err == nil:
		block, _ := pem.Decode(old)
		if block == nil {
			return nil, fault.New(fault.Local, "%s holds no key; remove it to have a new one made (clients that pinned the old one will refuse it)", file)
		}
		k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if key, ok := k.(*ecdsa.PrivateKey); ok {
			return key, nil
		}
		return nil, fault.Wrap(fault.Local, err, "%s holds no key; remove it to have a new one made (clients that pinned the old one will refuse it)", file)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fault.Wrap(fault.Local, err, "%s cannot be read", file)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "the certificate cannot be made")
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "the certificate cannot be made")
	}
	if err := replaceFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return nil, fault.Wrap(fault.Local, err, "%s cannot be written", file)
	}
	return key, nil
}

// covers reports whether a certificate is good for all names, for some time to come.
func covers(leaf *x509.Certificate, names []string, now time.Time) bool {
	if now.Before(leaf.NotBefore) || now.Add(certRenew).After(leaf.NotAfter) {
		return false
	}
	for _, name := range names {
		ip := net.ParseIP(name)
		if ip == nil && !slices.Contains(leaf.DNSNames, name) ||
			ip != nil && !slices.ContainsFunc(leaf.IPAddresses, ip.Equal) {
			return false
		}
	}
	return true
}

// issue makes a certificate for names, by an authority that is made if there is none, and returns both in PEM.
func issue(key *ecdsa.PrivateKey, authority *x509.Certificate, names []string, now time.Time) ([]byte, error) {
	name := "Sampan " + keyName(key)
	if authority == nil {
		ca := template(name+" CA", now, authorityLife)
		ca.IsCA, ca.MaxPathLenZero = true, true
		ca.KeyUsage = x509.KeyUsageCertSign
		der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
		if err != nil {
			return nil, err
		}
		if authority, err = x509.ParseCertificate(der); err != nil {
			return nil, err
		}
	}
	c := template(name, now, certLife)
	c.KeyUsage = x509.KeyUsageDigitalSignature
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, authority, key.Public(), key)
	if err != nil {
		return nil, err
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Raw})...), nil
}

// template is what all our certificates have. The serial number is random (CreateCertificate makes it).
func template(name string, now time.Time, life time.Duration) *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"Sampan"}, CommonName: name},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(life),
		BasicConstraintsValid: true,
	}
}

// keyName is a short name of a key, so that the certificates of two servers have different subjects.
func keyName(key *ecdsa.PrivateKey) string {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return "key"
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:4])
}

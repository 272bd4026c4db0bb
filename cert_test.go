package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sampan/fault"
)

var quiet = slog.New(slog.DiscardHandler)

func TestCertificate(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Now()
	names := []string{"localhost", "127.0.0.1", "::1", "host.example", "192.0.2.7"}
	first, err := ownCertificate(dir, names, now, quiet)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "key.pem"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("key.pem: %v, %v", info, err)
	}
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(filepath.Join(dir, "cert.pem"))
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		t.Fatal(err)
	}
	verify := func(leaf *x509.Certificate, at time.Time) {
		t.Helper()
		for _, name := range names {
			if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: at}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	verify(first.Leaf, now)

	same, err := ownCertificate(dir, names[:3], now.Add(time.Hour), quiet)
	if err != nil || !bytes.Equal(same.Leaf.Raw, first.Leaf.Raw) {
		t.Errorf("a certificate that is good was made again (%v)", err)
	}
	renewed := func(what string, names []string, at time.Time) *x509.Certificate {
		t.Helper()
		again, err := ownCertificate(dir, names, at, quiet)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(again.Leaf.Raw, first.Leaf.Raw) {
			t.Errorf("%s: the certificate was not renewed", what)
		}
		if !bytes.Equal(again.Leaf.RawSubjectPublicKeyInfo, first.Leaf.RawSubjectPublicKeyInfo) {
			t.Errorf("%s: the key changed, and with it every pin", what)
		}
		return again.Leaf
	}
	verify(renewed("a new address", append(names, "192.0.2.8"), now), now) // with the copy of the first certificate
	verify(renewed("old age", names, now.Add(certLife-time.Hour)), now.Add(certLife))
}

// TestDamagedKeyIsKept: a key that cannot be read is never replaced silently, for that would break every pin.
func TestDamagedKeyIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, content := range []string{"", "rubbish", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		file := filepath.Join(dir, "key.pem")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ownCertificate(dir, []string{"localhost"}, time.Now(), quiet); fault.KindOf(err) != fault.Local {
			t.Errorf("%q: %v", content, err)
		}
		if now, err := os.ReadFile(file); err != nil || string(now) != content {
			t.Errorf("the key file was changed: %q, %v", now, err)
		}
	}
}

// TestCertificateFilesChange: the operator's certificate is taken anew when its files have changed, and as long as they do not
// fit each other the old one stays.
func TestCertificateFilesChange(t *testing.T) {
	t.Parallel()
	one, two, used := t.TempDir(), t.TempDir(), t.TempDir()
	pairs := map[string]*tls.Certificate{}
	for _, dir := range []string{one, two} {
		var err error
		if pairs[dir], err = ownCertificate(dir, []string{"localhost"}, time.Now(), quiet); err != nil {
			t.Fatal(err)
		}
	}
	age := time.Now().Add(-time.Hour)
	take := func(name, from string) {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(used, name)
		if err := replaceFile(to, b, 0o600); err != nil {
			t.Fatal(err)
		}
		age = age.Add(time.Second) // as far apart as renewals are
		if err := os.Chtimes(to, age, age); err != nil {
			t.Fatal(err)
		}
	}
	take("cert.pem", one)
	take("key.pem", one)
	var c certificates
	s := settings{TLSCert: text(filepath.Join(used, "cert.pem")), TLSKey: text(filepath.Join(used, "key.pem"))}
	if err := c.load(t.TempDir(), s, quiet); err != nil {
		t.Fatal(err)
	}
	shows := func(what, from string) {
		t.Helper()
		got, err := c.config().GetCertificate(&tls.ClientHelloInfo{ServerName: "localhost"})
		if err != nil || !bytes.Equal(got.Certificate[0], pairs[from].Certificate[0]) {
			t.Errorf("%s: the other certificate is shown (%v)", what, err)
		}
	}
	shows("at first", one)
	take("cert.pem", two)
	take("key.pem", two)
	shows("just looked at", one)
	c.looked.Store(0)
	shows("changed", two)
	take("cert.pem", one)
	c.looked.Store(0)
	shows("half changed", two)
	if err := os.Remove(filepath.Join(used, "key.pem")); err != nil {
		t.Fatal(err)
	}
	c.looked.Store(0)
	shows("half gone", two)
	take("key.pem", one)
	c.looked.Store(0)
	shows("changed again", one)
}

func TestReplaceFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "x")
	for _, content := range []string{"one", "two"} {
		if err := replaceFile(name, []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(name)
		if err != nil || string(b) != content {
			t.Errorf("%q, %v", b, err)
		}
	}
	info, _ := os.Stat(name)
	if info.Mode().Perm() != fs.FileMode(0o640) {
		t.Errorf("mode %v", info.Mode())
	}
	if list, _ := os.ReadDir(dir); len(list) != 1 {
		t.Errorf("something was left: %v", list)
	}
}

package client_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"sampan/client"
	"sampan/fault"
	"sampan/ftpd"
)

// asked counts what Trust was asked.
func asking(n *int, answer bool) func(context.Context, client.Certificate) (bool, error) {
	return func(_ context.Context, c client.Certificate) (bool, error) {
		*n++
		return answer && !c.Changed && c.Leaf != nil && strings.HasPrefix(c.SHA256, "sha256:"), nil
	}
}

func TestUnknownCertificateIsAskedAboutOnceAndPinned(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	pins := filepath.Join(t.TempDir(), "deep", "known_servers")
	questions := 0
	dial := func(answer bool) error {
		r, err := client.Dial(t.Context(), h.url("ftp", h.ftp, "alice"), client.Options{Pins: pins, Trust: asking(&questions, answer)})
		if err == nil {
			r.Close()
		}
		return err
	}
	wantKind(t, dial(false), fault.Untrusted)
	if _, err := os.Stat(pins); err == nil {
		t.Error("a refused certificate was remembered")
	}
	must(t, dial(true))
	must(t, dial(false))
	if questions != 2 {
		t.Errorf("%d questions, want 2", questions)
	}
	if got, want := string(read(t, pins)), h.ftp+" "+client.Fingerprint(h.cert.Leaf)+"\n"; got != want {
		t.Errorf("pins file %q, want %q", got, want)
	}
	_, err := client.Dial(t.Context(), h.url("ftp", h.ftp, "alice"), client.Options{Pins: filepath.Join(t.TempDir(), "x")})
	wantKind(t, err, fault.Untrusted)
	fails := errors.New("no terminal")
	_, err = client.Dial(t.Context(), h.url("ftp", h.ftp, "alice"), client.Options{
		Pins:  filepath.Join(t.TempDir(), "x"),
		Trust: func(context.Context, client.Certificate) (bool, error) { return true, fails },
	})
	if !errors.Is(err, fails) {
		t.Errorf("got %v", err)
	}
}

func TestChangedCertificateIsNeverAccepted(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	other := client.Fingerprint(newCertificate(t).Leaf)
	pins := filepath.Join(t.TempDir(), "known_servers")
	write(t, pins, []byte("# comment\n\n"+h.ftp+" "+other+"\n"))
	questions := 0
	_, err := client.Dial(t.Context(), h.url("ftp", h.ftp, "alice"), client.Options{Pins: pins, Trust: asking(&questions, true)})
	wantKind(t, err, fault.Untrusted)
	if s := fault.Say(err).String(); questions != 0 || !strings.Contains(s, other) || !strings.Contains(s, client.Fingerprint(h.cert.Leaf)) {
		t.Errorf("%d questions; it says %q", questions, s)
	}
	write(t, pins, []byte("rubbish\n"))
	_, err = client.Dial(t.Context(), h.url("ftp", h.ftp, "alice"), client.Options{Pins: pins, Trust: asking(&questions, true)})
	wantKind(t, err, fault.Local)
	if questions != 0 {
		t.Error("a damaged pins file passed for an empty one")
	}
}

func TestPinAloneDecides(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	pins := filepath.Join(t.TempDir(), "known_servers")
	write(t, pins, []byte(h.ftp+" "+client.Fingerprint(h.cert.Leaf)+"\n"))
	questions := 0
	dial := func(pin string) error {
		r, err := client.Dial(t.Context(), h.url("ftp", h.ftp, "alice"), client.Options{Pin: pin, Pins: pins, Trust: asking(&questions, true)})
		if err == nil {
			r.Close()
		}
		return err
	}
	right := client.Fingerprint(h.cert.Leaf)
	must(t, dial(right))
	must(t, dial(strings.ToUpper(strings.TrimPrefix(right, "sha256:"))))
	wantKind(t, dial(client.Fingerprint(newCertificate(t).Leaf)), fault.Untrusted)
	wantKind(t, dial("nonsense"), fault.Untrusted)
	if questions != 0 {
		t.Errorf("%d questions", questions)
	}
}

// TestJoinedWithAPin: what a pin matched is kept where that is wanted, once, and needs no pin from then on.
func TestJoinedWithAPin(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	pins := filepath.Join(t.TempDir(), "deep", "known_servers")
	pin := client.Fingerprint(h.cert.Leaf)
	dial := func(o client.Options) error {
		o.Pins = pins
		r, err := client.Dial(t.Context(), h.url("ftp", h.ftp, "alice"), o)
		if err == nil {
			r.Close()
		}
		return err
	}
	wantKind(t, dial(client.Options{Pin: client.Fingerprint(newCertificate(t).Leaf), Keep: true}), fault.Untrusted)
	must(t, dial(client.Options{Pin: pin}))
	wantKind(t, dial(client.Options{}), fault.Untrusted)
	for range 2 {
		must(t, dial(client.Options{Pin: pin, Keep: true}))
	}
	must(t, dial(client.Options{}))
	if got, want := string(read(t, pins)), h.ftp+" "+pin+"\n"; got != want {
		t.Errorf("pins file %q, want %q", got, want)
	}
}

// TestSystemRootsAndHostName: where the system vouches for the certificate nobody is asked, but only under its name. The
// roots are read once a process, so this runs in one of its own.
func TestSystemRootsAndHostName(t *testing.T) {
	if os.Getenv("HARBOUR") == "" {
		t.Parallel()
		h := newHarbour(t)
		roots := filepath.Join(t.TempDir(), "roots.pem")
		write(t, roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.cert.Certificate[0]}))
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSystemRootsAndHostName$", "-test.count=1")
		cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+roots, "SSL_CERT_DIR="+t.TempDir(), "HARBOUR="+h.ftp)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	address := os.Getenv("HARBOUR")
	_, port, err := net.SplitHostPort(address)
	must(t, err)
	dial := func(host string) error {
		u, err := client.ParseURL("ftp://alice@" + net.JoinHostPort(host, port))
		must(t, err)
		u.Pass = password
		r, err := client.Dial(t.Context(), u, client.Options{Pins: filepath.Join(t.TempDir(), "x")})
		if err == nil {
			r.Close()
		}
		return err
	}
	must(t, dial("127.0.0.1"))
	must(t, dial("localhost"))
	wantKind(t, dial("127.0.0.2"), fault.Unreachable) // nobody listens there
}

// TestRootsDoNotVouchForAnotherName: the certificate is of a known root, but for another host.
func TestRootsDoNotVouchForAnotherName(t *testing.T) {
	if os.Getenv("HARBOUR") == "" {
		t.Parallel()
		h := newHarbourOn(t, "127.0.0.3")
		roots := filepath.Join(t.TempDir(), "roots.pem")
		write(t, roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.cert.Certificate[0]}))
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRootsDoNotVouchForAnotherName$", "-test.count=1")
		cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+roots, "SSL_CERT_DIR="+t.TempDir(), "HARBOUR="+h.ftp)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	u, err := client.ParseURL("ftp://alice@" + os.Getenv("HARBOUR"))
	must(t, err)
	_, err = client.Dial(t.Context(), u, client.Options{Pins: filepath.Join(t.TempDir(), "x")})
	wantKind(t, err, fault.Untrusted)
}

// TestDataConnectionsResumeTheControlSession: one full handshake, however many transfers.
func TestDataConnectionsResumeTheControlSession(t *testing.T) {
	t.Parallel()
	var resumed, fresh atomic.Int32
	h := newHarbourOn(t, "127.0.0.1", func(c *ftpd.Config) {
		c.TLS.VerifyConnection = func(s tls.ConnectionState) error {
			if s.DidResume {
				resumed.Add(1)
			} else {
				fresh.Add(1)
			}
			return nil
		}
	})
	r := h.dial("alice", func(o *client.Options) { o.Stream = true })
	local := t.TempDir()
	write(t, filepath.Join(local, "f"), []byte("x"))
	for range 3 {
		for _, err := range r.List(t.Context(), path(t, "/")) {
			must(t, err)
		}
		_, err := client.Copy(t.Context(), disk(t, local), path(t, "f"), r, path(t, "f"), client.CopyOptions{})
		must(t, err)
	}
	if fresh.Load() != 1 || resumed.Load() != 4 {
		t.Errorf("%d full handshakes and %d resumed, want 1 and 4", fresh.Load(), resumed.Load())
	}
}

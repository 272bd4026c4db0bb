//go:build linux

package stories

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pebble is Let's Encrypt's own authority for tests, a real one on loopback: it is found by a DNS server of ours, which
// knows one address, and comes to that address for its proofs.
type pebble struct {
	t         testing.TB
	program   string
	config    string
	dns       string
	trust     string // the certificate of its own HTTPS server
	directory string
	manage    string
	client    *http.Client
	cmd       *exec.Cmd
	log       log
}

// newPebble builds it; the proofs are looked for at proof, whatever the name.
func newPebble(t testing.TB, proof *net.TCPAddr) *pebble {
	t.Helper()
	dir := t.TempDir()
	p := &pebble{t: t, program: filepath.Join(dir, "pebble"), config: filepath.Join(dir, "pebble.json"), trust: filepath.Join(dir, "cert.pem")}
	build := exec.Command("go", "build", "-modfile", "../tools/go.mod", "-o", p.program, "github.com/letsencrypt/pebble/v2/cmd/pebble")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building pebble: %v\n%s", err, out)
	}
	const host = "127.0.90.1"
	free := freePorts(t, host, 2)
	listen, manage := free[0], free[1]
	p.directory, p.manage = "https://"+listen.String()+"/dir", "https://"+manage.String()
	key := filepath.Join(dir, "key.pem")
	ownPair(t, p.trust, key, net.ParseIP(host))
	settings := map[string]any{
		"listenAddress": listen.String(), "managementListenAddress": manage.String(), "certificate": p.trust, "privateKey": key,
		"httpPort": proof.Port, "tlsPort": 1, "keyAlgorithm": "ecdsa",
	}
	b, err := json.Marshal(map[string]any{"pebble": settings})
	if err != nil {
		t.Fatal(err)
	}
	write(t, p.config, b)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(read(t, p.trust))
	p.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}, Timeout: patience}
	p.dns = serveDNS(t, proof.IP)
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("pebble's log:\n%s", tail(p.log.String(), 8000))
		}
	})
	return p
}

// start runs it and waits until it answers.
func (p *pebble) start() {
	p.t.Helper()
	p.cmd = exec.Command(p.program, "-config", p.config, "-dnsserver", p.dns)
	p.cmd.Env = environ(filepath.Dir(p.config), "PEBBLE_VA_NOSLEEP=1")
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.SysProcAttr = dieWithParent()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	for _, url := range []string{p.directory, p.manage + "/roots/0"} {
		eventually(p.t, "pebble answers", func() bool {
			r, err := p.client.Get(url)
			if err == nil {
				r.Body.Close()
			}
			return err == nil
		})
	}
}

func (p *pebble) stop() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		p.cmd = nil
	}
}

// root is what its certificates are verified by.
func (p *pebble) root() *x509.CertPool {
	p.t.Helper()
	r, err := p.client.Get(p.manage + "/roots/0")
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(b) {
		p.t.Fatalf("%q %v", b, err)
	}
	return roots
}

// wantsBack makes it ask that a certificate be renewed now (RFC 9773).
func (p *pebble) wantsBack(c *x509.Certificate) {
	p.t.Helper()
	now := time.Now().UTC()
	window, err := json.Marshal(map[string]any{"suggestedWindow": map[string]any{"start": now.Add(-2 * time.Hour), "end": now.Add(-time.Hour)}})
	if err != nil {
		p.t.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{
		"certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})), "ariResponse": string(window),
	})
	if err != nil {
		p.t.Fatal(err)
	}
	r, err := p.client.Post(p.manage+"/set-renewal-info/", "application/json", bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusOK {
		p.t.Fatal(r.Status)
	}
}

// freePorts finds free ports on a loopback address that nobody else uses.
func freePorts(t testing.TB, host string, n int) (free []*net.TCPAddr) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		free = append(free, l.Addr().(*net.TCPAddr))
	}
	return free
}

// ownPair writes a certificate for one address, and its key.
func ownPair(t testing.TB, cert, key string, ip net.IP) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pebble"}, IPAddresses: []net.IP{ip},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	write(t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

// serveDNS answers every question for an address with ip, and every other one with nothing, over TCP (RFC 1035 section 4).
func serveDNS(t testing.TB, ip net.IP) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for {
					_ = c.SetDeadline(time.Now().Add(patience))
					var size [2]byte
					if _, err := io.ReadFull(c, size[:]); err != nil {
						return
					}
					in := make([]byte, int(size[0])<<8|int(size[1]))
					if _, err := io.ReadFull(c, in); err != nil {
						return
					}
					out := answerDNS(in, ip)
					if _, err := c.Write(append([]byte{byte(len(out) >> 8), byte(len(out))}, out...)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func answerDNS(in []byte, ip net.IP) []byte {
	end := 12
	for end < len(in) && in[end] != 0 {
		end += 1 + int(in[end])
	}
	if end += 5; end > len(in) {
		return nil
	}
	out := append([]byte{}, in[:end]...)
	answers := byte(0)
	if in[end-4] == 0 && in[end-3] == 1 { // A
		answers = 1
		out = append(out, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4)
		out = append(out, ip.To4()...)
	}
	copy(out[2:], []byte{0x81, 0x80, 0, 1, 0, answers, 0, 0, 0, 0})
	return out
}

// TestACME: a server with a public name gets its certificate from an authority. Until it is there the generated one serves,
// which goes on serving who knows the server by another name; afterwards it is kept, and renewed when the authority says so.
func TestACME(t *testing.T) {
	t.Parallel()
	const name = "files.sampan.test"
	proof := freePorts(t, "127.0.90.2", 1)[0]
	p := newPebble(t, proof)
	s := newServer(t, "--acme-domain", name, "--acme-email", "operator@sampan.test", "--acme-directory", p.directory,
		"--acme-http", proof.String())
	s.env = []string{"SSL_CERT_FILE=" + p.trust}
	s.start()
	s.addUser("alice")

	// shown is what the server shows to who asks for a name, nil if it does not verify.
	shown := func(name string, roots *x509.CertPool) (cfg *tls.Config, leaf *x509.Certificate) {
		t.Helper()
		cfg = &tls.Config{RootCAs: roots, ServerName: name, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		w, err := dialWire(s.addr, "")
		if err != nil {
			t.Fatal(err)
		}
		defer w.close()
		if err := w.secure(cfg); err != nil {
			return nil, nil
		}
		return cfg, w.conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
	}
	generated, err := trust(s.data)
	if err != nil {
		t.Fatal(err)
	}
	if _, leaf := shown(name, generated.RootCAs); leaf == nil {
		t.Fatal("the generated certificate does not serve before there is another one")
	}
	eventually(t, "the operator is told", func() bool {
		return strings.Contains(s.log.String(), "no certificate from the authority; it is asked again")
	})
	if strings.Contains(s.log.String(), "--pin") {
		t.Error("the second person is given the pin of a certificate that will go")
	}

	p.start()
	s.restart()
	roots := p.root()
	var cfg *tls.Config
	var first *x509.Certificate
	eventually(t, "the authority's certificate is shown", func() bool {
		cfg, first = shown(name, roots)
		return first != nil
	})
	eventually(t, "the operator is told", func() bool { return strings.Contains(s.log.String(), "the authority gave a certificate") })
	if _, leaf := shown("localhost", generated.RootCAs); leaf == nil {
		t.Error("the generated certificate does not serve its names any more")
	}
	h := s.connect(t)
	h.check(h.secure(cfg))
	h.check(h.login("alice", "pw-of-alice"))
	h.check(h.put("STOR f", 0, strings.NewReader("content")))
	kept(t, filepath.Join(s.data, "tls", "acme"))

	// The authority wants it back, and it is time to ask it.
	p.wantsBack(first)
	s.kill()
	askAgain(t, filepath.Join(s.data, "tls", "acme"), name)
	s.start()
	var second *x509.Certificate
	eventually(t, "the certificate is renewed", func() bool {
		_, second = shown(name, roots)
		return second != nil && second.SerialNumber.Cmp(first.SerialNumber) != 0
	})
	if !bytes.Equal(second.RawSubjectPublicKeyInfo, first.RawSubjectPublicKeyInfo) {
		t.Error("the key changed, and with it every pin")
	}

	// Without the authority it serves from the disk.
	p.stop()
	s.restart()
	eventually(t, "the certificate that was kept is shown", func() bool {
		_, leaf := shown(name, roots)
		return leaf != nil && leaf.Equal(second)
	})
	s.stop()
}

// kept checks that nobody else can read the keys.
func kept(t testing.TB, dir string) {
	t.Helper()
	keys := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".key") {
			return err
		}
		keys++
		info, err := d.Info()
		if err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil || keys < 2 { // the account's and the certificate's
		t.Errorf("%d keys are kept, %v", keys, err)
	}
}

// askAgain makes it time to ask the authority about a certificate, which else is in hours.
func askAgain(t testing.TB, dir, name string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "certificates", "*", name, name+".json"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	const due = `"_retryAfter": "`
	before, after, ok := strings.Cut(string(read(t, found[0])), due)
	if !ok || len(after) < len(time.DateOnly) {
		t.Fatalf("%s does not say when", found[0])
	}
	write(t, found[0], []byte(before+due+"2001-01-01"+after[len(time.DateOnly):]))
}

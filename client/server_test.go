package client_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sampan/account"
	"sampan/client"
	"sampan/files"
	"sampan/ftpd"
	"sampan/session"
	"sampan/words"
)

const password = "correct horse battery"

// harbour is a real server: a book, a hub, and FTP with explicit and implicit TLS on loopback.
type harbour struct {
	t        testing.TB
	book     *account.Book
	hub      *session.Hub
	homes    string
	ftp      string // host:port
	ftps     string
	pins     string
	cert     tls.Certificate
	loopback string
}

func newCertificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, _ := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func newHarbour(t testing.TB) *harbour { return newHarbourOn(t, "127.0.0.1") }

func newHarbourOn(t testing.TB, address string, change ...func(*ftpd.Config)) *harbour {
	t.Helper()
	dir := t.TempDir()
	h := &harbour{t: t, homes: filepath.Join(dir, "homes"), pins: filepath.Join(dir, "known"), cert: newCertificate(t), loopback: address}
	logs := slog.New(slog.DiscardHandler)
	book, err := account.Open(context.Background(), filepath.Join(dir, "book.db"), account.Options{
		Homes: h.homes, DefaultQuota: account.Unlimited, Log: logs,
	})
	if err != nil {
		t.Fatal(err)
	}
	h.book = book
	h.hub = session.NewHub(session.Config{Book: book, Log: logs})
	conf := ftpd.Config{
		Hub: h.hub, TLS: &tls.Config{Certificates: []tls.Certificate{h.cert}}, PlainLogins: "loopback", Log: logs,
	}
	for _, c := range change {
		c(&conf)
	}
	srv := ftpd.New(conf)
	var serving sync.WaitGroup
	listen := func(implicit bool) string {
		l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
		if err != nil {
			t.Fatal(err)
		}
		serving.Go(func() { srv.Serve(l, implicit) })
		return l.Addr().String()
	}
	h.ftp, h.ftps = listen(false), listen(true)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		h.hub.Drain(ctx)
		srv.Shutdown(ctx)
		serving.Wait()
		if err := h.hub.Close(); err != nil {
			t.Errorf("hub: %v", err)
		}
		if err := book.Close(); err != nil {
			t.Errorf("book: %v", err)
		}
	})
	h.add("alice")
	return h
}

// add makes an account with a home of its own.
func (h *harbour) add(name string) {
	h.t.Helper()
	if _, err := h.book.Add(context.Background(), account.NewAccount{Name: name, Password: password}); err != nil {
		h.t.Fatal(err)
	}
}

// home is the directory of an account on the disk.
func (h *harbour) home(name string) string { return filepath.Join(h.homes, name) }

// options trust the harbour's certificate and nothing else.
func (h *harbour) options() client.Options {
	return client.Options{Pin: client.Fingerprint(h.cert.Leaf), Timeout: 10 * time.Second}
}

func (h *harbour) url(scheme, address, user string) client.URL {
	h.t.Helper()
	u, err := client.ParseURL(scheme + "://" + user + "@" + address)
	if err != nil {
		h.t.Fatal(err)
	}
	u.Pass = password
	return u
}

// ways are the ways to reach the harbour.
var ways = []struct {
	name   string
	scheme string
	set    func(*client.Options)
}{
	{"plain", "ftp", func(o *client.Options) { o.Plain = true }},
	{"explicit", "ftp", func(*client.Options) {}},
	{"implicit", "ftps", func(*client.Options) {}},
	{"active", "ftp", func(o *client.Options) { o.Active = true }},
	{"plain active", "ftp", func(o *client.Options) { o.Plain, o.Active = true, true }},
}

func (h *harbour) dial(user string, change ...func(*client.Options)) client.Remote {
	h.t.Helper()
	return h.dialURL(h.url("ftp", h.ftp, user), change...)
}

func (h *harbour) dialURL(u client.URL, change ...func(*client.Options)) client.Remote {
	h.t.Helper()
	o := h.options()
	for _, c := range change {
		c(&o)
	}
	r, err := client.Dial(h.t.Context(), u, o)
	if err != nil {
		h.t.Fatalf("dial %s: %v", u, err)
	}
	h.t.Cleanup(func() { r.Close() })
	return r
}

// traced keeps what a test wants to look at afterwards.
type traced struct {
	mu    sync.Mutex
	lines []string
}

func (tr *traced) add(line string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.lines = append(tr.lines, line)
}

func (tr *traced) say(m words.Message) { tr.add(m.String()) }

func (tr *traced) String() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return strings.Join(tr.lines, "\n")
}

// bytesOf makes n bytes that are the same for the same seed.
func bytesOf(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := mathrand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	r.Read(b)
	return b
}

func path(t testing.TB, name string) files.Path {
	t.Helper()
	p, err := files.Parse(files.Root, name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func disk(t testing.TB, dir string) files.Store {
	t.Helper()
	s, err := client.Disk(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.(io.Closer).Close() })
	return s
}

func write(t testing.TB, name string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o666); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

package ftpd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sampan/account"
	"sampan/files"
	"sampan/ftp"
	"sampan/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const password = "correct horse battery"

// A house is a real server with a real book on a loopback port, in a directory of the test's own.
type house struct {
	t     testing.TB
	dir   string
	book  *account.Book
	hub   *session.Hub
	srv   *Server
	addr  string
	log   *logged
	hurry func(*limits) // before it serves
}

// change of a house before it serves.
type change func(*house, *Config, *session.Config)

func newHouse(t testing.TB, changes ...change) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir(), log: &logged{}}
	book, err := account.Open(context.Background(), filepath.Join(h.dir, "book.db"), account.Options{
		Homes: filepath.Join(h.dir, "homes"), DefaultQuota: account.Unlimited, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	h.book = book
	log := slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	hc := session.Config{Book: book, Limits: session.Limits{MaxPerAddress: 1000, MaxPerAccount: 1000}, Log: log}
	fc := Config{TLS: serverTLS(t), Log: log}
	for _, c := range changes {
		c(h, &fc, &hc)
	}
	h.hub = session.NewHub(hc)
	fc.Hub = h.hub
	h.srv = New(fc)
	h.srv.limits.linger = 50 * time.Millisecond
	if h.hurry != nil {
		h.hurry(&h.srv.limits)
	}
	h.addr = h.serve("127.0.0.1:0", false)
	t.Cleanup(h.close)
	return h
}

func (h *house) close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	h.srv.Shutdown(ctx)
	if err := h.hub.Close(); err != nil {
		h.t.Errorf("hub: %v", err)
	}
	if err := h.book.Close(); err != nil {
		h.t.Errorf("book: %v", err)
	}
}

// serve opens another listener and returns its address.
func (h *house) serve(addr string, implicit bool) string {
	h.t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		h.t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { h.srv.Serve(l, implicit) })
	h.t.Cleanup(func() {
		h.srv.Shutdown(context.Background())
		serving.Wait()
	})
	return l.Addr().String()
}

// add makes an account with the password of all; grants nil is full.
func (h *house) add(name string, quota int64, grants []account.Grant) {
	h.t.Helper()
	_, err := h.book.Add(context.Background(), account.NewAccount{
		Name: name, Password: password, Quota: &quota, Grants: grants,
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// home is the directory of an account on the disk.
func (h *house) home(name string) string { return filepath.Join(h.dir, "homes", name) }

func (h *house) put(name, file string, content []byte) {
	h.t.Helper()
	full := filepath.Join(h.home(name), file)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(full, content, 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// read returns a file of an account, nil if it is not there.
func (h *house) read(name, file string) []byte {
	h.t.Helper()
	b, err := os.ReadFile(filepath.Join(h.home(name), file))
	if err != nil && !os.IsNotExist(err) {
		h.t.Fatal(err)
	}
	return b
}

// logged keeps what was logged.
type logged struct {
	mu  sync.Mutex
	all strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

var certificate = sync.OnceValues(func() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
})

func serverTLS(t testing.TB) *tls.Config {
	t.Helper()
	cert, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}}
}

func clientTLS(t testing.TB) *tls.Config {
	t.Helper()
	cert, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert.Leaf)
	return &tls.Config{RootCAs: pool, ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(8)}
}

// A peer speaks raw FTP.
type peer struct {
	t    testing.TB
	tcp  *net.TCPConn
	nc   net.Conn // tcp or TLS over it
	r    *bufio.Reader
	cfg  *tls.Config // of data connections too, nil without TLS
	prot bool
	from string // its own address, "" for any
}

const patience = 20 * time.Second

// dial connects and reads the greeting.
func (h *house) dial() *peer { return h.dialTo(h.addr) }

func (h *house) dialTo(addr string) *peer {
	h.t.Helper()
	p := h.connect(addr)
	p.want(220)
	return p
}

// connect connects and reads nothing.
func (h *house) connect(addr string) *peer { return h.connectFrom("", addr) }

// connectFrom connects from an address of choice, which its data connections come from too.
func (h *house) connectFrom(local, addr string) *peer {
	h.t.Helper()
	p := &peer{t: h.t, from: local}
	p.nc = p.dialData(addr)
	p.tcp, p.r = p.nc.(*net.TCPConn), bufio.NewReader(p.nc)
	return p
}

// login connects, and logs in over clear text; TYPE is I.
func (h *house) login(name string) *peer {
	h.t.Helper()
	p := h.dial()
	p.login(name)
	return p
}

// loginTLS is login over TLS, with PROT P.
func (h *house) loginTLS(name string) *peer {
	h.t.Helper()
	p := h.dial()
	p.startTLS(clientTLS(h.t))
	p.login(name)
	p.cmd(200, "PBSZ 0")
	p.cmd(200, "PROT P")
	p.prot = true
	return p
}

func (p *peer) startTLS(cfg *tls.Config) {
	p.t.Helper()
	p.cmd(234, "AUTH TLS")
	p.handshake(cfg)
}

func (p *peer) handshake(cfg *tls.Config) {
	p.t.Helper()
	t := tls.Client(p.tcp, cfg)
	if err := t.Handshake(); err != nil {
		p.t.Fatal(err)
	}
	p.cfg, p.nc, p.r = cfg, t, bufio.NewReader(t)
}

func (p *peer) login(name string) {
	p.t.Helper()
	p.cmd(331, "USER "+name)
	p.cmd(230, "PASS "+password)
	p.cmd(200, "TYPE I")
}

func (p *peer) send(raw string) {
	p.t.Helper()
	if _, err := io.WriteString(p.nc, raw); err != nil {
		p.t.Fatalf("sending %q: %v", raw, err)
	}
}

// want reads one reply and checks its code.
func (p *peer) want(code int) ftp.Reply {
	p.t.Helper()
	r, err := ftp.ReadReply(p.r)
	if err != nil {
		p.t.Fatalf("waiting for %d: %v", code, err)
	}
	if r.Code != code {
		p.t.Fatalf("%d %q, want %d", r.Code, r.Lines, code)
	}
	return r
}

// cmd sends a command and checks the code of its reply.
func (p *peer) cmd(code int, line string) ftp.Reply {
	p.t.Helper()
	p.send(line + "\r\n")
	r, err := ftp.ReadReply(p.r)
	if err != nil {
		p.t.Fatalf("%s: %v", line, err)
	}
	if r.Code != code {
		p.t.Fatalf("%s: %d %q, want %d", line, r.Code, r.Lines, code)
	}
	return r
}

// gone checks that the server ends the connection.
func (p *peer) gone() {
	p.t.Helper()
	if b, err := p.r.ReadByte(); err == nil {
		rest, _ := p.r.ReadString('\n')
		p.t.Fatalf("still there: %q", string(b)+rest)
	}
}

// passive opens a port and connects to it.
func (p *peer) passive() net.Conn {
	p.t.Helper()
	return p.dialData(p.epsv())
}

// epsv opens a port.
func (p *peer) epsv() string {
	p.t.Helper()
	port, ok := ftp.ParseEPSV(p.cmd(229, "EPSV").Text())
	if !ok {
		p.t.Fatal("no port")
	}
	return net.JoinHostPort(addrPort(p.tcp.RemoteAddr()).Addr().String(), fmt.Sprint(port))
}

func (p *peer) dialData(addr string) net.Conn {
	p.t.Helper()
	var d net.Dialer
	if p.from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(p.from)}
	}
	nc, err := d.Dial("tcp", addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(patience))
	return nc
}

// secure makes nc one of TLS if PROT P is on; call it when the transfer has begun.
func (p *peer) secure(nc net.Conn) net.Conn {
	p.t.Helper()
	if !p.prot {
		return nc
	}
	t := tls.Client(nc, p.cfg)
	if err := t.Handshake(); err != nil {
		p.t.Fatal(err)
	}
	return t
}

// begin begins a transfer and returns its data connection.
func (p *peer) begin(command string) net.Conn {
	p.t.Helper()
	nc := p.passive()
	p.cmd(150, command)
	return p.secure(nc)
}

// store uploads and returns the last reply.
func (p *peer) store(code int, command string, content []byte) ftp.Reply {
	p.t.Helper()
	nc := p.begin(command)
	if _, err := nc.Write(content); err != nil && code < 300 {
		p.t.Fatal(err)
	}
	nc.Close()
	return p.want(code)
}

// fetch downloads.
func (p *peer) fetch(command string) []byte {
	p.t.Helper()
	nc := p.begin(command)
	b, err := io.ReadAll(nc)
	if err != nil {
		p.t.Fatal(err)
	}
	nc.Close()
	p.want(226)
	return b
}

// refused begins a transfer that is refused before it begins.
func (p *peer) refused(code int, command string) ftp.Reply {
	p.t.Helper()
	p.passive().Close()
	return p.cmd(code, command)
}

// eventually waits until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func same(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Fatalf("%s: %d bytes differ from the %d that should be there", what, len(got), len(want))
	}
}

func pathOf(t testing.TB, s string) files.Path {
	t.Helper()
	p, err := files.Parse(files.Root, s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// moved tells how many bytes the only transfer has moved, -1 if there is none.
func (h *house) moved() int64 {
	for _, v := range h.hub.Live() {
		if v.Doing != nil {
			return v.Doing.Done
		}
	}
	return -1
}

// closeBeneath ends the connection under TLS without close_notify.
func (p *peer) closeBeneath(nc net.Conn) {
	p.t.Helper()
	if err := nc.(*tls.Conn).NetConn().Close(); err != nil {
		p.t.Fatal(err)
	}
}

// hurried is a house whose limits are changed.
func hurried(hurry func(*limits)) change {
	return func(h *house, _ *Config, _ *session.Config) { h.hurry = hurry }
}

// addAt is add with a home of choice and no quota.
func (h *house) addAt(name, home string, grants []account.Grant) {
	h.t.Helper()
	none := account.Unlimited
	_, err := h.book.Add(context.Background(), account.NewAccount{
		Name: name, Password: password, Home: home, Quota: &none, Grants: grants,
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) mkdir(name, dir string) {
	h.t.Helper()
	if err := os.MkdirAll(filepath.Join(h.home(name), dir), 0o755); err != nil {
		h.t.Fatal(err)
	}
}

// later is a deadline that no honest step reaches.
func later() time.Time { return time.Now().Add(patience) }

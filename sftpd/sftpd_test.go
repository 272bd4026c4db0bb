package sftpd

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"

	"sampan/account"
	"sampan/session"
	"sampan/sftp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	password = "correct horse battery"
	patience = 30 * time.Second
)

// A house is a real server with a real book on a loopback port, in a directory of the test's own.
type house struct {
	t    testing.TB
	dir  string
	book *account.Book
	hub  *session.Hub
	srv  *Server
	addr string
	log  *logged
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

// signer makes a key pair.
func signer(t testing.TB) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newHouse(t testing.TB, changes ...func(*Config, *limits)) *house {
	t.Helper()
	return newHouseOf(t, true, changes...)
}

// inBoth runs a test in a house where commits wait for the disk, which happens apart, and in one where they do not.
func inBoth(t *testing.T, test func(t *testing.T, h *house)) {
	t.Parallel()
	for name, strict := range map[string]bool{"strict": true, "fast": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newHouseOf(t, strict))
		})
	}
}

func newHouseOf(t testing.TB, strict bool, changes ...func(*Config, *limits)) *house {
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
	h.hub = session.NewHub(session.Config{Book: book, Strict: strict, Limits: session.Limits{MaxPerAddress: 1000, MaxPerAccount: 1000}, Log: log})
	c := Config{Hub: h.hub, HostKeys: []ssh.Signer{signer(t)}, Log: log}
	var l limits
	for _, change := range changes {
		change(&c, &l)
	}
	h.srv = New(c)
	h.srv.limits.linger = 100 * time.Millisecond
	for _, change := range changes {
		change(&c, &h.srv.limits)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.addr = ln.Addr().String()
	var serving sync.WaitGroup
	serving.Go(func() { h.srv.Serve(ln) })
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		h.srv.Shutdown(ctx)
		serving.Wait()
		if err := h.hub.Close(); err != nil {
			t.Errorf("hub: %v", err)
		}
		if err := h.book.Close(); err != nil {
			t.Errorf("book: %v", err)
		}
		if t.Failed() {
			t.Logf("the log:\n%s", h.log)
		}
	})
	return h
}

func (h *house) add(name string, quota int64, grants ...account.Grant) {
	h.t.Helper()
	_, err := h.book.Add(context.Background(), account.NewAccount{Name: name, Password: password, Quota: &quota, Grants: grants})
	if err != nil {
		h.t.Fatal(err)
	}
}

// home is the directory of an account on the disk.
func (h *house) home(name string) string { return filepath.Join(h.dir, "homes", name) }

func (h *house) put(name, file, content string) {
	h.t.Helper()
	full := filepath.Join(h.home(name), file)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// holds checks what a file has on the disk.
func (h *house) holds(name, file, want string) {
	h.t.Helper()
	got, err := os.ReadFile(filepath.Join(h.home(name), file))
	if err != nil || string(got) != want {
		h.t.Errorf("%s: %d bytes %.60q, %v; want %d %.60q", file, len(got), got, err, len(want), want)
	}
}

func (h *house) missing(name, file string) {
	h.t.Helper()
	if _, err := os.Lstat(filepath.Join(h.home(name), file)); !os.IsNotExist(err) {
		h.t.Errorf("%s is there: %v", file, err)
	}
}

func clientConfig(user string, auth ...ssh.AuthMethod) *ssh.ClientConfig {
	return &ssh.ClientConfig{User: user, Auth: auth, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: patience}
}

// login connects by SSH.
func (h *house) login(user string) *ssh.Client {
	h.t.Helper()
	c, err := ssh.Dial("tcp", h.addr, clientConfig(user, ssh.Password(password)))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	return c
}

// A peer speaks raw SFTP.
type peer struct {
	t    testing.TB
	ssh  *ssh.Client
	ch   ssh.Channel
	id   uint32
	got  map[uint32]sftp.Reply
	says map[string]string // of VERSION
}

func (h *house) sftp(user string) *peer {
	h.t.Helper()
	return h.sftpOn(h.login(user))
}

// sftpOn opens one more channel.
func (h *house) sftpOn(c *ssh.Client) *peer {
	h.t.Helper()
	p := &peer{t: h.t, ssh: c, got: map[uint32]sftp.Reply{}, says: map[string]string{}}
	ch, requests, err := c.OpenChannel("session", nil)
	if err != nil {
		h.t.Fatal(err)
	}
	go ssh.DiscardRequests(requests)
	p.ch = ch
	if ok, err := ch.SendRequest("subsystem", true, ssh.Marshal(struct{ Name string }{"sftp"})); err != nil || !ok {
		h.t.Fatalf("subsystem: %v, %v", ok, err)
	}
	p.raw(sftp.Hello{Version: 3}.Packet(sftp.TypeInit))
	in, err := sftp.ReadPacket(ch)
	if err != nil {
		h.t.Fatal(err)
	}
	hello, err := sftp.ParseHello(in, sftp.TypeVersion)
	if err != nil || hello.Version != 3 {
		h.t.Fatalf("%+v, %v", hello, err)
	}
	for _, e := range hello.Extensions {
		p.says[e.Name] = e.Data
	}
	return p
}

func (p *peer) raw(out *sftp.Packet) {
	p.t.Helper()
	if _, err := p.ch.Write(out.Wire()); err != nil {
		p.t.Fatal(err)
	}
	out.Free()
}

// send sends a request and returns its id.
func (p *peer) send(r sftp.Request) uint32 {
	p.t.Helper()
	p.id++
	r.ID = p.id
	if r.Extension != "" {
		r.Type = sftp.TypeExtended
	}
	p.raw(r.Packet())
	return p.id
}

// wait returns the reply to a request.
func (p *peer) wait(id uint32) sftp.Reply {
	p.t.Helper()
	for {
		if r, ok := p.got[id]; ok {
			delete(p.got, id)
			return r
		}
		in, err := sftp.ReadPacket(p.ch)
		if err != nil {
			p.t.Fatalf("waiting for %d: %v", id, err)
		}
		var r sftp.Reply
		if err := r.Parse(in); err != nil {
			p.t.Fatal(err)
		}
		p.got[r.ID] = r // the packet is not freed: its parts are kept
	}
}

func (p *peer) ask(r sftp.Request) sftp.Reply {
	p.t.Helper()
	return p.wait(p.send(r))
}

// want asks, and checks the code of the status that comes.
func (p *peer) want(code sftp.Code, r sftp.Request) sftp.Reply {
	p.t.Helper()
	got := p.ask(r)
	if got.Type != sftp.TypeStatus || got.Code != code {
		p.t.Errorf("%v %s %s: %v code %d %q, want code %d", r.Type, r.Extension, r.Path, got.Type, got.Code, got.Message, code)
	}
	return got
}

// must asks, and checks the type of the reply.
func (p *peer) must(t sftp.Type, r sftp.Request) sftp.Reply {
	p.t.Helper()
	got := p.ask(r)
	if got.Type != t {
		p.t.Fatalf("%v %s %s: %v code %d %q", r.Type, r.Extension, r.Path, got.Type, got.Code, got.Message)
	}
	return got
}

func (p *peer) open(path string, f sftp.Open) []byte {
	p.t.Helper()
	return p.must(sftp.TypeHandle, sftp.Request{Type: sftp.TypeOpen, Path: path, Flags: f}).Handle
}

func (p *peer) write(h []byte, off uint64, data string) {
	p.t.Helper()
	p.want(sftp.OK, sftp.Request{Type: sftp.TypeWrite, Handle: h, Offset: off, Data: []byte(data)})
}

func (p *peer) close(h []byte) {
	p.t.Helper()
	p.want(sftp.OK, sftp.Request{Type: sftp.TypeClose, Handle: h})
}

func (p *peer) read(h []byte, off uint64, n uint64) string {
	p.t.Helper()
	return string(p.must(sftp.TypeData, sftp.Request{Type: sftp.TypeRead, Handle: h, Offset: off, Size: n}).Data)
}

const (
	put = sftp.OpenWrite | sftp.OpenCreate | sftp.OpenTruncate
	get = sftp.OpenRead
)

// store uploads.
func (p *peer) store(path, content string) {
	p.t.Helper()
	h := p.open(path, put)
	for off := 0; off < len(content); off += 100_000 {
		p.write(h, uint64(off), content[off:min(off+100_000, len(content))])
	}
	p.close(h)
}

// fetch downloads.
func (p *peer) fetch(path string) string {
	p.t.Helper()
	h := p.open(path, get)
	defer p.close(h)
	var all strings.Builder
	for {
		r := p.ask(sftp.Request{Type: sftp.TypeRead, Handle: h, Offset: uint64(all.Len()), Size: 32 << 10})
		if r.Type == sftp.TypeStatus && r.Code == sftp.EOF {
			return all.String()
		}
		if r.Type != sftp.TypeData {
			p.t.Fatalf("%s: %+v", path, r)
		}
		all.Write(r.Data)
	}
}

// eventually waits until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

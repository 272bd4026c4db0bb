//go:build unix

package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sampan/admin"
)

// process is a `sampan serve` of a test.
type process struct {
	t    *testing.T
	data string
	addr string
	cmd  *exec.Cmd
	log  syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func serveProcess(t *testing.T, data string, flags ...string) *process {
	t.Helper()
	p := &process{t: t, data: data}
	p.cmd = exec.Command("sampan", append([]string{"serve", "--data", data, "--ftp", "127.0.0.1:0", "--sftp", "off"}, flags...)...)
	p.cmd.Env = append(os.Environ(), "LC_ALL=C")
	p.cmd.Stderr = &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		if t.Failed() {
			t.Logf("the server's log:\n%s", &p.log)
		}
	})
	p.waitFor("the listener", func() bool {
		var list map[string]string
		b, _ := os.ReadFile(filepath.Join(data, addressesFile))
		if json.Unmarshal(b, &list) != nil {
			return false
		}
		p.addr = list["ftp"]
		return true
	})
	return p
}

func (p *process) waitFor(what string, happened func() bool) {
	p.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); !happened(); <-tick.C {
		if time.Now().After(end) {
			p.t.Fatalf("waited in vain for %s", what)
		}
	}
}

func (p *process) waitLog(text string) {
	p.t.Helper()
	p.waitFor(text+" in the log", func() bool { return strings.Contains(p.log.String(), text) })
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// ended waits for the end and wants exit code 0.
func (p *process) ended() {
	p.t.Helper()
	if err := p.cmd.Wait(); err != nil {
		p.t.Fatalf("the server ended with %v", err)
	}
}

// sampan runs a command and returns what it says.
func sampan(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	c := exec.Command("sampan", args...)
	c.Env = append(os.Environ(), "LC_ALL=C")
	c.Stdin = strings.NewReader(stdin)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("sampan %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// hand is a control connection driven by hand, in clear text on loopback.
type hand struct {
	t *testing.T
	*textproto.Conn
}

func (p *process) login() hand {
	p.t.Helper()
	c, err := textproto.Dial("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { c.Close() })
	h := hand{p.t, c}
	h.want(220)
	h.logIn()
	return h
}

func (h hand) logIn() {
	h.t.Helper()
	h.ask(331, "USER alice")
	h.ask(230, "PASS correct horse")
	h.ask(200, "TYPE I")
}

func (h hand) want(code int) string {
	h.t.Helper()
	got, text, err := h.ReadResponse(0)
	if got != code {
		h.t.Fatalf("want %d, got %d %s, %v", code, got, text, err)
	}
	return text
}

func (h hand) ask(code int, line string) string {
	h.t.Helper()
	if err := h.PrintfLine("%s", line); err != nil {
		h.t.Fatal(err)
	}
	return h.want(code)
}

// store begins an upload and sends content, without an end.
func (h hand) store(name string, content []byte) net.Conn {
	h.t.Helper()
	_, port, _ := strings.Cut(h.ask(229, "EPSV"), "|||")
	c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strings.TrimRight(port, "|)")))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	h.ask(150, "STOR "+name)
	if _, err := c.Write(content); err != nil {
		h.t.Fatal(err)
	}
	return c
}

func newServer(t *testing.T) *process {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	sampan(t, "correct horse", "user", "add", "alice", "--data", data, "--password-stdin")
	return serveProcess(t, data)
}

// moving waits until the server has n bytes of an upload.
func (p *process) moving(n int) {
	p.t.Helper()
	p.waitFor("the upload", func() bool {
		return strings.Contains(sampan(p.t, "", "who", "--json", "--data", p.data), fmt.Sprintf(`"done":%d,`, n))
	})
}

// TestDrain: at SIGTERM idle sessions get 421, nobody new comes in, and a transfer may finish.
func TestDrain(t *testing.T) {
	t.Parallel()
	p := newServer(t)
	idle, busy := p.login(), p.login()
	content := make([]byte, 300_000)
	_, _ = rand.Read(content)
	c := busy.store("file", content[:100_000])
	p.moving(100_000)
	p.signal(syscall.SIGTERM)
	idle.want(421)
	if _, err := os.Stat(filepath.Join(p.data, addressesFile)); err == nil {
		t.Error("addresses.json is still there while the server drains")
	}
	if c, err := net.Dial("tcp", p.addr); err == nil {
		// Who came just before the listener closed is told 421.
		if said, err := bufio.NewReader(c).ReadString('\n'); err == nil && !strings.HasPrefix(said, "421") {
			t.Errorf("somebody new is let in while the server drains: %s", said)
		}
		c.Close()
	}
	if _, err := c.Write(content[100_000:]); err != nil {
		t.Fatal(err)
	}
	c.Close()
	busy.want(226)
	busy.want(421)
	p.ended()
	got, err := os.ReadFile(filepath.Join(p.data, homesDir, "alice", "file"))
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("the file has %d bytes, want %d (%v)", len(got), len(content), err)
	}
	// The record of a whole transfer once said "cut" when the session ended right behind it.
	if said := sampan(t, "", "log", "--json", "--data", p.data); !strings.Contains(said, `"size":300000`) || !strings.Contains(said, `"result":"ok"`) {
		t.Errorf("the record says %s", said)
	}
}

// TestSecondTermCuts: a second SIGTERM ends at once; what came is parked, and goes on at the next start.
func TestSecondTermCuts(t *testing.T) {
	t.Parallel()
	p := newServer(t)
	busy := p.login()
	content := make([]byte, 200_000)
	_, _ = rand.Read(content)
	busy.store("file", content[:100_000])
	p.moving(100_000)
	p.signal(syscall.SIGTERM)
	p.waitLog("draining")
	p.signal(syscall.SIGTERM)
	p.ended()
	if _, err := os.Stat(filepath.Join(p.data, homesDir, "alice", "file")); err == nil {
		t.Fatal("what was cut is a file")
	}
	again := serveProcess(t, p.data)
	h := again.login()
	if text := h.ask(213, "SIZE file"); !strings.Contains(text, "100000") {
		t.Errorf("the part has %s bytes, want 100000", text)
	}
	h.ask(350, "REST 100000")
	h.store("file", content[100_000:]).Close()
	h.want(226)
	got, err := os.ReadFile(filepath.Join(p.data, homesDir, "alice", "file"))
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("the file has %d bytes, want %d (%v)", len(got), len(content), err)
	}
}

// TestReload: SIGHUP takes a new certificate and new limits; a bad one changes nothing.
func TestReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pins := make([]string, 2)
	for i := range pins {
		d := filepath.Join(dir, fmt.Sprint(i))
		pair, err := ownCertificate(d, []string{"localhost"}, time.Now(), quiet)
		if err != nil {
			t.Fatal(err)
		}
		var c certificates
		c.now.Store(pair)
		pins[i] = c.pin()
	}
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	config := filepath.Join(dir, "sampan.toml")
	use := func(i int) {
		for _, name := range []string{cert, key} {
			b, err := os.ReadFile(filepath.Join(dir, fmt.Sprint(i), filepath.Base(name)))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	settings := func(text string) {
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	use(0)
	settings("max-sessions = 5\n")
	sampan(t, "correct horse", "user", "add", "alice", "--data", filepath.Join(dir, "data"), "--password-stdin")
	p := serveProcess(t, filepath.Join(dir, "data"), "--tls-cert", cert, "--tls-key", key, "--config", config)
	p.waitLog(`"msg":"serving"`)
	p.wantPin(pins[0])

	use(1)
	settings("max-sessions = 1\npassive-ports = '40000-40001'\nup-limit = 100\n")
	p.signal(syscall.SIGHUP)
	p.waitLog(`"msg":"settings reloaded"`)
	p.waitLog(`"setting":"passive-ports"`)
	p.wantPin(pins[1])
	first := hand{t, textproto.NewConn(p.greeted())}
	first.logIn()
	second, err := textproto.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	hand{t, second}.want(421)
	slow := first.store("file", make([]byte, 10_000))
	p.waitFor("an upload that the limit slows", func() bool {
		var in []admin.Session
		if err := json.Unmarshal([]byte(sampan(t, "", "who", "--json", "--data", p.data)), &in); err != nil {
			t.Fatal(err)
		}
		return in[0].Doing != nil && in[0].Doing.Done > 0 && in[0].Doing.Done < 10_000
	})
	slow.Close()
	first.Close()

	if err := os.WriteFile(cert, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.waitLog(`"msg":"settings not reloaded`)
	p.wantPin(pins[1])
}

// greeted connects; at a limit of one session the last one has to be gone first.
func (p *process) greeted() (conn net.Conn) {
	p.t.Helper()
	p.waitFor("a session", func() bool {
		var err error
		if conn, err = net.Dial("tcp", p.addr); err != nil {
			return false
		}
		if code, _, _ := textproto.NewConn(conn).ReadResponse(0); code == 220 {
			return true
		}
		conn.Close()
		return false
	})
	p.t.Cleanup(func() { conn.Close() })
	return conn
}

// wantPin looks at the certificate that the server shows.
func (p *process) wantPin(pin string) {
	p.t.Helper()
	conn := p.greeted()
	defer conn.Close()
	hand{p.t, textproto.NewConn(conn)}.ask(234, "AUTH TLS")
	c := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // what is looked at is the key
	if err := c.Handshake(); err != nil {
		p.t.Fatal(err)
	}
	sum := sha256.Sum256(c.ConnectionState().PeerCertificates[0].RawSubjectPublicKeyInfo)
	if got := "sha256:" + hex.EncodeToString(sum[:]); got != pin {
		p.t.Errorf("the server shows %s, want %s", got, pin)
	}
}

// TestKickAndLog: operators see a live transfer, end it with a note, and find it in the record.
func TestKickAndLog(t *testing.T) {
	t.Parallel()
	p := newServer(t)
	h := p.login()
	h.store("file", make([]byte, 50_000))
	p.moving(50_000)
	if said := sampan(t, "", "who", "--data", p.data); !regexp.MustCompile(`alice .* put +49K +\S+/s +/file\n`).MatchString(said) {
		t.Errorf("who says\n%s", said)
	}
	if said := sampan(t, "", "kick", "alice", "--note", "come back later", "--data", p.data); !strings.Contains(said, "1 sessions are ended") {
		t.Errorf("kick says %s", said)
	}
	var last string
	for code := 0; code != 421; {
		var err error
		if code, last, err = h.ReadResponse(0); err != nil {
			t.Fatalf("no 421 for a kick: %v", err)
		}
	}
	if !strings.Contains(last, "come back later") {
		t.Errorf("who is kicked is told %q", last)
	}
	p.waitFor("the record", func() bool {
		said := sampan(t, "", "log", "--user", "alice", "--since", "1h", "--json", "--data", p.data)
		return strings.Contains(said, `"bytes":50000,"size":50000`) && strings.Contains(said, `"result":"cut"`)
	})
	if said := sampan(t, "", "log", "--user", "operator", "--json", "--data", p.data); said != "[]\n" {
		t.Errorf("the log of somebody else says %s", said)
	}
}

// TestCommandsAtOnce: commands without a server wait for each other, and never open the book twice.
func TestCommandsAtOnce(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			c := exec.Command("sampan", "user", "add", fmt.Sprint("user", i), "--data", data, "--password-stdin")
			c.Stdin = strings.NewReader("correct horse")
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	all.Wait()
	if said := sampan(t, "", "user", "list", "--data", data); strings.Count(said, "\n") != 9 {
		t.Errorf("the list is\n%s", said)
	}
}

// TestCommandsWhileStarting: a command that comes while a server starts or ends is served by one of the two.
func TestCommandsWhileStarting(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	sampan(t, "correct horse", "user", "add", "alice", "--data", data, "--password-stdin")
	done := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			c := exec.Command("sampan", "quota", "set", "alice", fmt.Sprint(1000+i), "--data", data)
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		}
	})
	for range 3 {
		p := serveProcess(t, data)
		p.signal(syscall.SIGTERM)
		p.ended()
	}
	close(done)
	all.Wait()
}

package ftpd

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"sampan/ftp"
)

// TestJail: no name leads out of a home, and nothing of ours is seen.
func TestJail(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	secret := filepath.Join(h.dir, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	h.put("alice", "d/f", []byte("x"))
	for name, target := range map[string]string{"out": secret, "up": "../../secret", "dir": h.dir, "dangling": filepath.Join(h.dir, "made")} {
		if err := os.Symlink(target, filepath.Join(h.home("alice"), name)); err != nil {
			t.Fatal(err)
		}
	}
	p := h.login("alice")
	for _, name := range []string{"out", "up", "dir/secret", "../secret", "../../../../../../../" + secret, secret, "/../secret", ".sampan/ledger", "d/../.SAMPAN/ledger"} {
		p.send("SIZE " + name + "\r\n")
		if r := p.any(); r.Code < 500 {
			t.Errorf("SIZE %s: %d %q", name, r.Code, r.Lines)
		}
		nc := p.passive()
		p.send("RETR " + name + "\r\n")
		if r := p.any(); r.Code < 500 {
			t.Errorf("RETR %s: %d %q", name, r.Code, r.Lines)
		}
		if b, _ := io.ReadAll(nc); len(b) > 0 {
			t.Errorf("RETR %s: %q", name, b)
		}
	}
	for _, name := range []string{"dir/new", "dangling/x", ".sampan/x", ".sampan/stage/x"} {
		p.passive().Close()
		p.send("STOR " + name + "\r\n")
		if r := p.any(); r.Code < 500 {
			t.Errorf("STOR %s: %d %q", name, r.Code, r.Lines)
		}
	}
	for _, dir := range []string{"dir", "..", "/..", "../..", "/../../etc"} {
		p.send("CWD " + dir + "\r\n")
		if r := p.any(); r.Code == 250 && !strings.HasSuffix(r.Text(), " /") {
			t.Errorf("CWD %s: %q", dir, r.Lines)
		}
	}
	for _, line := range []string{"MKD .sampan", "MKD dir/x", "RMD .sampan", "CWD .sampan", "SITE CHMOD 777 out", "MFMT 20200101000000 up", "DELE dir/secret", "SITE PART .sampan/ledger", "HASH out"} {
		p.send(line + "\r\n")
		if r := p.any(); r.Code < 400 {
			t.Errorf("%s: %d %q", line, r.Code, r.Lines)
		}
	}
	p.cmd(350, "RNFR d/f")
	p.send("RNTO dir/f\r\n")
	if r := p.any(); r.Code < 500 {
		t.Error(r.Lines)
	}
	if got := string(p.fetch("NLST -a")); strings.Contains(strings.ToLower(got), "sampan") {
		t.Errorf("%q", got)
	}
	if b, err := os.ReadFile(secret); err != nil || string(b) != "secret" {
		t.Fatalf("%q %v", b, err)
	}
	if _, err := os.Lstat(filepath.Join(h.dir, "made")); err == nil {
		t.Error("a dangling link was followed")
	}
}

// any reads one reply.
func (p *peer) any() ftp.Reply {
	p.t.Helper()
	r, err := ftp.ReadReply(p.r)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

func TestBadNames(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	h.put("alice", "old\x01name", []byte("x"))
	p := h.login("alice")
	for _, name := range []string{"a\x01b", "a\tb", "a\x7fb", "\xc2\x85", "\xff\xff", strings.Repeat("x", 300)} {
		p.refused(553, "STOR "+name)
		p.send("MKD " + name + "\r\n")
		if r := p.any(); r.Code != 553 && r.Code != 550 {
			t.Errorf("MKD %q: %d %q", name, r.Code, r.Lines)
		}
	}
	same(t, "an old name", p.fetch("RETR old\x01name"), []byte("x"))
	if got := p.cmd(550, "CWD old\x01name").Text(); strings.ContainsAny(got, "\x01") {
		t.Errorf("%q", got)
	}
	p.cmd(350, "RNFR old\x01name")
	p.cmd(553, "RNTO new\x01name")
	p.cmd(250, "DELE old\x01name")
	for _, name := range []string{"中文 名", "name ", " name", "a;b=c", `q"q`, "-rf", "*", "\\", "é", "e\u0301"} {
		p.store(226, "STOR "+name, []byte(name))
		same(t, name, h.read("alice", name), []byte(name))
		p.cmd(213, "SIZE "+name)
		p.cmd(250, "DELE "+name)
	}
}

// TestLoginStorm: memory stays bounded when 300 log in at once, and all who are right get in.
func TestLoginStorm(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	var most, before uint64
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	before = stats.HeapAlloc
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			select {
			case <-tick.C:
				var s runtime.MemStats
				runtime.ReadMemStats(&s)
				most = max(most, s.HeapAlloc)
			case <-done:
				tick.Stop()
				return
			}
		}
	})
	var all sync.WaitGroup
	var mu sync.Mutex
	codes := map[int]int{}
	for range 300 {
		all.Go(func() {
			nc, err := net.Dial("tcp", h.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer nc.Close()
			nc.SetDeadline(time.Now().Add(time.Minute))
			fmt.Fprintf(nc, "USER %s\r\nPASS %s\r\nQUIT\r\n", "alice", password)
			b, _ := io.ReadAll(nc)
			lines := bytes.Split(b, []byte("\r\n"))
			code := 0
			if len(lines) > 2 {
				fmt.Sscan(string(lines[2]), &code)
			}
			mu.Lock()
			codes[code]++
			mu.Unlock()
		})
	}
	all.Wait()
	close(done)
	watch.Wait()
	t.Logf("replies %v, heap %d MiB", codes, (int64(most)-int64(before))>>20)
	if most > before+400<<20 {
		t.Errorf("%d MiB of heap", (most-before)>>20)
	}
	if codes[230] != 300 {
		t.Errorf("not all got in: %v", codes)
	}
}

// TestIdleConnectionsOfStrangers: who connects and says nothing, or half a line, holds up nobody.
func TestIdleConnectionsOfStrangers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	for i := range 100 {
		p := h.connect(h.addr)
		if i%2 == 0 {
			p.send("USER al")
		}
	}
	p := h.login("alice")
	p.store(226, "STOR f", []byte("x"))
}

// FuzzControl sends anything to a session: every line gets one reply, and the session stays in step.
func FuzzControl(f *testing.F) {
	for _, row := range append(commands(), siteCommands()...) {
		f.Add([]byte(row.verb+" x\r\n"+row.verb+"\r\n"), true)
	}
	f.Add([]byte("\xff\xf4\xff\xf2ABOR\r\n\x00\n\r\r\n"), false)
	h := newHouse(f, hurried(func(l *limits) { l.connect = 20 * time.Millisecond }))
	h.add("alice", 1<<20, nil)
	f.Fuzz(func(t *testing.T, in []byte, in1 bool) {
		if len(in) > 4000 || bytes.Contains(bytes.ToUpper(in), []byte("AUTH")) || bytes.Contains(bytes.ToUpper(in), []byte("SITE REGISTER")) {
			return
		}
		mine := *h
		mine.t = t
		p := mine.dial()
		defer p.tcp.Close()
		if in1 {
			p.login("alice")
		}
		p.send(string(in) + "\r\nHELP MARK\r\n")
		for {
			r, err := ftp.ReadReply(p.r)
			switch {
			case err == nil && r.Code == 504 && strings.Contains(r.Text(), `"MARK"`):
				return
			case err == nil && r.Code == 221, err == nil && r.Code == 421:
				return
			case err != nil:
				t.Fatalf("%q: %v", in, err)
			}
		}
	})
}

//go:build linux

package stories

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMalloryBadCommands: each gets one clear reply, and the session goes on.
func TestMalloryBadCommands(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.addUser("alice")
	s.addUser("mallory")

	t.Run("before log-in", func(t *testing.T) {
		t.Parallel()
		h := s.connect(t)
		for _, line := range []string{"PWD", "LIST", "RETR a", "STOR a", "SITE QUOTA", "MKD d", "EPSV", "SIZE a", "HASH a", "SITE PART a"} {
			h.want(530, line)
		}
		h.want(500, "FROBNICATE")
		h.want(503, "PASS x")
		h.want(503, "PROT P")
		h.want(200, "NOOP")
	})

	rows := []struct {
		code int
		line string
	}{
		{500, "FROBNICATE"},
		{500, "GET / HTTP/1.1"},
		{500, "\x16\x03\x01\x02"},
		{503, "RNTO b"},
		{501, "TYPE"},
		{501, "RETR"},
		{501, "REST"},
		{501, "REST -1"},
		{501, "REST 12x"},
		{501, "REST 99999999999999999999999999"},
		{501, "PORT 127,0,0,1,300,1"},
		{501, "PORT 127,0,0,1"},
		{501, "PORT rubbish"},
		{501, "EPRT |1|127.0.0.1|70000|"},
		{501, "EPRT rubbish"},
		{522, "EPRT |3|127.0.0.1|5000|"},
		{522, "EPSV 3"},
		{5, "ALLO x"},
		{504, "TYPE L 7"},
		{504, "STRU P"},
		{504, "MODE C"},
		{5, "OPTS"},
		{5, "OPTS HASH ROT13"},
		{5, "RANG 5 1"},
		{5, "SITE"},
		{5, "SITE NONSENSE"},
		{5, "SITE CHMOD 999 a"},
		{5, "MFMT yesterday a"},
		{425, "RETR nothing"}, // PASV first
		{550, "SIZE nothing"},
		{550, "DELE nothing"},
		{550, "CWD nothing"},
		{550, "RMD nothing"},
		{550, "RNFR nothing"},
		{5, "RETR a\x00b"},
		{5, "MKD a\x00b"},
		{5, "MKD a\x1b[2J"},
		{5, "MKD a\x07"},
		{5, "MKD \x7f"},
		{5, "MKD /"},
		{5, "RMD /"},
		{5, "DELE /"},
		{5, "DELE ."},
		{5, "MKD " + strings.Repeat("n", 300)},
		{5, "MKD .sampan"},
		{5, "MKD .SAMPAN"},
		{5, "CWD .sampan"},
		{5, "CWD x/../.sampan"},
		{5, "CWD ./.sampan/"},
		{5, "RETR .sampan/ledger"},
		{5, "DELE .sampan/ledger"},
		{5, "RNFR .sampan"},
		{5, "SIZE .sampan/ledger"},
		{5, "MLST .sampan"},
	}
	for _, who := range []string{"plain", "tls"} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			h := s.as(t, "mallory")
			if who == "tls" {
				h = s.secureAs(t, "mallory")
			}
			for _, row := range rows {
				h.want(row.code, row.line)
				h.want(200, "NOOP")
			}
			text := h.want(257, "PWD")
			if !strings.Contains(text, `"/"`) {
				t.Errorf("PWD after all that: %s", text)
			}
		})
	}
	t.Run("listing hides ours", func(t *testing.T) {
		t.Parallel()
		h := s.as(t, "mallory")
		for _, line := range []string{"LIST -a", "NLST -a", "MLSD"} {
			b, err := h.get(line, 0)
			h.check(err)
			if bytes.Contains(bytes.ToLower(b), []byte(".sampan")) {
				t.Errorf("%s shows what is ours:\n%s", line, b)
			}
		}
	})
}

// TestMalloryFraming: commands split over many packets, or many in one, are handled alike.
func TestMalloryFraming(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.addUser("mallory")

	t.Run("byte by byte", func(t *testing.T) {
		t.Parallel()
		h := s.connect(t)
		for _, c := range []byte("USER mallory\r\nPASS pw-of-mallory\r\n") {
			h.check(h.raw(string(c)))
		}
		h.wantReply(331, "USER")
		h.wantReply(230, "PASS")
	})
	t.Run("many in one", func(t *testing.T) {
		t.Parallel()
		h := s.connect(t)
		h.check(h.raw("USER mallory\r\nPASS pw-of-mallory\r\nPWD\r\n" + strings.Repeat("NOOP\r\n", 200) + "QUIT\r\n"))
		h.wantReply(331, "USER")
		h.wantReply(230, "PASS")
		h.wantReply(257, "PWD")
		for range 200 {
			h.wantReply(200, "NOOP")
		}
		h.wantReply(221, "QUIT")
		h.wantClosed("QUIT")
	})
	t.Run("bare LF and bare CR", func(t *testing.T) {
		t.Parallel()
		h := s.connect(t)
		h.check(h.raw("NOOP\nNOOP\r\n"))
		h.wantReply(200, "NOOP LF")
		h.wantReply(200, "NOOP CRLF")
		h.check(h.raw("NOOP\rNOOP\r\n")) // one command, and no good one
		h.wantReply(5, "bare CR")
		h.want(200, "NOOP")
	})
	t.Run("telnet", func(t *testing.T) {
		t.Parallel()
		h := s.connect(t)
		h.check(h.raw("\xff\xf4\xff\xf2NOOP\r\n"))
		h.wantReply(200, "IAC IP IAC DM NOOP")
	})
	for _, ending := range []string{"with an end", "without an end"} {
		t.Run("too long a line "+ending, func(t *testing.T) {
			t.Parallel()
			h := s.connect(t)
			line := "STOR " + strings.Repeat("A", 1<<20)
			if ending == "with an end" {
				line += "\r\nNOOP\r\n"
			}
			_ = h.raw(line) // the server may hang up before all was written
			h.wantReply(500, "1 MiB of one line")
			h.wantClosed("1 MiB of one line")
		})
	}
	t.Run("bytes behind AUTH", func(t *testing.T) {
		t.Parallel()
		h := s.connect(t)
		h.check(h.raw("AUTH TLS\r\nUSER mallory\r\nPASS pw-of-mallory\r\n"))
		for {
			code, text, err := h.reply()
			if err != nil {
				if isTimeout(err) {
					t.Fatal("the connection stays open")
				}
				return
			}
			if code == 331 || code == 230 {
				t.Fatalf("a command behind AUTH was taken: %s", text)
			}
		}
	})
	t.Run("AUTH forgets who was logged in", func(t *testing.T) {
		t.Parallel()
		h := s.as(t, "mallory")
		c, err := trust(s.data)
		h.check(err)
		h.check(h.secure(c))
		h.want(530, "PWD")
		h.want(5, "AUTH TLS")
	})
}

// TestMalloryLeavesHome: nothing outside a home is read, changed or even seen.
func TestMalloryLeavesHome(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.addUser("alice")
	s.addUser("mallory")
	secret := filepath.Join(s.home("alice"), "secret")
	write(t, secret, []byte("alice's"))
	home := s.home("mallory")
	for name, target := range map[string]string{
		"up": "..", "abs": s.home("alice"), "file": secret, "dangling": filepath.Join(s.home("alice"), "new"), "root": "/",
	} {
		if err := os.Symlink(target, filepath.Join(home, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(home, "fifo"), 0o666); err != nil {
		t.Fatal(err)
	}

	h := s.as(t, "mallory")
	for _, name := range []string{
		"../alice/secret", "/../alice/secret", "x/../../alice/secret", "//..//alice//secret", s.home("alice") + "/secret",
		"up/alice/secret", "abs/secret", "file", "dangling", "root/etc/passwd", "fifo",
	} {
		_, err := h.get("RETR "+name, 0)
		h.refused(5, err)
	}
	for _, name := range []string{"up/alice/new", "abs/new", "abs/secret", "root/tmp/sampan-mallory", "../alice/new", "fifo/x"} {
		err := h.put("STOR "+name, 0, strings.NewReader("mallory's"))
		h.refused(5, err)
	}
	h.want(5, "MKD abs/dir")
	h.want(5, "CWD abs")
	h.want(5, "DELE abs/secret")
	h.want(5, "RNFR abs/secret")
	h.check(h.put("STOR mine", 0, strings.NewReader("mallory's")))
	h.want(350, "RNFR mine")
	h.want(5, "RNTO abs/mine")
	// Uploads over a link replace the link, never its target; removing one removes only it.
	for _, name := range []string{"file", "dangling"} {
		if err := h.put("STOR "+name, 0, strings.NewReader("mallory's")); err != nil {
			h.refused(5, err)
		}
	}
	h.want(2, "DELE up")
	h.want(2, "RMD abs")
	// ".." stops at the top, as in a shell.
	h.want(250, "CWD ../../..")
	if text := h.want(257, "PWD"); !strings.Contains(text, `"/"`) {
		t.Errorf("CWD ../../..: %s", text)
	}
	if got := read(t, secret); string(got) != "alice's" {
		t.Errorf("alice's file is now %q", got)
	}
	if names := entries(t, s.home("alice")); fmt.Sprint(names) != "[secret]" {
		t.Errorf("alice's home holds %v", names)
	}
	if _, err := os.Lstat("/tmp/sampan-mallory"); err == nil {
		t.Error("a link led out to /tmp")
	}
}

// TestMalloryPort: a data connection is never made to anybody but the peer, and never to a system port.
func TestMalloryPort(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.addUser("mallory")
	victim, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skipf("no second loopback address here: %v", err)
	}
	defer victim.Close()
	called := make(chan string, 1)
	go func() {
		if c, err := victim.Accept(); err == nil {
			called <- c.RemoteAddr().String()
			c.Close()
		}
	}()
	port := victim.Addr().(*net.TCPAddr).Port

	h := s.as(t, "mallory")
	for _, line := range []string{
		fmt.Sprintf("PORT 127,0,0,2,%d,%d", port>>8, port&255),
		fmt.Sprintf("EPRT |1|127.0.0.2|%d|", port),
		fmt.Sprintf("EPRT |2|::ffff:127.0.0.2|%d|", port),
		"PORT 127,0,0,1,0,25",
		"EPRT |1|127.0.0.1|80|",
		"EPRT |1|0.0.0.0|80|",
		"PORT 8,8,8,8,100,100",
	} {
		h.want(5, line)
		h.want(425, "LIST") // there is nowhere to send it
	}
	select {
	case who := <-called:
		t.Errorf("the server called the victim from %s", who)
	default:
	}
}

// TestMalloryOnPassivePort: whoever comes first to a passive port from elsewhere gets nothing, gives nothing, and
// the real client is served.
func TestMalloryOnPassivePort(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.addUser("alice")
	stranger := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.9")}, Timeout: patience}
	if probe, err := stranger.Dial("tcp", s.addr); err != nil {
		t.Skipf("no second loopback address here: %v", err)
	} else {
		probe.Close()
	}
	h := s.as(t, "alice")
	h.check(h.put("STOR f", 0, strings.NewReader("alice's bytes")))

	for range 3 {
		addr, err := h.passiveAddr()
		h.check(err)
		thief, err := stranger.Dial("tcp", addr)
		h.check(err)
		_, _ = io.WriteString(thief, "mallory's bytes")
		real, err := net.Dial("tcp", addr)
		h.check(err)
		h.want(1, "RETR f")
		got, err := io.ReadAll(real)
		h.check(err)
		h.wantReply(226, "RETR")
		if string(got) != "alice's bytes" {
			t.Errorf("alice got %q", got)
		}
		_ = thief.SetReadDeadline(time.Now().Add(patience))
		stolen, err := io.ReadAll(thief)
		if len(stolen) > 0 || isTimeout(err) {
			t.Errorf("the stranger got %q, %v", stolen, err)
		}
		thief.Close()
		real.Close()

		// The same when uploading.
		addr, err = h.passiveAddr()
		h.check(err)
		thief, err = stranger.Dial("tcp", addr)
		h.check(err)
		_, _ = io.WriteString(thief, "mallory's bytes")
		real, err = net.Dial("tcp", addr)
		h.check(err)
		h.want(1, "STOR g")
		_, err = io.WriteString(real, "alice's too")
		h.check(err)
		real.Close()
		h.wantReply(226, "STOR")
		thief.Close()
		if got := read(t, filepath.Join(s.home("alice"), "g")); string(got) != "alice's too" {
			t.Errorf("what arrived: %q", got)
		}
	}
}

// TestMalloryRest: REST beyond the end is refused; nothing is appended, and the file stays.
func TestMalloryRest(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.addUser("mallory")
	h := s.as(t, "mallory")
	h.check(h.put("STOR f", 0, strings.NewReader("0123456789")))
	_, err := h.get("RETR f", 11)
	h.refused(554, err)
	h.refused(554, h.put("STOR f", 11, strings.NewReader("x")))
	got, err := h.get("RETR f", 10)
	h.check(err)
	if len(got) != 0 {
		t.Errorf("from the end: %q", got)
	}
	_, err = h.get("RETR f", 1<<62)
	h.refused(554, err)
	// REST holds for one transfer, across a PASV in between, and not for the next.
	h.want(350, "REST 4")
	got, err = h.get("RETR f", 0)
	h.check(err)
	if string(got) != "456789" {
		t.Errorf("from 4: %q", got)
	}
	got, err = h.get("RETR f", 0)
	h.check(err)
	if string(got) != "0123456789" {
		t.Errorf("the next: %q", got)
	}
}

// TestMalloryLoginStorm: 300 log-ins at once leave the server's memory bounded, and it goes on.
func TestMalloryLoginStorm(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("the memory of a process is read from /proc")
	}
	s := startServer(t, "--max-sessions-per-address", "400")
	s.addUser("alice")
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			w, err := dialWire(s.addr, "")
			if err != nil {
				return
			}
			defer w.close()
			_ = w.login(fmt.Sprintf("nobody%d", i), "wrong")
		})
	}
	wg.Wait()
	if peak := s.memory("status", "VmHWM"); peak > 400<<20 {
		t.Errorf("the server took %d MiB", peak>>20)
	} else {
		t.Logf("the server took %d MiB at most", peak>>20)
	}
	h := s.connectFrom(t, "127.0.0.7")
	h.check(h.login("alice", "pw-of-alice"))
}

// TestMalloryGuesses: 60 wrong passwords are slowed, then refused, while the owner still gets in from elsewhere; and
// good log-ins never count.
func TestMalloryGuesses(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.addUser("alice")
	for range 70 {
		h := s.as(t, "alice")
		h.want(221, "QUIT")
	}
	refused := 0
	began := time.Now()
	for range 60 {
		w, err := dialWire(s.addr, "127.0.0.6")
		if err != nil {
			refused++
			continue
		}
		switch err := w.login("alice", "guess"); codeOf(err) {
		case 530:
		case 421, 450, 0:
			refused++
		default:
			t.Fatalf("a wrong password: %v", err)
		}
		w.close()
	}
	t.Logf("60 guesses took %v, %d were refused unheard", time.Since(began).Round(time.Millisecond), refused)
	guesser := s.connectFrom(t, "127.0.0.6")
	first := time.Now()
	if err := guesser.login("alice", "guess"); err == nil {
		t.Error("a wrong password was taken")
	}
	if refused == 0 && time.Since(first) < time.Second {
		t.Error("60 wrong passwords were neither slowed nor refused")
	}
	owner := s.connectFrom(t, "127.0.0.8")
	owner.check(owner.login("alice", "pw-of-alice"))
}

// TestMalloryPlainPasswords: where clear-text passwords are not taken, none is asked for.
func TestMalloryPlainPasswords(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--plain-logins", "never")
	s.addUser("alice")
	h := s.connect(t)
	h.want(5, "USER alice")
	h.want(5, "PASS pw-of-alice")
	s.secureAs(t, "alice").want(257, "PWD")
}

// TestMallorySessions: one address cannot take all sessions, and those that were refused are told with 421.
func TestMallorySessions(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--max-sessions-per-address", "5")
	s.addUser("alice")
	refused := 0
	for range 12 {
		w, err := dialWire(s.addr, "127.0.0.6")
		if code := codeOf(err); code == 421 {
			refused++
		} else if err != nil {
			t.Fatal(err)
		} else {
			t.Cleanup(w.close)
			if err := w.login("alice", "pw-of-alice"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if refused != 7 {
		t.Errorf("%d of 12 were refused, where 5 may be", refused)
	}
	h := s.connectFrom(t, "127.0.0.7")
	h.check(h.login("alice", "pw-of-alice"))
}

// TestMalloryPassivePorts: 300 PASV in a row leak nothing.
func TestMalloryPassivePorts(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.addUser("mallory")
	h := s.as(t, "mallory")
	for range 300 {
		h.want(227, "PASV")
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	if err != nil {
		t.Skip(err)
	}
	if len(fds) > 60 {
		t.Errorf("%d descriptors after 300 PASV", len(fds))
	}
	h.check(h.put("STOR f", 0, strings.NewReader("still served")))
	h.want(229, "EPSV")
	h.want(200, "EPSV ALL")
	h.want(5, "PASV")
	h.want(5, "PORT 127,0,0,1,200,200")
}

// TestMalloryTakesAllDescriptors: with more connections than the server has descriptors, who is in goes on; and when they end
// everybody gets in again.
func TestMalloryTakesAllDescriptors(t *testing.T) {
	t.Parallel()
	s := newServer(t, "--max-sessions-per-address", "1000")
	s.wrap = []string{"prlimit", "--nofile=100:100"}
	s.start()
	s.addUser("alice")
	in := s.as(t, "alice")
	var all []net.Conn
	for range 300 {
		conn, err := net.DialTimeout("tcp", s.addr, patience)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		all = append(all, conn)
	}
	eventually(t, "no descriptor is left", func() bool { return strings.Contains(s.log.String(), "too many open files") })
	in.want(200, "NOOP")
	in.want(257, "PWD")
	for _, conn := range all {
		conn.Close()
	}
	h := s.as(t, "alice")
	h.check(h.put("STOR f", 0, strings.NewReader("alice's")))
	in.want(213, "SIZE f")
}

// TestMalloryDuringTransfer: STAT, NOOP and ABOR are answered while data flows, and the session stays in step.
func TestMalloryDuringTransfer(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.addUser("alice")
	for _, mode := range []string{"plain", "tls"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			h := s.as(t, "alice")
			if mode == "tls" {
				h = s.secureAs(t, "alice")
			}
			name := "f-" + mode
			conn, err := h.begin("STOR " + name)
			h.check(err)
			_, err = conn.Write(make([]byte, 100_000))
			h.check(err)
			h.want(2, "STAT")
			h.want(200, "NOOP")
			h.check(h.send("ABOR"))
			h.wantReply(426, "ABOR")
			h.wantReply(226, "ABOR")
			conn.Close()
			h.want(200, "NOOP")
			_, err = h.get("RETR "+name, 0)
			h.refused(550, err)
			h.check(h.put("STOR "+name, 0, strings.NewReader("whole")))
			if got := read(t, filepath.Join(s.home("alice"), name)); string(got) != "whole" {
				t.Errorf("after ABOR: %q", got)
			}
		})
	}
}

// TestMalloryStranger: who has no account learns nothing and can do nothing; a request lets nobody in.
func TestMalloryStranger(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.addUser("alice")

	unknown, taken := s.connect(t), s.connect(t)
	unknown.want(331, "USER nobody")
	taken.want(331, "USER alice")
	if a, b := unknown.want(530, "PASS x"), taken.want(530, "PASS x"); a != b {
		t.Errorf("an unknown name and a wrong password differ: %q, %q", a, b)
	}

	h := s.connect(t)
	h.want(331, "USER register")
	h.want(230, "PASS anything")
	for _, line := range []string{"PWD", "LIST", "RETR a", "STOR a", "MKD a", "CWD /", "SITE QUOTA", "SITE PASSWD", "EPSV", "SIZE a", "MLST", "DELE a"} {
		h.want(5, line)
	}
	// Anything but PASS behind REGISTER takes the request back.
	h.want(331, "SITE REGISTER eve")
	h.want(200, "NOOP")
	h.want(503, "PASS long enough a password")
	var tickets []string
	for _, name := range []string{"mallory", "alice"} {
		h.want(331, "SITE REGISTER "+name)
		tickets = append(tickets, strings.ReplaceAll(h.want(2, "PASS long enough a password"), name, "NAME"))
	}
	if a, b := len(tickets[0]), len(tickets[1]); a != b {
		t.Errorf("a free and a taken name are answered differently:\n%s%s", tickets[0], tickets[1])
	}
	for _, name := range []string{"../../x", "register", "a\x1bb", "CON"} {
		if _, err := h.cmd(331, "SITE REGISTER "+name); err == nil {
			h.want(5, "PASS long enough a password")
		} else {
			h.refused(5, err)
		}
	}
	h.want(5, "SITE REGSTATUS 0123456789")
	pending := s.connect(t)
	if err := pending.login("mallory", "long enough a password"); codeOf(err) != 530 {
		t.Errorf("a pending account: %v", err)
	}
	if r := s.sampan("", "requests", "--json"); !strings.Contains(r.out, "mallory") || strings.Contains(r.out, "eve") {
		t.Errorf("requests: %s%s", r.out, r.err)
	}
}

// TestMalloryParts: a cut upload is nobody's but its sender's, even in a home that two share.
func TestMalloryParts(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.addUser("alice")
	if r := s.sampan("pw-of-mallory\n", "user", "add", "mallory", "--home", s.home("alice"), "--password-stdin"); r.code != 0 {
		t.Fatalf("sharing a home: %s%s", r.out, r.err)
	}
	park(t, s, "alice", "f", []byte("alice's half"))
	a := s.as(t, "alice")
	a.want(213, "SITE PART f")
	a.want(213, "SIZE f")

	m := s.as(t, "mallory")
	m.want(550, "SITE PART f")
	m.want(550, "SIZE f")
	m.want(550, "MLST f")
	_, err := m.get("RETR f", 0)
	m.refused(550, err)
	m.refused(5, m.put("STOR f", 12, strings.NewReader(" and mallory's")))
	for _, line := range []string{"LIST", "MLSD", "NLST"} {
		b, err := m.get(line, 0)
		m.check(err)
		if strings.TrimSpace(string(b)) != "" && !strings.HasPrefix(string(b), "total") && strings.Contains(string(b), "f\r\n") {
			t.Errorf("%s shows the part:\n%s", line, b)
		}
	}
	_, err = a.get("RETR f", 0)
	a.refused(550, err)
	a.check(a.put("STOR f", 12, strings.NewReader(" and the other")))
	if got, err := m.get("RETR f", 0); err != nil || string(got) != "alice's half and the other" {
		t.Errorf("what the two see then: %q, %v", got, err)
	}
}

func write(t testing.TB, name string, b []byte) {
	t.Helper()
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

// entries lists what a person sees in a home's directory on the disk.
func entries(t testing.TB, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		if e.Name() != ".sampan" {
			names = append(names, e.Name())
		}
	}
	return names
}

package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A screen is a terminal with a program on it.
type screen struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd
	mu     sync.Mutex
	shown  []byte
	from   int // what expect has not seen yet
	more   chan struct{}
}

// onScreen starts the program itself on a terminal of 80 columns.
func onScreen(t *testing.T, dir string, env []string, args ...string) *screen {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80})
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{t: t, master: master, more: make(chan struct{}, 1)}
	s.cmd = program(t, args...)
	s.cmd.Dir = dir
	s.cmd.Env = append(s.cmd.Env, append([]string{"HOME=" + dir, "XDG_STATE_HOME=" + dir + "/state", "TERM=xterm", "LC_ALL=C.UTF-8"}, env...)...)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = slave, slave, slave
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	go s.read()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		master.Close()
	})
	return s
}

// program is a command of the test binary acting as sampan.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := exec.LookPath("sampan") // testscript put it there
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = os.Environ()
	return cmd
}

func (s *screen) read() {
	buf := make([]byte, 4096)
	for {
		n, err := s.master.Read(buf)
		s.mu.Lock()
		s.shown = append(s.shown, buf[:n]...)
		s.mu.Unlock()
		select {
		case s.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// expect waits until the pattern is shown behind what was expected before, and returns what it matched.
func (s *screen) expect(pattern string) string {
	s.t.Helper()
	re := regexp.MustCompile(pattern)
	end := time.After(time.Minute) // the disk may be busy
	for {
		s.mu.Lock()
		text := s.shown[s.from:]
		if at := re.FindIndex(text); at != nil {
			s.from += at[1]
			s.mu.Unlock()
			return string(text[at[0]:at[1]])
		}
		rest := string(text)
		s.mu.Unlock()
		select {
		case <-s.more:
		case <-end:
			s.t.Fatalf("%q is not shown; there is %q", pattern, rest)
		}
	}
}

func (s *screen) send(keys string) {
	s.t.Helper()
	if _, err := s.master.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// ends waits for the program to end with a code.
func (s *screen) ends(code int) {
	s.t.Helper()
	done := make(chan struct{})
	go func() {
		_ = s.cmd.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		s.t.Fatal("it does not end")
	}
	if got := s.cmd.ProcessState.ExitCode(); got != code {
		s.t.Errorf("it ended with %d, not %d", got, code)
	}
}

func (s *screen) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.shown)
}

// TestOnATerminal is the client as a person at a terminal sees it.
func TestOnATerminal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	address := serveFor(t, dir)
	for name, content := range map[string]string{"big.bin": "", "文件 一.txt": "你好", "文件 二.txt": "再见"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	// The bar is drawn ten times a second: what is over sooner shows none that counts in MB.
	if err := os.Truncate(filepath.Join(dir, "big.bin"), 256<<20); err != nil {
		t.Fatal(err)
	}

	t.Run("shell", func(t *testing.T) {
		s := onScreen(t, dir, nil)
		s.expect(`1, 2 or Q: `)
		s.send("1\r")
		s.expect(`just its name: `)
		s.send("alicf\x7fe@" + address + "\r")
		s.expect(`The certificate of 127.0.0.1:\d+ is unknown here`)
		s.expect(`  sha256:[0-9a-f]{64}\r\n`)
		s.expect(`y or n: `)
		s.send("n\r")
		s.expect(`1, 2 or Q: `)
		s.send("1\r")
		s.expect(`just its name: `)
		s.send("alice@" + address + "\r")
		s.expect(`y or n: `)
		s.send("y\r")
		s.expect(`Password of alice at 127.0.0.1: `)
		s.send("alice secret\r")
		s.expect(`alice@127.0.0.1:/> `)
		s.send("put b\t")
		s.expect(`put big.bin`)
		s.send("\r")
		s.expect(`\r\x1b\[Kbig\.bin +\[=*>? *\] +\d+% +\d+ MB/256 MB`)
		s.expect(`big\.bin: 256 MB in `)
		s.expect(`equal at both ends`)
		s.send("put 文\t")
		s.expect(`put "文件 `)
		s.send("\t")
		s.expect(`文件 一.txt  文件 二.txt`)
		s.send("二\t\r")
		s.expect(`文件 二.txt: 6 B in`)
		s.expect(`> `)
		s.send("half a line\x03")
		s.expect(`> `)
		s.send("\x1b[A\r") // up: the last line again
		s.expect(`skipped, an equal file of 6 B is there`)
		s.send("hlep\r")
		s.expect(`did you mean help\?`)
		s.expect(`> `) // until then the terminal, not the editor, would take ^D
		s.send("\x04")
		s.expect(`1, 2 or Q: `)
		s.send("q\r")
		s.ends(0)
		if strings.Contains(s.all(), "secret") {
			t.Error("the password is shown")
		}
		h, err := os.ReadFile(filepath.Join(dir, "state", "sampan", "history"))
		if err != nil || !strings.Contains(string(h), "put big.bin") || strings.Contains(string(h), "secret") {
			t.Errorf("the history is %q, %v", h, err)
		}
	})

	t.Run("typed ahead", func(t *testing.T) {
		s := onScreen(t, dir, []string{"SAMPAN_PASSWORD=alice secret"}, "open", "--lang", "zh", "ftp://alice@"+address)
		s.send("mkdir 新目录\rls\r")
		s.expect(`已登录 127.0.0.1`)
		s.expect(`新目录/`)
		s.send("Q\r")
		s.ends(0)
	})

	t.Run("interrupted", func(t *testing.T) {
		s := onScreen(t, dir, nil, "ls", "ftp://alice@"+address)
		s.expect(`Password of alice`)
		s.send("alice\x03")
		s.ends(130)
	})
}

// TestPipedInInterrupted: ^C ends an upload of what is piped in although nothing more comes, and nothing is published.
func TestPipedInInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	url := "ftp://alice@" + serveFor(t, dir) + "/piped"
	run := func(args ...string) *exec.Cmd {
		cmd := program(t, args...)
		cmd.Env = append(cmd.Env, "HOME="+dir, "LC_ALL=C.UTF-8", "SAMPAN_PASSWORD=alice secret")
		return cmd
	}
	put := run("put", "--yes", "-", url)
	var said strings.Builder
	put.Stderr = &said
	in, err := put.StdinPipe()
	if err == nil {
		err = put.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer put.Process.Kill()
	if _, err := in.Write(make([]byte, 1<<20)); err != nil { // more than a pipe holds, so it reads by now
		t.Fatal(err)
	}
	if err := put.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = put.Wait()
	if code := put.ProcessState.ExitCode(); code != 130 || !strings.Contains(said.String(), "interrupted") {
		t.Errorf("it ended with %d and said %q", code, said.String())
	}
	stat := run("cat", "--yes", url)
	if out, _ := stat.CombinedOutput(); stat.ProcessState.ExitCode() != 3 {
		t.Errorf("cat ended with %d: %s", stat.ProcessState.ExitCode(), out)
	}
}

// TestInterruptedTreeGoesOn: the target of a cut tree is there by now, so the same command would go into it. What is said
// instead continues it, in the same place.
func TestInterruptedTreeGoesOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	url := "ftp://alice@" + serveFor(t, dir, "--up-limit", "4M") + "/new"
	if err := os.Mkdir(filepath.Join(dir, "tree"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tree", "big"), make([]byte, 12<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) *exec.Cmd {
		cmd := program(t, args...)
		cmd.Dir, cmd.Env = dir, append(cmd.Env, "HOME="+dir, "LC_ALL=C.UTF-8", "SAMPAN_PASSWORD=alice secret")
		return cmd
	}
	put := run("put", "--yes", "--json", "-r", "tree", url)
	events, err := put.StdoutPipe()
	if err == nil {
		err = put.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer put.Process.Kill()
	said := ""
	for lines := bufio.NewScanner(events); lines.Scan(); {
		if strings.Contains(lines.Text(), `"phase":"moving"`) {
			_ = put.Process.Signal(os.Interrupt)
		}
		said += lines.Text() + "\n"
	}
	_ = put.Wait()
	if code := put.ProcessState.ExitCode(); code != 130 || !strings.Contains(said, "with a slash behind its source: tree/") {
		t.Errorf("it ended with %d and said %s", code, said)
	}
	if out, err := run("put", "-r", "tree/", url).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := run("ls", url).CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "  big\n") || strings.Contains(string(out), "tree") {
		t.Errorf("%v: %s", err, out)
	}
}

// serveFor starts a server with the account alice in dir and returns where it listens.
func serveFor(t *testing.T, dir string, flags ...string) string {
	t.Helper()
	data := filepath.Join(dir, "D")
	server := program(t, append([]string{"serve", "--data", data, "--ftp", "127.0.0.1:0", "--durability", "fast"}, flags...)...)
	server.Env = append(server.Env, "HOME="+dir, "XDG_RUNTIME_DIR="+dir)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		_ = server.Wait()
	})
	var address string
	for end := time.Now().Add(20 * time.Second); address == "" && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		b, _ := os.ReadFile(filepath.Join(data, "addresses.json"))
		if m := regexp.MustCompile(`"ftp":"([^"]+)"`).FindSubmatch(b); m != nil {
			address = string(m[1])
		}
	}
	add := program(t, "user", "add", "alice", "--data", data, "--password-stdin")
	add.Env = server.Env
	add.Stdin = strings.NewReader("alice secret\n")
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return address
}

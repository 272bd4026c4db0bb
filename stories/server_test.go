//go:build linux

package stories

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	if home := os.Getenv(watchVariable); home != "" {
		watch(home)
		return
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sampan-stories-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "sampan")
	build := exec.Command("go", "build", "-o", binary, "sampan")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// patience bounds every wait for something that has to happen; it is long because two busy cores are slow.
const patience = 60 * time.Second

// log collects what a process writes.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// server is one `sampan serve` with its DATA, which outlives the process.
type server struct {
	t     testing.TB
	data  string
	homes string
	wrap  []string // a program that runs the server (strace), with its arguments
	flags []string
	env   []string // besides that of all
	log   log

	cmd    *exec.Cmd
	exited chan struct{}
	addr   string // of the FTP listener
	ftps   string // of the implicit one, if asked for
	sftp   string // of the one for SFTP, if asked for
}

// newServer prepares a server that listens on loopback at a free port; flags come behind its own, and win.
func newServer(t testing.TB, flags ...string) *server {
	t.Helper()
	return newServerIn(t, t.TempDir(), flags...)
}

func newServerIn(t testing.TB, dir string, flags ...string) *server {
	t.Helper()
	s := &server{t: t, data: filepath.Join(dir, "data"), homes: filepath.Join(dir, "homes")}
	s.flags = append([]string{"--ftp", "127.0.0.1:0", "--sftp", "off"}, flags...)
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("the server's log:\n%s", tail(s.log.String(), 8000))
		}
	})
	return s
}

// startServer is newServer and start.
func startServer(t testing.TB, flags ...string) *server {
	t.Helper()
	s := newServer(t, flags...)
	s.start()
	return s
}

func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return "…" + s[len(s)-n:]
}

// noteSources looks at the program's sources, so that go test's cache, which does not see through the build of the
// binary, is good only while they stay as they are.
var noteSources = sync.OnceFunc(func() {
	_ = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || path == "..":
		case d.IsDir() && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case strings.HasSuffix(path, ".go"), d.Name() == "go.mod":
			_, _ = os.Stat(path)
		}
		return nil
	})
})

// environ is that of every program that a test starts: a home of its own, English, no network settings of ours.
func environ(home string, more ...string) []string {
	noteSources()
	env := []string{"HOME=" + home, "PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "LC_ALL=C.UTF-8", "TERM=dumb"}
	return append(env, more...)
}

// start runs the server and waits until it accepts.
func (s *server) start() {
	s.t.Helper()
	args := append(append([]string{}, s.wrap...), binary, "serve", "--data", s.data)
	args = append(args, s.flags...)
	s.cmd = exec.Command(args[0], args[1:]...)
	s.cmd.Env = environ(filepath.Dir(s.data), s.env...)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	s.cmd.SysProcAttr = dieWithParent()
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait()
		close(exited)
	}(s.cmd, s.exited)
	s.waitAddresses()
}

// waitAddresses waits for DATA/addresses.json. A file that an earlier, killed server left is removed by the new one
// before anything is opened, so it is believed only once a connection to it is greeted.
func (s *server) waitAddresses() {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(deadline) {
		var a map[string]string
		b, err := os.ReadFile(filepath.Join(s.data, "addresses.json"))
		if err == nil && json.Unmarshal(b, &a) == nil && greets(a["ftp"]) {
			s.addr, s.ftps, s.sftp = a["ftp"], a["ftps"], a["sftp"]
			return
		}
		select {
		case <-s.exited:
			s.t.Fatalf("the server ended instead of starting:\n%s", tail(s.log.String(), 8000))
		case <-tick.C:
		}
	}
	s.t.Fatalf("the server did not write addresses.json:\n%s", tail(s.log.String(), 8000))
}

func greets(addr string) bool {
	if addr == "" {
		return false
	}
	w, err := dialWire(addr, "")
	if err != nil {
		return false
	}
	w.close()
	return true
}

// kill ends the server with -9, if it runs, and waits until it is gone.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	<-s.exited
	s.cmd = nil
}

// stop drains the server with SIGTERM; it must end well.
func (s *server) stop() {
	s.t.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(patience):
		s.t.Fatal("the server did not end after SIGTERM")
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		s.t.Errorf("the server ended with %d after SIGTERM:\n%s", code, tail(s.log.String(), 4000))
	}
	s.cmd = nil
}

func (s *server) restart() {
	s.t.Helper()
	s.kill()
	s.start()
}

// memory reads a number of the server's from a file of /proc, in bytes.
func (s *server) memory(file, key string) int64 {
	s.t.Helper()
	for line := range strings.Lines(string(read(s.t, fmt.Sprintf("/proc/%d/%s", s.cmd.Process.Pid, file)))) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return n << 10
		}
	}
	s.t.Fatalf("no %s in %s", key, file)
	return 0
}

// home is where the account's files are on the disk.
func (s *server) home(name string) string { return filepath.Join(s.homes, name) }

// addUser adds an account whose password is "pw-of-NAME".
func (s *server) addUser(name string, flags ...string) {
	s.t.Helper()
	args := append([]string{"user", "add", name, "--home", s.home(name), "--password-stdin"}, flags...)
	if r := s.sampan("pw-of-"+name+"\n", args...); r.code != 0 {
		s.t.Fatalf("sampan %s: exit %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
}

// result is how a program ended.
type result struct {
	out, err string
	code     int
}

// sampan runs a command of ours on the server's DATA.
func (s *server) sampan(stdin string, args ...string) result {
	s.t.Helper()
	return runIn(s.t, filepath.Dir(s.data), stdin, append([]string{binary}, append(args, "--data", s.data)...)...)
}

// runIn runs a program in directory dir, which is its HOME too, to its end.
func runIn(t testing.TB, dir, stdin string, argv ...string) result {
	t.Helper()
	return runWith(t, dir, nil, stdin, argv...)
}

// runWith is runIn with more in the environment.
func runWith(t testing.TB, dir string, env []string, stdin string, argv ...string) result {
	t.Helper()
	limit := 2 * patience
	if longRun {
		limit *= 5
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = dir, environ(dir, env...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.SysProcAttr = dieWithParent()
	cmd.WaitDelay = time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		t.Fatalf("%s did not end in %v:\n%s%s", strings.Join(argv, " "), limit, out.String(), errs.String())
	case errors.As(err, &exit):
		return result{out.String(), errs.String(), exit.ExitCode()}
	case err != nil:
		t.Fatalf("%s: %v", strings.Join(argv, " "), err)
	}
	return result{out.String(), errs.String(), 0}
}

// eventually waits until ok says true, and fails with what it should have been.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		<-tick.C
	}
}

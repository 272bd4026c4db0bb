// Package consoletest has a terminal for tests of what a person sees and types. It is a real one of the system, so
// Linux only.
package consoletest

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long Expect and Ends wait.
const patience = 30 * time.Second

// Terminal is a pseudo-terminal. Programs read and write TTY; Type and Expect are the person in front of it.
type Terminal struct {
	TTY *os.File

	t      testing.TB
	master *os.File
	cmd    *exec.Cmd

	mu    sync.Mutex
	shown []byte
	from  int // where Expect goes on
	more  chan struct{}
}

// Open opens a terminal of so many columns and rows for the length of the test.
func Open(t testing.TB, columns, rows uint16) *Terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows})
	}
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	p := &Terminal{TTY: tty, t: t, master: master, more: make(chan struct{}, 1)}
	go p.read()
	return p
}

// Start runs a program on the terminal, as its leader; it is killed when the test ends.
func (p *Terminal) Start(cmd *exec.Cmd) {
	p.t.Helper()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.TTY, p.TTY, p.TTY
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.cmd = cmd
	p.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func (p *Terminal) read() {
	buf := make([]byte, 4096)
	for {
		n, err := p.master.Read(buf)
		p.mu.Lock()
		p.shown = append(p.shown, buf[:n]...)
		p.mu.Unlock()
		select {
		case p.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// Expect waits until the pattern is shown behind what was expected before, and returns what it matched.
func (p *Terminal) Expect(pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	end := time.After(patience)
	for {
		p.mu.Lock()
		text := p.shown[p.from:]
		if at := re.FindIndex(text); at != nil {
			p.from += at[1]
			p.mu.Unlock()
			return string(text[at[0]:at[1]])
		}
		rest := string(text)
		p.mu.Unlock()
		select {
		case <-p.more:
		case <-end:
			p.t.Fatalf("%q is not shown; there is %q", pattern, rest)
		}
	}
}

// Shown returns all that was ever shown.
func (p *Terminal) Shown() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.shown)
}

// Type presses keys.
func (p *Terminal) Type(keys string) {
	p.t.Helper()
	if _, err := p.master.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

// Ends waits for the program that Start began to end with a code.
func (p *Terminal) Ends(code int) {
	p.t.Helper()
	done := make(chan struct{})
	go func() {
		_ = p.cmd.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(patience):
		p.t.Fatalf("the program does not end; on the terminal is %q", p.Shown())
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		p.t.Errorf("the program ended with %d, not %d; on the terminal is %q", got, code, p.Shown())
	}
}

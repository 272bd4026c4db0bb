package console

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"sampan/account"
	"sampan/admin"
	"sampan/session"
	"sampan/words"
)

// terminal is a pseudo-terminal: what a person types goes in at keys, what they would see comes out at seen.
type terminal struct {
	t    *testing.T
	keys *os.File
	tty  *os.File

	mu   sync.Mutex
	seen strings.Builder
	news chan struct{}
}

func newTerminal(t *testing.T, columns, rows uint16) *terminal {
	t.Helper()
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(ptmx.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(ptmx.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(ptmx.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows})
	}
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, keys: ptmx, tty: tty, news: make(chan struct{}, 1)}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := ptmx.Read(buf)
			if err != nil {
				return
			}
			term.mu.Lock()
			term.seen.Write(buf[:n])
			term.mu.Unlock()
			select {
			case term.news <- struct{}{}:
			default:
			}
		}
	}()
	t.Cleanup(func() { tty.Close(); ptmx.Close() })
	return term
}

// wait waits until text was seen since the last wait, and forgets what came before.
func (p *terminal) wait(text string) {
	p.t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		p.mu.Lock()
		all := p.seen.String()
		_, rest, found := strings.Cut(all, text)
		if found {
			p.seen.Reset()
			p.seen.WriteString(rest)
		}
		p.mu.Unlock()
		if found {
			return
		}
		select {
		case <-p.news:
		case <-deadline:
			p.t.Fatalf("%q is not on the terminal; there is %q", text, all)
		}
	}
}

func (p *terminal) press(keys string) {
	p.t.Helper()
	if _, err := p.keys.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

// TestRun plays an operator at a real terminal, with the real book behind it: requests are allowed and refused, the
// log scrolls above, and the terminal is left as it was.
func TestRun(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	book, err := account.Open(ctx, filepath.Join(dir, "book"), account.Options{Homes: filepath.Join(dir, "homes"), DefaultQuota: 10 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	hub := session.NewHub(session.Config{Book: book})
	defer hub.Close()
	client := admin.InProcess(admin.Handler(book, hub))
	ask := func(name, note string) account.Ticket {
		t.Helper()
		ticket, err := book.Register(ctx, name, "", account.Proof{Name: name, Password: "long enough", Remote: "192.0.2.7"}, note)
		if err != nil {
			t.Fatal(err)
		}
		return ticket
	}

	p := newTerminal(t, 80, 24)
	before, err := unix.IoctlGetTermios(int(p.tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	s := New(p.tty, p.tty, words.English)
	done := make(chan error, 1)
	go func() {
		done <- s.Run(ctx, Config{Client: client, Join: "sampan join ftp://192.0.2.1:2121 --pin sha256:00", Addresses: []string{"ftp://192.0.2.1:2121"}, DefaultQuota: 10 << 30})
	}()
	p.wait("listening at ftp://192.0.2.1:2121\r\n")
	p.wait("  sampan join ftp://192.0.2.1:2121 --pin sha256:00\r\n")
	p.wait("nobody is in yet")
	fmt.Fprintln(s, "level=INFO msg=hello")
	p.wait("\r\x1b[Jlevel=INFO msg=hello\r\n")

	lina := ask("lina", "")
	p.wait("\a")
	p.wait("lina (192.0.2.7) asks for an account, 10G: 1 allows, 2 refuses")
	time.Sleep(settle) // as a person needs to read it
	p.press("1")
	p.wait("allow lina; a note, or just Enter: ")
	p.press("welcome\r")
	p.wait("lina may come in now, with 10G\r\n")
	if a, err := book.Answer(ctx, lina); err != nil || a.State != account.Active || a.Note != "welcome" {
		t.Errorf("lina's answer: %+v, %v", a, err)
	}

	wang := ask("wang", "please")
	p.wait("wang says: please")
	p.wait("2 refuses")
	time.Sleep(settle)
	p.press("2")
	p.wait("refuse wang; a note")
	p.press("\r")
	p.wait("wang was refused\r\n")
	if a, err := book.Answer(ctx, wang); err != nil || a.State != account.Refused || a.Note != "" {
		t.Errorf("wang's answer: %+v, %v", a, err)
	}

	p.press("\x03")
	if err := <-done; err != nil {
		t.Error(err)
	}
	after, err := unix.IoctlGetTermios(int(p.tty.Fd()), unix.TCGETS)
	if err != nil || *after != *before {
		t.Errorf("the terminal is not as it was: %+v, %+v, %v", after, before, err)
	}
	fmt.Fprintln(s, "plain again")
	p.wait("plain again")
}

// TestRunEnds: the end of ctx ends the screen and restores the terminal, and what is no terminal is refused.
func TestRunEnds(t *testing.T) {
	t.Parallel()
	p := newTerminal(t, 80, 24)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	gone := admin.NewClient(filepath.Join(t.TempDir(), "nobody.sock"))
	if err := New(p.tty, p.tty, words.Chinese).Run(ctx, Config{Client: gone}); err != nil {
		t.Error(err)
	}
	if st, err := term.GetState(int(p.tty.Fd())); err != nil || st == nil {
		t.Error(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := New(f, f, words.English).Run(t.Context(), Config{Client: gone}); err == nil {
		t.Error("a file was taken for a terminal")
	}
}

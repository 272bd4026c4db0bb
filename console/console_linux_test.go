package console

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"sampan/account"
	"sampan/admin"
	"sampan/console/consoletest"
	"sampan/session"
	"sampan/words"
)

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

	p := consoletest.Open(t, 80, 24)
	before, err := unix.IoctlGetTermios(int(p.TTY.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	s := New(p.TTY, p.TTY, words.English)
	done := make(chan error, 1)
	go func() {
		done <- s.Run(ctx, Config{Client: client, Join: "sampan join ftp://192.0.2.1:2121 --pin sha256:00", JoinSSH: "ssh ssh://register@192.0.2.1:2022", Addresses: []string{"ftp://192.0.2.1:2121"}, DefaultQuota: 10 << 30})
	}()
	p.Expect(regexp.QuoteMeta("listening at ftp://192.0.2.1:2121\r\n"))
	p.Expect(regexp.QuoteMeta("  sampan join ftp://192.0.2.1:2121 --pin sha256:00\r\n"))
	p.Expect(regexp.QuoteMeta("without Sampan, with:\r\n  ssh ssh://register@192.0.2.1:2022\r\n"))
	p.Expect(regexp.QuoteMeta("nobody is in yet"))
	fmt.Fprintln(s, "level=INFO msg=hello")
	p.Expect(regexp.QuoteMeta("\r\x1b[Jlevel=INFO msg=hello\r\n"))

	lina := ask("lina", "")
	p.Expect(regexp.QuoteMeta("\a"))
	p.Expect(regexp.QuoteMeta("lina (192.0.2.7) asks for an account, 10G: 1 allows, 2 refuses"))
	time.Sleep(settle) // as a person needs to read it
	p.Type("1")
	p.Expect(regexp.QuoteMeta("allow lina; a note, or just Enter: "))
	p.Type("welcome\r")
	p.Expect(regexp.QuoteMeta("lina may come in now, with 10G\r\n"))
	if a, err := book.Answer(ctx, lina); err != nil || a.State != account.Active || a.Note != "welcome" {
		t.Errorf("lina's answer: %+v, %v", a, err)
	}

	wang := ask("wang", "please")
	p.Expect(regexp.QuoteMeta("wang says: please"))
	p.Expect(regexp.QuoteMeta("2 refuses"))
	time.Sleep(settle)
	p.Type("2")
	p.Expect(regexp.QuoteMeta("refuse wang; a note"))
	p.Type("\r")
	p.Expect(regexp.QuoteMeta("wang was refused\r\n"))
	if a, err := book.Answer(ctx, wang); err != nil || a.State != account.Refused || a.Note != "" {
		t.Errorf("wang's answer: %+v, %v", a, err)
	}

	p.Type("\x03")
	if err := <-done; err != nil {
		t.Error(err)
	}
	after, err := unix.IoctlGetTermios(int(p.TTY.Fd()), unix.TCGETS)
	if err != nil || *after != *before {
		t.Errorf("the terminal is not as it was: %+v, %+v, %v", after, before, err)
	}
	fmt.Fprintln(s, "plain again")
	p.Expect(regexp.QuoteMeta("plain again"))
}

// TestRunEnds: the end of ctx ends the screen and restores the terminal, and what is no terminal is refused.
func TestRunEnds(t *testing.T) {
	t.Parallel()
	p := consoletest.Open(t, 80, 24)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	gone := admin.NewClient(filepath.Join(t.TempDir(), "nobody.sock"))
	if err := New(p.TTY, p.TTY, words.Chinese).Run(ctx, Config{Client: gone}); err != nil {
		t.Error(err)
	}
	if st, err := term.GetState(int(p.TTY.Fd())); err != nil || st == nil {
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

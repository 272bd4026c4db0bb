package shell

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/reeflective/readline"
	"golang.org/x/term"

	"sampan/fault"
)

// An editor reads lines from the person. io.EOF is ^D or the end of the input, context.Canceled is ^C.
type editor interface {
	line(ctx context.Context, prompt string) (string, error)
}

// newEditor returns an editor with history and completion on a terminal, else a plain one. Where only the history
// cannot be kept it returns both an editor and the reason.
func (t *task) newEditor() (editor, error) {
	in, ok := terminal(t.In)
	_, out := terminal(t.Out)
	if !ok || !out || t.In != io.Reader(os.Stdin) || t.Out != io.Writer(os.Stdout) {
		return plainEditor{t.Env}, nil
	}
	ed := &lineEditor{t: t, rl: readline.NewShell(), fd: in}
	ed.rl.Prompt.Primary(func() string { return ed.prompt })
	const key = "sampan-complete"
	ed.rl.Keymap.Register(map[string]func(){key: ed.complete})
	for _, keymap := range []string{"emacs", "emacs-standard", "vi-insert"} {
		if err := ed.rl.Config.Bind(keymap, "\t", key, false); err != nil {
			return plainEditor{t.Env}, fault.Wrap(fault.Internal, err, "the line editor does not start")
		}
	}
	return ed, ed.keepHistory()
}

// plainEditor reads lines as they come.
type plainEditor struct{ *Env }

func (p plainEditor) line(ctx context.Context, prompt string) (string, error) {
	if p.interactive() {
		return p.read(ctx, prompt, false)
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	return readLine(p.In)
}

// lineEditor is package readline. Its own completion counts bytes where it should count characters, so Tab is ours.
type lineEditor struct {
	t      *task
	rl     *readline.Shell
	fd     int
	prompt string
}

// keepHistory keeps lines in STATE/history.
func (l *lineEditor) keepHistory() error {
	dir, err := l.t.stateDir()
	if err != nil {
		return err
	}
	name := filepath.Join(dir, "history")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND, 0o600)
	if err == nil {
		f.Close()
		var h readline.History
		if h, err = readline.NewHistoryFromFile(name); err == nil {
			l.rl.History.Delete()
			l.rl.History.Add("sampan", h)
			return nil
		}
	}
	return fault.Wrap(fault.Local, err, "the history %s cannot be kept", name)
}

func (l *lineEditor) line(ctx context.Context, prompt string) (string, error) {
	l.prompt = prompt
	state, err := term.GetState(l.fd)
	if err != nil {
		return "", fault.Wrap(fault.Local, err, "the terminal cannot be read")
	}
	type answer struct {
		line string
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		line, err := l.rl.Readline()
		done <- answer{line, err}
	}()
	select {
	case a := <-done:
		if errors.Is(a.err, readline.ErrInterrupt) {
			a.err = context.Canceled
		}
		return a.line, a.err
	case <-ctx.Done():
		_ = term.Restore(l.fd, state)
		return "", ctx.Err()
	}
}

// complete is Tab.
func (l *lineEditor) complete() {
	text := []rune(string(*l.rl.Line()))
	at := l.rl.Cursor().Pos()
	before, after := string(text[:at]), string(text[at:])
	c := l.t.complete(context.Background(), before)
	if c.line != before {
		l.rl.Line().Set([]rune(c.line + after)...)
		l.rl.Cursor().Set(len([]rune(c.line)))
	}
	if len(c.choices) > 0 {
		_, _ = l.rl.PrintTransientf("%s", l.prompt+before+after+"\r\n"+strings.ReplaceAll(inColumns(c.choices, columns(l.t.Out)), "\n", "\r\n"))
	}
}

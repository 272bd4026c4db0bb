package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"sampan/client"
	"sampan/fault"
	"sampan/words"
)

// interactive reports whether somebody can be asked.
func (e *Env) interactive() bool {
	_, ok := terminal(e.In)
	return ok
}

// ask puts a question and returns the answer without blanks around it; hidden shows nothing of what is typed and keeps
// blanks. From a pipe it reads one line. io.EOF at the end of the input, context.Canceled at ^C.
func (e *Env) ask(ctx context.Context, q words.Message, hidden bool) (string, error) {
	prompt := e.text(q) + " "
	fd, ok := terminal(e.In)
	if !ok {
		fmt.Fprint(e.Err, prompt)
		line, err := readLine(e.In)
		fmt.Fprintln(e.Err)
		return trim(line, hidden), err
	}
	ed := &editor{in: e.In, out: e.Err, cols: func() int { return columns(e.Err) }, prompt: prompt, hidden: hidden}
	line, err := ed.edit(ctx, fd)
	return trim(line, hidden), err
}

func trim(line string, hidden bool) string {
	if hidden {
		return line
	}
	return strings.TrimSpace(line)
}

// readLine reads up to a line end, byte by byte, so that nothing behind it is taken from others who read r.
func readLine(r io.Reader) (string, error) {
	var line []byte
	var b [1]byte
	for {
		n, err := r.Read(b[:])
		if n == 1 {
			if b[0] == '\n' {
				return strings.TrimSuffix(string(line), "\r"), nil
			}
			if line = append(line, b[0]); len(line) > 64<<10 {
				return "", fault.New(fault.Syntax, "the line is too long")
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) && len(line) > 0 {
				return string(line), nil
			}
			return "", err
		}
	}
}

// trust asks about an unknown certificate; see client.Options.
func (t *task) trust(ctx context.Context, c client.Certificate) (bool, error) {
	if c.Changed {
		return false, nil
	}
	what := words.M("certificate")
	if c.Key != "" {
		what = words.M("host key (%s)", c.Key)
	}
	if t.Yes {
		t.warn(words.M("the %s of %s was unknown and is remembered from now on: %s", what, c.Host, c.SHA256))
		return true, nil
	}
	if !t.interactive() {
		return false, fault.New(fault.Untrusted, "the %s of %s is unknown: %s; compare it with what the operator says and add --pin %s, or --yes to accept it unseen", what, c.Host, c.SHA256, c.SHA256)
	}
	t.warn(words.M("The %s of %s is unknown here.", what, c.Host))
	t.warn(words.M("Its fingerprint is"))
	fmt.Fprintln(t.Err, "  "+words.Escape(c.SHA256))
	t.warn(words.M("Compare it with what the operator says; who sits in between would show another."))
	for {
		a, err := t.ask(ctx, words.M("Accept it and remember it? y or n:"), false)
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		switch strings.ToLower(a) {
		case "y", "yes", "是", "好":
			return true, nil
		case "n", "no", "否", "不":
			return false, nil
		}
	}
}

// password asks for the password of u, once; see client.Options.
func (t *task) password(ctx context.Context, u client.URL) (string, error) {
	if !t.interactive() {
		return "", fault.New(fault.Unauth, "no password for %s at %s: set SAMPAN_PASSWORD or SAMPAN_PASSWORD_COMMAND, or write it into ~/.netrc", u.User, u.Host)
	}
	p, err := t.ask(ctx, words.M("Password of %s at %s:", u.User, u.Host), true)
	if errors.Is(err, io.EOF) {
		return "", fault.New(fault.Unauth, "no password was given")
	}
	return p, err
}

// question puts a question of an SSH log-in; see client.Options.
func (t *task) question(ctx context.Context, q words.Message, hidden bool) (string, error) {
	if !t.interactive() {
		return "", fault.New(fault.Unauth, "%s: nobody is there to answer; keys of an agent need no answer", q)
	}
	a, err := t.ask(ctx, q, hidden)
	return a, ended(err)
}

// newPassword asks for a new password twice, or reads it once where nobody sees it.
func (e *Env) newPassword(ctx context.Context, q words.Message) (string, error) {
	for {
		p, err := e.ask(ctx, q, true)
		if err != nil || !e.interactive() {
			return p, ended(err)
		}
		if p == "" {
			e.warn(words.M("An empty password is none; try again, or leave with ^C."))
			continue
		}
		again, err := e.ask(ctx, words.M("The same again:"), true)
		if err != nil {
			return "", ended(err)
		}
		if p == again {
			return p, nil
		}
		e.warn(words.M("The two were not the same; try again."))
	}
}

// ended turns the end of the input in the middle of a question into a sentence.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return fault.New(fault.Syntax, "the input ended before the question was answered")
	}
	return err
}

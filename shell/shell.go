// Package shell is the client as a person sees it: the table of verbs that both the one-shot commands and the
// interactive shell run, the line editor, completion, bars, and the menu.
package shell

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"sampan/words"
)

// Env is what a command finds around itself. All of it is used by one goroutine at a time.
type Env struct {
	In       io.Reader // asked for passwords and, in the shell, for commands; a terminal if it is an *os.File of one
	Out, Err io.Writer // results, and everything about them; bars are drawn on Err, only if it is a terminal
	Lang     words.Lang
	Getenv   func(string) string
	Dir      string // local working directory; "" is the process's
}

// Options are the flags of the commands.
type Options struct {
	Plain, Active, ASCII bool   // see client.Options
	Pin                  string // "sha256:HEX" that alone decides
	Yes                  bool   // accept unknown certificates, never changed ones
	Trace                bool   // show the protocol on Err
	JSON                 bool   // one JSON object a line on Out instead of sentences
	NoClobber            bool   // keep what is there
	Update               bool   // leave out what is there in the same size and not older
	Recursive            bool   // directories with everything in them
}

// ErrSome says that some of several files failed and that each was told about already.
var ErrSome = errors.New("some files failed")

// errQuit ends the shell.
var errQuit = errors.New("quit")

// terminal returns the descriptor of x if it is a terminal.
func terminal(x any) (fd int, ok bool) {
	f, ok := x.(*os.File)
	if !ok || f == nil || !term.IsTerminal(int(f.Fd())) {
		return -1, false
	}
	return int(f.Fd()), true
}

// columns returns the width of the terminal x, 80 if it does not tell.
func columns(x any) int {
	if fd, ok := terminal(x); ok {
		if w, _, err := term.GetSize(fd); err == nil && w > 0 {
			return w
		}
	}
	return 80
}

// text renders m in the person's language, its arguments escaped.
func (e *Env) text(m words.Message) string { return Safe(m).In(e.Lang) }

// say writes m as a line of its own to Out.
func (e *Env) say(m words.Message) { e.sayTo(e.Out, m) }

// warn writes m as a line of its own to Err.
func (e *Env) warn(m words.Message) { e.sayTo(e.Err, m) }

func (e *Env) sayTo(w io.Writer, m words.Message) { fmt.Fprintln(w, e.text(m)) }

// saidError is an error that the person knows of already.
type saidError struct{ error }

func (s saidError) Unwrap() error { return s.error }

// told reports whether the person knows of err already.
func told(err error) bool {
	var said saidError
	return errors.Is(err, ErrSome) || errors.Is(err, errQuit) || errors.As(err, &said)
}

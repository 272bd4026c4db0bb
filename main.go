// Sampan moves files between people and machines that have an account with you: a server of FTP and FTPS, and a client.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"sampan/fault"
	"sampan/words"
)

// version is set by the builds that are handed out; elsewhere the build's own record tells.
var version = ""

func main() {
	e := &env{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv}
	os.Exit(run(context.Background(), e, os.Args[1:]))
}

// env is what a command reads and writes.
type env struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
	lang     words.Lang
}

// run runs one command line and returns its exit code.
func run(ctx context.Context, e *env, args []string) int {
	e.lang = language(e.getenv, args)
	root := e.cobra(commands(e))
	if len(args) == 1 && args[0] == "--version" { // the habit of many programs
		args = []string{"version"}
	}
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil {
		e.explain(err)
	}
	return exitCode(err)
}

// language is --lang where the command line has it, else what the environment says. It is read before the command
// line is parsed, for help and complaints about the command line are in that language too.
func language(getenv func(string) string, args []string) words.Lang {
	for i, a := range args {
		tag, found := strings.CutPrefix(a, "--lang=")
		switch {
		case a == "--":
			return words.Detect(getenv)
		case a == "--lang" && i+1 < len(args):
			tag, found = args[i+1], true
		}
		if found {
			l, _ := words.Parse(tag)
			return l
		}
	}
	return words.Detect(getenv)
}

// text renders a message in the reader's language.
func (e *env) text(m words.Message) string { return m.In(e.lang) }

// say writes a line for the person.
func (e *env) say(m words.Message) { fmt.Fprintln(e.out, e.text(m)) }

// warn writes a line for the person that is no part of the command's answer.
func (e *env) warn(m words.Message) { fmt.Fprintln(e.err, e.text(m)) }

// explain says why a command failed. The cause is added where the sentence alone would leave the person, who is on
// this machine, without a clue.
func (e *env) explain(err error) {
	if errors.Is(err, errSilent) {
		return
	}
	text := e.text(fault.Say(err))
	var f *fault.Error
	switch {
	case !errors.As(err, &f):
		if !errors.Is(err, context.Canceled) {
			text = err.Error()
		}
	case f.Err != nil && (f.Kind == fault.Internal || f.Kind == fault.Local || f.Kind == fault.Unreachable):
		text += " (" + f.Err.Error() + ")"
	}
	fmt.Fprintln(e.err, "sampan: "+words.Escape(text))
}

// interruptible gives ctx to f and cancels it at ^C or SIGTERM.
func interruptible(ctx context.Context, f func(context.Context) error) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	return f(ctx)
}

// versionLine names the program, its version and what it was built with.
func versionLine() string {
	v := version
	if info, ok := debug.ReadBuildInfo(); ok && v == "" {
		v = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && (v == "" || v == "(devel)") {
				v = s.Value[:min(12, len(s.Value))]
			}
		}
	}
	if v == "" {
		v = "(devel)"
	}
	return fmt.Sprintf("sampan %s (%s, %s/%s)", v, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

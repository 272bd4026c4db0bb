package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"sampan/client"
	"sampan/fault"
	"sampan/files"
	"sampan/words"
)

// A Command is a verb that is also a command: `sampan NAME ARGS`.
type Command struct {
	Name, Args           string
	Short                words.Message
	Recursive, NoClobber bool // whether these Options mean something to it
	Update               bool // and this one
	Listing              bool // it takes the switches of other listings
	Signals              bool // it deals with ^C and SIGTERM itself
}

// Commands lists the verbs that are also commands, in the order of help.
func Commands() []Command {
	var all []Command
	for _, v := range verbs() {
		if v.command != "-" {
			all = append(all, Command{v.name, v.command, v.short, v.has(flagRecursive), v.has(flagNoClobber), v.has(flagUpdate), v.has(flagListing), v.name == "open"})
		}
	}
	return all
}

// Run runs a verb as a command: its arguments are URLs, and local names where it takes them. It tells about failures
// itself; the error is for the exit code.
func Run(ctx context.Context, e *Env, o Options, name string, args []string) error {
	t := &task{Env: e, Options: o, lines: newLines()}
	defer t.lines.close()
	v, err := find(name)
	if err == nil {
		list := make([]word, len(args))
		for i, a := range args {
			list[i] = word{text: a}
		}
		err = v.run(ctx, t, list)
	}
	if err != nil {
		t.fail(err)
	}
	return err
}

// breakable gives f a context that ^C ends.
func breakable(ctx context.Context, f func(context.Context) error) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	return f(ctx)
}

// open logs in and runs the shell; in a shell it goes over to another server.
func open(ctx context.Context, t *task, args []word) error {
	if len(args) == 0 {
		return fault.New(fault.Syntax, "use it like this: %s", "open ftp://name@host/")
	}
	u, err := client.ParseURL(args[0].text)
	if err != nil {
		return err
	}
	if t.prompt != nil {
		return t.enter(ctx, u)
	}
	return t.session(ctx, u)
}

// session is the shell from the log-in to Q.
func (t *task) session(ctx context.Context, u client.URL) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	t.prompt, t.seen = t, map[string][]files.Info{}
	if err := breakable(ctx, func(ctx context.Context) error { return t.enter(ctx, u) }); err != nil {
		t.prompt = nil
		return err
	}
	swallow := make(chan os.Signal, 1) // a ^C that comes just behind a command must not end the shell
	signal.Notify(swallow, os.Interrupt)
	defer signal.Stop(swallow)
	return t.loop(ctx)
}

// enter logs in at u and goes to its path.
func (t *task) enter(ctx context.Context, u client.URL) error {
	r, err := t.dial(ctx, u, false)
	if err != nil {
		return err
	}
	p, err := t.on(r, u, r.Home(), u.Path)
	if err != nil {
		return err
	}
	if p.path != r.Home() {
		dir, err := p.isDir(ctx)
		if err == nil && !dir {
			err = fault.New(fault.NotDir, "%s: not a directory", p.show)
		}
		if err != nil {
			return err
		}
	}
	t.prompt.at = &site{url: p.url, cwd: p.path}
	if err := t.remember(login(u)); err != nil {
		t.warn(fault.Say(err))
	}
	if t.interactive() {
		t.warn(words.M("logged in to %s; help shows the commands, Q leaves", u.Host))
	}
	return nil
}

// loop reads and runs lines until Q or the end of the input. Where nobody watches, ErrSome says that some failed.
func (t *task) loop(ctx context.Context) error {
	read, err := t.lineReader()
	if err != nil {
		t.warn(fault.Say(err))
	}
	failed := false
	for {
		line, err := read(ctx, t.promptText())
		switch {
		case errors.Is(err, io.EOF):
			if failed && !t.interactive() {
				return ErrSome
			}
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, context.Canceled): // ^C drops the line
			continue
		case err != nil:
			return err
		}
		clear(t.seen)
		err = breakable(ctx, func(ctx context.Context) error { return t.line(ctx, line) })
		switch {
		case errors.Is(err, errQuit):
			if failed && !t.interactive() {
				return ErrSome
			}
			return nil
		case err != nil:
			failed = true
			t.fail(err)
		}
	}
}

// promptText is "name@host:/dir> ".
func (t *task) promptText() string {
	user := t.at.url.User
	if r := t.lines.open[login(t.at.url)]; user == "" && r != nil {
		user = r.URL().User // who ssh's settings name
	}
	if user == "" {
		user = "anonymous"
	}
	return words.Escape(fmt.Sprintf("%s@%s:%s", user, t.at.url.Host, t.at.cwd)) + "> "
}

// line runs one line.
func (t *task) line(ctx context.Context, text string) error {
	text = strings.TrimSpace(text)
	if command, ok := strings.CutPrefix(text, "!"); ok {
		return t.bang(ctx, strings.TrimSpace(command))
	}
	list, err := split(text)
	if err != nil || len(list) == 0 {
		return err
	}
	list = unalias(list)
	v, err := find(list[0].text)
	if err != nil {
		return err
	}
	one := *t
	args, err := one.flags(list[1:], v)
	if err == nil {
		err = v.check(len(args))
	}
	if err != nil {
		return err
	}
	return v.run(ctx, &one, args)
}

// bang runs a command of this machine, or its shell, in the local directory.
func (t *task) bang(ctx context.Context, command string) error {
	sh, flag := "/bin/sh", "-c"
	if runtime.GOOS == "windows" {
		sh, flag = "cmd", "/C"
	}
	c := exec.CommandContext(ctx, sh, flag, command)
	if command == "" {
		if own := t.Getenv("SHELL"); own != "" {
			sh = own
		}
		c = exec.CommandContext(ctx, sh)
	}
	c.Dir, c.Stdout, c.Stderr = t.Dir, t.Out, t.Err
	if t.interactive() {
		c.Stdin = t.In
	}
	err := c.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return fault.New(fault.Local, "the command ended with code %d", exit.ExitCode())
	case err != nil:
		return fault.Wrap(fault.Local, err, "the command cannot be run")
	}
	return nil
}

func runLocal(ctx context.Context, t *task, args []word) error {
	var command []string
	for _, w := range args {
		command = append(command, w.text)
	}
	return t.bang(ctx, strings.Join(command, " "))
}

func changeDir(ctx context.Context, t *task, args []word) error {
	if len(args) == 0 {
		r, err := t.dial(ctx, t.at.url, false)
		if err == nil {
			t.at.cwd = r.Home()
		}
		return err
	}
	found, err := t.expand(ctx, args, false)
	switch {
	case err != nil:
		return err
	case len(found) > 1:
		return fault.New(fault.Syntax, "%s fits several directories", args[0].text)
	case login(found[0].url) != login(t.at.url):
		return fault.New(fault.Syntax, "that is another server; use open")
	}
	dir, err := found[0].isDir(ctx)
	switch {
	case err != nil:
		return err
	case dir:
		t.at.cwd = found[0].path
		return nil
	}
	if _, err := found[0].store.Stat(ctx, found[0].path); err != nil {
		return err
	}
	return fault.New(fault.NotDir, "%s: not a directory", found[0].show)
}

func printDir(_ context.Context, t *task, _ []word) error {
	_, err := fmt.Fprintln(t.Out, words.Escape(t.at.cwd.String()))
	return err
}

func localChangeDir(_ context.Context, t *task, args []word) error {
	name, err := os.UserHomeDir()
	if len(args) > 0 {
		name, err = t.localName(args[0].text), nil
	}
	if err == nil {
		name, err = filepath.Abs(name)
	}
	if err != nil {
		return fault.Wrap(fault.Local, err, "the home directory is not known")
	}
	i, err := os.Stat(name)
	switch {
	case err != nil:
		return fault.From(err, name)
	case !i.IsDir():
		return fault.New(fault.NotDir, "%s: not a directory", name)
	}
	t.Dir = name
	t.say(words.M("local directory: %s", name))
	return nil
}

// tune changes the options of the shell and of its connections.
func (t *task) tune(change func(*Options)) {
	change(&t.prompt.Options)
	for _, r := range t.lines.open {
		r.Tune(func(o *client.Options) {
			fresh := t.prompt.clientOptions()
			o.Active, o.ASCII, o.Trace = fresh.Active, fresh.ASCII, fresh.Trace
		})
	}
}

func passive(_ context.Context, t *task, _ []word) error {
	t.tune(func(o *Options) { o.Active = false })
	t.say(words.M("passive: the server opens the ports for data"))
	return nil
}

func active(_ context.Context, t *task, _ []word) error {
	t.tune(func(o *Options) { o.Active = true })
	t.say(words.M("active: this machine opens the ports for data"))
	return nil
}

func transferType(_ context.Context, t *task, args []word) error {
	if len(args) > 0 {
		switch strings.ToLower(args[0].text) {
		case "ascii", "a", "text":
			t.tune(func(o *Options) { o.ASCII = true })
		case "binary", "i", "image":
			t.tune(func(o *Options) { o.ASCII = false })
		default:
			return fault.New(fault.Syntax, "use it like this: %s", "type [ascii|binary]")
		}
	}
	if t.prompt.ASCII {
		t.say(words.M("type ascii: line ends are converted, so nothing is resumed or compared"))
	} else {
		t.say(words.M("type binary: every byte is kept"))
	}
	return nil
}

func trace(_ context.Context, t *task, args []word) error {
	on := !t.prompt.Trace
	if len(args) > 0 {
		switch strings.ToLower(args[0].text) {
		case "on":
			on = true
		case "off":
			on = false
		default:
			return fault.New(fault.Syntax, "use it like this: %s", "trace [on|off]")
		}
	}
	t.tune(func(o *Options) { o.Trace = on })
	if on {
		t.say(words.M("the protocol is shown"))
	} else {
		t.say(words.M("the protocol is not shown"))
	}
	return nil
}

func help(_ context.Context, t *task, args []word) error {
	if len(args) > 0 {
		v, err := find(args[0].text)
		if err != nil {
			return err
		}
		fmt.Fprintln(t.Out, strings.TrimSpace(v.name+" "+v.args))
		fmt.Fprintln(t.Out, "  "+t.text(v.short))
		return nil
	}
	for _, v := range verbs() {
		fmt.Fprintln(t.Out, "  "+words.Pad(strings.TrimSpace(v.name+" "+v.args), 20)+"  "+t.text(v.short))
	}
	t.say(words.M("Names with blanks go into \"quotes\"; Tab completes; -n keeps existing files."))
	t.say(words.M("-u copies only what differs in size or is newer; -r DIR/ copies what DIR holds."))
	return nil
}

func quit(context.Context, *task, []word) error { return errQuit }

// account is the place that a verb about the account means.
func (t *task) account(ctx context.Context, args []word) (client.Remote, error) {
	name := ""
	if len(args) > 0 {
		name = args[0].text
	}
	p, err := t.remotePlace(ctx, name, false)
	return p.remote, err
}

func quota(ctx context.Context, t *task, args []word) error {
	r, err := t.account(ctx, args)
	if err != nil {
		return err
	}
	s, err := r.Space(ctx)
	switch {
	case err != nil:
		return err
	case t.JSON:
		return t.object(map[string]int64{"used": s.Used, "quota": s.Quota, "free": s.Free})
	case s.Quota < 0:
		t.say(words.M("used: %s (%d bytes), no quota", size(s.Used), s.Used))
	default:
		t.say(words.M("used: %s of %s (%d of %d bytes), %s left", size(s.Used), size(s.Quota), s.Used, s.Quota, size(max(0, s.Quota-s.Used))))
	}
	if s.Free >= 0 {
		t.say(words.M("free on the disk: %s", size(s.Free)))
	}
	return nil
}

func passwd(ctx context.Context, t *task, args []word) error {
	r, err := t.account(ctx, args)
	if err != nil {
		return err
	}
	old, err := t.ask(ctx, words.M("The password until now:"), true)
	if err != nil {
		return ended(err)
	}
	fresh, err := t.newPassword(ctx, words.M("The new password:"))
	if err != nil {
		return err
	}
	if err := r.Passwd(ctx, old, fresh); err != nil {
		return err
	}
	t.lines.passwords[login(r.URL())] = fresh
	t.say(words.M("the password is changed"))
	return nil
}

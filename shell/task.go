package shell

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"sampan/client"
	"sampan/fault"
	"sampan/files"
	"sampan/words"
)

// A task is what a verb works with: one command, or one line of the shell.
type task struct {
	*Env
	Options
	lines  *lines                  // connections, kept between the lines of a shell
	at     *site                   // where the shell is; nil in a command
	prompt *task                   // the shell's own, of which a line works with a copy; nil in a command
	menu   bool                    // it was chosen from the menu
	seen   map[string][]files.Info // directories that Tab listed since the last line
	disks  client.Disks            // of names of this machine
}

// A site is where names of the shell lead.
type site struct {
	url client.URL // of the log-in, Path empty
	cwd files.Path
}

// lines keeps one connection a log-in, and the passwords that were typed.
type lines struct {
	open      map[string]client.Remote
	passwords map[string]string
}

func newLines() *lines {
	return &lines{open: map[string]client.Remote{}, passwords: map[string]string{}}
}

func (l *lines) close() {
	for _, r := range l.open {
		r.Close()
	}
	clear(l.open)
}

// login is the key of a connection.
func login(u client.URL) string {
	u.Path = ""
	return u.String()
}

// clientOptions are the Options as package client takes them.
func (t *task) clientOptions() client.Options {
	o := client.Options{
		Plain: t.Plain, Active: t.Active, ASCII: t.ASCII, Pin: t.Pin,
		Trust: t.trust, Say: t.remark, Ask: t.question,
		Password: func(ctx context.Context, u client.URL) (string, error) {
			if p, ok := t.lines.passwords[login(u)]; ok {
				return p, nil
			}
			p, err := t.password(ctx, u)
			if err == nil {
				t.lines.passwords[login(u)] = p
			}
			return p, err
		},
	}
	if t.Trace {
		o.Trace = t.traceLine
	}
	return o
}

func (t *task) traceLine(line string) { fmt.Fprintln(t.Err, words.Escape(line)) }

// dial returns the connection of a log-in, made if there is none. twin asks for a second one: a connection moves one
// file at a time, so a copy within one server needs two.
func (t *task) dial(ctx context.Context, u client.URL, twin bool) (client.Remote, error) {
	key := login(u)
	if twin {
		key += "\x00"
	}
	if r := t.lines.open[key]; r != nil {
		return r, nil
	}
	r, err := client.Dial(ctx, u, t.clientOptions())
	if err != nil {
		if fault.KindOf(err) == fault.Unauth {
			delete(t.lines.passwords, login(u))
		}
		return nil, err
	}
	t.lines.open[key] = r
	return r, nil
}

// A place is a name on a store.
type place struct {
	store  files.Store
	path   files.Path
	show   string // the name as the person would write it
	into   bool   // written with a slash at the end: a directory is meant, or as a source what it holds
	fresh  bool   // as a target: nothing was there
	remote client.Remote
	url    client.URL // of a remote place: its log-in
}

// isURL reports whether a name has a scheme. A drive letter is none.
func isURL(name string) bool {
	scheme, _, ok := strings.Cut(name, "://")
	return ok && len(scheme) > 1 && !strings.ContainsAny(scheme, `/\`)
}

// remotePlace resolves a name: a URL, or at the prompt a name on the server that the shell is logged in to.
func (t *task) remotePlace(ctx context.Context, name string, twin bool) (place, error) {
	if t.at == nil || isURL(name) {
		u, err := client.ParseURL(name)
		if err != nil {
			return place{}, err
		}
		r, err := t.dial(ctx, u, twin)
		if err != nil {
			return place{}, err
		}
		return t.on(r, u, r.Home(), u.Path)
	}
	r, err := t.dial(ctx, t.at.url, twin)
	if err != nil {
		return place{}, err
	}
	return t.on(r, t.at.url, t.at.cwd, name)
}

func (t *task) on(r client.Remote, u client.URL, base files.Path, name string) (place, error) {
	p, err := files.Parse(base, name)
	u.Path = ""
	return place{store: r, path: p, show: p.String(), into: strings.HasSuffix(name, "/"), remote: r, url: u}, err
}

// localName is a name of this machine, relative to the local directory.
func (t *task) localName(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(t.Dir, name)
}

// localPlace resolves a name of this machine.
func (t *task) localPlace(name string) (place, error) {
	s, p, err := t.disks.On(t.localName(name))
	if err != nil {
		return place{}, err
	}
	into := strings.HasSuffix(filepath.ToSlash(name), "/")
	return place{store: s, path: p, show: filepath.Clean(name), into: into}, nil
}

// anyPlace resolves a URL, or else a name on the shell's server, or in a command a local one.
func (t *task) anyPlace(ctx context.Context, name string, twin bool) (place, error) {
	if isURL(name) || t.at != nil {
		return t.remotePlace(ctx, name, twin)
	}
	return t.localPlace(name)
}

// below returns the entry name of the directory p.
func (p place) below(name string) (place, error) {
	q, err := p.path.Join(name)
	p.path, p.into = q, false
	if p.remote != nil {
		p.show = q.String()
	} else {
		p.show = filepath.Join(p.show, name)
	}
	return p, err
}

// name is how the person would write q, which is p or lies below it.
func (p place) name(q files.Path) string {
	if p.remote != nil || !p.path.Holds(q) {
		return q.String()
	}
	return filepath.Join(p.show, filepath.FromSlash(strings.TrimPrefix(q.String(), p.path.String())))
}

// isDir reports whether a directory is there. Where one may not look (a drop-box), there is none.
func (p place) isDir(ctx context.Context) (bool, error) {
	if p.path.IsRoot() {
		return true, nil
	}
	i, err := p.store.Stat(ctx, p.path)
	if k := fault.KindOf(err); err != nil && (k == fault.NotExist || k == fault.Denied) {
		return false, nil
	}
	return err == nil && i.Mode.IsDir(), err
}

// target is where something called name goes when the person said dst: into it if it is a directory.
func target(ctx context.Context, dst place, name string) (place, error) {
	dir, err := dst.isDir(ctx)
	switch {
	case err != nil:
		return place{}, err
	case dir:
		return dst.below(name)
	case dst.into:
		return place{}, fault.New(fault.NotExist, "%s: no such directory; make it first, or leave the slash out", dst.show)
	}
	dst.fresh = true
	return dst, nil
}

// goal is where a copy of src goes: to the target, but what a directory holds, which a slash behind its name means, goes
// into dst itself, whether that is there or not. So the same command can be said twice.
func (t *task) goal(ctx context.Context, src, dst place) (place, error) {
	if t.Recursive && src.into {
		return dst, nil
	}
	return target(ctx, dst, baseName(src))
}

// each runs f for every item and goes on behind a failure. One item's error is returned; of several each is told, and
// ErrSome returned.
func each[T any](t *task, items []T, f func(T) error) error {
	failed := 0
	for _, item := range items {
		err := f(item)
		switch {
		case err == nil:
		case errors.Is(err, context.Canceled), len(items) == 1:
			return err
		default:
			t.fail(err)
			failed++
		}
	}
	if failed > 0 {
		return ErrSome
	}
	return nil
}

// fail tells why something failed.
func (t *task) fail(err error) {
	switch {
	case told(err):
	case t.JSON:
		t.event(map[string]any{"event": "error", "kind": errorKind(err), "message": t.text(fault.Say(err))})
	case t.prompt == nil && !t.menu:
		fmt.Fprintln(t.Err, "sampan: "+t.explain(err))
	default:
		fmt.Fprintln(t.Err, t.explain(err))
	}
}

// errorKind is the kind of err in events.
func errorKind(err error) string {
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	return fault.KindOf(err).String()
}

// explain renders err, with its cause where the person is the one who can do something about it.
func (t *task) explain(err error) string {
	text := t.text(fault.Say(err))
	var f *fault.Error
	if !errors.As(err, &f) {
		if !errors.Is(err, context.Canceled) {
			return words.Escape(err.Error())
		}
		return text
	}
	if f.Err != nil && (f.Kind == fault.Internal || f.Kind == fault.Local) {
		if cause := words.Escape(innermost(f.Err).Error()); !strings.Contains(text, cause) {
			text += " (" + cause + ")"
		}
	}
	return text
}

// innermost is where a chain of errors begins.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// expand returns the places of words: patterns of the shell, and of URLs where patterns are wanted, become all that
// they match.
func (t *task) expand(ctx context.Context, args []word, local bool) ([]place, error) {
	var found []place
	for _, w := range args {
		more, err := t.expandOne(ctx, w, local)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

func (t *task) expandOne(ctx context.Context, w word, local bool) ([]place, error) {
	pattern, base := w.glob, ""
	if !local && isURL(w.text) {
		var err error
		if base, pattern, err = globURL(w.text); err != nil {
			return nil, err
		}
	}
	if pattern == "" {
		p, err := t.placeOf(ctx, w.text, local)
		return []place{p}, err
	}
	literal, rest := cutPattern(pattern)
	if base != "" {
		literal = base + literalURL(literal)
	} else if literal == "" {
		literal = "."
	}
	dir, err := t.placeOf(ctx, literal, local)
	if err != nil {
		return nil, err
	}
	matches, err := glob(ctx, dir, rest)
	if err != nil && len(matches) > 0 && fault.KindOf(err) == fault.BadName {
		t.remark(fault.Say(err))
		err = nil
	}
	if err == nil && len(matches) == 0 {
		err = fault.New(fault.NotExist, "%s: nothing matches", w.text)
	}
	return matches, err
}

func (t *task) placeOf(ctx context.Context, name string, local bool) (place, error) {
	if local {
		return t.localPlace(name)
	}
	return t.remotePlace(ctx, name, false)
}

// remark passes on what package client has to say; in JSON it is an event.
func (t *task) remark(m words.Message) {
	if t.JSON {
		t.event(map[string]any{"event": "remark", "message": t.text(m)})
		return
	}
	t.warn(m)
}

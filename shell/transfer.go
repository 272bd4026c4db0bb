package shell

import (
	"context"
	"errors"
	"io"
	"path/filepath"

	"sampan/client"
	"sampan/fault"
	"sampan/files"
	"sampan/words"
)

// copyTo copies src to dst and tells how it goes.
func (t *task) copyTo(ctx context.Context, src, dst place) error {
	return t.copyOnly(ctx, src, dst, nil)
}

// copyOnly is copyTo; with only it copies those entries of a directory into another one.
func (t *task) copyOnly(ctx context.Context, src, dst place, only func(files.Info) bool) error {
	m := t.meter(src, dst)
	defer m.clear()
	o := client.CopyOptions{NoClobber: t.NoClobber, Update: t.Update, Progress: m.progress, Say: m.remark, Only: only}
	var err error
	if t.Recursive || only != nil {
		err = t.copyTree(ctx, m, o)
	} else {
		err = t.copyFile(ctx, m, o)
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		if t.Recursive && dst.fresh { // by now it is there, and the same command would copy into it
			m.remark(words.M("interrupted; what came is kept, and the same command continues it with a slash behind its source: %s", src.show+"/"))
		} else {
			m.remark(words.M("interrupted; what came is kept, and the same command continues it"))
		}
		return saidError{err}
	}
	return err
}

func (t *task) copyFile(ctx context.Context, m *meter, o client.CopyOptions) error {
	r, err := client.Copy(ctx, m.src.store, m.src.path, m.dst.store, m.dst.path, o)
	switch {
	case err == nil:
		m.done(r, nil)
	case fault.KindOf(err) == fault.IsDir:
		if dir, _ := m.src.isDir(ctx); dir {
			return fault.New(fault.IsDir, "%s is a directory; add -r to copy it with everything in it", m.src.show)
		}
	}
	return err
}

func (t *task) copyTree(ctx context.Context, m *meter, o client.CopyOptions) error {
	t = t.gathering()
	defer func(plain *task) {
		flush(t.Out)
		m.t = plain
	}(m.t)
	m.t = t
	_, m.tree = terminal(t.Out)
	sum, err := client.CopyTree(ctx, m.src.store, m.src.path, m.dst.store, m.dst.path, o, m.done)
	m.clear()
	if t.JSON {
		t.event(map[string]any{
			"event": "total", "files": sum.Files, "dirs": sum.Dirs, "skipped": sum.Skipped, "failed": sum.Failed,
			"bytes": sum.Bytes, "seconds": sum.Took.Seconds(),
		})
	} else if n := sum.Files + sum.Dirs + sum.Skipped + sum.Failed; n > 1 || n == 1 && m.tree {
		t.say(words.M("files: %d, directories: %d, %s in %s; skipped: %d, failed: %d",
			sum.Files, sum.Dirs, size(sum.Bytes), span(sum.Took), sum.Skipped, sum.Failed))
		switch {
		case !m.tree:
		case m.bare > 0:
			t.say(words.M("not compared by hash: %d", m.bare))
		case sum.Files+sum.Skipped > 0:
			t.say(words.M("what was copied has the same SHA-256 at both ends"))
		}
	}
	if sum.Failed > 0 && !errors.Is(err, context.Canceled) {
		return ErrSome
	}
	return err
}

// baseName is what a copy of p is called: a link on this machine as the person wrote it, not as what it leads to.
func baseName(p place) string {
	written := filepath.Base(p.show)
	switch {
	case p.remote == nil && filepath.IsLocal(written) && written != ".":
		return written
	case !p.path.IsRoot():
		return p.path.Base()
	case p.remote != nil:
		return p.url.Host
	}
	return "root"
}

// onePlace refuses a pattern where one name is wanted.
func onePlace(w word, many string) error {
	if w.glob != "" {
		return fault.New(fault.Syntax, "%s is a pattern: %s takes those, or put the name into quotes", w.text, many)
	}
	return nil
}

func get(ctx context.Context, t *task, args []word) error {
	if err := onePlace(args[0], "mget"); err != nil {
		return err
	}
	if len(args) > 1 && args[1].text == piped {
		return concatenate(ctx, t, args[:1])
	}
	src, err := t.remotePlace(ctx, args[0].text, false)
	if err != nil {
		return err
	}
	local := ""
	if len(args) > 1 {
		local = args[1].text
	}
	err = t.download(ctx, src, local)
	if _, pattern, _ := globURL(args[0].text); err != nil && pattern != "" && fault.KindOf(err) == fault.NotExist {
		return fault.New(fault.NotExist, "%s: no such file or directory; patterns are taken by mget", src.show)
	}
	return err
}

// download copies src to a local name, or under its own name to the local directory.
func (t *task) download(ctx context.Context, src place, local string) error {
	if local == "" {
		local, src.into = ".", false
	}
	dst, err := t.localPlace(local)
	if err == nil {
		dst, err = t.goal(ctx, src, dst)
	}
	if err != nil {
		return err
	}
	return t.copyTo(ctx, src, dst)
}

func put(ctx context.Context, t *task, args []word) error {
	if err := onePlace(args[0], "mput"); err != nil {
		return err
	}
	remote := ""
	if len(args) > 1 {
		remote = args[1].text
	}
	if args[0].text == piped {
		return t.putPiped(ctx, remote)
	}
	src, err := t.localPlace(args[0].text)
	if err != nil {
		return err
	}
	return t.upload(ctx, src, remote)
}

// upload copies src to a remote name, or under its own name to the directory of the shell.
func (t *task) upload(ctx context.Context, src place, remote string) error {
	src.into = src.into && remote != ""
	dst, err := t.remotePlace(ctx, remote, false)
	if err == nil {
		dst, err = t.goal(ctx, src, dst)
	}
	if err != nil {
		return err
	}
	return t.copyTo(ctx, src, dst)
}

// copyAny copies between any two places.
func copyAny(ctx context.Context, t *task, args []word) error {
	src, err := t.anyPlace(ctx, args[0].text, false)
	if err != nil {
		return err
	}
	dst, err := t.anyPlace(ctx, args[1].text, src.remote != nil)
	if err == nil {
		dst, err = t.goal(ctx, src, dst)
	}
	if err != nil {
		return err
	}
	if src.remote != nil && dst.remote != nil && login(src.url) == login(dst.url) && src.path == dst.path {
		return fault.New(fault.Exist, "%s: that is the same file", dst.show)
	}
	return t.copyTo(ctx, src, dst)
}

// concatenate writes files to Out; a terminal gets no control characters.
func concatenate(ctx context.Context, t *task, args []word) error {
	found, err := t.expand(ctx, args, false)
	if err != nil {
		return err
	}
	var w io.Writer = t.Out
	if _, tty := terminal(t.Out); tty {
		e := &escaper{w: t.Out}
		defer e.Close()
		w = e
	}
	return each(t, found, func(p place) error {
		r, _, err := p.store.Open(ctx, p.path, 0)
		if err != nil {
			return err
		}
		defer r.Close()
		defer context.AfterFunc(ctx, func() { r.Close() })()
		if _, err = io.Copy(w, r); ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	})
}

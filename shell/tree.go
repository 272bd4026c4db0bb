package shell

import (
	"context"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sampan/client"
	"sampan/fault"
	"sampan/files"
	"sampan/words"
)

// entry is one entry in JSON.
type entry struct {
	Name string `json:"name"`
	Path string `json:"path"`
	Dir  bool   `json:"dir"`
	Size int64  `json:"size"`
	Time string `json:"time,omitempty"` // RFC 3339, UTC
	Mode string `json:"mode,omitempty"`
	Part *int64 `json:"part,omitempty"` // bytes of one's own parked part
}

func entryOf(i files.Info) entry {
	e := entry{Name: i.Path.Base(), Path: i.Path.String(), Dir: i.Mode.IsDir(), Size: i.Size}
	if !i.ModTime.IsZero() {
		e.Time = i.ModTime.UTC().Format(time.RFC3339)
	}
	if perm := i.Mode.Perm(); perm != 0 {
		e.Mode = fmt.Sprintf("%04o", perm)
	}
	if i.Part >= 0 {
		e.Part = &i.Part
	}
	return e
}

// object writes v as a line of JSON.
func (t *task) object(v any) error { return jsonLine(t.Out, v) }

func list(ctx context.Context, t *task, args []word) error {
	if len(args) > 0 && (args[0].glob != "" || isURL(args[0].text)) {
		return t.listPattern(ctx, args)
	}
	name := ""
	if len(args) > 0 {
		name = args[0].text
	}
	p, err := t.remotePlace(ctx, name, false)
	if err != nil {
		return err
	}
	return t.listPlace(ctx, p)
}

// listPattern lists what a pattern matches; one directory is listed inside.
func (t *task) listPattern(ctx context.Context, args []word) error {
	found, err := t.expand(ctx, args, false)
	if err != nil {
		return err
	}
	if len(found) == 1 {
		return t.listPlace(ctx, found[0])
	}
	var all []files.Info
	for _, p := range found {
		i, err := p.store.Stat(ctx, p.path)
		if err != nil {
			return err
		}
		all = append(all, i)
	}
	return t.table(all)
}

// listPlace lists a directory, or shows the one file.
func (t *task) listPlace(ctx context.Context, p place) error {
	var all []files.Info
	var odd error // of a name that cannot be used; the others are listed nevertheless
	for i, err := range p.store.List(ctx, p.path) {
		if err != nil && fault.KindOf(err) == fault.BadName {
			odd = err
			continue
		}
		if fault.KindOf(err) == fault.NotDir && err != nil {
			one, err := p.store.Stat(ctx, p.path)
			if err != nil {
				return err
			}
			return t.table([]files.Info{one})
		}
		if err != nil {
			return err
		}
		all = append(all, i)
	}
	if err := t.table(all); err != nil {
		return err
	}
	return odd
}

// table prints entries in order of their names.
func (t *task) table(all []files.Info) error {
	slices.SortFunc(all, func(a, b files.Info) int { return strings.Compare(a.Path.String(), b.Path.String()) })
	_, tty := terminal(t.Out)
	for _, i := range all {
		if t.JSON {
			if err := t.object(entryOf(i)); err != nil {
				return err
			}
			continue
		}
		amount, name, when := strconv.FormatInt(i.Size, 10), words.Escape(i.Path.Base()), "-"
		switch {
		case i.Mode.IsDir():
			amount, name = "-", name+"/"
		case tty:
			amount = size(i.Size)
		}
		if !i.ModTime.IsZero() {
			when = i.ModTime.Local().Format("2006-01-02 15:04")
		}
		line := fmt.Sprintf("%12s  %-16s  %s", amount, when, name)
		if i.Part >= 0 {
			line += "  " + t.text(words.M("(part of %s, not finished)", size(i.Part)))
		}
		if _, err := fmt.Fprintln(t.Out, line); err != nil {
			return err
		}
	}
	return nil
}

func move(ctx context.Context, t *task, args []word) error {
	src, err := t.remotePlace(ctx, args[0].text, false)
	if err != nil {
		return err
	}
	if to, err := client.ParseURL(args[1].text); err == nil && login(to) != login(src.url) {
		return fault.New(fault.Unsupported, "mv works within one server and log-in; use cp, then rm")
	}
	dst, err := t.remotePlace(ctx, args[1].text, false)
	if err != nil {
		return err
	}
	if dst, err = target(ctx, dst, baseName(src)); err != nil {
		return err
	}
	return src.store.Rename(ctx, src.path, dst.path, !t.NoClobber)
}

func remove(ctx context.Context, t *task, args []word) error {
	found, err := t.expand(ctx, args, false)
	if err != nil {
		return err
	}
	return t.together(ctx, found, func(dir place, asked func(files.Info) bool) error {
		return t.removeBelow(ctx, func(each func(files.Path, error)) error {
			return client.RemoveIn(ctx, dir.store, dir.path, asked, each)
		})
	}, func(p place) error {
		dir, err := p.isDir(ctx)
		switch {
		case err != nil || !dir:
			return p.store.Remove(ctx, p.path)
		case !t.Recursive:
			return fault.New(fault.IsDir, "%s is a directory; add -r to remove it with everything in it", p.show)
		}
		return t.removeBelow(ctx, func(each func(files.Path, error)) error {
			return client.RemoveTree(ctx, p.store, p.path, each)
		})
	})
}

// removeBelow tells what all cannot remove.
func (t *task) removeBelow(ctx context.Context, all func(each func(files.Path, error)) error) error {
	failed := 0
	err := all(func(_ files.Path, err error) {
		if err != nil {
			failed++
			t.fail(err)
		}
	})
	if failed > 0 && ctx.Err() == nil {
		return ErrSome
	}
	return err
}

func makeDir(ctx context.Context, t *task, args []word) error {
	return each(t, args, func(w word) error {
		p, err := t.remotePlace(ctx, w.text, false)
		if err != nil {
			return err
		}
		return p.store.Mkdir(ctx, p.path)
	})
}

func removeDir(ctx context.Context, t *task, args []word) error {
	return each(t, args, func(w word) error {
		p, err := t.remotePlace(ctx, w.text, false)
		if err != nil {
			return err
		}
		dir, err := p.isDir(ctx)
		if err == nil && !dir {
			err = fault.New(fault.NotDir, "%s: not a directory", p.show)
		}
		if err != nil {
			return err
		}
		return p.store.Remove(ctx, p.path)
	})
}

func status(ctx context.Context, t *task, args []word) error {
	found, err := t.expand(ctx, args, false)
	if err != nil {
		return err
	}
	return each(t, found, func(p place) error {
		i, err := p.store.Stat(ctx, p.path)
		if err != nil {
			return err
		}
		if t.JSON {
			return t.object(entryOf(i))
		}
		kind := words.M("file")
		switch {
		case i.PartOnly():
			kind = words.M("part of a file, not finished")
		case i.Mode.IsDir():
			kind = words.M("directory")
		case i.Mode&fs.ModeSymlink != 0:
			kind = words.M("link")
		}
		fmt.Fprintln(t.Out, words.Escape(i.Path.String())+": "+t.text(kind))
		if !i.Mode.IsDir() {
			t.say(words.M("  size   %s (%d bytes)", size(i.Size), i.Size))
		}
		if !i.ModTime.IsZero() {
			t.say(words.M("  time   %s", i.ModTime.Local().Format("2006-01-02 15:04:05 -0700")))
		}
		if perm := i.Mode.Perm(); perm != 0 {
			t.say(words.M("  mode   %s", fmt.Sprintf("%04o", perm)))
		}
		if i.Part >= 0 && !i.PartOnly() {
			t.say(words.M("  part   %s came of a new version; put goes on there", size(i.Part)))
		}
		return nil
	})
}

func sum(ctx context.Context, t *task, args []word) error {
	found, err := t.expand(ctx, args, false)
	if err != nil {
		return err
	}
	return each(t, found, func(p place) error {
		h, err := p.remote.Sum(ctx, p.path, "SHA-256", 0, -1)
		if err != nil {
			return err
		}
		if t.JSON {
			return t.object(map[string]string{"path": p.path.String(), "sha256": hex.EncodeToString(h)})
		}
		_, err = fmt.Fprintf(t.Out, "%x  %s\n", h, words.Escape(p.path.String()))
		return err
	})
}

func diskUse(ctx context.Context, t *task, args []word) error {
	if len(args) == 0 {
		args = []word{{}}
	}
	found, err := t.expand(ctx, args, false)
	if err != nil {
		return err
	}
	return each(t, found, func(p place) error {
		u, err := client.Du(ctx, p.store, p.path)
		if err != nil {
			return err
		}
		if t.JSON {
			return t.object(map[string]any{"path": p.path.String(), "bytes": u.Bytes, "files": u.Files, "dirs": u.Dirs})
		}
		t.say(words.M("%s: %s (%d bytes); files: %d, directories: %d", p.path.String(), size(u.Bytes), u.Bytes, u.Files, u.Dirs))
		return nil
	})
}

func chmod(ctx context.Context, t *task, args []word) error {
	n, err := strconv.ParseUint(args[0].text, 8, 12)
	if err != nil || n > 0o777 {
		return fault.New(fault.Syntax, "%s is no mode; write three octal digits, as in 640", args[0].text)
	}
	mode := fs.FileMode(n)
	found, err := t.expand(ctx, args[1:], false)
	if err != nil {
		return err
	}
	return each(t, found, func(p place) error { return p.store.Set(ctx, p.path, files.Attr{Mode: &mode}) })
}

func localList(ctx context.Context, t *task, args []word) error {
	if len(args) > 0 && args[0].glob != "" {
		found, err := t.expand(ctx, args, true)
		if err != nil {
			return err
		}
		var all []files.Info
		for _, p := range found {
			i, err := p.store.Stat(ctx, p.path)
			if err != nil {
				return err
			}
			all = append(all, i)
		}
		return t.table(all)
	}
	name := "."
	if len(args) > 0 {
		name = args[0].text
	}
	p, err := t.localPlace(name)
	if err != nil {
		return err
	}
	return t.listPlace(ctx, p)
}

func localPrintDir(_ context.Context, t *task, _ []word) error {
	dir, err := filepath.Abs(t.localName("."))
	if err == nil {
		_, err = fmt.Fprintln(t.Out, words.Escape(dir))
	}
	return fault.From(err, ".")
}

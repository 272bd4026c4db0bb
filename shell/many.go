package shell

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"sampan/fault"
	"sampan/files"
)

func getMany(ctx context.Context, t *task, args []word) error {
	found, err := t.expand(ctx, args, false)
	if err != nil {
		return err
	}
	dst, err := t.localPlace(".")
	if err != nil {
		return err
	}
	return t.copyMany(ctx, found, dst, func(src place) error { return t.download(ctx, src, "") })
}

func putMany(ctx context.Context, t *task, args []word) error {
	remote := ""
	if last := args[len(args)-1]; t.at == nil || isURL(last.text) {
		if len(args) < 2 {
			return fault.New(fault.Syntax, "use it like this: %s", "mput LOCAL... URL")
		}
		remote, args = last.text, args[:len(args)-1]
	}
	found, err := t.expand(ctx, args, true)
	if err != nil {
		return err
	}
	dst, err := t.remotePlace(ctx, remote, false)
	if err != nil {
		return err
	}
	if dir, err := dst.isDir(ctx); err != nil || !dir {
		if err == nil {
			err = fault.New(fault.NotDir, "%s: not a directory; mput needs one to put the files into", dst.show)
		}
		return err
	}
	return t.copyMany(ctx, found, dst, func(src place) error {
		src.into = false // each under its own name
		return t.upload(ctx, src, remote)
	})
}

// manyTogether is from how many on the files of one directory are copied and removed as those of a tree are: many at a time.
const manyTogether = 16

// crowd are places of one directory.
type crowd struct {
	dir   place
	names map[string]place
}

// crowds sorts places by their directories. A link on this machine is in none: it leads to another name than its own.
func crowds(found []place) []*crowd {
	type key struct {
		store files.Store
		dir   files.Path
	}
	var all []*crowd
	at := map[key]*crowd{}
	for _, p := range found {
		if baseName(p) != p.path.Base() {
			continue
		}
		k := key{p.store, p.path.Dir()}
		c := at[k]
		if c == nil {
			c = &crowd{dir: p, names: map[string]place{}}
			c.dir.path, c.dir.show = k.dir, filepath.Dir(p.show)
			at[k], all = c, append(all, c)
		}
		c.names[p.path.Base()] = p
	}
	return all
}

// copyMany copies places into the directory dst. A link goes alone: in a tree one to a directory is left out.
func (t *task) copyMany(ctx context.Context, found []place, dst place, one func(place) error) error {
	return t.together(ctx, found, func(dir place, asked func(files.Info) bool) error {
		return t.copyOnly(ctx, dir, dst, func(i files.Info) bool { return i.Mode&fs.ModeSymlink == 0 && asked(i) })
	}, one)
}

// listable reports whether a directory can be listed: names may be there for who knows them.
func listable(ctx context.Context, dir place) bool {
	for _, err := range dir.store.List(ctx, dir.path) {
		return err == nil
	}
	return true
}

// together works on places: with many on those of which many are in one directory, which gets the directory and is to ask of each
// entry whether it is one of them; with one on the others, one by one. What fails does not stop the rest.
func (t *task) together(ctx context.Context, found []place, many func(dir place, asked func(files.Info) bool) error, one func(place) error) error {
	done := map[place]bool{}
	var some error
	for _, c := range crowds(found) {
		if len(c.names) < manyTogether || !listable(ctx, c.dir) {
			continue
		}
		err := many(c.dir, func(i files.Info) bool {
			p, asked := c.names[i.Path.Base()]
			if !asked || i.Mode.IsDir() && !t.Recursive {
				return false
			}
			done[p] = true
			return true
		})
		switch {
		case errors.Is(err, ErrSome):
			some = err
		case err != nil:
			return err
		}
	}
	rest := slices.DeleteFunc(found, func(p place) bool { return done[p] })
	err := each(t, rest, one)
	if err != nil && len(rest) == 1 && len(found) > 1 && !errors.Is(err, context.Canceled) {
		t.fail(err)
		err = ErrSome
	}
	if err == nil {
		err = some
	}
	return err
}

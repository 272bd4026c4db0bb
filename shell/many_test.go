package shell

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sampan/client"
	"sampan/fault"
	"sampan/files"
)

// unlisted is a directory whose names may be used and not listed, as one of mode 711 is for others than root.
type unlisted struct{ files.Store }

func (unlisted) List(context.Context, files.Path) iter.Seq2[files.Info, error] {
	return func(yield func(files.Info, error) bool) { yield(files.Info{}, fault.New(fault.Denied, "no")) }
}

// TestTogether: many files of one directory go together, but for what the listing does not show; few, and those of a directory that
// cannot be listed, go one by one.
func TestTogether(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var found []place
	disk, err := client.Disk(dir)
	if err != nil {
		t.Fatal(err)
	}
	for n := range manyTogether {
		name := fmt.Sprintf("f%d", n)
		if n > 0 {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		p, err := files.Root.Join(name)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, place{store: disk, path: p, show: name})
	}
	for name, c := range map[string]struct {
		store      files.Store
		n          int
		many, ones int
	}{
		"many":     {disk, manyTogether, manyTogether - 1, 1},
		"few":      {disk, manyTogether - 1, 0, manyTogether - 1},
		"unlisted": {unlisted{disk}, manyTogether, 0, manyTogether},
	} {
		var places []place
		for _, p := range found[:c.n] {
			p.store = c.store
			places = append(places, p)
		}
		many, ones := 0, 0
		err := new(task).together(t.Context(), places, func(dir place, asked func(files.Info) bool) error {
			for i, err := range dir.store.List(t.Context(), dir.path) {
				if err == nil && asked(i) {
					many++
				}
			}
			return nil
		}, func(place) error { ones++; return nil })
		if err != nil || many != c.many || ones != c.ones {
			t.Errorf("%s: %d together, %d alone, %v", name, many, ones, err)
		}
	}
}

// TestLinkOfManyGoesAlone: in a tree a link to a directory is left out, but who names it wants what it holds.
func TestLinkOfManyGoesAlone(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	disk, err := client.Disk(from)
	if err != nil {
		t.Fatal(err)
	}
	target, err := client.Disk(to)
	if err != nil {
		t.Fatal(err)
	}
	var found []place
	for n := range manyTogether + 1 {
		name := fmt.Sprintf("f%d", n)
		if n == 0 {
			err = os.Symlink(".", filepath.Join(from, name))
		} else {
			err = os.WriteFile(filepath.Join(from, name), nil, 0o666)
		}
		if err != nil {
			t.Skip(err) // some systems let few make links
		}
		p, err := files.Root.Join(name)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, place{store: disk, path: p, show: name})
	}
	var alone []string
	tk := &task{Env: &Env{Out: io.Discard, Err: io.Discard}, Options: Options{Recursive: true}}
	err = tk.copyMany(t.Context(), found, place{store: target, show: to}, func(p place) error {
		alone = append(alone, p.show)
		return nil
	})
	if err != nil || !slices.Equal(alone, []string{"f0"}) {
		t.Errorf("%q alone, %v", alone, err)
	}
}

//go:build unix

package client_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"sampan/client"
	"sampan/fault"
	"sampan/files"
)

// TestDirectoryThatBecomesALinkLeadsNowhere: what is open of it must not take an upload out of the Disk, nor lose it.
func TestDirectoryThatBecomesALinkLeadsNowhere(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	d := disk(t, dir)
	sub := filepath.Join(dir, "sub")
	must(t, os.Mkdir(sub, 0o777))
	small := create(t, d, path(t, "sub/small"), files.Want{Size: 1}, []byte("s"))
	u := create(t, d, path(t, "sub/a"), files.Want{Size: -1}, []byte("a"))
	must(t, os.Rename(sub, filepath.Join(dir, "moved")))
	must(t, os.Symlink(outside, sub))
	if _, err := u.Commit(t.Context(), nil); err == nil {
		if got := string(read(t, filepath.Join(dir, "moved", "a"))); got != "a" {
			t.Errorf("published %q", got)
		}
	} else if got := string(read(t, filepath.Join(dir, "moved", "a.part"))); got != "a" {
		t.Errorf("%v, and the part holds %q", err, got)
	}
	if _, err := small.Commit(t.Context(), nil); err == nil {
		if got := string(read(t, filepath.Join(dir, "moved", "small"))); got != "s" {
			t.Errorf("published %q", got)
		}
	}
	client.TrustNoDirectory(d)
	if _, err := d.Create(t.Context(), path(t, "sub/b"), files.Want{Size: -1}); err == nil {
		t.Error("an upload was begun through a link that leads out")
	}
	if _, err := d.Stat(t.Context(), path(t, "sub/b")); err == nil || fault.KindOf(err) == fault.NotExist {
		t.Errorf("a look through a link that leads out: %v", err)
	}
	wantEntries(t, outside, 0)
}

// TestDirectoryThatIsReplacedGetsWhatComes: the one that has the name now, at once where the Disk moved the other itself.
func TestDirectoryThatIsReplacedGetsWhatComes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := disk(t, dir)
	sub := path(t, "sub")
	put := func(name string) {
		t.Helper()
		for n, size := range []int64{-1, 1} {
			name := fmt.Sprint(name, n)
			_, err := create(t, d, path(t, "sub/"+name), files.Want{Size: size}, []byte("x")).Commit(t.Context(), nil)
			must(t, err)
			if got := string(read(t, filepath.Join(dir, "sub", name))); got != "x" {
				t.Errorf("%s holds %q", name, got)
			}
		}
	}
	must(t, d.Mkdir(t.Context(), sub))
	put("a")
	must(t, d.Rename(t.Context(), sub, path(t, "second"), false))
	must(t, d.Mkdir(t.Context(), sub))
	put("b")
	must(t, os.Rename(filepath.Join(dir, "sub"), filepath.Join(dir, "third")))
	must(t, os.Mkdir(filepath.Join(dir, "sub"), 0o777))
	client.TrustNoDirectory(d)
	put("c")
	must(t, client.RemoveTree(t.Context(), d, sub, nil))
	must(t, d.Mkdir(t.Context(), sub))
	put("d")
	must(t, os.RemoveAll(filepath.Join(dir, "sub")))
	must(t, os.Mkdir(filepath.Join(dir, "sub"), 0o777))
	put("e") // nothing can be made in what was removed
}

// TestLinkToAnotherDirectoryIsFollowed: it leads out of the directory that is open, not out of the Disk.
func TestLinkToAnotherDirectoryIsFollowed(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	d := disk(t, dir)
	write(t, filepath.Join(outside, "f"), []byte("secret"))
	must(t, os.MkdirAll(filepath.Join(dir, "a", "b"), 0o777))
	write(t, filepath.Join(dir, "f"), []byte("near"))
	must(t, os.Symlink("../../f", filepath.Join(dir, "a", "b", "in")))
	must(t, os.Symlink(filepath.Join(outside, "f"), filepath.Join(dir, "a", "b", "out")))
	r, i, err := d.Open(t.Context(), path(t, "a/b/in"), 0)
	must(t, err)
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "near" || i.Size != 4 {
		t.Errorf("%q, %+v, %v", got, i, err)
	}
	if _, _, err := d.Open(t.Context(), path(t, "a/b/out"), 0); err == nil {
		t.Error("a link that leads out was followed")
	}
	if _, err := d.Stat(t.Context(), path(t, "a/b/out")); err == nil {
		t.Error("a link that leads out was looked through")
	}
}

// TestManyDirectoriesAtOnce: more than a Disk has open, from many sides.
func TestManyDirectoriesAtOnce(t *testing.T) {
	t.Parallel()
	d := disk(t, t.TempDir())
	var running sync.WaitGroup
	for n := range 8 {
		running.Go(func() {
			for m := range 100 {
				p := path(t, fmt.Sprintf("d%d", m))
				if err := d.Mkdir(t.Context(), p); err != nil && fault.KindOf(err) != fault.Exist {
					t.Error(err)
				}
				q, err := p.Join(fmt.Sprint(n))
				var u files.Upload
				if err == nil {
					u, err = d.Create(t.Context(), q, files.Want{})
				}
				if err == nil {
					_, err = u.Commit(t.Context(), nil)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	u, err := client.Du(t.Context(), d, files.Root)
	must(t, err)
	if u.Files != 800 {
		t.Errorf("%+v", u)
	}
}

// TestTreeIsNotLedOut copies into a directory that somebody turns into a link, and back, all the time.
func TestTreeIsNotLedOut(t *testing.T) {
	t.Parallel()
	from, dir, outside := t.TempDir(), t.TempDir(), t.TempDir()
	for n := range 300 {
		write(t, filepath.Join(from, fmt.Sprint(n)), []byte("content"))
	}
	sub, away := filepath.Join(dir, "sub"), filepath.Join(dir, "away")
	must(t, os.Mkdir(sub, 0o777))
	over := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			err := errors.Join(os.Rename(sub, away), os.Symlink(outside, sub))
			for back := false; !back; { // the copy may have made the directory meanwhile
				back = os.RemoveAll(sub) == nil && os.Rename(away, sub) == nil
			}
			select {
			case <-over:
				return
			default:
			}
			if err != nil && !errors.Is(err, fs.ErrExist) {
				t.Error(err)
				return
			}
		}
	})
	d := disk(t, dir)
	sum, err := client.CopyTree(t.Context(), disk(t, from), files.Root, d, path(t, "sub"), client.CopyOptions{Tries: -1}, nil)
	close(over)
	running.Wait()
	wantEntries(t, outside, 0)
	if err == nil && sum.Files != 300 {
		t.Errorf("%+v", sum)
	}
}

func wantEntries(t *testing.T, dir string, n int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != n {
		t.Errorf("%s holds %v", dir, entries)
	}
}

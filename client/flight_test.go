package client_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sampan/client"
	"sampan/files"
)

// grove is a tree of many small files and a few that are not: content by name.
func grove(n int) map[string][]byte {
	tree := map[string][]byte{
		"empty": {}, "名字 with space": []byte("x"), "-la": []byte("dash"), "big": bytesOf(77, 3<<20+5), "a/b/c/d/e/deep": []byte("deep"),
	}
	for i := range n {
		tree[fmt.Sprintf("dir %d/sub%d/f%d", i%7, i%3, i)] = bytesOf(uint64(i), i%9000)
	}
	return tree
}

func plant(t testing.TB, dir string, tree map[string][]byte) {
	t.Helper()
	for name, content := range tree {
		full := filepath.Join(dir, name)
		write(t, full, content)
		when := time.Date(2020, 2, 29, 12, len(name)%60, len(content)%60, 0, time.UTC)
		must(t, os.Chtimes(full, when, when))
	}
}

// grown checks that dir holds tree, times and all, and nothing else.
func grown(t testing.TB, dir string, tree map[string][]byte) {
	t.Helper()
	found := 0
	must(t, filepath.WalkDir(dir, func(full string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if e.Name() == ".sampan" {
				return filepath.SkipDir
			}
			return nil
		}
		found++
		name, _ := filepath.Rel(dir, full)
		want, ok := tree[filepath.ToSlash(name)]
		if !ok || !bytes.Equal(read(t, full), want) {
			t.Errorf("%s is not what it should be", name)
			return nil
		}
		when := time.Date(2020, 2, 29, 12, len(name)%60, len(want)%60, 0, time.UTC)
		if i, err := e.Info(); err != nil || !i.ModTime().Equal(when) {
			t.Errorf("%s: time %v, want %v", name, i.ModTime(), when)
		}
		return nil
	}))
	if found != len(tree) {
		t.Errorf("%d files, want %d", found, len(tree))
	}
}

func TestTreeOfManyFilesBothWays(t *testing.T) {
	t.Parallel()
	for _, way := range ways[:2] {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			h := newHarbour(t)
			said := &traced{}
			r := h.dialURL(h.url(way.scheme, h.ftp, "alice"), way.set, func(o *client.Options) { o.Trace = said.add })
			tree := grove(2000)
			from, back := t.TempDir(), t.TempDir()
			plant(t, from, tree)
			sums := map[string]bool{}
			each := func(r client.Result, err error) {
				if err != nil || !r.Verified || r.Size != r.Bytes && !r.Skipped {
					t.Errorf("%+v: %v", r, err)
				}
				sums[r.Sum] = true
			}
			res, err := client.CopyTree(t.Context(), disk(t, from), path(t, "/"), r, path(t, "/there"), client.CopyOptions{}, each)
			must(t, err)
			if res.Files != len(tree) || res.Failed+res.Skipped != 0 || res.Dirs != 34 {
				t.Errorf("up: %+v", res)
			}
			grown(t, filepath.Join(h.home("alice"), "there"), tree)
			for name, content := range tree {
				if sum := sha256.Sum256(content); !sums[hex.EncodeToString(sum[:])] {
					t.Errorf("nobody heard of %s", name)
				}
			}
			res, err = client.CopyTree(t.Context(), r, path(t, "/there"), disk(t, back), path(t, "/"), client.CopyOptions{}, each)
			must(t, err)
			if res.Files != len(tree) || res.Failed+res.Skipped != 0 {
				t.Errorf("down: %+v", res)
			}
			grown(t, back, tree)
			write(t, filepath.Join(back, "-la"), []byte("DASH"))
			for _, up := range []bool{true, false} {
				src, dst := disk(t, from), disk(t, back)
				var res client.TreeResult
				if up {
					res, err = client.CopyTree(t.Context(), src, path(t, "/"), r, path(t, "/there"), client.CopyOptions{}, each)
				} else {
					res, err = client.CopyTree(t.Context(), r, path(t, "/there"), dst, path(t, "/"), client.CopyOptions{}, each)
				}
				must(t, err)
				if up && res.Skipped != len(tree) || !up && (res.Files != 1 || res.Skipped != len(tree)-1) {
					t.Errorf("again, up=%v: %+v", up, res)
				}
			}
			plant(t, back, map[string][]byte{"-la": tree["-la"]})
			grown(t, back, tree)
		})
	}
}

// whole checks that each file in dir is one of tree, and not torn.
func whole(t testing.TB, dir string, tree map[string][]byte) {
	t.Helper()
	filepath.WalkDir(dir, func(full string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			if err == nil && e.Name() == ".sampan" {
				return filepath.SkipDir
			}
			return nil
		}
		name, _ := filepath.Rel(dir, full)
		if strings.HasSuffix(name, ".part") {
			return nil
		}
		if want, ok := tree[filepath.ToSlash(name)]; !ok || !bytes.Equal(read(t, full), want) {
			t.Errorf("%s is torn", name)
		}
		return nil
	})
}

// TestTreeCutAnywhere cuts the data connection anywhere in a tree, again and again.
func TestTreeCutAnywhere(t *testing.T) {
	t.Parallel()
	tree := grove(150)
	total := 0
	for _, content := range tree {
		total += len(content) + 3
	}
	for _, plain := range []bool{true, false} {
		for _, up := range []bool{true, false} {
			t.Run(fmt.Sprintf("plain=%v up=%v", plain, up), func(t *testing.T) {
				t.Parallel()
				h, w := newWire(t, up == plain)
				r := h.dialURL(h.url("ftp", w.address, "alice"), func(o *client.Options) { o.Plain = plain })
				local := t.TempDir()
				src, dst := disk(t, local), files.Store(r)
				dirs := []string{local, filepath.Join(h.home("alice"), "there")}
				from, to := path(t, "/"), path(t, "/there")
				if !up {
					src, dst, from, to = dst, src, to, from
					dirs[0], dirs[1] = dirs[1], dirs[0]
				}
				plant(t, dirs[0], tree)
				for range 8 {
					w.plan(rand.Int64N(int64(total)))
					before := w.done.Load()
					_, err := client.CopyTree(t.Context(), src, from, dst, to, client.CopyOptions{Tries: -1}, nil)
					if (err != nil) != (w.done.Load() > before) {
						t.Errorf("%d cuts, and %v", w.done.Load()-before, err)
					}
					whole(t, dirs[1], tree)
				}
				entries, err := os.ReadDir(dirs[1])
				must(t, err)
				for _, e := range entries {
					must(t, os.RemoveAll(filepath.Join(dirs[1], e.Name())))
				}
				w.plan(100, 5000, rand.Int64N(int64(total)), 70_000, 0, 1, rand.Int64N(int64(total)), 1_000_000)
				res, err := client.CopyTree(t.Context(), src, from, dst, to, client.CopyOptions{}, nil)
				must(t, err)
				if res.Failed != 0 || res.Files+res.Skipped < len(tree) {
					t.Errorf("%+v", res)
				}
				grown(t, dirs[1], tree)
			})
		}
	}
}

// TestTreeTakesFewRounds counts how often client and server wait for each other across an ocean: what a message could know
// of the other side's messages tells how many round trips came before it.
func TestTreeTakesFewRounds(t *testing.T) {
	if testing.Short() {
		t.Skip("rounds are told apart by silence, which the race detector draws out; the full run counts them")
	}
	t.Parallel()
	tree := map[string][]byte{}
	for i := range 400 {
		tree[fmt.Sprintf("d%d/e%d/f%d", i%8, i%2, i)] = bytesOf(uint64(i), 500)
	}
	for _, plain := range []bool{true, false} {
		for _, up := range []bool{true, false} {
			t.Run(fmt.Sprintf("plain=%v up=%v", plain, up), func(t *testing.T) {
				t.Parallel()
				h, w := newWire(t, false)
				w.far(25 * time.Millisecond)
				r := h.dialURL(h.url("ftp", w.address, "alice"), func(o *client.Options) { o.Plain = plain })
				local := t.TempDir()
				src, dst := disk(t, local), files.Store(r)
				dirs := []string{local, filepath.Join(h.home("alice"), "there")}
				from, to := path(t, "/"), path(t, "/there")
				if !up {
					src, dst, from, to = dst, src, to, from
					dirs[0], dirs[1] = dirs[1], dirs[0]
				}
				plant(t, dirs[0], tree)
				for _, again := range []bool{false, true} {
					w.rounds()
					begin := time.Now()
					res, err := client.CopyTree(t.Context(), src, from, dst, to, client.CopyOptions{}, nil)
					must(t, err)
					if !again && res.Files != len(tree) || again && res.Skipped != len(tree) {
						t.Errorf("%+v", res)
					}
					n := w.rounds()
					t.Logf("again=%v: %d rounds, %v", again, n, time.Since(begin).Round(time.Millisecond))
					if n < 3 || n > 30 {
						t.Errorf("again=%v: %d rounds for %d files", again, n, len(tree))
					}
				}
			})
		}
	}
}

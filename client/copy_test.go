package client_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sampan/client"
	"sampan/fault"
	"sampan/files"
)

func wantKind(t *testing.T, err error, k fault.Kind) {
	t.Helper()
	if err == nil || fault.KindOf(err) != k {
		t.Fatalf("got %v (%v), want kind %v", err, fault.KindOf(err), k)
	}
}

func TestCopyBothDirectionsEveryWay(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	for i, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			address := h.ftp
			if way.scheme == "ftps" {
				address = h.ftps
			}
			r := h.dialURL(h.url(way.scheme, address, "alice"), way.set)
			local := t.TempDir()
			d := disk(t, local)
			must(t, r.Mkdir(t.Context(), path(t, way.name)))
			for _, size := range []int{0, 1, 70_000, 3<<20 + 17} {
				content := bytesOf(uint64(i), size)
				name := fmt.Sprintf("名 字 %d.bin", size)
				write(t, filepath.Join(local, name), content)
				when := time.Date(2020, 2, 29, 12, 30, 15, 0, time.UTC)
				must(t, os.Chtimes(filepath.Join(local, name), when, when))
				remote := path(t, way.name+"/"+name)
				res, err := client.Copy(t.Context(), d, path(t, name), r, remote, client.CopyOptions{})
				must(t, err)
				sum := sha256.Sum256(content)
				if !res.Verified || res.Sum != hex.EncodeToString(sum[:]) || res.Bytes != int64(size) || res.Skipped || res.Size != int64(size) {
					t.Errorf("put %d: %+v", size, res)
				}
				if got := read(t, filepath.Join(h.home("alice"), way.name, name)); !bytes.Equal(got, content) {
					t.Errorf("put %d: other bytes arrived", size)
				}
				back := path(t, "back-"+name)
				res, err = client.Copy(t.Context(), r, remote, d, back, client.CopyOptions{})
				must(t, err)
				if !res.Verified || res.Sum != hex.EncodeToString(sum[:]) {
					t.Errorf("get %d: %+v", size, res)
				}
				if got := read(t, filepath.Join(local, back.Rel())); !bytes.Equal(got, content) {
					t.Errorf("get %d: other bytes arrived", size)
				}
				if i, err := os.Stat(filepath.Join(local, back.Rel())); err != nil || !i.ModTime().Equal(when) {
					t.Errorf("get %d: time %v, want %v", size, i.ModTime(), when)
				}
				// A copy that was cut between its last byte and its time is equal, and gets the time now.
				must(t, os.Chtimes(filepath.Join(h.home("alice"), way.name, name), time.Now(), time.Now()))
				res, err = client.Copy(t.Context(), d, path(t, name), r, remote, client.CopyOptions{})
				must(t, err)
				if !res.Skipped || res.Bytes != 0 {
					t.Errorf("an equal file was not skipped: %+v", res)
				}
				if i, err := os.Stat(filepath.Join(h.home("alice"), way.name, name)); err != nil || !i.ModTime().Equal(when) {
					t.Errorf("equal %d: time %v, want %v", size, i.ModTime(), when)
				}
			}
		})
	}
}

func TestCopyOverIPv6(t *testing.T) {
	t.Parallel()
	h := newHarbourOn(t, "::1")
	for _, active := range []bool{false, true} {
		r := h.dial("alice", func(o *client.Options) { o.Active = active })
		local := t.TempDir()
		write(t, filepath.Join(local, "f"), bytesOf(6, 100_000))
		res, err := client.Copy(t.Context(), disk(t, local), path(t, "f"), r, path(t, fmt.Sprintf("f%v", active)), client.CopyOptions{})
		must(t, err)
		if !res.Verified {
			t.Errorf("active=%v: %+v", active, res)
		}
	}
}

func TestCopyReplacesKeepsAndSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	r := h.dial("alice")
	local := t.TempDir()
	d := disk(t, local)
	write(t, filepath.Join(local, "a"), []byte("new content"))
	write(t, filepath.Join(h.home("alice"), "a"), []byte("old"))
	res, err := client.Copy(t.Context(), d, path(t, "a"), r, path(t, "a"), client.CopyOptions{NoClobber: true})
	must(t, err)
	if !res.Kept || string(read(t, filepath.Join(h.home("alice"), "a"))) != "old" {
		t.Errorf("no-clobber: %+v", res)
	}
	res, err = client.Copy(t.Context(), d, path(t, "a"), r, path(t, "a"), client.CopyOptions{})
	must(t, err)
	if res.Kept || string(read(t, filepath.Join(h.home("alice"), "a"))) != "new content" {
		t.Errorf("replace: %+v", res)
	}
	_, err = client.Copy(t.Context(), d, path(t, "none"), r, path(t, "b"), client.CopyOptions{})
	wantKind(t, err, fault.NotExist)
	_, err = client.Copy(t.Context(), r, path(t, "none"), d, path(t, "b"), client.CopyOptions{})
	wantKind(t, err, fault.NotExist)
	must(t, r.Mkdir(t.Context(), path(t, "dir")))
	_, err = client.Copy(t.Context(), r, path(t, "dir"), d, path(t, "b"), client.CopyOptions{})
	wantKind(t, err, fault.IsDir)
	_, err = client.Copy(t.Context(), d, path(t, "a"), r, path(t, "dir"), client.CopyOptions{})
	wantKind(t, err, fault.IsDir)
	_, err = client.Copy(t.Context(), d, path(t, "a"), r, path(t, "nowhere/a"), client.CopyOptions{})
	wantKind(t, err, fault.NotExist)
	if got, err := client.Copy(t.Context(), r, path(t, "a"), r, path(t, "copy of a"), client.CopyOptions{}); err != nil || !got.Verified {
		t.Errorf("remote to remote: %+v %v", got, err)
	}
}

// progress counts what a copy reports.
func TestCopyReportsProgressInOrder(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	r := h.dial("alice")
	local := t.TempDir()
	write(t, filepath.Join(local, "f"), bytesOf(1, 5<<20))
	var phases []client.Phase
	last := int64(-1)
	_, err := client.Copy(t.Context(), disk(t, local), path(t, "f"), r, path(t, "f"), client.CopyOptions{Progress: func(p client.Progress) {
		if len(phases) == 0 || phases[len(phases)-1] != p.Phase {
			phases = append(phases, p.Phase)
		}
		if p.Done < last || p.Size != 5<<20 {
			t.Errorf("progress went from %d to %+v", last, p)
		}
		last = p.Done
	}})
	must(t, err)
	want := []client.Phase{client.Comparing, client.Moving, client.Proving, client.Finished}
	if diff := cmp.Diff(want, phases); diff != "" || last != 5<<20 {
		t.Errorf("phases (-want +got):\n%s\nlast %d", diff, last)
	}
}

func TestCopyTreeThereAndBack(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	r := h.dial("alice")
	local := t.TempDir()
	names := []string{"tree/a.txt", "tree/sub/b", "tree/sub/deep/c", "tree/sub/ d e", "tree/z"}
	for i, n := range names {
		write(t, filepath.Join(local, n), bytesOf(uint64(i), 1000*i))
	}
	must(t, os.Mkdir(filepath.Join(local, "tree/empty"), 0o777))
	must(t, os.Symlink("a.txt", filepath.Join(local, "tree/link")))
	must(t, os.Symlink("sub", filepath.Join(local, "tree/dirlink")))
	must(t, os.Symlink("nowhere", filepath.Join(local, "tree/dangling")))
	d := disk(t, local)
	said := &traced{}
	var failed []string
	res, err := client.CopyTree(t.Context(), d, path(t, "tree"), r, path(t, "up"), client.CopyOptions{Say: said.say}, func(r client.Result, err error) {
		if err != nil {
			failed = append(failed, r.From.String())
		}
	})
	wantKind(t, err, fault.NotExist)
	if diff := cmp.Diff([]string{"/tree/dangling"}, failed); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
	if res.Files != len(names)+1 || res.Dirs != 4 || res.Failed != 1 || !strings.Contains(said.String(), "dirlink") {
		t.Errorf("%+v, said %s", res, said)
	}
	res, err = client.CopyTree(t.Context(), r, path(t, "up"), d, path(t, "down"), client.CopyOptions{}, nil)
	must(t, err)
	if res.Files != len(names)+1 || res.Dirs != 4 {
		t.Errorf("%+v", res)
	}
	for i, n := range names {
		if got := read(t, filepath.Join(local, "down"+strings.TrimPrefix(n, "tree"))); !bytes.Equal(got, bytesOf(uint64(i), 1000*i)) {
			t.Errorf("%s came back with other bytes", n)
		}
	}
	res, err = client.CopyTree(t.Context(), r, path(t, "up"), d, path(t, "down"), client.CopyOptions{}, nil)
	if err != nil || res.Skipped != len(names)+1 || res.Files != 0 {
		t.Errorf("the second time: %+v %v", res, err)
	}
	use, err := client.Du(t.Context(), r, path(t, "up"))
	if err != nil || use.Files != len(names)+1 || use.Dirs != 4 || use.Bytes != 1000+2000+3000+4000 {
		t.Errorf("du: %+v %v", use, err)
	}
	_, err = client.CopyTree(t.Context(), r, path(t, "up"), r, path(t, "up/again"), client.CopyOptions{}, nil)
	wantKind(t, err, fault.BadName)
	var gone []string
	must(t, client.RemoveTree(t.Context(), r, path(t, "up"), func(p files.Path, err error) {
		must(t, err)
		gone = append(gone, p.String())
	}))
	if !slices.Contains(gone, "/up/sub/deep/c") || gone[len(gone)-1] != "/up" {
		t.Errorf("removed %v", gone)
	}
	_, err = r.Stat(t.Context(), path(t, "up"))
	wantKind(t, err, fault.NotExist)
}

// TestUpdateGoesBySizeAndTime: a file of the same size that is not older stays, whatever it holds, and nothing asks for a
// hash. In a tree in flight, in one that goes file by file, and for a single file; either way.
func TestUpdateGoesBySizeAndTime(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	then := time.Now().Add(-time.Hour)
	for _, stream := range []bool{false, true} {
		for _, up := range []bool{false, true} {
			t.Run(fmt.Sprintf("stream=%v up=%v", stream, up), func(t *testing.T) {
				local, name := t.TempDir(), fmt.Sprintf("t%v%v", stream, up)
				from, to := filepath.Join(local, name), filepath.Join(h.home("alice"), name)
				if !up {
					from, to = to, from
				}
				for _, f := range []struct {
					name, ours, theirs string
					ago                time.Duration // by which theirs is older
				}{{"same", "aaa", "bbb", 0}, {"newer there", "aaa", "bbb", -time.Minute}, {"older there", "aaa", "bbb", time.Minute}, {"shorter there", "aaa", "bb", -time.Minute}} {
					write(t, filepath.Join(from, f.name), []byte(f.ours))
					must(t, os.Chtimes(filepath.Join(from, f.name), then, then))
					write(t, filepath.Join(to, f.name), []byte(f.theirs))
					must(t, os.Chtimes(filepath.Join(to, f.name), then.Add(-f.ago), then.Add(-f.ago)))
				}
				write(t, filepath.Join(from, "missing there"), []byte("aaa"))
				wire := &traced{}
				src, dst := files.Store(h.dial("alice", func(o *client.Options) { o.Stream, o.Trace = stream, wire.add })), disk(t, local)
				if up {
					src, dst = dst, src
				}
				r, err := client.Copy(t.Context(), src, path(t, name+"/same"), dst, path(t, name+"/same"), client.CopyOptions{Update: true})
				if err != nil || !r.Skipped || r.Sum != "" {
					t.Errorf("%+v, %v", r, err)
				}
				if strings.Contains(wire.String(), "> HASH ") {
					t.Error("it asked for a hash")
				}
				all, err := client.CopyTree(t.Context(), src, path(t, name), dst, path(t, name), client.CopyOptions{Update: true}, nil)
				if err != nil || all.Skipped != 2 || all.Files != 3 {
					t.Errorf("%+v, %v", all, err)
				}
				for file, want := range map[string]string{"same": "bbb", "newer there": "bbb", "older there": "aaa", "shorter there": "aaa", "missing there": "aaa"} {
					if got := string(read(t, filepath.Join(to, file))); got != want {
						t.Errorf("%s: %q, want %q", file, got, want)
					}
				}
			})
		}
	}
}

func TestRemoveTreeNeverFollowsLinks(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	home := h.home("alice")
	write(t, filepath.Join(home, "kept/precious"), []byte("x"))
	must(t, os.Mkdir(filepath.Join(home, "doomed"), 0o777))
	must(t, os.Symlink("../kept", filepath.Join(home, "doomed/link")))
	must(t, os.Symlink("kept", filepath.Join(home, "toplink")))
	for _, s := range []files.Store{h.dial("alice"), disk(t, home)} {
		for _, name := range []string{"doomed", "toplink"} {
			if err := client.RemoveTree(t.Context(), s, path(t, name), nil); err != nil && fault.KindOf(err) != fault.NotExist {
				t.Fatal(err)
			}
			if _, err := os.Lstat(filepath.Join(home, name)); err == nil {
				t.Errorf("%s is still there", name)
			}
		}
		read(t, filepath.Join(home, "kept/precious"))
		os.Mkdir(filepath.Join(home, "doomed"), 0o777)
		os.Symlink("../kept", filepath.Join(home, "doomed/link"))
		os.Symlink("kept", filepath.Join(home, "toplink"))
	}
}

func TestCancelledCopyParksAndGoesOn(t *testing.T) {
	t.Parallel()
	for _, way := range ways[:2] {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			h := newHarbour(t)
			r := h.dial("alice", way.set)
			local := t.TempDir()
			d := disk(t, local)
			const size = 40 << 20
			write(t, filepath.Join(local, "f"), bytesOf(3, size))
			for _, put := range []bool{true, false} {
				src, dst, from, to := d, files.Store(r), path(t, "f"), path(t, "f")
				if !put {
					src, dst, to = r, d, path(t, "back")
				}
				ctx, cancel := context.WithCancel(t.Context())
				_, err := client.Copy(ctx, src, from, dst, to, client.CopyOptions{Progress: func(p client.Progress) {
					if p.Done > size/3 {
						cancel()
					}
				}})
				cancel()
				if !errors.Is(err, context.Canceled) {
					t.Fatalf("put=%v: %v", put, err)
				}
				part, err := dst.(files.Parter).Part(t.Context(), to)
				if err != nil || part.Size == 0 {
					t.Fatalf("put=%v: part %+v %v", put, part, err)
				}
				res, err := client.Copy(t.Context(), src, from, dst, to, client.CopyOptions{})
				must(t, err)
				if res.Resumed != part.Size || res.Bytes != size-part.Size || !res.Verified || res.Restarted {
					t.Errorf("put=%v: part %d, %+v", put, part.Size, res)
				}
			}
			if !bytes.Equal(read(t, filepath.Join(local, "back")), bytesOf(3, size)) {
				t.Error("other bytes came back")
			}
		})
	}
}

// park leaves a part of content at the target.
func park(t *testing.T, s files.Store, p files.Path, content []byte) {
	t.Helper()
	u, err := s.Create(t.Context(), p, files.Want{Size: int64(len(content)) + 1})
	must(t, err)
	_, err = u.Write(content)
	must(t, err)
	must(t, u.Close())
	part, err := s.(files.Parter).Part(t.Context(), p)
	must(t, err)
	if part.Size != int64(len(content)) {
		t.Fatalf("%d bytes were parked of %d", part.Size, len(content))
	}
}

func TestPartOfAnotherVersionIsNeverJoined(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	r := h.dial("alice")
	local := t.TempDir()
	d := disk(t, local)
	content := bytesOf(4, 300_000)
	for i, put := range []bool{true, false} {
		src, dst := files.Store(d), files.Store(r)
		from, to := path(t, fmt.Sprintf("source%d", i)), path(t, fmt.Sprintf("target%d", i))
		dirs := []string{local, h.home("alice")}
		if !put {
			src, dst = dst, src
			dirs[0], dirs[1] = dirs[1], dirs[0]
		}
		write(t, filepath.Join(dirs[0], from.Rel()), content)
		write(t, filepath.Join(dirs[1], to.Rel()), []byte("the old version"))
		other := slices.Clone(content[:200_000])
		other[123_456] ^= 1
		park(t, dst, to, other)
		said := &traced{}
		res, err := client.Copy(t.Context(), src, from, dst, to, client.CopyOptions{Say: said.say})
		must(t, err)
		if !res.Restarted || res.Resumed != 0 || !res.Verified || !strings.Contains(said.String(), "starting over") {
			t.Errorf("put=%v: %+v, said %q", put, res, said)
		}
		if !bytes.Equal(read(t, filepath.Join(dirs[1], to.Rel())), content) {
			t.Errorf("put=%v: two versions were joined", put)
		}
		write(t, filepath.Join(dirs[1], to.Rel()), []byte("the old version"))
		park(t, dst, to, content[:len(content)-1])
		res, err = client.Copy(t.Context(), src, from, dst, to, client.CopyOptions{})
		must(t, err)
		if res.Resumed != int64(len(content)-1) || res.Bytes != 1 || !res.Verified {
			t.Errorf("put=%v, one byte before the end: %+v", put, res)
		}
	}
}

func TestSourceThatChangesMeanwhileIsNoticed(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	r := h.dial("alice")
	local := t.TempDir()
	d := disk(t, local)
	const size = 8 << 20
	for i, put := range []bool{true, false} {
		src, dst, dir := files.Store(d), files.Store(r), local
		if !put {
			src, dst, dir = dst, src, h.home("alice")
		}
		name := fmt.Sprintf("f%d", i)
		source := filepath.Join(dir, name)
		write(t, source, bytesOf(5, size))
		changed := false
		said := &traced{}
		res, err := client.Copy(t.Context(), src, path(t, name), dst, path(t, "t"+name), client.CopyOptions{Say: said.say, Progress: func(p client.Progress) {
			if p.Phase == client.Proving && !changed {
				changed = true
				f, err := os.OpenFile(source, os.O_WRONLY, 0)
				must(t, err)
				_, err = f.WriteAt([]byte("changed"), 10)
				must(t, err)
				must(t, f.Close())
				when := time.Now().Add(time.Hour) // as a later change would have it
				must(t, os.Chtimes(source, when, when))
			}
		}})
		must(t, err)
		if !changed || !strings.Contains(said.String(), "changed while") || !res.Verified {
			t.Errorf("put=%v: %+v, said %q", put, res, said)
		}
		sum := sha256.Sum256(read(t, source))
		if res.Sum != hex.EncodeToString(sum[:]) {
			t.Errorf("put=%v: the old version was published", put)
		}
	}
}

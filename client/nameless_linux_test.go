package client_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sampan/client"
	"sampan/fault"
	"sampan/files"
)

// memoryDir is a directory in memory, where there are files without names, and one in it.
func memoryDir(t *testing.T) (dir, sub string) {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "sampan-test-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	sub = filepath.Join(dir, "sub")
	must(t, os.Mkdir(sub, 0o777))
	return dir, sub
}

func TestSmallFileHasNoNameBeforeItIsWhole(t *testing.T) {
	t.Parallel()
	dir, sub := memoryDir(t)
	d := disk(t, dir)
	f := path(t, "sub/f")
	must(t, create(t, d, f, files.Want{Size: 3}, []byte("ab")).Close())
	wantEntries(t, sub, 0)
	u := create(t, d, f, files.Want{Size: 3}, []byte("abc"))
	wantEntries(t, sub, 0)
	_, err := u.Commit(t.Context(), func() error { return fault.New(fault.Mismatch, "no") })
	wantKind(t, err, fault.Mismatch)
	wantEntries(t, sub, 0)
	write(t, filepath.Join(sub, "like it"), nil)
	like, err := os.Stat(filepath.Join(sub, "like it"))
	must(t, err)
	i, err := create(t, d, f, files.Want{Size: 3}, []byte("abc")).Commit(t.Context(), nil)
	must(t, err)
	if got := string(read(t, filepath.Join(sub, "f"))); got != "abc" || i.Size != 3 || i.Mode != like.Mode() {
		t.Errorf("%q, %+v", got, i)
	}
	wantEntries(t, sub, 2)
}

// TestSmallFileTakesNobodysPlace: what came under its name meanwhile was not looked at.
func TestSmallFileTakesNobodysPlace(t *testing.T) {
	t.Parallel()
	dir, sub := memoryDir(t)
	d := disk(t, dir)
	f := path(t, "sub/f")
	u, unless := create(t, d, f, files.Want{Size: 3}, []byte("abc")), create(t, d, f, files.Want{Size: 3, New: true}, []byte("abc"))
	write(t, filepath.Join(sub, "f"), []byte("theirs"))
	_, err := u.Commit(t.Context(), nil)
	wantKind(t, err, fault.Busy)
	_, err = unless.Commit(t.Context(), nil)
	wantKind(t, err, fault.Exist)
	if got := string(read(t, filepath.Join(sub, "f"))); got != "theirs" {
		t.Errorf("it holds %q", got)
	}
	wantEntries(t, sub, 1)
}

// TestPartOfASmallFileDoesNotOutliveIt: a part has to be taken, or it would stay behind.
func TestPartOfASmallFileDoesNotOutliveIt(t *testing.T) {
	t.Parallel()
	dir, sub := memoryDir(t)
	d := disk(t, dir)
	write(t, filepath.Join(sub, "f.part"), []byte("ol"))
	_, err := create(t, d, path(t, "sub/f"), files.Want{Size: 3}, []byte("new")).Commit(t.Context(), nil)
	must(t, err)
	if got := string(read(t, filepath.Join(sub, "f"))); got != "new" {
		t.Errorf("it holds %q", got)
	}
	wantEntries(t, sub, 1)
}

// TestTwoTreesToOnePlace: each file is there once, whole.
func TestTwoTreesToOnePlace(t *testing.T) {
	t.Parallel()
	from, _ := memoryDir(t)
	dir, _ := memoryDir(t)
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		write(t, filepath.Join(from, "sub", name), []byte(name))
	}
	var both sync.WaitGroup
	for range 2 {
		src, dst := disk(t, from), disk(t, dir)
		both.Go(func() {
			sum, err := client.CopyTree(t.Context(), src, path(t, "sub"), dst, path(t, "got"), client.CopyOptions{}, nil)
			if err != nil || sum.Files+sum.Skipped != 8 {
				t.Errorf("%+v, %v", sum, err)
			}
		})
	}
	both.Wait()
	wantEntries(t, filepath.Join(dir, "got"), 8)
	for _, name := range []string{"a", "h"} {
		if got := string(read(t, filepath.Join(dir, "got", name))); got != name {
			t.Errorf("%s holds %q", name, got)
		}
	}
}

// TestSmallFileBehindNothingIsRefused: what is to go on with something that is not there would be published without its head.
func TestSmallFileBehindNothingIsRefused(t *testing.T) {
	t.Parallel()
	dir, sub := memoryDir(t)
	d := disk(t, dir)
	for _, w := range []files.Want{{From: 5, Size: 10}, {From: 5, Part: true, Size: 10}, {From: 5, Size: -1}, {From: 5, Part: true, Size: -1}} {
		_, err := d.Create(t.Context(), path(t, "sub/f"), w)
		wantKind(t, err, fault.BadOffset)
	}
	wantEntries(t, sub, 0)
}

// TestDirectoriesStayOpenForAMomentOnly, else nobody could unmount them, and few descriptors would be left.
func TestDirectoriesStayOpenForAMomentOnly(t *testing.T) {
	t.Parallel()
	dir, sub := memoryDir(t)
	d := disk(t, dir)
	_, err := create(t, d, path(t, "sub/f"), files.Want{Size: -1}, []byte("x")).Commit(t.Context(), nil)
	must(t, err)
	late := time.Now().Add(20 * time.Second)
	for open := true; open; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("it is open still")
		}
		open = false
		all, err := os.ReadDir("/proc/self/fd")
		must(t, err)
		for _, e := range all {
			at, _ := os.Readlink(filepath.Join("/proc/self/fd", e.Name()))
			open = open || at == sub
		}
	}
}

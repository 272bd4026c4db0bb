package files_test

import (
	"io"
	"io/fs"
	"os"
	"testing"
	"time"

	"sampan/fault"
	"sampan/files"
)

// stores calls fn with each of this package's Stores, with a file "f" of five bytes in it; dir is "" for the one in
// memory.
func stores(t *testing.T, fn func(t *testing.T, s files.Store, f files.Path, dir string)) {
	t.Helper()
	f, err := files.Parse(files.Root, "f")
	if err != nil {
		t.Fatal(err)
	}
	run := func(name string, s files.Store, dir string) {
		t.Run(name, func(t *testing.T) {
			u := create(t, s, f, files.Want{Size: -1}, "hello")
			if _, err := u.Commit(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			fn(t, s, f, dir)
		})
	}
	dir := t.TempDir()
	run("local", openHome(t, dir, files.Options{Strict: true, Quota: -1}).As("alice"), dir)
	run("mem", files.NewMem(-1).As("alice"), "")
}

func create(t *testing.T, s files.Store, p files.Path, w files.Want, content string) files.Upload {
	t.Helper()
	u, err := s.Create(t.Context(), p, w)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	return u
}

// TestAppendThatGotNothingParksNothing: the copy of the file's head would be a part, and refuse the next append.
func TestAppendThatGotNothingParksNothing(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s files.Store, f files.Path, _ string) {
		behind := files.Want{From: 5, Size: -1}
		for _, tried := range []bool{false, true} {
			u := create(t, s, f, behind, "")
			if tried {
				cut := func() error { return fault.New(fault.Cut, "interrupted") }
				if _, err := u.Commit(t.Context(), cut); fault.KindOf(err) != fault.Cut {
					t.Fatal(err)
				}
			}
			if err := u.Close(); err != nil {
				t.Fatal(err)
			}
			if i, err := s.Stat(t.Context(), f); err != nil || i.Part != -1 {
				t.Errorf("a part of %d bytes, %v", i.Part, err)
			}
		}
		if space, err := s.(files.Spacer).Space(t.Context()); err != nil || space.Used != 5 {
			t.Errorf("used %d, %v", space.Used, err)
		}
		if err := create(t, s, f, behind, " you").Close(); err != nil {
			t.Fatal(err)
		}
		if i, err := s.Stat(t.Context(), f); err != nil || i.Part != 9 {
			t.Errorf("a part of %d bytes, %v; want 9", i.Part, err)
		}
	})
}

// TestChmodLocksNobodyOut: without the owner's bits the server itself could neither enter nor count a directory, nor
// open the home again.
func TestChmodLocksNobodyOut(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s files.Store, f files.Path, dir string) {
		none := fs.FileMode(0)
		for _, p := range []files.Path{f, files.Root} {
			if err := s.Set(t.Context(), p, files.Attr{Mode: &none}); err != nil {
				t.Fatal(err)
			}
		}
		if i, err := s.Stat(t.Context(), f); err != nil || i.Mode != 0 {
			t.Errorf("the file has mode %v, %v", i.Mode, err)
		}
		if dir == "" {
			return
		}
		if i, err := os.Stat(dir); err != nil || i.Mode().Perm() != 0o700 {
			t.Errorf("the home has mode %v, %v", i.Mode(), err)
		}
	})
}

// TestTimeThatCannotBeKept is refused, and not turned into another one.
func TestTimeThatCannotBeKept(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s files.Store, f files.Path, _ string) {
		before, err := s.Stat(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, year := range []int{1, 1600, 2263, 9999} {
			when := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
			if err := s.Set(t.Context(), f, files.Attr{ModTime: &when}); fault.KindOf(err) != fault.Syntax || err == nil {
				t.Errorf("year %d: %v", year, err)
			}
		}
		if after, err := s.Stat(t.Context(), f); err != nil || !after.ModTime.Equal(before.ModTime) {
			t.Errorf("the time became %v, %v", after.ModTime, err)
		}
	})
}

// TestAppendUndoesNothing: two append to one file at once. Whoever is told that it is safe finds it there; the other one
// is refused, and not held back by a part when it tries again.
func TestAppendUndoesNothing(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s files.Store, f files.Path, _ string) {
		behind := files.Want{From: 5, Size: -1}
		first, second := create(t, s, f, behind, " one"), create(t, s, f, behind, " two")
		if _, err := second.Commit(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := first.Commit(t.Context(), nil); fault.KindOf(err) != fault.Busy || err == nil {
			t.Errorf("the first: %v", err)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		again := create(t, s, f, files.Want{From: 9, Size: -1}, " one")
		if _, err := again.Commit(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		r, _, err := s.Open(t.Context(), f, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if got, err := io.ReadAll(r); err != nil || string(got) != "hello two one" {
			t.Errorf("%q, %v", got, err)
		}
		gone := create(t, s, f, behind, " three")
		if err := s.Remove(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		if _, err := gone.Commit(t.Context(), nil); fault.KindOf(err) != fault.Busy || err == nil {
			t.Errorf("behind what was removed: %v", err)
		}
		if err := gone.Close(); err != nil {
			t.Fatal(err)
		}
		if space, err := s.(files.Spacer).Space(t.Context()); err != nil || space.Used != 0 {
			t.Errorf("used %d, %v", space.Used, err)
		}
	})
}

//go:build unix

package client_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sampan/client"
	"sampan/fault"
	"sampan/files"
)

func create(t *testing.T, s files.Store, p files.Path, w files.Want, content []byte) files.Upload {
	t.Helper()
	u, err := s.Create(t.Context(), p, w)
	must(t, err)
	_, err = u.Write(content)
	must(t, err)
	return u
}

func TestDiskPublishesWholeFilesOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := disk(t, dir)
	f := path(t, "f")
	write(t, filepath.Join(dir, "f"), []byte("old"))
	u := create(t, d, f, files.Want{Size: -1}, []byte("new version"))
	if string(read(t, filepath.Join(dir, "f"))) != "old" {
		t.Error("the old version is gone before Commit")
	}
	_, err := u.Commit(t.Context(), func() error { return fault.New(fault.Mismatch, "no") })
	wantKind(t, err, fault.Mismatch)
	if string(read(t, filepath.Join(dir, "f"))) != "old" || string(read(t, filepath.Join(dir, "f.part"))) != "new version" {
		t.Error("a Commit that was not sure published, or dropped the part")
	}
	part, err := d.(files.Parter).Part(t.Context(), f)
	must(t, err)
	if sum := sha256.Sum256([]byte("new version")); part.Size != 11 || !bytes.Equal(part.Sum, sum[:]) {
		t.Errorf("part %+v", part)
	}
	_, err = d.Create(t.Context(), f, files.Want{From: 5, Part: true})
	wantKind(t, err, fault.BadOffset)
	_, err = d.Create(t.Context(), f, files.Want{From: 3})
	wantKind(t, err, fault.Busy)
	_, err = d.Create(t.Context(), f, files.Want{New: true})
	wantKind(t, err, fault.Exist)
	u = create(t, d, f, files.Want{From: 11, Part: true, Size: -1}, []byte(" and more"))
	i, err := u.Commit(t.Context(), nil)
	must(t, err)
	if string(read(t, filepath.Join(dir, "f"))) != "new version and more" || i.Size != 20 {
		t.Errorf("%+v", i)
	}
	if _, err := os.Lstat(filepath.Join(dir, "f.part")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the part is still there: %v", err)
	}
	u = create(t, d, f, files.Want{From: 3, Size: -1}, []byte("!"))
	_, err = u.Commit(t.Context(), nil)
	must(t, err)
	if got := string(read(t, filepath.Join(dir, "f"))); got != "new!" {
		t.Errorf("appended to %q", got)
	}
	must(t, create(t, d, path(t, "g"), files.Want{Size: -1}, nil).Close())
	if _, err := os.Lstat(filepath.Join(dir, "g.part")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("an empty part was kept")
	}
}

// TestTwoCopiesToOneNameAreKeptApart: else one would publish what the other has only begun.
func TestTwoCopiesToOneNameAreKeptApart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := disk(t, dir), disk(t, dir)
	f := path(t, "f")
	u := create(t, a, f, files.Want{Size: -1}, []byte("whole"))
	for _, w := range []files.Want{{}, {From: 5, Part: true}} {
		_, err := b.Create(t.Context(), f, w)
		wantKind(t, err, fault.Busy)
	}
	_, err := u.Commit(t.Context(), nil)
	must(t, err)
	u = create(t, a, f, files.Want{Size: -1}, []byte("second"))
	must(t, os.Remove(filepath.Join(dir, "f.part"))) // somebody meddles
	write(t, filepath.Join(dir, "f.part"), []byte("foreign"))
	_, err = u.Commit(t.Context(), nil)
	wantKind(t, err, fault.Busy)
	if got := string(read(t, filepath.Join(dir, "f"))); got != "whole" {
		t.Errorf("%q was published", got)
	}
	var all sync.WaitGroup
	for i := range 3 {
		all.Go(func() {
			src := t.TempDir()
			write(t, filepath.Join(src, "x"), bytesOf(uint64(i), 300_000))
			_, err := client.Copy(t.Context(), disk(t, src), path(t, "x"), disk(t, dir), path(t, "many"), client.CopyOptions{Tries: 100})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	got := read(t, filepath.Join(dir, "many"))
	for i := range 3 {
		if bytes.Equal(got, bytesOf(uint64(i), 300_000)) {
			return
		}
	}
	t.Error("a mixture was published")
}

func TestDiskKinds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := disk(t, dir)
	write(t, filepath.Join(dir, "f"), []byte("x"))
	write(t, filepath.Join(dir, "sub/g"), []byte("x"))
	must(t, os.Symlink("/etc/passwd", filepath.Join(dir, "out")))
	must(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	_, err := d.Stat(t.Context(), path(t, "none"))
	wantKind(t, err, fault.NotExist)
	_, _, err = d.Open(t.Context(), path(t, "sub"), 0)
	wantKind(t, err, fault.IsDir)
	_, _, err = d.Open(t.Context(), path(t, "fifo"), 0)
	wantKind(t, err, fault.Unsupported)
	_, _, err = d.Open(t.Context(), path(t, "f"), 2)
	wantKind(t, err, fault.BadOffset)
	_, _, err = d.Open(t.Context(), path(t, "out"), 0)
	wantKind(t, err, fault.Local)
	_, _, err = d.Open(t.Context(), path(t, "f/x"), 0)
	wantKind(t, err, fault.NotDir)
	wantKind(t, d.Mkdir(t.Context(), path(t, "sub")), fault.Exist)
	wantKind(t, d.Mkdir(t.Context(), path(t, "a/b")), fault.NotExist)
	wantKind(t, d.Remove(t.Context(), path(t, "sub")), fault.NotEmpty)
	wantKind(t, d.Rename(t.Context(), path(t, "f"), path(t, "sub/g"), false), fault.Exist)
	wantKind(t, d.Rename(t.Context(), path(t, "f"), path(t, "sub"), true), fault.Exist)
	for _, err := range d.List(t.Context(), path(t, "f")) {
		wantKind(t, err, fault.NotDir)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = d.(files.Summer).Sum(ctx, path(t, "f"), "SHA-256", 0, -1)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Sum after the end: %v", err)
	}
	if _, err := client.Disk(filepath.Join(dir, "none")); fault.KindOf(err) != fault.NotExist {
		t.Errorf("Disk of nothing: %v", err)
	}
}

func TestDiskListsWhatAPathCannotHoldAsAnErrorBehindTheRest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "bad\nname"), []byte("x"))
	write(t, filepath.Join(dir, "good"), []byte("x"))
	write(t, filepath.Join(dir, files.Hidden, "ours"), []byte("x"))
	var names []string
	var last error
	for i, err := range disk(t, dir).List(t.Context(), files.Root) {
		if last = err; err == nil {
			names = append(names, i.Path.String())
		}
	}
	wantKind(t, last, fault.BadName)
	if strings.Join(names, " ") != "/good" {
		t.Errorf("got %q", names)
	}
}

// TestLongNames: NAME.part would be longer than a name may be.
func TestLongNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := disk(t, dir)
	for _, name := range []string{strings.Repeat("n", 255), strings.Repeat("n", 254) + "m", strings.Repeat("名", 85)} {
		p := path(t, name)
		must(t, create(t, d, p, files.Want{Size: -1}, []byte("head")).Close())
		part, err := d.(files.Parter).Part(t.Context(), p)
		if err != nil || part.Size != 4 {
			t.Fatalf("%+v %v", part, err)
		}
		_, err = create(t, d, p, files.Want{From: 4, Part: true, Size: -1}, []byte(" tail")).Commit(t.Context(), nil)
		must(t, err)
		if string(read(t, filepath.Join(dir, name))) != "head tail" {
			t.Error("not joined")
		}
	}
}

// TestPartIsNeverWrittenThroughALink: whoever can write to the directory must not lead a download elsewhere.
func TestPartIsNeverWrittenThroughALink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := disk(t, dir)
	write(t, filepath.Join(dir, "precious"), []byte("precious"))
	must(t, os.Symlink("precious", filepath.Join(dir, "f.part")))
	_, err := d.Create(t.Context(), path(t, "f"), files.Want{Size: -1})
	wantKind(t, err, fault.Unsupported)
	must(t, os.Remove(filepath.Join(dir, "f.part")))
	must(t, os.Link(filepath.Join(dir, "precious"), filepath.Join(dir, "f.part")))
	must(t, create(t, d, path(t, "f"), files.Want{Size: -1}, []byte("download")).Close())
	if got := string(read(t, filepath.Join(dir, "precious"))); got != "precious" {
		t.Errorf("it holds %q now", got)
	}
}

func TestOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "real/f"), []byte("content"))
	must(t, os.Symlink("real/f", filepath.Join(dir, "link")))
	s, p, err := new(client.Disks).On(filepath.Join(dir, "link"))
	must(t, err)
	defer s.(io.Closer).Close()
	body, _, err := s.Open(t.Context(), p, 0)
	must(t, err)
	defer body.Close()
	if b, err := io.ReadAll(body); err != nil || string(b) != "content" {
		t.Errorf("%q %v", b, err)
	}
	if s, p, err := new(client.Disks).On("/"); err != nil || !p.IsRoot() {
		t.Errorf("%v %v", p, err)
	} else {
		s.(io.Closer).Close()
	}
	_, _, err = new(client.Disks).On(filepath.Join(dir, "none/f"))
	wantKind(t, err, fault.NotExist)
	_, _, err = new(client.Disks).On(filepath.Join(dir, "real/f/g"))
	wantKind(t, err, fault.NotDir)
	if s, p, err := new(client.Disks).On(filepath.Join(dir, "new")); err != nil || p.String() != "/new" {
		t.Errorf("%v %v", p, err)
	} else {
		s.(io.Closer).Close()
	}
}

func TestSetOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := disk(t, dir)
	write(t, filepath.Join(dir, "f"), nil)
	when, mode := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC), fs.FileMode(0o640)
	must(t, d.Set(t.Context(), path(t, "f"), files.Attr{ModTime: &when, Mode: &mode}))
	i, err := d.Stat(t.Context(), path(t, "f"))
	must(t, err)
	if !i.ModTime.Equal(when) || i.Mode != mode {
		t.Errorf("%+v", i)
	}
}

func TestLocalNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ system, name, want string }{
		{"linux", `a:b*?"<>|\ .`, `a:b*?"<>|\ .`},
		{"linux", "CON", "CON"},
		{"darwin", "a:b", "a：b"},
		{"darwin", "CON", "CON"},
		{"windows", `a:b*?"<>|\c`, "a：b＊？＂＜＞｜＼c"},
		{"windows", "ends.", "ends．"},
		{"windows", "ends ", "ends␠"},
		{"windows", "...", "..．"},
		{"windows", "bell\a", "bell␇"},
		{"windows", "CON", ""},
		{"windows", "con.txt", ""},
		{"windows", "Lpt1 .tar.gz", ""},
		{"windows", "COM¹", ""},
		{"windows", "CONSOLE", "CONSOLE"},
		{"windows", "COM10", "COM10"},
		{"windows", "名字", "名字"},
	} {
		got, err := client.LocalName(c.system, c.name)
		if got != c.want || (err != nil) != (c.want == "") || err != nil && fault.KindOf(err) != fault.BadName {
			t.Errorf("%s %q: got %q, %v; want %q", c.system, c.name, got, err, c.want)
		}
	}
	if twin := client.CaseTwin("ReadMe", []string{"x", "README"}); twin != "README" {
		t.Errorf("the twin of ReadMe is %q", twin)
	}
	if twin := client.CaseTwin("README", []string{"ReadMe", "README"}); twin != "" {
		t.Errorf("the twin of README is %q", twin)
	}
	if twin := client.CaseTwin("caf\u00e9", []string{"cafe\u0301"}); twin == "" {
		t.Error("two ways to write é are two names")
	}
}

func TestNamesThatOneDirectoryCannotHold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		system string
		names  []string
		ok     bool
	}{
		{"linux", []string{"a", "A", "a:b", "a：b"}, true},
		{"darwin", []string{"a", "A"}, false},
		{"darwin", []string{"a:b", "a：b"}, false},
		{"windows", []string{"readme", "ReadMe"}, false},
		{"windows", []string{"Ꮟ", "ꮟ"}, false},
		{"windows", []string{"a?", "a？"}, false},
		{"windows", []string{"a", "b"}, true},
	} {
		seen := map[string]string{}
		var err error
		for _, n := range c.names {
			if err == nil {
				err = client.Distinct(c.system, n, seen)
			}
		}
		if (err == nil) != c.ok || err != nil && fault.KindOf(err) != fault.BadName {
			t.Errorf("%s %q: %v", c.system, c.names, err)
		}
	}
}

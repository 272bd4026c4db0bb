package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var errCrash = errors.New("the process is gone")

// world is what a home should hold: files and directories (ending in "/") by name, and alice's parts.
type world struct{ files, parts map[string]string }

func (w world) clone() world { return world{maps.Clone(w.files), maps.Clone(w.parts)} }

// act is one thing that alice does, and what it makes of the world. data is what it may have sent under name.
type act struct {
	name, data string
	run        func(ctx context.Context, l *Local) error
	effect     func(w world)
	told       bool // that it went well
}

func mustPath(name string) Path {
	p, err := Parse(Root, name)
	if err != nil {
		panic(err)
	}
	return p
}

func bytesOf(n int, salt byte) string {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{salt, byte(n), byte(n >> 8)})
	_, _ = r.Read(b)
	return string(b)
}

// upload sends data behind what w keeps, in two writes, and commits or not.
func upload1(name, kept, data string, w Want, commit bool) act {
	a := act{name: name, data: kept + data}
	a.run = func(ctx context.Context, l *Local) (err error) {
		u, err := l.Create(ctx, mustPath(name), w)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, u.Close()) }()
		half := len(data) / 2
		if _, err := io.WriteString(u, data[:half]); err != nil {
			return err
		}
		if _, err := u.(io.ReaderFrom).ReadFrom(strings.NewReader(data[half:])); err != nil {
			return err
		}
		if commit {
			_, err = u.Commit(ctx, nil)
		}
		return err
	}
	a.effect = func(w world) {
		if commit {
			w.files[name] = kept + data
			delete(w.parts, name)
		} else if kept+data != "" {
			w.parts[name] = kept + data
		}
	}
	return a
}

func put(name, data string) act { return upload1(name, "", data, Want{Size: -1}, true) }
func cut(name, data string) act { return upload1(name, "", data, Want{Size: -1}, false) }
func more(name, kept, data string, part, commit bool) act {
	return upload1(name, kept, data, Want{From: int64(len(kept)), Size: -1, Part: part}, commit)
}

func mkdirAct(name string) act {
	return act{
		run:    func(ctx context.Context, l *Local) error { return l.Mkdir(ctx, mustPath(name)) },
		effect: func(w world) { w.files[name+"/"] = "" },
	}
}

func removeAct(name string) act {
	return act{
		run: func(ctx context.Context, l *Local) error { return l.Remove(ctx, mustPath(name)) },
		effect: func(w world) {
			for _, m := range []map[string]string{w.files, w.parts} {
				maps.DeleteFunc(m, func(k, _ string) bool { return mustPath(name).Holds(mustPath(k)) })
			}
		},
	}
}

func renameAct(from, to string) act {
	return act{
		run: func(ctx context.Context, l *Local) error { return l.Rename(ctx, mustPath(from), mustPath(to), true) },
		effect: func(w world) {
			delete(w.parts, from)
			delete(w.parts, to)
			for _, m := range []map[string]string{w.files, w.parts} {
				for k, v := range maps.Clone(m) {
					if k == from || strings.HasPrefix(k, from+"/") {
						delete(m, k)
						m[to+k[len(from):]] = v
					}
				}
			}
		},
	}
}

// story touches every way in which names and bytes change.
func story() []act {
	a, b, c := bytesOf(3000, 1), bytesOf(5000, 2), bytesOf(700, 3)
	return []act{
		put("a", a),
		put("a", b),
		more("a", b, c, false, true),
		more("a", b[:100], c, false, true),
		cut("b", a),
		more("b", a, b, true, false),
		more("b", a+b, c, true, true),
		cut("b", c),
		put("b", a),
		cut("a", b),
		cut("a", c),
		mkdirAct("d"),
		put("d/x", c),
		cut("d/y", b),
		mkdirAct("d/e"),
		renameAct("d", "f"),
		more("f/y", b, c, true, false),
		renameAct("a", "f/x"),
		removeAct("b"),
		put("empty", ""),
		removeAct("f/e"),
		cut("g", a),
		removeAct("g"),
		removeAct("empty"),
	}
}

// home of the tests: on a file system in memory where there is one, for the tests sync a lot.
func tempHome(t testing.TB) string {
	t.Helper()
	if fi, err := os.Stat("/dev/shm"); err != nil || !fi.IsDir() {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("/dev/shm", "sampan")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// abandon leaves the home as a killed process does.
func (h *Home) abandon() { h.shut() }

// onDisk reads what is under a home by other ways than the Store's: names with their content, and the bytes of all
// regular files but the ledger.
func onDisk(t testing.TB, dir string) (names map[string]string, total int64) {
	t.Helper()
	names = map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, name)
		rel = filepath.ToSlash(rel)
		ours := rel == Hidden || strings.HasPrefix(rel, Hidden+"/")
		if d.IsDir() {
			if !ours {
				names[rel+"/"] = ""
			}
			return nil
		}
		if filepath.Dir(rel) == Hidden || !d.Type().IsRegular() { // what Sampan notes for itself
			return nil
		}
		b, err := os.ReadFile(name)
		total += int64(len(b))
		if !ours {
			names[rel] = string(b)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names, total
}

// checkUsed holds the books against the disk.
func checkUsed(t testing.TB, h *Home, dir string) {
	t.Helper()
	_, total := onDisk(t, dir)
	sp, err := h.Space(context.Background())
	if err != nil || sp.Used != total || h.slack != 0 {
		t.Fatalf("used is %d (%d of it granted), the disk has %d (%v)", sp.Used, h.slack, total, err)
	}
}

// partsOf reads alice's parts from the disk.
func (h *Home) partsOf(t testing.TB, owner string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for e := range h.parts.all {
		k := e.key()
		f, err := h.openOwn(h.part, e)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		f.Close()
		if err != nil || int64(len(b)) != e.size {
			t.Fatalf("part of %s: %d bytes, the entry says %d (%v)", k.path, len(b), e.size, err)
		}
		if k.owner == owner {
			found[k.path.Rel()] = string(b)
		}
	}
	return found
}

// crashAt plays the story until step k, and returns the world as it was told by then, the act that failed, and whether
// the story went to its end.
func crashAt(t testing.TB, dir string, o Options, boot string, k int) (sure world, failed *act, end bool) {
	t.Helper()
	sure = world{map[string]string{}, map[string]string{}}
	steps := 0
	h, err := openHome(dir, o, boot, func(string) error {
		if steps++; steps >= k {
			return errCrash
		}
		return nil
	})
	if err != nil {
		if !errors.Is(err, errCrash) {
			t.Fatalf("step %d: OpenHome: %v", k, err)
		}
		return sure, nil, false
	}
	defer h.abandon()
	l := h.As("alice")
	for i, a := range story() {
		if err := a.run(context.Background(), l); err != nil {
			if steps < k {
				t.Fatalf("act %d: %v", i, err)
			}
			return sure, &a, false
		}
		if steps >= k { // what failed need not be told, such as a part that could not be removed
			a.told = true
			return sure, &a, false
		}
		a.effect(sure)
	}
	return sure, nil, true
}

// checkWorld holds the disk against what alice was told.
func checkWorld(t testing.TB, h *Home, dir string, sure world, failed *act, power bool) {
	t.Helper()
	names, _ := onDisk(t, dir)
	parts := h.partsOf(t, "alice")
	before, after := sure, sure.clone()
	if failed != nil {
		failed.effect(after)
	}
	now := before
	if !maps.Equal(names, before.files) || failed != nil && failed.told {
		now = after
	}
	if !maps.Equal(names, now.files) {
		t.Fatalf("names are %v, want %v or %v", keys(names), keys(before.files), keys(after.files))
	}
	for name, data := range parts {
		if data != before.parts[name] && data != after.parts[name] &&
			!(failed != nil && name == failed.name && strings.HasPrefix(failed.data, data)) {
			t.Errorf("part of %s has %d bytes that nobody sent so", name, len(data))
		}
	}
	if maps.Equal(now.files, after.files) && !maps.Equal(before.files, after.files) || failed != nil && failed.told {
		return // parts may have gone with the act
	}
	for name, data := range before.parts {
		got, ok := parts[name]
		began := failed != nil && name == failed.name && !strings.HasPrefix(failed.data, data) // it starts anew
		renamed := failed != nil && failed.name == ""
		if !ok && !began && !renamed || !began && len(got) < len(data) && ok {
			t.Errorf("part of %s has %d bytes, want at least %d (power cut: %t)", name, len(got), len(data), power)
		}
	}
}

func keys(m map[string]string) []string {
	var out []string
	for k, v := range m {
		out = append(out, fmt.Sprintf("%s:%d", k, len(v)))
	}
	return out
}

// TestCrashAtEveryStep kills the process, as it were, before each step that changes the disk, and again before each
// step of the recovery.
func TestCrashAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		strict, power bool
	}{{"fast", false, false}, {"fast, another boot", false, true}, {"strict", true, false}, {"strict, another boot", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := Options{Strict: c.strict, Quota: -1}
			next := "boot 1"
			if c.power {
				next = "boot 2"
			}
			for k := 1; ; k++ {
				dir := filepath.Join(tempHome(t), "home")
				sure, failed, end := crashAt(t, dir, o, "boot 1", k)
				for again := 1; ; again++ { // the recovery is cut, too
					if h, err := crashedOpen(dir, o, next, again); err == nil {
						h.abandon()
						break
					}
				}
				h, err := openHome(dir, o, next, nil)
				if err != nil {
					t.Fatalf("step %d: %v", k, err)
				}
				checkUsed(t, h, dir)
				if c.strict || !c.power {
					checkWorld(t, h, dir, sure, failed, c.power)
				}
				if names, _ := os.ReadDir(filepath.Join(dir, Hidden, "stage")); len(names) > 0 {
					t.Errorf("step %d: %d stages are left", k, len(names))
				}
				if err := h.Close(); err != nil {
					t.Errorf("step %d: Close: %v", k, err)
				}
				if t.Failed() {
					t.Fatalf("step %d", k)
				}
				os.RemoveAll(dir)
				if end {
					t.Logf("%d steps", k-1)
					return
				}
			}
		})
	}
}

func crashedOpen(dir string, o Options, boot string, k int) (*Home, error) {
	steps := 0
	return openHome(dir, o, boot, func(string) error {
		if steps++; steps >= k {
			return errCrash
		}
		return nil
	})
}

package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sampan/fault"
)

// stepper is a hook: it notes the steps and fails those that are named in fail.
type stepper struct {
	mu    sync.Mutex
	steps []string
	fail  map[string]error
}

func (s *stepper) step(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = append(s.steps, name)
	return s.fail[name]
}

// reset forgets the steps and names those that fail with EIO from now on.
func (s *stepper) reset(fail ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps, s.fail = nil, map[string]error{}
	for _, name := range fail {
		s.fail[name] = syscall.EIO
	}
}

func steppedHome(t *testing.T, o Options) (*Home, *stepper) {
	t.Helper()
	s := &stepper{}
	h, err := openHome(filepath.Join(tempHome(t), "h"), o, "boot", s.step)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.reset()
		checkUsed(t, h, h.root.Name())
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		h, err := openHome(h.root.Name(), o, "boot", nil)
		if err != nil {
			t.Fatal(err)
		}
		checkUsed(t, h, h.root.Name())
		h.Close()
	})
	return h, s
}

func read(t *testing.T, h *Home, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(h.root.Name(), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// begin starts an upload of data.
func begin(t *testing.T, h *Home, name, data string) Upload {
	t.Helper()
	u, err := h.As("a").Create(t.Context(), mustPath(name), Want{Size: -1})
	if err == nil {
		_, err = io.WriteString(u, data)
	}
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestCommitOrder(t *testing.T) {
	t.Parallel()
	h, s := steppedHome(t, Options{Strict: true, Quota: -1})
	u := begin(t, h, "x", "one")
	s.reset()
	_, err := u.Commit(t.Context(), func() error {
		if len(s.steps) != 1 {
			t.Errorf("sure is called after %q", s.steps)
		}
		return nil
	})
	want := []string{"sync data", "ledger", "sync ledger", "rename", "sync directory"}
	if err != nil || !slices.Equal(s.steps, want) {
		t.Errorf("%v; steps are %q, want %q", err, s.steps, want)
	}
	s.reset()
	want = []string{"ledger", "sync ledger", "remove", "sync directory", "ledger"}
	if err := h.As("a").Remove(t.Context(), mustPath("x")); err != nil || !slices.Equal(s.steps, want) {
		t.Errorf("%v; steps are %q, want %q", err, s.steps, want)
	}
	s.reset()
	if err := h.As("a").Mkdir(t.Context(), mustPath("d")); err != nil || !slices.Equal(s.steps, []string{"mkdir", "sync directory"}) {
		t.Errorf("%v; steps are %q", err, s.steps)
	}
	s.reset()
	want = []string{"ledger", "sync ledger", "rename", "sync directory", "ledger"}
	if err := h.As("a").Rename(t.Context(), mustPath("d"), mustPath("e"), false); err != nil || !slices.Equal(s.steps, want) {
		t.Errorf("%v; steps are %q, want %q", err, s.steps, want)
	}
}

// TestNameTakenMeanwhile: an upload to a free name finds out by its rename that somebody took the name, replaces what is
// there like any other, and knows how many bytes went.
func TestNameTakenMeanwhile(t *testing.T) {
	t.Parallel()
	h, s := steppedHome(t, Options{Strict: true, Quota: -1})
	for _, meanwhile := range []func(name string) error{
		func(name string) error {
			return put(name, "another upload").run(t.Context(), h.As("b"))
		},
		func(name string) error {
			return os.Symlink("nowhere", filepath.Join(h.root.Name(), name))
		},
	} {
		u := begin(t, h, "x", "one")
		if err := meanwhile("x"); err != nil {
			t.Fatal(err)
		}
		s.reset()
		commit(t, u)
		want := []string{"sync data", "ledger", "sync ledger", "rename", "ledger", "ledger", "sync ledger", "rename", "sync directory"}
		if !slices.Equal(s.steps, want) {
			t.Errorf("steps are %q, want %q", s.steps, want)
		}
		if got := read(t, h, "x"); got != "one" {
			t.Errorf("x holds %q", got)
		}
		checkUsed(t, h, h.root.Name())
		if err := h.As("a").Remove(t.Context(), mustPath("x")); err != nil {
			t.Fatal(err)
		}
	}

	u, err := h.As("a").Create(t.Context(), mustPath("new"), Want{Size: -1, New: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.root.Name(), "new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Commit(t.Context(), nil); fault.KindOf(err) != fault.Exist {
		t.Errorf("who wanted the name new is told %v", err)
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestFailedDataSyncDropsTheStage(t *testing.T) {
	t.Parallel()
	h, s := steppedHome(t, Options{Strict: true, Quota: -1})
	l := h.As("a")
	if _, err := begin(t, h, "x", "old").Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	u := begin(t, h, "x", "new and longer")
	s.reset("sync data")
	if _, err := u.Commit(t.Context(), nil); err == nil || fault.KindOf(err) == fault.Durability {
		t.Errorf("Commit: %v", err)
	}
	s.reset()
	if _, err := u.Commit(t.Context(), nil); err == nil {
		t.Error("Commit was tried again")
	}
	if err := u.Close(); err != nil {
		t.Error(err)
	}
	if _, err := l.Part(t.Context(), mustPath("x")); fault.KindOf(err) != fault.NotExist {
		t.Errorf("Part: %v", err)
	}
	if got := read(t, h, "x"); got != "old" {
		t.Errorf("the file has %q", got)
	}
}

func TestFailedDirectorySyncIsDurability(t *testing.T) {
	t.Parallel()
	h, s := steppedHome(t, Options{Strict: true, Quota: -1})
	u := begin(t, h, "x", "new")
	s.reset("sync directory")
	if _, err := u.Commit(t.Context(), nil); fault.KindOf(err) != fault.Durability {
		t.Errorf("Commit: %v", err)
	}
	if err := u.Close(); err != nil {
		t.Error(err)
	}
	if got := read(t, h, "x"); got != "new" {
		t.Errorf("the file has %q", got)
	}
	if err := h.As("a").Mkdir(t.Context(), mustPath("d")); fault.KindOf(err) != fault.Durability {
		t.Errorf("Mkdir: %v", err)
	}
}

// TestFailuresBeforeTheRename: whatever fails before the rename, the old version stays and the new one is parked, and
// when the disk works again all goes on.
func TestFailuresBeforeTheRename(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"ledger", "sync ledger", "rename"} {
		h, s := steppedHome(t, Options{Strict: true, Quota: -1})
		if _, err := begin(t, h, "x", "old").Commit(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		u := begin(t, h, "x", "newer")
		s.reset(step)
		if _, err := u.Commit(t.Context(), nil); err == nil || fault.KindOf(err) == fault.Durability {
			t.Errorf("%s: Commit: %v", step, err)
		}
		s.reset()
		if err := u.Close(); err != nil {
			t.Errorf("%s: Close: %v", step, err)
		}
		if got := read(t, h, "x"); got != "old" {
			t.Errorf("%s: the file has %q", step, got)
		}
		l := h.As("a")
		u, err := l.Create(t.Context(), mustPath("x"), Want{From: 5, Size: -1, Part: true})
		if err != nil {
			t.Fatalf("%s: resume: %v", step, err)
		}
		if _, err := u.Commit(t.Context(), nil); err != nil {
			t.Errorf("%s: %v", step, err)
		}
		if got := read(t, h, "x"); got != "newer" {
			t.Errorf("%s: the file has %q", step, got)
		}
	}
}

func TestFailedWritesAndCreates(t *testing.T) {
	t.Parallel()
	h, s := steppedHome(t, Options{Strict: true, Quota: -1})
	u := begin(t, h, "x", "good")
	s.reset("write")
	if n, err := io.WriteString(u, "bad"); n != 0 || err == nil {
		t.Errorf("Write: %d, %v", n, err)
	}
	s.reset("create", "mkdir", "remove")
	if _, err := h.As("a").Create(t.Context(), mustPath("y"), Want{Size: -1}); err == nil {
		t.Error("Create went well")
	}
	if err := h.As("a").Mkdir(t.Context(), mustPath("d")); err == nil {
		t.Error("Mkdir went well")
	}
	s.reset()
	if err := u.Close(); err != nil {
		t.Error(err)
	}
	if i, err := h.As("a").Part(t.Context(), mustPath("x")); err != nil || i.Size != 4 {
		t.Errorf("the part has %d bytes, %v", i.Size, err)
	}
}

// TestGroupCommit: what arrives while a batch is under way shares the next one, with one sync of the ledger and one of
// the directory.
func TestGroupCommit(t *testing.T) {
	t.Parallel()
	const n = 8
	var h *Home
	var renames, syncs, dirs atomic.Int64
	h, err := openHome(filepath.Join(tempHome(t), "h"), Options{Strict: true, Quota: -1}, "boot", func(step string) error {
		switch step {
		case "rename":
			if renames.Add(1) == 1 { // the first batch waits until all others have queued up
				for h.queue.len() < n-1 {
					runtime.Gosched()
				}
			}
		case "sync ledger":
			syncs.Add(1)
		case "sync directory":
			dirs.Add(1)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range n {
		u := begin(t, h, fmt.Sprint("f", i), strings.Repeat("x", i))
		all.Go(func() {
			if _, err := u.Commit(t.Context(), nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if syncs.Load() != 2 || dirs.Load() != 2 {
		t.Errorf("%d commits took %d syncs of the ledger and %d of the directory, want 2 and 2", n, syncs.Load(), dirs.Load())
	}
	checkUsed(t, h, h.root.Name())
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// TestTwoWaysToOneName: a link to a directory gives a file two names; changes by both at once are counted right.
func TestTwoWaysToOneName(t *testing.T) {
	t.Parallel()
	h, _ := steppedHome(t, Options{Strict: true, Quota: -1})
	if err := h.As("a").Mkdir(t.Context(), mustPath("d")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("d", filepath.Join(h.root.Name(), "link")); err != nil {
		t.Fatal(err)
	}
	for round := range 20 {
		var all sync.WaitGroup
		for i, name := range []string{"d/x", "link/x", "d/x", "link/x"} {
			u := begin(t, h, name, strings.Repeat("x", 1+round+i))
			all.Go(func() {
				if _, err := u.Commit(t.Context(), nil); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		checkUsed(t, h, h.root.Name())
	}
}

func TestOneProcessAtATime(t *testing.T) {
	t.Parallel()
	h, _ := steppedHome(t, Options{Quota: -1})
	if _, err := OpenHome(h.root.Name(), Options{Quota: -1}); fault.KindOf(err) != fault.Busy {
		t.Errorf("a second OpenHome: %v", err)
	}
}

func TestFirstOpenCounts(t *testing.T) {
	t.Parallel()
	dir := tempHome(t)
	for name, n := range map[string]int{"a": 10, "d/b": 20, "d/e/c": 30} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h, err := OpenHome(dir, Options{Quota: 100})
	if err != nil {
		t.Fatal(err)
	}
	checkUsed(t, h, dir)
	if err := os.WriteFile(filepath.Join(dir, "past us"), make([]byte, 7), 0o600); err != nil {
		t.Fatal(err)
	}
	recorded, counted, err := h.Check(t.Context(), false)
	if recorded != 60 || counted != 67 || err != nil {
		t.Errorf("Check: %d recorded, %d counted, %v", recorded, counted, err)
	}
	if recorded, _, err = h.Check(t.Context(), true); recorded != 60 || err != nil {
		t.Errorf("Check: %d recorded, %v", recorded, err)
	}
	checkUsed(t, h, dir)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if h, err = OpenHome(dir, Options{Quota: 100}); err != nil {
		t.Fatal(err)
	}
	checkUsed(t, h, dir)
	h.Close()
	// A ledger with a damaged record inside is not trusted: the home is counted, and parts stay.
	if h, err = OpenHome(dir, Options{Quota: 1000}); err != nil {
		t.Fatal(err)
	}
	if err := cut("x", "part").run(t.Context(), h.As("alice")); err != nil {
		t.Fatal(err)
	}
	if err := put("y", "whole").run(t.Context(), h.As("alice")); err != nil {
		t.Fatal(err)
	}
	h.abandon()
	ledger := filepath.Join(dir, Hidden, "ledger")
	text, err := os.ReadFile(ledger)
	if err != nil {
		t.Fatal(err)
	}
	text[strings.Index(string(text), "C 1")+1] ^= 1
	if err := os.WriteFile(ledger, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if h, err = OpenHome(dir, Options{Quota: 1000}); err != nil {
		t.Fatal(err)
	}
	checkUsed(t, h, dir)
	h.Close()
}

func TestExpire(t *testing.T) {
	t.Parallel()
	h, _ := steppedHome(t, Options{Quota: -1, PartAge: time.Hour})
	for name, age := range map[string]time.Duration{"old": 2 * time.Hour, "young": time.Minute} {
		if err := cut(name, "data").run(t.Context(), h.As("a")); err != nil {
			t.Fatal(err)
		}
		h.parts.get(owned{"a", mustPath(name)}).time = time.Now().Add(-age)
	}
	if n, err := h.Expire(t.Context()); n != 1 || err != nil {
		t.Errorf("%d went, %v", n, err)
	}
	if got := h.partsOf(t, "a"); len(got) != 1 || got["young"] != "data" {
		t.Errorf("left are %v", got)
	}
}

// TestLedgerStaysShort: it is written anew when it gets long, also by uploads that are never committed.
func TestLedgerStaysShort(t *testing.T) {
	t.Parallel()
	h, s := steppedHome(t, Options{Quota: -1})
	long := strings.Repeat("n", 250)
	for i := range 6000 {
		u, err := h.As("a").Create(t.Context(), mustPath(long+fmt.Sprint(i%9)), Want{Size: -1})
		if err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			_, err = u.Commit(t.Context(), nil)
		}
		if err = errors.Join(err, u.Close()); err != nil {
			t.Fatal(err)
		}
	}
	fi, err := os.Stat(filepath.Join(h.root.Name(), Hidden, "ledger"))
	if err != nil || fi.Size() > 1100<<10 || !slices.Contains(s.steps, "rename ledger") {
		t.Errorf("the ledger has %d bytes, %v", fi.Size(), err)
	}
}

// TestWaitForGrants: who finds the quota full waits for what others were granted, and not for ever.
func TestWaitForGrants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &Home{quota: 100}
		if got, _ := h.reserve(80, 80); got != 80 {
			t.Fatalf("got %d of 80", got)
		}
		go func() {
			time.Sleep(time.Second)
			h.giveBack(70)
		}()
		start := time.Now()
		if got, _ := h.reserve(50, 50); got != 50 || time.Since(start) != time.Second {
			t.Errorf("got %d after %v", got, time.Since(start))
		}
		start = time.Now()
		if got, missing := h.reserve(50, 50); got != 0 || missing != 10 || time.Since(start) != patience {
			t.Errorf("got %d, %d missing after %v", got, missing, time.Since(start))
		}
		h.wrote(60)
		start = time.Now()
		if got, missing := h.reserve(50, 60); got != 0 || missing != 10 || time.Since(start) != 0 {
			t.Errorf("got %d, %d missing after %v", got, missing, time.Since(start))
		}
	})
}

// TestClosedHome: nothing begins after Close, and an upload that was open is parked by the next OpenHome.
func TestClosedHome(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(tempHome(t), "h")
	h, err := OpenHome(dir, Options{Quota: -1})
	if err != nil {
		t.Fatal(err)
	}
	u := begin(t, h, "x", "so far")
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := h.As("a").Create(context.Background(), mustPath("y"), Want{Size: -1}); fault.KindOf(err) != fault.Stopped {
		t.Errorf("Create: %v", err)
	}
	if _, err := u.Commit(context.Background(), nil); fault.KindOf(err) != fault.Stopped {
		t.Errorf("Commit: %v", err)
	}
	if err := u.Close(); err == nil {
		t.Error("Close of the upload says that it was parked")
	}
	if h, err = OpenHome(dir, Options{Quota: -1}); err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if got := h.partsOf(t, "a"); got["x"] != "so far" {
		t.Errorf("parts are %v", got)
	}
	checkUsed(t, h, dir)
}

// TestHugeOffsets: an offset near the end of what can be counted upsets neither the books nor the upload.
func TestHugeOffsets(t *testing.T) {
	t.Parallel()
	h, _ := steppedHome(t, Options{Quota: -1})
	for range 3 {
		u := begin(t, h, "x", "good")
		for _, off := range []int64{1<<63 - 1, -1} {
			if _, err := u.WriteAt([]byte("x"), off); fault.KindOf(err) != fault.BadOffset {
				t.Errorf("WriteAt(%d): %v", off, err)
			}
		}
		for _, off := range []int64{1<<62 + 1, 1<<63 - 2} { // some file systems can
			_, _ = u.WriteAt([]byte("x"), off)
		}
		if sp, err := h.Space(t.Context()); sp.Used < 4 || err != nil {
			t.Errorf("used is %d, %v", sp.Used, err)
		}
		if err := u.Close(); err != nil {
			t.Error(err)
		}
		checkUsed(t, h, h.root.Name())
	}
	if got := h.partsOf(t, "a"); got["x"] != "good" {
		t.Errorf("parts are %v", got)
	}
}

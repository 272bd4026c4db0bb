package files

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// reads counts how often the home's content was read to be hashed.
func (s *stepper) reads() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, step := range s.steps {
		if step == "read to hash" {
			n++
		}
	}
	return n
}

// receive uploads data as it comes over TLS: through our hands.
func receive(t *testing.T, h *Home, name, data string, w Want) Upload {
	t.Helper()
	u, err := h.As("a").Create(t.Context(), mustPath(name), w)
	if err == nil {
		_, err = u.(io.ReaderFrom).ReadFrom(struct{ io.Reader }{strings.NewReader(data)})
	}
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func commit(t *testing.T, u Upload) {
	t.Helper()
	if _, err := u.Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}

// hashed checks the hash of name against the disk and returns how many reads it cost.
func hashed(t *testing.T, h *Home, s *stepper, name string) int {
	t.Helper()
	before := s.reads()
	sum, err := h.As("a").Sum(t.Context(), mustPath(name), sha256Name, 0, -1)
	if want := sha256.Sum256([]byte(read(t, h, name))); err != nil || !bytes.Equal(sum, want[:]) {
		t.Fatalf("the hash of %s is %x, %v; its bytes have %x", name, sum, err, want)
	}
	return s.reads() - before
}

// tickOn waits until a change has a later ctime than the file has.
func tickOn(t *testing.T, name string) {
	t.Helper()
	was, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(filepath.Dir(name), "other")
	for {
		if err := os.WriteFile(other, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if now, err := os.Stat(other); err == nil && infoNode(now).ctime > infoNode(was).ctime {
			break
		}
	}
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
}

// TestHashAtWrite: the hash of an upload that went through our hands is known without reading it, unless it is small and
// nobody said that the hash will be asked for.
func TestHashAtWrite(t *testing.T) {
	t.Parallel()
	h, s := steppedHome(t, Options{Quota: -1})
	for _, n := range []int{0, 1, leastSum - 1, leastSum, leastSum + 1, 256 << 10, 1<<20 + 1, patient + 1} {
		data := bytesOf(n, 1)
		for _, w := range []Want{{Size: -1}, {Size: -1, Sum: true}} {
			u := receive(t, h, "f", data[:n/3], w)
			if _, err := u.(io.ReaderFrom).ReadFrom(struct{ io.Reader }{strings.NewReader(data[n/3 : n/2])}); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(u, data[n/2:]); err != nil {
				t.Fatal(err)
			}
			commit(t, u)
			want := sha256.Sum256([]byte(data))
			if sum := u.(Hashed).Sum(); !bytes.Equal(sum, want[:]) && (sum != nil || n >= leastSum || w.Sum) {
				t.Errorf("%d bytes: the upload says %x, want %x", n, sum, want)
			}
			if got := hashed(t, h, s, "f"); got > 0 && n >= leastSum {
				t.Errorf("%d bytes: %d reads", n, got)
			}
			f, _, err := h.As("a").Open(t.Context(), mustPath("f"), 0)
			if err != nil {
				t.Fatal(err)
			}
			if known := h.As("a").Known(f); (known != nil) != (n >= leastSum) {
				t.Errorf("%d bytes: known is %x", n, known)
			}
			f.Close()
		}
	}
}

// TestHashOfWritesAt: what is written in order is hashed on the way, as it comes over SFTP; what is not has the hash of its bytes
// all the same.
func TestHashOfWritesAt(t *testing.T) {
	t.Parallel()
	const size = 5 << 20 // never given up
	data := bytesOf(size, 1)
	// write writes b in pieces of n bytes.
	write := func(u Upload, from, to, n int) error {
		for ; from < to; from += n {
			if _, err := u.WriteAt([]byte(data[from:min(from+n, to)]), int64(from)); err != nil {
				return err
			}
		}
		return nil
	}
	then := time.Unix(1_500_000_000, 0)
	for name, c := range map[string]struct {
		write func(u Draft) error
		known string // yes, no, or as it comes
	}{
		"small pieces":    {func(u Draft) error { return write(u, 0, size, 32<<10) }, "yes"},
		"large pieces":    {func(u Draft) error { return write(u, 0, size, 255<<10) }, "yes"},
		"larger than all": {func(u Draft) error { return write(u, 0, size, 1<<20+1) }, "yes"},
		"appended between": {func(u Draft) error {
			_, err := u.Write([]byte(data[:1000]))
			return errors.Join(err, write(u, 1000, size, 100_000))
		}, "yes"},
		"with another time": {func(u Draft) error { return errors.Join(write(u, 0, size, 100_000), u.Set(Attr{ModTime: &then})) }, "yes"},
		"the end first":     {func(u Draft) error { return errors.Join(write(u, size/2, size, 100_000), write(u, 0, size/2, 100_000)) }, "no"},
		"the head again":    {func(u Draft) error { return errors.Join(write(u, 0, size, 100_000), write(u, 0, 10, 10)) }, "no"},
		"cut and gone on": {func(u Draft) error {
			return errors.Join(write(u, 0, size, 100_000), u.Truncate(size/2), write(u, size/2, size, 100_000))
		}, "no"},
		"many at once": {func(u Draft) error {
			var all sync.WaitGroup
			errs := make([]error, 4)
			for i := range errs {
				all.Go(func() { errs[i] = write(u, i*size/4, (i+1)*size/4, 70_000) })
			}
			all.Wait()
			return errors.Join(errs...)
		}, "as it comes"},
	} {
		h, s := steppedHome(t, Options{Quota: -1})
		u, err := h.As("a").Create(t.Context(), mustPath("f"), Want{Size: -1})
		if err == nil {
			err = c.write(u.(Draft))
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		commit(t, u)
		if n := hashed(t, h, s, "f"); n > 0 && c.known == "yes" || n == 0 && c.known == "no" {
			t.Errorf("%s: %d reads to hash", name, n)
		}
	}
}

// TestHashFollows: whatever happens to a file, its hash is that of its bytes; and what Sampan itself did to it does not make
// it read again.
func TestHashFollows(t *testing.T) {
	t.Parallel()
	const size = 200 << 10
	f, g, more := bytesOf(size, 1), bytesOf(size, 2), bytesOf(70<<10, 3)
	old := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	mode := os.FileMode(0o600)
	type scene struct {
		t   *testing.T
		h   *Home
		l   *Local
		on  string // the file on the disk
		ask string // whose hash is asked for
	}
	outside := func(c *scene, data string, off int64) {
		w, err := os.OpenFile(c.on, os.O_WRONLY, 0)
		if err == nil {
			_, err = w.WriteAt([]byte(data), off)
		}
		if err != nil || w.Close() != nil {
			c.t.Fatal(err)
		}
	}
	check := func(c *scene, err error) {
		if c.t.Helper(); err != nil {
			c.t.Fatal(err)
		}
	}
	for name, act := range map[string]struct {
		free bool // no read is needed
		do   func(c *scene)
	}{
		"nothing":                   {true, func(*scene) {}},
		"overwrite":                 {true, func(c *scene) { commit(c.t, receive(c.t, c.h, "f", g, Want{Size: size})) }},
		"append":                    {false, func(c *scene) { commit(c.t, receive(c.t, c.h, "f", more, Want{From: size, Size: -1})) }},
		"rest in the middle":        {false, func(c *scene) { commit(c.t, receive(c.t, c.h, "f", more, Want{From: size / 2, Size: -1})) }},
		"nothing behind the middle": {false, func(c *scene) { commit(c.t, receive(c.t, c.h, "f", "", Want{From: size / 2, Size: -1})) }},
		"rest behind a part": {true, func(c *scene) {
			check(c, receive(c.t, c.h, "f", g[:size/2], Want{Size: -1}).Close())
			commit(c.t, receive(c.t, c.h, "f", g[size/2:], Want{From: size / 2, Part: true, Size: -1}))
		}},
		"written in disorder": {false, func(c *scene) {
			u := receive(c.t, c.h, "f", g[:100<<10], Want{Size: -1})
			for _, off := range []int{150 << 10, 100 << 10, 50 << 10} {
				_, err := u.WriteAt([]byte(more[:50<<10]), int64(off))
				check(c, err)
			}
			commit(c.t, u)
		}},
		"cut before it is published": {false, func(c *scene) {
			u := receive(c.t, c.h, "f", g, Want{Size: -1}).(Draft)
			check(c, u.Truncate(size/2))
			_, err := io.WriteString(u, more)
			check(c, err)
			commit(c.t, u)
		}},
		"dressed before it is published": {true, func(c *scene) {
			u := receive(c.t, c.h, "f", g, Want{Size: -1}).(Draft)
			check(c, u.Set(Attr{Mode: &mode, ModTime: &old}))
			commit(c.t, u)
			if i, err := c.l.Stat(c.t.Context(), mustPath("f")); err != nil || !i.ModTime.Equal(old) {
				c.t.Errorf("%+v, %v", i, err)
			}
		}},
		"chmod": {true, func(c *scene) { check(c, c.l.Set(c.t.Context(), mustPath("f"), Attr{Mode: &mode})) }},
		"mfmt":  {true, func(c *scene) { check(c, c.l.Set(c.t.Context(), mustPath("f"), Attr{ModTime: &old})) }},
		"both":  {true, func(c *scene) { check(c, c.l.Set(c.t.Context(), mustPath("f"), Attr{Mode: &mode, ModTime: &old})) }},
		"rename": {true, func(c *scene) {
			check(c, c.l.Rename(c.t.Context(), mustPath("f"), mustPath("x"), false))
			c.ask = "x"
		}},
		"rename of its directory": {true, func(c *scene) {
			check(c, c.l.Mkdir(c.t.Context(), mustPath("d")))
			check(c, c.l.Rename(c.t.Context(), mustPath("f"), mustPath("d/f"), false))
			check(c, c.l.Rename(c.t.Context(), mustPath("d"), mustPath("e"), false))
			c.ask = "e/f"
		}},
		"rename over": {true, func(c *scene) {
			commit(c.t, receive(c.t, c.h, "g", g, Want{Size: -1}))
			check(c, c.l.Rename(c.t.Context(), mustPath("g"), mustPath("f"), true))
		}},
		"copy": {false, func(c *scene) {
			src, _, err := c.l.Open(c.t.Context(), mustPath("f"), 0)
			check(c, err)
			u, err := c.l.Create(c.t.Context(), mustPath("x"), Want{Size: -1})
			check(c, err)
			_, err = u.(io.ReaderFrom).ReadFrom(src)
			check(c, err)
			commit(c.t, u)
			src.Close()
			c.ask = "x"
		}},
		"removed and made anew": {true, func(c *scene) {
			check(c, c.l.Remove(c.t.Context(), mustPath("f")))
			commit(c.t, receive(c.t, c.h, "f", g, Want{Size: -1}))
		}},
		"cut from outside":     {false, func(c *scene) { check(c, os.Truncate(c.on, size/2)) }},
		"grown from outside":   {false, func(c *scene) { check(c, os.Truncate(c.on, 2*size)) }},
		"written from outside": {false, func(c *scene) { outside(c, "other", 77) }},
		"touched from outside": {false, func(c *scene) { check(c, os.Chtimes(c.on, old, old)) }},
		"written from outside, with the old time": {false, func(c *scene) {
			was, err := os.Stat(c.on)
			check(c, err)
			tickOn(c.t, c.on)
			outside(c, "other", 77)
			check(c, os.Chtimes(c.on, old, was.ModTime()))
		}},
		"written from outside, then chmod": {false, func(c *scene) {
			outside(c, "other", 77)
			check(c, c.l.Set(c.t.Context(), mustPath("f"), Attr{Mode: &mode}))
		}},
		"written from outside, then mfmt": {false, func(c *scene) {
			outside(c, "other", 77)
			check(c, c.l.Set(c.t.Context(), mustPath("f"), Attr{ModTime: &old}))
		}},
		"written from outside, then rename": {false, func(c *scene) {
			outside(c, "other", 77)
			check(c, c.l.Rename(c.t.Context(), mustPath("f"), mustPath("x"), false))
			c.ask = "x"
		}},
		"replaced from outside": {false, func(c *scene) {
			was, err := os.Stat(c.on)
			check(c, err)
			check(c, os.WriteFile(c.on+".new", []byte(g), 0o644))
			check(c, os.Chtimes(c.on+".new", old, was.ModTime()))
			check(c, os.Rename(c.on+".new", c.on))
		}},
		"a second name from outside": {false, func(c *scene) { check(c, os.Link(c.on, c.on+".link")) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := steppedHome(t, Options{Quota: -1})
			commit(t, receive(t, h, "f", f, Want{Size: -1}))
			if n := hashed(t, h, s, "f"); n > 0 {
				t.Errorf("%d reads after the upload", n)
			}
			c := &scene{t, h, h.As("a"), filepath.Join(h.root.Name(), "f"), "f"}
			act.do(c)
			n := hashed(t, h, s, c.ask)
			if _, _, err := h.Check(t.Context(), true); err != nil { // the books know nothing of what came from outside
				t.Fatal(err)
			}
			if act.free && n > 0 {
				t.Errorf("%d reads", n)
			}
			if !act.free && n == 0 {
				t.Error("its bytes were not read: how can the hash be known?")
			}
		})
	}
}

// TestHashOfPlainUpload: what the kernel moved is read when its hash is first asked for, and then no more.
func TestHashOfPlainUpload(t *testing.T) {
	t.Parallel()
	h, s := steppedHome(t, Options{Quota: -1})
	name := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(name, []byte(bytesOf(300<<10, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	src, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	u := begin(t, h, "f", "")
	if _, err := u.(io.ReaderFrom).ReadFrom(src); err != nil {
		t.Fatal(err)
	}
	commit(t, u)
	if u.(Hashed).Sum() != nil {
		t.Error("the upload knows its hash")
	}
	if first, second := hashed(t, h, s, "f"), hashed(t, h, s, "f"); first == 0 || second != 0 {
		t.Errorf("%d reads, then %d", first, second)
	}
	data := []byte(read(t, h, "f"))
	for range 2 {
		s.reset()
		sum, err := h.As("a").Sum(t.Context(), mustPath("f"), "md5", 0, -1)
		if want := md5.Sum(data); err != nil || !bytes.Equal(sum, want[:]) {
			t.Errorf("MD5 is %x, %v; want %x", sum, err, want)
		}
	}
	if n := s.reads(); n > 0 {
		t.Errorf("%d reads for another hash that was asked for before", n)
	}
}

// TestHashJustChanged: the hash of a file from outside is kept only if its last change lay back when it was looked at, not
// when it was read to the end: what changed in between, in the tick of the change before, would not show.
func TestHashJustChanged(t *testing.T) {
	t.Parallel()
	h, s := steppedHome(t, Options{Quota: -1})
	name := filepath.Join(h.root.Name(), "f")
	if err := os.WriteFile(name, []byte(bytesOf(300<<10, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.Check(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	h.sums.tick = time.Hour
	if first, second := hashed(t, h, s, "f"), hashed(t, h, s, "f"); first == 0 || second == 0 {
		t.Errorf("within the tick: %d reads, then %d", first, second)
	}
	h.hook = func(step string) error {
		if step == "read to hash" {
			h.sums.tick = 0 // as if it had passed meanwhile
		}
		return s.step(step)
	}
	hashed(t, h, s, "f")
	h.hook = s.step
	if first, second := hashed(t, h, s, "f"), hashed(t, h, s, "f"); first == 0 || second != 0 {
		t.Errorf("%d reads behind a hash that ended when the tick was over, then %d", first, second)
	}
}

// TestCoarseClock: where the rename could have the time of the last write, a write right behind it, in the same tick, would
// not show. So a stage gets an mtime that the clock does not show again, and where that does not help nothing is kept.
func TestCoarseClock(t *testing.T) {
	t.Parallel()
	h, _ := steppedHome(t, Options{Quota: -1})
	u := receive(t, h, "f", bytesOf(leastSum, 1), Want{Size: -1}).(*upload)
	stage, err := fileNode(u.f)
	if err != nil {
		t.Fatal(err)
	}
	if err := u.seal(); err != nil {
		t.Fatal(err)
	}
	u.unseal()
	if u.mtime >= stage.mtime || stage.mtime-u.mtime > 2_000_000_000 {
		t.Errorf("mtime was %d and is %d", stage.mtime, u.mtime)
	}
	n := node{id: nodeID{1, 2}, size: u.end, mtime: u.mtime, ctime: u.mtime}
	if u.learn(n); h.sums.sure(n) {
		t.Error("a file is known that could be written to without a trace")
	}
	n.mtime++
	if u.learn(n); h.sums.sure(n) {
		t.Error("a file that was written to is taken for ours")
	}
	n.mtime, n.ctime = u.mtime, u.mtime+1
	if u.learn(n); !h.sums.sure(n) {
		t.Error("a file of ours is not known")
	}
	commit(t, u)
}

// TestHashOfPart: of a part only what did not go through our hands is read, and that once; also behind a new start. Whoever
// changes it from outside has it read.
func TestHashOfPart(t *testing.T) {
	t.Parallel()
	for _, strict := range []bool{false, true} {
		for _, end := range []string{"stop", "crash"} {
			t.Run(end, func(t *testing.T) {
				t.Parallel()
				partHash(t, Options{Quota: -1, Strict: strict}, end)
			})
		}
	}
}

func partHash(t *testing.T, o Options, end string) {
	dir, s := filepath.Join(tempHome(t), "h"), &stepper{}
	open := func() *Home {
		h, err := openHome(dir, o, "boot", s.step)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := open()
	defer func() { h.Close() }()
	const kib = 1 << 10
	data := bytesOf(500*kib, 1)
	size := 0
	part := func(want int) {
		t.Helper()
		s.reset()
		p, err := h.As("a").Part(t.Context(), mustPath("f"))
		if sum := sha256.Sum256([]byte(data[:size])); err != nil || p.Size != int64(size) || !bytes.Equal(p.Sum, sum[:]) {
			t.Fatalf("the part: %+v, %v; want %d bytes, %x", p, err, size, sum)
		}
		if n := s.reads(); n != want {
			t.Errorf("%d bytes are parked: %d reads, want %d", size, n, want)
		}
	}
	again := func() {
		t.Helper()
		if end == "stop" {
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
		} else {
			h.abandon()
		}
		h = open()
	}
	cut := func(n int) {
		t.Helper()
		w := Want{From: int64(size), Part: size > 0, Size: -1}
		if err := receive(t, h, "f", data[size:n], w).Close(); err != nil {
			t.Fatal(err)
		}
		size = n
	}
	cut(100 * kib)
	part(0)
	cut(200*kib + 1)
	cut(200*kib + 1) // nothing came
	part(0)
	again()
	part(0)
	cut(300 * kib)
	again()
	part(0)

	// By the kernel.
	u, err := h.As("a").Create(t.Context(), mustPath("f"), Want{From: int64(size), Part: true, Size: -1})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(name, []byte(data[size:400*kib]), 0o644); err != nil {
		t.Fatal(err)
	}
	src, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if _, err := u.(io.ReaderFrom).ReadFrom(src); err != nil {
		t.Fatal(err)
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	size = 400 * kib
	part(1) // 100 KiB and no more
	part(0)
	cut(450 * kib)
	part(0)

	// From outside.
	parts, err := filepath.Glob(filepath.Join(dir, Hidden, "part", "*"))
	if err != nil || len(parts) != 1 {
		t.Fatal(parts, err)
	}
	b, err := os.ReadFile(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	b[5] ^= 1
	data = string(b) + data[size:]
	if err := os.WriteFile(parts[0], b, 0o644); err != nil {
		t.Fatal(err)
	}
	part(2)
	part(0)
	commit(t, receive(t, h, "f", data[size:], Want{From: int64(size), Part: true, Size: -1}))
	if n := hashed(t, h, s, "f"); n > 0 && o.Strict {
		t.Errorf("%d reads of the whole file", n)
	}
}

// TestPartRewritten: a part that was gone on with while somebody hashed it, and is as long as before, is not taken for
// what it was.
func TestPartRewritten(t *testing.T) {
	t.Parallel()
	h, s := steppedHome(t, Options{Quota: -1})
	data := bytesOf(300<<10, 1)
	if err := receive(t, h, "f", data, Want{Size: -1}).Close(); err != nil {
		t.Fatal(err)
	}
	for e := range h.parts.all {
		e.kept = nil
	}
	h.hook = func(step string) error {
		if err := s.step(step); s.reads() < 2 {
			return err
		}
		h.hook = s.step
		u := receive(t, h, "f", "", Want{From: 300 << 10, Part: true, Size: -1})
		if _, err := u.WriteAt([]byte("other"), 5); err != nil {
			t.Error(err)
		}
		return u.Close()
	}
	if _, err := h.As("a").Part(t.Context(), mustPath("f")); err != nil {
		t.Fatal(err)
	}
	p, err := h.As("a").Part(t.Context(), mustPath("f"))
	if want := sha256.Sum256([]byte(data[:5] + "other" + data[10:])); err != nil || !bytes.Equal(p.Sum, want[:]) {
		t.Errorf("%x, %v; want %x", p.Sum, err, want)
	}
}

// TestHashWrittenMeanwhile: a write from outside between Sampan's look at a file and what it does to it, or within the
// reading, is not overlooked.
func TestHashWrittenMeanwhile(t *testing.T) {
	t.Parallel()
	h, s := steppedHome(t, Options{Quota: -1})
	h.sums.tick = 0
	write := func(at string, count int) {
		h.hook = func(step string) error {
			if step == at {
				count--
			}
			if step == at && count == 0 {
				f, err := os.OpenFile(filepath.Join(h.root.Name(), "f"), os.O_WRONLY, 0)
				if err == nil {
					_, err = f.WriteAt([]byte("other"), 5)
				}
				if err != nil || f.Close() != nil {
					t.Error(err)
				}
				tickOn(t, f.Name())
			}
			return s.step(step)
		}
	}
	commit(t, receive(t, h, "f", bytesOf(300<<10, 1), Want{Size: -1}))
	write("rename", 1)
	if err := h.As("a").Rename(t.Context(), mustPath("f"), mustPath("g"), false); err != nil {
		t.Fatal(err)
	}
	if n := hashed(t, h, s, "g"); n == 0 {
		t.Error("nothing was read")
	}
	commit(t, receive(t, h, "f", bytesOf(300<<10, 2), Want{Size: -1}))
	other := time.Unix(1, 0) // so that it is not known
	if err := os.Chtimes(filepath.Join(h.root.Name(), "f"), other, other); err != nil {
		t.Fatal(err)
	}
	write("read to hash", 2) // of two pieces; what is written was read already
	if _, err := h.As("a").Sum(t.Context(), mustPath("f"), sha256Name, 0, -1); err != nil {
		t.Fatal(err)
	}
	h.hook = s.step
	f, was, err := h.As("a").openFile(mustPath("f"))
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if h.sums.sure(was) {
		t.Error("a hash is kept of a file that was written to while it was read")
	}
	hashed(t, h, s, "f")
}

// TestTallyGivesUp: an upload does not wait again and again for its hash, unless somebody else waits for that.
func TestTallyGivesUp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		n     int64 // so much is hashed
		late  int32
		must  bool
		waits bool
	}{
		{"small", patient - largePiece, tooLate, false, true},
		{"late once", patient + 1, 0, false, true},
		{"late all the time", patient + 1, tooLate, false, false},
		{"it must be", patient + 1, tooLate, true, true},
	} {
		sum := tally{n: c.n, must: c.must}
		sum.late.Store(c.late)
		hand := func(off int64) (taken bool) {
			buf := buffers.Get().(*buffer)
			return sum.hand(off, buf, largePiece) != buf
		}
		sum.mu.Lock() // the piece before is being hashed
		taken, began := make(chan bool), make(chan bool)
		go func() {
			close(began)
			taken <- hand(c.n)
		}()
		<-began
		if !c.waits && <-taken {
			t.Errorf("%s: a piece was taken though the one before is not hashed yet", c.name)
		}
		sum.mu.Unlock()
		if c.waits && !<-taken {
			t.Errorf("%s: given up", c.name)
		}
		if hand(c.n+largePiece) != c.waits {
			t.Errorf("%s: the next piece", c.name)
		}
		if _, ok := sum.sum(c.n + 2*largePiece); ok != c.waits {
			t.Errorf("%s: the sum is there: %v", c.name, ok)
		}
	}
}

// TestSumsAreBounded: what was asked for last stays known, and no more than so much is.
func TestSumsAreBounded(t *testing.T) {
	t.Parallel()
	s := sums{}
	key := func(n int) sumKey { return sumKey{id: nodeID{1, uint64(n)}, size: 1, algo: sha256Name} }
	for n := range 5 * maxSums {
		s.put(key(n), []byte{1})
		if s.get(key(0)) == nil {
			t.Fatalf("what is asked for all the time was forgotten at %d", n)
		}
	}
	if len(s.young) > maxSums || len(s.old) > maxSums || s.get(key(1)) != nil || s.get(key(5*maxSums-1)) == nil {
		t.Errorf("%d and %d are known", len(s.young), len(s.old))
	}
}

// TestSumsOverRestart: a clean end keeps them for the same boot, and for no other.
func TestSumsOverRestart(t *testing.T) {
	t.Parallel()
	dir, s := filepath.Join(tempHome(t), "h"), &stepper{}
	for i, c := range []struct {
		boot  string
		known bool
	}{{"one", false}, {"one", true}, {"two", false}, {"two", true}, {"", false}, {"", false}} {
		h, err := openHome(dir, Options{Quota: -1}, c.boot, s.step)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			commit(t, receive(t, h, "f", bytesOf(100<<10, 1), Want{Size: -1}))
		}
		h.sums.tick = 0
		if n := hashed(t, h, s, "f"); (n == 0) != c.known && i > 0 {
			t.Errorf("%d, in boot %q: %d reads", i, c.boot, n)
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func sampleSums() *sums {
	s := &sums{}
	s.put(sumKey{nodeID{1, 1<<64 - 1}, 100, -5, 1 << 60, sha256Name}, make([]byte, sha256.Size))
	s.put(sumKey{nodeID{1, 2}, 100, 7, 8, "MD5"}, bytes.Repeat([]byte{0xa5}, md5.Size))
	s.put(sumKey{nodeID{1, 2}, 100, 7, 8, ours}, []byte{})
	return s
}

func TestSumsDamaged(t *testing.T) {
	t.Parallel()
	text := sampleSums().encode("b")
	var all sums
	if all.decode(text, "b"); len(all.young) != 2 {
		t.Fatalf("%v", all.young)
	}
	for n := range text {
		bad := bytes.Clone(text)
		bad[n] ^= 0x20
		var some sums
		some.decode(bad, "b")
		for k, sum := range some.young {
			if !bytes.Equal(all.young[k], sum) {
				t.Fatalf("byte %d is damaged: %v", n, k)
			}
		}
		if len(some.young) == 2 {
			t.Fatalf("byte %d is damaged, and it is not noticed", n)
		}
	}
}

// FuzzSums: whatever the file holds, it crashes nobody, and what is taken from it is written and read again alike.
func FuzzSums(f *testing.F) {
	f.Add(sampleSums().encode("b"))
	f.Add([]byte("B \"b\"\nF SHA-256 00 1 2 3 4 5\nF"))
	f.Fuzz(func(t *testing.T, data []byte) {
		sealed := seal(nil, `B "b"`)
		for line := range bytes.SplitSeq(data, []byte("\n")) {
			sealed = seal(sealed, string(line))
		}
		for _, text := range [][]byte{data, sealed} {
			var s, again sums
			s.decode(text, "b")
			if again.decode(s.encode("b"), "b"); len(again.young) != len(s.young) {
				t.Fatalf("%v reads again as %v", s.young, again.young)
			}
		}
	})
}

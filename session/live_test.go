package session

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sampan/account"
	"sampan/fault"
	"sampan/files"
)

// A sender is the far end of an upload that runs.
type sender struct {
	tr  *Transfer
	to  net.Conn
	end chan error // what ReadFrom said; the transfer is closed then
}

// upload begins an upload as a protocol does: the bytes are moved on a goroutine that closes at the end.
func upload(t *testing.T, s *Session, path files.Path) *sender {
	t.Helper()
	tr, err := s.Put(path, whole)
	must(t, err)
	near, far := net.Pipe()
	u := &sender{tr, far, make(chan error, 1)}
	go func() {
		_, err := tr.ReadFrom(near)
		if err == nil {
			_, err = tr.Commit(nil)
		}
		near.Close()
		err = errors.Join(err, tr.Close())
		u.end <- err
	}()
	return u
}

func (u *sender) send(t *testing.T, content string) {
	t.Helper()
	if _, err := io.WriteString(u.to, content); err != nil {
		t.Fatal(err)
	}
}

func TestTakeOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Config{})
		h.add("alice", account.Unlimited, "")
		old, again := h.in("alice"), h.in("alice")
		a := p(t, "/a")
		u := upload(t, old, a)
		u.send(t, "half of it")
		time.Sleep(3 * time.Second) // silent, but not for long enough: Part waits until it is
		began := time.Now()
		part, err := again.Part(t.Context(), a)
		must(t, err)
		if part.Size != 10 {
			t.Errorf("part: %+v", part)
		}
		if took := time.Since(began); took < time.Second || took > 3500*time.Millisecond {
			t.Errorf("Part waited %v", took)
		}
		wantKind(t, "the old upload", <-u.end, fault.Cut)
		if old.Context().Err() != nil {
			t.Error("the old session was ended; only its upload had to be")
		}
		must(t, put(again, a, ", and the rest", files.Want{From: 10, Part: true, Size: -1}))
		if got, _ := get(again, a, 0); got != "half of it, and the rest" {
			t.Errorf("resumed: %q", got)
		}
	})
}

func TestTakeOverByStat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Config{})
		h.add("alice", account.Unlimited, "")
		old, again := h.in("alice"), h.in("alice")
		a := p(t, "/a")
		u := upload(t, old, a)
		u.send(t, "half")
		_, err := again.Stat(a)
		wantKind(t, "Stat at once", err, fault.NotExist)
		time.Sleep(halfDead + wake)
		if i, err := again.Stat(a); err != nil || i.Part != 4 {
			t.Errorf("Stat of the half-dead: %+v, %v", i, err)
		}
		wantKind(t, "the old upload", <-u.end, fault.Cut)
	})
}

func TestLiveUploadIsNotTakenOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Config{})
		h.add("alice", account.Unlimited, "")
		old, again := h.in("alice"), h.in("alice")
		a := p(t, "/a")
		u := upload(t, old, a)
		u.send(t, "first")
		stop := make(chan struct{})
		stopped := make(chan struct{})
		go func() { // slow, but alive
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				case <-time.After(2 * time.Second):
					io.WriteString(u.to, ".")
				}
			}
		}()
		_, err := again.Part(t.Context(), a)
		wantKind(t, "Part of what is alive", err, fault.Busy)
		must(t, put(again, a, "the second wins first", whole))
		if got, _ := get(again, a, 0); got != "the second wins first" {
			t.Errorf("between: %q", got)
		}
		close(stop)
		<-stopped
		u.to.Close()
		must(t, <-u.end)
		if got, _ := get(again, a, 0); !strings.HasPrefix(got, "first.") {
			t.Errorf("the last commit wins: %q", got)
		}
	})
}

// TestOtherAccountIsNotTakenOver: accounts that share a home do not end each other's uploads.
func TestOtherAccountIsNotTakenOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Config{})
		home := h.add("alice", account.Unlimited, "").Home
		h.add("bob", account.Unlimited, home)
		alice, bob := h.in("alice"), h.in("bob")
		a := p(t, "/a")
		u := upload(t, alice, a)
		u.send(t, "half")
		time.Sleep(time.Minute)
		must(t, put(bob, a, "bob's", whole))
		_, err := bob.Part(t.Context(), a)
		wantKind(t, "bob's part", err, fault.NotExist)
		u.to.Close()
		must(t, <-u.end)
	})
}

func TestStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Config{Stall: 30 * time.Second})
		h.add("alice", account.Unlimited, "")
		s := h.in("alice")
		u := upload(t, s, p(t, "/a"))
		u.send(t, "x")
		began := time.Now()
		wantKind(t, "an upload that brings nothing", <-u.end, fault.Cut)
		if took := time.Since(began); took < 30*time.Second || took > 32*time.Second {
			t.Errorf("cut after %v", took)
		}
		must(t, put(s, p(t, "/b"), strings.Repeat("b", 1<<20), whole))
		tr, err := s.Get(p(t, "/b"), 0, -1)
		must(t, err)
		near, far := net.Pipe() // nobody reads far
		defer far.Close()
		defer near.Close()
		began = time.Now()
		_, err = tr.WriteTo(near)
		wantKind(t, "a download that nobody takes", err, fault.Cut)
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("cut after %v", took)
		}
		must(t, tr.Close())
	})
}

func TestLiveRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Config{})
		h.add("alice", account.Unlimited, "")
		s := h.in("alice")
		u := upload(t, s, p(t, "/a"))
		kib := strings.Repeat("x", 1024)
		for range 100 {
			u.send(t, kib)
			time.Sleep(100 * time.Millisecond)
		}
		v := h.hub.Live()[0]
		if v.Doing == nil || v.Doing.Verb != "put" || v.Doing.Path != p(t, "/a") || v.Doing.Size != -1 {
			t.Fatalf("doing: %+v", v.Doing)
		}
		if r := v.Doing.BytesPerSec; r < 8<<10 || r > 11<<10 {
			t.Errorf("rate %v, want about 10 KiB/s", r)
		}
		if d := v.Doing.Done; d < 90<<10 || d > 100<<10 {
			t.Errorf("done %d", d)
		}
		time.Sleep(10 * time.Second)
		v = h.hub.Live()[0]
		if v.Doing.BytesPerSec != 0 || v.Doing.Done != 100<<10 {
			t.Errorf("after 10 s of nothing: %+v", v.Doing)
		}
		if v.Idle < 9*time.Second {
			t.Errorf("idle %v", v.Idle)
		}
		u.to.Close()
		must(t, <-u.end)
		if v := h.hub.Live()[0]; v.Doing != nil {
			t.Errorf("after the end: %+v", v.Doing)
		}
	})
}

func TestDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Config{})
		h.add("alice", account.Unlimited, "")
		idle, finishes, cut := h.in("alice"), h.in("alice"), h.in("alice")
		for _, s := range []*Session{idle, finishes, cut} {
			context.AfterFunc(s.Context(), s.End) // as a protocol does
		}
		good := upload(t, finishes, p(t, "/good"))
		good.send(t, "whole")
		bad := upload(t, cut, p(t, "/bad"))
		bad.send(t, "half")

		began := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		drained := make(chan struct{})
		go func() { h.hub.Drain(ctx); close(drained) }()
		synctest.Wait()
		if idle.Context().Err() == nil || finishes.Context().Err() != nil || cut.Context().Err() != nil {
			t.Error("the idle one goes at once, the others do not")
		}
		_, err := h.hub.Begin(Via{Remote: from})
		wantKind(t, "Begin", err, fault.Stopped)
		_, err = finishes.Put(p(t, "/more"), whole)
		wantKind(t, "a new upload", err, fault.Stopped)

		time.Sleep(10 * time.Second)
		good.to.Close()
		must(t, <-good.end)
		synctest.Wait()
		if finishes.Context().Err() == nil {
			t.Error("the session whose transfer ended stays")
		}
		<-drained
		if took := time.Since(began); took < 30*time.Second || took > 31*time.Second {
			t.Errorf("drained after %v", took)
		}
		wantKind(t, "the upload that was cut", <-bad.end, fault.Stopped)

		// The next run finds the part. The book is the same, the homes are opened anew.
		must(t, h.hub.Close())
		h.hub = NewHub(Config{Book: h.book})
		s := h.in("alice")
		if got, err := get(s, p(t, "/good"), 0); err != nil || got != "whole" {
			t.Errorf("the one that finished: %q, %v", got, err)
		}
		if part, err := s.Part(t.Context(), p(t, "/bad")); err != nil || part.Size != 4 {
			t.Errorf("the one that was cut: %+v, %v", part, err)
		}
	})
}

// TestEndParks ends a session in the middle of an upload over a real connection.
func TestEndParks(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", account.Unlimited, "")
	s := h.in("alice")
	near, far := tcp(t)
	tr, err := s.Put(p(t, "/a"), whole)
	must(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := tr.ReadFrom(near)
		ended <- err
	}()
	_, err = io.WriteString(far, "some bytes")
	must(t, err)
	for tr.Done() < 10 { // counted soon, for the reader is woken
		time.Sleep(10 * time.Millisecond)
	}
	s.End()
	wantKind(t, "ReadFrom", <-ended, fault.Stopped)
	again := h.in("alice")
	if part, err := again.Part(t.Context(), p(t, "/a")); err != nil || part.Size != 10 {
		t.Errorf("part: %+v, %v", part, err)
	}
	if n := len(h.hub.Live()); n != 1 {
		t.Errorf("%d live", n)
	}
}

// tcp returns both ends of a connection.
func tcp(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	far, err = net.Dial("tcp", l.Addr().String())
	must(t, err)
	near, err = l.Accept()
	must(t, err)
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

// TestTransferOverTCP moves a few MiB both ways over real connections, whole and byte-exact.
func TestTransferOverTCP(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", account.Unlimited, "")
	s := h.in("alice")
	content := make([]byte, 9<<20+123)
	chacha := rand.NewChaCha8([32]byte{1})
	chacha.Read(content)
	a := p(t, "/a")

	near, far := tcp(t)
	tr, err := s.Put(a, files.Want{Size: int64(len(content))})
	must(t, err)
	go func() { far.Write(content); far.Close() }()
	n, err := tr.ReadFrom(near)
	must(t, err)
	info, err := tr.Commit(nil)
	must(t, err)
	must(t, tr.Close())
	if n != int64(len(content)) || info.Size != n || tr.Done() != n {
		t.Errorf("received %d, committed %d of %d", n, info.Size, len(content))
	}

	out, in := tcp(t)
	tr, err = s.Get(a, 0, -1)
	must(t, err)
	got := make(chan []byte, 1)
	go func() { b, _ := io.ReadAll(in); got <- b }()
	_, err = tr.WriteTo(out)
	must(t, err)
	must(t, tr.Close())
	out.Close()
	if string(<-got) != string(content) {
		t.Error("what came back differs")
	}
}

// TestQuotaRace has 16 sessions upload, overwrite, append, rename and cut at once, while a watcher sums what is on the disk.
func TestQuotaRace(t *testing.T) {
	t.Parallel()
	const quota = 8 << 20
	h := newHouse(t, Config{})
	home := h.add("alice", quota, "").Home
	var sessions [16]*Session
	for i := range sessions {
		sessions[i] = h.in("alice")
	}

	var most atomic.Int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			if n := onDisk(home); n > most.Load() {
				most.Store(n)
			}
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
			}
		}
	}()

	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var done, refused atomic.Int64
	var wg sync.WaitGroup
	for i, s := range sessions {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for range 25 {
				err := disturb(s, r, p(t, "/"+string(rune('a'+r.IntN(8)))), p(t, "/"+string(rune('a'+r.IntN(8)))))
				switch fault.KindOf(err) {
				case fault.Internal:
					if err != nil {
						t.Errorf("%v", err)
					}
					done.Add(1)
				case fault.OverQuota:
					refused.Add(1)
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	<-stopped
	t.Logf("%d done, %d over quota, most on the disk %d of %d", done.Load(), refused.Load(), most.Load(), quota)
	if most.Load() > quota || most.Load() < quota/2 {
		t.Errorf("at most %d bytes were on the disk, the quota is %d", most.Load(), quota)
	}
	if done.Load() == 0 || refused.Load() == 0 {
		t.Errorf("%d done, %d refused: nothing was tried", done.Load(), refused.Load())
	}
	space, err := sessions[0].Space()
	must(t, err)
	if n := onDisk(home); space.Used != n {
		t.Errorf("used %d, on the disk %d", space.Used, n)
	}

	// What is left can be filled to the last byte.
	left := quota - space.Used
	must(t, put(sessions[0], p(t, "/fill"), strings.Repeat("f", int(left)), whole))
	wantKind(t, "one byte more", put(sessions[0], p(t, "/more"), "x", whole), fault.OverQuota)
	if n := onDisk(home); n > quota {
		t.Errorf("%d on the disk", n)
	}
}

// disturb does one thing at random.
func disturb(s *Session, r *rand.Rand, a, b files.Path) error {
	content := io.LimitReader(zeros{}, r.Int64N(2<<20))
	w := whole
	switch r.IntN(6) {
	case 0:
		return s.Rename(a, b, true)
	case 1:
		return s.Remove(a)
	case 2: // append
		if i, err := s.Stat(a); err == nil && !i.PartOnly() {
			w.From = i.Size
		}
	case 3: // inside
		if i, err := s.Stat(a); err == nil && !i.PartOnly() {
			w.From = i.Size / 2
		}
	case 4: // cut
		content = cutShort{content}
	}
	t, err := s.Put(a, w)
	if err != nil {
		return err
	}
	defer t.Close()
	if _, err := t.ReadFrom(content); err != nil {
		return err
	}
	_, err = t.Commit(nil)
	return err
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// onDisk sums the sizes of everything in a home but the ledger. While others write it is a sum that was reached at one
// moment: what one walk found and a second still finds was there between them, and until then it only grew. The files
// are held open meanwhile, so that their numbers are not given to others.
func onDisk(home string) (sum int64) {
	first, letGo := walk(home)
	defer letGo()
	second, letGo := walk(home)
	defer letGo()
	for i, f := range first {
		same := func(o fs.FileInfo) bool { return os.SameFile(f, o) }
		if !slices.ContainsFunc(first[:i], same) && slices.ContainsFunc(second, same) {
			sum += f.Size()
		}
	}
	return sum
}

// walk opens the regular files of a home but the ledger.
func walk(home string) (found []fs.FileInfo, letGo func()) {
	var open []*os.File
	filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || filepath.Dir(path) == filepath.Join(home, files.Hidden) {
			return nil // gone meanwhile, or not counted
		}
		f, err := os.Open(path)
		if err != nil {
			return nil
		}
		open = append(open, f)
		if i, err := f.Stat(); err == nil {
			found = append(found, i)
		}
		return nil
	})
	return found, func() {
		for _, f := range open {
			f.Close()
		}
	}
}

// TestPace: fast steps grow, slow ones shrink.
func TestPace(t *testing.T) {
	t.Parallel()
	var pc pace
	now := time.Unix(0, 0)
	if got := pc.next(now); got != firstStep {
		t.Errorf("first %d", got)
	}
	for range 20 {
		now = now.Add(time.Millisecond)
		pc.next(now)
	}
	if pc.step != mostStep {
		t.Errorf("on a fast link %d", pc.step)
	}
	for range 20 {
		now = now.Add(time.Second)
		pc.next(now)
	}
	if pc.step != leastStep {
		t.Errorf("on a slow link %d", pc.step)
	}
}

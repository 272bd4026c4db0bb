package account

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sampan/fault"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	b, _ := newBook(t)
	ctx := t.Context()
	add(t, b, NewAccount{Name: "Zoë", Password: "café au lait"})
	for _, name := range []string{"Zoë", "zoë", "ZOE\u0308"} { // the last one is NFD
		for _, pw := range []string{"café au lait", "cafe\u0301 au lait"} {
			if a, err := b.Check(ctx, Proof{Name: name, Password: pw, Remote: "192.0.2.1"}); err != nil || a.Name != "Zoë" {
				t.Errorf("%q with %q: %v, %v", name, pw, a.Name, err)
			}
		}
	}
	said := map[string]bool{}
	for i, p := range []Proof{
		{Name: "Zoë", Password: "wrong password"},
		{Name: "Zoë", Password: ""},
		{Name: "nobody", Password: "café au lait"},
		{Name: "", Password: ""},
		{Name: "../../etc", Password: "café au lait"},
		{Name: "Zoë\x00", Password: "café au lait"},
		{Name: "register", Password: "x"},
	} {
		p.Remote = fmt.Sprintf("192.0.2.%d", 10+i)
		_, err := b.Check(ctx, p)
		wantKind(t, err, fault.Unauth)
		said[fmt.Sprint(err)] = true
	}
	suspended, active := Suspended, Active
	if _, err := b.Update(ctx, "zoë", Change{State: &suspended}); err != nil {
		t.Fatal(err)
	}
	_, err := b.Check(ctx, Proof{Name: "Zoë", Password: "café au lait", Remote: "192.0.2.1"})
	wantKind(t, err, fault.Unauth)
	said[fmt.Sprint(err)] = true
	if len(said) != 1 {
		t.Errorf("refusals differ: %v", said)
	}
	if _, err := b.Update(ctx, "zoë", Change{State: &active}); err != nil {
		t.Fatal(err)
	}
	a, err := b.Check(ctx, Proof{Name: "Zoë", Password: "café au lait", Remote: "192.0.2.1"})
	if err != nil || time.Since(a.LastSeen) > time.Minute {
		t.Errorf("resumed: %+v, %v", a, err)
	}
	if got, err := b.Get(ctx, "zoë"); err != nil || !got.LastSeen.Equal(a.LastSeen.Truncate(time.Microsecond)) && !got.LastSeen.Equal(a.LastSeen) {
		t.Errorf("last seen %v, want %v (%v)", got.LastSeen, a.LastSeen, err)
	}
	if _, err := b.Log(ctx, Filter{}); err != nil { // writes what waits
		t.Fatal(err)
	}
	if got, err := b.Get(ctx, "zoë"); err != nil || got.LastSeen.UnixMicro() != a.LastSeen.UnixMicro() {
		t.Errorf("last seen in the file %v, want %v (%v)", got.LastSeen, a.LastSeen, err)
	}
}

// A password that was right is remembered for minutes, and forgotten at once when the account changes.
func TestVerifiedPasswordIsRemembered(t *testing.T) {
	t.Parallel()
	b, _ := newBook(t)
	ctx := t.Context()
	add(t, b, NewAccount{Name: "ann", Password: "first password"})
	right := func(pw string) bool {
		_, err := b.Check(ctx, Proof{Name: "ann", Password: pw})
		return err == nil
	}
	if !right("first password") {
		t.Fatal("refused")
	}
	// With all turns at hashing taken, only what is remembered gets in.
	full := func() func() {
		for range cap(b.hash) {
			b.hash <- struct{}{}
		}
		return func() {
			for range cap(b.hash) {
				<-b.hash
			}
		}
	}
	release := full()
	for range 100 {
		if !right("first password") {
			t.Fatal("a remembered password was refused")
		}
	}
	cut, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	_, err := b.Check(cut, Proof{Name: "ann", Password: "other password"})
	wantKind(t, err, fault.Busy)
	release()

	second := "second password"
	if _, err := b.Update(ctx, "ann", Change{Password: &second}); err != nil {
		t.Fatal(err)
	}
	if right("first password") || !right(second) {
		t.Error("the old password still works, or the new one does not")
	}
	if err := b.Remove(ctx, "ann"); err != nil {
		t.Fatal(err)
	}
	if right(second) {
		t.Error("a removed account gets in")
	}
	add(t, b, NewAccount{Name: "ann", Password: "third password"})
	if right(second) || !right("third password") {
		t.Error("a new account of an old name takes the old password")
	}
}

func TestVerifiedPasswordExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVerified()
		ann := row{folded: "ann", password: "stored"}
		v.add(ann, "pw", 1)
		time.Sleep(verifiedFor - time.Second)
		v.add(ann, "pw", 2) // which is no new proof
		if _, ok := v.lookup("ann", "pw", 2); !ok || !v.has("ann", "stored", "pw") {
			t.Error("forgotten early")
		}
		for _, c := range []struct {
			name, pw string
			version  uint64
		}{{"ann", "pw", 1}, {"ann", "pw", 3}, {"ann", "Pw", 2}, {"bob", "pw", 2}} {
			if _, ok := v.lookup(c.name, c.pw, c.version); ok {
				t.Errorf("%v is remembered", c)
			}
		}
		for _, c := range [][3]string{{"ann", "stored", "Pw"}, {"ann", "other", "pw"}, {"bob", "stored", "pw"}} {
			if v.has(c[0], c[1], c[2]) {
				t.Errorf("%v is remembered", c)
			}
		}
		time.Sleep(time.Second)
		if v.has("ann", "stored", "pw") {
			t.Error("remembered too long")
		}
		for i := range 3 * maxVerified {
			v.add(row{folded: fmt.Sprint(i), password: "stored"}, "pw", 1)
		}
		if len(v.m) > maxVerified {
			t.Errorf("%d remembered", len(v.m))
		}
	})
}

// Sixty wrong passwords from one address are slowed, then refused, while the owner gets in from another one without
// waiting; after the storm the address is let in again.
func TestSixtyWrongPasswords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		b, err := Open(t.Context(), filepath.Join(dir, "book.db"), Options{Homes: filepath.Join(dir, "homes"), Log: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		ctx := t.Context()
		add(t, b, NewAccount{Name: "ann", Password: "right password"})
		var last time.Duration
		wrong, refused, slowed := 0, 0, 0
		for range 60 {
			begin := time.Now()
			_, err := b.Check(ctx, Proof{Name: "ann", Password: "wrong password", Remote: "203.0.113.9"})
			took := time.Since(begin)
			switch fault.KindOf(err) {
			case fault.Unauth:
				wrong++
				if took < last {
					t.Errorf("try %d took %v, the one before %v", wrong, took, last)
				}
				if took > 0 {
					slowed++
				}
				last = took
			case fault.TooMany:
				refused++
				if took != 0 {
					t.Errorf("a refusal took %v", took)
				}
			default:
				t.Fatalf("%v", err)
			}
			begin = time.Now()
			if _, err := b.Check(ctx, Proof{Name: "ann", Password: "right password", Remote: "198.51.100.7"}); err != nil || time.Since(begin) != 0 {
				t.Fatalf("the owner: %v after %v", err, time.Since(begin))
			}
		}
		if wrong != addrLimit || refused != 60-addrLimit || slowed != addrLimit-slowFrom || last != slowest {
			t.Errorf("%d wrong, %d of them slowed up to %v, then %d refused", wrong, slowed, last, refused)
		}
		// The right password from there is refused as well, until a failure has drained.
		_, err = b.Check(ctx, Proof{Name: "ann", Password: "right password", Remote: "203.0.113.9"})
		wantKind(t, err, fault.TooMany)
		time.Sleep(drainEvery)
		if _, err := b.Check(ctx, Proof{Name: "ann", Password: "right password", Remote: "203.0.113.9"}); err != nil {
			t.Errorf("a minute later: %v", err)
		}
	})
}

// Somebody with an account of his own cannot wash off his failures by logging in.
func TestSuccessDoesNotEmptyTheBucket(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard()
		tries := 0
		for range 100 {
			leave, err := g.enter(t.Context(), "203.0.113.9", "victim")
			if err != nil {
				break
			}
			leave(true)
			tries++
			if leave, err = g.enter(t.Context(), "203.0.113.9", "mallory"); err == nil {
				leave(false)
			}
		}
		// The delays let a little drain.
		if tries < addrLimit || tries > addrLimit+1 {
			t.Errorf("%d tries", tries)
		}
	})
}

// A thousand tries at once from one network gain nothing over one after the other.
func TestParallelGuessingIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard()
		var wg sync.WaitGroup
		var tried, refused, under, most atomic.Int64
		for i := range 1000 {
			wg.Go(func() {
				leave, err := g.enter(t.Context(), fmt.Sprintf("2001:db8::%x", i), fmt.Sprint("name", i))
				if err != nil {
					wantKind(t, err, fault.TooMany)
					refused.Add(1)
					return
				}
				if n := under.Add(1); n > most.Load() {
					most.Store(n)
				}
				time.Sleep(60 * time.Millisecond) // the hash
				under.Add(-1)
				tried.Add(1)
				leave(true)
			})
		}
		wg.Wait()
		if tried.Load() != addrLimit || refused.Load() != 1000-addrLimit || most.Load() > maxParallel {
			t.Errorf("%d tried, %d at once, %d refused", tried.Load(), most.Load(), refused.Load())
		}
	})
}

// Many connections of one client with the right password all get in.
func TestManyRightLoginsAtOnce(t *testing.T) {
	t.Parallel()
	b, _ := newBook(t)
	add(t, b, NewAccount{Name: "ann", Password: "right password"})
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if _, err := b.Check(t.Context(), Proof{Name: "ann", Password: "right password", Remote: "192.0.2.1"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	b.guard.mu.Lock()
	defer b.guard.mu.Unlock()
	if k := b.guard.addrs["192.0.2.1"]; k.level != 0 || k.busy != 0 || len(b.guard.names) != 0 {
		t.Errorf("bucket %+v, names %v", k, b.guard.names)
	}
}

// Guessing one account from many addresses lowers what each of them may try, and leaves the owner alone.
func TestGuessingFromManyAddresses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard()
		try := func(addr, name string, failed bool) bool {
			leave, err := g.enter(t.Context(), addr, name)
			if err == nil {
				leave(failed)
			}
			return err == nil
		}
		tries := 0
		for i := range 1000 {
			for try(fmt.Sprintf("203.0.%d.%d", i/250, i%250), "victim", true) {
				tries++
			}
		}
		if limit := 1000*hotLimit + 2*addrLimit; tries > limit {
			t.Errorf("%d tries from 1000 addresses, want at most %d", tries, limit)
		}
		begin := time.Now()
		for range 10 {
			if !try("198.51.100.7", "victim", false) || time.Since(begin) != 0 {
				t.Fatalf("the owner waits or is refused after %v", time.Since(begin))
			}
		}
		if !try("203.0.0.249", "another", false) {
			t.Error("an address that reached the lowered limit cannot log in to another account")
		}
	})
}

func TestGuardForgetsAndIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard()
		fail := func(addr string) {
			leave, err := g.enter(t.Context(), addr, addr)
			if err != nil {
				t.Fatal(err)
			}
			leave(true)
		}
		for range 5 {
			fail("203.0.113.9")
		}
		for i := range maxBuckets + 5000 {
			fail(fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff))
		}
		if len(g.addrs) > maxBuckets || len(g.names) > maxBuckets {
			t.Errorf("%d addresses, %d names", len(g.addrs), len(g.names))
		}
		if k := g.addrs["203.0.113.9"]; k == nil || k.level < 4 {
			t.Errorf("a flood washed the failures off: %+v", k)
		}
		time.Sleep(10 * drainEvery)
		fail("192.0.2.1")
		if len(g.addrs) > maxBuckets-50 {
			t.Errorf("%d addresses are kept although all have drained", len(g.addrs))
		}
	})
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuard()
		for range addrLimit - 1 {
			leave, err := g.enter(t.Context(), "192.0.2.1", "a")
			if err != nil {
				t.Fatal(err)
			}
			leave(true)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := g.enter(ctx, "192.0.2.1", "a") // would wait longer
		wantKind(t, err, fault.Busy)
		if k := g.addrs["192.0.2.1"]; k.busy != 0 {
			t.Errorf("the one who gave up is counted: %+v", k)
		}
		leave, err := g.enter(t.Context(), "192.0.2.1", "a")
		if err != nil {
			t.Fatal(err)
		}
		ctx2, cancel2 := context.WithTimeout(t.Context(), time.Second)
		defer cancel2()
		_, err = g.enter(ctx2, "192.0.2.1", "a") // it is not its turn
		wantKind(t, err, fault.Busy)
		leave(false)
	})
}

// A storm of log-ins costs no more memory than a few hashes at once. It measures the heap, hence not in parallel.
func TestLoginStormIsBoundedInMemory(t *testing.T) {
	b, _ := newBook(t)
	runtime.GC()
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap)
	before, peak := heap[0].Value.Uint64(), uint64(0)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			metrics.Read(heap)
			peak = max(peak, heap[0].Value.Uint64())
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	var wrong, gaveUp atomic.Int64
	for i := range 300 {
		wg.Go(func() {
			_, err := b.Check(ctx, Proof{Name: fmt.Sprint("n", i), Password: "some password", Remote: fmt.Sprintf("192.0.%d.%d", i/200, i%200)})
			switch fault.KindOf(err) {
			case fault.Unauth:
				wrong.Add(1)
			case fault.Busy:
				gaveUp.Add(1)
			default:
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	close(stop)
	<-done
	// What runs, some times that as garbage, and the storm's own little things; all at once would be 5.7 GB.
	limit := uint64(runtime.GOMAXPROCS(0))*4*newMemory<<10 + 16<<20
	t.Logf("%d were answered, %d gave up; %d MiB more at the peak", wrong.Load(), gaveUp.Load(), (peak-before)>>20)
	if peak-before > limit || wrong.Load() == 0 {
		t.Errorf("the heap grew by %d MiB, want at most %d; %d answered", (peak-before)>>20, limit>>20, wrong.Load())
	}
}

// Unknown names and wrong passwords take the same time: the work is the same, so that a factor of two is plenty.
func TestUnknownNamesTakeAsLong(t *testing.T) {
	b, _ := newBook(t)
	add(t, b, NewAccount{Name: "ann"})
	least := map[string]time.Duration{}
	for range 8 {
		for _, name := range []string{"ann", "nobody", "!"} {
			begin := time.Now()
			_, err := b.Check(t.Context(), Proof{Name: name, Password: "wrong password"})
			wantKind(t, err, fault.Unauth)
			if took := time.Since(begin); least[name] == 0 || took < least[name] {
				least[name] = took
			}
		}
	}
	if lo, hi := min(least["ann"], least["nobody"], least["!"]), max(least["ann"], least["nobody"], least["!"]); hi > 2*lo {
		t.Errorf("refusals take %v", least)
	}
}

func BenchmarkCheckRemembered(b *testing.B) {
	book, _ := newBook(b)
	add(b, book, NewAccount{Name: "ann"})
	for b.Loop() {
		if _, err := book.Check(b.Context(), Proof{Name: "ann", Password: "correct horse", Remote: "192.0.2.1"}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	h := newPHC()
	for b.Loop() {
		h.derive("correct horse")
	}
}

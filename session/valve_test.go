package session

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sampan/account"
	"sampan/fault"
	"sampan/files"
)

// A log of what went through, in virtual time.
type flowLog struct {
	mu   sync.Mutex
	at   []time.Time
	size []int64
}

func (l *flowLog) note(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at, l.size = append(l.at, time.Now()), append(l.size, n)
}

// most returns the most that went through in any second.
func (l *flowLog) most() (most int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var sum int64
	for i, first := 0, 0; i < len(l.at); i++ {
		for sum += l.size[i]; l.at[i].Sub(l.at[first]) >= time.Second; first++ {
			sum -= l.size[first]
		}
		most = max(most, sum)
	}
	return most
}

// TestValve: all that goes through is what the rate says, in every second, and all who ask get the same.
func TestValve(t *testing.T) {
	t.Parallel()
	const seconds = 20
	for _, c := range []struct {
		name string
		rate int64
		many int
		use  int64 // moved of what is let through, and the rest given back; 0 is all
	}{
		{"one", 1 << 20, 1, 0},
		{"slow", 100, 1, 0},
		{"three", 1 << 20, 3, 0},
		{"fifty", 10 << 20, 50, 0},
		{"more than fit", 10 << 10, 100, 0},
		{"small files", 1 << 20, 8, 4 << 10},
		{"fast", 20 << 30, 2, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := newValve()
				ctx, cancel := context.WithTimeout(t.Context(), seconds*time.Second)
				defer cancel()
				var log flowLog
				began := time.Now()
				got := make([]int64, c.many)
				var all sync.WaitGroup
				for i := range got {
					all.Go(func() {
						for {
							n, err := v.take(ctx, c.rate, mostStep, func() {})
							if err != nil {
								return
							}
							used := n
							if c.use > 0 {
								used = min(n, c.use)
								time.Sleep(100 * time.Microsecond)
								v.giveBack(n-used, c.rate)
							}
							log.note(used)
							if time.Since(began) > time.Second { // whoever came first was alone
								got[i] += used
							}
						}
					})
				}
				all.Wait()
				var sum int64
				for _, n := range got {
					sum += n
				}
				if want := c.rate * (seconds - 1); sum < want*9/10 || sum > want+c.rate/4 {
					t.Errorf("%d bytes went through in %d s, want %d", sum, seconds-1, want)
				}
				if most := log.most(); most > c.rate*5/4 {
					t.Errorf("%d bytes in one second", most)
				}
				if least, most := slices.Min(got), slices.Max(got); most-least > max(sum/int64(c.many)/10, 4*leastShare) {
					t.Errorf("one got %d, another %d", least, most)
				}
			})
		})
	}
}

// TestValveLetsGo: whoever waits, first or further behind, goes at once when its context ends, and the others go on.
func TestValveLetsGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newValve()
		take := func(ctx context.Context) error {
			_, err := v.take(ctx, 1, 10, func() {})
			return err
		}
		must(t, take(t.Context()))
		ctx, cancel := context.WithCancel(t.Context())
		first, second, third := make(chan error, 1), make(chan error, 1), make(chan error, 1)
		go func() { first <- take(ctx) }()
		synctest.Wait()
		go func() { second <- take(ctx) }()
		synctest.Wait()
		go func() { third <- take(t.Context()) }()
		synctest.Wait()
		began := time.Now()
		cancel()
		wantKind(t, "the first", <-first, fault.Stopped)
		wantKind(t, "the second", <-second, fault.Stopped)
		if took := time.Since(began); took != 0 {
			t.Errorf("they went after %v", took)
		}
		must(t, <-third)
	})
}

// limited sets the rates of an account.
func (h *house) limited(name string, down, up int64) {
	h.t.Helper()
	if _, err := h.book.Update(context.Background(), name, account.Change{Down: &down, Up: &up}); err != nil {
		h.t.Fatal(err)
	}
}

const kib = 1 << 10

// took runs f and checks how long that takes.
func took(t *testing.T, what string, want time.Duration, f func()) {
	t.Helper()
	began := time.Now()
	f()
	if d := time.Since(began); d < want-want/10-credit-time.Second/8 || d > want+want/10+time.Second/8 {
		t.Errorf("%s took %v, want %v", what, d, want)
	}
}

// TestAccountLimit: the limit of an account holds for all its sessions together, each way for itself, from the moment when
// it is set; others do not feel it.
func TestAccountLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Config{})
		h.add("alice", account.Unlimited, "")
		h.add("bob", account.Unlimited, "")
		a, content := p(t, "/a"), strings.Repeat("x", 500*kib)
		must(t, put(h.in("alice"), a, content, whole))
		must(t, put(h.in("bob"), a, content, whole))
		h.limited("alice", 100*kib, 50*kib)

		download := func(s *Session) {
			if got, err := get(s, a, 0); err != nil || got != content {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		}
		took(t, "one download", 5*time.Second, func() { download(h.in("alice")) })
		took(t, "one upload", 10*time.Second, func() { must(t, put(h.in("alice"), p(t, "/b"), content, whole)) })
		took(t, "somebody else's", 0, func() { download(h.in("bob")) })
		took(t, "four downloads and an upload", 20*time.Second, func() {
			var all sync.WaitGroup
			for range 4 {
				s := h.in("alice")
				all.Go(func() { took(t, "each of four", 20*time.Second, func() { download(s) }) })
			}
			s := h.in("alice")
			all.Go(func() {
				took(t, "the upload beside them", 10*time.Second, func() { must(t, put(s, p(t, "/b"), content, whole)) })
			})
			all.Wait()
		})
		took(t, "log-in after log-in", 5*time.Second, func() {
			for n := int64(0); n < 500*kib; n += 10 * kib {
				s := h.in("alice")
				tr, err := s.Get(a, n, 10*kib)
				must(t, err)
				_, err = tr.WriteTo(io.Discard)
				must(t, err)
				must(t, tr.Close())
				s.End()
			}
		})
		took(t, "a download whose limit changes on the way", 4*time.Second, func() {
			s := h.in("alice")
			go func() {
				time.Sleep(3 * time.Second)
				h.limited("alice", 200*kib, account.Unlimited)
			}()
			download(s)
			h.limited("alice", 100*kib, 50*kib)
		})
		took(t, "reads and writes of an open file", 15*time.Second, func() {
			s := h.in("alice")
			tr, err := s.Edit(p(t, "/d"), Edit{Create: true})
			must(t, err)
			for off := 0; off < len(content); off += 50 * kib {
				writeAt(t, tr, content[off:off+50*kib], int64(off))
			}
			got := make([]byte, len(content))
			took(t, "a hash of it", 0, func() {
				_, err = tr.Peek(got, 0)
				must(t, err)
			})
			clear(got)
			_, err = tr.ReadAt(got, 0)
			must(t, err)
			must(t, tr.Whole())
			_, err = tr.Commit(nil)
			must(t, err)
			must(t, tr.Close())
			if string(got) != content {
				t.Error("what was read is not what was written")
			}
		})
		took(t, "a copy on the server", 0, func() { must(t, copied(h.in("alice"), p(t, "/c"), false, a)) })
		h.limited("alice", account.Unlimited, account.Unlimited)
		took(t, "without a limit", 0, func() { download(h.in("alice")) })
		time.Sleep(2 * time.Second)
		for _, s := range h.hub.all() {
			s.End()
		}
		time.Sleep(2 * time.Second)
		h.hub.mu.Lock()
		defer h.hub.mu.Unlock()
		if n := len(h.hub.guests); n != 0 {
			t.Errorf("%d guests are remembered when all are gone", n)
		}
	})
}

// TestServerLimit: what all accounts move together stays within the server's limit, and an account within its own.
func TestServerLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Config{Limits: Limits{Down: 300 * kib, Up: 300 * kib}})
		a, content := p(t, "/a"), strings.Repeat("x", 600*kib)
		took(t, "three uploads", 6*time.Second, func() {
			var all sync.WaitGroup
			for _, name := range []string{"alice", "bob", "carol"} {
				h.add(name, account.Unlimited, "")
				s := h.in(name)
				all.Go(func() { must(t, put(s, a, content, whole)) })
			}
			all.Wait()
		})
		h.limited("alice", 60*kib, account.Unlimited)
		took(t, "three downloads", 10*time.Second, func() {
			var all sync.WaitGroup
			for name, want := range map[string]time.Duration{"alice": 10 * time.Second, "bob": 5 * time.Second, "carol": 5 * time.Second} {
				s := h.in(name)
				all.Go(func() {
					took(t, name+"'s", want, func() {
						_, err := get(s, a, 0)
						must(t, err)
					})
				})
			}
			all.Wait()
		})
		h.hub.SetLimits(Limits{})
		took(t, "without a limit", 0, func() { must(t, put(h.in("bob"), a, content, whole)) })
	})
}

// TestLimitsTogether: the transfers of an account that has a limit, which does not bind, get as much of the server's as
// those of others.
func TestLimitsTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Config{Limits: Limits{Down: 300 * kib}})
		a, content := p(t, "/a"), strings.Repeat("x", 1200*kib)
		for _, name := range []string{"alice", "bob"} {
			h.add(name, account.Unlimited, "")
			must(t, put(h.in(name), a, content, whole))
		}
		h.limited("alice", 150*kib, account.Unlimited)
		var all sync.WaitGroup
		for i := range 10 {
			name := "bob"
			if i < 4 {
				name = "alice"
			}
			s := h.in(name)
			all.Go(func() {
				took(t, name+"'s", 40*time.Second, func() {
					_, err := get(s, a, 0)
					must(t, err)
				})
			})
		}
		all.Wait()
	})
}

// TestLimitIsNoStall: a transfer that waits for its turn is neither cut as stalled nor taken for half dead; one whose client
// is silent is, limit or not.
func TestLimitIsNoStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Config{Stall: 10 * time.Second})
		h.add("alice", account.Unlimited, "")
		h.limited("alice", 1, 1)
		s, again := h.in("alice"), h.in("alice")
		slow := upload(t, s, p(t, "/slow"))
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() { // a moment late for each turn
			defer close(stopped)
			for {
				io.WriteString(slow.to, ".")
				select {
				case <-time.After(31 * time.Second):
				case <-stop:
					return
				}
			}
		}()
		var others []*sender // so that each byte waits half a minute for its turn
		for i := range 29 {
			u := upload(t, s, p(t, "/"+string(rune('a'+i))))
			go io.WriteString(u.to, "more than comes through")
			others = append(others, u)
		}
		time.Sleep(3 * time.Minute)
		for range 30 {
			time.Sleep(time.Second)
			if i, err := again.Stat(p(t, "/slow")); err == nil {
				t.Errorf("taken over: %+v", i)
			}
		}
		for _, u := range append(others, slow) {
			select {
			case err := <-u.end:
				t.Fatalf("cut: %v", err)
			default:
			}
		}
		close(stop)
		<-stopped
		for _, u := range others {
			u.tr.Abort(fault.New(fault.Cut, "enough"))
			<-u.end
		}
		began := time.Now()
		wantKind(t, "one that is silent", <-slow.end, fault.Cut)
		if d := time.Since(began); d < 8*time.Second || d > 15*time.Second {
			t.Errorf("cut after %v", d)
		}
	})
}

// TestLimitLetsGo: ABOR and a kick end a transfer that waits for its turn at once.
func TestLimitLetsGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Config{})
		h.add("alice", account.Unlimited, "")
		a := p(t, "/a")
		must(t, put(h.in("alice"), a, strings.Repeat("x", kib), whole))
		h.limited("alice", 1, 1)
		for name, end := range map[string]func(*Session, *Transfer){
			"ABOR":   func(_ *Session, tr *Transfer) { tr.Abort(fault.New(fault.Cut, "aborted")) },
			"kick":   func(s *Session, _ *Transfer) { h.hub.Kick(s.ID(), fault.New(fault.Stopped, "kicked")) },
			"revoke": func(*Session, *Transfer) { h.suspend("alice") },
		} {
			state := account.Active
			_, err := h.book.Update(t.Context(), "alice", account.Change{State: &state})
			must(t, err)
			s := h.in("alice")
			tr, err := s.Get(a, 0, -1)
			must(t, err)
			ended := make(chan error, 1)
			go func() {
				_, err := tr.WriteTo(io.Discard)
				ended <- err
			}()
			time.Sleep(10*time.Second + 100*time.Millisecond)
			began := time.Now()
			end(s, tr)
			if err := <-ended; err == nil || time.Since(began) > 2*time.Second {
				t.Errorf("%s: %v after %v", name, err, time.Since(began))
			}
			must(t, tr.Close())
		}
	})
}

// TestNoLimitWaitsForNobody: the flow of a transfer without limits takes no memory and no turn.
func TestNoLimitWaitsForNobody(t *testing.T) {
	h := newHouse(t, Config{})
	h.add("alice", account.Unlimited, "")
	s := h.in("alice")
	tr, err := s.Put(p(t, "/a"), files.Want{Size: -1})
	must(t, err)
	defer tr.Close()
	f := flow{t: tr, deadline: func(time.Time) error { return nil }, push: func() { t.Error("it waits") }}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := f.step(0, mostStep); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("a step takes memory %v times", n)
	}
}

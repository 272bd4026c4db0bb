package session

import (
	"context"
	"strings"
	"sync"
	"testing"

	"sampan/account"
	"sampan/fault"
	"sampan/files"
)

// TestSessionsOfAnAccount: an account has no more sessions than it may, wherever they come from; who logs out, ends or
// takes another account makes room, and others do not feel it.
func TestSessionsOfAnAccount(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{Limits: Limits{MaxPerAccount: 2}})
	h.add("alice", account.Unlimited, "")
	h.add("bob", account.Unlimited, "")
	first, second, third := h.in("alice"), h.in("Alice"), h.begin()
	login := func(name string) error { return third.Login(name, password) }
	wantKind(t, "the third", login("alice"), fault.TooMany)
	if _, err := third.Account(); err == nil {
		t.Error("it is logged in all the same")
	}
	must(t, login("bob"))
	must(t, first.Login("alice", password)) // again, in its own place
	wantKind(t, "the third", login("alice"), fault.TooMany)
	first.Logout()
	first.Logout()
	must(t, login("alice"))
	wantKind(t, "the third again", first.Login("alice", password), fault.TooMany)
	second.End()
	must(t, first.Login("alice", password))
	h.hub.SetLimits(Limits{MaxPerAccount: 3})
	h.in("alice")
}

// TestTransfersOfAnAccount: an account moves no more files at once than it may, over all its sessions. What waits for its
// commit does not count, nor does what failed to begin.
func TestTransfersOfAnAccount(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{Limits: Limits{MaxTransfers: 2}})
	h.add("alice", account.Unlimited, "")
	h.add("bob", account.Unlimited, "")
	a, b, c := p(t, "/a"), p(t, "/b"), p(t, "/c")
	s, other, bob := h.in("alice"), h.in("alice"), h.in("bob")
	must(t, put(s, a, "a", whole))
	for range 3 {
		_, err := s.Get(p(t, "/none"), 0, -1)
		wantKind(t, "what is not there", err, fault.NotExist)
		_, err = s.Get(a, 2, -1)
		wantKind(t, "beyond the end", err, fault.BadOffset)
		_, err = s.Put(p(t, "/none/x"), whole)
		wantKind(t, "nowhere", err, fault.NotExist)
	}
	down, err := s.Get(a, 0, -1)
	must(t, err)
	up, err := other.Put(b, whole)
	must(t, err)
	refused := func(when string) {
		t.Helper()
		_, err := s.Get(a, 0, -1)
		wantKind(t, "a download "+when, err, fault.Busy)
		_, err = other.Put(c, whole)
		wantKind(t, "an upload "+when, err, fault.Busy)
		_, err = other.Copy(c, false, a)
		wantKind(t, "a copy "+when, err, fault.Busy)
	}
	refused("while two are under way")
	must(t, put(bob, a, "bob's", whole))
	_, err = up.ReadFrom(strings.NewReader("b"))
	must(t, err)
	more, err := s.Put(c, whole) // in the place of the one that is all there
	must(t, err)
	refused("while one waits for its commit")
	_, err = up.Commit(nil)
	must(t, err)
	must(t, up.Close())
	refused("when it is committed")
	must(t, more.Close())
	must(t, put(other, c, "c", files.Want{Size: 1}))
	must(t, down.Close())
	must(t, copied(s, b, false, a))
}

// TestWhoWaitsForRoom: who waits for a transfer of his account to end gets through, in spite of others who are called and begin
// none; who gives up learns why.
func TestWhoWaitsForRoom(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{Limits: Limits{MaxTransfers: 2}})
	h.add("alice", account.Unlimited, "")
	s := h.in("alice")
	a := p(t, "/a")
	must(t, put(s, a, "a", whole))
	get := func() (*Transfer, error) { return s.Get(a, 0, -1) }
	first, err := get()
	must(t, err)
	second, err := get()
	must(t, err)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	err = s.WhenRoom(gone, func() error { _, err := get(); return err })
	wantKind(t, "who does not wait", err, fault.Busy)
	if !Crowded(err) {
		t.Errorf("%v is not for want of room", err)
	}
	var waiting, through sync.WaitGroup
	for n := range 40 {
		waiting.Add(1)
		through.Go(func() {
			var got *Transfer
			tries := 0
			err := s.WhenRoom(t.Context(), func() (err error) {
				if tries++; n%4 == 3 && tries == 2 {
					return fault.New(fault.NotExist, "it is not there")
				}
				if got, err = get(); tries == 1 {
					waiting.Done()
				}
				return err
			})
			if n%4 == 3 {
				wantKind(t, "who begins none", err, fault.NotExist)
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			got.Close()
		})
	}
	waiting.Wait()
	must(t, first.Close())
	must(t, second.Close())
	through.Wait()
	if g := s.login.Load().guest; g.transfers != 0 || len(g.waiting) != 0 {
		t.Errorf("%d transfers, and %d wait", g.transfers, len(g.waiting))
	}
}

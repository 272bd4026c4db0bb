package session

import (
	"strings"
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

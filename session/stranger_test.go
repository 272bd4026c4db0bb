package session

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"sampan/account"
	"sampan/fault"
)

// TestStrangersGiveWay: who comes to a full server takes the place of somebody who does not log in, at once of one from an
// address that has more of them, else of one who had the time; nobody who is logged in, or is just being let in, gives way.
func TestStrangersGiveWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Config{Limits: Limits{MaxSessions: 10, MaxPerAddress: 6}})
		h.add("alice", account.Unlimited, "")
		begin := func(host int) (*Session, error) {
			s, err := h.hub.Begin(Via{Proto: "ftp", Remote: netip.MustParseAddrPort(fmt.Sprintf("192.0.2.%d:9", host))})
			if err == nil {
				t.Cleanup(s.End)
			}
			return s, err
		}
		admitted := func(what string, host int) *Session {
			t.Helper()
			s, err := begin(host)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			return s
		}
		gaveWay := func(what string, s *Session, want bool) {
			t.Helper()
			if got := s.Context().Err() != nil; got != want {
				t.Errorf("%s: gave way: %v, want %v", what, got, want)
			}
		}
		var few, many []*Session
		for range 4 {
			few = append(few, admitted("few", 1))
		}
		for range 6 {
			many = append(many, admitted("many", 2))
		}
		done, err := many[0].request() // as during a log-in
		must(t, err)
		must(t, few[0].Login("alice", password))

		admitted("somebody else", 3)
		gaveWay("who is being let in", many[0], false)
		gaveWay("the oldest of the many", many[1], true)
		wantKind(t, "a log-in that comes too late", many[1].Login("alice", password), fault.Stopped)
		many[1].End()
		if n := len(h.hub.Live()); n != 10 {
			t.Errorf("%d are in", n)
		}
		_, err = begin(2)
		wantKind(t, "one more of the many, at once", err, fault.TooMany)
		admitted("one more who has few", 3)
		gaveWay("the next of the many", many[2], true)

		time.Sleep(timeToLogIn)
		done()
		gaveWay("one of the few", few[1], false)
		admitted("one more of the many, in a while", 2)
		gaveWay("the oldest of the many, who was not let in", many[0], true)
		gaveWay("one of the few", few[1], false)

		for _, s := range h.hub.all() {
			if s.login.Load() == nil {
				must(t, s.Login("alice", password))
			}
		}
		time.Sleep(timeToLogIn)
		_, err = begin(5)
		wantKind(t, "when all are logged in", err, fault.TooMany)
	})
}

// TestStrangersOfAnAddressGiveWay: the same within an address that has all its places, for those who share it.
func TestStrangersOfAnAddressGiveWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Config{Limits: Limits{MaxPerAddress: 2}})
		h.add("alice", account.Unlimited, "")
		elsewhere, err := h.hub.Begin(Via{Proto: "ftp", Remote: netip.MustParseAddrPort("192.0.2.99:1")})
		must(t, err)
		defer elsewhere.End()
		h.in("alice")
		stranger := h.begin()
		_, err = h.hub.Begin(Via{Remote: from})
		wantKind(t, "at once", err, fault.TooMany)
		time.Sleep(timeToLogIn)
		h.begin()
		if stranger.Context().Err() == nil || elsewhere.Context().Err() != nil {
			t.Error("the stranger of that address has to give way")
		}
	})
}

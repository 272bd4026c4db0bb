package session

import (
	"net/netip"
	"time"

	"sampan/fault"
)

// A session that nobody logged in to is a stranger's. When the server, or an address, has as many sessions as it may,
// strangers give way to who comes next: else connections that never log in would keep everybody out. An address that has
// more of them than the newcomer's gives way at once, one that has as many when its stranger had the time to log in, so that
// a crowd of honest clients does not throw each other out, and one that has fewer never.
const timeToLogIn = time.Second

// makeRoom ends the session of a stranger who has to give way to a newcomer from net; false if there is none. With within
// it looks among those from net alone. h.mu is held.
func (h *Hub) makeRoom(net netip.Prefix, within bool) bool {
	held := map[netip.Prefix]int{}
	if !within {
		held[net] = 1 // the newcomer
	}
	var strangers []*Session
	for _, s := range h.sessions {
		if from := s.via.network(); s.login.Load() == nil && s.requests == 0 && (!within || from == net) {
			held[from]++
			strangers = append(strangers, s)
		}
	}
	var first *Session
	now := time.Now()
	for _, s := range strangers {
		n := held[s.via.network()]
		switch {
		case n < held[net], n == held[net] && now.Sub(s.since) < timeToLogIn:
		case first == nil, n > held[first.via.network()], n == held[first.via.network()] && s.id < first.id:
			first = s
		}
	}
	if first == nil {
		return false
	}
	h.drop(first)
	first.stop(fault.New(fault.Stopped, "you did not log in, and others wait; try again"))
	h.log.Info("gave way", "session", first.id, "remote", first.via.Remote.String(), "reason", "not logged in")
	return true
}

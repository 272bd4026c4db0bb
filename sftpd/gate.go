package sftpd

import (
	"net"
	"net/netip"
	"slices"
	"sync"

	"sampan/fault"
)

// A gate bounds the connections that are not logged in: of one address (of an IPv6 address its /64), and of all. When all
// places are taken the address with most of them loses its oldest, so that a flood keeps nobody else out.
type gate struct {
	mu  sync.Mutex
	n   int
	per map[netip.Prefix][]net.Conn // oldest first
}

// enter counts a connection in; leave may be called more than once. TooMany.
func (g *gate) enter(nc net.Conn, from netip.Addr, l limits) (leave func(), err error) {
	bits := 32
	if from = from.WithZone(""); from.Is6() {
		bits = 64
	}
	key, _ := from.Prefix(bits)
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.per[key]) >= l.startups {
		return nil, fault.New(fault.TooMany, "too many connections of your address are logging in; try again in a moment")
	}
	if g.n >= l.pending {
		g.greediest().Close() // who serves it leaves
	}
	g.n++
	g.per[key] = append(g.per[key], nc)
	return func() { g.leave(key, nc) }, nil
}

// greediest returns the oldest connection of the address that has most. g.mu is held.
func (g *gate) greediest() net.Conn {
	var most []net.Conn
	for _, list := range g.per {
		if len(list) > len(most) {
			most = list
		}
	}
	return most[0]
}

func (g *gate) leave(key netip.Prefix, nc net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := g.per[key]
	i := slices.Index(list, nc)
	if i < 0 {
		return
	}
	g.n--
	if list = slices.Delete(list, i, i+1); len(list) == 0 {
		delete(g.per, key)
	} else {
		g.per[key] = list
	}
}

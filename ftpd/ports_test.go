package ftpd

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"sampan/ftp"
	"sampan/session"
)

// A range of passive ports for a server on own, an address where nobody else opens ports; the first port of the range is
// taken by somebody else.
func passiveRange(t testing.TB, own string, n int) (low int, c change) {
	t.Helper()
	taken, err := net.Listen("tcp", net.JoinHostPort(own, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	low = min(int(addrPort(taken.Addr()).Port()), 65535-n)
	return low, func(_ *house, c *Config, _ *session.Config) { c.PassiveLow, c.PassiveHigh = low, low+n }
}

// from connects from an address of choice and logs in.
func (h *house) from(local, addr, name string) *peer {
	h.t.Helper()
	p := h.connectFrom(local, addr)
	p.want(220)
	p.login(name)
	return p
}

// nothing checks that a connection is closed without a word.
func nothing(t testing.TB, nc net.Conn) {
	t.Helper()
	if b, err := io.ReadAll(nc); len(b) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%q %v", b, err)
	}
}

// leases tells how many ports are lent or rest.
func (h *house) leases() (ports, leases int) {
	ps := &h.srv.ports
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.open {
		p.mu.Lock()
		leases += len(p.lent)
		p.mu.Unlock()
	}
	return len(ps.open), leases
}

// lendAgainAfter changes how long ports rest.
func (h *house) lendAgainAfter(d time.Duration) {
	h.srv.ports.mu.Lock()
	defer h.srv.ports.mu.Unlock()
	h.srv.ports.rest = d
}

// TestPassivePorts: they are those of the range, without what others hold; a second PASV closes the first, and 300 leak
// nothing. When nobody comes the reply names the port and what may be in the way.
func TestPassivePorts(t *testing.T) {
	t.Parallel()
	for _, own := range []string{"127.0.0.77", "::1"} {
		t.Run(own, func(t *testing.T) {
			t.Parallel()
			low, ports := passiveRange(t, own, 20)
			h := newHouse(t, ports, hurried(func(l *limits) { l.connect = 100 * time.Millisecond }))
			h.add("alice", -1, nil)
			h.put("alice", "f", []byte("x"))
			h.addr = h.serve(net.JoinHostPort(own, "0"), false)
			p := h.login("alice")
			first := p.epsv()
			var last string
			for range 300 {
				last = p.epsv()
				if at := netip.MustParseAddrPort(last); int(at.Port()) <= low || int(at.Port()) > low+20 || at.Addr() != netip.MustParseAddr(own) {
					t.Fatal(last)
				}
			}
			if ports, leases := h.leases(); ports > maxLeases || leases > maxLeases {
				t.Errorf("%d ports are open, %d are lent", ports, leases)
			}
			if first == last {
				first = p.epsv()
				first, last = last, first
			}
			nothing(t, p.dialData(first))
			p.cmd(150, "RETR f") // nobody comes
			text := p.want(425).Text()
			_, port, _ := net.SplitHostPort(last)
			for _, what := range []string{"port " + port + " ", "from " + addrPort(p.tcp.LocalAddr()).Addr().String() + " ", fmt.Sprintf("ports %d-%d", low, low+20), "firewall"} {
				if !strings.Contains(text, what) {
					t.Errorf("%q does not say %q", text, what)
				}
			}
			same(t, "f", p.fetch("RETR f"), []byte("x"))
		})
	}
}

// TestPortsOfOthers: when other programs hold the whole range, the reply says so.
func TestPortsOfOthers(t *testing.T) {
	t.Parallel()
	_, ports := passiveRange(t, "127.0.0.76", 0)
	h := newHouse(t, ports)
	h.add("alice", -1, nil)
	h.addr = h.serve("127.0.0.76:0", false)
	if text := h.login("alice").cmd(425, "EPSV").Text(); !strings.Contains(text, "Other programs") {
		t.Error(text)
	}
	if log := h.log.String(); !strings.Contains(log, "--passive-ports") {
		t.Error(log)
	}
}

// TestOneAddressCannotTakeAllPorts: whoever takes all ports takes them from his own address only.
func TestOneAddressCannotTakeAllPorts(t *testing.T) {
	t.Parallel()
	const n = 10
	_, ports := passiveRange(t, "127.0.0.75", n)
	h := newHouse(t, ports)
	h.add("mallory", -1, nil)
	h.add("alice", -1, nil)
	h.put("alice", "f", []byte("content"))
	addr := h.serve("127.0.0.75:0", false)
	lent := map[string]bool{}
	for range 500 {
		p := h.from("127.0.0.66", addr, "mallory")
		if len(lent) < n {
			at := p.epsv()
			if lent[at] {
				t.Fatal("one port was lent twice at once")
			}
			lent[at] = true
		} else if text := p.cmd(425, "EPSV").Text(); !strings.Contains(text, "lent to your address") {
			t.Fatal(text)
		}
	}
	p := h.from("127.0.0.67", addr, "alice")
	for range 3 {
		same(t, "f", p.fetch("RETR f"), []byte("content"))
	}
}

// TestPortsRest: a port on which a client was still awaited when its session ended is not lent to another session of
// that address for a while; the client's connection, when it comes, meets nobody. Nor is one lent twice at once.
func TestPortsRest(t *testing.T) {
	t.Parallel()
	_, ports := passiveRange(t, "127.0.0.74", 2)
	h := newHouse(t, ports)
	h.add("alice", -1, nil)
	h.put("alice", "f", []byte("content"))
	h.addr = h.serve("127.0.0.74:0", false)
	a := h.login("alice")
	late := a.epsv()
	a.cmd(221, "QUIT")
	a.gone()
	b := h.login("alice")
	at := b.epsv()
	if at == late {
		t.Fatal("the port was lent to another session at once")
	}
	c := h.login("alice")
	c.cmd(425, "EPSV")
	nothing(t, c.dialData(late))
	nc := b.dialData(at)
	b.cmd(150, "RETR f")
	if got, err := io.ReadAll(nc); err != nil || string(got) != "content" {
		t.Fatalf("%q %v", got, err)
	}
	b.want(226)
	// All that was asked for came to b's port: nothing is on its way there, and c gets it.
	same(t, "f", c.fetch("RETR f"), []byte("content"))
	b.cmd(221, "QUIT")
	c.epsv()
	h.login("alice").cmd(425, "EPSV")
	h.lendAgainAfter(0)
	if got := h.login("alice").epsv(); got != late {
		t.Errorf("%s was lent, %s has rested", got, late)
	}
}

// TestPortsAreClosed: ports that nobody was lent for a while are closed.
func TestPortsAreClosed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	var all []*peer
	for range 10 {
		p := h.login("alice")
		p.epsv()
		all = append(all, p)
	}
	if ports, _ := h.leases(); ports != 10 {
		t.Errorf("%d ports are open", ports)
	}
	for _, p := range all {
		p.cmd(221, "QUIT")
	}
	eventually(t, "the sessions are gone", func() bool { return len(h.hub.Live()) == 0 })
	h.lendAgainAfter(0)
	p := h.login("alice")
	p.store(226, "STOR f", nil)
	if ports, leases := h.leases(); ports != 1 || leases != 1 {
		t.Errorf("%d ports are open, %d lent", ports, leases)
	}
}

// TestTwoSessionsOfOneAddress: each gets its own connections, also when both come and go at once on few ports and
// transfers are given up in between.
func TestTwoSessionsOfOneAddress(t *testing.T) {
	t.Parallel()
	_, ports := passiveRange(t, "127.0.0.73", 12)
	h := newHouse(t, ports)
	h.addr = h.serve("127.0.0.73:0", false)
	names := []string{"alice", "bob", "carol"}
	peers := map[string]*peer{}
	for _, name := range names {
		h.add(name, -1, nil)
		h.put(name, "f", []byte("of "+name))
		peers[name] = h.login(name)
	}
	var all sync.WaitGroup
	for _, name := range names {
		all.Go(func() {
			p := peers[name]
			for i := range 200 {
				if err := p.tryFetch("f", "of "+name); err != nil {
					t.Errorf("%s, %d: %v", name, i, err)
					return
				}
				if i%7 == 0 { // given up, before or after its connection came
					if err := p.tryFetch("nothing", ""); err == nil {
						t.Error("there is nothing")
					}
				}
			}
		})
	}
	all.Wait()
}

// TestGivenUpOnTheOnlyPort: what a client left behind on a port, when its transfer was refused, is not taken for the next
// transfer's connection, also where there is no other port to give it.
func TestGivenUpOnTheOnlyPort(t *testing.T) {
	t.Parallel()
	_, ports := passiveRange(t, "127.0.0.71", 1)
	h := newHouse(t, ports)
	h.add("alice", -1, nil)
	h.put("alice", "f", []byte("content"))
	h.addr = h.serve("127.0.0.71:0", false)
	p := h.login("alice")
	for range 300 {
		nc := p.passive()
		p.cmd(550, "RETR nothing")
		same(t, "f", p.fetch("RETR f"), []byte("content"))
		nothing(t, nc)
	}
}

// tryFetch is fetch for goroutines.
func (p *peer) tryFetch(name, want string) error {
	ask := func(line string, code int) (string, error) {
		if line != "" {
			if _, err := io.WriteString(p.nc, line+"\r\n"); err != nil {
				return "", err
			}
		}
		r, err := ftp.ReadReply(p.r)
		if err == nil && r.Code != code {
			err = fmt.Errorf("%s: %d %q", line, r.Code, r.Lines)
		}
		return r.Text(), err
	}
	text, err := ask("EPSV", 229)
	if err != nil {
		return err
	}
	port, _ := ftp.ParseEPSV(text)
	nc, err := net.Dial("tcp", net.JoinHostPort(addrPort(p.tcp.RemoteAddr()).Addr().String(), fmt.Sprint(port)))
	if err != nil {
		return err
	}
	defer nc.Close()
	nc.SetDeadline(later())
	if _, err := ask("RETR "+name, 150); err != nil {
		return err
	}
	b, err := io.ReadAll(nc)
	if err != nil || string(b) != want {
		return fmt.Errorf("%q, %w", b, err)
	}
	_, err = ask("", 226)
	return err
}

// TestStrangersFloodThePort: strangers who connect as fast as they can, before, during and behind a client's transfers,
// hold up none of them.
func TestStrangersFloodThePort(t *testing.T) {
	t.Parallel()
	_, ports := passiveRange(t, "127.0.0.72", 1)
	h := newHouse(t, ports)
	h.add("alice", -1, nil)
	addr := h.serve("127.0.0.72:0", false)
	p := h.from("127.0.0.68", addr, "alice")
	at := p.epsv()
	done := make(chan struct{})
	var flood sync.WaitGroup
	met := make(chan struct{}, 1)
	for range 4 {
		flood.Go(func() {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 69)}}
			for {
				select {
				case <-done:
					return
				default:
				}
				nc, err := d.Dial("tcp", at)
				if err != nil { // its own ports are used up for a moment
					continue
				}
				nc.SetDeadline(later())
				io.WriteString(nc, "mine")
				if b, _ := io.ReadAll(nc); len(b) > 0 {
					t.Errorf("a stranger got %q", b)
				}
				nc.Close()
				select {
				case met <- struct{}{}:
				default:
				}
			}
		})
	}
	for i := range 30 {
		<-met
		p.store(226, "STOR f", []byte("content"))
		same(t, "f", p.fetch("RETR f"), []byte("content"))
		if i%10 == 0 && p.epsv() != at {
			t.Error("strangers took the port away")
		}
	}
	close(done)
	flood.Wait()
}

// TestSamePortAgain: a session has its passive port again as long as nothing comes there but what was asked for. A
// connection too many is never taken for the next transfer's, wherever it came in between, and it makes the port another
// one.
func TestSamePortAgain(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		h.put("alice", "f", []byte("secret"))
		p := login("alice")
		fetch := func(addr string) {
			t.Helper()
			nc := p.dialData(addr)
			p.cmd(150, "RETR f")
			b, err := io.ReadAll(p.secure(nc))
			if err != nil || string(b) != "secret" {
				t.Fatalf("%q %v", b, err)
			}
			nc.Close()
			p.want(226)
		}
		addr := p.epsv()
		fetch(addr)
		if p.epsv() != addr {
			t.Fatal("the port is another one")
		}
		fetch(addr)
		another := func(what string, stray net.Conn) {
			t.Helper()
			next := p.epsv()
			if next == addr {
				t.Fatal(what + ": the port is the same")
			}
			nothing(t, stray)
			fetch(next)
			addr = next
		}

		stray := p.dialData(addr) // nothing is agreed
		nothing(t, stray)
		another("between two transfers", stray)

		p.epsv()
		another("a second EPSV", p.dialData(addr))

		p.epsv()
		stray = p.dialData(addr)
		p.cmd(226, "ABOR")
		another("ABOR", stray)

		p.epsv()
		stray = p.dialData(addr)
		p.cmd(550, "RETR nothing")
		another("a refused transfer", stray)

		p.epsv()
		nc := p.dialData(addr)
		stray = p.dialData(addr) // behind the right one
		p.cmd(150, "RETR f")
		if b, err := io.ReadAll(p.secure(nc)); err != nil || string(b) != "secret" {
			t.Fatalf("%q %v", b, err)
		}
		p.want(226)
		nothing(t, stray)
		another("two connections", stray)
	})
}

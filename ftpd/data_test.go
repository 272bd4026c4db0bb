package ftpd

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"sampan/ftp"
)

// listenFor opens a port on the client's side and returns PORT's argument.
func (p *peer) listenFor() (*net.TCPListener, netip.AddrPort) {
	p.t.Helper()
	host := addrPort(p.tcp.LocalAddr()).Addr()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(host, 0)))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { l.Close() })
	l.SetDeadline(time.Now().Add(patience))
	return l, addrPort(l.Addr())
}

func TestActive(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		h.put("alice", "f", []byte("content"))
		p := login("alice")
		for _, verb := range []string{"PORT", "EPRT"} {
			l, addr := p.listenFor()
			arg := ftp.FormatPORT(addr)
			if verb == "EPRT" {
				arg = ftp.FormatEPRT(addr)
			}
			p.cmd(200, verb+" "+arg)
			p.cmd(150, "RETR f")
			nc, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			nc.SetDeadline(time.Now().Add(patience))
			b, err := io.ReadAll(p.secure(nc))
			if err != nil {
				t.Fatal(err)
			}
			p.want(226)
			same(t, "f", b, []byte("content"))
			p.cmd(425, "RETR f") // one PORT is for one transfer
			l.Close()
			p.cmd(200, verb+" "+arg)
			p.cmd(150, "RETR f")
			p.want(425)
		}
	})
}

func TestForeignAddresses(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	p := h.login("alice")
	for line, code := range map[string]int{
		"PORT 127,0,0,2,200,1":          504,
		"PORT 10,0,0,1,200,1":           504,
		"PORT 0,0,0,0,200,1":            200, // lftp means itself
		"PORT 255,255,255,255,200,1":    504,
		"PORT 127,0,0,1,0,25":           504,
		"PORT 127,0,0,1,3,255":          504,
		"PORT 127,0,0,1,256,1":          501,
		"PORT 127,0,0,1":                501,
		"PORT localhost":                501,
		"EPRT |1|127.0.0.2|50000|":      504,
		"EPRT |1|127.0.0.1|1023|":       504,
		"EPRT |1|127.0.0.1|70000|":      501,
		"EPRT |2|::1|50000|":            504,
		"EPRT |3|127.0.0.1|50000|":      522,
		"EPRT |1|localhost|50000|":      501,
		"EPRT |2|::ffff:127.0.0.1|999|": 504,
		"PORT 127,0,0,1,4,0":            200,
		"EPRT |2|::ffff:127.0.0.1|999":  501,
	} {
		p.cmd(code, line)
	}
	p.cmd(200, "EPSV ALL")
	p.cmd(503, "PASV")
	p.cmd(503, "PORT 127,0,0,1,200,1")
	p.cmd(503, "EPRT |1|127.0.0.1|50000|")
	p.passive()
}

// TestStranger: whoever is not the client gets nothing from a passive port, and the client is still served.
func TestStranger(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	h.put("alice", "f", []byte("secret"))
	h.addr = h.serve("0.0.0.0:0", false)
	_, port, _ := net.SplitHostPort(h.addr)
	own := ownAddress(t)
	p := h.dialTo(net.JoinHostPort("127.0.0.1", port)) // the passive port listens on 127.0.0.1
	p.login("alice")
	addr := p.epsv()
	from := func(local string) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}}
		nc, err := d.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		nc.SetDeadline(time.Now().Add(patience))
		return nc
	}
	strangers := []net.Conn{from("127.0.0.2"), from("127.0.0.3")}
	if own != "" {
		strangers = append(strangers, from(own))
	}
	p.cmd(150, "RETR f")
	for _, s := range strangers {
		if b, _ := io.ReadAll(s); len(b) > 0 {
			t.Fatalf("a stranger got %q", b)
		}
	}
	nc := from("127.0.0.1")
	if b, err := io.ReadAll(nc); err != nil || string(b) != "secret" {
		t.Fatalf("%q %v", b, err)
	}
	p.want(226)
}

func ownAddress(t *testing.T) string {
	t.Helper()
	nets, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nets {
		if n, ok := n.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			return n.IP.String()
		}
	}
	return ""
}

// TestRESTAcrossPASV: an offset holds for one transfer, across a PASV in between.
func TestRESTAcrossPASV(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	h.put("alice", "f", []byte("0123456789"))
	p := h.login("alice")
	p.cmd(350, "REST 4")
	same(t, "from 4", p.fetch("RETR f"), []byte("456789"))
	same(t, "once", p.fetch("RETR f"), []byte("0123456789"))
	p.cmd(350, "REST 10")
	same(t, "at the end", p.fetch("RETR f"), nil)
	p.cmd(350, "REST 11")
	p.refused(554, "RETR f")
	same(t, "a refused one too", p.fetch("RETR f"), []byte("0123456789"))
	p.cmd(350, "REST 11")
	p.refused(554, "STOR f")
	p.cmd(350, "REST 8")
	p.store(226, "STOR f", []byte("abcd"))
	same(t, "over the end", h.read("alice", "f"), []byte("01234567abcd"))
	p.cmd(350, "REST 3")
	p.refused(503, "APPE f")
	p.store(226, "APPE f", []byte("!"))
	same(t, "behind the end", h.read("alice", "f"), []byte("01234567abcd!"))
	p.cmd(350, "REST 5")
	p.cmd(200, "TYPE A")
	p.refused(504, "RETR f")
	p.cmd(200, "TYPE I")
	p.cmd(350, "RANG 2 4")
	same(t, "a range", p.fetch("RETR f"), []byte("234"))
	p.cmd(350, "RANG 2 4")
	p.refused(504, "STOR f")
}

func TestPublicAddress(t *testing.T) {
	t.Parallel()
	local := netip.MustParseAddr("127.0.0.1")
	far, near := netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("127.0.0.9")
	for _, test := range []struct {
		name string
		peer netip.Addr
		want string
	}{
		{"", far, "127.0.0.1"},
		{"198.51.100.7", far, "198.51.100.7"},
		{"198.51.100.7", near, "127.0.0.1"},
		{"localhost", far, "127.0.0.1"},
		{"no-such-name.invalid", far, "127.0.0.1"},
	} {
		p := public{name: test.name}
		if got := p.shown(t.Context(), local, test.peer); got.String() != test.want {
			t.Errorf("%s for %s: %s", test.name, test.peer, got)
		}
	}
}

func TestIPv6(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	h.put("alice", "f", []byte("content"))
	_, port, _ := net.SplitHostPort(h.serve("[::]:0", false))
	six := h.dialTo("[::1]:" + port)
	six.login("alice")
	same(t, "over IPv6", six.fetch("RETR f"), []byte("content"))
	six.cmd(502, "PASV")
	six.cmd(229, "EPSV 2")
	six.cmd(522, "EPSV 1")
	l, addr := six.listenFor()
	six.cmd(200, "EPRT "+ftp.FormatEPRT(addr))
	six.cmd(150, "RETR f")
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(nc); err != nil || string(b) != "content" {
		t.Fatalf("%q %v", b, err)
	}
	six.want(226)
	six.cmd(504, "PORT 127,0,0,1,200,1")

	four := h.dialTo("127.0.0.1:" + port) // the same listener, of both families
	four.login("alice")
	same(t, "over IPv4", four.fetch("RETR f"), []byte("content"))
	four.cmd(229, "EPSV 1")
	four.cmd(522, "EPSV 2")
	if a, ok := ftp.ParsePASV(four.cmd(227, "PASV").Text()); !ok || a.Addr() != netip.MustParseAddr("127.0.0.1") {
		t.Fatal(a)
	}
	l, addr = four.listenFor()
	four.cmd(200, "PORT "+ftp.FormatPORT(addr))
	four.cmd(150, "RETR f")
	if nc, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(nc); err != nil || string(b) != "content" {
		t.Fatalf("%q %v", b, err)
	}
	four.want(226)
}

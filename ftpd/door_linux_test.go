package ftpd

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestSmallFileIsAnsweredAtOnce: what the kernel takes without waiting is sent before it is told, and told with one write.
func TestSmallFileIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, hurried(func(l *limits) { l.beat = time.Hour })) // nobody listens meanwhile
	h.add("alice", -1, nil)
	content := noise(atOnce)
	h.put("alice", "small", content)
	p := h.login("alice")
	nc := p.passive()
	p.send("RETR small\r\n")
	got, err := io.ReadAll(nc)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "small", got, content)
	b := make([]byte, 512)
	n, err := p.tcp.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(string(b[:n]), "\r\n"); len(lines) != 3 || lines[0][:4] != "150 " || lines[1][:4] != "226 " {
		t.Errorf("%q", b[:n])
	}
}

// TestPeerWithZone: a peer whose address has a zone, as link-local ones of IPv6 do, is known by its address when it comes.
func TestPeerWithZone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	leases, err := h.srv.ports.lend(t.Context(), nil, netip.MustParseAddr("127.0.0.70"), netip.MustParseAddr("fe80::1%lo"))
	if err != nil {
		t.Fatal(err)
	}
	l := leases[0]
	defer l.close()
	nc, err := net.Dial("tcp", l.port.at.String()) // for the socket; it comes from elsewhere
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	l.port.door.look(nil)
	nothing(t, nc)
	l.port.hand(&visitor{from: netip.MustParseAddr("fe80::1"), fd: -1})
	if l.take() == nil {
		t.Error("the peer was taken for a stranger")
	}
}

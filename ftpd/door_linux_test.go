package ftpd

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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

// TestDoorWithoutDescriptors: who watches a port tells why nobody can be let in, and lets them in when that is over.
func TestDoorWithoutDescriptors(t *testing.T) {
	t.Parallel()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0) // nobody listens yet
	if err != nil {
		t.Fatal(err)
	}
	warned := make(chan error, 100)
	came := make(chan *visitor, 1)
	d := &door{fd: fd, warn: func(err error) { warned <- err }, hand: func(v *visitor) { came <- v }}
	defer d.close()
	defer d.watch()()
	for range 2 {
		if err := <-warned; err == nil {
			t.Fatal("nobody knows why")
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 1); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", at.(*unix.SockaddrInet4).Port))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	(<-came).Close()
}

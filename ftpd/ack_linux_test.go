package ftpd

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"
)

// twoPieces is a connection of a client that sends the end of its handshake in two pieces, as GnuTLS does, with Nagle's
// algorithm on.
type twoPieces struct{ *net.TCPConn }

func (c twoPieces) Write(p []byte) (int, error) {
	const changeCipherSpec, record = 20, 6
	if len(p) <= record || p[0] != changeCipherSpec {
		return c.TCPConn.Write(p)
	}
	n, err := c.TCPConn.Write(p[:record])
	if err != nil {
		return n, err
	}
	m, err := c.TCPConn.Write(p[record:])
	return n + m, err
}

// TestHandshakeInTwoPieces: such a client does not wait for the acknowledgement that the kernel holds back for 40 ms. On a
// busy machine all takes longer, so the fastest of many counts.
func TestHandshakeInTwoPieces(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	h.put("alice", "f", []byte("content"))
	p := h.loginTLS("alice")
	least := time.Hour
	for range 20 {
		nc := p.passive().(*net.TCPConn)
		nc.SetNoDelay(false)
		p.cmd(150, "RETR f")
		begin := time.Now()
		b, err := io.ReadAll(tls.Client(twoPieces{nc}, p.cfg))
		least = min(least, time.Since(begin))
		nc.Close()
		if p.want(226); err != nil || string(b) != "content" {
			t.Fatalf("%q, %v", b, err)
		}
	}
	if least > 35*time.Millisecond {
		t.Errorf("it took %v at least", least)
	}
}

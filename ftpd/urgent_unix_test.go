//go:build unix

package ftpd

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// sendUrgent sends s, its last byte as urgent data.
func sendUrgent(nc *net.TCPConn, s string) (err error) {
	onSocket(nc, func(fd int) { err = unix.Sendto(fd, []byte(s), unix.MSG_OOB, nil) })
	return err
}

// TestUrgentAbort: the Telnet Synch goes as urgent data, and must not take a byte of what follows.
func TestUrgentAbort(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	p := h.login("alice")
	for _, test := range []struct{ urgent, behind string }{
		{"\xff\xf4\xff", "\xf2ABOR\r\n"}, {"\xff\xf4\xff\xf2", "ABOR\r\n"}, {"\xf2", "ABOR\r\n"},
	} {
		p.begin("STOR f")
		if err := sendUrgent(p.tcp, test.urgent); err != nil {
			t.Fatal(err)
		}
		p.send(test.behind)
		p.want(426)
		p.want(226)
		p.cmd(200, "NOOP")
	}
}

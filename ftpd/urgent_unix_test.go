//go:build unix

package ftpd

import (
	"net"

	"golang.org/x/sys/unix"
)

// sendUrgent sends s, its last byte as urgent data.
func sendUrgent(nc *net.TCPConn, s string) (err error) {
	onSocket(nc, func(fd int) { err = unix.Sendto(fd, []byte(s), unix.MSG_OOB, nil) })
	return err
}

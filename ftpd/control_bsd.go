//go:build unix && !linux

package ftpd

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// seesEnd says that hungUp needs somebody who reads.
const seesEnd = false

// ackAtOnce cannot be asked for here.
func ackAtOnce(net.Conn) {}

// hungUp reports whether the peer ended or reset the connection. An end behind bytes that nobody has read is not seen.
func hungUp(nc net.Conn) bool {
	gone := false
	onSocket(nc, func(fd int) {
		var one [1]byte
		n, _, err := unix.Recvfrom(fd, one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		again := errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)
		gone = err == nil && n == 0 || err != nil && !again
	})
	return gone
}

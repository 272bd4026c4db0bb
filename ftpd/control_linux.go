package ftpd

import (
	"net"

	"golang.org/x/sys/unix"
)

// seesEnd says that hungUp needs nobody who reads.
const seesEnd = true

// ackAtOnce sends the acknowledgement that the kernel holds back in the hope that something of ours goes with it.
func ackAtOnce(nc net.Conn) {
	onSocket(nc, func(fd int) { unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) })
}

// hungUp reports whether the peer ended or reset the connection, also when there are bytes before that which nobody
// has read.
func hungUp(nc net.Conn) bool {
	const established = 1 // TCP_ESTABLISHED of linux/tcp_states.h
	gone := false
	onSocket(nc, func(fd int) {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		gone = err == nil && info.State != established
	})
	return gone
}

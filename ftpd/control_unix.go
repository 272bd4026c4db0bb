//go:build unix

package ftpd

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

func onSocket(nc net.Conn, f func(fd int)) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err == nil {
		raw.Control(func(fd uintptr) { f(int(fd)) })
	}
}

// keepUrgentInline keeps urgent data in the stream: clients send the Telnet Synch before ABOR so (RFC 959 section 4.1.3),
// and a byte taken out of the middle of IAC DM would change what follows.
func keepUrgentInline(nc net.Conn) {
	onSocket(nc, func(fd int) { unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_OOBINLINE, 1) })
}

// awaitInput waits until there is something to read from nc, or its read deadline. It needs little stack.
func awaitInput(nc net.Conn) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err == nil {
		raw.Read(readable)
	}
}

func readable(fd uintptr) bool {
	var one [1]byte
	_, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err != unix.EAGAIN
}

// discardUnread reads away what has come, without waiting for more.
func discardUnread(nc net.Conn) {
	onSocket(nc, func(fd int) {
		var some [4 << 10]byte
		for range 64 {
			if n, _, err := unix.Recvfrom(fd, some[:], unix.MSG_DONTWAIT); n <= 0 || err != nil {
				return
			}
		}
	})
}

// portTaken reports that a port cannot be opened because another program has it.
func portTaken(err error) bool { return errors.Is(err, unix.EADDRINUSE) || errors.Is(err, unix.EACCES) }

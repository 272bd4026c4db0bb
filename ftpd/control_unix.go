//go:build unix

package ftpd

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

func onSocket(nc any, f func(fd int)) {
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

// mayDoze says that awaitInput waits.
const mayDoze = true

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

// discardUnread reads away what has come, without waiting for more, and tells whether that was anything. An error says
// that the connection is gone.
func discardUnread(nc net.Conn) (some bool, err error) {
	onSocket(nc, func(fd int) { some, err = discardFrom(fd) })
	return some, err
}

func discardFrom(fd int) (some bool, err error) {
	var buf [4 << 10]byte
	for range 64 {
		n, _, failed := unix.Recvfrom(fd, buf[:], unix.MSG_DONTWAIT)
		if failed != nil && failed != unix.EAGAIN && failed != unix.EINTR {
			err = failed
		}
		if n <= 0 || failed != nil {
			break
		}
		some = true
	}
	return some, err
}

// portTaken reports that a port cannot be opened because another program has it.
func portTaken(err error) bool { return errors.Is(err, unix.EADDRINUSE) || errors.Is(err, unix.EACCES) }

//go:build linux

package main

import (
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A socket is a blocking TCP socket. It goes past Go's poller, which would cost the load generator more than the
// servers cost it: on few cores the client must be cheap, or every row measures the client.
type socket struct {
	fd     int
	remote netip.AddrPort
}

// stuck is how long a socket waits for anything before the measurement fails.
const stuck = 60 * time.Second

func connect(to netip.AddrPort) (*socket, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s := &socket{fd, to}
	limit := syscall.NsecToTimeval(int64(stuck))
	for _, err := range []error{
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1),
		syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &limit),
		syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &limit),
		s.reach(&syscall.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}),
	} {
		if err != nil {
			s.Close()
			return nil, os.NewSyscallError("connect to "+to.String(), err)
		}
	}
	return s, nil
}

// reach connects. A signal that comes meanwhile ends the call, not the attempt (connect(2)).
func (s *socket) reach(to syscall.Sockaddr) error {
	err := syscall.Connect(s.fd, to)
	if err != syscall.EINTR {
		return err
	}
	wait := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLOUT}}
	for err == syscall.EINTR {
		_, err = unix.Poll(wait, int(stuck.Milliseconds()))
	}
	if err != nil {
		return err
	}
	n, err := syscall.GetsockoptInt(s.fd, syscall.SOL_SOCKET, syscall.SO_ERROR)
	if err == nil && n != 0 {
		err = syscall.Errno(n)
	}
	return err
}

func (s *socket) Read(p []byte) (int, error) { return s.receive(p, 0) }

// skip receives up to len(p) bytes and lets the kernel throw them away instead of copying them to p.
func (s *socket) skip(p []byte) (int, error) { return s.receive(p, syscall.MSG_TRUNC) }

func (s *socket) receive(p []byte, flags int) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, _, e := syscall.Syscall6(syscall.SYS_RECVFROM, uintptr(s.fd),
			uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), uintptr(flags), 0, 0)
		switch {
		case e == syscall.EINTR:
		case e != 0:
			return 0, os.NewSyscallError("receive", e)
		case n == 0:
			return 0, io.EOF
		default:
			return int(n), nil
		}
	}
}

func (s *socket) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, err := syscall.Write(s.fd, p[done:])
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return done, os.NewSyscallError("send", err)
		}
		done += n
	}
	return done, nil
}

func (s *socket) closeWrite() error { return syscall.Shutdown(s.fd, syscall.SHUT_WR) }
func (s *socket) Close() error      { return syscall.Close(s.fd) }

// The rest makes it a net.Conn, for crypto/tls.

func (s *socket) LocalAddr() net.Addr              { return net.TCPAddrFromAddrPort(netip.AddrPort{}) }
func (s *socket) RemoteAddr() net.Addr             { return net.TCPAddrFromAddrPort(s.remote) }
func (s *socket) SetDeadline(time.Time) error      { return nil }
func (s *socket) SetReadDeadline(time.Time) error  { return nil }
func (s *socket) SetWriteDeadline(time.Time) error { return nil }

// A gather is the connection under a TLS upload: once on, it hands many records to the kernel at once.
type gather struct {
	*socket
	on  bool
	buf []byte
}

func (g *gather) Write(p []byte) (int, error) {
	if !g.on {
		return g.socket.Write(p)
	}
	g.buf = append(g.buf, p...)
	if len(g.buf) >= chunk {
		return len(p), g.flush()
	}
	return len(p), nil
}

func (g *gather) flush() error {
	_, err := g.socket.Write(g.buf)
	g.buf = g.buf[:0]
	return err
}

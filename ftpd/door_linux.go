package ftpd

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A door is the listening socket of a passive port. Go's poller does not know it: a client has nearly always connected
// when it is wanted, and to wake somebody for each connection would be most of the work of a small transfer. So whoever
// wants a connection looks, and only who finds none has the poller watch.
type door struct {
	hand func(*visitor)
	warn func(error)

	mu      sync.Mutex // guards what follows; held while looking
	fd      int        // -1 when closed
	waiting int        // how many want the door to be watched
	watched *os.File   // a duplicate of fd, in the poller while it is watched
}

func openDoor(ln net.Listener, s *Server, hand func(*visitor)) (*door, error) {
	defer ln.Close()
	d := &door{hand: hand, warn: s.warnAccept, fd: -1}
	onSocket(ln, func(fd int) { d.fd, _ = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) })
	if d.fd < 0 {
		return nil, unix.EMFILE
	}
	return d, nil
}

// look hands on everybody who has come.
func (d *door) look() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.fd >= 0 {
		fd, from, err := unix.Accept4(d.fd, unix.SOCK_CLOEXEC)
		switch err {
		case nil:
			d.hand(&visitor{fd: fd, from: sockaddr(from)})
		case unix.EAGAIN:
			return nil
		case unix.EINTR, unix.ECONNABORTED:
		default: // no descriptor left
			return err
		}
	}
	return nil
}

func sockaddr(sa unix.Sockaddr) netip.Addr {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(sa.Addr)
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(sa.Addr).Unmap()
	}
	return netip.Addr{}
}

// watch hands on whoever comes from now on, until stop.
func (d *door) watch() (stop func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting++; d.watched == nil && d.fd >= 0 {
		if fd, err := unix.FcntlInt(uintptr(d.fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			d.warn(err)
		} else {
			d.watched = os.NewFile(uintptr(fd), "passive port")
			go d.handOn(d.watched)
		}
	}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.waiting--; d.waiting == 0 {
			d.unwatch()
		}
	}
}

// unwatch ends the watch. d.mu is held.
func (d *door) unwatch() {
	if d.watched != nil {
		d.watched.SetReadDeadline(longAgo)
		d.watched = nil
	}
}

func (d *door) handOn(f *os.File) {
	defer f.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		d.warn(err)
		return
	}
	for wait := time.Duration(0); ; time.Sleep(wait) {
		err := raw.Read(func(uintptr) bool {
			err = d.look()
			return err != nil
		})
		if err != nil { // unwatch
			return
		}
		wait = min(max(2*wait, 5*time.Millisecond), time.Second)
		d.warn(err)
	}
}

func (d *door) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unwatch()
	unix.Close(d.fd)
	d.fd = -1
}

// A visitor is a connection that came to a door. What is small goes to it past Go's poller; for anything else it becomes
// a *net.TCPConn.
type visitor struct {
	fd   int // -1 when it is closed or tcp
	from netip.Addr

	mu    sync.Mutex // guards what follows
	until time.Time  // the deadline for writing
	tcp   *net.TCPConn
}

// conn returns the connection as Go knows it.
func (v *visitor) conn() (*net.TCPConn, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.tcp != nil {
		return v.tcp, nil
	}
	f := os.NewFile(uintptr(v.fd), "data connection")
	v.fd = -1
	defer f.Close()
	nc, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	v.tcp = nc.(*net.TCPConn)
	v.tcp.SetNoDelay(true)
	return v.tcp, v.tcp.SetWriteDeadline(v.until)
}

// Write waits where the kernel does not take all at once.
func (v *visitor) Write(b []byte) (int, error) {
	done := 0
	if v.fd >= 0 {
		n, err := unix.SendmsgN(v.fd, b, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if err != nil && err != unix.EAGAIN && err != unix.EINTR {
			return 0, os.NewSyscallError("send", err)
		}
		if done = max(n, 0); done == len(b) {
			return done, nil
		}
	}
	tcp, err := v.conn()
	if err != nil {
		return done, err
	}
	n, err := tcp.Write(b[done:])
	return done + n, err
}

func (v *visitor) SetWriteDeadline(t time.Time) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.until = t
	if v.tcp != nil {
		return v.tcp.SetWriteDeadline(t)
	}
	return nil
}

// finish ends in order what was sent.
func (v *visitor) finish() error {
	if v.fd < 0 {
		return finish(v.tcp, 0)
	}
	some, err := discardFrom(v.fd)
	if some { // the close would be a reset
		tcp, err := v.conn()
		if err != nil {
			return err
		}
		return finish(tcp, 0)
	}
	v.close()
	return err
}

// cutOff ends the connection so that the other end cannot take it for the end of the data.
func (v *visitor) cutOff() {
	if v.fd >= 0 {
		unix.SetsockoptLinger(v.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		v.close()
	} else if v.tcp != nil {
		cutOff(v.tcp)
	}
}

func (v *visitor) close() {
	if v.fd >= 0 {
		unix.Close(v.fd)
		v.fd = -1
	} else if v.tcp != nil {
		v.tcp.Close()
	}
}

var _ io.Writer = (*visitor)(nil)

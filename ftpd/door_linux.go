package ftpd

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
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

// longestQueue bounds a look, however fast strangers come: no queue of listen(2) is longer.
const longestQueue = 64 << 10

// openDoor takes a listener over, and gives those who come to hand.
func openDoor(ln net.Listener, s *Server, hand func(*visitor)) (*door, error) {
	defer ln.Close()
	d := &door{hand: hand, warn: s.street.Warn, fd: -1}
	onSocket(ln, func(fd int) { d.fd, _ = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) })
	if d.fd < 0 {
		return nil, unix.EMFILE
	}
	return d, nil
}

// look hands on everybody who has come, or those up to somebody whom enough was waiting for; enough may be nil.
func (d *door) look(enough func() bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for n := 0; d.fd >= 0 && n < longestQueue && (enough == nil || !enough()); n++ {
		fd, from, err := syscall.Accept4(d.fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
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

func sockaddr(sa syscall.Sockaddr) netip.Addr {
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrFrom4(sa.Addr)
	case *syscall.SockaddrInet6:
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
		var failed error
		if err := raw.Read(func(uintptr) bool { failed = d.look(nil); return failed != nil }); err != nil { // unwatch
			return
		}
		wait = min(max(2*wait, 5*time.Millisecond), time.Second)
		d.warn(failed)
	}
}

func (d *door) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unwatch()
	unix.Close(d.fd)
	d.fd = -1
}

// A visitor is a connection that came to a door. What is small goes past Go's poller as long as nobody has to wait, then as
// an *os.File; for anything else it becomes a *net.TCPConn. It is for one goroutine, but for its deadlines.
type visitor struct {
	from netip.Addr
	fd   int      // -1 when the connection is closed, or one of these:
	file *os.File // which reads
	tcp  *net.TCPConn
	read int64

	mu                    sync.Mutex // guards what follows, and changes of file and tcp
	readUntil, writeUntil time.Time
}

// conn returns the connection as Go knows it.
func (v *visitor) conn() (*net.TCPConn, error) {
	if v.tcp != nil {
		return v.tcp, nil
	}
	f := v.file
	if f == nil {
		f = os.NewFile(uintptr(v.fd), "data connection")
		v.fd = -1
	}
	defer f.Close()
	nc, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.file, v.tcp = nil, nc.(*net.TCPConn)
	v.tcp.SetKeepAlive(false) // a transfer that stalls is cut anyway
	v.tcp.SetReadDeadline(v.readUntil)
	return v.tcp, v.tcp.SetWriteDeadline(v.writeUntil)
}

// Read waits if nothing has come.
func (v *visitor) Read(b []byte) (n int, err error) {
	defer func() { v.read += int64(n) }()
	for v.fd >= 0 {
		n, _, err := unix.Recvfrom(v.fd, b, unix.MSG_DONTWAIT)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			v.await()
		case err != nil:
			return 0, os.NewSyscallError("recv", err)
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
	if v.tcp != nil {
		return v.tcp.Read(b)
	}
	return v.file.Read(b)
}

// await makes the connection one that Go's poller knows.
func (v *visitor) await() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.file = os.NewFile(uintptr(v.fd), "data connection")
	v.file.SetReadDeadline(v.readUntil)
	v.fd = -1
}

// soon is how much is read before the kernel is to take over.
const soon = 64 << 10

// Bare implements files.Veiled.
func (v *visitor) Bare() io.Reader {
	if v.read >= soon {
		if tcp, err := v.conn(); err == nil {
			return tcp
		}
	}
	return v
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

func (v *visitor) SetReadDeadline(t time.Time) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.readUntil = t
	switch {
	case v.tcp != nil:
		return v.tcp.SetReadDeadline(t)
	case v.file != nil:
		return v.file.SetReadDeadline(t)
	}
	return nil
}

func (v *visitor) SetWriteDeadline(t time.Time) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.writeUntil = t
	if v.tcp != nil {
		return v.tcp.SetWriteDeadline(t)
	}
	return nil
}

// finish ends in order what was sent.
func (v *visitor) finish() error {
	if v.fd >= 0 {
		some, err := discardFrom(v.fd)
		if !some { // else the close would be a reset
			v.Close()
			return err
		}
	}
	tcp, err := v.conn()
	if err != nil {
		return err
	}
	return finish(tcp, 0)
}

// cutOff ends the connection at once, and so that the other end cannot take it for the end of the data.
func (v *visitor) cutOff() {
	if v.fd >= 0 {
		unix.SetsockoptLinger(v.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		v.Close()
	} else if tcp, err := v.conn(); err == nil {
		cutOff(tcp)
	}
}

func (v *visitor) Close() error {
	switch {
	case v.tcp != nil:
		return v.tcp.Close()
	case v.file != nil:
		return v.file.Close()
	case v.fd >= 0:
		unix.Close(v.fd)
		v.fd = -1
	}
	return nil
}

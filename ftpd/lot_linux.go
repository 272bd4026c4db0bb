package ftpd

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// A lot is where sessions doze: without a goroutine, until there is something to read. It is an epoll(7) set of its own,
// which one goroutine waits for.
type lot struct {
	mu     sync.Mutex
	set    *os.File // nil before the first
	closed bool
	in     map[int32]*conn // by descriptor
	ended  chan struct{}
}

// park takes c in, if it can. c.hold is held.
func (l *lot) park(c *conn) (ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.set == nil && !l.open() {
		return false
	}
	onSocket(c.tcp, func(fd int) {
		e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(fd)}
		l.in[e.Fd] = c
		if ok = l.control(unix.EPOLL_CTL_ADD, &e); !ok {
			delete(l.in, e.Fd)
		}
	})
	return ok
}

func (l *lot) open() bool {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return false
	}
	unix.SetNonblock(fd, true) // so that the runtime's poller waits for it
	l.set, l.in, l.ended = os.NewFile(uintptr(fd), "epoll"), map[int32]*conn{}, make(chan struct{})
	go l.watch()
	return true
}

func (l *lot) control(op int, e *unix.EpollEvent) (ok bool) {
	if raw, err := l.set.SyscallConn(); err == nil {
		raw.Control(func(set uintptr) { ok = unix.EpollCtl(int(set), op, int(e.Fd), e) == nil })
	}
	return ok
}

// leave takes c out. c.hold is held.
func (l *lot) leave(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	onSocket(c.tcp, func(fd int) {
		if l.in[int32(fd)] == c {
			delete(l.in, int32(fd))
			l.control(unix.EPOLL_CTL_DEL, &unix.EpollEvent{Fd: int32(fd)})
		}
	})
}

// watch wakes who has something to read.
func (l *lot) watch() {
	defer close(l.ended)
	raw, err := l.set.SyscallConn()
	if err != nil {
		return
	}
	var some [64]unix.EpollEvent
	for {
		n := 0
		err := raw.Read(func(set uintptr) bool {
			n, _ = unix.EpollWait(int(set), some[:], 0)
			return n > 0
		})
		if err != nil {
			return
		}
		for _, e := range some[:n] {
			l.mu.Lock()
			c := l.in[e.Fd]
			l.mu.Unlock()
			if c != nil {
				c.rouse()
			}
		}
	}
}

// close ends the lot. No session may be left.
func (l *lot) close() {
	l.mu.Lock()
	l.closed = true
	set := l.set
	l.mu.Unlock()
	if set != nil {
		set.Close()
		<-l.ended
	}
}

//go:build linux

package stories

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// cutter stands between a client and a server and cuts: it listens on a loopback address of its own, at a control port
// and at every passive port of the server, and passes bytes on as they come, under TLS too.
type cutter struct {
	s    *server
	host string // 127.0.x.y
	port int    // of the control connection
	sftp int    // of SFTP, whose one connection is one of data

	up, down atomic.Int64 // bytes of data connections, to the server and to the client

	mu    sync.Mutex
	conns map[net.Conn]bool
	plan  *plan
	far   func(to string) string // makes a detour to SFTP that takes its time; nil if none is wanted
}

// way is where a connection to an address goes.
func (c *cutter) way(to string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.far != nil {
		return c.far(to)
	}
	return to
}

// detour returns an address behind which each connection goes on to another one, and what it carries is late.
func detour(t testing.TB, to string, late time.Duration) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			go dawdle(far, near, late)
			go dawdle(near, far, late)
		}
	}()
	return l.Addr().String()
}

// dawdle copies, each piece late, and closes both ends.
func dawdle(dst, src net.Conn, late time.Duration) {
	type piece struct {
		due  time.Time
		data []byte
	}
	pieces := make(chan piece, 1024)
	go func() {
		defer src.Close()
		defer dst.Close()
		for p := range pieces {
			<-time.After(time.Until(p.due))
			dst.Write(p.data)
		}
	}()
	defer close(pieces)
	for {
		buf := make([]byte, 64<<10)
		n, err := src.Read(buf)
		pieces <- piece{time.Now().Add(late), buf[:n]}
		if err != nil {
			return
		}
	}
}

// plan is where to cut, once. There the bytes stop; what is then done is the test's.
type plan struct {
	up   bool  // what the client sends, not what it gets
	at   int64 // behind so many bytes of one data connection; -1 is one byte before its end
	size int64 // of the file: the end of a much shorter data connection is not meant
	hit  chan struct{}
	once sync.Once
}

func (p *plan) fire() { p.once.Do(func() { close(p.hit) }) }

const passivePorts = 24

// cutterNumber gives every cutter an address of its own.
var cutterNumber atomic.Int32

// startBehindCutter starts a server whose data ports can be cut.
func startBehindCutter(t testing.TB, flags ...string) (*server, *cutter) {
	t.Helper()
	n := cutterNumber.Add(1)
	c := &cutter{host: fmt.Sprintf("127.0.%d.%d", 100+n/250, 1+n%250), conns: map[net.Conn]bool{}}
	var listeners []net.Listener
	low := 0
	for range 50 { // until a block of ports is free
		low = 20000 + rand.IntN(10000)
		var err error
		if listeners, err = c.listenAll(low); err == nil {
			break
		}
	}
	if len(listeners) != passivePorts {
		t.Fatal("no block of free ports")
	}
	control, err := net.Listen("tcp", net.JoinHostPort(c.host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	c.port = control.Addr().(*net.TCPAddr).Port
	sftp, err := net.Listen("tcp", net.JoinHostPort(c.host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	c.sftp = sftp.Addr().(*net.TCPAddr).Port
	listeners = append(listeners, sftp)
	c.s = newServer(t, append([]string{"--passive-ports", fmt.Sprintf("%d-%d", low, low+passivePorts-1)}, flags...)...)
	c.s.start()
	t.Cleanup(func() {
		control.Close()
		for _, l := range listeners {
			l.Close()
		}
		c.closeAll()
	})
	go c.accept(control, func() string { return c.s.addr }, false)
	go c.accept(sftp, func() string { return c.way(c.s.sftp) }, true)
	for i, l := range listeners[:passivePorts] {
		to := net.JoinHostPort("127.0.0.1", strconv.Itoa(low+i))
		go c.accept(l, func() string { return to }, true)
	}
	return c.s, c
}

func (c *cutter) listenAll(low int) (all []net.Listener, err error) {
	for i := range passivePorts {
		l, err := net.Listen("tcp", net.JoinHostPort(c.host, strconv.Itoa(low+i)))
		if err != nil {
			for _, l := range all {
				l.Close()
			}
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

// next arranges the next cut.
func (c *cutter) next(up bool, at, size int64) *plan {
	p := &plan{up: up, at: at, size: size, hit: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plan = p
	return p
}

func (c *cutter) accept(l net.Listener, to func() string, data bool) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			server, err := net.Dial("tcp", to())
			if err != nil {
				client.Close()
				return
			}
			c.mu.Lock()
			c.conns[client], c.conns[server] = true, true
			p := c.plan
			c.mu.Unlock()
			if !data {
				p = nil
			}
			go c.pass(server, client, p, true, &c.up, data)
			c.pass(client, server, p, false, &c.down, data)
		}()
	}
}

// silence, once a whole file has passed, is the end of it in block mode, where the data connection stays open.
const silence = time.Second

// pass copies one direction of a connection, and cuts it if the plan says so.
func (c *cutter) pass(dst, src net.Conn, p *plan, up bool, count *atomic.Int64, data bool) {
	if p != nil && p.up != up {
		p = nil
	}
	buf := make([]byte, 64<<10)
	var total int64
	held := 0 // bytes at the head of buf that wait for the next read
	for {
		if p != nil && p.at < 0 && total >= p.size {
			_ = src.SetReadDeadline(time.Now().Add(silence))
		}
		n, err := src.Read(buf[held:])
		n += held
		held = 0
		if err != nil {
			if p != nil && p.at < 0 && total >= p.size/2 {
				p.fire()
				return
			}
			_, _ = dst.Write(buf[:n])
			if err == io.EOF {
				_ = dst.(*net.TCPConn).CloseWrite()
			} else {
				dst.Close()
			}
			return
		}
		send := n
		switch {
		case p == nil:
		case p.at < 0:
			if total >= p.size/2 { // not before, for a TLS handshake needs every byte
				send, held = n-1, 1
			}
		case total+int64(n) >= p.at:
			send = int(p.at - total)
		}
		if _, err := dst.Write(buf[:send]); err != nil {
			src.Close()
			return
		}
		total += int64(send)
		if data {
			count.Add(int64(send))
		}
		if p != nil && p.at >= 0 && total == p.at {
			p.fire()
			return
		}
		copy(buf, buf[send:send+held])
	}
}

// closeAll closes all connections that pass through.
func (c *cutter) closeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		conn.Close()
	}
	clear(c.conns)
	c.plan = nil
}

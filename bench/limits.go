//go:build linux

package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A limit is what no server on this machine gets past: one way of moving bytes with nothing around it.
type limit struct {
	title, unit string
	run         func(*ground) (value, cpu float64, err error)
}

// A ground is where limits are measured.
type ground struct {
	file       *os.File // in memory, of size bytes
	size       int64
	memory     string
	disk       string
	cert       tls.Certificate
	content    []byte
	fewerFiles int
}

// limits measures what bounds every server, one thread each side, and prints a table.
func limits(w io.Writer, memory, disk string, runs int) error {
	g, err := newGround(memory, disk)
	if err != nil {
		return err
	}
	defer os.RemoveAll(g.memory)
	defer os.RemoveAll(g.disk)
	fmt.Fprintf(w, "| limit, one sender | figure | sender's CPU-s/GiB |\n|---|---:|---:|\n")
	for _, l := range []limit{
		{"copy in memory", "MB/s", (*ground).copying},
		{"AES-128-GCM, 16 KiB records", "MB/s", (*ground).sealing},
		{"write, thrown away by the receiver", "MB/s", toSocket((*ground).write, false)},
		{"write, copied by the receiver", "MB/s", toSocket((*ground).write, true)},
		{"read and write from a file in memory, thrown away", "MB/s", toSocket((*ground).readWrite, false)},
		{"read and write from a file in memory, copied", "MB/s", toSocket((*ground).readWrite, true)},
		{"sendfile from a file in memory, thrown away", "MB/s", toSocket((*ground).sendfile, false)},
		{"sendfile from a file in memory, copied", "MB/s", toSocket((*ground).sendfile, true)},
		{"mmap and write from a file in memory, thrown away", "MB/s", toSocket((*ground).mapped, false)},
		{"TLS, a write for each record, thrown away", "MB/s", toSocket(tlsWrite(false), false)},
		{"TLS, records gathered, thrown away", "MB/s", toSocket(tlsWrite(true), false)},
		{"splice to a file in memory", "MB/s", (*ground).splicing},
		{"read and write to a file in memory", "MB/s", (*ground).receiving},
		{"one byte there and back, blocking", "µs", (*ground).pingPong},
		{"connect and accept", "µs", (*ground).connecting},
		{"create a file of 4 KiB on the disk", "files/s", creating(false)},
		{"the same with fsync", "files/s", creating(true)},
	} {
		var all []measure
		for range runs {
			v, cpu, err := l.run(g)
			if err != nil {
				return fmt.Errorf("%s: %w", l.title, err)
			}
			all = append(all, measure{v, cpu})
		}
		of := line{figures: figures{All: map[string][]measure{"": all}}}
		v, _ := of.median("", value)
		c, _ := of.median("", cpu)
		fmt.Fprintf(w, "| %s | %s %s | %s |\n", l.title, figure(v), l.unit, figure(c))
	}
	return nil
}

func newGround(memory, disk string) (g *ground, err error) {
	g = &ground{size: 1 << 30, content: random(chunk), fewerFiles: 2000}
	if g.memory, err = os.MkdirTemp(memory, "sampan-bench-"); err != nil {
		return nil, err
	}
	if g.disk, err = os.MkdirTemp(disk, "sampan-bench-"); err != nil {
		return nil, err
	}
	name := filepath.Join(g.memory, "big")
	if err := makeBig(name, g.size); err != nil {
		return nil, err
	}
	if g.file, err = os.Open(name); err != nil {
		return nil, err
	}
	var e environment
	if err := e.certify(g.memory); err != nil {
		return nil, err
	}
	g.cert, err = tls.LoadX509KeyPair(e.cert, e.key)
	return g, err
}

// threadTime is what this thread used.
func threadTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(unix.RUSAGE_THREAD, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// timed runs work, which moves n bytes, on a thread of its own.
func timed(n int64, work func() error) (perSecond, cpuPerGiB float64, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	used, begun := threadTime(), time.Now()
	err = work()
	elapsed := time.Since(begun)
	return float64(n) / 1e6 / elapsed.Seconds(), (threadTime() - used).Seconds() / (float64(n) / (1 << 30)), err
}

func (g *ground) copying() (float64, float64, error) {
	to := make([]byte, chunk)
	return timed(g.size, func() error {
		for range g.size / chunk {
			copy(to, g.content)
		}
		return nil
	})
}

func (g *ground) sealing() (float64, float64, error) {
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		return 0, 0, err
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		return 0, 0, err
	}
	const record = 16 << 10
	to := make([]byte, 0, record+64)
	nonce := make([]byte, seal.NonceSize())
	return timed(g.size, func() error {
		for i := range g.size / record {
			nonce[0], nonce[1], nonce[2] = byte(i), byte(i>>8), byte(i>>16)
			seal.Seal(to, nonce, g.content[:record], nil)
		}
		return nil
	})
}

// pair returns the two ends of a loopback connection, both blocking.
func pair() (a, b *socket, err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	defer syscall.Close(fd)
	local := netip.MustParseAddr("127.0.0.1")
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: local.As4()}); err != nil {
		return nil, nil, err
	}
	if err := syscall.Listen(fd, 1); err != nil {
		return nil, nil, err
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		return nil, nil, err
	}
	a, err = connect(netip.AddrPortFrom(local, uint16(at.(*syscall.SockaddrInet4).Port)))
	if err != nil {
		return nil, nil, err
	}
	other, _, err := syscall.Accept4(fd, syscall.SOCK_CLOEXEC)
	if err != nil {
		a.Close()
		return nil, nil, err
	}
	return a, &socket{fd: other}, nil
}

// toSocket measures a sender whose receiver throws away or copies.
func toSocket(send func(*ground, *socket) error, copied bool) func(*ground) (float64, float64, error) {
	return func(g *ground) (float64, float64, error) {
		a, b, err := pair()
		if err != nil {
			return 0, 0, err
		}
		defer a.Close()
		ended := make(chan error, 1)
		go func() {
			runtime.LockOSThread()
			read := b.skip
			if copied {
				read = b.Read
			}
			_, err := drain(make([]byte, chunk), read, nil)
			b.Close()
			ended <- err
		}()
		return timed(g.size, func() error {
			if err := send(g, a); err != nil {
				return err
			}
			if err := a.closeWrite(); err != nil {
				return err
			}
			return <-ended
		})
	}
}

func (g *ground) write(s *socket) error {
	for range g.size / chunk {
		if _, err := s.Write(g.content); err != nil {
			return err
		}
	}
	return nil
}

func (g *ground) readWrite(s *socket) error {
	buf := make([]byte, chunk)
	for off := int64(0); off < g.size; off += chunk {
		if _, err := g.file.ReadAt(buf, off); err != nil {
			return err
		}
		if _, err := s.Write(buf); err != nil {
			return err
		}
	}
	return nil
}

func (g *ground) sendfile(s *socket) error {
	for off := int64(0); off < g.size; {
		if _, err := syscall.Sendfile(s.fd, int(g.file.Fd()), &off, chunk); err != nil && err != syscall.EINTR {
			return err
		}
	}
	return nil
}

func (g *ground) mapped(s *socket) error {
	const window = 8 << 20
	for off := int64(0); off < g.size; off += window {
		b, err := syscall.Mmap(int(g.file.Fd()), off, window, syscall.PROT_READ, syscall.MAP_SHARED|syscall.MAP_POPULATE)
		if err != nil {
			return err
		}
		for i := 0; i < window; i += chunk {
			if _, err := s.Write(b[i : i+chunk]); err != nil {
				return err
			}
		}
		if err := syscall.Munmap(b); err != nil {
			return err
		}
	}
	return nil
}

// tlsWrite sends over TLS to a receiver that opens nothing: the handshake goes over a pipe to a client that is never
// asked again.
func tlsWrite(gathered bool) func(*ground, *socket) error {
	return func(g *ground, s *socket) error {
		near, far := net.Pipe()
		defer far.Close()
		to := &relay{Conn: near, gather: gather{socket: s, on: gathered}}
		server := tls.Server(to, &tls.Config{
			Certificates: []tls.Certificate{g.cert}, MinVersion: tls.VersionTLS13,
			DynamicRecordSizingDisabled: true, SessionTicketsDisabled: true,
		})
		go tls.Client(far, &tls.Config{InsecureSkipVerify: true}).Handshake()
		if err := server.Handshake(); err != nil {
			return err
		}
		to.there = true
		for range g.size / chunk {
			if _, err := server.Write(g.content); err != nil {
				return err
			}
		}
		return to.flush()
	}
}

// A relay is a pipe for the handshake and a socket afterwards.
type relay struct {
	net.Conn
	gather
	there bool
}

func (r *relay) Write(p []byte) (int, error) {
	if r.there {
		return r.gather.Write(p)
	}
	return r.Conn.Write(p)
}

func (r *relay) Read(p []byte) (int, error)         { return r.Conn.Read(p) }
func (r *relay) Close() error                       { return r.Conn.Close() }
func (r *relay) LocalAddr() net.Addr                { return r.Conn.LocalAddr() }
func (r *relay) RemoteAddr() net.Addr               { return r.Conn.RemoteAddr() }
func (r *relay) SetDeadline(t time.Time) error      { return r.Conn.SetDeadline(t) }
func (r *relay) SetReadDeadline(t time.Time) error  { return r.Conn.SetReadDeadline(t) }
func (r *relay) SetWriteDeadline(t time.Time) error { return r.Conn.SetWriteDeadline(t) }

// fromSocket measures a receiver that stores what comes.
func (g *ground) fromSocket(receive func(s *socket, to *os.File) error) (float64, float64, error) {
	a, b, err := pair()
	if err != nil {
		return 0, 0, err
	}
	defer b.Close()
	name := filepath.Join(g.memory, "up")
	f, err := os.Create(name)
	if err != nil {
		return 0, 0, err
	}
	defer os.Remove(name)
	defer f.Close()
	go func() {
		runtime.LockOSThread()
		g.write(a)
		a.Close()
	}()
	return timed(g.size, func() error { return receive(b, f) })
}

func (g *ground) splicing() (float64, float64, error) {
	return g.fromSocket(func(s *socket, to *os.File) error {
		var p [2]int
		if err := syscall.Pipe2(p[:], syscall.O_CLOEXEC); err != nil {
			return err
		}
		defer syscall.Close(p[0])
		defer syscall.Close(p[1])
		if _, err := unix.FcntlInt(uintptr(p[1]), unix.F_SETPIPE_SZ, 1<<20); err != nil {
			return err
		}
		for {
			n, err := syscall.Splice(s.fd, nil, p[1], nil, 1<<20, 0)
			if err == syscall.EINTR {
				continue
			}
			if n == 0 || err != nil {
				return err
			}
			for n > 0 {
				m, err := syscall.Splice(p[0], nil, int(to.Fd()), nil, int(n), 0)
				if err != nil {
					return err
				}
				n -= m
			}
		}
	})
}

func (g *ground) receiving() (float64, float64, error) {
	return g.fromSocket(func(s *socket, to *os.File) error {
		buf := make([]byte, chunk)
		for {
			n, err := io.ReadFull(s, buf)
			if n > 0 {
				if _, err := to.Write(buf[:n]); err != nil {
					return err
				}
			}
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				return nil
			}
			if err != nil {
				return err
			}
		}
	})
}

func (g *ground) pingPong() (float64, float64, error) {
	a, b, err := pair()
	if err != nil {
		return 0, 0, err
	}
	defer a.Close()
	go func() {
		runtime.LockOSThread()
		defer b.Close()
		one := make([]byte, 1)
		for {
			if _, err := b.Read(one); err != nil {
				return
			}
			if _, err := b.Write(one); err != nil {
				return
			}
		}
	}()
	const times = 20_000
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	one := make([]byte, 1)
	begun := time.Now()
	for range times {
		if _, err := a.Write(one); err != nil {
			return 0, 0, err
		}
		if _, err := a.Read(one); err != nil {
			return 0, 0, err
		}
	}
	return float64(time.Since(begun).Microseconds()) / times, 0, nil
}

func (g *ground) connecting() (float64, float64, error) {
	const times = 2000
	begun := time.Now()
	for range times {
		a, b, err := pair()
		if err != nil {
			return 0, 0, err
		}
		a.Close()
		b.Close()
	}
	return float64(time.Since(begun).Microseconds()) / times, 0, nil
}

func creating(synced bool) func(*ground) (float64, float64, error) {
	return func(g *ground) (float64, float64, error) {
		dir, err := os.MkdirTemp(g.disk, "")
		if err != nil {
			return 0, 0, err
		}
		defer os.RemoveAll(dir)
		begun := time.Now()
		for i := range g.fewerFiles {
			f, err := os.Create(filepath.Join(dir, smallName(i)))
			if err != nil {
				return 0, 0, err
			}
			_, err = f.Write(g.content[:smallSize])
			if err == nil && synced {
				err = f.Sync()
			}
			f.Close()
			if err != nil {
				return 0, 0, err
			}
		}
		return float64(g.fewerFiles) / time.Since(begun).Seconds(), 0, nil
	}
}

//go:build linux

package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// chunk is how much is read or written at once.
const chunk = 256 << 10

// A client is one FTP control connection: the load generator's own, as plain as FTP clients are. It asks, waits for
// the answer, and asks again.
type client struct {
	ctl  *socket
	conn io.ReadWriter // ctl, or TLS over it
	in   *bufio.Reader
	tls  *tls.Config // of data connections; nil in clear text
	buf  []byte
	name [32]byte
}

// dial connects, and begins TLS if secure.
func dial(to netip.AddrPort, secure bool) (*client, error) {
	s, err := connect(to)
	if err != nil {
		return nil, err
	}
	c := &client{ctl: s, conn: s, in: bufio.NewReaderSize(s, 512)}
	if err = c.expect(220); err == nil && secure {
		err = c.secure()
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return c, nil
}

func (c *client) secure() error {
	if err := c.do(234, "AUTH TLS"); err != nil {
		return err
	}
	// The certificate is the benchmark's own, and the same for every server, as is the key exchange: not all of them know
	// the newer ones, which cost more.
	c.tls = &tls.Config{
		InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, DynamicRecordSizingDisabled: true,
		ClientSessionCache: &ticket{}, CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256},
	}
	t := tls.Client(c.ctl, c.tls)
	if err := t.Handshake(); err != nil {
		return err
	}
	c.conn, c.in = t, bufio.NewReaderSize(t, 512)
	return nil
}

// private asks for TLS on data connections.
func (c *client) private() error {
	if c.tls == nil {
		return nil
	}
	if err := c.do(200, "PBSZ 0"); err != nil {
		return err
	}
	if err := c.do(200, "PROT P"); err != nil {
		return err
	}
	// From now on the control connection's ticket is the one that data connections show.
	c.tls.ClientSessionCache.(*ticket).fixed = true
	return nil
}

// A ticket is a cache of TLS sessions that holds the newest one of the control connection, and shows it again and
// again, as the clients in use do.
type ticket struct {
	mu    sync.Mutex
	fixed bool
	held  *tls.ClientSessionState
}

func (t *ticket) Get(string) (*tls.ClientSessionState, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.held, t.held != nil
}

func (t *ticket) Put(_ string, s *tls.ClientSessionState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s != nil && !t.fixed {
		t.held = s
	}
}

// login logs in and makes ready for binary transfers.
func (c *client) login(user, password string) error {
	if err := c.enter(user, password); err != nil {
		return err
	}
	if err := c.private(); err != nil {
		return err
	}
	return c.do(200, "TYPE I")
}

// enter logs in, and does nothing else.
func (c *client) enter(user, password string) error {
	if err := c.do(331, "USER "+user); err != nil {
		return err
	}
	return c.do(230, "PASS "+password)
}

// quit ends in order.
func (c *client) quit() error {
	err := c.do(221, "QUIT")
	c.close()
	return err
}

func (c *client) close() { c.ctl.Close() }

func (c *client) send(command string) error {
	b := append(c.name[:0], command...)
	_, err := c.conn.Write(append(b, '\r', '\n'))
	return err
}

// do sends a command and expects the code.
func (c *client) do(code int, command string) error {
	if err := c.send(command); err != nil {
		return err
	}
	if err := c.expect(code); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}

func (c *client) expect(code int) error {
	got, line, err := c.reply()
	if err == nil && got != code {
		err = fmt.Errorf("expected %d: %s", code, line)
	}
	return err
}

// reply reads one reply; of many lines it returns the last (RFC 959 section 4.2).
func (c *client) reply() (int, string, error) {
	first := ""
	for {
		b, err := c.in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return 0, "", fmt.Errorf("waiting for a reply: %w", err)
		}
		line := strings.TrimRight(string(b), "\r\n")
		if len(line) < 4 || first != "" && (line[:3] != first || line[3] != ' ') {
			continue
		}
		if line[3] == '-' {
			first = line[:3]
			continue
		}
		code, err := strconv.Atoi(line[:3])
		return code, line, err
	}
}

// passive opens a data connection to the server; only the port of its answer counts.
func (c *client) passive() (*socket, error) {
	if err := c.send("PASV"); err != nil {
		return nil, err
	}
	code, line, err := c.reply()
	if err != nil {
		return nil, err
	}
	i := strings.IndexByte(line, '(')
	j := strings.LastIndexByte(line, ')')
	if code != 227 || i < 0 || j < i {
		return nil, fmt.Errorf("PASV: %s", line)
	}
	f := strings.Split(line[i+1:j], ",")
	if len(f) != 6 {
		return nil, fmt.Errorf("PASV: %s", line)
	}
	high, err1 := strconv.ParseUint(f[4], 10, 8)
	low, err2 := strconv.ParseUint(f[5], 10, 8)
	if err1 != nil || err2 != nil {
		return nil, fmt.Errorf("PASV: %s", line)
	}
	return connect(netip.AddrPortFrom(c.ctl.remote.Addr(), uint16(high<<8|low)))
}

// open begins a transfer: data connection, command, first reply, TLS.
func (c *client) open(command string) (*gather, *tls.Conn, error) {
	s, err := c.passive()
	if err != nil {
		return nil, nil, err
	}
	err = c.send(command)
	if err == nil {
		var code int
		var line string
		if code, line, err = c.reply(); err == nil && code != 150 && code != 125 {
			err = fmt.Errorf("%s: %s", command, line)
		}
	}
	g := &gather{socket: s}
	if err != nil || c.tls == nil {
		if err != nil {
			s.Close()
		}
		return g, nil, err
	}
	t := tls.Client(g, c.tls)
	if err := t.Handshake(); err != nil {
		s.Close()
		return nil, nil, fmt.Errorf("%s: %w", command, err)
	}
	return g, t, nil
}

// ended reads the last reply of a transfer.
func (c *client) ended(command string) error {
	code, line, err := c.reply()
	if err == nil && code != 226 && code != 250 {
		err = fmt.Errorf("%s: %s", command, line)
	}
	return err
}

func (c *client) room() []byte {
	if c.buf == nil {
		c.buf = make([]byte, chunk)
	}
	return c.buf
}

// fetch receives what command asks for and hands it to each, in clear text.
func (c *client) fetch(command string, each func([]byte)) (int64, error) {
	g, t, err := c.open(command)
	if err != nil {
		return 0, err
	}
	var src io.Reader = g
	if t != nil {
		src = t
	}
	n, err := drain(c.room(), src.Read, each)
	if t != nil {
		t.Close()
	} else {
		g.Close()
	}
	if err != nil {
		return n, fmt.Errorf("%s: %w", command, err)
	}
	return n, c.ended(command)
}

// skip receives what command asks for, size bytes or more, and counts the bytes on the wire. TLS is not opened, so that
// what is measured is the server; a few bytes that crypto/tls read with its handshake are not counted. Some servers
// wait for the client's close_notify behind their own, which is not seen here: it is sent when size bytes came.
func (c *client) skip(command string, size int64) (int64, error) {
	g, t, err := c.open(command)
	if err != nil {
		return 0, err
	}
	total := int64(0)
	read := g.skip
	if t != nil {
		read = func(p []byte) (int, error) {
			n, err := g.skip(p)
			if total += int64(n); total >= size && total-int64(n) < size {
				t.CloseWrite()
			}
			if total >= size && errors.Is(err, syscall.ECONNRESET) {
				err = io.EOF // the server closed with that unread
			}
			return n, err
		}
	}
	n, err := drain(c.room(), read, nil)
	g.Close()
	if err != nil {
		return n, fmt.Errorf("%s: %w", command, err)
	}
	return n, c.ended(command)
}

func drain(buf []byte, read func([]byte) (int, error), each func([]byte)) (int64, error) {
	total := int64(0)
	for {
		n, err := read(buf)
		if each != nil {
			each(buf[:n])
		}
		total += int64(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// store sends size bytes, taken from content again and again.
func (c *client) store(command string, content []byte, size int64) error {
	g, t, err := c.open(command)
	if err != nil {
		return err
	}
	var dst io.Writer = g
	if t != nil {
		g.on, dst = true, t
	}
	for left := size; left > 0 && err == nil; {
		n := min(left, int64(len(content)))
		_, err = dst.Write(content[:n])
		left -= n
	}
	if err == nil && t != nil {
		if err = t.CloseWrite(); err == nil {
			err = g.flush()
		}
	}
	if err != nil {
		g.Close()
		return fmt.Errorf("%s: %w", command, err)
	}
	if t != nil {
		// Tickets that the server sent are read, else the close would be a reset.
		if err = g.closeWrite(); err == nil {
			_, err = drain(c.room(), g.skip, nil)
		}
	}
	g.Close()
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return c.ended(command)
}

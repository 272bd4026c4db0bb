//go:build linux

package stories

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// wire is an FTP control connection driven by hand, with nothing of Sampan in it. Its plain methods return errors;
// those of a *hand fail the test.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
	from string // local address to come from, "" for any
	host string
	tls  *tls.Config // set once the connection is encrypted; data connections are, too
}

// refusal is a reply that was not the hoped one.
type refusal struct {
	code int
	text string
	to   string
}

func (r *refusal) Error() string { return fmt.Sprintf("%s: %s", r.to, strings.TrimSpace(r.text)) }

// codeOf returns the reply code in err, 0 if the connection failed instead.
func codeOf(err error) int {
	var r *refusal
	if errors.As(err, &r) {
		return r.code
	}
	return 0
}

// dialWire connects, from a local address if one is given, and reads the greeting.
func dialWire(addr, from string) (*wire, error) {
	d := net.Dialer{Timeout: patience}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	conn, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	host, _, _ := net.SplitHostPort(addr)
	w := &wire{conn: conn, in: bufio.NewReader(conn), from: from, host: host}
	if code, text, err := w.reply(); err != nil || code != 220 {
		conn.Close()
		return nil, errors.Join(err, &refusal{code, text, "connecting"})
	}
	return w, nil
}

func (w *wire) close() { _ = w.conn.Close() }

// send writes a command.
func (w *wire) send(line string) error { return w.raw(line + "\r\n") }

func (w *wire) raw(bytes string) error {
	_ = w.conn.SetWriteDeadline(time.Now().Add(patience))
	_, err := io.WriteString(w.conn, bytes)
	return err
}

// reply reads one reply, of one line or many.
func (w *wire) reply() (code int, text string, err error) {
	_ = w.conn.SetReadDeadline(time.Now().Add(patience))
	line, err := w.in.ReadString('\n')
	if err != nil {
		return 0, line, err
	}
	if len(line) < 4 {
		return 0, line, fmt.Errorf("no reply: %q", line)
	}
	code, err = strconv.Atoi(line[:3])
	if err != nil {
		return 0, line, fmt.Errorf("no reply: %q", line)
	}
	text = line
	if line[3] == '-' {
		for end := line[:3] + " "; !strings.HasPrefix(line, end); text += line {
			if line, err = w.in.ReadString('\n'); err != nil {
				return code, text, err
			}
		}
	}
	return code, text, nil
}

// cmd sends a command and returns the text of its reply; an error unless the code is want or, for a want below 10,
// begins with it.
func (w *wire) cmd(want int, line string) (string, error) {
	if err := w.send(line); err != nil {
		return "", err
	}
	return w.await(want, line)
}

func (w *wire) await(want int, to string) (string, error) {
	code, text, err := w.reply()
	if err != nil {
		return text, fmt.Errorf("%s: %w", to, err)
	}
	if code != want && (want >= 10 || code/100 != want) {
		return text, &refusal{code, text, to}
	}
	return text, nil
}

// trust returns a TLS configuration that verifies the certificate of the server with that DATA.
func trust(data string) (*tls.Config, error) {
	pem, err := os.ReadFile(filepath.Join(data, "tls", "cert.pem"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in DATA/tls/cert.pem")
	}
	return &tls.Config{RootCAs: roots, ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(8)}, nil
}

// secure turns TLS on, for data connections too.
func (w *wire) secure(c *tls.Config) error {
	if _, err := w.cmd(234, "AUTH TLS"); err != nil {
		return err
	}
	conn := tls.Client(w.conn, c)
	if err := conn.Handshake(); err != nil {
		return err
	}
	w.conn, w.in, w.tls = conn, bufio.NewReader(conn), c
	for _, line := range []string{"PBSZ 0", "PROT P"} {
		if _, err := w.cmd(200, line); err != nil {
			return err
		}
	}
	return nil
}

func (w *wire) login(name, password string) error {
	if _, err := w.cmd(331, "USER "+name); err != nil {
		return err
	}
	if _, err := w.cmd(230, "PASS "+password); err != nil {
		return err
	}
	_, err := w.cmd(200, "TYPE I")
	return err
}

// passive asks for a data port and connects to it.
func (w *wire) passive() (net.Conn, error) {
	addr, err := w.passiveAddr()
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: patience}
	if w.from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(w.from)}
	}
	return d.Dial("tcp", addr)
}

func (w *wire) passiveAddr() (string, error) {
	text, err := w.cmd(229, "EPSV")
	if err != nil {
		return "", err
	}
	_, port, ok := strings.Cut(text, "|||")
	port, _, ok2 := strings.Cut(port, "|")
	if !ok || !ok2 {
		return "", fmt.Errorf("EPSV: %q", text)
	}
	return net.JoinHostPort(w.host, port), nil
}

// begin starts a transfer: the data connection is returned once the server said 150.
func (w *wire) begin(line string) (net.Conn, error) {
	raw, err := w.passive()
	if err != nil {
		return nil, err
	}
	if _, err := w.cmd(1, line); err != nil {
		raw.Close()
		return nil, err
	}
	if w.tls == nil {
		return raw, nil
	}
	conn := tls.Client(raw, w.tls)
	if err := conn.Handshake(); err != nil {
		raw.Close()
		// The server may have said why.
		_, err2 := w.await(2, line)
		return nil, errors.Join(err2, err)
	}
	return conn, nil
}

// rest is REST, unless off is 0.
func (w *wire) rest(off int64) error {
	if off == 0 {
		return nil
	}
	_, err := w.cmd(350, fmt.Sprintf("REST %d", off))
	return err
}

// put uploads with a whole command line such as "STOR a".
func (w *wire) put(line string, off int64, src io.Reader) error {
	if err := w.rest(off); err != nil {
		return err
	}
	conn, err := w.begin(line)
	if err != nil {
		return err
	}
	_, sent := io.Copy(conn, src)
	if err := conn.Close(); sent == nil {
		sent = err
	}
	if _, err := w.await(2, line); err != nil {
		return err // says more than a broken pipe does
	}
	return sent
}

// get downloads with a whole command line such as "RETR a" or "LIST".
func (w *wire) get(line string, off int64) ([]byte, error) {
	if err := w.rest(off); err != nil {
		return nil, err
	}
	conn, err := w.begin(line)
	if err != nil {
		return nil, err
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	b, err := io.ReadAll(conn)
	conn.Close()
	if _, err := w.await(2, line); err != nil {
		return b, err
	}
	return b, err
}

// hand is a wire whose every failure fails the test.
type hand struct {
	*wire
	t testing.TB
}

// connect dials, without TLS and log-in.
func (s *server) connect(t testing.TB) hand { t.Helper(); return s.connectFrom(t, "") }

func (s *server) connectFrom(t testing.TB, from string) hand {
	t.Helper()
	w, err := dialWire(s.addr, from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return hand{w, t}
}

// as is a plain log-in of an account that addUser made.
func (s *server) as(t testing.TB, name string) hand {
	t.Helper()
	h := s.connect(t)
	h.check(h.login(name, "pw-of-"+name))
	return h
}

// secureAs is the same over TLS with the certificate verified.
func (s *server) secureAs(t testing.TB, name string) hand {
	t.Helper()
	h := s.connect(t)
	c, err := trust(s.data)
	h.check(err)
	h.check(h.secure(c))
	h.check(h.login(name, "pw-of-"+name))
	return h
}

func (h hand) check(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// want sends a command and fails unless the reply is want (or of the class want, below 10). It returns the text.
func (h hand) want(want int, line string) string {
	h.t.Helper()
	text, err := h.cmd(want, line)
	if err != nil {
		h.t.Fatalf("wanted %d: %v", want, err)
	}
	return text
}

func (h hand) wantReply(want int, to string) string {
	h.t.Helper()
	text, err := h.await(want, to)
	if err != nil {
		h.t.Fatalf("wanted %d: %v", want, err)
	}
	return text
}

// refused fails unless err is a reply of code, or of that class below 10.
func (h hand) refused(code int, err error) {
	h.t.Helper()
	if got := codeOf(err); got == 0 || got != code && (code >= 10 || got/100 != code) {
		h.t.Fatalf("wanted %d, got %v", code, err)
	}
}

// wantClosed fails unless the server closes the connection without another reply.
func (h hand) wantClosed(after string) {
	h.t.Helper()
	if code, text, err := h.reply(); err == nil {
		h.t.Fatalf("after %s the connection goes on: %d %s", after, code, text)
	} else if isTimeout(err) {
		h.t.Fatalf("after %s the connection stays open", after)
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

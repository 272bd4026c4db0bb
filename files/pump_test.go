package files

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"sampan/fault"
)

func grantAll(_, want int64) (int64, error) { return want, nil }

func TestPumpCopiesAll(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 9, 10, 11, 1 << 20} {
		data := bytesOf(n, 1)
		for name, src := range map[string]io.Reader{
			"whole": strings.NewReader(data), "by bytes": iotest.OneByteReader(strings.NewReader(data)),
			"EOF with data": iotest.DataErrReader(strings.NewReader(data)),
		} {
			var dst bytes.Buffer
			var asked int64
			done, err := Pump(struct{ io.Writer }{&dst}, src, 10, func(d, want int64) (int64, error) {
				if d != asked || want != 10 {
					t.Fatalf("asked with %d, %d after %d", d, want, asked)
				}
				asked += min(7, int64(n)-d)
				return 7, nil
			})
			if err != nil || done != int64(n) || dst.String() != data {
				t.Errorf("%s, %d bytes: %d, %v", name, n, done, err)
			}
		}
	}
}

func TestPumpAtQuota(t *testing.T) {
	t.Parallel()
	full := fault.New(fault.OverQuota, "the quota leaves no room for more")
	for _, c := range []struct {
		data string
		give error
		want error
	}{
		{"12345", nil, nil}, {"12345", full, nil}, {"123456", full, full}, {"", full, nil},
	} {
		ask := func(done, _ int64) (int64, error) {
			if done == 5 || c.data == "" {
				return 0, c.give
			}
			return 5 - done, nil
		}
		n, err := Pump(&bytes.Buffer{}, iotest.OneByteReader(strings.NewReader(c.data)), 100, ask)
		if n != int64(min(5, len(c.data))) || err != c.want {
			t.Errorf("%q with %v: %d, %v", c.data, c.give, n, err)
		}
	}
	_, err := Pump(&bytes.Buffer{}, strings.NewReader("1"), 1, func(int64, int64) (int64, error) { return 0, nil })
	if fault.KindOf(err) != fault.OverQuota || err == nil {
		t.Errorf("a byte where nothing is allowed: %v", err)
	}
}

func TestPumpErrors(t *testing.T) {
	t.Parallel()
	stop := errors.New("kicked")
	if _, err := Pump(io.Discard, strings.NewReader("x"), 1, func(int64, int64) (int64, error) { return 0, stop }); err != stop {
		t.Errorf("error of ask: %v", err)
	}
	// A broken TLS stream says ErrUnexpectedEOF: no end, whatever was read before.
	for _, dst := range []io.Writer{&bytes.Buffer{}, struct{ io.Writer }{&bytes.Buffer{}}} {
		src := io.MultiReader(strings.NewReader("12345"), iotest.ErrReader(io.ErrUnexpectedEOF))
		if n, err := Pump(dst, src, 100, grantAll); !errors.Is(err, io.ErrUnexpectedEOF) || n != 5 {
			t.Errorf("broken source into %T: %d, %v", dst, n, err)
		}
	}
	broken := iotest.ErrReader(os.ErrDeadlineExceeded)
	if _, err := Pump(io.Discard, broken, 1, func(int64, int64) (int64, error) { return 0, nil }); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error of the source at the quota: %v", err)
	}
}

// seen is an io.ReaderFrom that notes what it is handed.
type seen struct {
	bytes.Buffer
	src io.Reader
}

func (s *seen) ReadFrom(r io.Reader) (int64, error) {
	s.src = r
	return s.Buffer.ReadFrom(r)
}

func TestPumpWrapsNeitherEnd(t *testing.T) {
	t.Parallel()
	src, dst := strings.NewReader("hello"), &seen{}
	if _, err := Pump(dst, src, 3, grantAll); err != nil || dst.String() != "hello" {
		t.Fatalf("%q, %v", dst, err)
	}
	if l, ok := dst.src.(*io.LimitedReader); !ok || l.R != src {
		t.Errorf("the destination was handed a %T", dst.src)
	}
}

// sender connects two sockets, sends data on one and closes it.
func sender(t testing.TB, data []byte) *net.TCPConn {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			return
		}
		c.Write(data)
		c.Close()
	}()
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

func TestPumpFromSocket(t *testing.T) {
	t.Parallel()
	h, err := OpenHome(filepath.Join(tempHome(t), "h"), Options{Quota: 3 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	data := []byte(bytesOf(3<<20, 5))
	for _, c := range []struct {
		n    int
		kind fault.Kind
	}{{3 << 20, 0}, {3<<20 - 1, 0}} {
		l := h.As("a")
		u, err := l.Create(t.Context(), mustPath("x"), Want{Size: -1})
		if err != nil {
			t.Fatal(err)
		}
		n, err := Pump(u, sender(t, data[:c.n]), 1<<20, func(_, want int64) (int64, error) { return u.Room(want) })
		if err != nil || n != int64(c.n) || u.Size() != n {
			t.Fatalf("%d of %d bytes, %v", n, c.n, err)
		}
		if _, err := u.Commit(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(h.root.Name(), "x"))
		if err != nil || !bytes.Equal(got, data[:c.n]) {
			t.Fatalf("the file has %d bytes, %v", len(got), err)
		}
		if err := l.Remove(t.Context(), mustPath("x")); err != nil {
			t.Fatal(err)
		}
	}
	u, err := h.As("a").Create(t.Context(), mustPath("x"), Want{Size: -1})
	if err != nil {
		t.Fatal(err)
	}
	n, err := Pump(u, sender(t, append(data, 'x')), 1<<20, func(_, want int64) (int64, error) { return u.Room(want) })
	if fault.KindOf(err) != fault.OverQuota || err == nil || n != 3<<20 {
		t.Errorf("a byte too many: %d, %v", n, err)
	}
	if err := u.Close(); err != nil {
		t.Error(err)
	}
	checkUsed(t, h, h.root.Name())
}

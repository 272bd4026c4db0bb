package sftpd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"sampan/account"
	"sampan/sftp"
)

// pair returns both ends of a connection.
func pair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if near, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	far.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

// expect reads what is to come.
func expect(t *testing.T, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("%d bytes %.60q, %v; want %.60q", n, got, err, want)
	}
}

// TestHeldWire: what is gathered keeps its order and goes out when it is much, on release, or a little later, for its holder
// may wait for something that the peer does only when it has that.
func TestHeldWire(t *testing.T) {
	t.Parallel()
	near, far := pair(t)
	w := newWire(near, patience)
	w.hold()
	io.WriteString(w, "never ")
	io.WriteString(w, "released")
	expect(t, far, "never released")

	long := strings.Repeat("0123456789abcdef", mostGathered/16)
	go func() {
		io.WriteString(w, "a")
		io.WriteString(w, long)
		io.WriteString(w, "b")
		w.release()
		io.WriteString(w, "c")
	}()
	expect(t, far, "a"+long+"bc")

	w.hold()
	near.Close()
	io.WriteString(w, "lost")
	if err := w.release(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a flush to a closed connection: %v", err)
	}
	if _, err := io.WriteString(w, "lost"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write behind it: %v", err)
	}
}

// TestGulp: in whatever pieces it comes and is read, it is the same, and so is the error behind it.
func TestGulp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		content := bytes.Repeat([]byte("0123456789abcde"), rapid.IntRange(0, 30_000).Draw(t, "fifteens"))
		src := io.Reader(bytes.NewReader(content))
		if rapid.Bool().Draw(t, "error with the last bytes") {
			src = iotest.DataErrReader(src)
		}
		if rapid.Bool().Draw(t, "in halves") {
			src = iotest.HalfReader(src)
		}
		g := &gulp{src: src}
		sizes := rapid.SliceOfN(rapid.SampledFrom([]int{1, 4, 100, sip - 1, sip, sip + 1, 28 << 10, gulpSize, gulpSize + 1}), 1, 20).Draw(t, "sizes")
		var got []byte
		for i := 0; ; i++ {
			b := make([]byte, sizes[i%len(sizes)])
			n, err := g.Read(b)
			got = append(got, b[:n]...)
			if err != nil {
				if err != io.EOF {
					t.Fatal(err)
				}
				break
			}
		}
		if !bytes.Equal(got, content) {
			t.Fatalf("%d bytes came of %d", len(got), len(content))
		}
		if g.mug != nil {
			t.Fatal("who waits holds memory")
		}
	})
}

// TestReplyBeforeASlowRequest: what is answered does not wait for the answer to what was asked with it.
func TestReplyBeforeASlowRequest(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", account.Unlimited)
	h.put("alice", "a", strings.Repeat("a", 256<<10))
	rate := int64(1) // a second
	if _, err := h.book.Update(context.Background(), "alice", account.Change{Down: &rate}); err != nil {
		t.Fatal(err)
	}
	p := h.sftp("alice")
	handle := p.open("/a", get)
	var all []byte
	for id := range uint32(4) {
		r := sftp.Request{Type: sftp.TypeRead, ID: 1000 + id, Handle: handle, Size: 256 << 10}
		if id == 0 {
			r = sftp.Request{Type: sftp.TypeStat, ID: 1000, Path: "/a"}
		}
		all = append(all, r.Packet().Wire()...)
	}
	if _, err := p.ch.Write(all); err != nil {
		t.Fatal(err)
	}
	if r := p.wait(1000); r.Type != sftp.TypeAttrs {
		t.Errorf("%+v", r)
	}
}

// TestMoreThanAWindow: a peer may ask for more than its window takes before it reads anything.
func TestMoreThanAWindow(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", account.Unlimited)
	content := strings.Repeat("0123456789abcdef", 8<<10)
	h.put("alice", "a", content)
	p := h.sftp("alice")
	handle := p.open("/a", get)
	ids := make([]uint32, 64)
	for i := range ids {
		ids[i] = p.send(sftp.Request{Type: sftp.TypeRead, Handle: handle, Size: uint64(len(content))})
	}
	for _, id := range ids {
		if r := p.wait(id); string(r.Data) != content {
			t.Fatalf("%v: %d bytes came", r.Type, len(r.Data))
		}
	}
}

package ftpd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// everyWay runs a test over clear text and over TLS.
func everyWay(t *testing.T, test func(t *testing.T, h *house, login func(string) *peer), changes ...change) {
	t.Run("plain", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, changes...)
		h.add("alice", -1, nil)
		test(t, h, h.login)
	})
	t.Run("tls", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, changes...)
		h.add("alice", -1, nil)
		test(t, h, h.loginTLS)
	})
}

// TestHashIsOfTheDisk: however the bytes came, HASH is that of those on the disk.
func TestHashIsOfTheDisk(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		p := login("alice")
		lines := bytes.Repeat([]byte("a line\r\nand one that has no CR\n"), 10_000)
		check := func(what string) {
			t.Helper()
			if said, disk := p.cmd(213, "HASH f").Text(), h.read("alice", "f"); !strings.Contains(said, fmt.Sprintf("%x", sum256(disk))) {
				t.Errorf("%s: %s of %d bytes, want %x", what, said, len(disk), sum256(disk))
			}
		}
		for range 2 {
			p.cmd(200, "TYPE A")
			p.store(226, "STOR f", lines)
			if len(h.read("alice", "f")) >= len(lines) {
				t.Error("the ends of lines are what they were")
			}
			check("TYPE A")
			p.store(226, "APPE f", lines)
			check("APPE in TYPE A")
			p.cmd(200, "TYPE I")
			p.store(226, "STOR f", lines)
			check("TYPE I")
			p.cmd(350, "REST 100000")
			p.store(226, "STOR f", noise(70_000))
			check("REST")
			p.store(226, "APPE f", noise(70_000))
			check("APPE")
		}
	})
}

func TestUploadAndDownload(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		p := login("alice")
		for _, size := range []int{0, 1, 16<<10 + 1, 3<<20 + 7} {
			content := noise(size)
			p.store(226, "STOR a file", content)
			same(t, "on the disk", h.read("alice", "a file"), content)
			same(t, "downloaded", p.fetch("RETR a file"), content)
			if size > 10 {
				p.cmd(350, "REST 10")
				same(t, "from 10", p.fetch("RETR a file"), content[10:])
			}
		}
	})
}

func TestCutUploadIsParkedAndResumed(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		content := noise(1 << 20)
		p := login("alice")
		p.store(226, "STOR f", []byte("old"))
		nc := p.begin("STOR f")
		if _, err := nc.Write(content[:300_000]); err != nil {
			t.Fatal(err)
		}
		if tcp, ok := nc.(*net.TCPConn); ok {
			tcp.SetLinger(0) // a reset; over TLS an end without close_notify
			eventually(t, "all is received", func() bool { return h.moved() == 300_000 })
			nc.Close()
		} else {
			eventually(t, "all is received", func() bool { return h.moved() == 300_000 })
			p.closeBeneath(nc)
		}
		p.want(426)
		same(t, "the old file", h.read("alice", "f"), []byte("old"))
		p.cmd(213, "SIZE f")
		p.cmd(350, "REST 300000")
		p.store(226, "STOR f", content[300_000:])
		same(t, "the whole", h.read("alice", "f"), content)
		if !bytes.Equal(p.fetch("RETR f"), content) {
			t.Fatal("downloaded other bytes")
		}
	})
}

// TestRefusedRangeIsNoRange: what was answered 501 must not cut the next download short.
func TestRefusedRangeIsNoRange(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	p := h.login("alice")
	p.store(226, "STOR f", []byte("content"))
	for _, bad := range []string{"5 1", "0 9223372036854775807", "x y"} {
		p.cmd(501, "RANG "+bad)
		same(t, bad, p.fetch("RETR f"), []byte("content"))
		p.cmd(501, "RANG "+bad)
		p.store(226, "STOR f", []byte("content"))
	}
}

// TestRepliesOfADownloadBehindREST: aria2, which says REST before every download, must not find 226 in the read that
// brings 150: it comes when the client has closed its end.
func TestRepliesOfADownloadBehindREST(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		h.put("alice", "f", []byte("content"))
		p := login("alice")
		p.cmd(350, "REST 0")
		nc := p.begin("RETR f")
		if b, err := io.ReadAll(nc); err != nil || string(b) != "content" {
			t.Fatalf("%q %v", b, err)
		}
		p.nc.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if b, err := p.r.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%q %v before the client closed its end", b, err)
		}
		p.nc.SetReadDeadline(time.Now().Add(patience))
		nc.Close()
		p.want(226)

		nc = p.begin("RETR f") // without REST nobody waits
		p.want(226)
		nc.Close()
	}, hurried(func(l *limits) { l.taken = time.Minute }))
}

// TestRefusedUploadKeepsTheWay: the data connection of an upload that is refused stays as it is, so that a client which
// looks there first hears the reply; it serves the next transfer, or ends when another way is agreed.
func TestRefusedUploadKeepsTheWay(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		p := login("alice")
		for _, refused := range []string{"STOR no/f", "APPE no/f", "STOR a\x01b"} {
			nc := p.passive()
			p.send(refused + "\r\n")
			if r := p.any(); r.Code/100 != 5 {
				t.Fatalf("%s: %d %q", refused, r.Code, r.Lines)
			}
			nc.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			if n, err := nc.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("%s: %d bytes, %v on the data connection", refused, n, err)
			}
			nc.SetReadDeadline(time.Now().Add(patience))
			p.cmd(150, "STOR f")
			up := p.secure(nc)
			up.Write([]byte("content"))
			up.Close()
			p.want(226)
			same(t, "f", h.read("alice", "f"), []byte("content"))

			nc = p.passive()
			p.send(refused + "\r\n")
			p.any()
			p.epsv()
			if n, err := nc.Read(make([]byte, 1)); n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("%s, and another way: %d bytes, %v on the data connection", refused, n, err)
			}
		}
	})
}

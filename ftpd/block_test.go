package ftpd

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"sampan/ftp"
)

// A blockPeer speaks block mode raw: it writes and reads blocks when it is told to.
type blockPeer struct {
	*peer
	data net.Conn
	in   *ftp.BlockReader
	out  *ftp.BlockWriter
}

// block switches to block mode, with pipelining, and connects the data connection. Under PROT P the handshake waits for
// the first transfer.
func (p *peer) block() *blockPeer {
	p.t.Helper()
	p.cmd(200, "MODE B")
	p.cmd(200, "OPTS PIPELINE ON")
	b := &blockPeer{peer: p}
	b.dial()
	return b
}

func (b *blockPeer) dial() {
	b.t.Helper()
	b.use(b.passive())
	if b.prot {
		b.send("NLST\r\n")
		b.want(150)
		b.use(b.secure(b.data))
		b.file()
		b.want(250)
	}
}

func (b *blockPeer) use(nc net.Conn) {
	b.data, b.in, b.out = nc, ftp.NewBlockReader(nc, nil), ftp.NewBlockWriter(nc)
}

// file reads one file.
func (b *blockPeer) file() []byte {
	b.t.Helper()
	content, err := b.tryFile()
	if err != nil {
		b.t.Fatalf("a file of %d bytes ends with %v", len(content), err)
	}
	return content
}

func (b *blockPeer) tryFile() ([]byte, error) {
	b.in.Next()
	return io.ReadAll(b.in)
}

// put sends a file; the blocks wait for flush.
func (b *blockPeer) put(content []byte) {
	b.t.Helper()
	_, err := b.out.Write(content)
	if err = errors.Join(err, b.out.End(false)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *blockPeer) flush() {
	b.t.Helper()
	if err := b.out.Flush(); err != nil {
		b.t.Fatal(err)
	}
}

// begun wants the reply that begins a transfer.
func (b *blockPeer) begun() {
	b.t.Helper()
	r, err := ftp.ReadReply(b.r)
	if err != nil || r.Code != 125 && r.Code != 150 {
		b.t.Fatalf("%+v %v, want 125 or 150", r, err)
	}
}

// proved wants the reply that ends a transfer of content.
func (b *blockPeer) proved(path string, content []byte) {
	b.t.Helper()
	b.begun()
	p, got, ok := ftp.ParseProof(b.want(250).Text())
	if !ok || got != path || p.Size != int64(len(content)) || p.Sum != sha256.Sum256(content) || p.ModTime.IsZero() || p.Unique == "" {
		b.t.Fatalf("the proof of %s: %+v %q %v", path, p, got, ok)
	}
}

func (b *blockPeer) closed() {
	b.t.Helper()
	if n, err := io.Copy(io.Discard, b.data); err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
		b.t.Fatalf("the data connection: %d bytes, then %v", n, err)
	}
}

func TestBlockMode(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		p := login("alice").block()
		contents := [][]byte{{}, noise(1), noise(4096), noise(65535), noise(65536), noise(1<<20 + 7)}
		for i, c := range contents { // one after another
			p.send(fmt.Sprintf("STOR f%d\r\n", i))
			p.begun()
			p.put(c)
			p.flush()
			if r := p.want(250); !strings.Contains(r.Text(), fmt.Sprintf("%x", sha256.Sum256(c))) {
				t.Error(r.Text())
			}
			same(t, "uploaded", h.read("alice", fmt.Sprintf("f%d", i)), c)
		}
		var all strings.Builder
		for i := range contents { // at once
			fmt.Fprintf(&all, "RETR f%d\r\nMLST f%d\r\n", i, i)
		}
		p.send(all.String() + "MLSD\r\nNLST\r\nLIST\r\nREST 4000\r\nRETR f2\r\nRANG 1 3\r\nRETR f3\r\n")
		for i, c := range contents {
			same(t, "downloaded", p.file(), c)
			p.proved(fmt.Sprintf("/f%d", i), c)
			p.want(250)
		}
		for range 3 {
			if n := bytes.Count(p.file(), []byte("\r\n")); n != len(contents) {
				t.Errorf("%d lines", n)
			}
			p.begun()
			p.want(250)
		}
		p.want(350)
		same(t, "behind REST", p.file(), contents[2][4000:])
		p.begun()
		p.want(250)
		p.want(350)
		same(t, "RANG", p.file(), contents[3][1:4])
		p.begun()
		p.want(250)
		p.cmd(200, "MODE S")
		p.closed()
		same(t, "in stream mode", p.fetch("RETR f3"), contents[3])
	})
}

func TestBlockModeUploadsAtOnce(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		p := login("alice").block()
		const n = 500
		var commands strings.Builder
		for i := range n {
			fmt.Fprintf(&commands, "STOR f%d\r\n", i)
		}
		p.send(commands.String())
		for i := range n {
			p.put([]byte(fmt.Sprintf("content %d", i)))
		}
		p.flush()
		for i := range n {
			p.proved(fmt.Sprintf("/f%d", i), []byte(fmt.Sprintf("content %d", i)))
		}
		for i := range n {
			same(t, "f", h.read("alice", fmt.Sprintf("f%d", i)), []byte(fmt.Sprintf("content %d", i)))
		}
	})
}

package ftpd

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
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

func sum256(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}

// proved wants the reply that ends a transfer of content.
func (b *blockPeer) proved(path string, content []byte) {
	b.t.Helper()
	b.begun()
	p, got, ok := ftp.ParseProof(b.want(250).Text())
	if !ok || got != path || p.Size != int64(len(content)) || !bytes.Equal(p.Sum, sum256(content)) || p.ModTime.IsZero() || p.Unique == "" {
		b.t.Fatalf("the proof of %s: %+v %q %v", path, p, got, ok)
	}
}

func (b *blockPeer) closed() {
	b.t.Helper()
	if n, err := io.Copy(io.Discard, b.data); errors.Is(err, os.ErrDeadlineExceeded) {
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

// TestBlockModeRefusedUploads: pipelined uploads that are refused before they begin, in the middle, and for what they are,
// leave the others and the stream in step.
func TestBlockModeRefusedUploads(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		h.mkdir("alice", "dir")
		h.put("alice", "old", []byte("the old version"))
		p := login("alice").block()
		big := noise(300 << 10)
		p.send("STOR missing/f\r\nSTOR a\r\nSTOR dir\r\nSTOR\r\nSTOR old\r\nSTOR .sampan/x\r\nREST 99\r\nSTOR b\r\nTYPE A\r\nSTOR c\r\nTYPE I\r\nAPPE d\r\nSTOU\r\n")
		p.put(big)
		p.put([]byte("a"))
		p.put([]byte("dir"))
		p.put([]byte("no name"))
		p.out.Write(big) // given up
		p.out.End(true)
		p.put([]byte("ours"))
		p.put([]byte("behind an offset"))
		p.put([]byte("line\nends"))
		p.put([]byte("d"))
		p.put([]byte("unique"))
		p.flush()
		p.want(550)
		p.proved("/a", []byte("a"))
		p.want(550)
		p.want(501)
		p.begun()
		p.want(451)
		p.want(553)
		p.want(350)
		p.want(550)
		p.want(200)
		p.want(504)
		p.want(200)
		p.proved("/d", []byte("d"))
		p.begun()
		name := strings.TrimPrefix(p.want(250).Text(), uniqueName)
		same(t, "STOU", h.read("alice", name), []byte("unique"))
		same(t, "given up", h.read("alice", "old"), []byte("the old version"))
		r := p.cmd(213, "SITE PART old").Text()
		if want := fmt.Sprintf("%d SHA-256 %x", len(big), sha256.Sum256(big)); !strings.HasPrefix(r, want) {
			t.Errorf("the part: %s, want %s", r, want)
		}
		p.send("STOR e\r\n")
		p.put([]byte("still in step"))
		p.flush()
		p.proved("/e", []byte("still in step"))
	})
}

// TestBlockModeWithoutPipelining: who does not say that it sends ahead sends no file behind a refusal.
func TestBlockModeWithoutPipelining(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		p := login("alice").block()
		p.cmd(200, "OPTS PIPELINE OFF")
		p.cmd(550, "STOR missing/f")
		p.send("STOR f\r\n")
		p.begun()
		p.put([]byte("f"))
		p.flush()
		p.want(250)
		same(t, "f", h.read("alice", "f"), []byte("f"))
	})
}

func TestBlockModeQuotaInTheMiddle(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		h.add("bob", 100_000, nil)
		p := login("bob").block()
		p.send("STOR a\r\nSTOR big\r\nALLO 200000\r\nSTOR announced\r\nSTOR b\r\nSTOR c\r\n")
		files := [][]byte{noise(40_000), noise(500_000), noise(200_000), noise(30_000), noise(30_000)}
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for _, f := range files {
				p.put(f)
			}
			p.flush()
		}()
		p.proved("/a", files[0])
		p.begun()
		p.want(552)
		p.want(200)
		p.want(552)
		p.proved("/b", files[3])
		p.proved("/c", files[4])
		<-sent
		if h.read("bob", "big") != nil || h.read("bob", "announced") != nil {
			t.Error("what the quota refused is there")
		}
		same(t, "b", h.read("bob", "b"), files[3])
		if r := p.cmd(200, "SITE QUOTA").Text(); !strings.HasPrefix(r, "used 100000 of 100000") {
			t.Error(r)
		}
	})
}

// TestBlockModeSeesItsUploads: what names an upload, or a directory above it, waits for it.
func TestBlockModeSeesItsUploads(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		p := login("alice").block()
		p.send("MKD d\r\n")
		p.want(257)
		for i := range 30 {
			content := noise(5000 + i)
			p.send("STOR d/f\r\nSIZE d/f\r\nSTOR d/g\r\nMLSD d\r\nSTOR d/h\r\nRNFR d/h\r\nRNTO d/i\r\nSTOR d/f\r\nHASH d/f\r\n" +
				"MFMT 20200229010203 d/f\r\nRETR d/f\r\nSTOR d/j\r\nRNFR d\r\nRNTO e\r\nSTOR e/k\r\nLIST e\r\nDELE e/k\r\nSTOR e/l\r\nRNFR e\r\nRNTO d\r\nSTOR d/m\r\nQUIET\r\n")
			for range 8 {
				p.put(content)
			}
			p.flush()
			p.proved("/d/f", content)
			if got := p.want(213).Text(); got != fmt.Sprint(len(content)) {
				t.Errorf("SIZE %s, want %d", got, len(content))
			}
			p.proved("/d/g", content)
			if list := string(p.file()); !strings.Contains(list, fmt.Sprintf("size=%d;", len(content))) || !strings.Contains(list, " g\r\n") {
				t.Errorf("listed: %s", list)
			}
			p.begun()
			p.want(250)
			p.proved("/d/h", content)
			p.want(350)
			p.want(250)
			p.proved("/d/f", content)
			if got := p.want(213).Text(); !strings.Contains(got, fmt.Sprintf("%x", sha256.Sum256(content))) {
				t.Error(got)
			}
			p.want(213)
			same(t, "RETR", p.file(), content)
			p.begun()
			if got, _, ok := ftp.ParseProof(p.want(250).Text()); !ok || got.ModTime.Year() != 2020 {
				t.Errorf("%+v", got)
			}
			p.proved("/d/j", content)
			p.want(350)
			p.want(250)
			p.proved("/e/k", content)
			if list := string(p.file()); !strings.Contains(list, " k\r\n") {
				t.Errorf("listed: %s", list)
			}
			p.begun()
			p.want(250)
			p.want(250)
			p.proved("/e/l", content)
			p.want(350)
			p.want(250)
			p.proved("/d/m", content)
			p.want(500)
		}
	})
}

// TestBlockModeMDTMOfANameWithSpaces: what stands before the first space may be a time, or a part of the name.
func TestBlockModeMDTMOfANameWithSpaces(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		p := login("alice").block()
		for i := range 30 {
			name := fmt.Sprintf("my file %d", i)
			p.send("STOR " + name + "\r\nMDTM " + name + "\r\nMDTM 20200229010203 " + name + "\r\n")
			p.put([]byte("content"))
			p.flush()
			p.proved("/"+name, []byte("content"))
			p.want(213)
			p.want(213)
		}
	})
}

// TestBlockModeProof: the proof of an upload is that of the file, also behind a part; where that is not known none is told. A
// download is proved by what is known of its file, unless that changes meanwhile.
func TestBlockModeProof(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		p := login("alice").block()
		content := noise(300_000)
		p.send("STOR f\r\n")
		p.begun()
		p.out.Write(content[:200_000])
		p.out.End(true)
		p.flush()
		p.want(451)
		p.cmd(350, "REST 200000")
		p.send("STOR f\r\n")
		p.put(content[200_000:])
		p.flush()
		p.proved("/f", content)
		for range 2 {
			p.send("RETR f\r\n")
			same(t, "RETR", p.file(), content)
			p.proved("/f", content)
		}

		p.send("APPE f\r\n")
		p.begun()
		p.put(content)
		p.flush()
		if r := p.want(250); strings.Contains(r.Text(), "sha256") || !strings.Contains(r.Text(), "size=600000;") {
			t.Error(r.Text())
		}
		twice := append(bytes.Clone(content), content...)
		if r := p.cmd(213, "HASH f"); !strings.Contains(r.Text(), fmt.Sprintf("%x", sum256(twice))) {
			t.Error(r.Text())
		}
		p.send("RETR f\r\n")
		same(t, "RETR", p.file(), twice)
		p.proved("/f", twice)

		big := noise(24 << 20) // more than the sockets hold
		p.send("STOR big\r\n")
		p.put(big)
		p.flush()
		p.proved("/big", big)
		p.send("RETR big\r\n")
		p.begun()
		f, err := os.OpenFile(filepath.Join(h.home("alice"), "big"), os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteAt([]byte("other"), int64(len(big)-5))
		}
		if err = errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		got := p.file()
		if bytes.Equal(got, big) {
			t.Error("what was written came too late to be read")
		}
		if said, _, ok := ftp.ParseProof(p.want(250).Text()); ok && !bytes.Equal(said.Sum, sum256(got)) {
			t.Errorf("a file that changed is proved: %+v", said)
		}
	})
}

func TestBlockModeMarkers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	p := h.login("alice").block()
	p.send("STOR f\r\n")
	p.begun()
	p.out.Write([]byte("abc"))
	p.out.Mark("one")
	p.out.Write(noise(70_000))
	p.out.Mark("two")
	p.out.End(false)
	p.flush()
	for _, want := range []string{"MARK one = 3", "MARK two = 70003"} {
		if got := p.want(110).Text(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	p.want(250)
	if n := len(h.read("alice", "f")); n != 70_003 {
		t.Errorf("%d bytes: markers are no data", n)
	}
}

func TestBlockModeAbort(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		h.put("alice", "big", noise(64<<20))
		p := login("alice").block()
		p.send("RETR big\r\nRETR big\r\nMKD never\r\nSTOR never\r\n") // nobody reads
		p.begun()
		p.send("ABOR\r\nMKD d\r\n")
		for range 4 {
			p.want(426)
		}
		p.want(226)
		p.want(257)
		p.closed()
		p.cmd(425, "RETR big")

		p.dial()
		p.send("STOR f\r\nSTOR g\r\n")
		p.out.Write([]byte("half"))
		p.flush()
		p.begun()
		p.send("ABOR\r\n")
		p.want(426)
		p.want(426)
		p.want(226)
		p.closed()
		if h.read("alice", "f") != nil || h.read("alice", "never") != nil {
			t.Error("what was aborted is there")
		}

		p.dial()
		p.send("STOR f\r\n")
		p.put([]byte("whole"))
		p.flush()
		p.proved("/f", []byte("whole"))
		p.cmd(226, "ABOR")
		p.cmd(425, "NLST")
	})
}

// TestBlockModeCut: a data connection that ends anywhere in the middle tears nothing; the commands behind are refused.
func TestBlockModeCut(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		p := login("alice").block()
		old, fresh := []byte("the old version"), noise(3000)
		h.put("alice", "f", old)
		var wire bytes.Buffer
		w := ftp.NewBlockWriter(&wire)
		w.Write(fresh)
		w.End(false)
		w.Flush()
		for _, n := range []int{0, 1, 2, 3, 4, 1500, 3002} {
			p.send("STOR f\r\nSTOR g\r\nNOOP\r\n")
			p.begun()
			p.data.Write(wire.Bytes()[:n])
			p.data.Close()
			p.want(426)
			p.want(425)
			p.want(200)
			same(t, "f", h.read("alice", "f"), old)
			if n > 3 {
				if r := p.cmd(213, "SITE PART f").Text(); !strings.HasPrefix(r, fmt.Sprint(n-3)) {
					t.Errorf("%d bytes came: %s", n-3, r)
				}
			}
			p.dial()
		}
		p.send("REST 2999\r\nSTOR f\r\n")
		p.put(fresh[2999:])
		p.flush()
		p.want(350)
		p.begun()
		p.want(250)
		same(t, "resumed", h.read("alice", "f"), fresh)
	})
}

// TestBlockModeHostile sends what no client sends.
func TestBlockModeHostile(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", 10_000_000, nil)
	for name, wire := range map[string]string{
		"unknown bits":     "\x41\x00\x01a",
		"records":          "\x80\x00\x01a\x40\x00\x00",
		"a line in a mark": "\x10\x00\x0aa\r\n226 all\n\x40\x00\x00",
		"http":             "GET / HTTP/1.1\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := h.login("alice").block()
			p.send("STOR " + strings.ReplaceAll(name, " ", "") + "\r\n")
			p.begun()
			io.WriteString(p.data, wire)
			p.want(426)
			p.closed()
			p.cmd(200, "NOOP")
			p.cmd(550, "MDTM "+strings.ReplaceAll(name, " ", ""))
			p.dial()
			p.send("NLST\r\n")
			p.begun()
			p.file()
			p.want(250)
		})
	}
	t.Run("blocks without a command", func(t *testing.T) {
		t.Parallel()
		p := h.login("alice").block()
		go func() { // the server reads none of it
			for b := noise(1 << 20); ; {
				if _, err := p.data.Write(b); err != nil {
					return
				}
			}
		}()
		for range 10 {
			p.cmd(200, "NOOP")
		}
		p.cmd(221, "QUIT")
		p.gone()
	})
	t.Run("a refused upload without end", func(t *testing.T) {
		t.Parallel()
		p := h.login("alice").block()
		p.send("STOR missing/f\r\n")
		go func() {
			for {
				if _, err := p.out.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		}()
		p.want(550)
		p.send("ABOR\r\nNOOP\r\n") // it can be ended like any other
		p.want(226)
		p.want(200)
		p.closed()
	})
	t.Run("empty blocks without end", func(t *testing.T) {
		t.Parallel()
		p := h.login("alice").block()
		p.send("STOR empty\r\n")
		p.begun()
		go func() {
			for b := make([]byte, 30_000); ; {
				if _, err := p.data.Write(b); err != nil {
					return
				}
			}
		}()
		p.send("ABOR\r\n")
		p.want(426)
		p.want(226)
		p.closed()
	})
	t.Run("far more commands than fit", func(t *testing.T) {
		t.Parallel()
		p := h.login("alice").block()
		const n = 20_000
		go p.send(strings.Repeat("SIZE nothing\r\n", n))
		for range n {
			p.want(550)
		}
	})
}

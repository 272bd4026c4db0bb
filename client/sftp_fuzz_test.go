package client_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"sync"
	"testing"

	"sampan/client"
	"sampan/files"
	"sampan/sftp"
)

// A babbler is a server that answers every request with the next packet of what it has to say, whatever was asked.
type babbler struct {
	mu     sync.Mutex
	told   *sync.Cond
	asked  uint32 // requests that came and are not answered
	id     uint32 // of the last one that was answered
	left   []byte // what is still to be said: packets, each behind its length in two bytes
	rest   []byte // of the packet that is being said
	closed bool
}

func newBabbler(stream []byte) *babbler {
	b := &babbler{left: stream}
	b.told = sync.NewCond(&b.mu)
	return b
}

func (b *babbler) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for rest := p; len(rest) >= 4; b.asked++ {
		rest = rest[4+binary.BigEndian.Uint32(rest):]
	}
	b.told.Broadcast()
	return len(p), nil
}

func (b *babbler) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.rest) == 0 {
		for b.asked == 0 && !b.closed {
			b.told.Wait()
		}
		if b.closed || len(b.left) < 2 {
			return 0, io.EOF
		}
		n := min(int(binary.BigEndian.Uint16(b.left)), len(b.left)-2)
		b.rest = append(binary.BigEndian.AppendUint32(nil, uint32(n)), b.left[2:2+n]...)
		b.left = b.left[2+n:]
		if b.id > 0 && len(b.rest) >= 9 { // INIT has no id
			binary.BigEndian.PutUint32(b.rest[5:], b.id)
		}
		b.id++
		b.asked--
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *babbler) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.told.Broadcast()
	return nil
}

// FuzzSFTPServer: whatever a server says, listing and fetching end, no name leads elsewhere, and no more is read than there is.
func FuzzSFTPServer(f *testing.F) {
	said := func(packets ...*sftp.Packet) (s []byte) {
		for _, p := range packets {
			body := p.Wire()[4:]
			s = append(binary.BigEndian.AppendUint16(s, uint16(len(body))), body...)
		}
		return s
	}
	names := sftp.NamesPacket(0)
	for _, n := range []string{".", "..", "a", "../b", "c/d", "/", "", "\x1b[2J", ".a.sampan"} {
		names.Add(n, []byte("-rw"), sftp.Attrs{Has: sftp.HasSize, Size: 1 << 63})
	}
	data, place := sftp.DataPacket(0, 3)
	copy(place, "abc")
	home := sftp.NamesPacket(0)
	home.Add("/home", nil, sftp.Attrs{})
	is := sftp.AttrsPacket(0, sftp.Attrs{Has: sftp.HasSize, Size: 3})
	eof := sftp.StatusPacket(0, sftp.EOF, "", "")
	replies := []*sftp.Packet{
		sftp.Hello{Version: 3}.Packet(sftp.TypeVersion), home.Packet(), sftp.HandlePacket(0, "h"),
		names.Packet(), eof, eof, eof, eof, eof, eof, eof, eof, eof, eof,
		is, sftp.HandlePacket(0, "h"), is, data, is, eof,
	}
	for n := range replies { // cut anywhere
		f.Add(said(replies[:n+1]...))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		conn := newBabbler(stream)
		defer conn.Close()
		r, err := client.SFTPSession(t.Context(), conn)
		if err != nil {
			return
		}
		defer r.Close()
		for i, err := range r.List(t.Context(), files.Root) {
			if name := i.Path.Base(); err == nil && (name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") || i.Size < 0) {
				t.Fatalf("listed %q, %d bytes", name, i.Size)
			}
		}
		p, err := files.Root.Join("f")
		if err != nil {
			t.Fatal(err)
		}
		if body, i, err := r.Open(t.Context(), p, 0); err == nil {
			var got bytes.Buffer
			if n, err := io.Copy(&got, body); n > i.Size || err == nil && n != i.Size {
				t.Fatalf("%d bytes of %d: %v", n, i.Size, err)
			}
			body.Close()
		}
	})
}

// FuzzStageName: the name of a stage is one that a server takes, is known for one, and is not that of the file.
func FuzzStageName(f *testing.F) {
	for _, s := range []string{"f", strings.Repeat("名", 85), ".x.sampan", strings.Repeat("a", 255)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		p, err := files.Root.Join(name)
		if err != nil || p.IsRoot() || len(p.Base()) > 255 || p.CheckNew() != nil {
			return
		}
		q, known := client.Stage(p)
		if !known || q == p || len(q.Base()) > 255 || q.Dir() != p.Dir() {
			t.Errorf("%q is staged as %q", name, q.Base())
		}
	})
}

// FuzzProxyCommand: what is filled in is one word of a shell.
func FuzzProxyCommand(f *testing.F) {
	f.Add("host", "me")
	f.Add("$(x)", "a b")
	f.Add("-o", "%h")
	f.Fuzz(func(t *testing.T, host, user string) {
		line, err := client.ProxyCommand("nc %h %p %r", host, user)
		if err == nil && host != "" && user != "" && (len(strings.Fields(line)) != 4 || strings.ContainsAny(line, "$`;&|<>()'\"\\\n*?")) {
			t.Errorf("%q, %q: %q", host, user, line)
		}
	})
}

// FuzzDialogue: what a server says to who asks for an account is one line, and a note is fit to be shown.
func FuzzDialogue(f *testing.F) {
	f.Add("You can ask for an account here; the operator decides.\r\nThe name that you want, or the ticket that you have: A password for it: no\r\n")
	f.Add("The operator refused, and says: \x1b[2J")
	f.Add("The operator gave you the account x.")
	f.Fuzz(func(t *testing.T, said string) {
		line := client.FirstLine(said)
		if strings.Contains(line, "\n") {
			t.Errorf("%q: %q", said, line)
		}
		if st, err := client.ParseTalk(line); err == nil && (st.State == "" || strings.ContainsAny(st.Note, "\x1b\r\n")) {
			t.Errorf("%q: %+v", line, st)
		}
	})
}

package sftpd

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sampan/account"
	"sampan/sftp"
)

// TestNothingLeadsOut: neither names nor links leave the home, and no reply tells where it is.
func TestNothingLeadsOut(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", account.Unlimited)
	p := h.sftp("alice")
	p.store("/inside", "inside")
	secret := filepath.Join(h.dir, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"out": secret, "up": "../../secret", "dir": h.dir, "dangling": "/nowhere", "in": "inside"} {
		if err := os.Symlink(to, filepath.Join(h.home("alice"), name)); err != nil {
			t.Fatal(err)
		}
	}
	if got := p.fetch("/in"); got != "inside" {
		t.Errorf("a link inside: %q", got)
	}
	for _, name := range []string{"/out", "/up", "/dir/secret", "/dir", "/../../secret", "/.sampan/ledger", "/.SAMPAN", "/a\x00b", "/dangling"} {
		for _, r := range []sftp.Request{
			{Type: sftp.TypeOpen, Path: name, Flags: get},
			{Type: sftp.TypeOpen, Path: name, Flags: sftp.OpenWrite},
			{Type: sftp.TypeStat, Path: name},
			{Type: sftp.TypeLstat, Path: name},
			{Type: sftp.TypeOpendir, Path: name},
			{Type: sftp.TypeReadlink, Path: name},
			{Type: sftp.TypeSetstat, Path: name, Attrs: sftp.Attrs{Has: sftp.HasMode, Mode: 0o777}},
			{Extension: sftp.ExtCheckName, Path: name, Algorithms: "sha256"},
		} {
			got := p.ask(r)
			if got.Type != sftp.TypeStatus || got.Code == sftp.OK || strings.Contains(got.Message, h.dir) {
				t.Errorf("%v %q: %+v", r.Type, name, got)
			}
		}
	}
	p.store("/up", "a link is replaced, not followed")
	if got, err := os.ReadFile(secret); err != nil || string(got) != "secret" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestSetidBitsAreDropped: no file of a home gets rights of its owner for whoever runs it.
func TestSetidBitsAreDropped(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", account.Unlimited)
	p := h.sftp("alice")
	f := p.must(sftp.TypeHandle, sftp.Request{
		Type: sftp.TypeOpen, Path: "/a", Flags: put, Attrs: sftp.Attrs{Has: sftp.HasMode, Mode: 0o107755},
	}).Handle
	p.close(f)
	p.want(sftp.OK, sftp.Request{Type: sftp.TypeSetstat, Path: "/a", Attrs: sftp.Attrs{Has: sftp.HasMode, Mode: 0o106711}})
	fi, err := os.Stat(filepath.Join(h.home("alice"), "a"))
	if err != nil || fi.Mode() != 0o711 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
	p.want(sftp.PermissionDenied, sftp.Request{Type: sftp.TypeSetstat, Path: "/a", Attrs: sftp.Attrs{Has: sftp.HasOwner}})
}

// TestHandlesAreLimited: a flood of handles is refused, and its end gives them back.
func TestHandlesAreLimited(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(_ *Config, l *limits) { l.handles = 20 })
	h.add("alice", account.Unlimited)
	c := h.login("alice")
	p, q := h.sftpOn(c), h.sftpOn(c)
	p.store("/a", "a")
	var open [][]byte
	for i := range 20 {
		flags := []sftp.Open{get, put}[i%2]
		open = append(open, []*peer{p, q}[i/10].open("/a", flags))
	}
	p.want(sftp.Failure, sftp.Request{Type: sftp.TypeOpen, Path: "/a", Flags: get})
	q.want(sftp.Failure, sftp.Request{Type: sftp.TypeOpendir, Path: "/"})
	p.close(open[0])
	p.close(p.open("/a", get))
	for _, name := range []string{"", "x", strings.Repeat("h", 300), "\x00\x00\x00\x00"} {
		p.want(sftp.Failure, sftp.Request{Type: sftp.TypeClose, Handle: []byte(name)})
	}
	q.ch.Close()
	eventually(t, "the other channel's handles are given back", func() bool {
		r := p.ask(sftp.Request{Type: sftp.TypeOpen, Path: "/a", Flags: get})
		if r.Type == sftp.TypeHandle {
			p.close(r.Handle)
		}
		return r.Type == sftp.TypeHandle
	})
}

// TestOpenDirectoriesAreLimited: one account leaves so many directories open and no more, over all its connections, for each
// takes a descriptor of the server's; others are served.
func TestOpenDirectoriesAreLimited(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(_ *Config, l *limits) { l.handles = 700 })
	for _, name := range []string{"mallory", "alice"} {
		h.add(name, account.Unlimited)
		h.put(name, "f", "an entry, for an empty directory is read at once")
	}
	p, q := h.sftp("mallory"), h.sftp("mallory")
	var open, refused int
	var last []byte
	for i := range 1100 {
		r := []*peer{p, q}[i%2].ask(sftp.Request{Type: sftp.TypeOpendir, Path: "/"})
		if r.Type == sftp.TypeHandle {
			open++
			last = r.Handle
		} else if refused++; r.Code != sftp.Failure || !strings.Contains(r.Message, "directories") {
			t.Fatalf("%+v", r)
		}
	}
	if open != 1000 || refused != 100 {
		t.Errorf("%d are open, %d were refused", open, refused)
	}
	h.sftp("alice").must(sftp.TypeHandle, sftp.Request{Type: sftp.TypeOpendir, Path: "/"})
	q.close(last)
	p.must(sftp.TypeHandle, sftp.Request{Type: sftp.TypeOpendir, Path: "/"})
}

// TestBrokenPacketsEndTheChannel: what cannot be understood ends it, and takes no memory.
func TestBrokenPacketsEndTheChannel(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", account.Unlimited)
	c := h.login("alice")
	for _, raw := range []string{"\xff\xff\xff\xff", "\x00\x00\x00\x00", "\x00\x00\x00\x09\x05\x00\x00\x00\x01\xff\xff\xff\xff"} {
		p := h.sftpOn(c)
		if _, err := io.WriteString(p.ch, raw); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(p.ch); err != nil || len(rest) > 0 {
			t.Errorf("%q: %q, %v", raw, rest, err)
		}
	}
	h.sftpOn(c).store("/a", "the connection lives")
}

// TestChannelsAreLimited: as many as a connection may have, and others are told why.
func TestChannelsAreLimited(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(_ *Config, l *limits) { l.channels = 3 })
	h.add("alice", account.Unlimited)
	c := h.login("alice")
	for range 3 {
		h.sftpOn(c)
	}
	if _, _, err := c.OpenChannel("session", nil); err == nil || !strings.Contains(err.Error(), "3 channels") {
		t.Errorf("%v", err)
	}
	if _, _, err := c.OpenChannel("direct-tcpip", nil); err == nil || !strings.Contains(err.Error(), "forwarded") {
		t.Errorf("%v", err)
	}
}

// TestFloodBeforeLogin: connections that say nothing are dropped, and keep nobody out.
func TestFloodBeforeLogin(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(_ *Config, l *limits) { l.grace, l.pending, l.startups = 500*time.Millisecond, 8, 100 })
	h.add("alice", account.Unlimited)
	for range 40 {
		nc, err := net.Dial("tcp", h.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
	}
	eventually(t, "the silent ones are dropped", func() bool { return strings.Count(h.log.String(), "no log-in") == 40 })
	h.sftp("alice").store("/a", "in")
}

// TestStartupsOfAnAddressAreLimited: the one too many is told so before the version.
func TestStartupsOfAnAddressAreLimited(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(_ *Config, l *limits) { l.startups = 2 })
	dial := func() net.Conn {
		t.Helper()
		nc, err := net.Dial("tcp", h.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		nc.SetDeadline(time.Now().Add(patience))
		return nc
	}
	hello := make([]byte, 4)
	for range 2 {
		if _, err := io.ReadFull(dial(), hello); err != nil || string(hello) != "SSH-" {
			t.Fatalf("%q, %v", hello, err)
		}
	}
	if text, err := io.ReadAll(dial()); err != nil || !strings.Contains(string(text), "logging in") {
		t.Errorf("%q, %v", text, err)
	}
}

// TestUnreadRepliesEndTheConnection: who asks and takes nothing is cut off.
func TestUnreadRepliesEndTheConnection(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(_ *Config, l *limits) { l.unread = 300 * time.Millisecond })
	h.add("alice", account.Unlimited)
	p := h.sftp("alice")
	p.store("/a", strings.Repeat("a", 100_000))
	f := p.open("/a", get)
	go func() {
		for i := range uint32(200) { // 20 MB, of which nothing is read
			r := sftp.Request{Type: sftp.TypeRead, ID: i, Handle: f, Size: 100_000}
			if _, err := p.ch.Write(r.Packet().Wire()); err != nil {
				return
			}
		}
	}()
	ended := make(chan error, 1)
	go func() { ended <- p.ssh.Wait() }()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the connection is still there")
	}
}

// TestKickTellsWhy: people who are put out are told so.
func TestKickTellsWhy(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", account.Unlimited)
	p := h.sftp("alice")
	f := p.open("/a", put)
	p.write(f, 0, "half")
	said := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(p.ch.Stderr())
		said <- string(text)
	}()
	h.hub.KickAccount("alice", &ssh.ExitMissingError{})
	if text := <-said; text == "" {
		t.Error("nothing is told")
	}
	h.missing("alice", "a")
}

// TestOffsetsThatNoFileHas: numbers at the ends of what 63 and 64 bits hold are refused, publish nothing and reserve nothing.
func TestOffsetsThatNoFileHas(t *testing.T) {
	t.Parallel()
	const (
		end  = math.MaxInt64
		over = uint64(end) + 1
		most = math.MaxUint64
	)
	h := newHouse(t)
	h.add("alice", 1<<40)
	p := h.sftp("alice")
	p.store("/a", "the content")
	sized := func(n uint64) sftp.Attrs { return sftp.Attrs{Has: sftp.HasSize, Size: n} }
	for _, r := range []sftp.Request{
		{Type: sftp.TypeRead, Offset: end, Size: 1},
		{Type: sftp.TypeRead, Offset: over, Size: math.MaxUint32},
		{Type: sftp.TypeRead, Offset: most, Size: math.MaxUint32},
		{Type: sftp.TypeWrite, Offset: end, Data: []byte("x")},
		{Type: sftp.TypeWrite, Offset: end - 1, Data: []byte("xyz")},
		{Type: sftp.TypeWrite, Offset: 1 << 41, Data: []byte("x")}, // the gap would not fit the quota
		{Type: sftp.TypeWrite, Offset: over, Data: []byte("x")},
		{Type: sftp.TypeWrite, Offset: most, Data: []byte("x")},
		{Type: sftp.TypeFsetstat, Attrs: sized(end)},
		{Type: sftp.TypeFsetstat, Attrs: sized(over)},
		{Type: sftp.TypeFsetstat, Attrs: sized(most)},
		{Type: sftp.TypeSetstat, Path: "/a", Attrs: sized(end)},
		{Type: sftp.TypeSetstat, Path: "/a", Attrs: sized(most)},
		{Extension: sftp.ExtCopyData, Offset: over, ToOffset: 0},
		{Extension: sftp.ExtCopyData, Offset: 0, ToOffset: end},
		{Extension: sftp.ExtCopyData, Offset: 0, ToOffset: most},
		{Extension: sftp.ExtCheckHandle, Algorithms: "sha256", Offset: over},
		{Extension: sftp.ExtCheckHandle, Algorithms: "sha256", Offset: 0, Size: most},
		{Extension: sftp.ExtCheckName, Path: "/a", Algorithms: "sha256", Offset: 100},
		{Extension: sftp.ExtResume, Path: "/a", Offset: over, Size: sftp.Unknown},
		{Extension: sftp.ExtResume, Path: "/a", Offset: 12, Size: sftp.Unknown},
	} {
		source := p.open("/a", get)
		draft := p.open("/a", sftp.OpenRead|sftp.OpenWrite)
		if r.Handle = draft; r.Extension == sftp.ExtCopyData {
			r.Handle, r.ToHandle = source, draft
		}
		if got := p.ask(r); got.Type != sftp.TypeStatus || got.Code == sftp.OK {
			t.Errorf("%+v: %+v", r, got)
		}
		p.ask(sftp.Request{Extension: sftp.ExtAbandon, Handle: draft})
		p.close(source)
		h.holds("alice", "a", "the content")
	}
	var sp sftp.Space
	if err := sp.Parse(p.must(sftp.TypeExtendedReply, sftp.Request{Extension: sftp.ExtSpace, Path: "/"}).Payload); err != nil || sp.Device-sp.DeviceFree != 11 {
		t.Errorf("%+v, %v", sp, err)
	}
}

// evil are names that would lead out of a home: through links that lie in it, or by what they say.
var evil = []string{
	"/up", "/up/x", "/out", "/out/secret", "/out/x", "/out/../x", "/dangling", "/dangling/x", "/../../../outside/secret", "../outside/secret",
	"/.sampan", "/.sampan/ledger", "/.SAMPAN/stage/x", "/a\x00b", "\x00", "/out\x00/secret", "//out//secret", "~/../outside", "~root/x", "~/out/secret",
	"/./out/./secret/.", "/d/../out/secret", "/out/link", "/" + strings.Repeat("../", 5000) + "outside/secret", "/" + strings.Repeat("x", 100_000),
}

// TestNoRequestLeadsOut sends every request of the table with every name that would lead out of the home: what lies outside stays
// as it is, what is there is not told, and Sampan's own files are nobody's.
func TestNoRequestLeadsOut(t *testing.T) {
	t.Parallel()
	const said = "the secret outside"
	h := newHouse(t)
	h.add("alice", account.Unlimited)
	outside := filepath.Join(h.dir, "outside")
	if err := os.MkdirAll(filepath.Join(outside, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte(said), 0o644); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(secret)
	if err != nil {
		t.Fatal(err)
	}
	p := h.sftp("alice")
	sum := sha256.Sum256([]byte(said))
	for _, row := range rows() {
		for _, name := range evil {
			for link, to := range map[string]string{"up": "../outside/secret", "out": outside, "dangling": filepath.Join(outside, "new")} {
				os.Remove(filepath.Join(h.home("alice"), link)) // the request before may have put a file there
				if err := os.Symlink(to, filepath.Join(h.home("alice"), link)); err != nil && !os.IsExist(err) {
					t.Fatal(err)
				}
			}
			h.put("alice", "mine", "mine")
			own := p.open("/mine", get)
			for _, r := range []sftp.Request{{Path: name, To: "/there"}, {Path: "/mine", To: name}, {Path: name, To: name}} {
				r.Type, r.Extension, r.Handle, r.ToHandle = row.typ, row.ext, own, own
				r.Flags, r.Algorithms, r.Size, r.Offset = sftp.OpenRead, "sha256", 1000, 0
				if row.key == extension(sftp.ExtVendor) {
					continue // it has neither
				}
				for _, flags := range []sftp.Open{sftp.OpenRead, put, sftp.OpenWrite | sftp.OpenCreate | sftp.OpenAppend} {
					if r.Flags = flags; row.key != packet(sftp.TypeOpen) && flags != sftp.OpenRead {
						continue
					}
					got := p.ask(r)
					if strings.Contains(got.Message, h.dir) || bytes.Contains(got.Payload, sum[:]) || bytes.Contains(got.Payload, []byte(h.dir)) {
						t.Errorf("%v %s %.60q: %+v", row.typ, row.ext, name, got)
					}
					for _, n := range got.Names {
						if strings.Contains(n.Name+n.Long, h.dir) || n.Name == "secret" || n.Name == "ledger" {
							t.Errorf("%v %s %.60q tells of %q", row.typ, row.ext, name, n.Name)
						}
					}
					if got.Type != sftp.TypeHandle {
						continue
					}
					for _, look := range []sftp.Request{{Type: sftp.TypeRead, Handle: got.Handle, Size: 100}, {Type: sftp.TypeReaddir, Handle: got.Handle}} {
						told := p.ask(look)
						if bytes.Contains(told.Data, []byte(said)) {
							t.Errorf("%v %s %.60q reads %q", row.typ, row.ext, name, told.Data)
						}
						for _, n := range told.Names {
							if n.Name == "secret" || n.Name == "ledger" || n.Name == ".sampan" {
								t.Errorf("%v %s %.60q lists %q", row.typ, row.ext, name, n.Name)
							}
						}
					}
					p.ask(sftp.Request{Type: sftp.TypeWrite, Handle: got.Handle, Data: []byte("mallory was here")})
					p.ask(sftp.Request{Type: sftp.TypeClose, Handle: got.Handle})
				}
			}
			p.ask(sftp.Request{Type: sftp.TypeClose, Handle: own})
		}
		got, err := os.ReadFile(secret)
		after, _ := os.Stat(secret)
		if list, err2 := os.ReadDir(outside); err != nil || err2 != nil || string(got) != said || len(list) != 2 ||
			after.Mode() != before.Mode() || !after.ModTime().Equal(before.ModTime()) {
			t.Fatalf("behind %v %s there is outside: %v, %q, %v, %v", row.typ, row.ext, list, got, err, err2)
		}
	}
}

// TestLinksThatAreSwapped: somebody on the machine swaps a directory for a link to another place and back, all the time, while
// requests go through it: not one of them is carried out there.
func TestLinksThatAreSwapped(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", account.Unlimited)
	p := h.sftp("alice")
	outside := filepath.Join(h.dir, "outside")
	h.put("alice", "d/f", "inside")
	for name, content := range map[string]string{"f": "outside", "g": "outside"} {
		if err := os.MkdirAll(outside, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(outside, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(h.home("alice"), "link")); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(h.home("alice"), name) }
	stop, swapped := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for ; ; n++ {
			for _, mv := range [][2]string{{"d", "aside"}, {"link", "d"}, {"d", "link"}, {"aside", "d"}} {
				os.Rename(at(mv[0]), at(mv[1]))
			}
			select {
			case <-stop:
				swapped <- n
				return
			default:
			}
		}
	}()
	through := 0
	for range 300 {
		if r := p.ask(sftp.Request{Type: sftp.TypeOpen, Path: "/d/f", Flags: get}); r.Type == sftp.TypeHandle {
			through++
			if got := p.ask(sftp.Request{Type: sftp.TypeRead, Handle: r.Handle, Size: 100}); string(got.Data) == "outside" {
				t.Fatal("the other file was read")
			}
			p.close(r.Handle)
		}
		if r := p.ask(sftp.Request{Type: sftp.TypeOpen, Path: "/d/new", Flags: put}); r.Type == sftp.TypeHandle {
			p.write(r.Handle, 0, "mallory was here")
			p.ask(sftp.Request{Type: sftp.TypeClose, Handle: r.Handle})
		}
		for _, r := range []sftp.Request{
			{Type: sftp.TypeSetstat, Path: "/d/f", Attrs: sftp.Attrs{Has: sftp.HasMode, Mode: 0o600}},
			{Type: sftp.TypeSetstat, Path: "/d/f", Attrs: sftp.Attrs{Has: sftp.HasSize, Size: 6}},
			{Type: sftp.TypeMkdir, Path: "/d/sub"},
			{Type: sftp.TypeRename, Path: "/d/g", To: "/stolen"},
			{Extension: sftp.ExtPosixRename, Path: "/d/new", To: "/d/newer"},
			{Type: sftp.TypeRemove, Path: "/d/g"},
			{Type: sftp.TypeRemove, Path: "/d/newer"},
			{Type: sftp.TypeRmdir, Path: "/d/sub"},
		} {
			p.ask(r)
		}
	}
	close(stop)
	if n := <-swapped; n < 50 || through == 0 {
		t.Errorf("swapped %d times, %d times through: it proves little", n, through)
	}
	list, err := os.ReadDir(outside)
	if err != nil || len(list) != 2 {
		t.Errorf("outside there is %v, %v", list, err)
	}
	for _, name := range []string{"f", "g"} {
		fi, err := os.Stat(filepath.Join(outside, name))
		content, _ := os.ReadFile(filepath.Join(outside, name))
		if err != nil || string(content) != "outside" || fi.Mode() != 0o644 {
			t.Errorf("outside %s is %q, %v, %v", name, content, fi, err)
		}
	}
	h.missing("alice", "stolen")
}

// TestRubbishBeforeLogin: what is no SSH ends its own connection at once, whatever length it announces, and nobody else's.
func TestRubbishBeforeLogin(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", account.Unlimited)
	in := h.sftp("alice")
	const hello = "SSH-2.0-mallory\r\n"
	for name, text := range map[string]string{
		"HTTP":                       "GET / HTTP/1.1\r\nHost: a\r\n\r\n" + strings.Repeat("x", 300),
		"version 1":                  "SSH-1.5-old\r\n" + strings.Repeat("x", 300),
		"a line without end":         strings.Repeat("x", 100_000),
		"lines without end":          strings.Repeat("x\r\n", 100_000),
		"zeros":                      strings.Repeat("\x00", 100_000),
		"a packet of 4 GiB":          hello + "\xff\xff\xff\xff\x00" + strings.Repeat("x", 100),
		"a packet of 2 GiB":          hello + "\x7f\xff\xff\xff\x04" + strings.Repeat("x", 100),
		"a packet of nothing":        hello + "\x00\x00\x00\x00\x00" + strings.Repeat("x", 100),
		"more padding than packet":   hello + "\x00\x00\x00\x0c\xff" + strings.Repeat("x", 100),
		"a request before the keys":  hello + "\x00\x00\x00\x0c\x06\x05sftp" + strings.Repeat("\x00", 100),
		"key exchange with no names": hello + "\x00\x00\x00\x54\x04\x14" + strings.Repeat("\x00", 200),
	} {
		nc, err := net.Dial("tcp", h.addr)
		if err != nil {
			t.Fatal(err)
		}
		nc.SetDeadline(time.Now().Add(patience))
		go io.WriteString(nc, text)
		if _, err := io.Copy(io.Discard, nc); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection is still there", name)
		}
		nc.Close()
	}
	in.store("/a", "still served")
}

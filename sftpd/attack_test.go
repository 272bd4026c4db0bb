package sftpd

import (
	"io"
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

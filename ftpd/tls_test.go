package ftpd

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sampan/account"
	"sampan/session"
)

// versions runs a test with both versions of TLS.
func versions(t *testing.T, test func(t *testing.T, cfg func() *tls.Config)) {
	for name, v := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, func() *tls.Config {
				c := clientTLS(t)
				c.MinVersion, c.MaxVersion = v, v
				return c
			})
		})
	}
}

func (h *house) loginWith(name string, cfg *tls.Config) *peer {
	h.t.Helper()
	p := h.dial()
	p.startTLS(cfg)
	p.login(name)
	p.cmd(200, "PBSZ 0")
	p.cmd(200, "PROT P")
	p.prot = true
	return p
}

// TestDataConnectionsResume: data connections resume from the control connection's ticket, for as many transfers as
// there are, and on TLS 1.3 bring no tickets of their own. This depends on when crypto/tls looks at
// SessionTicketsDisabled.
func TestDataConnectionsResume(t *testing.T) {
	t.Parallel()
	versions(t, func(t *testing.T, cfg func() *tls.Config) {
		h := newHouse(t)
		h.add("alice", -1, nil)
		c := cfg()
		tickets := &countingCache{ClientSessionCache: c.ClientSessionCache}
		c.ClientSessionCache = tickets
		p := h.loginWith("alice", c)
		if tickets.put == 0 {
			t.Fatal("the control connection brought no ticket")
		}
		control := tickets.put
		for range 5 {
			nc := p.begin("STOR f").(*tls.Conn)
			if !nc.ConnectionState().DidResume {
				t.Fatal("the data connection did not resume")
			}
			nc.Write([]byte("content"))
			nc.Close()
			p.want(226)
			nc = p.begin("RETR f").(*tls.Conn)
			if b, err := io.ReadAll(nc); err != nil || string(b) != "content" || !nc.ConnectionState().DidResume {
				t.Fatalf("%q %v", b, err)
			}
			nc.Close()
			p.want(226)
			if c.MaxVersion == tls.VersionTLS13 && tickets.put != control {
				t.Fatal("a data connection brought a ticket")
			}
		}
	})
}

// A countingCache counts the tickets that came, and can throw away the last one.
type countingCache struct {
	tls.ClientSessionCache
	put int
	key string
}

func (c *countingCache) Put(key string, s *tls.ClientSessionState) {
	if s != nil {
		c.put++
		c.key = key
	}
	c.ClientSessionCache.Put(key, s)
}

func (c *countingCache) spend() { c.ClientSessionCache.Put(c.key, nil) }

// TestTicketsOfOneAccount: rclone keeps the tickets of all its connections in one place, and any data connection shows the
// newest: one of a connection that has logged in, that has ended, or that is about to log in.
func TestTicketsOfOneAccount(t *testing.T) {
	t.Parallel()
	versions(t, func(t *testing.T, cfg func() *tls.Config) {
		h := newHouse(t, hurried(func(l *limits) { l.known = 20 * time.Millisecond }))
		h.add("alice", -1, nil)
		h.put("alice", "f", []byte("content"))
		c := cfg()
		mine := h.loginWith("Alice", c) // names differ in case, not the account
		resumes := func(want bool) {
			t.Helper()
			nc := mine.begin("RETR f").(*tls.Conn)
			b, err := io.ReadAll(nc)
			if err != nil || string(b) != "content" {
				t.Fatalf("%q %v", b, err)
			}
			if got := nc.ConnectionState().DidResume; got != want {
				t.Errorf("resumed: %t", got)
			}
			nc.Close()
			mine.want(226)
		}
		another := h.loginWith("alice", c)
		resumes(true)
		another.cmd(221, "QUIT")
		h.loginWith("alice", c).cmd(221, "QUIT")
		resumes(true)
		stranger := h.dial()
		stranger.startTLS(c)
		stranger.cmd(200, "NOOP") // the ticket comes before the reply
		resumes(false)
	})
}

// TestControlConnectionsResume: a ticket is good for the next control connection too, whose own is marked anew.
func TestControlConnectionsResume(t *testing.T) {
	t.Parallel()
	versions(t, func(t *testing.T, cfg func() *tls.Config) {
		h := newHouse(t)
		h.add("alice", -1, nil)
		c := cfg()
		h.loginWith("alice", c).cmd(221, "QUIT")
		p := h.loginWith("alice", c)
		if !p.nc.(*tls.Conn).ConnectionState().DidResume {
			t.Fatal("the second control connection did not resume")
		}
		p.store(226, "STOR f", []byte("x"))
		same(t, "f", h.read("alice", "f"), []byte("x"))
	})
}

// TestTruncatedUpload: TLS that ends without close_notify is a cut, also between two records.
func TestTruncatedUpload(t *testing.T) {
	t.Parallel()
	versions(t, func(t *testing.T, cfg func() *tls.Config) {
		h := newHouse(t)
		h.add("alice", -1, nil)
		p := h.loginWith("alice", cfg())
		for i, test := range []struct {
			name string
			end  func(nc *tls.Conn)
		}{
			{"FIN", func(nc *tls.Conn) { nc.NetConn().Close() }},
			{"FIN of one half", func(nc *tls.Conn) { nc.NetConn().(*net.TCPConn).CloseWrite() }},
			{"reset", func(nc *tls.Conn) {
				nc.NetConn().(*net.TCPConn).SetLinger(0)
				nc.NetConn().Close()
			}},
			{"half a record", func(nc *tls.Conn) {
				nc.NetConn().Write([]byte{23, 3, 3, 1, 0, 7, 7})
				nc.NetConn().Close()
			}},
			{"clear text", func(nc *tls.Conn) {
				nc.NetConn().Write([]byte("this is no TLS"))
				nc.NetConn().Close()
			}},
		} {
			nc := p.begin("STOR f").(*tls.Conn)
			nc.Write(noise(50_000))
			eventually(t, "all is received", func() bool { return h.moved() == 50_000 })
			test.end(nc)
			text := p.want(426).Text()
			if i < 2 && !strings.Contains(text, "sampan user set alice --lenient on") {
				t.Error(test.name, text)
			}
			if h.read("alice", "f") != nil {
				t.Fatal(test.name, "published")
			}
			if got := p.cmd(213, "SIZE f").Text(); got != "50000" {
				t.Error(test.name, got)
			}
		}
		if log := h.log.String(); !strings.Contains(log, `command="sampan user set alice --lenient on"`) {
			t.Error("the operator was not told")
		}
		p.store(226, "STOR f", nil) // with it, an empty file is whole
		yes := true
		if _, err := h.book.Update(t.Context(), "alice", account.Change{Lenient: &yes}); err != nil {
			t.Fatal(err)
		}
		nc := p.begin("STOR f").(*tls.Conn)
		nc.Write([]byte("careless"))
		nc.NetConn().Close()
		p.want(226)
		same(t, "f", h.read("alice", "f"), []byte("careless"))
	})
}

// TestCloseNotifyIsAnswered: clients wait for ours before they read the reply.
func TestCloseNotifyIsAnswered(t *testing.T) {
	t.Parallel()
	versions(t, func(t *testing.T, cfg func() *tls.Config) {
		h := newHouse(t)
		h.add("alice", -1, nil)
		p := h.loginWith("alice", cfg())
		nc := p.begin("STOR f").(*tls.Conn)
		nc.Write([]byte("x"))
		nc.CloseWrite()
		if n, err := nc.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Fatal(n, err)
		}
		p.want(226)
	})
}

// TestInjectionBehindAUTH: what stands in clear text behind AUTH is not taken for a command inside TLS.
func TestInjectionBehindAUTH(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	for _, behind := range []string{"NOOP\r\n", "N", "\r\n"} {
		p := h.dial()
		p.send("AUTH TLS\r\n" + behind)
		p.want(421)
		p.gone()
	}
	p := h.login("alice")
	p.startTLS(clientTLS(t))
	p.cmd(530, "PWD") // the log-in in clear text is dropped
	p.cmd(503, "PASS "+password)
	p.cmd(503, "AUTH TLS")
	p.cmd(503, "PROT P")
	p.cmd(501, "PBSZ x")
	p.cmd(200, "PBSZ 0")
	p.cmd(504, "PROT X")
	p.cmd(536, "PROT S")
	p.cmd(200, "PROT C")
	p.login("alice")
	p.store(226, "STOR clear", []byte("x"))
	q := h.dial()
	q.cmd(234, "AUTH TLS")
	q.tcp.Write([]byte("this is no TLS hello\r\n"))
	io.Copy(io.Discard, q.tcp)
}

func TestImplicitTLS(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	p := h.connect(h.serve("127.0.0.1:0", true))
	p.handshake(clientTLS(t))
	p.want(220)
	p.cmd(503, "AUTH TLS")
	p.login("alice")
	p.prot = true // from the start
	p.store(226, "STOR f", []byte("x"))
	same(t, "f", p.fetch("RETR f"), []byte("x"))
	if v := h.hub.Live(); len(v) != 1 || v[0].Via.Proto != "ftps" || !v[0].Via.TLS {
		t.Errorf("%+v", v)
	}
}

func TestALPN(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for proto, ok := range map[string]bool{"ftp": true, "http/1.1": false, "": true} {
		p := h.dial()
		p.cmd(234, "AUTH TLS")
		cfg := clientTLS(t)
		if proto != "" {
			cfg.NextProtos = []string{proto}
		}
		if err := tls.Client(p.tcp, cfg).Handshake(); (err == nil) != ok {
			t.Errorf("%q: %v", proto, err)
		}
	}
}

func TestPlainLogins(t *testing.T) {
	t.Parallel()
	own := ownAddress(t)
	if own == "" {
		own = "127.0.0.1"
	}
	for policy, codes := range map[string][2]int{"loopback": {331, 530}, "always": {331, 331}, "never": {530, 530}} {
		h := newHouse(t, func(_ *house, c *Config, _ *session.Config) { c.PlainLogins = policy })
		h.add("alice", -1, nil)
		_, port, _ := net.SplitHostPort(h.serve("0.0.0.0:0", false))
		for i, host := range []string{"127.0.0.1", own} {
			want := codes[i]
			if host == "127.0.0.1" {
				want = codes[0]
			}
			p := h.dialTo(net.JoinHostPort(host, port))
			for _, name := range []string{"alice", "register"} {
				r := p.cmd(want, "USER "+name)
				if want == 530 {
					if !strings.Contains(r.Text(), "AUTH TLS") {
						t.Error(r.Text())
					}
					p.cmd(503, "PASS "+password)
				}
			}
			p.startTLS(clientTLS(t))
			p.login("alice")
		}
	}
}

// TestBeneath: the reads under TLS give every byte, in order, and know the end.
func TestBeneath(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	want := noise(1 << 20)
	go func() {
		a.Write(want)
		a.Close()
	}()
	r := &beneath{Conn: b}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, want) || !r.over {
		t.Fatal(len(got), err, r.over)
	}
	b.SetReadDeadline(time.Now())
}

// TestGatheredWrites: a large write reaches the connection in one piece and in full; one that could not be sent is an
// error of that very write, and nothing follows it, not even close_notify.
func TestGatheredWrites(t *testing.T) {
	t.Parallel()
	versions(t, func(t *testing.T, cfg func() *tls.Config) {
		a, b := net.Pipe()
		wire := &countedWrites{Conn: b, left: 1 << 20}
		under := &beneath{Conn: wire}
		d := &secureData{tls.Server(under, serverTLS(t)), under}
		client := tls.Client(a, cfg())
		shaken := make(chan error, 1)
		go func() { shaken <- client.Handshake() }()
		if err := d.Handshake(); err != nil {
			t.Fatal(err)
		}
		if err := <-shaken; err != nil {
			t.Fatal(err)
		}
		read := make(chan []byte, 1)
		go func() {
			got, err := io.ReadAll(client)
			if err == nil {
				t.Error("what was cut ended well")
			}
			read <- got
		}()
		want := noise(256 << 10)
		before := wire.calls
		if n, err := d.Write(want); n != len(want) || err != nil || wire.calls != before+1 {
			t.Fatal(n, err, wire.calls-before)
		}
		if n, err := d.Write(want[:100]); n != 100 || err != nil || wire.calls != before+2 {
			t.Fatal(n, err, wire.calls-before)
		}
		wire.left = 100_000
		if n, err := d.Write(want); n != 0 || !errors.Is(err, errWireCut) {
			t.Fatal(n, err)
		}
		calls := wire.calls
		if err := d.CloseWrite(); !errors.Is(err, errWireCut) || wire.calls != calls {
			t.Fatal(err, wire.calls-calls)
		}
		d.Close()
		got := <-read
		all := append(append(bytes.Clone(want), want[:100]...), want...)
		if len(got) < len(want)+100 || !bytes.HasPrefix(all, got) {
			t.Fatal(len(got))
		}
	})
}

var errWireCut = errors.New("the wire is cut")

// A countedWrites takes left more bytes.
type countedWrites struct {
	net.Conn
	calls, left int
}

func (c *countedWrites) Write(p []byte) (int, error) {
	c.calls++
	if len(p) <= c.left {
		c.left -= len(p)
		return c.Conn.Write(p)
	}
	n, _ := c.Conn.Write(p[:c.left])
	c.left -= n
	return n, errWireCut
}

// TestKeyExchange: a fresh handshake on a data connection is hybrid, one that resumes is only where the client knows
// nothing else.
func TestKeyExchange(t *testing.T) {
	t.Parallel()
	h := newHouse(t, tlsData("off"))
	h.add("alice", -1, nil)
	h.put("alice", "f", []byte("content"))
	for _, test := range []struct {
		curves  []tls.CurveID // of the client, nil for all
		resumes bool
		want    tls.CurveID
	}{
		{nil, true, tls.X25519},
		{nil, false, tls.X25519MLKEM768},
		{[]tls.CurveID{tls.X25519MLKEM768}, true, tls.X25519MLKEM768},
		{[]tls.CurveID{tls.CurveP384}, true, tls.CurveP384},
	} {
		cfg := clientTLS(t)
		cfg.MinVersion, cfg.CurvePreferences = tls.VersionTLS13, test.curves
		p := h.loginWith("alice", cfg)
		if !test.resumes {
			p.cfg = cfg.Clone()
			p.cfg.ClientSessionCache = nil
		}
		nc := p.begin("RETR f").(*tls.Conn)
		if s := nc.ConnectionState(); s.CurveID != test.want || s.DidResume != test.resumes {
			t.Errorf("%+v: %v %v", test, s.CurveID, s.DidResume)
		}
		if b, err := io.ReadAll(nc); err != nil || string(b) != "content" {
			t.Errorf("%q %v", b, err)
		}
		nc.Close()
		p.want(226)
	}
}

// TestOneCertificate: a data connection shows the certificate of its control connection, whatever name is asked for there.
func TestOneCertificate(t *testing.T) {
	t.Parallel()
	versions(t, func(t *testing.T, cfg func() *tls.Config) {
		var mu sync.Mutex
		var asked []string
		h := newHouse(t, tlsData("off"), func(_ *house, c *Config, _ *session.Config) {
			cert := c.TLS.Certificates[0]
			c.TLS = &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, hello.ServerName)
				return &cert, nil
			}}
		})
		h.add("alice", -1, nil)
		h.put("alice", "f", []byte("secret"))
		p := h.loginWith("alice", cfg())
		other := cfg()
		other.ServerName, other.InsecureSkipVerify = "other.example", true
		if code, text := p.tryPrivate(other); code != 226 {
			t.Fatal(code, text)
		}
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(asked, []string{"localhost", "localhost"}) {
			t.Error(asked)
		}
	})
}

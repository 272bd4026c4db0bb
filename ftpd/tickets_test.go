package ftpd

import (
	"context"
	"crypto/tls"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sampan/account"
	"sampan/session"
)

func tlsData(mode string) change {
	return func(_ *house, c *Config, _ *session.Config) { c.TLSData = mode }
}

// tryPrivate downloads a file with a TLS config of choice for the data connection, and returns the code of the reply
// and its text.
func (p *peer) tryPrivate(cfg *tls.Config) (code int, text string) {
	p.t.Helper()
	nc := p.passive()
	p.cmd(150, "RETR f")
	b, err := io.ReadAll(tls.Client(nc, cfg))
	nc.Close()
	r := p.any()
	if r.Code == 226 && (err != nil || string(b) != "secret") || r.Code != 226 && len(b) > 0 {
		p.t.Errorf("%d: %q %v", r.Code, b, err)
	}
	return r.Code, r.Text()
}

// TestTickets: which data connections are taken, by what their client does with its ticket. That it is given one, neither
// more nor less, is crypto/tls's to decide: when this fails with another version of Go, see tickets.once.
func TestTickets(t *testing.T) {
	t.Parallel()
	const (
		yes      = 226
		no       = 425
		resumes  = "resumes"     // always
		once     = "once"        // shows each ticket once
		never    = "never"       // although it has one
		cannot   = "cannot"      // has none
		forgets  = "forgets"     // after it resumed twice
		foreign  = "foreign"     // shows one of another account
		other    = "other"       // shows one of another control connection of its account
		careless = "lenient"     // never, and the operator allowed it
		gone     = "other, gone" // shows one of a control connection of its account that has ended
	)
	for _, test := range []struct {
		mode, client string
		version      uint16
		want         []int // of transfers one after another
	}{
		{"auto", resumes, 0, []int{yes, yes, yes}},
		{"auto", once, tls.VersionTLS13, []int{yes, yes, yes}},
		{"auto", never, 0, []int{no, no}},
		{"auto", careless, 0, []int{yes, yes}},
		{"auto", cannot, 0, []int{yes, yes}},
		{"auto", forgets, 0, []int{yes, yes, no}},
		{"auto", foreign, 0, []int{no}},
		{"auto", other, 0, []int{yes}},
		{"auto", gone, 0, []int{yes}},
		{"required", resumes, 0, []int{yes, yes, yes}},
		{"required", once, tls.VersionTLS13, []int{yes, no}},
		{"required", never, 0, []int{no}},
		{"required", careless, 0, []int{no}},
		{"required", cannot, 0, []int{no}},
		{"required", foreign, 0, []int{no}},
		{"required", other, 0, []int{no}},
		{"required", gone, 0, []int{no}},
		{"off", never, 0, []int{yes, yes}},
		{"off", cannot, 0, []int{yes}},
		{"off", foreign, 0, []int{yes}},
		{"off", other, 0, []int{yes}},
	} {
		for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
			if test.version != 0 && test.version != version {
				continue
			}
			t.Run(strings.Join([]string{test.mode, test.client, name}, " "), func(t *testing.T) {
				t.Parallel()
				h := newHouse(t, tlsData(test.mode))
				h.add("alice", -1, nil)
				h.add("mallory", -1, nil)
				h.put("alice", "f", []byte("secret"))
				client := func() (*tls.Config, *countingCache) {
					c := clientTLS(t)
					c.MinVersion, c.MaxVersion = version, version
					cache := &countingCache{ClientSessionCache: c.ClientSessionCache}
					c.ClientSessionCache = cache
					return c, cache
				}
				cfg, cache := client()
				if test.client == cannot {
					cfg.ClientSessionCache = nil
				}
				p := h.loginWith("alice", cfg)
				if want := 1; test.client != cannot && cache.put != want {
					t.Fatalf("%d tickets came", cache.put)
				}
				fresh := cfg.Clone()
				fresh.ClientSessionCache = tls.NewLRUClientSessionCache(1)
				theirs, _ := client()
				switch test.client {
				case foreign:
					h.loginWith("mallory", theirs)
				case other:
					h.loginWith("alice", theirs)
				case gone:
					h.loginWith("alice", theirs).cmd(221, "QUIT")
					eventually(t, "the other session is gone", func() bool { return len(h.hub.Live()) == 1 })
				case careless:
					lenient := true
					if _, err := h.book.Update(t.Context(), "alice", account.Change{Lenient: &lenient}); err != nil {
						t.Fatal(err)
					}
				}
				for i, want := range test.want {
					show := cfg
					switch {
					case test.client == never, test.client == careless, test.client == forgets && want == no:
						show = fresh.Clone()
						show.ClientSessionCache = tls.NewLRUClientSessionCache(1)
					case test.client == foreign, test.client == other, test.client == gone:
						show = theirs
					}
					code, text := p.tryPrivate(show)
					if code != want {
						t.Fatalf("transfer %d: %d %s", i+1, code, text)
					}
					if says := strings.Contains(text, "--lenient on"); want == no && says != (test.mode == "auto" && (test.client == never || test.client == forgets)) {
						t.Error(text)
					}
					if test.client == once {
						cache.spend()
					}
				}
				if log := h.log.String(); test.mode == "auto" && test.client == never && !strings.Contains(log, `command="sampan user set alice --lenient on"`) {
					t.Error("the operator was not told")
				}
			})
		}
	}
}

// TestTicketOfWhoLogsIn: a client that shares one memory of sessions between its connections may show a ticket of one that
// has not logged in yet; whose it is shows then.
func TestTicketOfWhoLogsIn(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"alice": 226, "mallory": 425, "": 425} {
		t.Run("logs in as "+name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.add("alice", -1, nil)
			h.add("mallory", -1, nil)
			h.put("alice", "f", []byte("secret"))
			p := h.loginWith("alice", clientTLS(t))
			cfg := clientTLS(t)
			q := h.dial()
			q.startTLS(cfg)
			q.cmd(331, "USER "+name+"x") // has read its ticket
			nc := p.passive()
			p.cmd(150, "RETR f")
			d := tls.Client(nc, cfg)
			shaken := make(chan error, 1)
			go func() { shaken <- d.Handshake() }()
			if name == "" {
				q.tcp.Close()
			} else {
				q.login(name)
			}
			<-shaken
			b, _ := io.ReadAll(d)
			if (string(b) == "secret") != (want == 226) {
				t.Errorf("%q", b)
			}
			p.want(want)
		})
	}
}

// TestHolders: who has not logged in yet is waited for, as long as there is time; and that there were two of one account at
// once is remembered until the last one left.
func TestHolders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hs := &holders{byID: map[string]*holder{}, circles: map[seat]*circle{}}
		at := seat{"alice", netip.MustParseAddr("192.0.2.1")}
		a := hs.meet([]byte("a"))
		hs.sit(a, at)
		for i, test := range []struct {
			does  func(*holder)
			waits time.Duration
			alone bool // a, behind it
		}{
			{func(h *holder) { hs.sit(h, seat{"mallory", at.peer}) }, 0, true},
			{func(h *holder) { hs.sit(h, seat{at.account, netip.MustParseAddr("192.0.2.2")}) }, 0, true},
			{func(h *holder) { hs.leave(h) }, 0, true},
			{func(*holder) {}, time.Second, true},
			{func(h *holder) { hs.sit(h, at) }, 0, false},
		} {
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			b := hs.meet([]byte("b"))
			waited := make(chan struct{})
			go func() {
				defer close(waited)
				hs.wait(ctx, []byte("b"))
			}()
			synctest.Wait()
			select {
			case <-waited:
				t.Error(i, "not waited for")
			default:
			}
			test.does(b)
			<-waited
			if got := time.Since(began); got != test.waits {
				t.Error(i, got)
			}
			hs.leave(b)
			if hs.alone(a) != test.alone {
				t.Error(i, "alone:", !test.alone)
			}
			cancel()
		}
		hs.wait(t.Context(), []byte("nobody"))
		hs.leave(a)
		if len(hs.byID)+len(hs.circles) > 0 {
			t.Error(hs.byID, hs.circles)
		}
	})
}

// TestSharedTickets: a client whose connections share one ticket between them, and spend it, is served on all of them.
func TestSharedTickets(t *testing.T) {
	t.Parallel()
	versions(t, func(t *testing.T, cfg func() *tls.Config) {
		h := newHouse(t)
		h.add("alice", -1, nil)
		h.put("alice", "f", []byte("secret"))
		shared := cfg()
		shared.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		a := h.loginWith("alice", shared)
		b := h.dial()
		b.startTLS(shared) // spends what a was given
		fetch := func(p *peer) {
			t.Helper()
			if code, text := p.tryPrivate(shared); code != 226 {
				t.Fatal(code, text)
			}
		}
		spent := a.cfg.Clone()
		spent.ClientSessionCache = nil
		if shared.MaxVersion == tls.VersionTLS13 {
			if code, text := a.tryPrivate(spent); code != 226 {
				t.Fatal(code, text)
			}
		}
		b.login("alice")
		b.cmd(200, "PBSZ 0")
		b.cmd(200, "PROT P")
		for range 3 {
			fetch(a)
			fetch(b)
		}
	})
}

// TestClearData: who must not log in in clear text does not move data in clear text either.
func TestClearData(t *testing.T) {
	t.Parallel()
	own := ownAddress(t)
	for policy, hosts := range map[string]map[string]bool{
		"loopback": {"127.0.0.1": true, own: false}, "always": {"127.0.0.1": true, own: true}, "never": {"127.0.0.1": false, own: false},
	} {
		h := newHouse(t, func(_ *house, c *Config, _ *session.Config) { c.PlainLogins = policy })
		h.add("alice", -1, nil)
		h.put("alice", "f", []byte("content"))
		addr := h.serve("0.0.0.0:0", false)
		for host, clear := range hosts {
			if host == "" { // this machine has loopback only
				continue
			}
			p := h.dialTo(host + addr[strings.LastIndex(addr, ":"):])
			p.startTLS(clientTLS(t))
			p.login("alice")
			if clear {
				same(t, "f", p.fetch("RETR f"), []byte("content"))
				p.cmd(200, "PBSZ 0")
				p.cmd(200, "PROT P")
				p.cmd(200, "PROT C")
				p.store(226, "STOR g", []byte("x"))
				continue
			}
			p.epsv()
			for _, line := range []string{"RETR f", "STOR f", "APPE f", "STOU", "LIST", "NLST", "MLSD"} {
				if text := p.cmd(521, line).Text(); !strings.Contains(text, "PROT P") {
					t.Error(text)
				}
			}
			p.cmd(200, "MODE B")
			p.cmd(521, "RETR f")
			p.cmd(521, "STOR f")
			p.cmd(200, "MODE S")
			same(t, "f", h.read("alice", "f"), []byte("content"))
			p.cmd(200, "PBSZ 0")
			p.cmd(534, "PROT C")
			p.cmd(200, "PROT P")
			p.prot = true
			same(t, "f", p.fetch("RETR f"), []byte("content"))
			p.cmd(534, "PROT C")
			p.store(226, "STOR g", []byte("x"))
		}
	}
}

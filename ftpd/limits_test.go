package ftpd

import (
	"context"
	"strings"
	"testing"
	"time"

	"sampan/account"
	"sampan/fault"
	"sampan/session"
)

// limit sets the rates of alice.
func (h *house) limit(down, up int64) {
	h.t.Helper()
	if _, err := h.book.Update(context.Background(), "alice", account.Change{Down: &down, Up: &up}); err != nil {
		h.t.Fatal(err)
	}
}

// TestRates: over real connections of every kind a limited transfer takes its time, and what comes is whole.
func TestRates(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		const rate = 800 << 10
		p, content := login("alice"), noise(rate/2)
		h.put("alice", "a", content)
		h.limit(rate, rate)
		slow := func(what string, f func()) {
			t.Helper()
			began := time.Now()
			f()
			if d := time.Since(began); d < 200*time.Millisecond {
				t.Errorf("%s took %v, should half a second", what, d)
			}
		}
		slow("a download", func() { same(t, "downloaded", p.fetch("RETR a"), content) })
		slow("an upload", func() { p.store(226, "STOR b", content) })
		same(t, "uploaded", h.read("alice", "b"), content)
		p.cmd(200, "TYPE A")
		slow("a download in TYPE A", func() { p.fetch("RETR a") })
		p.cmd(200, "TYPE I")
		b := p.block()
		slow("a download in block mode", func() {
			b.send("RETR a\r\n")
			same(t, "downloaded", b.file(), content)
			b.proved("/a", content)
		})
		slow("an upload in block mode", func() {
			b.send("STOR c\r\n")
			b.begun()
			b.put(content)
			b.flush()
			b.want(250)
		})
		same(t, "uploaded", h.read("alice", "c"), content)
	})
}

// TestWaitingHoldsNothingBack: in block mode, while a transfer waits for the limit, the client has all that went before.
func TestWaitingHoldsNothingBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", account.Unlimited, nil)
	content := noise(2000)
	h.put("alice", "a", content)
	h.limit(2000, 2000)
	p := h.login("alice").block()
	began := time.Now()
	p.send("RETR a\r\nRETR a\r\nRETR a\r\nRETR a\r\n")
	same(t, "the first", p.file(), content)
	p.proved("/a", content)
	first := time.Since(began)
	for range 3 {
		same(t, "the next", p.file(), content)
		p.proved("/a", content)
	}
	if all := time.Since(began); all < 3*time.Second || first > all*2/3 {
		t.Errorf("the first file came after %v, the last after %v", first, all)
	}
}

// TestCommandsWhileWaiting: a transfer that waits for the limit hears NOOP, STAT, ABOR and a kick.
func TestCommandsWhileWaiting(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", account.Unlimited, nil)
	h.put("alice", "a", noise(10_000))
	h.limit(10, 10) // a quarter of an hour
	p := h.login("alice")
	nc := p.begin("RETR a")
	eventually(t, "it moves", func() bool { return h.moved() > 0 })
	began := time.Now()
	p.cmd(200, "NOOP")
	p.cmd(211, "STAT")
	p.cmd(426, "ABOR")
	p.want(226)
	nc.Close()
	nc = p.begin("RETR a")
	defer nc.Close()
	eventually(t, "it moves again", func() bool { return h.moved() > 0 })
	h.hub.KickAccount("alice", fault.New(fault.Stopped, "the operator ended the session"))
	p.want(421)
	p.gone()
	if d := time.Since(began); d > 15*time.Second {
		t.Errorf("all of it took %v", d)
	}
}

// TestLimitsOfAnAccount: the replies to one session and to one transfer too many.
func TestLimitsOfAnAccount(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(_ *house, _ *Config, c *session.Config) { c.MaxPerAccount, c.MaxTransfers = 2, 1 })
	h.add("alice", account.Unlimited, nil)
	h.put("alice", "a", noise(10))
	h.limit(1, account.Unlimited)
	p, q := h.login("alice"), h.login("alice")
	third := h.dial()
	third.cmd(331, "USER alice")
	if r := third.cmd(421, "PASS "+password); !strings.Contains(r.Text(), "your account has as many sessions as it may") {
		t.Error(r.Text())
	}
	third.gone()
	nc := p.begin("RETR a")
	for _, line := range []string{"RETR a", "STOR b"} {
		if r := q.refused(450, line); !strings.Contains(r.Text(), "your account moves as many files at once as it may") {
			t.Error(r.Text())
		}
	}
	q.fetch("NLST") // a listing is no file
	p.cmd(426, "ABOR")
	p.want(226)
	nc.Close()
	q.store(226, "STOR b", noise(10))
}

// TestPipelineIsOneTransfer: uploads that are sent ahead and wait for their commits are no transfers at once.
func TestPipelineIsOneTransfer(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(_ *house, _ *Config, c *session.Config) { c.MaxTransfers, c.Strict = 1, true })
	h.add("alice", account.Unlimited, nil)
	p := h.login("alice").block()
	const many = 40
	var commands strings.Builder
	for i := range many {
		commands.WriteString("STOR f" + string(rune('A'+i)) + "\r\n")
		p.put(noise(100))
	}
	p.send(commands.String())
	p.flush()
	for range many {
		p.begun()
		p.want(250)
	}
}

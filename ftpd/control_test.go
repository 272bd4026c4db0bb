package ftpd

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"sampan/fault"
	"sampan/ftp"
	"sampan/session"
)

func TestCommandsInPiecesAndInOne(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	h.put("alice", "f", []byte("x"))
	p := h.dial()
	for _, b := range []byte("USER alice\r\nPASS " + password + "\r\nPWD\r\n") {
		p.send(string(b))
	}
	p.want(331)
	p.want(230)
	p.want(257)
	p.send("NOOP\r\nPWD\nnonsense\r\n\r\nTYPE I\r\nSIZE f\r\n")
	for _, code := range []int{200, 257, 500, 500, 200, 213} {
		p.want(code)
	}
	p.send("NO")
	p.send("OP\r")
	p.send("\nMKD a\rb\r\n") // a CR alone is no end, and no name has one
	p.want(200)
	p.want(553)
	p.send("\xff\xf4\xff\xf2ABOR\r\nNO\x00OP\r\nNOOP\r\n")
	p.want(226)
	p.want(501)
	p.want(200)
}

func TestPipelinedTransfers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	p := h.login("alice")
	nc := p.passive()
	p.send("STOR f\r\nSIZE f\r\nDELE f\r\nPWD\r\nQUIT\r\n") // all are held until the upload is safe
	p.want(150)
	nc.Write([]byte("hello"))
	nc.Close()
	p.want(226)
	if got := p.want(213).Text(); got != "5" {
		t.Error(got)
	}
	for _, code := range []int{250, 257, 221} {
		p.want(code)
	}
	p.gone()
}

func TestAnsweredDuringTransfer(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		p := login("alice")
		nc := p.begin("STOR f")
		nc.Write([]byte("half"))
		p.cmd(200, "NOOP")
		if got := strings.Join(p.cmd(211, "STAT").Lines, "\n"); !strings.Contains(got, "Moving /f") {
			t.Error(got)
		}
		p.send("STAT /\r\n") // waits: it has an argument
		nc.Write([]byte(" and half"))
		nc.Close()
		p.want(226)
		p.want(213)
		same(t, "f", h.read("alice", "f"), []byte("half and half"))
	})
}

func TestAbort(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		h.put("alice", "big", noise(64<<20))
		p := login("alice")
		for _, abort := range []string{"ABOR\r\n", "\xff\xf4\xff\xf2ABOR\r\n"} {
			nc := p.begin("STOR f")
			nc.Write([]byte("half"))
			p.send(abort)
			p.want(426)
			p.want(226)
			if _, err := io.ReadAll(nc); err == nil && p.cfg == nil {
				t.Error("the data connection ended in order")
			}
			p.cmd(200, "NOOP")

			p.begin("RETR big") // nobody reads
			p.send(abort)
			p.want(426)
			p.want(226)

			p.epsv() // nobody comes
			p.cmd(150, "RETR big")
			p.send(abort)
			p.want(426)
			p.want(226)

			p.epsv()
			p.cmd(226, "ABOR")
			p.cmd(425, "RETR big")

			p.passive()
			p.send("RETR big\r\nRETR big\r\n" + abort) // both, in order
			p.want(150)
			p.want(426)
			p.want(426)
			p.want(226)
			p.cmd(257, "PWD")
		}
		if h.read("alice", "f") != nil {
			t.Error("an aborted upload is there")
		}
	})
}

// TestKilledClient: a client that dies ends both its connections, the control connection first. Nothing is published.
func TestKilledClient(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		for range 20 {
			p := login("alice")
			p.store(226, "STOR f", []byte("the old one"))
			nc := p.begin("STOR f")
			nc.Write(noise(100_000))
			p.tcp.Close()
			if p.prot {
				p.closeBeneath(nc)
			} else {
				nc.Close()
			}
			eventually(t, "the session is gone", func() bool { return len(h.hub.Live()) == 0 })
			same(t, "f", h.read("alice", "f"), []byte("the old one"))
		}
	})
}

// TestQuitAhead: a client may say QUIT and leave while its upload is still on the way; that is no accident.
func TestQuitAhead(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		for i := range 10 {
			p := login("alice")
			nc := p.begin(fmt.Sprint("STOR f", i))
			nc.Write([]byte("content"))
			p.send("QUIT\r\n")
			nc.Close()
			p.nc.Close()
			eventually(t, "the session is gone", func() bool { return len(h.hub.Live()) == 0 })
			same(t, "f", h.read("alice", fmt.Sprint("f", i)), []byte("content"))
		}
	})
}

// TestRefusedQuitIsNoQuit: a client that said "QUIT now" is told 501 and stays; when it is killed later on, that is a cut.
func TestRefusedQuitIsNoQuit(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		for _, ahead := range []bool{true, false} {
			p := login("alice")
			if ahead {
				p.cmd(501, "QUIT now")
			}
			nc := p.begin("STOR f")
			nc.Write(noise(100_000))
			if !ahead {
				p.send("QUIT now\r\n")
			}
			eventually(t, "all is received", func() bool { return h.moved() == 100_000 })
			p.tcp.Close()
			nc.Close()
			eventually(t, "the session is gone", func() bool { return len(h.hub.Live()) == 0 })
			if h.read("alice", "f") != nil {
				t.Error("what was cut is published")
			}
		}
	})
}

func TestLongLine(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	p := h.login("alice")
	p.send(strings.Repeat("x", 3000) + "\r\n")
	p.want(500)
	p.send(strings.Repeat("x", 5000))
	p.want(500)
	p.gone()
	q := h.dial()
	q.send(strings.Repeat("NOOP x", 100_000)) // far more than anybody reads
	q.want(500)
	q.gone()
}

func TestLoginTimeout(t *testing.T) {
	t.Parallel()
	h := newHouse(t, hurried(func(l *limits) { l.login = 50 * time.Millisecond }))
	p := h.dial()
	p.want(421)
	p.gone()
	p = h.dial()
	p.send("USER al") // half a line is nothing
	p.want(421)
	p.gone()
}

func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	const idle = 1500 * time.Millisecond
	h := newHouse(t, hurried(func(l *limits) { l.idle = idle }))
	h.add("alice", -1, nil)
	p := h.login("alice")
	nc := p.begin("STOR f")
	<-time.After(idle + idle/5) // a transfer is not idle
	nc.Close()
	p.want(226)
	p.want(421)
	p.gone()
}

// TestUnreadReplies: a client that sends and never reads is hung up on.
func TestUnreadReplies(t *testing.T) {
	t.Parallel()
	h := newHouse(t, hurried(func(l *limits) { l.write = 200 * time.Millisecond }))
	p := h.dial()
	p.tcp.SetReadBuffer(4 << 10)
	commands := strings.Repeat("HELP\r\n", 1000)
	for {
		if _, err := io.WriteString(p.tcp, commands); err != nil {
			break
		}
	}
	eventually(t, "the session is gone", func() bool { return len(h.hub.Live()) == 0 })
}

func TestThreeWrongPasswords(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	p := h.dial()
	for i, name := range []string{"alice", "nobody", "alice"} {
		p.cmd(331, "USER "+name)
		if i < 2 {
			p.cmd(530, "PASS wrong password")
		} else {
			p.cmd(421, "PASS wrong password")
		}
	}
	p.gone()
}

func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(_ *house, _ *Config, c *session.Config) { c.MaxSessions = 2 })
	h.add("alice", -1, nil)
	a := h.login("alice")
	h.login("alice")
	p := h.connect(h.addr)
	p.want(421)
	p.gone()
	a.cmd(221, "QUIT")
	eventually(t, "there is room again", func() bool { return len(h.hub.Live()) < 2 })
	h.dial()
}

func TestKickAndShutdown(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	idle, moving := h.login("alice"), h.login("alice")
	kicked := h.login("alice")
	nc := kicked.begin("STOR k")
	nc.Write([]byte("half"))
	h.hub.Kick(h.hub.Live()[2].ID, fault.New(fault.Stopped, "the session has ended"))
	if got := kicked.want(421).Text(); got != "the session has ended" {
		t.Error(got)
	}
	kicked.gone()

	data := moving.begin("STOR f")
	data.Write([]byte("half"))
	ended := make(chan struct{})
	go func() {
		h.srv.Shutdown(context.Background())
		close(ended)
	}()
	idle.want(421)
	idle.gone()
	if nc, err := net.Dial("tcp", h.addr); err == nil {
		nc.SetDeadline(time.Now().Add(patience))
		if b, err := io.ReadAll(nc); err == nil && len(b) > 0 && !strings.HasPrefix(string(b), "421") {
			t.Errorf("a new connection was served: %q", b)
		}
		nc.Close()
	}
	data.Write([]byte(" and half"))
	data.Close()
	moving.want(226)
	moving.want(421)
	moving.gone()
	<-ended
	same(t, "f", h.read("alice", "f"), []byte("half and half"))
}

// TestShutdownCutsWhatIsLate: what does not end in time is parked.
func TestShutdownCutsWhatIsLate(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	p := h.login("alice")
	nc := p.begin("STOR f")
	nc.Write([]byte("half"))
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	h.srv.Shutdown(ctx)
	r, err := ftp.ReadReply(p.r)
	if err != nil || r.Code != 421 {
		t.Errorf("%v %v", r, err)
	}
	if h.read("alice", "f") != nil {
		t.Error("half a file was published")
	}
}

package ftpd

import (
	"context"
	"testing"
	"time"

	"sampan/fault"
)

// TestDozing: whatever ends a doze, the session goes on where it was.
func TestDozing(t *testing.T) {
	t.Parallel()
	doze := hurried(func(l *limits) { l.doze = time.Millisecond })
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		p, kicked, gone := login("alice"), login("alice"), login("alice")
		parked := func(n int) {
			t.Helper()
			eventually(t, "all are parked", func() bool {
				h.srv.lot.mu.Lock()
				defer h.srv.lot.mu.Unlock()
				return len(h.srv.lot.in) == n
			})
		}
		for _, piece := range []string{"NO", "OP", "\r", "\n"} { // each wakes it, and only the last one is heard
			parked(3)
			p.send(piece)
		}
		p.want(200)
		p.store(226, "STOR f", []byte("content"))
		parked(3)
		same(t, "f", p.fetch("RETR f"), []byte("content"))
		parked(3)
		gone.tcp.Close()
		eventually(t, "who left is gone", func() bool { return len(h.hub.Live()) == 2 })
		parked(2)
		h.hub.Kick(h.hub.Live()[1].ID, fault.New(fault.Stopped, "the session has ended"))
		kicked.want(421)
		kicked.gone()
		parked(1)
		p.send("NOOP\r\nPWD\r\n")
		p.want(200)
		p.want(257)
		parked(1)
		go h.srv.Shutdown(context.Background())
		p.want(421)
		p.gone()
	}, doze)
}

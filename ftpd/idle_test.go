package ftpd

import (
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// TestIdleSession: a session that waits for its client is one goroutine and little memory, whatever it did before. It is
// not parallel to others, whose goroutines would count.
func TestIdleSession(t *testing.T) {
	for _, test := range []struct {
		name  string
		login func(*house) *peer
		most  int // bytes
	}{
		{"plain", func(h *house) *peer { return h.login("alice") }, 8 << 10},
		{"TLS", func(h *house) *peer { return h.loginTLS("alice") }, 40 << 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHouse(t, hurried(func(l *limits) { l.doze = 10 * time.Millisecond }))
			h.add("alice", -1, nil)
			const n = 100
			clients := make([]*os.File, 0, n) // bare sockets: what else a client holds would count
			enter := func() {
				p := test.login(h)
				p.store(226, "STOR f", []byte("content"))
				if len(clients)%10 == 0 {
					nc := p.begin("STOR f")
					p.cmd(200, "NOOP") // somebody listens
					nc.Close()
					p.want(226)
				}
				f, err := p.tcp.File()
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { f.Close() })
				p.tcp.Close()
				clients = append(clients, f)
			}
			enter() // what all share is there
			before, held := runtime.NumGoroutine(), inUse()
			for len(clients) <= n {
				enter()
			}
			eventually(t, "a session is one goroutine", func() bool { return runtime.NumGoroutine() <= before+n })
			if each := (inUse() - held) / n; each > test.most {
				t.Errorf("an idle session holds %d bytes, want at most %d", each, test.most)
			}
		})
	}
}

// inUse returns the bytes of heap and stacks.
func inUse() int {
	for range 4 { // stacks shrink by halves
		debug.FreeOSMemory()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// TestLoginTimeBeginsAnew: who logged out has as much time to log in again as who just came.
func TestLoginTimeBeginsAnew(t *testing.T) {
	t.Parallel()
	const login = 1500 * time.Millisecond
	h := newHouse(t, hurried(func(l *limits) { l.login = login }))
	h.add("alice", -1, nil)
	p := h.login("alice")
	<-time.After(login + login/5)
	p.login("alice")
	p.cmd(220, "REIN")
	p.want(421)
	p.gone()
}

// TestDozingTimeout: who dozes for too long is told so.
func TestDozingTimeout(t *testing.T) {
	t.Parallel()
	h := newHouse(t, hurried(func(l *limits) { l.doze, l.login = time.Millisecond, 300*time.Millisecond }))
	p := h.dial()
	p.want(421)
	p.gone()
}

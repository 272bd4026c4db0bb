package ftpd

import (
	"bufio"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"sampan/ftp"
	"sampan/session"
)

// TestHalfOpenFlood: hundreds of connections that never log in fill the server, and new ones come all the time; some send
// nothing, some send commands and read no reply. Somebody with an account is served all the same, and soon.
func TestHalfOpenFlood(t *testing.T) {
	t.Parallel()
	const all, perAddress, addresses = 300, 50, 8
	h := newHouse(t, func(_ *house, _ *Config, c *session.Config) {
		c.MaxSessions, c.MaxPerAddress = all, perAddress
	})
	h.add("alice", -1, nil)
	h.put("alice", "a", []byte("content"))
	implicit := h.serve("127.0.0.1:0", true)
	from := func(host int) *net.Dialer {
		return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 9, byte(host))}, Timeout: patience}
	}
	stop := make(chan struct{})
	var flood sync.WaitGroup
	defer flood.Wait()
	defer close(stop)
	for host := range addresses {
		flood.Go(func() {
			var open []net.Conn
			defer func() {
				for _, nc := range open {
					nc.Close()
				}
			}()
			tick := time.NewTicker(2 * time.Millisecond)
			defer tick.Stop()
			for i := 0; ; i++ {
				addr := h.addr
				if i%4 == 3 {
					addr = implicit
				}
				if nc, err := from(host+1).Dial("tcp", addr); err == nil {
					if i%4 == 1 {
						nc.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
						for range 20 {
							fmt.Fprint(nc, "HELP\r\n")
						}
					}
					open = append(open, nc)
				}
				if len(open) > 2*perAddress { // the oldest were turned away, or have given way
					open[0].Close()
					open = open[1:]
				}
				select {
				case <-stop:
					return
				case <-tick.C:
				}
			}
		})
	}
	eventually(t, "the server is full", func() bool { return len(h.hub.Live()) == all })

	serve := func(host int) error { // connects, logs in, and reads what is there
		nc, err := from(host).Dial("tcp", h.addr)
		if err != nil {
			return err
		}
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(patience))
		r := bufio.NewReader(nc)
		for _, step := range []struct {
			send string
			want int
		}{{"", 220}, {"USER alice", 331}, {"PASS " + password, 230}, {"SIZE a", 550}, {"QUIT", 221}} {
			if step.send != "" {
				fmt.Fprint(nc, step.send+"\r\n")
			}
			if got, err := ftp.ReadReply(r); err != nil || got.Code != step.want {
				return fmt.Errorf("%q: %d %q, %v", step.send, got.Code, got.Lines, err)
			}
		}
		return nil
	}
	quick := 0
	for range 5 {
		began := time.Now()
		if err := serve(100); err != nil {
			t.Error(err)
		}
		if time.Since(began) < 2*time.Second {
			quick++
		}
	}
	if quick == 0 {
		t.Error("nobody was served within 2 s")
	}
	if n := len(h.hub.Live()); n > all {
		t.Errorf("%d sessions", n)
	}
}

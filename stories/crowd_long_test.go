//go:build linux && long

package stories

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestMillionEntries: a listing of 1,000,000 entries is streamed: it is whole, and the server needs no more memory for it
// than for a small one.
func TestMillionEntries(t *testing.T) {
	// The server collects when 32 MiB were allocated, whatever is listed; a million entries held at once would be 100 MiB and more.
	const entries, room = 1_000_000, 64 << 20
	s := startServer(t)
	s.addUser("alice")
	dir := filepath.Join(s.home("alice"), "many")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	const makers = 8
	for m := range makers {
		all.Go(func() {
			for i := m; i < entries; i += makers {
				f, err := os.Create(filepath.Join(dir, fmt.Sprintf("entry-%07d", i)))
				if err != nil {
					t.Error(err)
					return
				}
				f.Close()
			}
		})
	}
	all.Wait()
	for _, security := range []string{"plain", "TLS"} {
		h := s.as(t, "alice")
		if security == "TLS" {
			h = s.secureAs(t, "alice")
		}
		for _, verb := range []string{"NLST", "LIST", "MLSD"} {
			_, err := h.get(verb+" .", 0) // what a first listing needs once
			h.check(err)
			before := s.memory("status", "VmRSS")
			write(t, fmt.Sprintf("/proc/%d/clear_refs", s.cmd.Process.Pid), []byte("5")) // the peak begins anew
			began := time.Now()
			conn, err := h.begin(verb + " many")
			h.check(err)
			var first time.Duration
			lines := 0
			for b := make([]byte, 64<<10); ; {
				_ = conn.SetReadDeadline(time.Now().Add(patience))
				n, err := conn.Read(b)
				if first == 0 {
					first = time.Since(began)
				}
				lines += bytes.Count(b[:n], []byte("\n"))
				if errors.Is(err, io.EOF) {
					break
				}
				h.check(err)
			}
			conn.Close()
			h.wantReply(226, verb)
			peak := s.memory("status", "VmHWM")
			t.Logf("%s, %s: the first bytes after %v, all after %v; the server took %d KiB more", verb, security,
				first.Round(time.Millisecond), time.Since(began).Round(time.Millisecond), (peak-before)>>10)
			if lines != entries {
				t.Errorf("%s, %s: %d lines", verb, security, lines)
			}
			if peak-before > room {
				t.Errorf("%s, %s: the server took %d MiB more", verb, security, (peak-before)>>20)
			}
		}
	}
}

// TestFiveThousandSessions: as many are logged in and idle; each is still answered, and memory stays within bounds.
func TestFiveThousandSessions(t *testing.T) {
	for security, most := range map[string]int64{"plain": 64 << 10, "TLS": 128 << 10} {
		t.Run(security, func(t *testing.T) {
			const sessions, dialers = 5000, 8
			s := startServer(t, "--max-sessions", "6000", "--max-sessions-per-address", "6000", "--max-sessions-per-account", "6000")
			s.addUser("alice")
			s.as(t, "alice").want(221, "QUIT") // a first log-in needs memory of its own
			before := s.memory("smaps_rollup", "Pss")
			hands := make([]*wire, sessions)
			var all sync.WaitGroup
			for d := range dialers {
				all.Go(func() {
					for i := d; i < sessions; i += dialers {
						w, err := dialWire(s.addr, "")
						if err == nil && security == "TLS" {
							c, err2 := trust(s.data)
							err = errors.Join(err2, w.secure(c))
						}
						if err == nil {
							err = w.login("alice", "pw-of-alice")
						}
						if err != nil {
							t.Errorf("session %d: %v", i, err)
							return
						}
						hands[i] = w
					}
				})
			}
			all.Wait()
			if t.Failed() {
				return
			}
			for i, w := range hands {
				if _, err := w.cmd(200, "NOOP"); err != nil {
					t.Fatalf("session %d: %v", i, err)
				}
			}
			each := (s.memory("smaps_rollup", "Pss") - before) / sessions
			t.Logf("%d idle sessions, %s: %.1f KiB each", sessions, security, float64(each)/1024)
			if each > most {
				t.Errorf("%d KiB each", each>>10)
			}
			for _, w := range hands {
				w.close()
			}
		})
	}
}

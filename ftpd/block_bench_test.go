package ftpd

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"sampan/ftp"
	"sampan/session"
)

// smallFiles is what the benchmarks move at a time.
const smallFiles = 5000

func blockNames(verb, dir string) string {
	var b strings.Builder
	for i := range smallFiles {
		fmt.Fprintf(&b, "%s %s/f%d\r\n", verb, dir, i)
	}
	return b.String()
}

// replies reads the replies of n transfers.
func (b *blockPeer) replies(n int) {
	for range n {
		for code := 0; code != 250; {
			r, err := ftp.ReadReply(b.r)
			if err != nil || r.Code > 250 {
				b.t.Errorf("%+v %v", r, err)
				return
			}
			code = r.Code
		}
	}
}

func BenchmarkBlockMode(b *testing.B) {
	for _, way := range []string{"plain", "tls"} {
		for _, kind := range []string{"down", "up", "up strict"} {
			b.Run(kind+" "+way, func(b *testing.B) {
				h := newHouse(b, func(_ *house, fc *Config, hc *session.Config) {
					hc.Strict = kind == "up strict"
					fc.Log, hc.Log = slog.New(slog.DiscardHandler), slog.New(slog.DiscardHandler)
				})
				h.add("alice", -1, nil)
				login := h.login
				if way == "tls" {
					login = h.loginTLS
				}
				p := login("alice")
				content := noise(4096)
				for i := range smallFiles {
					h.put("alice", fmt.Sprintf("d0/f%d", i), content)
				}
				bp := p.block()
				p.nc.SetDeadline(time.Now().Add(time.Hour))
				bp.data.SetDeadline(time.Now().Add(time.Hour))
				verb := "RETR"
				if kind != "down" {
					verb = "STOR"
				}
				b.ResetTimer()
				for i := range b.N {
					commands := blockNames(verb, "d0")
					if verb == "STOR" { // fresh names: ext4 flushes what replaces a file by rename
						b.StopTimer()
						commands = blockNames(verb, fmt.Sprintf("d%d", i+1))
						h.mkdir("alice", fmt.Sprintf("d%d", i+1))
						b.StartTimer()
					}
					var moved sync.WaitGroup
					moved.Go(func() {
						io.WriteString(p.nc, commands)
						if verb == "STOR" {
							for range smallFiles {
								bp.put(content)
							}
							bp.flush()
						}
					})
					if verb == "RETR" {
						moved.Go(func() {
							buf := make([]byte, 64<<10)
							for range smallFiles {
								bp.in.Next()
								for {
									if _, err := bp.in.Read(buf); err != nil {
										break
									}
								}
							}
						})
					}
					bp.replies(smallFiles)
					moved.Wait()
				}
				b.ReportMetric(float64(smallFiles)*float64(b.N)/b.Elapsed().Seconds(), "files/s")
			})
		}
	}
}

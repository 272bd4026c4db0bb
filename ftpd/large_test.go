package ftpd

import (
	"io"
	"testing"
)

const large = 64 << 20

func TestLargeUpload(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	p := h.login("alice")
	content := noise(large)
	p.store(226, "STOR f", content)
	same(t, "f", h.read("alice", "f"), content)
}

func TestLargeDownload(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	content := noise(large)
	h.put("alice", "f", content)
	p := h.login("alice")
	same(t, "f", p.fetch("RETR f"), content)
}

// BenchmarkUpload and BenchmarkDownload move one file of 64 MiB each time, log-in and opening not counted.
func BenchmarkUpload(b *testing.B) {
	content := noise(large)
	bench(b, func(_ *house, p *peer) {
		p.store(226, "STOR f", content)
	})
}

func BenchmarkDownload(b *testing.B) {
	content := noise(large)
	bench(b, func(h *house, p *peer) {
		if h.read("alice", "f") == nil {
			b.StopTimer()
			h.put("alice", "f", content)
			b.StartTimer()
		}
		nc := p.begin("RETR f")
		if n, err := io.Copy(io.Discard, nc); n != large || err != nil {
			b.Fatal(n, err)
		}
		nc.Close()
		p.want(226)
	})
}

func bench(b *testing.B, once func(*house, *peer)) {
	for name, login := range map[string]func(*house) *peer{
		"plain": func(h *house) *peer { return h.login("alice") },
		"tls":   func(h *house) *peer { return h.loginTLS("alice") },
	} {
		b.Run(name, func(b *testing.B) {
			h := newHouse(b)
			h.add("alice", -1, nil)
			p := login(h)
			b.SetBytes(large)
			for b.Loop() {
				p.tcp.SetDeadline(later())
				once(h, p)
			}
		})
	}
}

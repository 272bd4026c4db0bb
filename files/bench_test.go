package files

import (
	"io"
	"net"
	"path/filepath"
	"testing"
)

const benchSize = 64 << 20

// zeros sends n bytes on a socket.
func zeros(b *testing.B, n int64) *net.TCPConn {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			return
		}
		defer c.Close()
		buf := make([]byte, 256<<10)
		for ; n > 0; n -= int64(len(buf)) {
			if _, err := c.Write(buf); err != nil {
				return
			}
		}
	}()
	c, err := ln.Accept()
	if err != nil {
		b.Fatal(err)
	}
	return c.(*net.TCPConn)
}

func benchHome(b *testing.B, strict bool) *Local {
	b.Helper()
	h, err := OpenHome(filepath.Join(tempHome(b), "h"), Options{Quota: -1, Strict: strict})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { h.Close() })
	return h.As("a")
}

func BenchmarkUpload(b *testing.B) {
	l := benchHome(b, false)
	b.SetBytes(benchSize)
	for b.Loop() {
		c := zeros(b, benchSize)
		u, err := l.Create(b.Context(), mustPath("x"), Want{Size: -1})
		if err != nil {
			b.Fatal(err)
		}
		n, err := Pump(u, c, 1<<20, func(_, want int64) (int64, error) { return u.Room(want) })
		if err != nil || n != benchSize {
			b.Fatal(n, err)
		}
		if _, err := u.Commit(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}

func BenchmarkDownload(b *testing.B) {
	l := benchHome(b, false)
	if err := put("x", string(make([]byte, benchSize))).run(b.Context(), l); err != nil {
		b.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	b.SetBytes(benchSize)
	for b.Loop() {
		got := make(chan int64)
		go func() {
			c, err := ln.Accept()
			if err != nil {
				got <- 0
				return
			}
			n, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, make([]byte, 256<<10))
			c.Close()
			got <- n
		}()
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		r, _, err := l.Open(b.Context(), mustPath("x"), 0)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Pump(c, r, 4<<20, grantAll); err != nil {
			b.Fatal(err)
		}
		c.Close()
		r.Close()
		if n := <-got; n != benchSize {
			b.Fatal(n)
		}
	}
}

func benchSmall(b *testing.B, strict bool) {
	l := benchHome(b, strict)
	data := make([]byte, 4096)
	for b.Loop() {
		u, err := l.Create(b.Context(), mustPath("x"), Want{Size: -1})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := u.Write(data); err != nil {
			b.Fatal(err)
		}
		if _, err := u.Commit(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSmallFast(b *testing.B)   { benchSmall(b, false) }
func BenchmarkSmallStrict(b *testing.B) { benchSmall(b, true) }

func BenchmarkList(b *testing.B) {
	l := benchHome(b, false)
	for i := range 1000 {
		if err := put(string(rune('a'+i%26))+bytesOf(0, 0)+string(rune('0'+i/26)), "x").run(b.Context(), l); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		n := 0
		for _, err := range l.List(b.Context(), Root) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
}

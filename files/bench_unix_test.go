//go:build linux || darwin

package files

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// processor returns the processor seconds that the process took so far.
func processor() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func BenchmarkList50000(b *testing.B) {
	dir := filepath.Join(tempHome(b), "h")
	if err := os.Mkdir(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	for i := range 50000 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file-%05d.txt", i)), nil, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	h, err := OpenHome(dir, Options{Quota: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	l, was := h.As("a"), processor()
	for b.Loop() {
		n := 0
		for _, err := range l.List(b.Context(), Root) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 50000 {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64((processor()-was).Microseconds())/float64(b.N), "cpu-µs/op")
}

// benchTogether commits small files from n goroutines, onto a real disk.
func benchTogether(b *testing.B, n int) {
	h, err := OpenHome(b.TempDir(), Options{Quota: -1, Strict: true})
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	l := h.As("a")
	data := make([]byte, 4096)
	was := processor()
	files := 0
	for b.Loop() {
		var all sync.WaitGroup
		for g := range n {
			all.Go(func() {
				for i := range 8 {
					u, err := l.Create(b.Context(), mustPath(fmt.Sprintf("%d-%d", g, i)), Want{Size: -1})
					if err != nil {
						b.Error(err)
						return
					}
					if _, err := u.Write(data); err != nil {
						b.Error(err)
					}
					if _, err := u.Commit(b.Context(), nil); err != nil {
						b.Error(err)
					}
				}
			})
		}
		all.Wait()
		files += n * 8
	}
	b.ReportMetric(float64(files)/b.Elapsed().Seconds(), "files/s")
	b.ReportMetric(float64((processor()-was).Microseconds())/float64(files), "cpu-µs/file")
}

func BenchmarkSmallStrict8(b *testing.B)  { benchTogether(b, 8) }
func BenchmarkSmallStrict64(b *testing.B) { benchTogether(b, 64) }

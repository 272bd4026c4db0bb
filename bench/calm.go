//go:build linux

package main

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A watch tells how much others used the machine while something was measured.
type watch struct {
	proc              *process
	begun             time.Time
	busy, server, own time.Duration
}

func observe(p *process) watch {
	return watch{p, time.Now(), busyTime(), p.cpu(), ownTime()}
}

// disturbed returns the share of all processors that neither the server nor the benchmark used, but somebody did. Less
// than some clock ticks say nothing.
func (w watch) disturbed() float64 {
	others := busyTime() - w.busy - (w.proc.cpu() - w.server) - (ownTime() - w.own)
	if others < 5*tick {
		return 0
	}
	return others.Seconds() / time.Since(w.begun).Seconds() / float64(runtime.NumCPU())
}

// busyTime is what all processors did so far for processes, and what the machine's host took from them (proc(5),
// /proc/stat: user, nice, system, steal). Interrupts are left out: those of loopback are the measurement's own.
func busyTime() time.Duration {
	b, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(b), "\n")
	total := uint64(0)
	for i, f := range strings.Fields(line) {
		if n, err := strconv.ParseUint(f, 10, 64); err == nil && (i <= 3 || i == 8) {
			total += n
		}
	}
	return time.Duration(total) * tick
}

// ownTime is what the benchmark itself used, and the clients that it started and that ended.
func ownTime() time.Duration {
	total := int64(0)
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			total += u.Utime.Nano() + u.Stime.Nano()
		}
	}
	return time.Duration(total)
}

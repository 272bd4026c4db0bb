package session

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A valve lets no more than so many bytes a second through, in all, whoever asks. Those who ask while it is busy stand in
// line, and all in the line get their turn several times a second, so that they share alike. What is not used in time is
// gone but for the last credit: nobody saves for a burst.
type valve struct {
	line    chan struct{} // holds who is next; Go lets the others in as they came
	back    chan struct{} // buffered: something was given back
	waiting atomic.Int64  // in line, the next one included

	mu   sync.Mutex
	free time.Time // when all that was let through is through at its rate
}

const (
	round      = time.Second / 8 // in which all who wait get a turn
	credit     = time.Second / 8
	leastShare = 1 << 10 // of one turn
)

func newValve() *valve {
	return &valve{line: make(chan struct{}, 1), back: make(chan struct{}, 1)}
}

// take waits until bytes may go at the given rate and returns how many of want, at least one. It fails when ctx ends.
// waits is called before it has to wait.
func (v *valve) take(ctx context.Context, rate, want int64, waits func()) (int64, error) {
	v.waiting.Add(1)
	defer v.waiting.Add(-1)
	select {
	case v.line <- struct{}{}:
	default:
		waits()
		select {
		case v.line <- struct{}{}:
		case <-ctx.Done():
			return 0, why(ctx)
		}
	}
	defer func() { <-v.line }()
	for wait := v.wait(); wait > 0; wait = v.wait() {
		waits()
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-v.back:
		case <-ctx.Done():
			timer.Stop()
			return 0, why(ctx)
		}
		timer.Stop()
	}
	turn := max(rate/int64(time.Second/round), 1)
	n := min(want, turn, max(turn/v.waiting.Load(), leastShare))
	v.mu.Lock()
	defer v.mu.Unlock()
	if earliest := time.Now().Add(-credit); v.free.Before(earliest) {
		v.free = earliest
	}
	v.free = v.free.Add(lasts(n, rate))
	return n, nil
}

// wait returns how long it is until something may go.
func (v *valve) wait() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	return time.Until(v.free)
}

// giveBack makes n bytes that were taken and not moved available to the others.
func (v *valve) giveBack(n, rate int64) {
	if n == 0 {
		return
	}
	v.mu.Lock()
	v.free = v.free.Add(-lasts(n, rate))
	v.mu.Unlock()
	select {
	case v.back <- struct{}{}:
	default:
	}
}

// lasts is how long n bytes take at a rate.
func lasts(n, rate int64) time.Duration {
	return time.Duration(float64(n) / float64(rate) * float64(time.Second))
}

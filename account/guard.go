package account

import (
	"context"
	"math"
	"net/netip"
	"sync"
	"time"

	"sampan/fault"
)

// A guard slows guessing. Only failures count; each fills two buckets by one, which drain by one in drainEvery.
//
// The bucket of an address (an IPv6 /64): from slowFrom failures on, each try waits, twice as long as the one before,
// up to slowest; with addrLimit failures tries are refused until the bucket has drained by one. Tries under way count
// as failures until they end, so a thousand at once gain nothing: those beyond the limit wait for the ones before
// them. A right password neither fills nor empties a bucket; if it emptied one, an account of his own would let a
// guesser go on for ever.
//
// The bucket of an account notices guessing from many addresses. It refuses nobody by itself, for that would let
// strangers lock the owner out: with nameLimit failures it only lowers the limit of each address to hotLimit failures
// there, so that an address that did not fail, like the owner's, still gets in at once.
type guard struct {
	mu           sync.Mutex
	addrs, names map[string]*bucket
}

const (
	drainEvery  = time.Minute
	addrLimit   = 12
	hotLimit    = 3
	nameLimit   = 30
	slowFrom    = 3
	slowStep    = 100 * time.Millisecond
	slowest     = 2 * time.Second
	maxParallel = 4      // tries of one address under way
	maxBuckets  = 50_000 // addresses, and as many names
)

type bucket struct {
	level float64 // failures that did not drain yet, as of at
	at    time.Time
	busy  int           // tries under way
	wake  chan struct{} // closed when one ends; nil when nobody waits
}

func newGuard() *guard {
	return &guard{addrs: map[string]*bucket{}, names: map[string]*bucket{}}
}

func (b *bucket) drain(now time.Time) {
	b.level = max(0, b.level-float64(now.Sub(b.at))/float64(drainEvery))
	b.at = now
}

// addressKey groups what one host can have: an IPv4 address, or an IPv6 network of 64 bits.
func addressKey(remote string) string {
	a, err := netip.ParseAddr(remote)
	if err != nil {
		return "?"
	}
	a = a.Unmap().WithZone("")
	if a.Is6() {
		p, _ := a.Prefix(64) // 64 is a valid length
		return p.String()
	}
	return a.String()
}

// enter waits until a try from remote on the account may be made, and refuses it with TooMany or, when ctx ends
// first, Busy. Whoever entered calls leave once.
func (g *guard) enter(ctx context.Context, remote, folded string) (leave func(failed bool), err error) {
	addr := addressKey(remote)
	for {
		wake, delay, err := g.admit(addr, folded)
		if err != nil {
			return nil, err
		}
		if wake == nil {
			if err := pause(ctx, delay); err != nil {
				g.leave(addr, folded, false)
				return nil, err
			}
			return func(failed bool) { g.leave(addr, folded, failed) }, nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return nil, busy(ctx)
		}
	}
}

// admit counts a try in and returns how long it has to wait first, or, when it is not its turn, what to wait for.
func (g *guard) admit(addr, folded string) (wake chan struct{}, delay time.Duration, err error) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	b := at(g.addrs, addr, now)
	limit := float64(addrLimit)
	if n := g.names[folded]; n != nil {
		if n.drain(now); n.level >= nameLimit {
			limit = hotLimit
		}
	}
	room := int(limit - b.level)
	if room < 1 {
		wait := (b.level + 1 - limit) * drainEvery.Seconds()
		return nil, 0, fault.New(fault.TooMany, "too many failed log-ins; try again in %d seconds", int(math.Ceil(wait)))
	}
	if b.busy >= min(room, maxParallel) {
		if b.wake == nil {
			b.wake = make(chan struct{})
		}
		return b.wake, 0, nil
	}
	b.busy++
	if n := int(b.level) - slowFrom; n >= 0 {
		delay = min(slowStep<<n, slowest)
	}
	return nil, delay, nil
}

func (g *guard) leave(addr, folded string, failed bool) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	b := at(g.addrs, addr, now)
	b.busy--
	if failed {
		b.level++
		at(g.names, folded, now).level++
	}
	if b.wake != nil {
		close(b.wake)
		b.wake = nil
	}
}

// at returns the bucket of a key, drained. A full map forgets what has drained, then the least full of a few.
func at(m map[string]*bucket, key string, now time.Time) *bucket {
	b := m[key]
	if b == nil {
		if len(m) >= maxBuckets {
			makeRoom(m, now)
		}
		b = &bucket{at: now}
		m[key] = b
	}
	b.drain(now)
	return b
}

func makeRoom(m map[string]*bucket, now time.Time) {
	const few = 64
	var least string
	level := math.Inf(1)
	seen := 0
	for key, b := range m { // in random order
		if b.busy > 0 {
			continue
		}
		if b.drain(now); b.level == 0 {
			delete(m, key)
		} else if b.level < level {
			least, level = key, b.level
		}
		if seen++; seen >= few {
			break
		}
	}
	if len(m) >= maxBuckets {
		delete(m, least)
	}
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return busy(ctx)
	}
}

func busy(ctx context.Context) error {
	return fault.Wrap(fault.Busy, ctx.Err(), "too many log-ins at once; try again")
}

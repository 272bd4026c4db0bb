package session

import (
	"time"

	"sampan/account"
)

// How a copy is cut into steps: small enough that one takes well under a second on a slow link, so that counters
// and limits are fresh, and large enough that a fast link does not notice.
const (
	firstStep = 256 << 10
	leastStep = 4 << 10
	mostStep  = 4 << 20
	quick     = 50 * time.Millisecond  // steps that take less grow
	slow      = 500 * time.Millisecond // steps that take more shrink
)

// A pace finds the size of the next step from how long the last one took.
type pace struct {
	step int64
	last time.Time
}

func (p *pace) next(now time.Time) int64 {
	took := now.Sub(p.last)
	switch {
	case p.last.IsZero():
		p.step = firstStep
	case took < quick:
		p.step = min(2*p.step, mostStep)
	case took > slow:
		p.step = max(p.step/2, leastStep)
	}
	p.last = now
	return p.step
}

// A limit is a valve with its rate in bytes a second; 0 or less is none.
type limit struct {
	at   *valve
	rate int64
}

// A flow is what happens between the steps of one copy over a connection.
type flow struct {
	t        *Transfer
	deadline func(time.Time) error
	patience time.Duration // of a step
	push     func()        // sends what the connection holds back
	pace     pace

	limits [2]limit // that the last step was drawn from: the account's and the server's
	drawn  [2]int64
	before int64 // done when it began
}

// step counts what is done, checks that the transfer may go on, waits for the limits, and returns how many bytes, at
// most most, the next step may move. A transfer without limits pays nothing for them.
func (f *flow) step(done, most int64) (int64, error) {
	now := time.Now()
	f.t.count(now, done)
	f.settle(done)
	a, err := f.t.entitled()
	if err != nil {
		return 0, err
	}
	n := min(most, f.pace.next(now))
	if f.limits = f.t.limits(a, f.t.up != nil); f.limited() {
		if n, err = f.draw(n); err != nil {
			return 0, err
		}
		now = time.Now()
		f.pace.last = now
	}
	f.deadline(now.Add(f.patience))
	if f.t.ctx.Err() != nil { // whose end may have set a deadline just before
		return 0, why(f.t.ctx)
	}
	return n, nil
}

// end counts what is done when a copy is over.
func (f *flow) end(done int64) {
	f.t.count(time.Now(), done)
	f.settle(done)
}

func (f *flow) limited() bool { return f.limits[0].rate > 0 || f.limits[1].rate > 0 }

// draw waits until n bytes, or fewer, may go by both limits.
func (f *flow) draw(n int64) (_ int64, err error) {
	defer f.t.resume()
	for i, l := range f.limits {
		if l.rate > 0 {
			if n, err = l.at.take(f.t.ctx, l.rate, n, f.wait); err != nil {
				return 0, err
			}
			f.drawn[i] = n
		}
	}
	return n, nil
}

// wait is called before the transfer waits for a limit: the other end gets what is under way meanwhile, and does not
// count as silent.
func (f *flow) wait() {
	f.push()
	f.t.pause()
}

// settle gives back what was drawn for the last step and was not moved.
func (f *flow) settle(done int64) {
	for i, l := range f.limits {
		if f.drawn[i] > 0 {
			l.at.giveBack(max(0, f.drawn[i]-(done-f.before)), l.rate)
			f.drawn[i] = 0
		}
	}
	f.before = done
}

// admit waits until the limits let n bytes through, all of them: for what was read, or is to be written, by itself.
func (t *Transfer) admit(n int64, up bool) error {
	a, err := t.entitled()
	f := flow{t: t, push: func() {}, limits: t.limits(a, up)}
	for done := int64(0); err == nil && done < n && f.limited(); f.settle(done) {
		var some int64
		some, err = f.draw(n - done)
		done += some
	}
	return err
}

// limits returns those of the account, as it is now, and of the server. What stays on the server has none.
func (t *Transfer) limits(a account.Account, up bool) [2]limit {
	g, h := t.who.guest, t.s.hub
	switch {
	case len(t.from) > 0:
		return [2]limit{}
	case up:
		return [2]limit{{g.up, a.Up}, {h.up, h.upRate.Load()}}
	}
	return [2]limit{{g.down, a.Down}, {h.down, h.downRate.Load()}}
}

// pause notes that the transfer waits, until resume, for what is not its other end's fault.
func (t *Transfer) pause() { t.paused.CompareAndSwap(0, time.Now().UnixNano()) }

func (t *Transfer) resume() {
	if since := t.paused.Load(); since != 0 {
		t.waited.Add(time.Now().UnixNano() - since) // first, so that no silence shows in between
		t.paused.Store(0)
	}
}

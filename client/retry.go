package client

import (
	"context"
	"math/rand/v2"
	"time"

	"sampan/fault"
	"sampan/words"
)

// Pauses between tries: they double from the first to the last, and each is shortened by up to a half at random, so
// that many clients of one server do not come back at once.
const (
	firstPause = 250 * time.Millisecond
	lastPause  = 30 * time.Second
)

// passing reports whether trying again may help.
func passing(err error) bool { return passes(fault.KindOf(err)) }

func passes(k fault.Kind) bool {
	switch k {
	case fault.Cut, fault.Unreachable, fault.Busy, fault.TooMany:
		return true
	}
	return false
}

// retry runs f until it succeeds, fails for good, or failed too often in a row without a gain. Bytes that went out are none:
// where the other side cannot keep them, they would go out for ever.
func (c *copying) retry(ctx context.Context, f func(context.Context) error) error {
	tries := c.o.Tries
	switch {
	case tries == 0:
		tries = 10
	case tries < 0:
		tries = 1
	}
	wait, gained := firstPause, c.gained
	for failed := 0; ; {
		err := f(ctx)
		c.again = true
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !passing(err):
			return err
		}
		if c.gained > gained {
			failed, wait, gained = 0, firstPause, c.gained
		}
		if failed++; failed >= tries {
			if tries == 1 {
				return err
			}
			return fault.Wrap(fault.GaveUp, err, "gave up after %d tries: %s", tries, fault.Say(err))
		}
		d := wait - time.Duration(rand.Int64N(int64(wait)/2))
		wait = min(2*wait, lastPause)
		c.say(words.M("%s; trying again in %.1f s", fault.Say(err), d.Seconds()))
		c.show(Waiting, c.r.Resumed, true)
		if err := pause(ctx, d); err != nil {
			return err
		}
	}
}

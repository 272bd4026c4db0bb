package files

import (
	"math"
	"time"

	"sampan/fault"
)

// The bytes on the disk are never more than Home.used, and what is asked for never takes Home.used past the quota:
// bytes are reserved before they are written and given back after they are gone. So no order of events, and no crash,
// shows more on the disk than the quota allows.

// patience is how long who finds the quota full waits for bytes that others were granted and have not written:
// most of these come back when their uploads end.
const patience = 2 * time.Second

// reserve takes up to want bytes, at least least (≤ want), from the quota. If there is not so much room it takes
// none and returns how many bytes are missing.
func (h *Home) reserve(least, want int64) (got, missing int64) {
	var timeout <-chan time.Time
	for {
		h.mu.Lock()
		got = h.fits(least, want)
		if got >= least {
			h.used += got
			h.slack += got
			h.mu.Unlock()
			return got, 0
		}
		missing = least - got
		if left := h.quota - h.used; left < 0 {
			missing -= left
		}
		if h.slack < missing || h.quota < 0 {
			h.mu.Unlock()
			return 0, missing
		}
		if h.freed == nil {
			h.freed = make(chan struct{})
		}
		freed := h.freed
		h.mu.Unlock()
		if timeout == nil {
			timeout = time.After(patience)
		}
		select {
		case <-freed:
		case <-timeout:
			return 0, missing
		}
	}
}

// fits returns how much of want there is room for. Of what is left it offers a part only (but least), so that no upload
// sits on the last bytes while another needs them. h.mu is held.
func (h *Home) fits(least, want int64) int64 {
	if h.quota < 0 {
		return min(want, math.MaxInt64-h.used)
	}
	left := max(0, h.quota-h.used)
	return min(want, left, max(least, 64<<10, left/16))
}

// wrote turns n reserved bytes into bytes on the disk.
func (h *Home) wrote(n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.slack -= n
}

// giveBack ends the reservation of n bytes that were not written.
func (h *Home) giveBack(n int64) {
	if n == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.slack -= n
	h.used -= n
	h.wake()
}

// release notes that n bytes are gone from the disk.
func (h *Home) release(n int64) {
	if n == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.used -= n
	h.wake()
}

// wake tells waiting reservers to look again. h.mu is held.
func (h *Home) wake() {
	if h.freed != nil {
		close(h.freed)
		h.freed = nil
	}
}

func overQuota(quota, missing int64) error {
	return fault.New(fault.OverQuota, "the quota of %d bytes leaves no room: at least %d bytes are missing", quota, missing)
}

// limit returns the quota.
func (h *Home) limit() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.quota
}

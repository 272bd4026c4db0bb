package files

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"sampan/fault"
)

// begin makes an entry for a new stage and tells the ledger whose it is, before the first byte.
func (h *Home) begin(owner string, p Path) (*entry, error) {
	h.mu.Lock()
	e := &entry{id: h.next, owner: owner, path: p}
	h.next++
	h.entries[e.id] = e
	h.mu.Unlock()
	if err := h.record(sealStage(nil, e.id, e)); err != nil {
		h.forget(e)
		return nil, err
	}
	return e, nil
}

// forget drops an entry that has no file.
func (h *Home) forget(e *entry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.entries, e.id)
	if h.fresh[e.path] == e {
		delete(h.fresh, e.path)
	}
}

// takeParts removes the parts that which names from the list; their files are still there.
func (h *Home) takeParts(which func(*entry) bool) []*entry {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.takePartsLocked(which)
}

func (h *Home) takePartsLocked(which func(*entry) bool) (taken []*entry) {
	for k, e := range h.parts {
		if which(e) {
			delete(h.parts, k)
			taken = append(taken, e)
		}
	}
	return taken
}

// takePart removes one part from the list, nil if there is none.
func (h *Home) takePart(k owned) *entry {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.parts[k]
	delete(h.parts, k)
	return e
}

// discard removes files of ours from d and gives their bytes back.
func (h *Home) discard(d *dir, gone ...*entry) error {
	var errs []error
	for _, e := range gone {
		err := h.step("remove part")
		if err == nil {
			err = d.unlink(e.name(), false)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err) // its bytes are still there and still count
			continue
		}
		h.release(e.size)
		h.forget(e)
	}
	return errors.Join(errs...)
}

// park makes a part of size bytes of stage e, whose file is f with end bytes; a part that was there before goes.
// size 0 keeps nothing.
func (h *Home) park(e *entry, f *os.File, end, size int64) error {
	e.size = end
	err := h.stepped("cut", size < end && size > 0, func() error { return f.Truncate(size) })
	if err == nil && size > 0 {
		h.release(end - size)
		e.size = size
		err = h.settlePart(e, f)
	}
	f.Close()
	if err != nil || size == 0 {
		return errors.Join(err, h.discard(h.stage, e))
	}
	h.mu.Lock()
	old := h.parts[e.key()]
	h.parts[e.key()] = e
	h.mu.Unlock()
	if old != nil {
		return h.discard(h.part, old)
	}
	return nil
}

// settlePart syncs (when strict) and moves a stage to the parts.
func (h *Home) settlePart(e *entry, f *os.File) error {
	if h.opts.Strict {
		if err := h.stepped("sync part", true, func() error { return datasync(f) }); err != nil {
			return err
		}
		if err := h.record(sealSynced(nil, e.id, e.size)); err != nil {
			return err
		}
		if err := h.ledger.sync(); err != nil {
			return err
		}
		e.synced = e.size
	}
	e.time = time.Now()
	_ = h.stage.own.Chtimes(e.name(), e.time, e.time) // only for Expire after a restart
	err := h.stepped("park", true, func() error { return move(h.stage, e.name(), h.part, e.name(), true) })
	if err == nil && h.opts.Strict {
		err = h.stepped("sync parts", true, h.part.sync)
	}
	return err
}

// stepped calls fn, if it is wanted at all, as a step of that name.
func (h *Home) stepped(name string, wanted bool, fn func() error) error {
	if !wanted {
		return nil
	}
	if err := h.step(name); err != nil {
		return err
	}
	return fn()
}

// resume makes a stage of the part k again, which must have size bytes.
func (h *Home) resume(k owned, size int64) (*entry, *os.File, error) {
	h.mu.Lock()
	e := h.parts[k]
	if e == nil || e.size != size {
		h.mu.Unlock()
		if e == nil {
			return nil, nil, noPart(k.path)
		}
		return nil, nil, notPart(k.path, e.size, size)
	}
	delete(h.parts, k)
	h.mu.Unlock()
	f, err := h.openOwn(h.part, e)
	if err == nil {
		err = h.stepped("resume", true, func() error { return move(h.part, e.name(), h.stage, e.name(), true) })
		if err != nil {
			f.Close()
		}
	}
	if err != nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.parts[k] == nil {
			h.parts[k] = e
		}
		return nil, nil, classify(err, k.path)
	}
	return e, f, nil
}

// Part describes the asker's part of p; NotExist if there is none.
func (l *Local) Part(ctx context.Context, p Path) (PartInfo, error) {
	if err := l.home.enter(); err != nil {
		return PartInfo{}, err
	}
	defer l.home.leave()
	l.home.mu.Lock()
	e := l.home.parts[owned{l.owner, p}]
	l.home.mu.Unlock()
	if e == nil {
		return PartInfo{}, noPart(p)
	}
	f, err := l.home.openOwn(l.home.part, e)
	if err != nil {
		return PartInfo{}, classify(err, p)
	}
	defer f.Close()
	sum, err := l.home.sums.of(ctx, f, "SHA-256", 0, e.size)
	if err != nil {
		return PartInfo{}, classify(err, p)
	}
	return PartInfo{Size: e.size, Sum: sum, Time: e.time}, nil
}

// DropPart removes it; NotExist if there is none.
func (l *Local) DropPart(ctx context.Context, p Path) error {
	if err := l.home.enter(); err != nil {
		return err
	}
	defer l.home.leave()
	e := l.home.takePart(owned{l.owner, p})
	if e == nil {
		return noPart(p)
	}
	return classify(l.home.discard(l.home.part, e), p)
}

func noPart(p Path) error {
	return fault.New(fault.NotExist, "%s: nothing is parked under that name", p)
}

func notPart(p Path, size, asked int64) error {
	return fault.New(fault.BadOffset, "%s: the part has %d bytes, not %d", p, size, asked)
}

func parkedThere(p Path, size int64) error {
	return fault.New(fault.Busy, "%s: a part of %d bytes is parked under that name; continue it at that offset, or start again from 0", p, size)
}

func badOffset(off int64) error { return fault.New(fault.BadOffset, "%d is no offset", off) }

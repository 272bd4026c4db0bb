package files

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"sampan/fault"
)

// begin makes an entry for a new stage and tells the ledger whose it is, before the first byte.
func (h *Home) begin(owner string, p Path, from int64) (*entry, error) {
	h.mu.Lock()
	e := &entry{id: h.next, owner: owner, path: p, from: from}
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

// parts are all parts of a home, by name and owner. Home.mu guards them.
type parts map[Path]map[string]*entry

func (ps parts) get(k owned) *entry { return ps[k.path][k.owner] }

func (ps parts) put(e *entry) {
	if ps[e.path] == nil {
		ps[e.path] = map[string]*entry{}
	}
	ps[e.path][e.owner] = e
}

// take removes one part from the list, nil if there is none. Its file is still there.
func (ps parts) take(k owned) *entry {
	e := ps.get(k)
	if delete(ps[k.path], k.owner); len(ps[k.path]) == 0 {
		delete(ps, k.path)
	}
	return e
}

// takeAt removes all owners' parts of one name.
func (ps parts) takeAt(p Path) []*entry {
	taken := slices.Collect(maps.Values(ps[p]))
	delete(ps, p)
	return taken
}

// takeBelow removes all parts of p and of what lies below it.
func (ps parts) takeBelow(p Path) (taken []*entry) {
	for q := range ps {
		if p.Holds(q) {
			taken = append(taken, ps.takeAt(q)...)
		}
	}
	return taken
}

// all yields every part.
func (ps parts) all(yield func(*entry) bool) {
	for _, owners := range ps {
		for _, e := range owners {
			if !yield(e) {
				return
			}
		}
	}
}

func (h *Home) takePart(k owned) *entry {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.parts.take(k)
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

// park makes a part of the first size bytes of an upload; a part that was there before goes. size 0 keeps nothing.
// u.mu is held.
func (h *Home) park(u *upload, size int64) error {
	e := u.e
	e.size = u.end
	err := h.stepped("cut", size < u.end && size > 0, func() error { return u.f.Truncate(size) })
	if err == nil && size > 0 {
		h.release(u.end - size)
		e.size = size
		err = h.settlePart(u)
	}
	u.f.Close()
	if err != nil || size == 0 {
		return errors.Join(err, h.discard(h.stage, e))
	}
	h.mu.Lock()
	old := h.parts.take(e.key())
	h.parts.put(e)
	h.mu.Unlock()
	err = h.stepped("sync parts", h.opts.Strict, h.part.sync) // if it fails the part is there all the same
	if old != nil {
		err = errors.Join(err, h.discard(h.part, old))
	}
	return err
}

// settlePart syncs (when strict) and moves a stage, which has no gaps any more, to the parts.
func (h *Home) settlePart(u *upload) error {
	e := u.e
	synced := int64(0)
	if h.opts.Strict {
		if err := h.stepped("sync part", true, func() error { return datasync(u.f) }); err != nil {
			return err
		}
		synced = e.size
	}
	e.time = time.Now()
	_ = h.stage.setTime(e.name(), e.time) // for Expire after a restart, and for kept
	var k *kept
	if file, err := fileNode(u.f); err == nil {
		k = keep(&u.tally, file)
	}
	h.mu.Lock()
	e.kept = k
	e.from, e.random, e.whole, e.synced = 0, false, 0, max(synced, min(e.synced, e.size))
	records := sealEntry(nil, e.id, e)
	h.mu.Unlock()
	if err := h.record(records); err != nil {
		return err
	}
	if h.opts.Strict {
		if err := h.ledger.sync(); err != nil {
			return err
		}
	}
	return h.stepped("park", true, func() error { return move(h.stage, e.name(), h.part, e.name(), true) })
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
	e := h.parts.get(k)
	if e == nil || e.size != size {
		defer h.mu.Unlock()
		if e == nil {
			return nil, nil, noPart(k.path)
		}
		return nil, nil, notPart(k.path, e.size, size)
	}
	h.parts.take(k)
	h.mu.Unlock()
	f, err := h.openOwn(h.part, e)
	if err == nil {
		err = h.stepped("resume", true, func() error { return move(h.part, e.name(), h.stage, e.name(), true) })
		if err == nil {
			return e, f, nil
		}
		f.Close()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.parts.get(e.key()) == nil {
		h.parts.put(e)
	} // else a later one took its place, and the next OpenHome removes the file
	return nil, nil, classify(err, k.path)
}

// kept is how far a part is hashed. It holds as long as the part's file is as it was then.
type kept struct {
	n     int64  // so many bytes are hashed
	state []byte // of SHA-256
	file  node   // only what says
}

// says are the parts of a file's description by which a part is known again, also after it was moved.
func (n node) says() node { return node{id: nodeID{ino: n.id.ino}, size: n.size, mtime: n.mtime} }

// keep returns what is kept of t for a part that looks like file, nil if nothing.
func keep(t *tally, file node) *kept {
	k := &kept{file: file.says()}
	if k.state, k.n = t.state(file.size); k.state == nil {
		return nil
	}
	return k
}

// restore makes t go on from what is kept of the part e, which looks like file.
func (h *Home) restore(t *tally, e *entry, file node) {
	h.mu.Lock()
	k := e.kept
	h.mu.Unlock()
	if k != nil && k.file == file.says() {
		t.restore(k.state, k.n)
	}
}

// Part describes the asker's part of p; NotExist if there is none. Of its content only what is not hashed yet is read.
func (l *Local) Part(ctx context.Context, p Path) (PartInfo, error) {
	p, err := l.begin(ctx, p)
	if err != nil {
		return PartInfo{}, err
	}
	e, f, info, err := l.openPart(p)
	l.home.leave() // hashing may take long; the open file is enough
	if err != nil {
		return PartInfo{}, classify(err, p)
	}
	defer f.Close()
	info.Sum, err = l.home.sumPart(ctx, e, f, info.Size)
	return info, classify(err, p)
}

// sumPart hashes the part e of size bytes, whose file is f.
func (h *Home) sumPart(ctx context.Context, e *entry, f *os.File, size int64) ([]byte, error) {
	was, err := fileNode(f)
	if err != nil {
		return nil, err
	}
	t := tally{h: sha256.New()}
	h.restore(&t, e, was)
	if t.n < size {
		if err := h.hashRange(ctx, t.h, f, t.n, size-t.n); err != nil {
			return nil, err
		}
		t.n = size
		if now, err := fileNode(f); err == nil && now.says() == was.says() {
			h.mu.Lock()
			e.kept = keep(&t, was)
			h.mu.Unlock()
		}
	}
	return t.h.Sum(nil), nil
}

func (l *Local) openPart(p Path) (*entry, *os.File, PartInfo, error) {
	l.home.mu.Lock()
	e := l.home.parts.get(owned{l.owner, p})
	if e == nil {
		l.home.mu.Unlock()
		return nil, nil, PartInfo{}, noPart(p)
	}
	info := PartInfo{Size: e.size, Time: e.time}
	l.home.mu.Unlock()
	f, err := l.home.openOwn(l.home.part, e)
	return e, f, info, err
}

// DropPart removes it; NotExist if there is none.
func (l *Local) DropPart(ctx context.Context, p Path) error {
	p, err := l.begin(ctx, p)
	if err != nil {
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

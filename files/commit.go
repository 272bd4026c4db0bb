package files

import (
	"slices"
	"sync"

	"sampan/fault"
)

// Names change one batch at a time. Whoever has a change puts it into the queue; the first of the queue leads, which is
// to carry out everything that is in it by then:
//
//	plan     each change looks at what is there (nobody else changes it meanwhile) and says its intent
//	journal  all intents in one write and, when strict, one sync
//	do       the renames and removals
//	sync     each directory once, when strict
//	note     what happened, in one write; then the books are settled and everybody is told
//
// So commits that arrive together share their syncs. Changes whose names touch each other go into different batches.

// change is one change of names under way.
type change struct {
	names  []Path                  // what it touches, with all below
	plan   func(b *batch) error    // looks at the disk and sets places, dirs, intent and gone
	do     func() error            // the system call
	settle func() (parts []*entry) // what follows in memory, under Home.mu; returns parts that are to go; may be nil

	places []place // names that no other change of the batch may have
	dirs   []*dir  // to be synced
	intent intent  // verb "" if neither bytes nor names of parts change
	gone   int64   // bytes that are no more on the disk afterwards
	again  bool    // it did not happen because its plan did not hold: it is to make another one

	err      error
	happened bool // the names are changed, whatever err says

	turn chan struct{} // says that it was tried, or that it is to lead
	done bool          // it was tried
}

// place is a name in a directory, whichever way leads to it.
type place struct {
	dir  nodeID
	path Path // where the system has no nodeID
	name string
}

type queue struct {
	mu      sync.Mutex
	waiting []*change
	led     bool // somebody leads
}

// join adds changes, and reports whether the first of them is to lead.
func (q *queue) join(cs []*change) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, cs...)
	first := !q.led
	q.led = true
	return first
}

// pass gives the lead to the first that waits.
func (q *queue) pass() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.led = len(q.waiting) > 0; q.led {
		q.waiting[0].turn <- struct{}{}
	}
}

// maxBatch bounds how long the first of a batch waits for the others.
const maxBatch = 64

// take removes the longest row of changes that do not touch each other.
func (q *queue) take() []*change {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for n < len(q.waiting) && n < maxBatch && !touchesAny(q.waiting[n], q.waiting[:n]) {
		n++
	}
	taken := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	return taken
}

func touchesAny(c *change, others []*change) bool {
	for _, o := range others {
		for _, p := range c.names {
			for _, q := range o.names {
				if p.Holds(q) || q.Holds(p) {
					return true
				}
			}
		}
	}
	return false
}

// change carries out c and returns when it is done: durably so, if the home is strict.
func (h *Home) change(c *change) error {
	h.changeAll([]*change{c})
	return c.err
}

// changeAll is change for several at once; their errors are in them.
func (h *Home) changeAll(cs []*change) {
	for _, c := range cs {
		c.turn = make(chan struct{}, 1)
	}
	leads := len(cs) > 0 && h.queue.join(cs)
	for _, c := range cs {
		if !leads {
			<-c.turn
		}
		if leads = false; c.done {
			continue
		}
		h.leader.Lock()
		batch := h.queue.take()
		h.lead(batch) // c is the first of it
		h.leader.Unlock()
		h.queue.pass()
		for _, other := range batch[1:] {
			other.done = true
			other.turn <- struct{}{}
		}
	}
}

// batch is what the changes of one batch share while they are carried out.
type batch struct {
	h      *Home
	dirs   map[Path]*dir
	places map[place]bool
}

// dir opens a directory once for the batch.
func (b *batch) dir(p Path) (*dir, error) {
	if d := b.dirs[p]; d != nil {
		return d, nil
	}
	d, err := b.h.parent(p)
	if err == nil {
		b.dirs[p] = d
	}
	return d, err
}

// at names a place for change.places. What a disk may take for one name has one place.
func (d *dir) at(name string) place {
	name = Fold(name)
	if d.id == (nodeID{}) {
		return place{path: d.path, name: name}
	}
	return place{dir: d.id, name: name}
}

// lead carries out one batch. h.leader is held.
func (h *Home) lead(changes []*change) {
	b := &batch{h: h, dirs: map[Path]*dir{}, places: map[place]bool{}}
	defer func() {
		for _, d := range b.dirs {
			d.close()
		}
	}()
	ready, late := b.plan(changes)
	h.journal(ready)
	for _, c := range ready {
		if c.err == nil {
			c.err = c.do()
			c.happened = c.err == nil
		}
	}
	h.syncDirs(ready)
	h.note(ready)
	h.settle(ready)
	for _, c := range ready {
		if c.again {
			late = append(late, c)
		}
	}
	for _, c := range late { // two ways to one name, or a second try: one after the other
		h.lead([]*change{c})
	}
}

// plan returns the changes that can go on now, and those that must wait for the others. What failed is neither.
func (b *batch) plan(changes []*change) (ready, late []*change) {
	for _, c := range changes {
		c.places, c.dirs, c.intent, c.gone, c.again = nil, nil, intent{}, 0, false
		if c.err = c.plan(b); c.err != nil {
			continue
		}
		if slices.ContainsFunc(c.places, func(p place) bool { return b.places[p] }) {
			late = append(late, c)
			continue
		}
		for _, p := range c.places {
			b.places[p] = true
		}
		ready = append(ready, c)
	}
	return ready, late
}

// journal writes the intents; if that fails no change may go on.
func (h *Home) journal(changes []*change) {
	if h.ledger.bad() {
		if err := h.checkpoint(false); err != nil {
			failAll(changes, err)
			return
		}
	}
	records := h.owed
	for _, c := range changes {
		if c.intent.verb != "" {
			h.seq++
			c.intent.seq = h.seq
			records = sealIntent(records, c.intent)
		}
	}
	if len(records) == len(h.owed) {
		return
	}
	err := h.ledger.append(records)
	if err == nil {
		h.owed = records[:0]
	}
	if err == nil && h.opts.Strict {
		err = h.ledger.sync()
	}
	if err != nil {
		failAll(changes, err)
		if h.ledger.bad() { // the intents may be in it all the same: they must not be found there
			_ = h.checkpoint(false)
		}
	}
}

func failAll(changes []*change, err error) {
	for _, c := range changes {
		c.err = fault.From(err, c.names[0].String())
	}
}

// syncDirs makes the new names durable. A failure leaves the name where it is: Durability.
func (h *Home) syncDirs(changes []*change) {
	if !h.opts.Strict {
		return
	}
	synced := map[*dir]error{}
	for _, c := range changes {
		if !c.happened {
			continue
		}
		for _, d := range c.dirs {
			err, known := synced[d]
			if !known {
				if err = h.step("sync directory"); err == nil {
					err = d.sync()
				}
				synced[d] = err
			}
			if err != nil {
				c.err = fault.Wrap(fault.Durability, err, "%s: it may be in place, but the disk did not confirm it", c.names[0])
			}
		}
	}
}

// note tells the ledger what happened. If that fails the ledger is broken, and the next batch writes it anew. That uploads
// were published is told with the next intents: until then it shows all the same, for their stages are gone and stages
// are numbered anew. Of what was removed or renamed somebody else may take the name, and the inode.
func (h *Home) note(changes []*change) {
	waits := true
	for _, c := range changes {
		if c.intent.verb != "" {
			h.owed = sealOutcome(h.owed, c.intent.seq, c.happened)
			waits = waits && c.happened && c.intent.verb == verbPut
		}
	}
	if waits {
		return
	}
	if err := h.ledger.append(h.owed); err != nil {
		h.ledger.fail(err)
	}
	h.owed = h.owed[:0]
}

// settle brings the books in memory up to date with what happened, removes parts whose names changed, and keeps the
// ledger short.
func (h *Home) settle(changes []*change) {
	var gone []*entry
	h.mu.Lock()
	for _, c := range changes {
		if !c.happened {
			continue
		}
		h.published += c.intent.delta
		h.used -= c.gone
		if c.settle != nil {
			gone = append(gone, c.settle()...)
		}
	}
	h.wake()
	h.mu.Unlock()
	if err := h.discard(h.part, gone...); err != nil {
		h.opts.Log.Warn("a part could not be removed", "err", err)
	}
	if h.ledger.long() {
		if err := h.checkpoint(false); err != nil {
			h.opts.Log.Warn("the ledger could not be shortened", "err", err)
		}
	}
}

package files

import (
	"context"
	"errors"
	"io/fs"
	"runtime"

	"sampan/fault"
)

// Mkdir implements Store.
func (l *Local) Mkdir(ctx context.Context, p Path) error {
	if p.IsRoot() {
		return taken(p)
	}
	if err := p.CheckNew(); err != nil {
		return err
	}
	p, err := l.begin(ctx, p)
	if err != nil {
		return err
	}
	defer l.home.leave()
	var d *dir
	var name string
	c := &change{names: []Path{p}}
	c.plan = func(b *batch) (err error) {
		if d, err = b.dir(p.Dir()); err != nil {
			return err
		}
		name = d.spelling(p.Base())
		c.places, c.dirs = []place{d.at(name)}, []*dir{d}
		return nil
	}
	c.do = func() error {
		return l.home.stepped("mkdir", true, func() error { return d.mkdir(name) })
	}
	return classify(l.home.change(c), p)
}

// Remove implements Store. With a directory the parts go that were begun below it.
func (l *Local) Remove(ctx context.Context, p Path) error {
	if p.IsRoot() {
		return fault.New(fault.BadName, "the root cannot be removed")
	}
	p, err := l.begin(ctx, p)
	if err != nil {
		return err
	}
	defer l.home.leave()
	c := l.removal(p)
	err = l.home.change(c)
	if fault.KindOf(err) != fault.NotExist || err == nil {
		return classify(err, p)
	}
	part := l.home.takePart(owned{l.owner, p})
	if part == nil {
		return err
	}
	return classify(l.home.discard(l.home.part, part), p)
}

// RemoveSame is Remove for the file that Open described as i; Busy if it is another one by now.
func (l *Local) RemoveSame(ctx context.Context, i Info) error {
	p, err := l.begin(ctx, i.Path)
	if err != nil {
		return err
	}
	defer l.home.leave()
	c := l.removal(p)
	plan := c.plan
	c.plan = func(b *batch) error {
		now, err := l.home.look(p)
		if err == nil && now.info(p).Tag != i.Tag {
			err = fault.New(fault.Busy, "%s: it changed while it was copied", p)
		}
		if err != nil {
			return err
		}
		return plan(b)
	}
	return classify(l.home.change(c), p)
}

func (l *Local) removal(p Path) *change {
	var d *dir
	var n node
	c := &change{names: []Path{p}}
	c.plan = func(b *batch) (err error) {
		if d, err = b.dir(p.Dir()); err != nil {
			return err
		}
		if n, err = d.lstat(p.Base()); err != nil {
			return classify(err, p)
		}
		if n.mode&fs.ModeIrregular != 0 || l.home.isOwn(n.id) {
			return notThere(p)
		}
		c.places, c.dirs, c.gone = []place{d.at(p.Base())}, []*dir{d}, n.counts()
		if n.mode.IsRegular() {
			c.intent = intent{verb: verbDel, from: p, ino: n.id.ino, delta: -c.gone}
		}
		return nil
	}
	c.do = func() error {
		return classify(l.home.stepped("remove", true, func() error { return d.unlink(p.Base(), n.mode.IsDir()) }), p)
	}
	c.settle = func() []*entry {
		return l.home.parts.takeBelow(p)
	}
	return c
}

// Rename implements Store. Renaming to itself does nothing. The parts below a directory go with it, and so do uploads
// under way.
func (l *Local) Rename(ctx context.Context, from, to Path, replace bool) error {
	if from.IsRoot() {
		return fault.New(fault.BadName, "the root cannot be renamed")
	}
	if err := errors.Join(to.CheckNew(), checkSystem(runtime.GOOS, to)); err != nil {
		return err
	}
	asked := from
	from, err := l.begin(ctx, from)
	if err != nil {
		return err
	}
	defer l.home.leave()
	to = to.target(asked, from, l.spelled)
	if from != to && from.Holds(to) {
		return fault.New(fault.BadName, "%s: cannot be moved into itself", from)
	}
	return classify(l.home.change(l.renaming(from, to, replace)), from)
}

func (l *Local) renaming(from, to Path, replace bool) *change {
	h := l.home
	var a, b *dir
	var what node
	same, vacant := from == to, false
	c := &change{names: []Path{from, to}}
	c.plan = func(batch *batch) (err error) {
		if a, err = batch.dir(from.Dir()); err != nil {
			return err
		}
		if what, err = a.lstat(from.Base()); err != nil {
			return classify(err, from)
		}
		if what.mode&fs.ModeIrregular != 0 || h.isOwn(what.id) {
			return notThere(from)
		}
		if same {
			return nil
		}
		if b, err = batch.dir(to.Dir()); err != nil {
			return err
		}
		if twin := to.Dir().below(b.spelling(to.Base())); twin != from {
			to = twin
			c.names[1] = to
		}
		old, err := b.lstat(to.Base())
		if vacant = missing(err); err != nil && !vacant {
			return classify(err, to)
		}
		if err == nil && old.id == what.id && old.id != (nodeID{}) { // another spelling, or a hard link
			old = node{}
		} else if err == nil && (!replace || what.mode.IsDir() || old.mode.IsDir() || old.mode&fs.ModeIrregular != 0) {
			return taken(to)
		}
		c.places, c.dirs = []place{a.at(from.Base()), b.at(to.Base())}, []*dir{a, b}
		c.gone = old.counts()
		c.intent = intent{verb: verbMov, from: from, to: to, ino: what.id.ino, delta: -c.gone, dir: what.mode.IsDir()}
		return nil
	}
	c.do = func() error {
		if same {
			return nil
		}
		return classify(h.stepped("rename", true, func() error {
			return h.moveKnown(what, a, from.Base(), b, to.Base(), !vacant)
		}), to)
	}
	c.settle = func() []*entry {
		if same {
			return nil
		}
		gone := append(h.parts.takeAt(from), h.parts.takeAt(to)...)
		if what.mode.IsDir() {
			h.rekey(from, to)
		}
		return gone
	}
	return c
}

// moveKnown is move for a file or directory that looks like what; a hash that is known of it stays known.
func (h *Home) moveKnown(what node, from *dir, a string, to *dir, b string, replace bool) error {
	if err := move(from, a, to, b, replace); err != nil {
		return err
	}
	if what.size < h.sums.least {
		return nil
	}
	if now, err := to.lstat(b); err == nil {
		h.sums.moved(what, now, false)
	}
	return nil
}

// rekey moves parts, stages and held names with their directory. h.mu is held.
func (h *Home) rekey(from, to Path) {
	parts := h.parts.takeBelow(from)
	for k, e := range h.fresh {
		if from.Holds(k) {
			delete(h.fresh, k)
			h.fresh[k.moved(from, to)] = e
		}
	}
	for _, e := range h.entries {
		e.path = e.path.moved(from, to)
	}
	for _, e := range parts {
		h.parts.put(e)
	}
}

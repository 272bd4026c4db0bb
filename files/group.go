package files

import (
	"context"
	"errors"

	"sampan/fault"
)

// CommitAll is Commit for several uploads at once, each with its own outcome; those of one home share their syncs.
func CommitAll(ctx context.Context, ups []Upload, done func(n int, i Info, err error)) {
	homes := map[*Home][]int{}
	for n, up := range ups {
		if u, ok := up.(*upload); ok {
			homes[u.h] = append(homes[u.h], n)
			continue
		}
		i, err := up.Commit(ctx, nil)
		done(n, i, err)
	}
	for h, which := range homes {
		us := make([]*upload, len(which))
		for k, n := range which {
			us[k] = ups[n].(*upload)
		}
		h.commit(ctx, us, nil, func(k int, i Info, err error) { done(which[k], i, err) })
	}
}

// commit syncs and publishes uploads of h. sure is called between the two.
func (h *Home) commit(ctx context.Context, us []*upload, sure func() error, done func(n int, i Info, err error)) {
	if err := h.enter(); err != nil {
		for n := range us {
			done(n, Info{}, err)
		}
		return
	}
	defer h.leave()
	errs := make([]error, len(us))
	for n, u := range us {
		if errs[n] = u.seal(); errs[n] == nil {
			defer u.unseal()
		}
	}
	if h.opts.Strict {
		h.syncStages(us, errs)
	}
	changes := make([]*change, 0, len(us))
	for n, u := range us {
		if errs[n] != nil {
			continue
		}
		if ctx.Err() != nil {
			errs[n] = u.classify(context.Cause(ctx))
		} else if sure != nil {
			errs[n] = sure()
		}
		if errs[n] == nil {
			changes = append(changes, u.publish())
		}
	}
	h.changeAll(changes)
	for n, u := range us {
		if errs[n] != nil {
			done(n, Info{}, errs[n])
			continue
		}
		i, err := u.published(changes[0])
		changes = changes[1:]
		done(n, i, err)
	}
}

// fewStages is up to how many stages are synced one by one, and muchData what they may hold to be synced with everything
// else that waits on their disk.
const (
	fewStages = 3
	muchData  = 32 << 20
)

// syncStages makes the content of stages durable: of many small ones at once, which costs little more than one. An upload
// whose sync fails is dropped.
func (h *Home) syncStages(us []*upload, errs []error) {
	var total int64
	oldest := us[0]
	for _, u := range us {
		total += u.end
		if u.e.id < oldest.e.id {
			oldest = u
		}
	}
	together := errors.ErrUnsupported
	if len(us) > fewStages && total <= muchData {
		// The system tells of a failure once to each open file that was opened before it. That of the stage made first
		// is nobody else's, so no other sync takes its news away.
		together = h.stepped("sync data", true, func() error { return syncDisk(oldest.f) })
	}
	for n, u := range us {
		err := together
		if errs[n] == nil && errors.Is(err, errors.ErrUnsupported) {
			err = h.stepped("sync data", true, func() error { return datasync(u.f) })
		}
		if errs[n] == nil && err != nil {
			errs[n] = u.lost(err)
		}
	}
}

// published ends an upload after its change, and describes the file.
func (u *upload) published(c *change) (Info, error) {
	if !c.happened {
		return Info{}, u.classify(c.err)
	}
	u.finish()
	n, err := fileNode(u.f)
	u.learn(n)
	if cerr := u.f.Close(); err == nil {
		err = cerr
	}
	if c.err != nil {
		return n.info(c.names[0]), c.err
	}
	if err != nil {
		err = fault.Wrap(fault.Durability, err, "%s: it may be in place, but the disk did not confirm it", c.names[0])
	}
	return n.info(c.names[0]), err
}

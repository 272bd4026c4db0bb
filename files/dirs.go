package files

import (
	"slices"
	"sync"
)

// dirs are directories that were used of late, kept open: to open one again takes four system calls, to see that its name
// still leads to it takes one for each element. Those on another disk are not kept, for it could not be unmounted.
type dirs struct {
	mu   sync.Mutex
	held []*keptDir // the one used last is the last
}

// maxDirs is how many a home keeps.
const maxDirs = 16

// A keptDir is closed when it was dropped and nobody uses it.
type keptDir struct {
	dir
	in      *dirs
	users   int
	dropped bool
}

// get returns the directory kept as p, to be given back; nil if there is none.
func (ds *dirs) get(p Path) *keptDir {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	for i := len(ds.held) - 1; i >= 0; i-- {
		if k := ds.held[i]; k.path == p {
			copy(ds.held[i:], ds.held[i+1:])
			ds.held[len(ds.held)-1] = k
			k.users++
			return k
		}
	}
	return nil
}

// keeps reports whether p is kept.
func (ds *dirs) keeps(p Path) bool {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	return slices.ContainsFunc(ds.held, func(k *keptDir) bool { return k.path == p })
}

// put keeps d, which the caller uses until it gives it back.
func (ds *dirs) put(d *dir) *keptDir {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	k := &keptDir{dir: *d, in: ds, users: 1}
	k.kept = k
	if len(ds.held) == maxDirs {
		ds.drop(ds.held[0])
	}
	ds.held = append(ds.held, k)
	return k
}

// giveBack ends a use; gone says that the name does not lead there any more.
func (ds *dirs) giveBack(k *keptDir, gone bool) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	k.users--
	switch {
	case gone:
		ds.drop(k)
	case k.dropped && k.users == 0:
		k.f.Close()
	}
}

// drop forgets k. ds.mu is held.
func (ds *dirs) drop(k *keptDir) {
	if !k.dropped {
		k.dropped = true
		for i, other := range ds.held {
			if other == k {
				ds.held = append(ds.held[:i], ds.held[i+1:]...)
				break
			}
		}
	}
	if k.users == 0 {
		k.f.Close()
	}
}

// close closes all, of which none may be in use.
func (ds *dirs) close() {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	for len(ds.held) > 0 {
		ds.drop(ds.held[0])
	}
}

package files

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"sampan/fault"
)

var (
	ownPath   = Path{"/" + Hidden}
	stagePath = Path{"/" + Hidden + "/stage"}
	partPath  = Path{"/" + Hidden + "/part"}
)

// OpenHome opens the home at dir, making the directory if it is missing. A home that was never opened before and is
// not empty is counted once. What a crash left (intents, stages) is put right: afterwards Used is exact, and what
// uploads had received is parked for their owners.
func OpenHome(dir string, o Options) (*Home, error) { return openHome(dir, o, bootID(), nil) }

func openHome(dir string, o Options, boot string, hook func(string) error) (_ *Home, err error) {
	if o.PartAge == 0 {
		o.PartAge = 24 * time.Hour
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := &Home{
		opts: o, boot: boot, quota: o.Quota, hook: hook,
		sums:    sums{least: leastSum, tick: tick},
		entries: map[uint64]*entry{}, parts: parts{}, fresh: map[Path]*entry{},
	}
	h.ledger.step = h.step
	if err := h.openDirs(dir); err != nil {
		return nil, fault.From(err, dir)
	}
	defer func() {
		if err != nil {
			h.shut()
			err = fault.From(err, dir)
		}
	}()
	if err := h.ledger.dir.lock(); err != nil {
		return nil, fault.Wrap(fault.Busy, err, "%s: another process has this home open", dir)
	}
	if err := h.loadSums(); err != nil {
		h.opts.Log.Warn("the hashes of files could not be read", "err", err)
	}
	text, err := h.readLedger()
	if err != nil {
		return nil, err
	}
	return h, h.recover(replay(text))
}

// openDirs makes and opens the home and what is ours in it.
func (h *Home) openDirs(name string) (err error) {
	if err := os.MkdirAll(name, 0o755); err != nil {
		return err
	}
	if h.root, err = os.OpenRoot(name); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			h.shut()
		}
	}()
	for _, p := range []Path{ownPath, stagePath, partPath} {
		if err := h.root.Mkdir(p.Rel(), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if fi, err := h.root.Lstat(p.Rel()); err != nil || !fi.IsDir() {
			return errors.Join(err, fault.New(fault.NotDir, "%s: not a directory", p))
		}
	}
	if h.top, err = h.openDir(Root); err != nil {
		return err
	}
	if h.ledger.dir, err = h.openOwnDir(ownPath); err != nil {
		return err
	}
	if h.stage, err = h.openOwnDir(stagePath); err != nil {
		return err
	}
	if h.part, err = h.openOwnDir(partPath); err != nil {
		return err
	}
	h.own = [3]nodeID{h.ledger.dir.id, h.stage.id, h.part.id}
	if !h.opts.Strict {
		return nil
	}
	// Whoever made the home may not have synced its name. Best effort: the parent is not ours.
	if parent, perr := os.Open(filepath.Dir(filepath.Clean(name))); perr == nil {
		_ = parent.Sync()
		parent.Close()
	}
	return errors.Join(h.top.sync(), h.ledger.dir.sync())
}

func (h *Home) readLedger() ([]byte, error) {
	f, err := h.ledger.dir.own.Open("ledger")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// recover brings the home to a state that the ledger can start from anew. It may be cut itself, at any step.
func (h *Home) recover(s *state) error {
	sameBoot := h.boot != "" && s.boot == h.boot
	recount := !s.ok || s.hole || !sameBoot && !s.clean && !s.strict
	for _, i := range s.open {
		if h.didHappen(i) {
			s.happened(i)
		}
	}
	if len(s.open) > 0 && !recount {
		// What was decided by looking at stages is written down before these are touched.
		if err := h.ledger.rewrite(s.encode, h.opts.Strict); err != nil {
			return err
		}
	}
	if err := h.adopt(s, sameBoot); err != nil {
		return err
	}
	h.next, h.published = s.next, s.published
	for e := range h.parts.all {
		h.used += e.size
	}
	if recount || h.published < 0 {
		n, err := h.count(context.Background(), Root)
		if err != nil {
			return err
		}
		h.published = n
	}
	h.used += h.published
	return h.checkpoint(false)
}

// didHappen looks at the disk for what the ledger does not tell.
func (h *Home) didHappen(i intent) bool {
	switch i.verb {
	case verbPut:
		_, err := h.stage.lstat(strconv.FormatUint(i.stage, 10))
		return errors.Is(err, fs.ErrNotExist)
	default: // what was to go from its name is there no more
		d, err := h.openDir(i.from.Dir())
		if err != nil {
			return true
		}
		defer d.close()
		n, err := d.lstat(i.from.Base())
		return err != nil || i.ino != 0 && n.id.ino != 0 && n.id.ino != i.ino
	}
}

// adopt makes parts of what lies in stage and part, as far as the ledger knows whose it is and it can be trusted: all
// of it if the machine ran on since (alive), else what was synced.
func (h *Home) adopt(s *state, alive bool) error {
	var found []*entry
	for _, from := range []*dir{h.part, h.stage} {
		names, err := from.f.Readdirnames(-1)
		if err != nil {
			return err
		}
		for _, name := range names {
			e, err := h.adoptOne(s, from, name, alive)
			if err != nil {
				return err
			}
			if e != nil {
				found = append(found, e)
			}
		}
	}
	// There may be two of one name where a crash came between a park and the removal of the part before it.
	slices.SortFunc(found, func(a, b *entry) int {
		return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.id, b.id))
	})
	for _, e := range found {
		if old := h.parts.take(e.key()); old != nil {
			delete(h.entries, old.id)
			if err := h.stepped("sweep", true, func() error { return h.part.unlink(old.name(), false) }); err != nil {
				return err
			}
		}
		h.parts.put(e)
		h.entries[e.id] = e
	}
	return nil
}

// adoptOne makes a part of from/name or removes it.
func (h *Home) adoptOne(s *state, from *dir, name string, alive bool) (*entry, error) {
	n, err := from.lstat(name)
	if err != nil {
		return nil, err
	}
	id, err := strconv.ParseUint(name, 10, 64)
	e := s.entries[id]
	if err != nil || e == nil || !n.mode.IsRegular() || strconv.FormatUint(id, 10) != name {
		return nil, h.stepped("sweep", true, func() error { return from.unlink(name, n.mode.IsDir()) })
	}
	keep := n.size
	switch {
	case !alive:
		keep = min(keep, e.synced)
	case e.random && from == h.stage:
		keep = min(keep, max(e.synced, e.whole))
	}
	if keep <= e.from {
		return nil, h.stepped("sweep", true, func() error { return from.unlink(name, false) })
	}
	err = h.stepped("cut", keep < n.size, func() error { return from.truncate(name, keep) })
	if err == nil {
		err = h.stepped("park", from == h.stage, func() error { return move(h.stage, name, h.part, name, true) })
	}
	if err != nil {
		return nil, err
	}
	e.from, e.random, e.whole, e.size, e.synced = 0, false, 0, keep, min(e.synced, keep)
	e.time = time.Unix(0, n.mtime)
	return e, nil
}

// openOwn opens an entry's file in stage or part.
func (h *Home) openOwn(d *dir, e *entry) (*os.File, error) { return d.open(e.name(), os.O_RDWR) }

// endOfDir tells the end of a listing from an error.
func endOfDir(err error, p Path) error {
	if err == nil || errors.Is(err, io.EOF) {
		return nil
	}
	return classify(err, p)
}

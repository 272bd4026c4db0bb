package files

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	"sampan/fault"
)

// Options says how a home is kept.
type Options struct {
	Strict  bool          // sync data, ledger and directories before a success is told; else a power cut may lose or empty what was told, and after one the home is counted and parts are dropped
	PartAge time.Duration // parts that nobody resumed for so long are removed; 0 is 24 h
	Quota   int64         // bytes, -1 unlimited
	Log     *slog.Logger
}

// A Home is one directory on the server's disk with its quota, stages, parts and ledger. One process opens a home
// at a time; all Stores of it share the Home.
//
// What it keeps under HOME/.sampan is told in ledger.go. Locks are taken in the order life, leader, ledger, mu.
type Home struct {
	opts        Options
	boot        string // see bootID
	root        *os.Root
	top         *dir // the home
	stage, part *dir
	own         [3]nodeID // .sampan, stage, part
	dirs        dirs
	ledger      ledger
	sums        sums

	life   sync.RWMutex // read-held by everything that runs, so that Close can wait for it
	closed bool         // guarded by life

	leader sync.Mutex // held by who changes names; see commit.go
	seq    uint64     // of the last intent; guarded by leader
	owed   []byte     // outcomes that the ledger gets with the next intents; guarded by leader
	queue  queue

	mu        sync.Mutex // guards what follows; no system call is made under it
	quota     int64      // -1 unlimited
	published int64      // bytes of regular files under their names
	used      int64      // published, stages and parts, and what was granted and is not written yet
	slack     int64      // of used: granted and not written yet
	freed     chan struct{}
	next      uint64            // the number of the next stage
	entries   map[uint64]*entry // all stages and parts
	parts     parts
	fresh     map[Path]*entry // names held by uploads that want them new

	hook func(step string) error // for tests: called before each step that changes the disk or reads to hash; an error takes its place
}

// entry is one file of ours: a stage or a part. All but id and owner is guarded by Home.mu.
type entry struct {
	id     uint64
	owner  string
	path   Path
	from   int64 // of a stage: it begins with so many bytes of the file; alone they are not worth a part
	random bool  // written out of order
	whole  int64 // of such a stage: so many bytes stand before its first gap, as far as the ledger knows
	synced int64 // so many bytes of it are on stable storage
	size   int64 // of a part
	time   time.Time
	kept   *kept // of a part
}

// owned is what a part is found by.
type owned struct {
	owner string
	path  Path
}

func (e *entry) key() owned { return owned{e.owner, e.path} }

// name is the entry's file name in stage or part.
func (e *entry) name() string { return strconv.FormatUint(e.id, 10) }

func (h *Home) step(name string) error {
	if h.hook == nil {
		return nil
	}
	return h.hook(name)
}

// enter begins an operation; leave ends it.
func (h *Home) enter() error {
	h.life.RLock()
	if h.closed {
		h.life.RUnlock()
		return fault.New(fault.Stopped, "the home is closed")
	}
	return nil
}

func (h *Home) leave() { h.life.RUnlock() }

// Close waits for running commits and closes the home. Uploads that are still open are parked by the next OpenHome.
func (h *Home) Close() error {
	h.life.Lock()
	defer h.life.Unlock()
	if h.closed {
		return nil
	}
	h.closed = true
	h.syncParts()
	err := h.checkpoint(true)
	if err := h.saveSums(); err != nil {
		h.opts.Log.Warn("the hashes of files could not be kept", "err", err)
	}
	h.shut()
	return err
}

// IsAt reports whether dir names the home's directory, as it did when it was opened: somebody may have moved it away.
func (h *Home) IsAt(dir string) bool {
	now, err := os.Stat(dir)
	was, werr := h.top.f.Stat()
	return err == nil && werr == nil && os.SameFile(was, now)
}

// syncParts makes parts durable that are not yet (without Options.Strict), so that they outlive the machine's boot.
func (h *Home) syncParts() {
	for e := range h.parts.all {
		if e.synced == e.size {
			continue
		}
		if f, err := h.openOwn(h.part, e); err == nil {
			if datasync(f) == nil {
				e.synced = e.size
			}
			f.Close()
		}
	}
}

// shut closes what is open and does no more.
func (h *Home) shut() {
	h.ledger.mu.Lock()
	defer h.ledger.mu.Unlock()
	if h.ledger.f != nil {
		h.ledger.f.Close()
	}
	if h.ledger.dir != nil {
		h.ledger.dir.unlock()
	}
	h.dirs.close()
	for _, d := range []*dir{h.ledger.dir, h.stage, h.part, h.top} {
		if d != nil {
			d.close()
		}
	}
	h.root.Close()
}

// checkpoint writes the ledger anew.
func (h *Home) checkpoint(clean bool) error {
	return h.ledger.rewrite(func() []byte {
		h.mu.Lock()
		defer h.mu.Unlock()
		s := state{
			boot: h.boot, strict: h.opts.Strict, clean: clean, published: h.published, next: h.next,
			entries: h.entries,
		}
		return s.encode()
	}, h.opts.Strict || clean)
}

// record appends to the ledger; one that is broken or long is written anew first. Not for who leads a batch.
func (h *Home) record(records []byte) error {
	if h.ledger.bad() || h.ledger.long() {
		h.leader.Lock()
		err := h.checkpoint(false)
		h.leader.Unlock()
		if err != nil {
			return err
		}
	}
	return h.ledger.append(records)
}

// As returns the home's Store as owner sees it: parts belong to owner. It is a Parter, a Summer and a Spacer.
func (h *Home) As(owner string) *Local { return &Local{home: h, owner: owner} }

// Space tells used bytes, quota and what the disk beneath has free.
func (h *Home) Space(ctx context.Context) (Space, error) {
	if err := h.enter(); err != nil {
		return Space{}, err
	}
	defer h.leave()
	free := h.top.free()
	h.mu.Lock()
	defer h.mu.Unlock()
	return Space{Used: h.used - h.slack, Quota: h.quota, Free: free}, nil
}

// SetQuota changes the quota, effective for the next reservation; -1 is unlimited.
func (h *Home) SetQuota(n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.quota = n
	h.wake()
}

// Check counts the home on the disk and compares; with fix the ledger is set to what was counted. No name changes
// while it counts.
func (h *Home) Check(ctx context.Context, fix bool) (recorded, counted int64, err error) {
	if err := h.enter(); err != nil {
		return 0, 0, err
	}
	defer h.leave()
	h.leader.Lock()
	defer h.leader.Unlock()
	n, err := h.count(ctx, Root)
	if err != nil {
		return 0, 0, err
	}
	h.mu.Lock()
	recorded = h.used - h.slack
	counted = recorded - h.published + n
	if fix {
		h.used += n - h.published
		h.published = n
		h.wake()
	}
	h.mu.Unlock()
	if fix {
		err = h.checkpoint(false)
	}
	return recorded, counted, err
}

// count sums the regular files under p, without what is ours. However deep they lie, one directory is open at a time.
func (h *Home) count(ctx context.Context, p Path) (total int64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, classify(context.Cause(ctx), p)
	}
	total, dirs, err := h.countIn(p)
	for _, name := range dirs {
		if err != nil {
			break
		}
		var below int64
		if below, err = h.count(ctx, p.below(name)); fault.KindOf(err) == fault.NotExist {
			err = nil
		}
		total += below
	}
	return total, err
}

// countIn is count for p alone, and returns the directories in it.
func (h *Home) countIn(p Path) (total int64, dirs []string, err error) {
	d, err := h.openDir(p)
	if err != nil {
		return 0, nil, err
	}
	defer d.close()
	nodes := make([]node, 512)
	for {
		names, err := d.f.Readdirnames(len(nodes))
		d.lstats(names, nodes)
		for i, name := range names {
			switch n := nodes[i]; {
			case n.mode.IsRegular():
				total += n.size
			case n.mode.IsDir() && !(p.IsRoot() && name == Hidden) && !h.isOwn(n.id):
				dirs = append(dirs, name)
			}
		}
		if len(names) == 0 {
			return total, dirs, endOfDir(err, p)
		}
	}
}

// Expire removes parts older than Options.PartAge and returns how many went.
func (h *Home) Expire(ctx context.Context) (int, error) {
	if err := h.enter(); err != nil {
		return 0, err
	}
	defer h.leave()
	old := time.Now().Add(-h.opts.PartAge)
	var gone []*entry
	h.mu.Lock()
	for e := range h.parts.all {
		if e.time.Before(old) {
			gone = append(gone, e)
		}
	}
	for _, e := range gone {
		h.parts.take(e.key())
	}
	h.mu.Unlock()
	return len(gone), h.discard(h.part, gone...)
}

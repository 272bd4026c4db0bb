package files

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strconv"
	"sync"
	"time"

	"sampan/fault"
)

// Mem is a Store in memory, with owners, parts and a quota as a home has them: for tests, and the model that Local is
// held against. It is a Parter, a Summer and a Spacer.
type Mem struct {
	tree  *memTree
	owner string
}

// memTree is what the Mems of all owners share.
type memTree struct {
	mu    sync.Mutex
	quota int64
	used  int64 // files, stages, parts, and what was granted
	slack int64 // of used: granted and not written yet
	tag   int64
	nodes map[Path]*memNode // never the root
	parts map[owned]*memNode
	fresh map[Path]*memUpload
	live  map[*memUpload]bool
}

type memNode struct {
	mode  fs.FileMode
	data  []byte
	mtime time.Time
	tag   int64
}

// NewMem returns an empty tree; quota is in bytes, -1 unlimited. It belongs to owner "".
func NewMem(quota int64) *Mem {
	return &Mem{tree: &memTree{
		quota: quota, nodes: map[Path]*memNode{}, parts: map[owned]*memNode{},
		fresh: map[Path]*memUpload{}, live: map[*memUpload]bool{},
	}}
}

// As returns the tree as owner sees it.
func (m *Mem) As(owner string) *Mem { return &Mem{m.tree, owner} }

// SetQuota changes the quota.
func (m *Mem) SetQuota(n int64) {
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	m.tree.quota = n
}

// Space implements Spacer.
func (m *Mem) Space(ctx context.Context) (Space, error) {
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	return Space{Used: m.tree.used - m.tree.slack, Quota: m.tree.quota, Free: -1}, nil
}

// get returns the node at p; nil data for the root.
func (t *memTree) get(p Path) (*memNode, error) {
	if p.IsRoot() {
		return &memNode{mode: fs.ModeDir | 0o755}, nil
	}
	if err := t.isDir(p.Dir()); err != nil {
		return nil, err
	}
	if n := t.nodes[p]; n != nil {
		return n, nil
	}
	return nil, notThere(p)
}

func (t *memTree) isDir(p Path) error {
	n, err := t.get(p)
	if err == nil && !n.mode.IsDir() {
		err = fault.New(fault.NotDir, "%s: not a directory", p)
	}
	return err
}

func (m *Mem) info(p Path, n *memNode) Info {
	i := Info{Path: p, Size: int64(len(n.data)), ModTime: n.mtime, Mode: n.mode, Part: -1, Tag: strconv.FormatInt(n.tag, 36)}
	if part := m.tree.parts[owned{m.owner, p}]; part != nil {
		i.Part = int64(len(part.data))
	}
	return i
}

// Stat implements Store.
func (m *Mem) Stat(ctx context.Context, p Path) (Info, error) {
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	p = m.spelled(p)
	n, err := m.tree.get(p)
	if err == nil {
		return m.info(p, n), nil
	}
	if part := m.tree.parts[owned{m.owner, p}]; part != nil && fault.KindOf(err) == fault.NotExist {
		size := int64(len(part.data))
		return Info{Path: p, Size: size, ModTime: part.mtime, Mode: fs.ModeIrregular | 0o600, Part: size}, nil
	}
	return Info{}, err
}

// List implements Store.
func (m *Mem) List(ctx context.Context, p Path) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		m.tree.mu.Lock()
		p := m.spelled(p)
		err := m.tree.isDir(p)
		var found []Info
		for q, n := range m.tree.nodes {
			if q.Dir() == p {
				found = append(found, m.info(q, n))
			}
		}
		m.tree.mu.Unlock()
		if err != nil {
			yield(Info{}, err)
			return
		}
		for _, i := range found {
			if ctx.Err() != nil {
				yield(Info{}, classify(context.Cause(ctx), p))
				return
			}
			if !yield(i, nil) {
				return
			}
		}
	}
}

// Open implements Store.
func (m *Mem) Open(ctx context.Context, p Path, off int64) (io.ReadCloser, Info, error) {
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	p = m.spelled(p)
	n, err := m.tree.file(p)
	if err != nil {
		return nil, Info{}, err
	}
	if off < 0 || off > int64(len(n.data)) {
		return nil, Info{}, beyond(p, off, int64(len(n.data)))
	}
	r := bytes.NewReader(n.data) // published data is never written again
	if _, err := r.Seek(off, io.SeekStart); err != nil {
		return nil, Info{}, err
	}
	return memReader{r}, m.info(p, n), nil
}

type memReader struct{ *bytes.Reader }

func (memReader) Close() error { return nil }

func (t *memTree) file(p Path) (*memNode, error) {
	n, err := t.get(p)
	if err == nil && n.mode.IsDir() {
		return nil, fault.New(fault.IsDir, "%s: is a directory", p)
	}
	return n, err
}

// Mkdir implements Store.
func (m *Mem) Mkdir(ctx context.Context, p Path) error {
	if p.IsRoot() {
		return taken(p)
	}
	if err := p.CheckNew(); err != nil {
		return err
	}
	t := m.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	p = m.spelled(p)
	if err := t.isDir(p.Dir()); err != nil {
		return err
	}
	if t.nodes[p] != nil {
		return taken(p)
	}
	t.nodes[p] = t.node(fs.ModeDir|0o755, nil)
	return nil
}

func (t *memTree) node(mode fs.FileMode, data []byte) *memNode {
	t.tag++
	return &memNode{mode: mode, data: data, mtime: time.Now(), tag: t.tag}
}

// Remove implements Store.
func (m *Mem) Remove(ctx context.Context, p Path) error {
	if p.IsRoot() {
		return fault.New(fault.BadName, "the root cannot be removed")
	}
	t := m.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	p = m.spelled(p)
	n, err := t.get(p)
	if err != nil {
		k := owned{m.owner, p}
		if part := t.parts[k]; part != nil && fault.KindOf(err) == fault.NotExist {
			t.dropPart(k)
			return nil
		}
		return err
	}
	for q := range t.nodes {
		if q != p && p.Holds(q) {
			return fault.New(fault.NotEmpty, "%s: the directory is not empty", p)
		}
	}
	t.used -= int64(len(n.data))
	delete(t.nodes, p)
	t.dropParts(p.Holds)
	return nil
}

func (t *memTree) dropPart(k owned) {
	if part := t.parts[k]; part != nil {
		t.used -= int64(len(part.data))
		delete(t.parts, k)
	}
}

func (t *memTree) dropParts(which func(Path) bool) {
	for k := range t.parts {
		if which(k.path) {
			t.dropPart(k)
		}
	}
}

// Rename implements Store.
func (m *Mem) Rename(ctx context.Context, from, to Path, replace bool) error {
	if from.IsRoot() {
		return fault.New(fault.BadName, "the root cannot be renamed")
	}
	if err := to.CheckNew(); err != nil {
		return err
	}
	t := m.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	asked := from
	from = m.spelled(from)
	to = to.target(asked, from, m.spelled)
	if from != to && from.Holds(to) {
		return fault.New(fault.BadName, "%s: cannot be moved into itself", from)
	}
	n, err := t.get(from)
	if err != nil || from == to {
		return err
	}
	if err := t.isDir(to.Dir()); err != nil {
		return err
	}
	old := t.nodes[to]
	if old != nil && (!replace || n.mode.IsDir() || old.mode.IsDir()) {
		return taken(to)
	}
	if old != nil {
		t.used -= int64(len(old.data))
	}
	t.dropParts(func(p Path) bool { return p == from || p == to })
	t.move(from, to, n.mode.IsDir())
	return nil
}

// move renames a node and, for a directory, what lies and what is being uploaded below it.
func (t *memTree) move(from, to Path, isDir bool) {
	nodes := map[Path]*memNode{}
	for p, n := range t.nodes {
		if from.Holds(p) {
			nodes[p.moved(from, to)] = n
			delete(t.nodes, p)
		}
	}
	for p, n := range nodes {
		t.nodes[p] = n
	}
	if !isDir {
		return
	}
	parts := map[owned]*memNode{}
	for k, n := range t.parts {
		if from.Holds(k.path) {
			parts[owned{k.owner, k.path.moved(from, to)}] = n
			delete(t.parts, k)
		}
	}
	for k, n := range parts {
		t.parts[k] = n
	}
	for u := range t.live {
		if t.fresh[u.path] == u {
			delete(t.fresh, u.path)
			t.fresh[u.path.moved(from, to)] = u
		}
		u.path = u.path.moved(from, to)
	}
}

// Set implements Store.
func (m *Mem) Set(ctx context.Context, p Path, a Attr) error {
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	n, err := m.tree.get(m.spelled(p))
	if err == nil {
		err = a.check(p)
	}
	if err != nil {
		return err
	}
	if a.Mode != nil {
		n.mode = n.mode.Type() | a.mode(n.mode.IsDir())
	}
	if a.ModTime != nil {
		n.mtime = *a.ModTime
	}
	return nil
}

// Sum implements Summer.
func (m *Mem) Sum(ctx context.Context, p Path, algo string, off, n int64) ([]byte, error) {
	h, err := newHash(algo)
	if err != nil {
		return nil, err
	}
	r, i, err := m.Open(ctx, p, off)
	if err != nil {
		return nil, err
	}
	if n < 0 {
		n = i.Size - off
	}
	if n > i.Size-off {
		return nil, beyond(p, off+n, i.Size)
	}
	if _, err := io.CopyN(h, r, n); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}

// Part implements Parter.
func (m *Mem) Part(ctx context.Context, p Path) (PartInfo, error) {
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	part := m.tree.parts[owned{m.owner, m.spelled(p)}]
	if part == nil {
		return PartInfo{}, noPart(p)
	}
	h, err := newHash("SHA-256")
	if err != nil {
		return PartInfo{}, err
	}
	h.Write(part.data)
	return PartInfo{Size: int64(len(part.data)), Sum: h.Sum(nil), Time: part.mtime}, nil
}

// DropPart implements Parter.
func (m *Mem) DropPart(ctx context.Context, p Path) error {
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	k := owned{m.owner, m.spelled(p)}
	if m.tree.parts[k] == nil {
		return noPart(p)
	}
	m.tree.dropPart(k)
	return nil
}

// memUpload is an upload into a memTree, whose lock guards it.
type memUpload struct {
	m       *Mem
	path    Path
	want    Want
	data    []byte
	head    *memNode  // whose head was copied, if any
	seen    time.Time // its time then
	filled  spans
	granted int64
	full    bool
	altered bool
	stale   bool
	tried   bool
	over    bool
}

// Create implements Store.
func (m *Mem) Create(ctx context.Context, p Path, w Want) (Upload, error) {
	if err := p.CheckNew(); err != nil {
		return nil, err
	}
	t := m.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	p = m.spelled(p)
	if err := m.mayCreate(p, w); err != nil {
		return nil, err
	}
	u := &memUpload{m: m, path: p, want: w}
	k := owned{m.owner, p}
	part := t.parts[k]
	switch {
	case w.Part && part == nil:
		return nil, noPart(p)
	case w.Part && int64(len(part.data)) != w.From:
		return nil, notPart(p, int64(len(part.data)), w.From)
	case w.Part:
		u.data = part.data
		delete(t.parts, k)
	case w.From > 0 || w.All:
		n, err := t.file(p)
		if gone := err != nil && fault.KindOf(err) == fault.NotExist; gone && w.From == 0 {
			break
		} else if gone {
			err = beyond(p, w.From, 0)
		}
		if err != nil {
			return nil, err
		}
		switch size := int64(len(n.data)); {
		case w.From > size:
			return nil, beyond(p, w.From, size)
		case w.All && w.From < size:
			return nil, changedMeanwhile(p)
		}
		if missing := t.missing(w.From); w.From > 0 && missing > 0 {
			return nil, overQuota(t.quota, missing)
		}
		t.used += w.From
		u.data, u.head, u.seen = slices.Clone(n.data[:w.From]), n, n.mtime
	}
	if w.New {
		t.fresh[p] = u
	}
	u.filled.add(0, w.From)
	t.live[u] = true
	return u, nil
}

// missing returns how many of n bytes there is no room for.
func (t *memTree) missing(n int64) int64 {
	if t.quota < 0 {
		return 0
	}
	return max(0, n-(t.quota-t.used))
}

func (m *Mem) mayCreate(p Path, w Want) error {
	t := m.tree
	n, err := t.get(p)
	part := t.parts[owned{m.owner, p}]
	switch {
	case err != nil && fault.KindOf(err) != fault.NotExist:
		return err
	case err != nil && t.isDir(p.Dir()) != nil:
		return t.isDir(p.Dir())
	case err == nil && n.mode.IsDir():
		return fault.New(fault.IsDir, "%s: is a directory", p)
	case err == nil && w.New, w.New && t.fresh[p] != nil:
		return taken(p)
	case w.From < 0:
		return beyond(p, w.From, 0)
	case w.From > 0 && !w.Part && part != nil:
		return parkedThere(p, int64(len(part.data)))
	}
	need := w.Size
	if w.Part {
		need -= w.From
	} else if part != nil {
		need -= int64(len(part.data))
	}
	if missing := t.missing(need - t.slack); w.Size >= 0 && need > 0 && missing > 0 {
		return overQuota(t.quota, missing)
	}
	return nil
}

// grant reserves as upload.grant does. The lock is held.
func (u *memUpload) grant(least, want int64) (int64, error) {
	t := u.m.tree
	if u.over {
		return 0, ended()
	}
	if want <= u.granted {
		return want, nil
	}
	least = max(0, least-u.granted)
	if t.missing(least) > 0 && u.want.From == 0 {
		t.dropPart(owned{u.m.owner, u.path})
	}
	missing := t.missing(least)
	if u.full = missing > 0; u.full {
		return 0, overQuota(t.quota, max(missing, u.want.Size-int64(len(u.data))-u.granted))
	}
	got := want - u.granted
	got -= min(t.missing(got), got)
	t.used += got
	t.slack += got
	u.granted += got
	return u.granted, nil
}

// Room implements Upload.
func (u *memUpload) Room(want int64) (int64, error) {
	u.m.tree.mu.Lock()
	defer u.m.tree.mu.Unlock()
	if left := u.want.Size - int64(len(u.data)); left > 0 {
		want = min(want, left)
	}
	return u.grant(min(want, 1), want)
}

// Write implements Upload.
func (u *memUpload) Write(b []byte) (int, error) {
	u.m.tree.mu.Lock()
	defer u.m.tree.mu.Unlock()
	return u.put(b, int64(len(u.data)))
}

// WriteAt implements Upload.
func (u *memUpload) WriteAt(b []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(b)) < off {
		return 0, badOffset(off)
	}
	u.m.tree.mu.Lock()
	defer u.m.tree.mu.Unlock()
	n, err := u.put(b, off)
	u.altered = u.altered || n > 0 && off < u.want.From && !u.want.Part
	return n, err
}

// ReadFrom appends what src has; what was granted and is not needed is given back.
func (u *memUpload) ReadFrom(src io.Reader) (int64, error) {
	n, err := copyBuffered(struct{ io.Writer }{u}, src, nil)
	u.m.tree.mu.Lock()
	defer u.m.tree.mu.Unlock()
	u.giveBack()
	return n, err
}

func (u *memUpload) put(b []byte, off int64) (int, error) {
	if len(b) == 0 && !u.over {
		return 0, nil
	}
	t := u.m.tree
	end := off + int64(len(b))
	grow := max(0, end-int64(len(u.data)))
	if _, err := u.grant(grow, grow); err != nil {
		return 0, err
	}
	if len(u.data) == 0 {
		t.dropPart(owned{u.m.owner, u.path})
	}
	u.data = append(u.data, make([]byte, grow)...)
	u.granted -= grow
	t.slack -= grow
	copy(u.data[off:], b)
	u.filled.add(off, end)
	return len(b), nil
}

// Size implements Upload.
func (u *memUpload) Size() int64 {
	u.m.tree.mu.Lock()
	defer u.m.tree.mu.Unlock()
	return u.filled.whole()
}

func (u *memUpload) giveBack() {
	t := u.m.tree
	t.used -= u.granted
	t.slack -= u.granted
	u.granted = 0
}

// end gives back what was granted and takes the upload off the lists. The lock is held.
func (u *memUpload) end() {
	t := u.m.tree
	u.giveBack()
	u.over = true
	delete(t.live, u)
	if t.fresh[u.path] == u {
		delete(t.fresh, u.path)
	}
}

// behind reports whether it went on behind a file that is another one by now.
func (u *memUpload) behind(now *memNode) bool {
	if u.head == nil {
		return u.want.All && !u.want.Part && now != nil
	}
	return now != u.head || !now.mtime.Equal(u.seen)
}

// Commit implements Upload.
func (u *memUpload) Commit(ctx context.Context, sure func() error) (Info, error) {
	t := u.m.tree
	t.mu.Lock()
	u.tried = true
	over, p := u.over, u.path
	t.mu.Unlock()
	if over {
		return Info{}, ended()
	}
	if ctx.Err() != nil {
		return Info{}, classify(context.Cause(ctx), p)
	}
	if sure != nil {
		if err := sure(); err != nil {
			return Info{}, err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p = u.path.spelled(t.has) // a twin may have come meanwhile
	if err := t.isDir(p.Dir()); err != nil {
		return Info{}, err
	}
	if u.stale = u.behind(t.nodes[p]); u.stale {
		return Info{}, changedMeanwhile(p)
	}
	mode := fs.FileMode(0o644)
	if old := t.nodes[p]; old != nil {
		if old.mode.IsDir() {
			return Info{}, fault.New(fault.IsDir, "%s: is a directory", p)
		}
		if u.want.New {
			return Info{}, taken(p)
		}
		mode = old.mode
		t.used -= int64(len(old.data))
	}
	u.end()
	t.dropParts(func(q Path) bool { return q == p || q == u.path })
	t.nodes[p] = t.node(mode, u.data)
	return u.m.info(p, t.nodes[p]), nil
}

// Close implements Upload.
func (u *memUpload) Close() error {
	t := u.m.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	if u.over {
		return nil
	}
	u.end()
	keep := u.want.parks(u.filled.whole(), u.full && !u.tried || u.altered || u.stale)
	t.used -= int64(len(u.data)) - keep
	if keep > 0 {
		k := owned{u.m.owner, u.path}
		t.dropPart(k)
		t.parts[k] = t.node(0, u.data[:keep])
	}
	return nil
}

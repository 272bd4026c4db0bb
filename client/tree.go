package client

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"sampan/fault"
	"sampan/files"
	"sampan/words"
)

// Limits of a tree: a hostile server must not keep us for ever.
const (
	maxDepth   = 200
	maxEntries = 5_000_000 // in one directory
)

// TreeResult adds up a tree copy.
type TreeResult struct {
	Files, Dirs, Skipped, Failed int
	Bytes                        int64
	Took                         time.Duration
}

// Usage is what Du counts.
type Usage struct {
	Files, Dirs int
	Bytes       int64
}

// CopyTree copies the directory from (or one file) to the name to, making directories as needed. each, which may be
// nil, hears of every file, with its error; a file that fails does not stop the others. The error is that of the
// last file that failed, or what ended the whole.
func CopyTree(ctx context.Context, src files.Store, from files.Path, dst files.Store, to files.Path, o CopyOptions, each func(Result, error)) (TreeResult, error) {
	t := &tree{src: src, dst: dst, o: o, each: each}
	begin := time.Now()
	info, err := src.Stat(ctx, from)
	switch {
	case err != nil:
	case info.Mode.IsDir() && src == dst && from.Holds(to):
		err = fault.New(fault.BadName, "%s: a directory cannot be copied into itself", from.String())
	case info.Mode.IsDir():
		if r := t.canFly(); r != nil {
			err = t.fly(ctx, r, from, to)
			break
		}
		if n := t.canSwarm(); n > 0 {
			t.swarm = t.swarms(ctx, n)
			ctx = t.swarm.ctx
		}
		err = t.dir(ctx, from, to, 0)
		if t.swarm != nil {
			if ended := t.swarm.wait(); err == nil {
				err = ended
			}
		}
	default:
		err = t.file(ctx, from, to)
	}
	t.r.Took = time.Since(begin)
	if err == nil {
		err = t.last
	}
	return t.r, err
}

// tree is one CopyTree.
type tree struct {
	src, dst files.Store
	o        CopyOptions
	each     func(Result, error)
	swarm    *swarm // nil where files go one after another

	mu   sync.Mutex // held while a file is counted and reported
	r    TreeResult
	last error
}

// file copies one file. The error, if any, ends the whole.
func (t *tree) file(ctx context.Context, from, to files.Path) error {
	r, err := Copy(ctx, t.src, from, t.dst, to, t.o)
	return t.tell(ctx, r, err)
}

// tell counts a file and reports it. What would fail for every other file too ends the whole.
func (t *tree) tell(ctx context.Context, r Result, err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	t.r.Bytes += r.Bytes
	switch {
	case err != nil:
		t.r.Failed++
		t.last = err
	case r.Skipped || r.Kept:
		t.r.Skipped++
	default:
		t.r.Files++
	}
	if t.each != nil {
		t.each(r, err)
	}
	if err != nil {
		switch fault.KindOf(err) {
		case fault.GaveUp, fault.Unauth, fault.Untrusted, fault.Stopped:
			return err
		}
	}
	return nil
}

func (t *tree) dir(ctx context.Context, from, to files.Path, depth int) error {
	if depth > maxDepth {
		return t.tell(ctx, Result{From: from, To: to}, fault.New(fault.Stopped, "%s: directories are nested too deep", from.String()))
	}
	var entries []files.Info
	var there *present
	var odd error
	again := &copying{src: t.src, dst: t.dst, o: t.o, r: Result{From: from, To: to}}
	err := again.retry(ctx, func(ctx context.Context) (err error) {
		if entries, odd, err = list(ctx, t.src, from); err != nil {
			return err
		}
		there, err = t.prepare(ctx, to, len(entries))
		return err
	})
	if err != nil {
		return t.tell(ctx, Result{From: from, To: to}, err)
	}
	t.mu.Lock()
	t.r.Dirs++
	t.mu.Unlock()
	if depth == 0 {
		entries, odd = chosen(entries, odd, t.o.Only)
	}
	if odd != nil {
		if err := t.tell(ctx, Result{From: from, To: to}, odd); err != nil {
			return err
		}
	}
	seen := map[string]string{}
	for _, i := range entries {
		if err := t.entry(ctx, i, to, depth, seen, there); err != nil {
			return err
		}
	}
	return nil
}

// chosen returns those of a list's entries that only says, all if it is nil. Of names that nobody chose nothing is odd.
func chosen(entries []files.Info, odd error, only func(files.Info) bool) ([]files.Info, error) {
	if only == nil {
		return entries, odd
	}
	return slices.DeleteFunc(entries, func(i files.Info) bool { return !only(i) }), nil
}

// entry copies one entry of a directory into to. seen holds what was copied there, as this machine's disk tells names
// apart; there is what was there before.
func (t *tree) entry(ctx context.Context, i files.Info, to files.Path, depth int, seen map[string]string, there *present) error {
	q, err := to.Join(i.Path.Base())
	if err == nil && onDisk(t.dst) {
		err = distinct(runtime.GOOS, i.Path.Base(), seen)
	}
	if err != nil {
		return t.tell(ctx, Result{From: i.Path, To: q}, err)
	}
	if i.Mode&fs.ModeSymlink != 0 {
		target, err := t.src.Stat(ctx, i.Path)
		if err != nil {
			return t.tell(ctx, Result{From: i.Path, To: q}, err)
		}
		if target.Mode.IsDir() {
			if t.o.Say != nil {
				t.o.Say(words.M("%s: a link to a directory, left out", i.Path.String()))
			}
			return nil
		}
	}
	switch {
	case i.Mode.IsDir() && t.swarm != nil:
		return t.swarm.dir(i.Path, q, depth+1)
	case i.Mode.IsDir():
		return t.dir(ctx, i.Path, q, depth+1)
	case t.swarm != nil:
		return t.swarm.file(i, q, there.sight(q))
	}
	return t.file(ctx, i.Path, q)
}

// distinct refuses a name that the system's disk would take for one that was copied before.
func distinct(system, name string, seen map[string]string) error {
	mapped, err := localName(system, name)
	if err != nil {
		return err
	}
	if foldsCase(system) {
		mapped = fold(mapped)
	}
	if twin, ok := seen[mapped]; ok && twin != name {
		return fault.New(fault.BadName, "%s: this machine takes it for the same name as %s", name, twin)
	}
	seen[mapped] = name
	return nil
}

// present is what a directory of the target holds; nil if it was not looked at.
type present struct{ entries map[string]files.Info }

// sight tells what is there under a name, nil if a look has to tell.
func (p *present) sight(q files.Path) *sight {
	if p == nil {
		return nil
	}
	i, there := p.entries[q.Base()]
	switch {
	case !there:
		return &sight{info: files.Info{Path: q, Part: -1}, sure: true}
	case i.Mode.IsRegular():
		return &sight{info: i, there: true, sure: true}
	}
	return nil
}

// mkdir makes a directory that may be there already; made reports that it was not.
func (t *tree) mkdir(ctx context.Context, p files.Path) (made bool, err error) {
	if p.IsRoot() {
		return false, nil
	}
	err = t.dst.Mkdir(ctx, p)
	k := fault.KindOf(err)
	if err == nil || k != fault.Exist && k != fault.Denied {
		return err == nil, err
	}
	i, err2 := t.dst.Stat(ctx, p)
	switch {
	case err2 == nil && i.Mode.IsDir(): // who may not make any may still put into it
		return false, nil
	case err2 != nil && k == fault.Exist:
		return false, err2
	}
	return false, err
}

// prepare makes a directory for so many files and tells what is in it. A remote one is listed only for many files: that takes fewer
// round trips than a look at each name.
func (t *tree) prepare(ctx context.Context, p files.Path, many int) (*present, error) {
	made, err := t.mkdir(ctx, p)
	switch _, far := t.dst.(*sshRemote); {
	case err != nil:
		return nil, err
	case made:
		return &present{}, nil
	case !far || many < worthListing:
		return nil, nil
	}
	there := &present{entries: map[string]files.Info{}}
	for i, err := range t.dst.List(ctx, p) {
		if err != nil || len(there.entries) > 10*many {
			return nil, nil // each name is looked at
		}
		there.entries[i.Path.Base()] = i
	}
	return there, nil
}

// worthListing is for how many files a directory of the target is listed.
const worthListing = 8

// list returns the entries of a directory by name. odd is an error about names that cannot be used; the others are
// there nevertheless.
func list(ctx context.Context, s files.Store, p files.Path) (entries []files.Info, odd, err error) {
	for i, err := range s.List(ctx, p) {
		switch {
		case err != nil && fault.KindOf(err) == fault.BadName:
			odd = err
		case err != nil:
			return nil, nil, err
		case len(entries) == maxEntries:
			return nil, nil, fault.New(fault.Stopped, "%s: the listing has no end", p.String())
		default:
			entries = append(entries, i)
		}
	}
	slices.SortFunc(entries, func(a, b files.Info) int { return strings.Compare(a.Path.Base(), b.Path.Base()) })
	return entries, odd, nil
}

// errEnough ends a walk that nobody listens to any more.
var errEnough = errors.New("enough")

// Walk yields p and everything below it, directories before what they hold, names in order. Links to directories are
// not entered. An error is yielded with the Info of the directory that could not be read, and the walk goes on.
func Walk(ctx context.Context, s files.Store, p files.Path) iter.Seq2[files.Info, error] {
	return func(yield func(files.Info, error) bool) {
		i, err := s.Stat(ctx, p)
		if err != nil {
			yield(files.Info{Path: p, Part: -1}, err)
			return
		}
		walk(ctx, s, i, 0, yield)
	}
}

func walk(ctx context.Context, s files.Store, i files.Info, depth int, yield func(files.Info, error) bool) error {
	if !yield(i, nil) {
		return errEnough
	}
	if !i.Mode.IsDir() {
		return nil
	}
	entries, odd, err := list(ctx, s, i.Path)
	if err == nil && depth > maxDepth {
		err = fault.New(fault.Stopped, "%s: directories are nested too deep", i.Path.String())
	}
	if err == nil {
		err = odd
	}
	if err != nil && !yield(i, err) {
		return errEnough
	}
	for _, e := range entries {
		if depth > maxDepth {
			break
		}
		if err := walk(ctx, s, e, depth+1, yield); err != nil {
			return err
		}
	}
	return nil
}

// Du adds up p and everything below it. What cannot be read is left out; the error says what was the last of it.
func Du(ctx context.Context, s files.Store, p files.Path) (u Usage, last error) {
	for i, err := range Walk(ctx, s, p) {
		switch {
		case err != nil:
			last = err
		case i.Mode.IsDir():
			u.Dirs++
		default:
			u.Files++
			u.Bytes += i.Size
		}
	}
	return u, last
}

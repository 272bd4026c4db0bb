package client

import (
	"context"
	"errors"
	"slices"
	"sync"

	"sampan/fault"
	"sampan/files"
)

// removalsAtOnce is how many names are removed at a time where one connection takes any number of requests: SFTP, and FTP with a
// server that is known to take commands ahead.
const removalsAtOnce = 64

// A removal is one RemoveTree.
type removal struct {
	s    files.Store
	only func(files.Info) bool // which entries of the directory itself are to go; nil for all
	each func(files.Path, error)
	mu   sync.Mutex    // held while the caller is called back
	room chan struct{} // full while so many others are at it
}

// RemoveTree removes p and everything below it; links are removed, never what they point to. each, which may be nil,
// hears of every entry, of a directory after what was in it. What fails does not stop the rest; the error is the last one.
func RemoveTree(ctx context.Context, s files.Store, p files.Path, each func(files.Path, error)) error {
	return newRemoval(s, each).tree(ctx, p, 0)
}

// RemoveIn removes those entries of the directory p for which only says so, as RemoveTree does.
func RemoveIn(ctx context.Context, s files.Store, p files.Path, only func(files.Info) bool, each func(files.Path, error)) error {
	r := newRemoval(s, each)
	r.only = only
	return r.empty(ctx, p, 0)
}

func newRemoval(s files.Store, each func(files.Path, error)) *removal {
	r := &removal{s: s, each: each}
	if _, ok := s.(*sshRemote); ok {
		r.room = make(chan struct{}, removalsAtOnce-1)
	}
	return r
}

// tree tries to remove p before it looks inside: so a link to a directory goes, whatever a listing says of it.
func (r *removal) tree(ctx context.Context, p files.Path, depth int) error {
	err := errNotTried
	if !p.IsRoot() {
		err = r.s.Remove(ctx, p)
	}
	if err != nil && (p.IsRoot() || fault.KindOf(err) == fault.NotEmpty) {
		if depth > maxDepth {
			err = fault.New(fault.Stopped, "%s: directories are nested too deep", p.String())
		} else if err = r.empty(ctx, p, depth); err == nil && !p.IsRoot() {
			err = r.s.Remove(ctx, p)
		}
	}
	if depth > 0 && fault.KindOf(err) == fault.NotExist {
		err = nil // it was there when the directory was listed: somebody else removed it, or we did and heard no reply
	}
	if !p.IsRoot() {
		r.tell(p, err)
	}
	return err
}

func (r *removal) tell(p files.Path, err error) {
	if r.each != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.each(p, err)
	}
}

var errNotTried = errors.New("not tried")

// empty removes what is in a directory: each entry beside the others when there is room, else at once.
func (r *removal) empty(ctx context.Context, p files.Path, depth int) error {
	entries, last, err := list(ctx, r.s, p)
	if err != nil {
		return err
	}
	if depth == 0 {
		entries, last = chosen(entries, last, r.only)
	}
	if ftp, ok := r.s.(*remote); ok {
		entries = r.ahead(ctx, ftp, entries)
	}
	var mu sync.Mutex
	remove := func(e files.Info) {
		if err := r.tree(ctx, e.Path, depth+1); err != nil {
			mu.Lock()
			defer mu.Unlock()
			last = err
		}
	}
	var running sync.WaitGroup
	for _, e := range entries {
		if ctx.Err() != nil {
			break
		}
		select {
		case r.room <- struct{}{}:
			running.Go(func() {
				defer func() { <-r.room }()
				remove(e)
			})
		default:
			remove(e)
		}
	}
	running.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return last
}

// ahead removes what it can over FTP, many names at a time, and returns what is to be removed one by one.
func (r *removal) ahead(ctx context.Context, ftp *remote, entries []files.Info) (rest []files.Info) {
	for some := range slices.Chunk(entries, removalsAtOnce) {
		gone := ftp.removeFiles(ctx, some)
		for i, e := range some {
			if gone[i] {
				r.tell(e.Path, nil)
			} else {
				rest = append(rest, e)
			}
		}
	}
	return rest
}

// removeFiles sends DELE for all that are no directories at once, if the server is known to take that. It says which are gone.
func (r *remote) removeFiles(ctx context.Context, entries []files.Info) (gone []bool) {
	gone = make([]bool, len(entries))
	var lines []string
	var which []int
	for i, e := range entries {
		if !e.Mode.IsDir() {
			lines, which = append(lines, "DELE "+e.Path.String()), append(which, i)
		}
	}
	_ = r.do(ctx, func(c *control) error { // what fails is tried again, and tells why
		if !c.ours {
			return nil
		}
		replies, err := c.cmds(ctx, true, lines...)
		for k, reply := range replies {
			gone[which[k]] = reply.Done()
		}
		return err
	})
	return gone
}

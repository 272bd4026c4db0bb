package ftpd

import (
	"context"
	"iter"
	"slices"
	"strings"

	"sampan/fault"
	"sampan/files"
)

// Bounds of a listing with -R, with limits.below, which somebody could else make endless, or hold much memory with. One that would pass them
// fails as a whole: a client that mirrors must not take a part of a tree for all of it.
const (
	belowDepth   = 64
	belowPending = 2 << 20 // bytes of names of directories that are still to be listed
)

// A branch is a directory on the way of a walk.
type branch struct {
	path files.Path
	tag  string
	up   *branch
}

// loops reports whether b is one of the directories above it: a link led there.
func (b *branch) loops() bool {
	for a := b.up; a != nil && b.tag != ""; a = a.up {
		if a.tag == b.tag {
			return true
		}
	}
	return false
}

// below yields what is in the directory top and in those below it, one directory after the other.
func (c *conn) below(top files.Info) iter.Seq2[files.Info, error] {
	return func(yield func(files.Info, error) bool) {
		left, pending := c.srv.limits.below, 0
		next := []*branch{{path: top.Path, tag: top.Tag}}
		for len(next) > 0 {
			if c.ctx.Err() != nil {
				yield(files.Info{}, context.Cause(c.ctx))
				return
			}
			b := next[len(next)-1]
			next = next[:len(next)-1]
			pending -= len(b.path.String())
			here := len(next)
			for i, err := range c.sess.List(b.path) {
				if err != nil && b.up != nil && mayVanish(err) {
					break
				}
				if left--; left < 0 {
					err = refuse(550, "There are more than %d entries: list directories one by one", c.srv.limits.below)
				}
				if err == nil && i.Mode.IsDir() {
					child := &branch{i.Path, i.Tag, b}
					pending += len(i.Path.String())
					switch {
					case child.loops():
					case pending > belowPending, strings.Count(under(top.Path, i.Path), "/") >= belowDepth:
						err = refuse(550, "The directories are too many or too deep: list them one by one")
					default:
						next = append(next, child)
					}
				}
				if !yield(i, err) || err != nil {
					return
				}
			}
			slices.Reverse(next[here:])
		}
	}
}

// mayVanish tells what may happen to a directory on the way of a walk: it is gone, or must not be seen.
func mayVanish(err error) bool {
	switch fault.KindOf(err) {
	case fault.NotExist, fault.NotDir, fault.Denied:
		return true
	}
	return false
}

// under returns the name of p as seen from the directory top that holds it.
func under(top, p files.Path) string {
	return strings.TrimPrefix(strings.TrimPrefix(p.String(), top.String()), "/")
}

// heading names a directory in a listing with -R.
func heading(prefix string) string {
	if !strings.HasPrefix(prefix, "/") && !strings.HasPrefix(prefix, ".") {
		prefix = "./" + prefix
	}
	return strings.TrimSuffix(prefix, "/")
}

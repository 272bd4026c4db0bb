package files

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"sampan/fault"
)

// Links are made by hand, past Sampan. One that stays in the home is followed, unless it leads to what is ours: the
// directory that a name really lies in is always looked at (see openDir), and where the last element is a link, what it
// leads to is opened by a name that has no links.

// errLink tells that a name is a link, where links are not followed.
var errLink = errors.New("it is a link")

// maxLinks is how many links lead on from each other, as on most systems.
const maxLinks = 40

// follow returns where p leads: a name without links. Denied if that is outside of the home.
func (h *Home) follow(p Path) (Path, error) {
	out := fault.New(fault.Denied, "%s: leads out of the home", p)
	var at Path
	rest := strings.Split(p.Rel(), "/")
	for links := 0; len(rest) > 0; {
		elem := rest[0]
		rest = rest[1:]
		switch {
		case elem == "" || elem == ".":
			continue
		case elem == ".." && at.IsRoot():
			return Path{}, out
		case elem == "..":
			at = at.Dir()
			continue
		case !at.mayHold(elem):
			return Path{}, notThere(p)
		}
		next := at.below(elem)
		fi, err := h.root.Lstat(next.Rel())
		if err != nil {
			return Path{}, classify(err, p)
		}
		if fi.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		to, err := h.root.Readlink(next.Rel())
		if err != nil {
			return Path{}, classify(err, p)
		}
		if to = filepath.ToSlash(to); strings.HasPrefix(to, "/") || filepath.IsAbs(to) {
			return Path{}, out
		}
		if links++; links > maxLinks {
			return Path{}, out
		}
		rest = append(strings.Split(to, "/"), rest...)
	}
	return at, nil
}

package files

import (
	"path"
	"strings"
	"unicode/utf8"

	"sampan/fault"
)

// Hidden is the directory at the root of every home that holds stages, parts and the ledger. No protocol sees it.
const Hidden = ".sampan"

// A Path is a cleaned, rooted, slash-separated name inside a Store. Only Parse and Join make one, so a Path in hand
// was checked: no "..", no NUL, nothing of ours. The zero Path is the root.
type Path struct{ clean string }

// No name of any protocol holds one of unspeakable, or is longer than maxName bytes.
const (
	unspeakable = "\x00\r\n"
	maxName     = 4096
)

// Root is the top of a Store.
var Root Path

// Parse resolves a name as it came over the wire against base. ".." climbs and stops at the root, as in a shell. A
// name with NUL, CR or LF, or one that leads to our hidden directory, is fault.BadName.
func Parse(base Path, name string) (Path, error) {
	if len(name) > maxName {
		return Path{}, fault.New(fault.BadName, "the name is too long")
	}
	return parse(base, name)
}

// parse is Parse for names of any length: who moves a directory may make those below it longer than can be said.
func parse(base Path, name string) (Path, error) {
	if strings.ContainsAny(name, unspeakable) {
		return Path{}, fault.New(fault.BadName, "the name holds a character that no name may have")
	}
	if !strings.HasPrefix(name, "/") {
		name = base.String() + "/" + name
	}
	clean := path.Clean(name)
	for elem := range strings.SplitSeq(clean, "/") {
		if strings.EqualFold(elem, Hidden) {
			return Path{}, fault.New(fault.BadName, "the name is one of Sampan's own")
		}
	}
	if clean == "/" {
		return Path{}, nil
	}
	return Path{clean}, nil
}

// Join returns the entry elem of directory p. elem is one element: a slash, "." or ".." in it is fault.BadName.
func (p Path) Join(elem string) (Path, error) {
	if elem == "" || elem == "." || elem == ".." || strings.Contains(elem, "/") {
		return Path{}, fault.New(fault.BadName, "the name is not one element")
	}
	return Parse(p, elem)
}

// String returns the rooted name, "/" for the root.
func (p Path) String() string {
	if p.clean == "" {
		return "/"
	}
	return p.clean
}

// Rel returns the name relative to the root as os.Root takes it: "." for the root.
func (p Path) Rel() string {
	if p.clean == "" {
		return "."
	}
	return p.clean[1:]
}

// Base returns the last element, "/" for the root.
func (p Path) Base() string { return path.Base(p.String()) }

// Dir returns the directory that holds p; the root holds itself.
func (p Path) Dir() Path {
	d := path.Dir(p.String())
	if d == "/" {
		return Path{}
	}
	return Path{d}
}

// IsRoot reports whether p is the root.
func (p Path) IsRoot() bool { return p.clean == "" }

// Holds reports whether q is p or lies below it.
func (p Path) Holds(q Path) bool {
	n := len(p.clean)
	return n == 0 || strings.HasPrefix(q.clean, p.clean) && (len(q.clean) == n || q.clean[n] == '/')
}

// below returns entry elem of p, as the disk gave it.
func (p Path) below(elem string) Path { return Path{p.clean + "/" + elem} }

// mayHold reports whether elem, as the disk gave it for an entry of p, is a name that Parse would take.
func (p Path) mayHold(elem string) bool {
	return !strings.ContainsAny(elem, unspeakable) && !strings.EqualFold(elem, Hidden) && len(elem) <= maxName
}

// moved returns where p is after from became to.
func (p Path) moved(from, to Path) Path {
	if !from.Holds(p) {
		return p
	}
	return Path{to.clean + p.clean[len(from.clean):]}
}

// CheckNew refuses, with fault.BadName, a name that should not be made (Create, Mkdir, the target of Rename): the
// root, a last element that is not UTF-8, control characters, an element over 255 bytes. Names that are already there
// are not checked, so that they can still be seen and removed.
func (p Path) CheckNew() error {
	if p.IsRoot() {
		return fault.New(fault.BadName, "the root cannot be replaced")
	}
	if !utf8.ValidString(p.Base()) {
		return fault.New(fault.BadName, "the name is not UTF-8, and of no other charset that is known here")
	}
	for elem := range strings.SplitSeq(p.clean[1:], "/") {
		if len(elem) > 255 {
			return fault.New(fault.BadName, "the name is too long")
		}
		for _, r := range elem {
			if r < 0x20 || r == 0x7f || 0x80 <= r && r < 0xa0 {
				return fault.New(fault.BadName, "control characters are not allowed in new names")
			}
		}
	}
	return nil
}

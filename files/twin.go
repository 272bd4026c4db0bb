package files

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Names that look alike may be different bytes: "é" is one character in NFC, as most systems write it, and two in NFD,
// as some do. Two such names are twins. A Store keeps a name as it was made; it is found by its twin where nothing has
// exactly the name that is asked for, and no name is made beside its twin. What is neither in NFC nor in NFD has no twin:
// so no directory has to be read, and variants of a Chinese character, which Unicode has for equal, are kept apart.

// twin returns the other spelling of name; name itself if there is none, as for ASCII and most Chinese.
func twin(name string) string {
	c, d := norm.NFC.IsNormalString(name), norm.NFD.IsNormalString(name)
	switch {
	case c && !d:
		return norm.NFD.String(name)
	case d && !c:
		return norm.NFC.String(name)
	}
	return name
}

// NFC returns what p has in common with its twins. Permissions hold for all of them.
func (p Path) NFC() Path { return Path{norm.NFC.String(p.clean)} }

// Fold returns what a name has in common with all that some disk takes for it: its twin, and capitals for small letters. Small
// letters come last, for Cherokee folds to capitals (Unicode's CaseFolding.txt), and [cases.Fold] makes small ones of its
// capitals and capitals of its small ones.
func Fold(name string) string {
	if isASCII(name) {
		return strings.ToLower(name)
	}
	return norm.NFC.String(strings.ToLower(cases.Fold().String(norm.NFC.String(name))))
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Fold is that of its name.
func (p Path) Fold() Path { return Path{Fold(p.clean)} }

// spelled returns p as the tree has it: each element that is not there, and whose twin is, becomes its twin.
func (p Path) spelled(there func(Path) bool) Path {
	if norm.NFD.IsNormalString(p.clean) && norm.NFC.IsNormalString(p.clean) || there(p) {
		return p
	}
	var at Path
	for elem := range strings.SplitSeq(p.clean[1:], "/") {
		at = at.below(spelling(elem, func(name string) bool { return there(at.below(name)) }))
	}
	return at
}

// target returns p as the tree has it, where from, which was asked for as asked, is renamed to p: to its own twin too.
func (p Path) target(asked, from Path, spelled func(Path) Path) Path {
	twin := spelled(p)
	switch {
	case p == asked:
		return from
	case twin == from:
		return from.Dir().below(p.Base())
	}
	return twin
}

// spelling is spelled for one name in a directory.
func spelling(name string, there func(string) bool) string {
	if other := twin(name); other != name && !there(name) && there(other) {
		return other
	}
	return name
}

// spelling returns name as d has it.
func (d *dir) spelling(name string) string {
	return spelling(name, func(name string) bool {
		_, err := d.lstat(name)
		return err == nil
	})
}

// spelled returns p as the home has it, or as the asker's part has it.
func (l *Local) spelled(p Path) Path {
	return p.spelled(func(p Path) bool {
		_, err := l.home.root.Lstat(p.Rel())
		return err == nil || l.partOf(p) >= 0
	})
}

// spelled is that of Local. The lock is held.
func (m *Mem) spelled(p Path) Path {
	return p.spelled(func(p Path) bool {
		return m.tree.has(p) || m.tree.parts[owned{m.owner, p}] != nil
	})
}

func (t *memTree) has(p Path) bool { return t.nodes[p] != nil }

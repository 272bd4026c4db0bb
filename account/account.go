// Package account keeps the Book: accounts, their proofs, grants, homes and quotas, requests for an account, and the
// record of transfers, in one SQLite file.
package account

import (
	"strings"
	"time"

	"sampan/files"
)

// A Grant says what an account may do at Under and below; the longest Under that holds a path wins. One that holds it in other
// letters alone, capitals for small ones, can take away and never gives: some disks have one name for both.
type Grant struct {
	Under files.Path
	May   Perm
}

// Unlimited is the quota of a home without one, and the rate of an account without a limit.
const Unlimited int64 = -1

// Account is one person or machine with a home.
type Account struct {
	Name     string
	Email    string
	State    State
	Operator bool
	Home     string // absolute directory
	Quota    int64  // of the home, bytes; Unlimited
	Grants   []Grant
	Down, Up int64 // bytes a second of all its downloads, and of all its uploads; Unlimited
	Lenient  bool  // its TLS client may be careless: uploads that end without close_notify are complete, data connections need not resume
	Created  time.Time
	LastSeen time.Time // last log-in, zero if never
}

// May returns what a may do at p: what the longest Under that holds p says, nothing where none does; and no more than what one
// says that is longer still and holds p in other letters. It is the same for all spellings of p in Unicode, as a Store finds a
// name by any of them.
func (a Account) May(p files.Path) Perm {
	p = p.NFC()
	var may, other Perm
	longest, longer := -1, -1
	for _, g := range a.Grants {
		switch n := depth(g.Under); {
		case g.Under.NFC().Holds(p):
			if n > longest {
				may, longest = g.May, n
			}
		case n < longer || !g.Under.Fold().Holds(p.Fold()):
		case n > longer:
			other, longer = g.May, n
		default:
			other &= g.May
		}
	}
	if longer > longest {
		may &= other
	}
	return may
}

// depth is how many names p has.
func depth(p files.Path) int {
	if p.IsRoot() {
		return 0
	}
	return strings.Count(p.String(), "/")
}

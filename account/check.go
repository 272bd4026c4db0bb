package account

import (
	"context"
	"slices"
	"time"

	"sampan/fault"
)

// Proof is what somebody shows to be let in.
type Proof struct {
	Name     string
	Password string
	Remote   string // address without port, for the buckets that slow down guessing; empty for the operator's own commands
}

// Check lets in whoever proves to be an Active account: the same time and words (Unauth) for every refusal. Failures
// alone are counted, per address and per account; past the limit TooMany. Never locks the owner out of another address.
func (b *Book) Check(ctx context.Context, p Proof) (Account, error) {
	folded := "" // no account has it
	if name, err := CheckName(p.Name); err == nil {
		folded = fold(name)
	}
	failed := false
	if p.Remote != "" {
		leave, err := b.guard.enter(ctx, p.Remote, folded)
		if err != nil {
			return Account{}, err
		}
		defer func() { leave(failed) }()
	}
	version := b.Version()
	r, ok := b.verified.lookup(folded, p.Password, version)
	if !ok {
		var err error
		if r, ok, err = b.prove(ctx, folded, p.Password); err != nil {
			return Account{}, err
		}
		if !ok {
			failed = true
			return Account{}, fault.New(fault.Unauth, "the name or the password is wrong")
		}
		b.verified.add(r, p.Password, version)
	}
	r.Grants = slices.Clone(r.Grants) // the caller's own
	r.LastSeen = time.Now().UTC()
	b.pen.saw(folded, r.LastSeen)
	return r.Account, nil
}

// prove reports whether pw is the password of an Active account. What it does takes the same time for all that are
// not let in.
func (b *Book) prove(ctx context.Context, folded, pw string) (r row, ok bool, err error) {
	rows, err := b.load(ctx, b.r, `a.folded = $1`, folded)
	if err != nil {
		return row{}, false, err
	}
	want := b.dummy
	if len(rows) == 1 {
		r = rows[0]
		if want, err = parsePHC(r.password); err != nil {
			return row{}, false, err
		}
	}
	known := func() bool { return r.State == Active && b.verified.has(folded, r.password, pw) }
	if ok = known(); !ok {
		ok, err = b.hash.verify(ctx, want, pw, known)
	}
	return r, ok && r.State == Active, err
}

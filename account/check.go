package account

import (
	"context"
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
	rows, err := b.load(ctx, b.r, `a.folded = $1`, folded)
	if err != nil {
		return Account{}, err
	}
	r, want := row{}, b.dummy
	if len(rows) == 1 {
		r = rows[0]
		if want, err = parsePHC(r.password); err != nil {
			return Account{}, err
		}
	}
	known := func() bool { return r.State == Active && b.verified.has(folded, r.password, p.Password) }
	ok := known()
	if !ok {
		if ok, err = b.hash.verify(ctx, want, p.Password, known); err != nil {
			return Account{}, err
		}
	}
	if !ok || r.State != Active {
		failed = true
		return Account{}, fault.New(fault.Unauth, "the name or the password is wrong")
	}
	b.verified.add(folded, r.password, p.Password)
	r.LastSeen = time.Now().UTC()
	b.pen.saw(folded, r.LastSeen)
	return r.Account, nil
}

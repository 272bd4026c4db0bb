package account

import (
	"context"
	"slices"
	"time"

	"sampan/fault"
)

// Proof is what somebody shows to be let in: a password, or what the caller has seen proved.
type Proof struct {
	Name     string
	Password string
	Key      []byte // a public key, as SSH has it, whose owner has signed
	Vouched  bool   // somebody whom the operator trusts has signed that it is the owner of the account
	Remote   string // address without port, for the buckets that slow down guessing; empty for the operator's own commands
}

// Check lets in whoever proves to be an Active account: the same time and words (Unauth) for every refusal. Failures
// alone are counted, per address and per account; past the limit TooMany. Never locks the owner out of another address.
// Keys cannot be guessed: they neither count nor are refused for what was counted.
func (b *Book) Check(ctx context.Context, p Proof) (Account, error) {
	folded := "" // no account has it
	if name, err := CheckName(p.Name); err == nil {
		folded = fold(name)
	}
	if p.Key != nil || p.Vouched {
		return b.checkSigned(ctx, folded, p)
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
	return b.letIn(r), nil
}

// checkSigned is Check for who proved something else than a password.
func (b *Book) checkSigned(ctx context.Context, folded string, p Proof) (Account, error) {
	var r row
	var ok bool
	var err error
	if p.Vouched {
		var rows []row
		if rows, err = b.load(ctx, b.r, `a.folded = $1`, folded); len(rows) == 1 {
			r, ok = rows[0], rows[0].State == Active
		}
	} else {
		r, ok, err = b.proveKey(ctx, folded, p.Key)
	}
	if err == nil && !ok {
		err = fault.New(fault.Unauth, "the name or the key is wrong")
	}
	if err != nil {
		return Account{}, err
	}
	return b.letIn(r), nil
}

// letIn notes that the account of r is in.
func (b *Book) letIn(r row) Account {
	r.Grants = slices.Clone(r.Grants) // the caller's own
	r.LastSeen = time.Now().UTC()
	b.pen.saw(r.folded, r.LastSeen)
	return r.Account
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

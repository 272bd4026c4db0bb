package account

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sampan/fault"
	"sampan/files"
)

// row is an account with what never leaves the book.
type row struct {
	Account
	folded   string
	password string // PHC
}

// querier is what *sql.DB and *sql.Tx share.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// load returns the accounts of which cond is true, by name.
func (b *Book) load(ctx context.Context, q querier, cond string, args ...any) ([]row, error) {
	rows, err := q.QueryContext(ctx, `
		SELECT a.folded, a.name, a.email, a.password, a.state, a.operator, a.home, h.quota, a.down, a.up, a.lenient, a.created, a.seen,
			g.under, g.perms
		FROM accounts a JOIN homes h ON h.dir = a.home LEFT JOIN grants g ON g.folded = a.folded
		WHERE `+cond+` ORDER BY a.folded, g.under`, args...)
	if err != nil {
		return nil, bookError(err)
	}
	defer rows.Close()
	var out []row
	for rows.Next() {
		var r row
		var created, seen int64
		var state string
		var under, perms sql.NullString
		if err := rows.Scan(&r.folded, &r.Name, &r.Email, &r.password, &state, &r.Operator, &r.Home, &r.Quota,
			&r.Down, &r.Up, &r.Lenient, &created, &seen, &under, &perms); err != nil {
			return nil, bookError(err)
		}
		if n := len(out); n == 0 || out[n-1].folded != r.folded {
			if r.State, err = ParseState(state); err != nil {
				return nil, tampered(err)
			}
			r.Home = found(b.dir, r.Home)
			r.Created, r.LastSeen = fromMicros(created), b.pen.lastSeen(r.folded, fromMicros(seen))
			r.Grants = []Grant{}
			out = append(out, r)
		}
		if under.Valid {
			g, err := parseGrant(under.String, perms.String)
			if err != nil {
				return nil, tampered(err)
			}
			last := &out[len(out)-1]
			last.Grants = append(last.Grants, g)
		}
	}
	return out, bookError(rows.Err())
}

// tampered is the error for what the book cannot have written itself: not a mistake of whoever asks.
func tampered(err error) error {
	return fault.Wrap(fault.Internal, err, "something went wrong inside; the log says what")
}

func parseGrant(under, perms string) (g Grant, err error) {
	if g.Under, err = files.Parse(files.Root, under); err == nil {
		g.May, err = ParsePerm(perms)
	}
	return g, err
}

// find returns the account of a folded name. NotExist.
func (b *Book) find(ctx context.Context, q querier, folded, name string) (row, error) {
	rows, err := b.load(ctx, q, `a.folded = $1`, folded)
	if err != nil {
		return row{}, err
	}
	if len(rows) == 0 {
		return row{}, fault.New(fault.NotExist, "there is no account named %q", name)
	}
	return rows[0], nil
}

// Get returns the account of a name, compared case-folded in NFC. NotExist.
func (b *Book) Get(ctx context.Context, name string) (Account, error) {
	r, err := b.find(ctx, b.r, fold(name), name)
	return r.Account, err
}

// Accounts lists all accounts, by name.
func (b *Book) Accounts(ctx context.Context) ([]Account, error) {
	rows, err := b.load(ctx, b.r, `true`)
	out := make([]Account, len(rows))
	for i, r := range rows {
		out[i] = r.Account
	}
	return out, err
}

// NewAccount is what Add needs.
type NewAccount struct {
	Name, Email, Password string
	Home                  string // absolute; empty: Options.Homes/NAME
	Quota                 *int64 // of the home; nil: the default, or what a shared home has
	Operator              bool
	Grants                []Grant // nil: Full at the root
}

// Add creates an Active account, and its home's directory if that is missing. Exist if the name is taken, BadName,
// Syntax (password), Denied if the home contains or lies in another account's home (the very same home is shared,
// quota and all) or holds the book.
func (b *Book) Add(ctx context.Context, n NewAccount) (Account, error) {
	name, err := CheckName(n.Name)
	if err != nil {
		return Account{}, err
	}
	if !n.Operator && slices.Contains(posts, fold(name)) {
		return Account{}, fault.New(fault.BadName, "the name %q is kept for an operator", name)
	}
	if err := checkEmail(n.Email); err != nil {
		return Account{}, err
	}
	if err := CheckPassword(n.Password); err != nil {
		return Account{}, err
	}
	n.Name = name
	stored, err := b.hash.hash(ctx, n.Password)
	if err != nil {
		return Account{}, err
	}
	var added row
	err = b.update(ctx, func(tx *sql.Tx) (err error) {
		added, err = b.insert(ctx, tx, n, stored, false)
		return err
	})
	if err != nil {
		return Account{}, err
	}
	b.accountChanged(added.folded)
	return added.Account, nil
}

// insert writes a new account whose name, e-mail and password were checked.
func (b *Book) insert(ctx context.Context, tx *sql.Tx, n NewAccount, stored string, fresh bool) (row, error) {
	folded := fold(n.Name)
	if err := checkQuota(n.Quota); err != nil {
		return row{}, err
	}
	var taken bool
	if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM accounts WHERE folded = $1)`, folded).Scan(&taken); err != nil {
		return row{}, err
	}
	if taken {
		return row{}, fault.New(fault.Exist, "there is already an account named %q", n.Name)
	}
	home, grants := n.Home, n.Grants
	if home == "" {
		home = b.defaultHome(n.Name)
	}
	if grants == nil {
		grants = []Grant{{Under: files.Root, May: Full}}
	}
	home, err := b.settle(ctx, tx, folded, home, n.Quota, fresh && n.Home == "")
	if err != nil {
		return row{}, err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO accounts (folded, name, email, password, state, operator, home, lenient, created, seen)
		VALUES ($1, $2, $3, $4, $5, $6, $7, false, $8, 0)`,
		folded, n.Name, n.Email, stored, Active.String(), n.Operator, home, micros(time.Now()))
	if err != nil {
		return row{}, err
	}
	if err := putGrants(ctx, tx, folded, grants); err != nil {
		return row{}, err
	}
	// Who asked for the name behind another one will never be shown.
	if _, err := tx.ExecContext(ctx, `UPDATE requests SET password = '' WHERE folded = $1 AND decoy`, folded); err != nil {
		return row{}, err
	}
	return b.find(ctx, tx, folded, n.Name)
}

const maxGrants = 1000 // of one account

// putGrants replaces the grants of an account.
func putGrants(ctx context.Context, tx *sql.Tx, folded string, grants []Grant) error {
	if len(grants) > maxGrants {
		return fault.New(fault.TooMany, "an account has at most %d grants", maxGrants)
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM grants WHERE folded = $1`, folded); err != nil {
		return err
	}
	for _, g := range grants {
		if err := putGrant(ctx, tx, folded, g); err != nil {
			return err
		}
	}
	return nil
}

func putGrant(ctx context.Context, tx *sql.Tx, folded string, g Grant) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO grants (folded, under, perms) VALUES ($1, $2, $3)
		ON CONFLICT (folded, under) DO UPDATE SET perms = $3`, folded, g.Under.String(), (g.May & Full).String())
	return err
}

// Change says what Update changes; nil leaves a thing alone.
type Change struct {
	Email    *string
	Password *string
	State    *State // Active or Suspended
	Operator *bool
	Home     *string // absolute; what is in the old one stays there
	Quota    *int64  // of the home
	Down, Up *int64  // bytes a second; Unlimited
	Lenient  *bool
	Grants   *[]Grant
}

// Update changes an account. The last active operator can be neither suspended nor demoted (Stopped).
func (b *Book) Update(ctx context.Context, name string, c Change) (Account, error) {
	stored, err := b.checkChange(ctx, c)
	if err != nil {
		return Account{}, err
	}
	var now row
	err = b.update(ctx, func(tx *sql.Tx) error {
		was, err := b.find(ctx, tx, fold(name), name)
		if err != nil {
			return err
		}
		now = was
		if err := b.apply(ctx, tx, &now, c, stored); err != nil {
			return err
		}
		if was.Operator && was.State == Active && !(now.Operator && now.State == Active) {
			return keepOne(ctx, tx, was)
		}
		return nil
	})
	if err != nil {
		return Account{}, err
	}
	b.accountChanged(now.folded)
	if c.Password != nil && b.o.PasswordSet != nil {
		b.o.PasswordSet(now.Name)
	}
	return now.Account, nil
}

// checkChange checks what can be checked without the account, and returns the stored form of a new password.
func (b *Book) checkChange(ctx context.Context, c Change) (stored string, err error) {
	if c.Email != nil {
		if err := checkEmail(*c.Email); err != nil {
			return "", err
		}
	}
	if c.State != nil && *c.State != Active && *c.State != Suspended {
		return "", fault.New(fault.Syntax, "an account can be made active or suspended, not %s", c.State.String())
	}
	if err := checkQuota(c.Quota); err != nil {
		return "", err
	}
	for _, rate := range []*int64{c.Down, c.Up} {
		if rate != nil && *rate < 1 && *rate != Unlimited {
			return "", fault.New(fault.Syntax, "a rate is 1 or more bytes a second, or none")
		}
	}
	if c.Password == nil {
		return "", nil
	}
	if err := CheckPassword(*c.Password); err != nil {
		return "", err
	}
	return b.hash.hash(ctx, *c.Password)
}

// apply writes the change of r, and r as it is afterwards.
func (b *Book) apply(ctx context.Context, tx *sql.Tx, r *row, c Change, stored string) error {
	set(&r.Email, c.Email)
	set(&r.State, c.State)
	set(&r.Operator, c.Operator)
	set(&r.Lenient, c.Lenient)
	set(&r.Down, c.Down)
	set(&r.Up, c.Up)
	if c.Password != nil {
		r.password = stored
	}
	if !r.Operator && slices.Contains(posts, r.folded) {
		return fault.New(fault.BadName, "the name %q is kept for an operator", r.Name)
	}
	home := kept(b.dir, r.Home)
	if c.Home != nil {
		var err error
		if home, err = b.settle(ctx, tx, r.folded, *c.Home, c.Quota, false); err != nil {
			return err
		}
	} else if c.Quota != nil {
		if _, err := tx.ExecContext(ctx, `UPDATE homes SET quota = $2 WHERE dir = $1`, home, *c.Quota); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `
		UPDATE accounts SET email = $2, password = $3, state = $4, operator = $5, home = $6, lenient = $7, down = $8, up = $9
		WHERE folded = $1`,
		r.folded, r.Email, r.password, r.State.String(), r.Operator, home, r.Lenient, r.Down, r.Up)
	if err != nil {
		return err
	}
	if c.Grants != nil {
		if err := putGrants(ctx, tx, r.folded, *c.Grants); err != nil {
			return err
		}
	}
	if err := dropUnused(ctx, tx); err != nil {
		return err
	}
	*r, err = b.find(ctx, tx, r.folded, r.Name)
	return err
}

// Grant sets what an account may do at g.Under and below.
func (b *Book) Grant(ctx context.Context, name string, g Grant) (Account, error) {
	return b.regrant(ctx, name, func(tx *sql.Tx, r row) error {
		if len(r.Grants) >= maxGrants {
			return fault.New(fault.TooMany, "an account has at most %d grants", maxGrants)
		}
		return putGrant(ctx, tx, r.folded, g)
	})
}

// Revoke takes the grant at exactly under away. NotExist if there is none.
func (b *Book) Revoke(ctx context.Context, name string, under files.Path) (Account, error) {
	return b.regrant(ctx, name, func(tx *sql.Tx, r row) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM grants WHERE folded = $1 AND under = $2`, r.folded, under.String())
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, fault.New(fault.NotExist, "%s has no grant at %s", r.Name, under.String()))
		}
		return nil
	})
}

func (b *Book) regrant(ctx context.Context, name string, f func(tx *sql.Tx, r row) error) (Account, error) {
	var r row
	err := b.update(ctx, func(tx *sql.Tx) (err error) {
		if r, err = b.find(ctx, tx, fold(name), name); err != nil {
			return err
		}
		if err = f(tx, r); err != nil {
			return err
		}
		r, err = b.find(ctx, tx, r.folded, name)
		return err
	})
	if err != nil {
		return Account{}, err
	}
	b.accountChanged(r.folded)
	return r.Account, nil
}

func set[T any](at, to *T) {
	if to != nil {
		*at = *to
	}
}

// Remove deletes an account; its home stays on the disk. The last active operator is kept (Stopped).
func (b *Book) Remove(ctx context.Context, name string) error {
	var was row
	err := b.update(ctx, func(tx *sql.Tx) (err error) {
		if was, err = b.find(ctx, tx, fold(name), name); err != nil {
			return err
		}
		if _, err = tx.ExecContext(ctx, `DELETE FROM accounts WHERE folded = $1`, was.folded); err != nil {
			return err
		}
		if was.Operator && was.State == Active {
			if err := keepOne(ctx, tx, was); err != nil {
				return err
			}
		}
		return dropUnused(ctx, tx)
	})
	if err != nil {
		return err
	}
	b.accountChanged(was.folded)
	if b.o.PasswordSet != nil {
		b.o.PasswordSet(was.Name)
	}
	return nil
}

// keepOne fails with Stopped when no active operator is left.
func keepOne(ctx context.Context, tx *sql.Tx, was row) error {
	var left bool
	err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM accounts WHERE operator AND state = $1)`, Active.String()).Scan(&left)
	if err == nil && !left {
		err = fault.New(fault.Stopped, "%s is the last active operator; make another one first", was.Name)
	}
	return err
}

func checkEmail(s string) error {
	if s == "" {
		return nil
	}
	before, after, ok := strings.Cut(s, "@")
	if !ok || before == "" || after == "" || len(s) > 254 || !utf8.ValidString(s) || strings.ContainsFunc(s, notInEmail) {
		return fault.New(fault.Syntax, "%q is no e-mail address", s)
	}
	return nil
}

// notInEmail reports what no address holds; a character of format (Cf) would show another one than it is.
func notInEmail(r rune) bool {
	return unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r)
}

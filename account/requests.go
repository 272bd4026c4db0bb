package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sampan/fault"
)

// Request is a request for an account as the operator sees it.
type Request struct {
	Name, Email, Note string
	Remote            string
	Asked             time.Time
}

// Ticket is the secret that lets the asker see how the request stands.
type Ticket string

// stored is the form in which the book keeps a ticket; whoever reads the book cannot use it.
func (t Ticket) stored() string {
	sum := sha256.Sum256([]byte(strings.ToUpper(strings.TrimSpace(string(t)))))
	return hex.EncodeToString(sum[:])
}

// Answer is what a ticket's holder may know. State is Pending, Active or Refused. A ticket for a name that was
// already taken stays Pending until it expires, so that a stranger learns nothing.
type Answer struct {
	State State
	Name  string
	Note  string // the operator's
}

// Decision is what the operator says to a request.
type Decision struct {
	Approve bool
	By      string // the operator's name
	Note    string // told to the asker
	Home    string // absolute directory; empty is the default for the name, which must be new or empty then
	Quota   *int64 // nil is the Book's default
}

const (
	requestsPerSource = 5  // an hour
	pendingPerSource  = 20 // so that nobody can fill the queue from one address
	maxPending        = 1000
	maxNote           = 1000 // bytes
)

func (b *Book) defaultHome(name string) string { return filepath.Join(b.o.Homes, name) }

// Register files a request. A taken name gets a ticket as well. BadName, Syntax (password, e-mail or note), TooMany.
func (b *Book) Register(ctx context.Context, name, email string, p Proof, note string) (Ticket, error) {
	name, err := CheckName(name)
	if err != nil {
		return "", err
	}
	if slices.Contains(posts, fold(name)) {
		return "", fault.New(fault.BadName, "the name %q is reserved; take another", name)
	}
	if err := errors.Join(checkEmail(email), CheckPassword(p.Password)); err != nil {
		return "", err
	}
	if note, err = cleanNote(note); err != nil {
		return "", err
	}
	source := ""
	if p.Remote != "" {
		source = addressKey(p.Remote)
		done, err := b.mayAsk(ctx, source)
		if err != nil {
			return "", err
		}
		defer done()
	}
	stored, err := b.hash.hash(ctx, p.Password)
	if err != nil {
		return "", err
	}
	ticket := Ticket(rand.Text())
	now := time.Now()
	err = b.update(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM requests WHERE expires <= $1`, micros(now)); err != nil {
			return err
		}
		if err := promote(ctx, tx, now); err != nil {
			return err
		}
		var taken, asked bool
		var pending int
		err := tx.QueryRowContext(ctx, `
			SELECT EXISTS (SELECT 1 FROM accounts WHERE folded = $1),
				EXISTS (SELECT 1 FROM requests WHERE folded = $1 AND state = $2 AND NOT decoy),
				(SELECT count(*) FROM requests WHERE state = $2)`, fold(name), Pending.String()).Scan(&taken, &asked, &pending)
		if err != nil {
			return err
		}
		if pending >= maxPending {
			return fault.New(fault.TooMany, "too many requests wait for the operator; try again later")
		}
		if taken {
			stored = "" // nobody will decide on it
		}
		_, err = tx.ExecContext(ctx, `
			INSERT INTO requests (ticket, folded, name, email, password, note, remote, source, asked, expires, decoy,
				state, decided, decider, answer)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, '', '')`,
			ticket.stored(), fold(name), name, email, stored, note, p.Remote, source, micros(now), micros(now.Add(b.o.RequestAge)),
			taken || asked, Pending.String())
		return err
	})
	if err != nil {
		return "", err
	}
	b.announce()
	return ticket, nil
}

// promote shows the operator the oldest request that stood behind another one for its name, where that is no longer open: who
// asks first for somebody else's name keeps it from him no longer than until it is refused.
func promote(ctx context.Context, tx *sql.Tx, now time.Time) error {
	_, err := tx.ExecContext(ctx, `
		UPDATE requests SET decoy = 0 WHERE ticket IN (SELECT ticket FROM (
			SELECT ticket, min(asked) FROM requests b
			WHERE decoy AND state = $1 AND password <> '' AND expires > $2
				AND NOT EXISTS (SELECT 1 FROM requests o WHERE o.folded = b.folded AND o.state = $1 AND NOT o.decoy)
				AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.folded = b.folded)
			GROUP BY folded))`, Pending.String(), micros(now))
	return err
}

// mayAsk refuses a source that asked too often within the hour, or has too many requests undecided, those being filed
// included; else the caller calls done when it has filed.
func (b *Book) mayAsk(ctx context.Context, source string) (done func(), err error) {
	b.mu.Lock()
	b.asking[source]++
	filing := b.asking[source]
	b.mu.Unlock()
	done = func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.asking[source]--; b.asking[source] == 0 {
			delete(b.asking, source)
		}
	}
	var asked, pending int
	now := time.Now()
	err = b.r.QueryRowContext(ctx, `
		SELECT count(CASE WHEN asked > $2 THEN 1 END), count(CASE WHEN state = $3 AND expires > $4 THEN 1 END)
		FROM requests WHERE source = $1`, source, micros(now.Add(-time.Hour)), Pending.String(), micros(now)).Scan(&asked, &pending)
	switch {
	case err != nil:
	case asked+filing > requestsPerSource:
		err = fault.New(fault.TooMany, "too many requests from this address; try again in an hour")
	case pending+filing > pendingPerSource:
		err = fault.New(fault.TooMany, "too many requests from this address wait for the operator; try again later")
	}
	if err != nil {
		done()
		return nil, bookError(err)
	}
	return done, nil
}

// cleanNote returns a note in one line.
func cleanNote(s string) (string, error) {
	if len(s) > maxNote || !utf8.ValidString(s) {
		return "", fault.New(fault.Syntax, "a note is text of at most %d bytes", maxNote)
	}
	line := func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}
	return strings.TrimSpace(strings.Map(line, s)), nil
}

// Answer tells how the request of a ticket stands. NotExist for an unknown or expired one.
func (b *Book) Answer(ctx context.Context, t Ticket) (Answer, error) {
	var a Answer
	var state string
	err := b.r.QueryRowContext(ctx, `SELECT state, name, answer FROM requests WHERE ticket = $1 AND expires > $2`,
		t.stored(), micros(time.Now())).Scan(&state, &a.Name, &a.Note)
	if errors.Is(err, sql.ErrNoRows) {
		return Answer{}, fault.New(fault.NotExist, "no request has that ticket, or it has expired; ask again")
	}
	if err != nil {
		return Answer{}, bookError(err)
	}
	if a.State, err = ParseState(state); err != nil {
		return Answer{}, tampered(err)
	}
	return a, nil
}

// Requests lists what is undecided, oldest first.
func (b *Book) Requests(ctx context.Context) ([]Request, error) {
	rows, err := b.r.QueryContext(ctx, `
		SELECT name, email, note, remote, asked FROM requests
		WHERE state = $1 AND NOT decoy AND expires > $2 ORDER BY asked, folded`, Pending.String(), micros(time.Now()))
	if err != nil {
		return nil, bookError(err)
	}
	defer rows.Close()
	var out []Request
	for rows.Next() {
		var r Request
		var asked int64
		if err := rows.Scan(&r.Name, &r.Email, &r.Note, &r.Remote, &asked); err != nil {
			return nil, bookError(err)
		}
		r.Asked = fromMicros(asked)
		out = append(out, r)
	}
	return out, bookError(rows.Err())
}

// Decide answers a request: an approved one becomes an Active account with Full at the root. NotExist if there is
// none of that name; Exist if an account of that name was added meanwhile, or the default home holds files (those of
// somebody who had the name before). Of a refused request only the name comes back.
func (b *Book) Decide(ctx context.Context, name string, d Decision) (Account, error) {
	note, err := cleanNote(d.Note)
	if err != nil {
		return Account{}, err
	}
	var decided row
	state := Refused
	if d.Approve {
		state = Active
	}
	err = b.update(ctx, func(tx *sql.Tx) error {
		now := time.Now()
		var ticket, stored string
		n := NewAccount{Home: d.Home, Quota: d.Quota}
		err := tx.QueryRowContext(ctx, `
			SELECT ticket, name, email, password FROM requests
			WHERE folded = $1 AND state = $2 AND NOT decoy AND expires > $3`, fold(name), Pending.String(), micros(now)).
			Scan(&ticket, &n.Name, &n.Email, &stored)
		if errors.Is(err, sql.ErrNoRows) {
			return fault.New(fault.NotExist, "there is no open request for the name %q", name)
		}
		if err != nil {
			return err
		}
		decided.Name, decided.State, decided.folded = n.Name, state, fold(n.Name)
		if d.Approve {
			if decided, err = b.insert(ctx, tx, n, stored, true); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `
			UPDATE requests SET state = $2, answer = $3, decider = $4, decided = $5, expires = $6, password = '' WHERE ticket = $1`,
			ticket, state.String(), note, d.By, micros(now), micros(now.Add(b.o.RequestAge)))
		if err != nil {
			return err
		}
		return promote(ctx, tx, now)
	})
	if err != nil {
		return Account{}, err
	}
	if d.Approve {
		b.accountChanged(decided.folded)
	} else {
		b.announce()
	}
	return decided.Account, nil
}

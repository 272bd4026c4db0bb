// Package admin is the operator's API: HTTP and JSON under /api/v1. Its Handler serves it (on DATA/admin.sock, and
// later behind the web door), its Client speaks it: to a running server over the socket, or, when none runs, to a
// Handler in the same process over the book that Client opened under its lock. So every command has one code path.
//
// A request with a body is application/json, at most 1 MiB, without fields that are not known. Times are RFC 3339 in
// UTC, sizes are bytes, -1 is no limit. A failure has a status by its kind and the body
// {"kind": …, "text": …, "args": […], "say": …}: the English format with its arguments, so that the reader can have
// it in another language, and the sentence in English.
package admin

import (
	"time"

	"sampan/account"
	"sampan/fault"
	"sampan/files"
	"sampan/session"
)

// User is an account as the API shows it.
type User struct {
	Name     string  `json:"name"`
	Email    string  `json:"email,omitempty"`
	State    string  `json:"state"` // "active" or "suspended"
	Operator bool    `json:"operator"`
	Home     string  `json:"home"`
	Quota    int64   `json:"quota"` // bytes, -1 unlimited
	Used     int64   `json:"used"`  // bytes, -1 if the home cannot be read
	Grants   []Grant `json:"grants"`
	Down     int64   `json:"down"` // bytes a second of all its downloads, -1 unlimited
	Up       int64   `json:"up"`   // and of all its uploads
	Lenient  bool    `json:"lenient,omitempty"`
	Created  string  `json:"created"`             // RFC 3339, UTC
	LastSeen string  `json:"last_seen,omitempty"` // RFC 3339, UTC
}

// Grant is a path with pyftpdlib's letters.
type Grant struct {
	Path  string `json:"path"`
	Perms string `json:"perms"` // "elr", or a preset when asked for: read-only, drop-box, full, none
}

// Key is a public key that lets an account in over SSH.
type Key struct {
	Type        string `json:"type"`
	Fingerprint string `json:"fingerprint"` // "SHA256:…"
	Comment     string `json:"comment,omitempty"`
	Added       string `json:"added"`
}

// NewUser is what AddUser needs.
type NewUser struct {
	Name     string  `json:"name"`
	Email    string  `json:"email,omitempty"`
	Password string  `json:"password"`
	Home     string  `json:"home,omitempty"`  // absolute; empty is the default for the name
	Quota    *int64  `json:"quota,omitempty"` // bytes, -1 unlimited; nil is the default
	Operator bool    `json:"operator,omitempty"`
	Grants   []Grant `json:"grants,omitempty"` // none: full at the root
}

// UserChange says what UpdateUser changes; nil leaves a thing alone.
type UserChange struct {
	Email    *string  `json:"email,omitempty"`
	Password *string  `json:"password,omitempty"`
	State    *string  `json:"state,omitempty"` // "active" or "suspended"; the latter ends the account's sessions
	Operator *bool    `json:"operator,omitempty"`
	Home     *string  `json:"home,omitempty"` // absolute; ends the account's sessions
	Quota    *int64   `json:"quota,omitempty"`
	Down     *int64   `json:"down,omitempty"` // bytes a second, -1 unlimited
	Up       *int64   `json:"up,omitempty"`
	Lenient  *bool    `json:"lenient,omitempty"`
	Grants   *[]Grant `json:"grants,omitempty"` // replaces all
}

// Request is an undecided request for an account.
type Request struct {
	Name   string `json:"name"`
	Email  string `json:"email,omitempty"`
	Note   string `json:"note,omitempty"`
	Remote string `json:"remote"`
	Asked  string `json:"asked"`
}

// Decision is what the operator says to a request.
type Decision struct {
	Approve bool   `json:"approve"`
	By      string `json:"by,omitempty"` // who decides; empty is "operator"
	Note    string `json:"note,omitempty"`
	Home    string `json:"home,omitempty"`
	Quota   *int64 `json:"quota,omitempty"`
}

// QuotaReport is what a quota check found.
type QuotaReport struct {
	Home     string `json:"home"`
	Quota    int64  `json:"quota"`
	Recorded int64  `json:"recorded"` // bytes that the ledger said
	Counted  int64  `json:"counted"`  // bytes that are on the disk
	Fixed    bool   `json:"fixed"`    // the ledger says what was counted now
}

// Session is one live connection.
type Session struct {
	ID      int64   `json:"id"`
	Account string  `json:"account,omitempty"` // empty before log-in
	Proto   string  `json:"proto"`
	Remote  string  `json:"remote"` // address and port
	TLS     bool    `json:"tls"`
	Since   string  `json:"since"`
	Idle    float64 `json:"idle"` // seconds
	Doing   *Moving `json:"doing,omitempty"`
}

// Moving is one transfer under way.
type Moving struct {
	Verb        string  `json:"verb"`
	Path        string  `json:"path"`
	Done        int64   `json:"done"`
	Size        int64   `json:"size"` // -1 if unknown
	Started     string  `json:"started"`
	BytesPerSec float64 `json:"bytes_per_sec"`
}

// Transfer is the record of one ended transfer.
type Transfer struct {
	ID      int64   `json:"id"`
	When    string  `json:"when"`
	Account string  `json:"account"`
	Remote  string  `json:"remote"`
	Proto   string  `json:"proto"`
	Verb    string  `json:"verb"`
	Path    string  `json:"path"`
	To      string  `json:"to,omitempty"`
	Bytes   int64   `json:"bytes"`
	Size    int64   `json:"size"`
	Took    float64 `json:"took"` // seconds
	Result  string  `json:"result"`
}

// Filter chooses transfer records; zero fields match all.
type Filter struct {
	Account string
	Since   time.Time
	Limit   int // newest first; 0 is 100
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func userOf(a account.Account, used int64) User {
	u := User{
		Name: a.Name, Email: a.Email, State: a.State.String(), Operator: a.Operator, Home: a.Home, Quota: a.Quota, Used: used,
		Down: a.Down, Up: a.Up, Grants: []Grant{}, Lenient: a.Lenient, Created: stamp(a.Created), LastSeen: stamp(a.LastSeen),
	}
	for _, g := range a.Grants {
		u.Grants = append(u.Grants, Grant{g.Under.String(), g.May.String()})
	}
	return u
}

func keysOf(list []account.Key) []Key {
	out := make([]Key, len(list))
	for i, k := range list {
		out[i] = Key{k.Type, k.Fingerprint, k.Comment, stamp(k.Added)}
	}
	return out
}

func sessionOf(v session.View) Session {
	s := Session{
		ID: v.ID, Account: v.Account, Proto: v.Via.Proto, Remote: v.Via.Remote.String(), TLS: v.Via.TLS,
		Since: stamp(v.Since), Idle: v.Idle.Seconds(),
	}
	if m := v.Doing; m != nil {
		s.Doing = &Moving{m.Verb, m.Path.String(), m.Done, m.Size, stamp(m.Started), m.BytesPerSec}
	}
	return s
}

func transferOf(t account.Transfer) Transfer {
	return Transfer{
		t.ID, stamp(t.When), t.Account, t.Remote, t.Proto, t.Verb, t.Path, t.To, t.Bytes, t.Size, t.Took.Seconds(), t.Result,
	}
}

// grantsOf reads grants as they were sent; nil stays nil.
func grantsOf(in []Grant) ([]account.Grant, error) {
	var out []account.Grant
	for _, g := range in {
		parsed, err := grantOf(g)
		if err != nil {
			return nil, err
		}
		out = append(out, parsed)
	}
	return out, nil
}

func grantOf(g Grant) (account.Grant, error) {
	if g.Path == "" {
		return account.Grant{}, fault.New(fault.Syntax, "a grant needs a path; / is the whole home")
	}
	under, err := files.Parse(files.Root, g.Path)
	if err != nil {
		return account.Grant{}, err
	}
	may, err := account.ParsePerm(g.Perms)
	return account.Grant{Under: under, May: may}, err
}

// Package account keeps the Book: accounts, their proofs, grants, homes and quotas, requests for an account, and the
// record of transfers, in one SQLite file.
package account

import (
	"time"

	"sampan/files"
)

// State is where an account stands: Pending → Active | Refused; Active ↔ Suspended.
type State uint8

const (
	Pending State = iota
	Active
	Refused
	Suspended
)

// Perm is a set of permissions; String writes it in pyftpdlib's letters.
type Perm uint16

const (
	ChangeDir Perm = 1 << iota // e: CWD, CDUP
	List                       // l: LIST NLST MLSD MLST STAT SIZE MDTM
	Read                       // r: RETR, HASH
	Append                     // a: APPE, and REST above 0 before STOR
	Delete                     // d: DELE, RMD, and a rename or upload that replaces
	Rename                     // f: RNFR, RNTO
	MakeDir                    // m: MKD
	Write                      // w: STOR, STOU
	Chmod                      // M: SITE CHMOD
	SetTime                    // T: MFMT

	ReadOnly = ChangeDir | List | Read
	DropBox  = ChangeDir | Write | MakeDir // may put, sees and reads nothing
	Full     = ChangeDir | List | Read | Append | Delete | Rename | MakeDir | Write | Chmod | SetTime
)

// A Grant says what an account may do at Under and below; the longest Under that holds a path wins.
type Grant struct {
	Under files.Path
	May   Perm
}

// Unlimited is the quota of a home without one.
const Unlimited int64 = -1

// Account is one person or machine with a home.
type Account struct {
	Name     string
	Email    string
	State    State
	Operator bool
	Home     string // absolute directory; empty while pending
	Quota    int64  // of the home, bytes; Unlimited
	Grants   []Grant
	Lenient  bool // TLS uploads that end without close_notify are taken as complete
	Created  time.Time
	LastSeen time.Time // last log-in, zero if never
}

// May returns what a may do at p.
func (a Account) May(p files.Path) Perm { panic("not built") }

// Proof is what somebody shows to be let in.
type Proof struct {
	Name     string
	Password string
	Remote   string // address without port, for the buckets that slow down guessing; empty for the operator's own commands
}

// Request is a request for an account as the operator sees it.
type Request struct {
	Name, Email, Note string
	Remote            string
	Asked             time.Time
}

// Ticket is the secret that lets the asker see how the request stands.
type Ticket string

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
	Home    string // directory; empty is the default for the name
	Quota   *int64 // nil is the Book's default
}

// Transfer is the record of one finished or ended transfer.
type Transfer struct {
	ID      int64
	When    time.Time // its end
	Account string
	Remote  string
	Proto   string // "ftp", "ftps", …
	Verb    string // "put", "get", "delete", "rename", …
	Path    string
	To      string // of a rename
	Bytes   int64  // moved over the wire
	Size    int64  // of the file afterwards
	Took    time.Duration
	Result  string // "ok", "cut", or the fault's kind
}

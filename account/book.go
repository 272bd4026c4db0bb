package account

import (
	"context"
	"log/slog"
	"time"
)

// Options says how a Book is kept.
type Options struct {
	Homes        string        // directory under which default homes are made: Homes/NAME
	DefaultQuota int64         // of approved and added accounts; Unlimited
	RequestAge   time.Duration // undecided requests expire after this; 0 is 14 days
	Log          *slog.Logger
}

// Book is open in one process at a time (the caller holds DATA's lock). It is safe for concurrent use.
type Book struct{}

// Open opens or creates the book in file path. A book of an older schema is copied to PATH.before-vN and migrated; one
// of a newer schema is refused with a sentence (fault.Unsupported).
func Open(ctx context.Context, path string, o Options) (*Book, error) { panic("not built") }

func (b *Book) Close() error { panic("not built") }

// Version changes with every change of any account, so that a cached Account can be told from a stale one at the
// cost of one atomic load.
func (b *Book) Version() uint64 { panic("not built") }

// Register files a request. A taken name gets a ticket as well. BadName, Syntax (password too short), TooMany.
func (b *Book) Register(ctx context.Context, name, email string, p Proof, note string) (Ticket, error) {
	panic("not built")
}

// Answer tells how the request of a ticket stands. NotExist for an unknown or expired one.
func (b *Book) Answer(ctx context.Context, t Ticket) (Answer, error) { panic("not built") }

// Requests lists what is undecided, oldest first.
func (b *Book) Requests(ctx context.Context) ([]Request, error) { panic("not built") }

// Decide answers a request. NotExist if there is none of that name.
func (b *Book) Decide(ctx context.Context, name string, d Decision) (Account, error) {
	panic("not built")
}

// Check lets in whoever proves to be an Active account: the same time and words (Unauth) for every refusal. Failures
// alone are counted, per address and per account; past the limit TooMany. Never locks the owner out of another address.
func (b *Book) Check(ctx context.Context, p Proof) (Account, error) { panic("not built") }

// NewAccount is what Add needs.
type NewAccount struct {
	Name, Email, Password string
	Home                  string // empty: Options.Homes/NAME
	Quota                 *int64 // nil: the default
	Operator              bool
	Grants                []Grant // nil: Full at the root
}

// Add creates an Active account. Exist if the name is taken, BadName, Syntax (password), Denied if the home contains
// or lies in another account's home (the very same home is shared, quota and all).
func (b *Book) Add(ctx context.Context, n NewAccount) (Account, error) { panic("not built") }

// Get returns the account of a name, compared case-folded in NFC. NotExist.
func (b *Book) Get(ctx context.Context, name string) (Account, error) { panic("not built") }

// Accounts lists all that are not pending, by name.
func (b *Book) Accounts(ctx context.Context) ([]Account, error) { panic("not built") }

// Change says what Update changes; nil leaves a thing alone.
type Change struct {
	Email    *string
	Password *string
	State    *State // Active or Suspended
	Operator *bool
	Home     *string
	Quota    *int64
	Lenient  *bool
	Grants   *[]Grant
}

// Update changes an account. The last active operator can be neither suspended nor demoted (Stopped).
func (b *Book) Update(ctx context.Context, name string, c Change) (Account, error) {
	panic("not built")
}

// Remove deletes an account; its home stays on the disk. The last operator is kept (Stopped).
func (b *Book) Remove(ctx context.Context, name string) error { panic("not built") }

// Record appends a transfer record, asynchronously: it never holds up a transfer.
func (b *Book) Record(t Transfer) { panic("not built") }

// Filter chooses transfer records; zero fields match all.
type Filter struct {
	Account string
	Since   time.Time
	Limit   int // newest first; 0 is 100
}

// Log returns transfer records, newest first, with all that were recorded before the call.
func (b *Book) Log(ctx context.Context, f Filter) ([]Transfer, error) { panic("not built") }

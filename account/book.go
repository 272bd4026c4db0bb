package account

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"

	"sampan/fault"
)

// Options says how a Book is kept.
type Options struct {
	Homes        string        // directory under which default homes are made: Homes/NAME
	DefaultQuota int64         // of approved and added accounts; Unlimited
	RequestAge   time.Duration // undecided requests expire after this, decided ones so long after the decision; 0 is 14 days
	RecordAge    time.Duration // transfer records are removed after this; 0 is 90 days
	MaxRecords   int64         // more transfer records than these are not kept, the oldest go first; 0 is 1,000,000
	Log          *slog.Logger  // nil is slog.Default

	// PasswordSet, unless nil, is called after the password of an account was changed or the account was removed,
	// with its name.
	PasswordSet func(name string)
}

// Book is open in one process at a time (the caller holds DATA's lock). It is safe for concurrent use.
type Book struct {
	o    Options
	dir  string  // where the book lies, links evaluated
	w    *sql.DB // one connection; every transaction of it may write
	r    *sql.DB
	pen  *pen
	hash hasher

	dummy    phc
	verified *verified
	guard    *guard
	quotas   quotas

	version atomic.Uint64
	mu      sync.Mutex
	changed chan struct{}  // closed at the next change
	asking  map[string]int // requests being filed, by source
}

const defaultRequestAge = 14 * 24 * time.Hour

// Open opens or creates the book in file path. A book of an older schema is copied to PATH.before-vN and migrated; one
// of a newer schema is refused with a sentence (fault.Unsupported).
func Open(ctx context.Context, path string, o Options) (*Book, error) {
	return open(ctx, path, o, migrations)
}

func open(ctx context.Context, path string, o Options, steps []migration) (_ *Book, err error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	o.RequestAge = cmp.Or(o.RequestAge, defaultRequestAge)
	o.RecordAge = cmp.Or(o.RecordAge, defaultRecordAge)
	o.MaxRecords = cmp.Or(o.MaxRecords, defaultMaxRecords)
	if o.DefaultQuota < Unlimited {
		return nil, fault.New(fault.Syntax, "a quota is 0 or more bytes, or none")
	}
	if o.Homes, err = filepath.Abs(o.Homes); err != nil {
		return nil, fault.Wrap(fault.Local, err, "%s cannot be opened", path)
	}
	b := &Book{
		o: o, hash: newHasher(), dummy: newPHC(), verified: newVerified(), guard: newGuard(),
		changed: make(chan struct{}), asking: map[string]int{},
	}
	// SQLite gives its log files the mode of the book, which holds password hashes.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fault.Wrap(fault.Local, err, "%s cannot be opened", path)
	}
	f.Close()
	if b.dir, err = resolve(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if b.w, err = openPool(path, 1, true); err != nil {
		return nil, openError(err, path)
	}
	if b.r, err = openPool(path, 4, false); err != nil {
		return nil, errors.Join(openError(err, path), b.w.Close())
	}
	if err = migrate(ctx, b.w, path, b.dir, steps); err == nil {
		_, err = b.w.ExecContext(ctx, `PRAGMA journal_mode = wal`)
		if err == nil { // again and again, for the book may have been moved above a home
			err = b.update(ctx, func(tx *sql.Tx) error { return relativeHomes(ctx, tx, b.dir) })
		}
		if err == nil {
			b.pen, err = newPen(ctx, b)
		}
		if err != nil {
			err = openError(err, path)
		}
	}
	if err != nil {
		return nil, errors.Join(err, b.r.Close(), b.w.Close())
	}
	return b, nil
}

// Close writes what is still to be recorded and closes the book.
func (b *Book) Close() error {
	return errors.Join(b.pen.close(), b.r.Close(), b.w.Close())
}

// Version changes with every change of any account, so that a cached Account can be told from a stale one at the
// cost of one atomic load. Take the Version before the Account: then a change in between is noticed.
func (b *Book) Version() uint64 { return b.version.Load() }

// Changed returns a channel that is closed at the next change of an account or of a request (filed, decided). Take
// it before looking at the book, so that nothing is missed.
func (b *Book) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

func (b *Book) announce() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.changed)
	b.changed = make(chan struct{})
}

// accountChanged is called after each committed change of an account.
func (b *Book) accountChanged(folded string) {
	b.verified.drop(folded)
	b.version.Add(1)
	b.announce()
}

// update runs f in one transaction on stable storage.
func (b *Book) update(ctx context.Context, f func(tx *sql.Tx) error) error {
	tx, err := b.w.BeginTx(ctx, nil)
	if err != nil {
		return bookError(err)
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return bookError(err)
	}
	return bookError(tx.Commit())
}

// bookError classes what the database says; a *fault.Error stays what it is.
func bookError(err error) error {
	if err == nil {
		return nil
	}
	var e *fault.Error
	var se *sqlite.Error
	switch {
	case errors.As(err, &e):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fault.Wrap(fault.Busy, err, "the book did not answer in time; try again")
	case errors.As(err, &se) && se.Code()&0xff == 13: // SQLITE_FULL
		return fault.Wrap(fault.NoSpace, err, "the disk that holds the book is full")
	}
	return fault.Wrap(fault.Internal, err, "something went wrong inside; the log says what")
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

package account

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

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

// A pen writes what nobody waits for, transfer records and times of log-ins, in batches.
type pen struct {
	b       *Book
	writing sync.Mutex // held while a batch is written, so that batches stay in order

	mu      sync.Mutex
	records []Transfer // not written yet
	seen    map[string]time.Time
	lastID  int64
	lost    int // records dropped because the disk did not keep up

	nudge chan struct{} // buffered: something is to be written
	once  sync.Once
	quit  chan struct{}
	done  sync.WaitGroup
}

const (
	gather     = 200 * time.Millisecond // how long a batch waits for company
	maxRecords = 100_000                // not written yet; more are dropped and counted in the log
	retry      = 5 * time.Second        // after a batch that could not be written
)

func newPen(ctx context.Context, b *Book) (*pen, error) {
	p := &pen{
		b: b, seen: map[string]time.Time{},
		nudge: make(chan struct{}, 1), quit: make(chan struct{}),
	}
	if err := b.w.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM transfers`).Scan(&p.lastID); err != nil {
		return nil, err
	}
	pruning, stop := context.WithCancel(context.Background())
	p.done.Go(func() {
		defer stop()
		p.run()
	})
	p.done.Go(func() { p.prune(pruning) })
	return p, nil
}

func (p *pen) run() {
	for {
		select {
		case <-p.quit:
			return
		case <-p.nudge:
		}
		wait := gather
		for wait > 0 {
			select {
			case <-p.quit:
				return
			case <-time.After(wait):
			}
			wait = 0
			if err := p.flush(context.Background()); err != nil {
				p.b.o.Log.Error("transfer records cannot be written; trying again", "error", err)
				wait = retry
			}
		}
	}
}

func (p *pen) wake() {
	select {
	case p.nudge <- struct{}{}:
	default:
	}
}

func (p *pen) record(t Transfer) {
	p.mu.Lock()
	if len(p.records) < maxRecords {
		p.lastID++
		t.ID = p.lastID
		p.records = append(p.records, t)
	} else {
		p.lost++
	}
	p.mu.Unlock()
	p.wake()
}

func (p *pen) saw(folded string, when time.Time) {
	p.mu.Lock()
	p.seen[folded] = when
	p.mu.Unlock()
	p.wake()
}

// lastSeen returns the later of what the book says and what is still to be written.
func (p *pen) lastSeen(folded string, written time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t, ok := p.seen[folded]; ok && t.After(written) {
		return t
	}
	return written
}

// flush writes what is there; what could not be written is kept for the next time.
func (p *pen) flush(ctx context.Context) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.mu.Lock()
	records, seen, lost := p.records, maps.Clone(p.seen), p.lost
	p.records, p.lost = nil, 0
	p.mu.Unlock()
	if lost > 0 {
		p.b.o.Log.Error("transfer records were dropped: the disk did not keep up", "count", lost)
	}
	if len(records) == 0 && len(seen) == 0 {
		return nil
	}
	err := p.b.update(ctx, func(tx *sql.Tx) error { return write(ctx, tx, records, seen) })
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.records = slices.Concat(records, p.records)
		return err
	}
	for folded, when := range seen {
		if p.seen[folded].Equal(when) {
			delete(p.seen, folded)
		}
	}
	return nil
}

func write(ctx context.Context, tx *sql.Tx, records []Transfer, seen map[string]time.Time) error {
	for _, rows := range []int{manyRows, 1} {
		var err error
		if records, err = insert(ctx, tx, records, rows); err != nil {
			return err
		}
	}
	for folded, when := range seen {
		if _, err := tx.ExecContext(ctx, `UPDATE accounts SET seen = max(seen, $2) WHERE folded = $1`, folded, micros(when)); err != nil {
			return err
		}
	}
	return nil
}

// manyRows is how many records one statement takes: alone each costs half as much again.
const manyRows = 32

// insert writes records by statements of so many rows, and returns those that are too few for one more.
func insert(ctx context.Context, tx *sql.Tx, records []Transfer, rows int) ([]Transfer, error) {
	if len(records) < rows {
		return records, nil
	}
	row := `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	s, err := tx.PrepareContext(ctx, `
		INSERT INTO transfers (id, ended, account, remote, proto, verb, path, target, bytes, size, took, result)
		VALUES `+row+strings.Repeat(`, `+row, rows-1))
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var args []any
	for len(records) >= rows {
		args = args[:0]
		for _, t := range records[:rows] {
			args = append(args, t.ID, micros(t.When), t.Account, t.Remote, t.Proto, t.Verb, t.Path, t.To,
				t.Bytes, t.Size, t.Took.Microseconds(), t.Result)
		}
		if _, err := s.ExecContext(ctx, args...); err != nil {
			return nil, err
		}
		records = records[rows:]
	}
	return records, nil
}

func (p *pen) close() error {
	p.once.Do(func() { close(p.quit) })
	p.done.Wait()
	return p.flush(context.Background())
}

// Record appends a transfer record, asynchronously: it never holds up a transfer. A crash of the machine may lose the
// records of the last moments.
func (b *Book) Record(t Transfer) { b.pen.record(t) }

// Filter chooses transfer records; zero fields match all.
type Filter struct {
	Account string
	Since   time.Time
	Limit   int // newest first; 0 is 100
}

const defaultLimit = 100

// Log returns transfer records, newest first, with all that were recorded before the call.
func (b *Book) Log(ctx context.Context, f Filter) ([]Transfer, error) {
	if err := b.pen.flush(ctx); err != nil {
		return nil, err
	}
	if f.Limit <= 0 {
		f.Limit = defaultLimit
	}
	cond, args := `ended >= $1`, []any{micros(f.Since), f.Limit}
	if f.Account != "" {
		cond, args = cond+` AND account = $3`, append(args, f.Account)
	}
	rows, err := b.r.QueryContext(ctx, `
		SELECT id, ended, account, remote, proto, verb, path, target, bytes, size, took, result
		FROM transfers WHERE `+cond+` ORDER BY id DESC LIMIT $2`, args...)
	if err != nil {
		return nil, bookError(err)
	}
	defer rows.Close()
	var out []Transfer
	for rows.Next() {
		var t Transfer
		var ended, took int64
		if err := rows.Scan(&t.ID, &ended, &t.Account, &t.Remote, &t.Proto, &t.Verb, &t.Path, &t.To, &t.Bytes, &t.Size,
			&took, &t.Result); err != nil {
			return nil, bookError(err)
		}
		t.When, t.Took = fromMicros(ended), time.Duration(took)*time.Microsecond
		out = append(out, t)
	}
	return out, bookError(rows.Err())
}

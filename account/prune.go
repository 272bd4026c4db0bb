package account

import (
	"context"
	"database/sql"
	"time"
)

const (
	defaultRecordAge  = 90 * 24 * time.Hour
	defaultMaxRecords = 1_000_000
	pruneEvery        = time.Hour
	pruneBatch        = 1000 // records in one transaction
	pruneShare        = 9    // a batch is followed by a rest that lasts so many times as long
)

// prune removes transfer records that are too old or too many, every hour until ctx ends. It takes a few at a time and
// rests in between, so that nobody who writes to the book waits for it.
func (p *pen) prune(ctx context.Context) {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var gone int64
		for n := int64(pruneBatch); n == pruneBatch; gone += n {
			began := time.Now()
			var err error
			if n, err = p.pruneSome(ctx, began); err != nil {
				if ctx.Err() == nil {
					p.b.o.Log.Error("old transfer records cannot be removed; trying again in an hour", "error", err)
				}
				break
			}
			if pause(ctx, pruneShare*time.Since(began)) != nil {
				return
			}
		}
		if gone > 0 {
			p.b.o.Log.Info("old transfer records removed", "count", gone)
		}
	}
}

// pruneSome removes a batch and returns how many that were. The newest record stays, for the next one is numbered by it.
func (p *pen) pruneSome(ctx context.Context, now time.Time) (n int64, err error) {
	p.mu.Lock()
	last := p.lastID
	p.mu.Unlock()
	err = p.b.update(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `
			DELETE FROM transfers WHERE id IN (
				SELECT id FROM transfers WHERE id <= $1
				UNION ALL SELECT id FROM transfers WHERE ended < $2 AND id < (SELECT max(id) FROM transfers)
				LIMIT $3)`,
			last-p.b.o.MaxRecords, micros(now.Add(-p.b.o.RecordAge)), pruneBatch)
		if err == nil {
			n, err = res.RowsAffected()
		}
		return err
	})
	return n, err
}

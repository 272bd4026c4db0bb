package account

import (
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// TestOldRecordsGo: what is too old, or too many, is removed within the hour, in more than one batch; the newest record
// stays whatever its age, and its number is not given away again.
func TestOldRecordsGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		open := func() *Book {
			b, err := Open(t.Context(), filepath.Join(dir, "book.db"), Options{
				Homes: filepath.Join(dir, "homes"), RecordAge: 24 * time.Hour, MaxRecords: 2*pruneBatch + 10, Log: quiet(),
			})
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		b := open()
		record := func(n int) {
			for i := range n {
				b.Record(Transfer{When: time.Now(), Account: "ann", Verb: "put", Path: fmt.Sprint("/", i)})
			}
		}
		kept := func(what string, want int, newest int64) {
			t.Helper()
			all, err := b.Log(t.Context(), Filter{Limit: 10 * pruneBatch})
			if err != nil || len(all) != want || all[0].ID != newest {
				t.Fatalf("%s: %d records from %d on, %v; want %d from %d on", what, len(all), all[0].ID, err, want, newest)
			}
		}
		record(5 * pruneBatch)
		kept("before", 5*pruneBatch, 5*pruneBatch)
		time.Sleep(pruneEvery + time.Minute)
		kept("too many", 2*pruneBatch+10, 5*pruneBatch)
		time.Sleep(20 * time.Hour)
		record(5)
		time.Sleep(4 * time.Hour)
		kept("too old", 5, 5*pruneBatch+5)
		time.Sleep(48 * time.Hour)
		kept("all too old", 1, 5*pruneBatch+5)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		b = open()
		defer b.Close()
		record(1)
		kept("opened again", 2, 5*pruneBatch+6)
	})
}

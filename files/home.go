package files

import (
	"context"
	"log/slog"
	"time"
)

// Options says how a home is kept.
type Options struct {
	Strict  bool          // sync data, ledger and directories before a success is told; false only orders them
	PartAge time.Duration // parts that nobody resumed for so long are removed; 0 is 24 h
	Quota   int64         // bytes, -1 unlimited
	Log     *slog.Logger
}

// A Home is one directory on the server's disk with its quota, stages, parts and ledger. One process opens a home
// at a time; all Stores of it share the Home.
type Home struct{ dir string }

// OpenHome opens the home at dir, making the directory if it is missing. A home that was never opened before and is
// not empty is counted once. What a crash left (intents, stages) is put right: afterwards Used is exact.
func OpenHome(dir string, o Options) (*Home, error) { panic("not built") }

// Close waits for running commits and closes the home.
func (h *Home) Close() error { panic("not built") }

// As returns the home's Store as owner sees it: parts belong to owner. It is a Parter, a Summer and a Spacer.
func (h *Home) As(owner string) *Local { panic("not built") }

// Space tells used bytes, quota and what the disk beneath has free.
func (h *Home) Space(ctx context.Context) (Space, error) { panic("not built") }

// SetQuota changes the quota, effective for the next reservation; -1 is unlimited.
func (h *Home) SetQuota(n int64) { panic("not built") }

// Check counts the home on the disk and compares; with fix the ledger is set to what was counted.
func (h *Home) Check(ctx context.Context, fix bool) (recorded, counted int64, err error) {
	panic("not built")
}

// Expire removes parts older than Options.PartAge and returns how many went.
func (h *Home) Expire(ctx context.Context) (int, error) { panic("not built") }

// Local is a home's Store for one owner; see Home.As.
type Local struct{ home *Home }

package client

import (
	"context"
	"iter"

	"sampan/files"
)

// Walk yields p and everything below it, directories before what they hold, names in order. Links to directories are
// not entered. An error is yielded with the Info of the directory that could not be read, and the walk goes on.
func Walk(ctx context.Context, s files.Store, p files.Path) iter.Seq2[files.Info, error] {
	panic("not built")
}

// Du adds up p and everything below it.
func Du(ctx context.Context, s files.Store, p files.Path) (Usage, error) { panic("not built") }

// RemoveTree removes p and everything below it; links are removed, never what they point to. each, which may be nil,
// hears of every entry.
func RemoveTree(ctx context.Context, s files.Store, p files.Path, each func(files.Path, error)) error {
	panic("not built")
}

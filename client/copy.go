package client

import (
	"context"
	"time"

	"sampan/files"
	"sampan/words"
)

// CopyOptions says how Copy works.
type CopyOptions struct {
	NoClobber bool                // keep a file that is there already, whatever it holds
	Tries     int                 // how often a broken copy is begun again before GaveUp; 0 is 10, -1 never
	Progress  func(Progress)      // called often, from one goroutine at a time; nil is silent
	Say       func(words.Message) // remarks for the person ("reconnecting in 2 s"); nil is silent
}

// Phase is what a copy is doing.
type Phase uint8

const (
	Comparing Phase = iota // looking at both ends; hashing what is there already
	Moving                 // bytes go
	Proving                // comparing the result end to end
	Waiting                // for the next try
	Finished               // it is there, or was there already
)

// String is the phase's name in JSON events: "comparing", "moving", "proving", "waiting", "finished".
func (p Phase) String() string {
	return [...]string{"comparing", "moving", "proving", "waiting", "finished"}[p]
}

// Progress is one look at a running copy.
type Progress struct {
	From, To files.Path
	Phase    Phase
	Done     int64 // bytes of the file that are there, Resumed included
	Size     int64 // of the whole file, -1 if unknown
	Resumed  int64 // bytes that were there before this copy
}

// Result is what a copy did.
type Result struct {
	From, To  files.Path
	Size      int64         // of the file
	Bytes     int64         // moved by this copy, all tries together
	Resumed   int64         // bytes that were not moved because a proved part was there
	Restarted bool          // a part was there but did not fit, so it began from zero
	Skipped   bool          // equal already, nothing was moved
	Kept      bool          // NoClobber kept what was there
	Sum       string        // SHA-256 in hex of the file, "" if unknown
	Verified  bool          // Sum was computed at both ends and is equal
	Took      time.Duration // of all tries
}

// TreeResult adds up a tree copy.
type TreeResult struct {
	Files, Dirs, Skipped, Failed int
	Bytes                        int64
	Took                         time.Duration
}

// Usage is what Du counts.
type Usage struct {
	Files, Dirs int
	Bytes       int64
}

// Copy copies the file from to the name to, in either direction. It is the one copy engine: an equal file (size and
// hash) is skipped; a part left by an earlier try is continued after its SHA-256 was proved equal to the head of the
// source, else it begins from zero and says so; a source that changes meanwhile is noticed before anything is
// published; the result's SHA-256 is compared where both ends can hash; the modification time is kept. What breaks
// is tried again with growing pauses. Cancelling ctx parks what came.
//
// Kinds: those of the two Stores; IsDir if from is a directory; Mismatch if the ends differ after two tries; GaveUp
// after too many.
func Copy(ctx context.Context, src files.Store, from files.Path, dst files.Store, to files.Path, o CopyOptions) (Result, error) {
	panic("not built")
}

// CopyTree copies the directory from (or one file) to the name to, making directories as needed. each, which may be
// nil, hears of every file, with its error; a file that fails does not stop the others. The error is that of the
// last file that failed, or what ended the whole.
func CopyTree(ctx context.Context, src files.Store, from files.Path, dst files.Store, to files.Path, o CopyOptions, each func(Result, error)) (TreeResult, error) {
	panic("not built")
}

// Package fault names the kinds of failure and what may be told to a user about each.
package fault

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"sampan/words"
)

// Kind classes a failure once; each protocol and the command line map Kinds to their codes in one table.
type Kind uint8

const (
	Internal    Kind = iota // a fault of ours; the user is told no more than that
	NotExist                // no such file, account, request, …
	Exist                   // the name is taken
	Denied                  // the account may not do this
	Unauth                  // not logged in, or the log-in was refused
	BadName                 // the name cannot be used
	NotDir                  // a directory was needed
	IsDir                   // a file was needed
	NotEmpty                // the directory is not empty
	OverQuota               // the home's quota would be passed
	NoSpace                 // the disk is full
	Busy                    // in use just now; later it may go
	BadOffset               // the offset does not fit the file or the part
	Unsupported             // not offered here
	Syntax                  // the request cannot be understood
	TooMany                 // a limit on sessions, tries or requests is reached
	Cut                     // the transfer ended early; what came is parked
	Durability              // it may be in place, but stable storage was not confirmed
	Unreachable             // cannot connect or listen
	Untrusted               // a certificate or host key was refused
	Mismatch                // two ends differ where they must be equal
	Stopped                 // a safety stop: going on could have lost something
	Local                   // an error of this machine's own files
	GaveUp                  // it was tried again and again, and given up
)

// Error is a failure with a sentence for the user. Err, which may name local paths, is for the log only.
type Error struct {
	Kind Kind
	Say  words.Message
	Err  error
}

// New returns an error of a kind with a sentence: an English format (see words.M) and its arguments.
func New(k Kind, text string, args ...any) *Error {
	return &Error{Kind: k, Say: words.M(text, args...)}
}

// Wrap is New with the cause, which only the log sees.
func Wrap(k Kind, cause error, text string, args ...any) *Error {
	return &Error{Kind: k, Say: words.M(text, args...), Err: cause}
}

// Error renders the sentence in English, with the cause behind it: it is for logs. Users read Say.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Say.String() + ": " + e.Err.Error()
	}
	return e.Say.String()
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the first *Error in err's chain, Internal if there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Say returns what a user may read about err: the sentence of the first *Error in its chain, else a general one.
func Say(err error) words.Message {
	var e *Error
	if errors.As(err, &e) {
		return e.Say
	}
	if errors.Is(err, context.Canceled) {
		return words.M("interrupted")
	}
	return words.M("something went wrong inside; the log says what")
}

// From classes an error of package os about the name that the user gave. An *Error is returned as it is, nil as nil.
func From(err error, name string) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	// The system's own codes come first: package syscall counts ENOTEMPTY as fs.ErrExist.
	if known := fromSystem(err, name); known != nil {
		return known
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Wrap(NotExist, err, "%s: no such file or directory", name)
	case errors.Is(err, fs.ErrExist):
		return Wrap(Exist, err, "%s: that name is taken", name)
	case errors.Is(err, fs.ErrPermission):
		return Wrap(Denied, err, "%s: the server's file system does not allow it", name)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return Wrap(Busy, err, "%s: it took too long", name)
	}
	return Wrap(Internal, err, "%s: something went wrong inside; the log says what", name)
}

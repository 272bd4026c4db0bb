package main

import (
	"context"
	"errors"
	"fmt"

	"sampan/fault"
	"sampan/words"
)

// errSilent ends a command with exit code 1 after it has said itself what failed.
var errSilent = errors.New("said already")

// Exit codes.
const (
	exitOK          = 0
	exitSome        = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitLocal       = 4
	exitDenied      = 5
	exitUnreachable = 6
	exitUntrusted   = 7
	exitLogin       = 8
	exitMismatch    = 9
	exitGaveUp      = 10
	exitSpace       = 11
	exitStopped     = 12
	exitInterrupted = 130
)

// exitMeanings says what each exit code means; `sampan help exit-codes` prints it.
func exitMeanings() []struct {
	code int
	says words.Message
} {
	return []struct {
		code int
		says words.Message
	}{
		{exitOK, words.M("all went well")},
		{exitSome, words.M("some files failed, or something went wrong inside")},
		{exitUsage, words.M("the command line, a setting or a name is not right")},
		{exitNotFound, words.M("no such file, directory, account or request")},
		{exitLocal, words.M("this machine's own files could not be read or written")},
		{exitDenied, words.M("denied, or the name is taken, or the other side does not offer it")},
		{exitUnreachable, words.M("cannot connect, or cannot listen")},
		{exitUntrusted, words.M("the certificate or key was refused")},
		{exitLogin, words.M("the log-in failed")},
		{exitMismatch, words.M("the two ends differ where they must be equal")},
		{exitGaveUp, words.M("gave up after several tries; later it may go")},
		{exitSpace, words.M("the quota or the disk is full")},
		{exitStopped, words.M("a safety stop: going on could have lost something")},
		{exitInterrupted, words.M("interrupted")},
	}
}

// exitCodes is the exit code of each kind of failure.
var exitCodes = map[fault.Kind]int{
	fault.Internal:    exitSome,
	fault.NotExist:    exitNotFound,
	fault.Exist:       exitDenied,
	fault.Denied:      exitDenied,
	fault.Unauth:      exitLogin,
	fault.BadName:     exitUsage,
	fault.NotDir:      exitUsage,
	fault.IsDir:       exitUsage,
	fault.NotEmpty:    exitDenied,
	fault.OverQuota:   exitSpace,
	fault.NoSpace:     exitSpace,
	fault.Busy:        exitGaveUp,
	fault.BadOffset:   exitMismatch,
	fault.Unsupported: exitDenied,
	fault.Syntax:      exitUsage,
	fault.TooMany:     exitGaveUp,
	fault.Cut:         exitGaveUp,
	fault.Durability:  exitSome,
	fault.Unreachable: exitUnreachable,
	fault.Untrusted:   exitUntrusted,
	fault.Mismatch:    exitMismatch,
	fault.Stopped:     exitStopped,
	fault.Local:       exitLocal,
	fault.GaveUp:      exitGaveUp,
}

// exitCode is the exit code of a command that ended with err.
func exitCode(err error) int {
	var f *fault.Error
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &f):
		if f.Kind != fault.Stopped && errors.Is(err, context.Canceled) {
			return exitInterrupted
		}
		return exitCodes[f.Kind]
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	return exitSome
}

// helpExitCodes prints the table.
func helpExitCodes(e *env) {
	e.say(words.M("Exit codes:"))
	for _, m := range exitMeanings() {
		fmt.Fprintf(e.out, "  %3d  %s\n", m.code, e.text(m.says))
	}
}

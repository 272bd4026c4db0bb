package main

import (
	"context"
	"errors"
	"runtime"

	"sampan/shell"
	"sampan/words"
)

// clientCommands are the verbs of the shell as commands, and join.
func clientCommands(e *env) []command {
	rows := []command{joinCommand(e)}
	for _, c := range shell.Commands() {
		o := new(shell.Options)
		flags := connectionFlags(o)
		if c.Recursive {
			flags = append(flags, flag{name: "recursive", short: "r", to: &o.Recursive, usage: words.M("directories with everything in them")})
		}
		if c.NoClobber {
			flags = append(flags, flag{name: "no-clobber", short: "n", to: &o.NoClobber, usage: words.M("keep files that are there already")})
		}
		if c.Listing {
			flags = append(flags,
				flag{name: "long", short: "l", to: new(bool), usage: words.M("as always: with sizes and times")},
				flag{name: "all", short: "a", to: new(bool), usage: words.M("as always: with names that begin with a dot")})
		}
		if c.Update {
			flags = append(flags, flag{name: "update", short: "u", to: &o.Update, usage: words.M("leave out what is there in the same size and not older")})
		}
		rows = append(rows, command{
			name: c.Name, group: clientGroup, args: c.Args, short: c.Short, flags: flags, signals: c.Signals,
			run: func(ctx context.Context, args []string) error {
				defer runtime.KeepAlive(ballast())
				return told(shell.Run(ctx, e.shell(), *o, c.Name, args))
			},
		})
	}
	return rows
}

func joinCommand(e *env) command {
	o, j := new(shell.Options), new(shell.JoinOptions)
	return command{
		name: "join", group: clientGroup, args: "[URL]", short: words.M("ask a server for an account"), signals: true,
		flags: append([]flag{
			{name: "name", arg: "NAME", to: &j.Name, usage: words.M("the name that you want")},
			{name: "email", arg: "ADDRESS", to: &j.Email, usage: words.M("where the operator can reach you")},
			{name: "status", to: &j.Status, usage: words.M("ask how an earlier request stands")},
		}, connectionFlags(o)...),
		run: func(ctx context.Context, args []string) error {
			url := ""
			if len(args) > 0 {
				url = args[0]
			}
			return told(shell.Join(ctx, e.shell(), *o, url, *j))
		},
	}
}

// connectionFlags are what every command that connects takes.
func connectionFlags(o *shell.Options) []flag {
	return []flag{
		{name: "plain", to: &o.Plain, usage: words.M("clear text, without TLS")},
		{name: "active", to: &o.Active, usage: words.M("this machine opens the ports for data, not the server")},
		{name: "ascii", to: &o.ASCII, usage: words.M("convert line ends of text files")},
		{name: "pin", arg: "sha256:HEX", to: &o.Pin, usage: words.M("the fingerprint of the certificate or host key; it alone decides")},
		{name: "yes", to: &o.Yes, usage: words.M("accept an unknown certificate or host key, but never a changed one")},
		{name: "trace", to: &o.Trace, usage: words.M("show the protocol, passwords masked")},
		{name: "json", to: &o.JSON, usage: words.M("one JSON object a line")},
	}
}

// shell is e as package shell takes it.
func (e *env) shell() *shell.Env {
	return &shell.Env{In: e.in, Out: e.out, Err: e.err, Lang: e.lang, Getenv: e.getenv}
}

// told marks an error that the person knows of already.
func told(err error) error {
	if err == nil {
		return nil
	}
	return errors.Join(errSilent, err)
}

// menu is what starts without a command.
func menu(ctx context.Context, e *env) error {
	return told(shell.Menu(ctx, e.shell(), shell.Options{}))
}

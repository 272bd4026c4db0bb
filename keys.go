package main

import (
	"context"
	"io"
	"os"
	"strings"

	"sampan/admin"
	"sampan/fault"
	"sampan/words"
)

func userKeyAdd(e *env) command {
	return e.operate(command{
		name: "user key add", args: "NAME KEY...", short: words.M("let an account in by a public key"),
		long: words.M("KEY is a file of public keys as in authorized_keys, such as ~/.ssh/id_ed25519.pub, or - for the standard input,\n" +
			"or the key itself: ssh-ed25519 AAAA… comment"),
	}, false, func(ctx context.Context, c *admin.Client, args []string) (answer, error) {
		text, err := e.readKeys(args[1:])
		if err != nil {
			return answer{}, err
		}
		list, err := c.AddKeys(ctx, args[0], text)
		return answer{json: list, say: func() { e.printKeys(list) }}, err
	})
}

// readKeys returns what args say of keys: the text itself, or the file that has it.
func (e *env) readKeys(args []string) (string, error) {
	if len(args) > 1 || strings.Contains(args[0], " ") {
		return strings.Join(args, " "), nil
	}
	in := e.in
	if args[0] != "-" {
		f, err := os.Open(args[0])
		if err != nil {
			return "", fault.Wrap(fault.Local, err, "the key file %s cannot be read", args[0])
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, 1<<20))
	if err != nil {
		return "", fault.Wrap(fault.Local, err, "the key file %s cannot be read", args[0])
	}
	return string(text), nil
}

func userKeyList(e *env) command {
	return e.operate(command{name: "user key list", args: "NAME", short: words.M("list the public keys of an account")}, false,
		func(ctx context.Context, c *admin.Client, args []string) (answer, error) {
			list, err := c.Keys(ctx, args[0])
			return answer{json: list, say: func() { e.printKeys(list) }}, err
		})
}

func (e *env) printKeys(list []admin.Key) {
	rows := make([][]string, len(list))
	for i, k := range list {
		rows[i] = []string{k.Fingerprint, k.Type, e.when(k.Added), k.Comment}
	}
	e.table([]column{
		{title: words.M("fingerprint")},
		{title: words.M("type")},
		{title: words.M("added")},
		{title: words.M("comment")},
	}, rows)
}

func userKeyRemove(e *env) command {
	return e.operate(command{
		name: "user key remove", args: "NAME KEY", short: words.M("take a public key from an account"),
		long: words.M("KEY is the fingerprint that user key list shows, or the comment. Sessions that are open stay."),
	}, false, func(ctx context.Context, c *admin.Client, args []string) (answer, error) {
		k, err := c.RemoveKey(ctx, args[0], args[1])
		return e.done(k, words.M("the key %s of %s is removed", k.Fingerprint, args[0])), err
	})
}

package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/ssh"

	"sampan/admin"
	"sampan/fault"
	"sampan/sftpd"
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
		{title: words.M("added"), cut: cutTime, least: leastTime},
		{title: words.M("comment"), cut: words.Cut, least: leastText},
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

// sshDir is where the host keys are kept, below DATA.
const sshDir = "ssh"

// loadKeys reads or makes the host keys, if they are needed, and reads the authorities.
func (srv *server) loadKeys() (err error) {
	if srv.settings.SFTP == off {
		return nil
	}
	if srv.hostKeys, err = sftpd.HostKeys(filepath.Join(srv.dir, sshDir)); err != nil {
		return err
	}
	return srv.authorities.load(string(srv.settings.SSHUserCA))
}

// fingerprints are what clients show of the host keys.
func (srv *server) fingerprints() []string {
	list := make([]string, len(srv.hostKeys))
	for i, k := range srv.hostKeys {
		list[i] = k.PublicKey().Type() + " " + ssh.FingerprintSHA256(k.PublicKey())
	}
	return list
}

// authorities are the public keys of --ssh-user-ca, which a HUP reads again.
type authorities struct {
	list atomic.Pointer[[]ssh.PublicKey]
}

func (a *authorities) keys() []ssh.PublicKey {
	if list := a.list.Load(); list != nil {
		return *list
	}
	return nil
}

// load reads public keys, one a line as in authorized_keys; no file is none.
func (a *authorities) load(name string) error {
	var list []ssh.PublicKey
	if name != "" {
		text, err := os.ReadFile(name)
		if err != nil {
			return fault.Wrap(fault.Local, err, "the file %s of --ssh-user-ca cannot be read", name)
		}
		for n, line := range strings.Split(string(text), "\n") {
			if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
				continue
			}
			k, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
			if err != nil {
				return fault.Wrap(fault.Syntax, err, "line %d of %s is no public key", n+1, name)
			}
			list = append(list, k)
		}
	}
	a.list.Store(&list)
	return nil
}

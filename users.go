package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"sampan/account"
	"sampan/admin"
	"sampan/fault"
	"sampan/words"
)

// optional is a flag whose absence means something.
type optional[T any] struct {
	value *T
	parse func(string) (T, error)
}

func (o *optional[T]) UnmarshalText(b []byte) error {
	v, err := o.parse(string(b))
	if err == nil {
		o.value = &v
	}
	return err
}

func optionalText() *optional[string] {
	return &optional[string]{parse: func(s string) (string, error) { return s, nil }}
}

func optionalSize() *optional[int64] {
	return &optional[int64]{parse: func(s string) (int64, error) {
		n, err := parseSize(s)
		return int64(n), err
	}}
}

func optionalRate() *optional[int64] {
	return &optional[int64]{parse: func(s string) (int64, error) {
		r, err := parseRate(s)
		return int64(r.size), err
	}}
}

func optionalSwitch() *optional[bool] {
	return &optional[bool]{parse: func(s string) (bool, error) {
		switch strings.ToLower(s) {
		case "on", "yes", "true":
			return true, nil
		case "off", "no", "false":
			return false, nil
		}
		return false, fault.New(fault.Syntax, "%q is neither on nor off", s)
	}}
}

// userCommands are the rows of `sampan user`.
func userCommands(e *env) []command {
	return []command{
		{name: "user", group: operatorGroup, short: words.M("look after accounts")},
		userAdd(e), userList(e), userShow(e), userSet(e), userPasswd(e),
		userState(e, "suspend", account.Suspended, words.M("let an account in no more; its files stay")),
		userState(e, "resume", account.Active, words.M("let a suspended account in again")),
		userRemove(e), userGrant(e), userRevoke(e),
		{name: "user key", group: operatorGroup, short: words.M("look after the public keys of accounts, for SFTP")},
		userKeyAdd(e), userKeyList(e), userKeyRemove(e),
	}
}

func userAdd(e *env) command {
	var (
		n     admin.NewUser
		limit = optionalSize()
		stdin bool
	)
	password := e.newPassword(&stdin)
	return e.operate(command{
		name: "user add", args: "NAME", short: words.M("add an account"),
		flags: []flag{
			{name: "quota", arg: "SIZE", to: limit, usage: words.M("10G, 500M, a number of bytes, or none")},
			{name: "home", arg: "DIR", to: &n.Home, usage: words.M("its home directory (DATA/homes/NAME)")},
			{name: "email", arg: "ADDRESS", to: &n.Email, usage: words.M("its e-mail address")},
			{name: "operator", to: &n.Operator, usage: words.M("it may look after the server")},
			stdinFlag(&stdin),
		},
	}, true, func(ctx context.Context, c *admin.Client, args []string) (answer, error) {
		var err error
		n.Name, n.Quota = args[0], limit.value
		if n.Password, err = password(); err != nil {
			return answer{}, err
		}
		u, err := c.AddUser(ctx, n)
		return e.done(u, words.M("%s is added; home %s, quota %s", u.Name, u.Home, size(u.Quota).String())), err
	})
}

func stdinFlag(to *bool) flag {
	return flag{name: "password-stdin", to: to, usage: words.M("read the password from the first line of the standard input")}
}

// newPassword reads a new password, once: of the first line of the input, or asked for twice on a terminal.
func (e *env) newPassword(stdin *bool) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		if *stdin {
			return readLine(e.in)
		}
		return e.askPassword()
	})
}

func (e *env) askPassword() (string, error) {
	if !isTerminal(e.in) {
		return "", fault.New(fault.Syntax, "nobody is here to be asked for a password; hand it over with --password-stdin")
	}
	for {
		first, err := e.askHidden(words.M("New password: "))
		if err != nil {
			return "", err
		}
		again, err := e.askHidden(words.M("The same again: "))
		if err != nil || first == again {
			return first, err
		}
		e.warn(words.M("The two were not the same; try again."))
	}
}

func (e *env) askHidden(prompt words.Message) (string, error) {
	fmt.Fprint(e.err, e.text(prompt))
	b, err := term.ReadPassword(int(e.in.(*os.File).Fd()))
	fmt.Fprintln(e.err)
	if err != nil {
		return "", errors.Join(context.Canceled, err)
	}
	return string(b), nil
}

func userList(e *env) command {
	return e.operate(command{name: "user list", short: words.M("list the accounts")}, false,
		func(ctx context.Context, c *admin.Client, _ []string) (answer, error) {
			list, err := c.Users(ctx)
			return answer{json: list, say: func() { e.printUsers(list) }}, err
		})
}

func (e *env) printUsers(list []admin.User) {
	rows := make([][]string, len(list))
	for i, u := range list {
		operator := ""
		if u.Operator {
			operator = "✓"
		}
		rows[i] = []string{u.Name, e.state(u.State), operator, used(u.Used), size(u.Quota).short(), e.when(u.LastSeen), u.Home}
	}
	e.table([]column{
		{title: words.M("name"), cut: words.Cut, least: leastName},
		{title: words.M("state")},
		{title: words.M("operator")},
		{title: words.M("used"), right: true},
		{title: words.M("quota"), right: true},
		{title: words.M("last seen"), cut: cutTime, least: leastTime},
		{title: words.M("home"), cut: words.CutHead, least: leastText},
	}, rows)
}

// used writes how much is used; "?" where the home cannot be read.
func used(n int64) string {
	if n < 0 {
		return "?"
	}
	return words.Bytes(n)
}

// state says how an account stands.
func (e *env) state(s string) string {
	switch s {
	case account.Active.String():
		return e.text(words.M("active"))
	case account.Suspended.String():
		return e.text(words.M("suspended"))
	case account.Pending.String():
		return e.text(words.M("pending"))
	case account.Refused.String():
		return e.text(words.M("refused"))
	}
	return s
}

// when writes a time of the API in the reader's own zone.
func (e *env) when(rfc3339 string) string {
	if rfc3339 == "" {
		return e.text(words.M("never"))
	}
	t, err := time.Parse(time.RFC3339, rfc3339)
	if err != nil {
		return rfc3339
	}
	return t.Local().Format("2006-01-02 15:04")
}

func userShow(e *env) command {
	return e.operate(command{name: "user show", args: "NAME", short: words.M("show an account")}, false,
		func(ctx context.Context, c *admin.Client, args []string) (answer, error) {
			u, err := c.User(ctx, args[0])
			return answer{json: u, say: func() { e.printUser(u) }}, err
		})
}

func (e *env) printUser(u admin.User) {
	rows := [][2]string{
		{e.text(words.M("name")), u.Name},
		{e.text(words.M("state")), e.state(u.State)},
		{e.text(words.M("e-mail")), u.Email},
		{e.text(words.M("home")), u.Home},
		{e.text(words.M("used")), used(u.Used)},
		{e.text(words.M("quota")), size(u.Quota).String()},
		{e.text(words.M("download limit")), rate{size(u.Down)}.String()},
		{e.text(words.M("upload limit")), rate{size(u.Up)}.String()},
		{e.text(words.M("operator")), e.yes(u.Operator)},
		{e.text(words.M("lenient")), e.yes(u.Lenient)},
		{e.text(words.M("created")), e.when(u.Created)},
		{e.text(words.M("last seen")), e.when(u.LastSeen)},
	}
	for _, g := range u.Grants {
		rows = append(rows, [2]string{e.text(words.M("may do")), g.Perms + "  " + words.Escape(g.Path)})
	}
	definitions(e.out, rows)
}

func (e *env) yes(b bool) string {
	if b {
		return e.text(words.M("yes"))
	}
	return e.text(words.M("no"))
}

func userSet(e *env) command {
	var (
		limit             = optionalSize()
		down, up          = optionalRate(), optionalRate()
		home, email       = optionalText(), optionalText()
		operator, lenient = optionalSwitch(), optionalSwitch()
	)
	return e.operate(command{
		name: "user set", args: "NAME", short: words.M("change an account"),
		flags: []flag{
			{name: "quota", arg: "SIZE", to: limit, usage: words.M("10G, 500M, a number of bytes, or none")},
			{name: "down", arg: "RATE", to: down, usage: words.M("limit of all its downloads together: 500K, 10M, bytes a second, or none")},
			{name: "up", arg: "RATE", to: up, usage: words.M("limit of all its uploads together")},
			{name: "home", arg: "DIR", to: home, usage: words.M("another home directory; files are not moved")},
			{name: "email", arg: "ADDRESS", to: email, usage: words.M("its e-mail address")},
			{name: "operator", arg: "on|off", to: operator, usage: words.M("it may look after the server")},
			{name: "lenient", arg: "on|off", to: lenient, usage: words.M("let its TLS client be careless: not mark the end of uploads, not resume the session on data connections")},
		},
	}, false, func(ctx context.Context, c *admin.Client, args []string) (answer, error) {
		change := admin.UserChange{
			Quota: limit.value, Down: down.value, Up: up.value,
			Home: home.value, Email: email.value, Operator: operator.value, Lenient: lenient.value,
		}
		if change == (admin.UserChange{}) {
			return answer{}, fault.New(fault.Syntax, "there is nothing to change; sampan user set --help lists what can be")
		}
		u, err := c.UpdateUser(ctx, args[0], change)
		return answer{json: u, say: func() { e.printUser(u) }}, err
	})
}

func userPasswd(e *env) command {
	var stdin bool
	password := e.newPassword(&stdin)
	return e.operate(command{
		name: "user passwd", args: "NAME", short: words.M("set an account's password"),
		flags: []flag{stdinFlag(&stdin)},
	}, false, func(ctx context.Context, c *admin.Client, args []string) (answer, error) {
		if _, err := c.User(ctx, args[0]); err != nil {
			return answer{}, err
		}
		secret, err := password()
		if err != nil {
			return answer{}, err
		}
		u, err := c.UpdateUser(ctx, args[0], admin.UserChange{Password: &secret})
		return e.done(u, words.M("the password of %s is set", u.Name)), err
	})
}

func userState(e *env, name string, s account.State, short words.Message) command {
	return e.operate(command{name: "user " + name, args: "NAME", short: short}, false,
		func(ctx context.Context, c *admin.Client, args []string) (answer, error) {
			state := s.String()
			u, err := c.UpdateUser(ctx, args[0], admin.UserChange{State: &state})
			return e.done(u, words.M("%s is now %s", u.Name, e.state(u.State))), err
		})
}

func userRemove(e *env) command {
	return e.operate(command{name: "user remove", args: "NAME", short: words.M("remove an account; its files stay on the disk")}, false,
		func(ctx context.Context, c *admin.Client, args []string) (answer, error) {
			u, err := c.User(ctx, args[0])
			if err != nil {
				return answer{}, err
			}
			return e.done(u, words.M("%s is removed; its files stay in %s", u.Name, u.Home)), c.RemoveUser(ctx, args[0])
		})
}

func userGrant(e *env) command {
	return e.operate(command{
		name: "user grant", args: "NAME PATH PERMS", short: words.M("say what an account may do at a path and below"),
		long: words.M("PERMS are letters, or read-only, drop-box, full or none. The longest path wins.\n" +
			"e change into it   l list   r download   a append   d delete   f rename   m make directories   w upload   M chmod   T set times"),
	}, false, func(ctx context.Context, c *admin.Client, args []string) (answer, error) {
		u, err := c.Grant(ctx, args[0], admin.Grant{Path: args[1], Perms: args[2]})
		return answer{json: u, say: func() { e.printUser(u) }}, err
	})
}

func userRevoke(e *env) command {
	return e.operate(command{name: "user revoke", args: "NAME PATH", short: words.M("take back what was granted at a path")}, false,
		func(ctx context.Context, c *admin.Client, args []string) (answer, error) {
			u, err := c.Revoke(ctx, args[0], args[1])
			return answer{json: u, say: func() { e.printUser(u) }}, err
		})
}

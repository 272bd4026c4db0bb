package main

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"sampan/admin"
	"sampan/fault"
	"sampan/words"
)

// requestCommands are the rows about those who ask for an account.
func requestCommands(e *env) []command {
	return []command{
		e.operate(command{name: "requests", short: words.M("list who asks for an account")}, false,
			func(ctx context.Context, c *admin.Client, _ []string) (answer, error) {
				list, err := c.Requests(ctx)
				return answer{json: list, say: func() { e.printRequests(list) }}, err
			}),
		approve(e),
		refuse(e),
	}
}

func (e *env) printRequests(list []admin.Request) {
	if len(list) == 0 {
		e.say(words.M("nobody asks for an account"))
		return
	}
	rows := make([][]string, len(list))
	for i, r := range list {
		rows[i] = []string{r.Name, e.when(r.Asked), r.Remote, r.Email, r.Note}
	}
	e.table([]column{
		{title: words.M("name")}, // it has to be given whole
		{title: words.M("asked"), cut: cutTime, least: leastTime},
		{title: words.M("from"), cut: words.Cut, least: leastText},
		{title: words.M("e-mail"), cut: words.Cut, least: leastText},
		{title: words.M("note"), cut: words.Cut, least: leastText},
	}, rows)
}

func approve(e *env) command {
	var (
		limit      = optionalSize()
		home, note string
	)
	return e.operate(command{
		name: "approve", args: "NAME", short: words.M("give the account that NAME asks for"),
		flags: []flag{
			{name: "quota", arg: "SIZE", to: limit, usage: words.M("10G, 500M, a number of bytes, or none")},
			{name: "home", arg: "DIR", to: &home, usage: words.M("its home directory (DATA/homes/NAME)")},
			{name: "note", arg: "TEXT", to: &note, usage: words.M("told to who asks")},
		},
	}, false, func(ctx context.Context, c *admin.Client, args []string) (answer, error) {
		u, err := c.Decide(ctx, args[0], admin.Decision{Approve: true, Note: note, Home: home, Quota: limit.value})
		return e.done(u, words.M("%s may log in; home %s, quota %s", u.Name, u.Home, size(u.Quota).String())), err
	})
}

func refuse(e *env) command {
	var note string
	return e.operate(command{
		name: "refuse", args: "NAME", short: words.M("refuse the account that NAME asks for"),
		flags: []flag{{name: "note", arg: "TEXT", to: &note, usage: words.M("told to who asks")}},
	}, false, func(ctx context.Context, c *admin.Client, args []string) (answer, error) {
		u, err := c.Decide(ctx, args[0], admin.Decision{Note: note})
		return e.done(u, words.M("%s is refused", args[0])), err
	})
}

// quotaCommands are the rows of `sampan quota` that look after homes.
func quotaCommands(e *env) []command {
	var fix bool
	return []command{
		e.operate(command{name: "quota show", args: "[NAME]", short: words.M("show how full homes are")}, false,
			func(ctx context.Context, c *admin.Client, args []string) (answer, error) {
				list, err := someUsers(ctx, c, args)
				return answer{json: list, say: func() { e.printQuotas(list) }}, err
			}),
		e.operate(command{name: "quota set", args: "NAME SIZE", short: words.M("set a quota: 10G, 500M, a number of bytes, or none")}, false,
			func(ctx context.Context, c *admin.Client, args []string) (answer, error) {
				n, err := parseSize(args[1])
				if err != nil {
					return answer{}, err
				}
				limit := int64(n)
				u, err := c.UpdateUser(ctx, args[0], admin.UserChange{Quota: &limit})
				return e.done(u, words.M("the quota of %s is %s; %s are used", u.Name, size(u.Quota).String(), used(u.Used))), err
			}),
		e.operate(command{
			name: "quota check", args: "[NAME]", short: words.M("count homes on the disk and compare"),
			flags: []flag{{name: "fix", to: &fix, usage: words.M("take what was counted")}},
		}, false, func(ctx context.Context, c *admin.Client, args []string) (answer, error) {
			return e.checkQuotas(ctx, c, args, fix)
		}),
	}
}

func someUsers(ctx context.Context, c *admin.Client, names []string) ([]admin.User, error) {
	if len(names) == 0 {
		return c.Users(ctx)
	}
	u, err := c.User(ctx, names[0])
	return []admin.User{u}, err
}

func (e *env) printQuotas(list []admin.User) {
	rows := make([][]string, len(list))
	for i, u := range list {
		part := ""
		if u.Quota > 0 {
			part = strconv.FormatFloat(float64(u.Used)*100/float64(u.Quota), 'f', 1, 64) + "%"
		}
		rows[i] = []string{u.Name, strconv.FormatInt(u.Used, 10), size(u.Quota).String(), part}
	}
	e.table([]column{
		{title: words.M("name")},
		{title: words.M("used bytes"), right: true},
		{title: words.M("quota"), right: true},
		{title: words.M("full"), right: true},
	}, rows)
}

func (e *env) checkQuotas(ctx context.Context, c *admin.Client, args []string, fix bool) (answer, error) {
	users, err := someUsers(ctx, c, args)
	if err != nil {
		return answer{}, err
	}
	list := []admin.QuotaReport{}
	var differ error
	for _, u := range users {
		r, err := c.QuotaCheck(ctx, u.Name, fix)
		if err != nil {
			return answer{}, err
		}
		list = append(list, r)
		if r.Recorded != r.Counted && !r.Fixed {
			differ = fault.New(fault.Mismatch, "what is recorded is not what is on the disk; --fix takes what was counted")
		}
	}
	return answer{json: list, err: differ, say: func() {
		rows := make([][]string, len(list))
		for i, r := range list {
			rows[i] = []string{users[i].Name, strconv.FormatInt(r.Recorded, 10), strconv.FormatInt(r.Counted, 10), strconv.FormatInt(r.Counted-r.Recorded, 10)}
		}
		e.table([]column{
			{title: words.M("name")},
			{title: words.M("recorded"), right: true},
			{title: words.M("counted"), right: true},
			{title: words.M("difference"), right: true},
		}, rows)
	}}, nil
}

// liveCommands are the rows about sessions and what they did.
func liveCommands(e *env) []command {
	var why string
	return []command{
		e.operate(command{name: "who", short: words.M("show who is in and what is moving")}, false,
			func(ctx context.Context, c *admin.Client, _ []string) (answer, error) {
				list, err := c.Who(ctx)
				return answer{json: list, say: func() { e.printSessions(list) }}, err
			}),
		e.operate(command{
			name: "kick", args: "ID|NAME", short: words.M("end a session, or all of an account"),
			flags: []flag{{name: "note", arg: "TEXT", to: &why, usage: words.M("told to the one who is kicked")}},
		}, false, func(ctx context.Context, c *admin.Client, args []string) (answer, error) {
			return e.kick(ctx, c, args[0], why)
		}),
		transferLog(e),
	}
}

func (e *env) printSessions(list []admin.Session) {
	if len(list) == 0 {
		e.say(words.M("nobody is in"))
		return
	}
	rows := make([][]string, len(list))
	for i, s := range list {
		who := s.Account
		if who == "" {
			who = e.text(words.M("(not logged in)"))
		}
		row := []string{strconv.FormatInt(s.ID, 10), who, s.Proto, withoutPort(s.Remote), e.when(s.Since), "", "", "", ""}
		if m := s.Doing; m != nil {
			done := words.Bytes(m.Done)
			if m.Size > 0 {
				done += fmt.Sprintf("/%s %2d%%", words.Bytes(m.Size), m.Done*100/m.Size)
			}
			copy(row[5:], []string{m.Verb, done, words.Bytes(int64(m.BytesPerSec)) + "/s", m.Path})
		}
		rows[i] = row
	}
	e.table([]column{
		{title: words.M("id"), right: true},
		{title: words.M("name"), cut: words.Cut, least: leastName},
		{title: words.M("by")},
		{title: words.M("from"), cut: words.Cut, least: leastText},
		{title: words.M("since"), cut: cutTime, least: leastTime},
		{title: words.M("what")},
		{title: words.M("done"), right: true, cut: cutDone, least: len("100%")},
		{title: words.M("rate"), right: true},
		{title: words.M("path"), cut: words.CutHead, least: leastText},
	}, rows)
}

func withoutPort(remote string) string {
	if a, err := netip.ParseAddrPort(remote); err == nil {
		return a.Addr().String()
	}
	return remote
}

// cutDone leaves the percent, where it is known.
func cutDone(s string, width int) string {
	if words.Width(s) > width {
		s = s[strings.LastIndexByte(s, ' ')+1:]
	}
	return s
}

func (e *env) kick(ctx context.Context, c *admin.Client, whom, why string) (answer, error) {
	n := 1
	id, err := strconv.ParseInt(whom, 10, 64)
	if err == nil {
		err = c.Kick(ctx, id, why)
	} else {
		n, err = c.KickUser(ctx, whom, why)
	}
	return e.done(map[string]int{"ended": n}, words.M("%d sessions are ended", n)), err
}

func transferLog(e *env) command {
	var (
		who, since string
		limit      = 100
	)
	return e.operate(command{
		name: "log", short: words.M("show the record of transfers, newest first"),
		flags: []flag{
			{name: "user", arg: "NAME", to: &who, usage: words.M("only of this account")},
			{name: "since", arg: "TIME", to: &since, usage: words.M("only since then: 2h, 7d, 2026-01-31")},
			{name: "limit", arg: "N", to: &limit, usage: words.M("no more than so many (100)")},
		},
	}, false, func(ctx context.Context, c *admin.Client, _ []string) (answer, error) {
		from, err := sinceWhen(since, time.Now())
		if err != nil {
			return answer{}, err
		}
		list, err := c.Log(ctx, admin.Filter{Account: who, Since: from, Limit: limit})
		return answer{json: list, say: func() { e.printLog(list) }}, err
	})
}

// sinceWhen reads a time in the past: how long ago it was, or a day, or a moment as RFC 3339 writes it.
func sinceWhen(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	var ago age
	if ago.UnmarshalText([]byte(s)) == nil {
		return now.Add(-time.Duration(ago)), nil
	}
	for _, layout := range []string{"2006-01-02", "2006-01-02 15:04", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, strings.TrimSpace(s), now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fault.New(fault.Syntax, "%q is no time; write 2h, 7d or 2026-01-31", s)
}

func (e *env) printLog(list []admin.Transfer) {
	rows := make([][]string, len(list))
	for i, t := range list {
		path := t.Path
		if t.To != "" {
			path += " → " + t.To
		}
		rows[i] = []string{e.when(t.When), t.Account, t.Proto, t.Remote, t.Verb, words.Bytes(t.Bytes), t.Result, path}
	}
	e.table([]column{
		{title: words.M("when"), cut: cutTime, least: leastTime},
		{title: words.M("name"), cut: words.Cut, least: leastName},
		{title: words.M("by")},
		{title: words.M("from"), cut: words.Cut, least: leastText},
		{title: words.M("what")},
		{title: words.M("bytes"), right: true},
		{title: words.M("result")},
		{title: words.M("path"), cut: words.CutHead, least: leastText},
	}, rows)
}

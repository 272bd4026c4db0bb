package client

import (
	"context"
	"strings"

	"sampan/fault"
)

// State is how a request for an account stands.
type State string

const (
	Pending  State = "pending"
	Approved State = "approved"
	Refused  State = "refused"
)

// Standing is what the operator said to a request so far.
type Standing struct {
	State State
	Note  string // the operator's
}

// Knock connects where accounts are asked for, and leaves: Unreachable, Untrusted, Unsupported. Nobody needs to think of
// a name and a password for a server that is not there.
func Knock(ctx context.Context, u URL, o Options) error {
	if u.Scheme == "sftp" {
		conn, err := sshRegistrar(ctx, u, o)
		if err == nil {
			conn.close()
		}
		return err
	}
	return asking(ctx, u, o, func(*control) error { return nil })
}

// Register asks the server of u for an account and returns the ticket that Answer takes. TooMany when asked too
// often; Syntax or BadName for a name or password that cannot be; Unsupported where the server has no registration.
func Register(ctx context.Context, u URL, o Options, name, email, password string) (ticket string, err error) {
	for _, s := range []string{name, email, password} {
		if strings.ContainsAny(s, "\x00\r\n") || s != password && strings.Contains(s, " ") {
			return "", fault.New(fault.Syntax, "names and addresses hold no spaces or line ends")
		}
	}
	if u.Scheme == "sftp" {
		return sshRegister(ctx, u, o, name, email, password)
	}
	err = asking(ctx, u, o, func(c *control) error {
		line := "SITE REGISTER " + name
		if email != "" {
			line += " " + email
		}
		reply, err := c.cmd(ctx, line)
		if err != nil {
			return noService(reply, err, u.Address())
		}
		if reply.More() {
			if reply, err = c.cmd(ctx, "PASS "+password); err != nil {
				return noService(reply, err, u.Address())
			}
		}
		var ok bool
		if ticket, ok = parseTicket(reply.Text()); !reply.Done() || !ok {
			return noAccount(reply.Code, printable(reply.Text()))
		}
		return nil
	})
	return ticket, err
}

// noAccount says why a request was not taken.
func noAccount(code int, text string) error {
	switch {
	case code == 450:
		return fault.New(fault.TooMany, "the server refused: %s", text)
	case code == 501 || code == 553:
		return fault.New(fault.BadName, "the server refused: %s", text)
	}
	return fault.New(fault.Unsupported, "the server refused: %s", text)
}

// Answer asks how the request of a ticket stands. NotExist if the ticket is unknown or expired.
func Answer(ctx context.Context, u URL, o Options, ticket string) (s Standing, err error) {
	if u.Scheme == "sftp" {
		return sshAnswer(ctx, u, o, ticket)
	}
	err = asking(ctx, u, o, func(c *control) error {
		reply, err := c.cmd(ctx, "SITE REGSTATUS "+ticket)
		if err != nil {
			return noService(reply, err, u.Address())
		}
		if reply.Code == 550 {
			return fault.New(fault.NotExist, "the server does not know this request; it may have expired")
		}
		var ok bool
		if s, ok = parseStanding(reply.Text()); !reply.Done() || !ok {
			return noAccount(reply.Code, printable(reply.Text()))
		}
		return nil
	})
	return s, err
}

// asking opens the session in which accounts are asked for: USER register, with any password.
func asking(ctx context.Context, u URL, o Options, f func(*control) error) error {
	u.User, u.Pass, u.Path = "register", "register", ""
	r := newRemote(u, o)
	defer r.Close()
	return r.do(ctx, f)
}

// parseTicket reads "… Ticket: <ticket>".
func parseTicket(text string) (string, bool) {
	_, ticket, ok := strings.Cut(text, "Ticket: ")
	ticket = strings.TrimSpace(ticket)
	return ticket, ok && ticket != "" && len(ticket) <= 256 && !strings.ContainsFunc(ticket, func(r rune) bool { return r <= ' ' || r > '~' })
}

// parseStanding reads "pending", "approved" or "refused", with ": <note>" behind it.
func parseStanding(text string) (Standing, bool) {
	word, note, _ := strings.Cut(text, ":")
	s := Standing{State(strings.TrimSpace(word)), printable(strings.TrimSpace(note))}
	return s, s.State == Pending || s.State == Approved || s.State == Refused
}

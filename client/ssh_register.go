package client

import (
	"context"
	"io"
	"strings"

	"golang.org/x/crypto/ssh"

	"sampan/fault"
)

// What the dialogue of `ssh register@HOST` says, in English, for we tell it no other language. Its questions are answered ahead.
const (
	askName     = "The name that you want, or the ticket that you have: "
	askPassword = "A password for it: "
	askAgain    = "The same again: "
	givenTicket = "Keep this ticket: "
	greeting    = "You can ask for an account here; the operator decides."
)

// maxDialogue bounds what a server may say in it.
const maxDialogue = 16 << 10

// sshRegistrar logs in as register.
func sshRegistrar(ctx context.Context, u URL, o Options) (*sshConn, error) {
	u.User, u.Pass, u.Path = "register", "register", ""
	o.Ask, o.Password = nil, nil // who knows this log-in asks nothing
	s, err := newSSHDialer(o)
	if err != nil {
		return nil, err
	}
	hop, err := s.hop(&dialed{url: u, opts: o})
	if err != nil {
		return nil, err
	}
	conn, err := hop.dial(ctx)
	if err != nil && fault.KindOf(err) == fault.Unauth {
		return nil, fault.Wrap(fault.Unsupported, err, "%s does not take requests for accounts", u.Address())
	}
	return conn, err
}

// sshDialogue logs in as register, answers what is asked, and returns the first line that is no question.
func sshDialogue(ctx context.Context, u URL, o Options, answers ...string) (string, error) {
	conn, err := sshRegistrar(ctx, u, o)
	if err != nil {
		return "", err
	}
	defer conn.close()
	ctx, cancel := context.WithTimeout(ctx, (&dialed{opts: o}).timeout())
	defer cancel()
	defer context.AfterFunc(ctx, conn.close)()
	said, err := converse(conn, answers)
	if err != nil && ctx.Err() == context.Canceled {
		return "", ctx.Err()
	}
	if err != nil {
		return "", fault.Wrap(fault.Cut, err, "the connection to %s was lost", u.Address())
	}
	return firstLine(said), nil
}

func converse(conn *sshConn, answers []string) (string, error) {
	channel, requests, err := conn.OpenChannel("session", nil)
	if err != nil {
		return "", err
	}
	defer channel.Close()
	go ssh.DiscardRequests(requests)
	if ok, err := channel.SendRequest("shell", true, nil); err != nil || !ok {
		return "", io.ErrUnexpectedEOF
	}
	if _, err := io.WriteString(channel, strings.Join(answers, "\n")+"\n"); err != nil {
		return "", err
	}
	if err := channel.CloseWrite(); err != nil {
		return "", err
	}
	said, err := io.ReadAll(io.LimitReader(channel, maxDialogue))
	return string(said), err
}

// firstLine is the first line of a dialogue that is neither a question nor the greeting.
func firstLine(said string) string {
	said = strings.NewReplacer(askName, "\n", askPassword, "\n", askAgain, "\n").Replace(said)
	for line := range strings.Lines(said) {
		if line = strings.TrimSpace(line); line != "" && line != greeting {
			return line
		}
	}
	return ""
}

// sshRegister is Register over SSH.
func sshRegister(ctx context.Context, u URL, o Options, name, email, password string) (string, error) {
	if email != "" {
		return "", fault.New(fault.Unsupported, "a request over sftp:// carries no address; leave it out, or ask over ftp://")
	}
	line, err := sshDialogue(ctx, u, o, name, password, password)
	if err != nil {
		return "", err
	}
	_, behind, _ := strings.Cut(line, givenTicket)
	if ticket, ok := parseTicket("Ticket: " + behind); ok {
		return ticket, nil
	}
	return "", noAccount(553, printable(line))
}

// sshAnswer is Answer over SSH.
func sshAnswer(ctx context.Context, u URL, o Options, ticket string) (Standing, error) {
	line, err := sshDialogue(ctx, u, o, ticket)
	if err != nil {
		return Standing{}, err
	}
	return parseDialogue(line)
}

// parseDialogue reads how a request stands.
func parseDialogue(line string) (Standing, error) {
	what, note, _ := strings.Cut(line, " says: ")
	s := Standing{Note: printable(strings.TrimSpace(note))}
	switch {
	case strings.HasPrefix(what, "The operator gave you the account "):
		s.State = Approved
	case strings.HasPrefix(what, "The operator refused"):
		s.State = Refused
	case what == "The operator has not decided yet.":
		s.State = Pending
	case what == "", strings.HasPrefix(what, "no request has that ticket"): // it was taken for a name
		return s, fault.New(fault.NotExist, "the server does not know this request; it may have expired")
	default:
		return s, noAccount(0, printable(line))
	}
	return s, nil
}

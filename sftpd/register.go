package sftpd

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"time"

	"golang.org/x/term"

	"sampan/account"
	"sampan/fault"
	"sampan/words"
)

// tries is how often the dialogue asks again.
const tries = 5

// A prompter asks people.
type prompter interface {
	ReadLine() (string, error)
	SetPrompt(text string)
	ReadPassword(prompt string) (string, error)
}

// plain is a prompter where there is no terminal.
type plain struct {
	in     *bufio.Reader
	out    io.Writer
	prompt string
}

func (p *plain) SetPrompt(text string) { p.prompt = text }

func (p *plain) ReadLine() (string, error) {
	io.WriteString(p.out, p.prompt)
	line, err := p.in.ReadSlice('\n')
	if err != nil && (len(line) == 0 || !errors.Is(err, io.EOF)) {
		return "", err
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

func (p *plain) ReadPassword(prompt string) (string, error) {
	p.SetPrompt(prompt)
	return p.ReadLine()
}

// dialogue lets somebody ask for an account, or see how the request of a ticket stands.
func (ch *channel) dialogue() uint32 {
	patience := time.AfterFunc(ch.srv.limits.asking, func() { ch.ssh.Close() })
	defer patience.Stop()
	var ask prompter = &plain{in: bufio.NewReaderSize(ch, 4096), out: ch}
	if ch.pty {
		ask = term.NewTerminal(ch, "")
	}
	ch.say(words.M("You can ask for an account here; the operator decides."))
	for range tries {
		ask.SetPrompt(words.M("The name that you want, or the ticket that you have: ").In(ch.lang))
		name, err := ask.ReadLine()
		if err != nil {
			return 1
		}
		name = strings.TrimSpace(name)
		if a, err := ch.sess.Answer(account.Ticket(name)); err == nil {
			ch.answer(a)
			return 0
		}
		ticket, err := ch.request(ask, name)
		switch k := fault.KindOf(err); {
		case err == nil:
			ch.say(words.M("The request is made. Keep this ticket: %s\nssh %s@HOST and the ticket tell how it stands.", string(ticket), asking))
			return 0
		case k == fault.Syntax, k == fault.BadName, k == fault.NotExist:
			ch.say(fault.Say(err))
		case k == fault.Internal:
			return 1 // the peer is gone
		default:
			ch.say(fault.Say(err))
			return 1
		}
	}
	return 1
}

// request asks for the password and files the request.
func (ch *channel) request(ask prompter, name string) (account.Ticket, error) {
	if len(name) == len(account.Ticket("AAAAAAAAAAAAAAAAAAAAAAAAAA")) && strings.ToUpper(name) == name {
		return "", fault.New(fault.NotExist, "no request has that ticket, or it has expired; ask again")
	}
	if _, err := account.CheckName(name); err != nil {
		return "", err
	}
	password, err := ask.ReadPassword(words.M("A password for it: ").In(ch.lang))
	if err != nil {
		return "", err
	}
	if err := account.CheckPassword(password); err != nil {
		return "", err
	}
	again, err := ask.ReadPassword(words.M("The same again: ").In(ch.lang))
	if err != nil {
		return "", err
	}
	if password != again {
		return "", fault.New(fault.Syntax, "The two were not the same; try again.")
	}
	return ch.sess.Register(name, "", password, "")
}

// answer tells how a request stands.
func (ch *channel) answer(a account.Answer) {
	switch {
	case a.State == account.Active && a.Note != "":
		ch.say(words.M("The operator gave you the account %s and says: %s", a.Name, words.Escape(a.Note)))
	case a.State == account.Active:
		ch.say(words.M("The operator gave you the account %s.", a.Name))
	case a.State == account.Refused && a.Note != "":
		ch.say(words.M("The operator refused, and says: %s", words.Escape(a.Note)))
	case a.State == account.Refused:
		ch.say(words.M("The operator refused."))
	default:
		ch.say(words.M("The operator has not decided yet."))
	}
}

// say writes a sentence of the dialogue.
func (ch *channel) say(m words.Message) {
	io.WriteString(ch, strings.ReplaceAll(m.In(ch.lang), "\n", "\r\n")+"\r\n")
}

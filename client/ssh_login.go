package client

import (
	"context"
	"errors"
	"net"
	"strings"

	"golang.org/x/crypto/ssh"

	"sampan/fault"
	"sampan/words"
)

// An authentication is one log-in to one server: x/crypto/ssh calls back for what the server asks.
type authentication struct {
	ctx    context.Context
	d      *dialed
	target sshTarget
	ring   *keyring
	agent  net.Conn
	pause  func(ask func() error) error // runs what waits for a person, who may take his time
	quiet  bool                         // nobody is there to touch a key
	said   bool                         // the password was tried
	own    error                        // our reason to give up, the first one
}

// methods are the ways to log in, those first that the person chose: a password that was given goes before keys.
func (a *authentication) methods() []ssh.AuthMethod {
	keys := ssh.PublicKeysCallback(a.signers)
	words := []ssh.AuthMethod{ssh.KeyboardInteractive(a.answer), ssh.PasswordCallback(a.password)}
	if a.d.given() {
		return append(words, keys)
	}
	return append([]ssh.AuthMethod{keys}, words...)
}

// fail notes why we gave up: x/crypto/ssh tries the next way and may forget it.
func (a *authentication) fail(err error) error {
	if a.own == nil {
		a.own = err
	}
	return err
}

// password is the one of all protocols; it is tried once.
func (a *authentication) password() (password string, err error) {
	switch {
	case a.said:
		return "", errRefusedPassword
	case errors.Is(a.own, context.Canceled): // who left is not asked on
		return "", a.own
	}
	err = a.pause(func() (err error) {
		password, err = a.d.secret(a.ctx)
		return err
	})
	if err != nil {
		return "", a.fail(err)
	}
	a.said = true
	return password, nil
}

var errRefusedPassword = errors.New("the password was refused")

// maxQuestions is how much a server may ask in one go.
const maxQuestions = 8

// answer answers keyboard-interactive (RFC 4256): the password to the one hidden question that asks for it, once, and all
// else is asked of the person.
func (a *authentication) answer(name, instruction string, questions []string, echo []bool) ([]string, error) {
	if len(questions) > maxQuestions {
		return nil, a.fail(fault.New(fault.Unauth, "%s asks too much", a.d.url.Address()))
	}
	for _, text := range []string{name, instruction} {
		if text = strings.TrimSpace(text); text != "" {
			a.d.say(words.M("%s says: %s", a.d.url.Host, printable(text)))
		}
	}
	answers := make([]string, len(questions))
	for i, q := range questions {
		if len(questions) == 1 && !echo[i] && !a.said && strings.Contains(strings.ToLower(q), "password") {
			password, err := a.password()
			if err != nil {
				return nil, err
			}
			answers[i] = password
			continue
		}
		var err error
		if answers[i], err = a.ask(words.M("%s asks: %s", a.d.url.Host, printable(strings.TrimSpace(q))), !echo[i]); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// ask asks the person.
func (a *authentication) ask(question words.Message, hidden bool) (answer string, err error) {
	ask := a.d.options().Ask
	switch {
	case errors.Is(a.own, context.Canceled): // who left is not asked on
		return "", a.own
	case ask == nil:
		return "", a.fail(fault.New(fault.Unauth, "%s, and nobody is there to answer", question))
	}
	err = a.pause(func() (err error) {
		answer, err = ask(a.ctx, question, hidden)
		return err
	})
	if err != nil {
		return "", a.fail(err)
	}
	return answer, nil
}

// banner passes on what the server says before the log-in (RFC 4252 section 5.4).
func (a *authentication) banner(text string) error {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			a.d.say(words.M("%s says: %s", a.d.url.Host, printable(line)))
		}
	}
	return nil
}

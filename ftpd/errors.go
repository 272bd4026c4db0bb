package ftpd

import (
	"errors"

	"sampan/fault"
	"sampan/words"
)

// codes are the replies for the kinds of failure (RFC 959 section 4.2.2, RFC 3659 section 5 for 554). Commands that
// need another code refuse by themselves.
var codes = map[fault.Kind]int{
	fault.Internal:    451,
	fault.NotExist:    550,
	fault.Exist:       550,
	fault.Denied:      550,
	fault.Unauth:      530,
	fault.BadName:     553,
	fault.NotDir:      550,
	fault.IsDir:       550,
	fault.NotEmpty:    550,
	fault.OverQuota:   552,
	fault.NoSpace:     452,
	fault.Busy:        450,
	fault.BadOffset:   554,
	fault.Unsupported: 504,
	fault.Syntax:      501,
	fault.TooMany:     421,
	fault.Cut:         426,
	fault.Durability:  451,
	fault.Unreachable: 425,
	fault.Untrusted:   425,
	fault.Mismatch:    451,
	fault.Stopped:     421,
	fault.Local:       451,
}

// A refusal is an error with a reply code of its own.
type refusal struct {
	code int
	say  words.Message
}

func (r refusal) Error() string { return r.say.String() }

func refuse(code int, text string, args ...any) error { return refusal{code, words.M(text, args...)} }

func badSyntax(usage string) error { return refuse(501, "Syntax: %s", usage) }

// say renders a sentence in the language of the session (RFC 2640 section 4).
func (c *conn) say(text string, args ...any) string { return words.M(text, args...).In(c.lang) }

// reply writes a reply of one sentence. What programs read, and not people, goes through lines.
func (c *conn) reply(code int, text string, args ...any) error {
	return c.lines(code, words.M(text, args...).In(c.lang))
}

// refuse answers an error.
func (c *conn) refuse(err error) { c.lines(c.answer(err)) }

// answer is the reply to an error. 421 closes the connection (RFC 959 section 4.2.2).
func (c *conn) answer(err error) (code int, text string) {
	code, say := codeOf(err)
	if code == 421 {
		c.ending.Store(true)
	}
	if code == 451 {
		c.srv.log.Error("a command failed", "reason", err.Error(), "session", c.sess.ID())
	}
	return code, say.In(c.lang)
}

func codeOf(err error) (int, words.Message) {
	var r refusal
	if errors.As(err, &r) {
		return r.code, r.say
	}
	code, ok := codes[fault.KindOf(err)]
	if !ok {
		code = 451
	}
	return code, fault.Say(err)
}

package ftpd

import (
	"errors"
	"fmt"

	"sampan/fault"
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
	text string
}

func (r refusal) Error() string { return r.text }

func refuse(code int, format string, args ...any) error {
	return refusal{code, fmt.Sprintf(format, args...)}
}

// refuse answers an error.
func (c *conn) refuse(err error) { c.reply(c.answer(err)) }

// answer is the reply to an error. 421 closes the connection (RFC 959 section 4.2.2).
func (c *conn) answer(err error) (code int, text string) {
	code, text = codeOf(err)
	if code == 421 {
		c.ending.Store(true)
	}
	if code == 451 {
		c.srv.log.Error("a command failed", "reason", err.Error(), "session", c.sess.ID())
	}
	return code, text
}

func codeOf(err error) (int, string) {
	var r refusal
	if errors.As(err, &r) {
		return r.code, r.text
	}
	code, ok := codes[fault.KindOf(err)]
	if !ok {
		code = 451
	}
	return code, fault.Say(err).String()
}

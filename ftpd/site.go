package ftpd

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"sampan/account"
	"sampan/fault"
)

// siteCommands returns the table of what follows SITE; docs/PROTOCOL.md is for people who write clients.
func siteCommands() []command {
	const doc = "docs/PROTOCOL.md"
	return []command{
		{"REGISTER", (*conn).siteRegister, asker, "<name> [<email>]", "SITE REGISTER", doc},
		{"REGSTATUS", (*conn).siteRegStatus, asker, "<ticket>", "SITE REGSTATUS", doc},
		{"PART", (*conn).sitePart, login | moves | unrelated, "<path>", "SITE PART", doc},
		{"QUOTA", (*conn).siteQuota, login, "", "SITE QUOTA", doc},
		{"PASSWD", (*conn).sitePasswd, login, "", "SITE PASSWD", doc},
		{"CHMOD", (*conn).siteChmod, login, "<octal> <path>", "SITE CHMOD", habit},
		{"UTIME", (*conn).siteUTime, login, "YYYYMMDDhhmm[ss] <path>", "SITE UTIME", habit},
		{"COPY", (*conn).siteCopy, login | moves, "<from> <to>", "SITE COPY", habit},
		{"CPFR", (*conn).siteCopyFrom, login, "<path>", "", habit},
		{"CPTO", (*conn).siteCopyTo, login | moves, "<path>", "", habit},
		{"WHO", (*conn).siteWho, login | operator, "", "", "docs/ftp.md"},
		{"KICK", (*conn).siteKick, login | operator, "<session> | <account>", "", "docs/ftp.md"},
		{"HELP", (*conn).siteHelp, 0, "", "", "RFC 959 4.1.3"},
	}
}

// siteRegister asks for an account. The password travels in the PASS that must follow, which every client and every log
// masks.
func (c *conn) siteRegister(arg string) error {
	words := strings.Fields(arg)
	if len(words) == 0 || len(words) > 2 {
		return badSyntax("SITE REGISTER <name> [<email>]")
	}
	name, email := words[0], ""
	if len(words) == 2 {
		email = words[1]
	}
	c.asked = func(c *conn, password string) error {
		ticket, err := c.sess.Register(name, email, password, "")
		if fault.KindOf(err) == fault.BadName {
			return refusal{501, fault.Say(err)}
		}
		if err != nil {
			return err
		}
		return c.reply(200, "The operator will decide; SITE REGSTATUS tells. Ticket: %s", ticket)
	}
	return c.reply(331, "Now PASS with the password that you want")
}

func (c *conn) siteRegStatus(arg string) error {
	a, err := c.sess.Answer(account.Ticket(strings.TrimSpace(arg)))
	if err != nil {
		return err
	}
	text := "pending"
	switch a.State {
	case account.Active:
		text = "approved"
	case account.Refused:
		text = "refused"
	case account.Pending, account.Suspended:
	}
	if a.Note != "" {
		text += ": " + a.Note
	}
	return c.lines(200, text)
}

// sitePart proves what is parked, so that the client continues only what is equal to its own.
func (c *conn) sitePart(arg string) error {
	p, err := c.at(arg)
	if err != nil {
		return err
	}
	part, err := c.sess.Part(c.ctx, p)
	if err != nil {
		return err
	}
	return c.lines(213, fmt.Sprintf("%d %s %s %s", part.Size, sha256Name, hex.EncodeToString(part.Sum), p))
}

func (c *conn) siteQuota(string) error {
	s, err := c.sess.Space()
	if err != nil {
		return err
	}
	quota, free := "none", "unknown"
	if s.Quota >= 0 {
		quota = strconv.FormatInt(s.Quota, 10)
	}
	if s.Free >= 0 {
		free = strconv.FormatInt(s.Free, 10)
	}
	return c.lines(200, fmt.Sprintf("used %d of %s, free %s", s.Used, quota, free))
}

// sitePasswd takes the old and the new password in two PASS, which every client and every log masks.
func (c *conn) sitePasswd(string) error {
	c.asked = func(c *conn, old string) error {
		c.asked = func(c *conn, wanted string) error {
			if err := c.sess.Passwd(old, wanted); err != nil {
				return err
			}
			return c.reply(200, "The password is changed")
		}
		return c.reply(331, "Now PASS with the new password")
	}
	return c.reply(331, "Now PASS with the old password")
}

func (c *conn) siteHelp(string) error {
	lines := []string{c.say("SITE commands:")}
	for _, row := range c.srv.site {
		lines = append(lines, "SITE "+row.usage())
	}
	return c.lines(214, append(lines, c.say("End"))...)
}

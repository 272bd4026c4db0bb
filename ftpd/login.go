package ftpd

import (
	"strings"

	"sampan/fault"
	"sampan/ftp"
	"sampan/words"
)

// asking is the name under which anybody may ask for an account.
const asking = "register"

// maxFailures is how many wrong passwords one connection may try.
const maxFailures = 3

// user names who wants to log in. Off loopback it needs TLS unless the operator allowed otherwise.
func (c *conn) user(name string) error {
	c.forget()
	if !c.encrypted && !c.clearAllowed() {
		return refuse(530, "Passwords are not taken in clear text here: send AUTH TLS first (clients call it FTPS, explicit TLS)")
	}
	if strings.EqualFold(name, asking) {
		c.asked = (*conn).openAsking
		return c.reply(331, "Any password will do")
	}
	c.asked = func(c *conn, password string) error { return c.login(name, password) }
	return c.reply(331, "Now the password")
}

// clearAllowed reports whether passwords are taken in clear text from the peer, and data too: who logs in under TLS
// expects that what he sends is as safe as his password.
func (c *conn) clearAllowed() bool {
	switch c.srv.cfg.PlainLogins {
	case "always":
		return true
	case "never":
		return false
	}
	return c.peer().IsLoopback()
}

// pass hands the password to the command before it.
func (c *conn) pass(password string) error {
	asked := c.asked
	c.asked = nil
	if asked == nil {
		return refuse(503, "USER comes right before PASS")
	}
	return asked(c, password)
}

func (c *conn) login(name, password string) error {
	err := c.sess.Login(name, password)
	if err == nil {
		c.loggedIn, c.failures = true, 0
		if a, err := c.sess.Account(); err == nil && c.encrypted {
			c.srv.owners.set(c.id, a.Name)
			c.srv.holders.sit(c.holder, seat{a.Name, c.peer()})
		}
		return c.reply(230, "Welcome")
	}
	if fault.KindOf(err) == fault.Unauth {
		if c.failures++; c.failures >= maxFailures {
			return refuse(421, "%s; that was the last try of this connection", fault.Say(err))
		}
	}
	return err
}

func (c *conn) openAsking(string) error {
	c.asker = true
	return c.reply(230, "Ask for an account with SITE REGISTER <name> [<email>], then PASS <password>")
}

// rein logs out; TLS stays (RFC 959 section 4.1.1, RFC 4217 section 11).
func (c *conn) rein(string) error {
	c.forget()
	c.lang = words.English // RFC 2640 section 4.2
	return c.reply(220, "Ready for another user")
}

func (c *conn) quit(string) error {
	c.ending.Store(true)
	return c.reply(221, "Good-bye")
}

// auth begins TLS. What was sent behind it in clear text could have been put there by anybody on the way and would be
// taken for a command inside TLS, so it ends the connection; the log-in is dropped for the same reason (RFC 4217
// sections 4 and 15).
func (c *conn) auth(mechanism string) error {
	switch strings.ToUpper(strings.TrimSpace(mechanism)) {
	case "TLS", "TLS-C":
	default:
		return refuse(504, "AUTH TLS is the only one that there is here")
	}
	if c.encrypted {
		return refuse(503, "TLS is on already")
	}
	if c.in.Buffered() > 0 {
		return refuse(421, "Something was sent behind AUTH before TLS was on; good-bye")
	}
	c.forget()
	c.lang = words.English
	c.reply(234, "Go on with TLS")
	if err := c.startTLS(); err != nil {
		c.ending.Store(true)
		c.srv.log.Info("no TLS", "reason", err.Error(), "remote", remote(c.tcp).String())
	}
	return nil
}

func (c *conn) pbszCommand(size string) error {
	if _, ok := ftp.ParseOffset(size); !ok {
		return badSyntax("PBSZ 0")
	}
	c.pbsz = true
	return c.lines(200, "PBSZ=0")
}

// prot chooses TLS for the data connections, or none.
func (c *conn) prot(level string) error {
	if !c.pbsz {
		return refuse(503, "PBSZ comes first")
	}
	c.drop()
	switch strings.ToUpper(strings.TrimSpace(level)) {
	case "P":
		c.private = true
		return c.reply(200, "Data connections use TLS")
	case "C":
		if !c.clearAllowed() { // RFC 2228 section 3
			return refuse(534, "Data is not taken in clear text here; PROT P is what is left")
		}
		c.private = false
		return c.reply(200, "Data connections are in clear text")
	case "S", "E":
		return refuse(536, "TLS knows PROT C and PROT P only")
	}
	return refuse(504, "PROT P or PROT C")
}

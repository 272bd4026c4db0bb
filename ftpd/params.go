package ftpd

import (
	"strings"

	"sampan/fault"
	"sampan/ftp"
)

func superfluous(c *conn, _ string) error { return c.reply(202, "Nobody needs that here") }

func (c *conn) noop(string) error { return c.reply(200, "Here") }

func (c *conn) syst(string) error { return c.lines(215, "UNIX Type: L8") }

func (c *conn) typeCommand(arg string) error {
	switch strings.ToUpper(strings.TrimSpace(arg)) {
	case "A", "A N":
		c.ascii = true
		return c.reply(200, "Line ends are converted")
	case "I", "L 8":
		c.ascii = false
		return c.reply(200, "Byte for byte")
	}
	return refuse(504, "TYPE A or TYPE I")
}

func (c *conn) stru(arg string) error {
	if !strings.EqualFold(strings.TrimSpace(arg), "F") {
		return refuse(504, "STRU F is the only one that there is here")
	}
	return c.reply(200, "Structure is file")
}

// mode changes what the data connection carries; one of block mode does not outlive it (RFC 959 section 3.4).
func (c *conn) mode(arg string) error {
	switch strings.ToUpper(strings.TrimSpace(arg)) {
	case "S":
		c.drop()
		c.blocks = false
		return c.reply(200, "Mode is stream")
	case "B":
		c.blocks = true
		return c.reply(200, "Mode is block")
	}
	return refuse(504, "MODE S or MODE B")
}

// restCommand sets where the next transfer begins; a PASV in between does not matter (RFC 3659 section 5).
func (c *conn) restCommand(arg string) error {
	n, ok := ftp.ParseOffset(strings.TrimSpace(arg))
	switch {
	case !ok:
		return badSyntax("REST <offset>")
	case n > 0 && c.ascii:
		return refuse(504, "Offsets mean something in TYPE I only")
	}
	c.rest, c.restSaid = n, true
	return c.reply(350, "The next transfer begins there")
}

// alloCommand takes the size of the next upload: fewer bytes than that are a cut. Record sizes (R) say nothing, and
// bytes in TYPE A neither (RFC 959 section 4.1.3).
func (c *conn) alloCommand(arg string) error {
	size, record, _ := strings.Cut(strings.TrimSpace(arg), " ")
	n, ok := ftp.ParseOffset(size)
	if !ok {
		return badSyntax("ALLO <size>")
	}
	c.allo = -1
	if record == "" && !c.ascii {
		c.allo = n
	}
	return c.reply(200, "Noted")
}

// rang chooses the bytes that the next HASH or RETR is about.
func (c *conn) rang(arg string) error {
	start, end, ok := ftp.ParseRange(arg)
	c.rangeFrom, c.rangeEnd = start, end
	switch {
	case !ok:
		return badSyntax("RANG <first> <last>")
	case end >= 0 && c.ascii:
		c.rangeFrom, c.rangeEnd = 0, -1
		return refuse(504, "Offsets mean something in TYPE I only")
	case end < 0:
		return c.reply(350, "The whole file")
	}
	return c.reply(350, "The next HASH or RETR is about these bytes")
}

// opts sets options of a verb (RFC 2389 section 4).
func (c *conn) opts(arg string) error {
	verb, rest, _ := strings.Cut(strings.TrimSpace(arg), " ")
	switch strings.ToUpper(verb) {
	case "UTF8", "UTF-8":
		if strings.EqualFold(rest, "OFF") {
			c.charset.set(ftp.Undecided)
			return c.reply(200, "The charset of names will be found out")
		}
		c.charset.set(ftp.UTF8)
		return c.reply(200, "Names are UTF-8")
	case "MLST":
		c.facts = ftp.ParseFactSet(rest)
		return c.lines(200, strings.TrimRight("MLST OPTS "+c.facts.String(), " "))
	case "PIPELINE":
		if !strings.EqualFold(rest, "ON") && !strings.EqualFold(rest, "OFF") {
			return badSyntax("OPTS PIPELINE ON | OFF")
		}
		c.ahead = strings.EqualFold(rest, "ON")
		return c.lines(200, "PIPELINE "+strings.ToUpper(rest))
	case "HASH":
		return c.optsHash(rest)
	}
	return refuse(501, "There are options for UTF8, MLST, HASH and PIPELINE only")
}

// stat tells how the session stands, or lists a path over the control connection.
func (c *conn) stat(arg string) error {
	if arg != "" {
		return c.statPath(arg)
	}
	lines := []string{"Sampan"}
	if a, err := c.sess.Account(); err == nil {
		lines = append(lines, c.say("Logged in as %s", a.Name))
	} else if fault.KindOf(err) == fault.Unauth {
		lines = append(lines, c.say("Not logged in"))
	}
	if c.encrypted {
		lines = append(lines, c.say("The control connection uses TLS"))
	} else {
		lines = append(lines, c.say("The control connection is in clear text"))
	}
	if t := c.moving.Load(); t != nil {
		lines = append(lines, c.progress(t))
	}
	return c.lines(211, append(lines, c.say("End"))...)
}

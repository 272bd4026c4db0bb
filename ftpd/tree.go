package ftpd

import (
	"strconv"

	"sampan/account"
	"sampan/fault"
	"sampan/files"
	"sampan/ftp"
)

// at resolves a name from the wire against the working directory.
func (c *conn) at(name string) (files.Path, error) { return files.Parse(c.cwd, name) }

func (c *conn) pwd(string) error {
	return c.reply(257, "%s is the working directory", ftp.QuotePath(c.cwd.String()))
}

func (c *conn) cwdCommand(arg string) error {
	p, err := c.at(arg)
	if err != nil {
		return err
	}
	return c.enter(p)
}

func (c *conn) cdup(string) error { return c.enter(c.cwd.Dir()) }

func (c *conn) enter(p files.Path) error {
	if err := c.sess.Enter(p); err != nil {
		return err
	}
	c.cwd = p
	return c.reply(250, "Now in %s", p)
}

// mkd answers the absolute path in the form of PWD, which clients parse (RFC 959 appendix II).
func (c *conn) mkd(arg string) error {
	p, err := c.at(arg)
	if err == nil {
		err = c.sess.Mkdir(p)
	}
	if err != nil {
		return err
	}
	return c.reply(257, "%s is made", ftp.QuotePath(p.String()))
}

func (c *conn) rmd(arg string) error {
	p, err := c.at(arg)
	if err != nil {
		return err
	}
	if i, err := c.sess.Stat(p); err == nil && !i.Mode.IsDir() {
		return refuse(550, "%s: not a directory; DELE removes files", p)
	}
	if err := c.sess.Remove(p); err != nil {
		return err
	}
	return c.reply(250, "Removed")
}

func (c *conn) dele(arg string) error {
	p, err := c.at(arg)
	if err != nil {
		return err
	}
	if i, err := c.sess.Stat(p); err == nil && i.Mode.IsDir() {
		return refuse(550, "%s: is a directory; RMD removes it", p)
	}
	if err := c.sess.Remove(p); err != nil {
		return err
	}
	return c.reply(250, "Removed")
}

func (c *conn) rnfr(arg string) error {
	p, err := c.at(arg)
	if err != nil {
		return err
	}
	if !c.sess.May(p, account.Rename) {
		return fault.New(fault.Denied, "%s: your account may not do this here", p)
	}
	if c.sess.May(p, account.List) { // else only RNTO tells
		if i, err := c.sess.Stat(p); err != nil {
			return err
		} else if i.PartOnly() {
			return refuse(550, "%s: only a part of an upload is there", p)
		}
	}
	c.from = &p
	return c.reply(350, "RNTO names the target")
}

// rnto replaces what has the name, as clients expect that upload under another name first; the session asks for
// permission to delete then.
func (c *conn) rnto(arg string) error {
	from := c.from
	c.from = nil
	if from == nil {
		return refuse(503, "RNFR comes right before RNTO")
	}
	to, err := c.at(arg)
	if err == nil {
		err = c.sess.Rename(*from, to, true)
	}
	if err != nil {
		return err
	}
	return c.reply(250, "Renamed")
}

// size answers exactly what RETR would send, or nothing: in TYPE A that would take reading the file (RFC 3659
// section 4).
func (c *conn) size(arg string) error {
	p, err := c.at(arg)
	if err != nil {
		return err
	}
	if c.ascii {
		return refuse(550, "The size in TYPE A is not known; ask in TYPE I")
	}
	i, err := c.sess.Stat(p)
	switch {
	case err != nil:
		return err
	case i.Mode.IsDir():
		return refuse(550, "%s: is a directory", p)
	}
	return c.lines(213, strconv.FormatInt(i.Size, 10))
}

// takeRange returns what RANG chose, which holds for one command; last is -1 for all.
func (c *conn) takeRange() (off, last int64) {
	off, last = c.rangeFrom, c.rangeEnd
	c.rangeFrom, c.rangeEnd = 0, -1
	return off, last
}

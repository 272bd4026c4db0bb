package ftpd

import (
	"slices"

	"sampan/account"
	"sampan/fault"
	"sampan/files"
	"sampan/ftp"
)

// maxCombined is how many files one COMB takes.
const maxCombined = 256

// comb puts files behind one another, and behind what the target holds, into the target, and then removes them: clients
// that send a file in pieces over several connections join it so. Everybody sees the target as it was or whole; a file is
// removed only when the target is safe.
func (c *conn) comb(arg string) error {
	names, ok := ftp.SplitPaths(arg)
	if !ok || len(names) < 2 {
		return badSyntax(`COMB "<target>" "<file>" …`)
	}
	if len(names) > maxCombined {
		return refuse(501, "COMB takes at most %d files", maxCombined-1)
	}
	paths := make([]files.Path, len(names))
	for i, name := range names {
		p, err := c.at(name)
		switch {
		case err != nil:
			return err
		case slices.Contains(paths[:i], p):
			return refuse(553, "%s: named twice", p)
		case i > 0 && !c.sess.May(p, account.Delete):
			return fault.New(fault.Denied, "%s: your account may not do this here", p)
		}
		paths[i] = p
	}
	i, read, err := c.copy(paths[0], true, paths[1:]...)
	if err != nil {
		return err
	}
	for _, r := range read {
		if err := c.sess.RemoveRead(r); err != nil {
			return c.reply(250, "Combined: %s (%d bytes), but not all that it was made of could be removed: %s", i.Path, i.Size, fault.Say(err))
		}
	}
	return c.reply(250, "Combined: %s (%d bytes)", i.Path, i.Size)
}

// copy makes a copy on the server: to holds from, one file behind the other, and before them, if behind says so, what it
// held. ABOR ends it. read is what was copied.
func (c *conn) copy(to files.Path, behind bool, from ...files.Path) (i files.Info, read []files.Info, err error) {
	t, err := c.sess.Copy(to, behind, from...)
	if err != nil {
		return files.Info{}, nil, err
	}
	defer c.follow(t)()
	if err := t.Fill(); err != nil {
		return files.Info{}, nil, err
	}
	i, err = t.Commit(c.sure)
	return i, t.Read(), err
}

func (c *conn) siteCopy(arg string) error {
	names, ok := ftp.SplitPaths(arg)
	if !ok || len(names) != 2 {
		return badSyntax(`SITE COPY "<from>" "<to>"`)
	}
	from, err := c.at(names[0])
	if err != nil {
		return err
	}
	return c.copyTo(from, names[1])
}

func (c *conn) copyTo(from files.Path, name string) error {
	to, err := c.at(name)
	if err != nil {
		return err
	}
	i, _, err := c.copy(to, false, from)
	if err != nil {
		return err
	}
	return c.reply(250, "Copied: %s (%d bytes)", i.Path, i.Size)
}

// siteCopyFrom and siteCopyTo are the same in two commands, as RNFR and RNTO are; paths need no quotes there.
func (c *conn) siteCopyFrom(arg string) error {
	p, err := c.at(arg)
	if err != nil {
		return err
	}
	if !c.sess.May(p, account.Read) {
		return fault.New(fault.Denied, "%s: your account may not do this here", p)
	}
	if c.sess.May(p, account.List) { // else only CPTO tells
		if _, err := c.sess.Stat(p); err != nil {
			return err
		}
	}
	c.source = &p
	return c.reply(350, "SITE CPTO names the target")
}

func (c *conn) siteCopyTo(arg string) error {
	from := c.source
	c.source = nil
	if from == nil {
		return refuse(503, "SITE CPFR comes before SITE CPTO")
	}
	return c.copyTo(*from, arg)
}

package ftpd

import (
	"fmt"
	"strings"
	"time"

	"sampan/fault"
	"sampan/files"
	"sampan/ftp"
)

// mdtm tells the time of the last change. Old clients set it with the same verb and a time before the path; so does a
// name that is there begin with one.
func (c *conn) mdtm(arg string) error {
	p, err := c.at(arg)
	if err != nil {
		return err
	}
	i, err := c.sess.Stat(p)
	if stamp, name, found := strings.Cut(arg, " "); found && fault.KindOf(err) == fault.NotExist {
		if when, ok := ftp.ParseTime(stamp); ok && name != "" {
			return c.setTime(when, name)
		}
	}
	if err != nil {
		return err
	}
	return c.lines(213, string(ftp.AppendTime(nil, i.ModTime)))
}

// mfmt sets it (draft-somers-ftp-mfxx section 3).
func (c *conn) mfmt(arg string) error {
	stamp, name, _ := strings.Cut(arg, " ")
	when, ok := ftp.ParseTime(stamp)
	if !ok || name == "" {
		return badSyntax("MFMT YYYYMMDDHHMMSS <path>")
	}
	return c.setTime(when, name)
}

func (c *conn) setTime(when time.Time, name string) error {
	p, err := c.at(name)
	if err == nil {
		err = c.sess.Set(p, files.Attr{ModTime: &when})
	}
	if err != nil {
		return err
	}
	return c.lines(213, fmt.Sprintf("Modify=%s; %s", ftp.AppendTime(nil, when), name))
}

// mfct would set the time of creation, which systems do not let anybody set (draft-somers-ftp-mfxx section 4).
func (c *conn) mfct(string) error {
	return refuse(504, "The time of creation cannot be set; MFMT sets that of the last change")
}

// mff sets several facts, all or none (draft-somers-ftp-mfxx section 5).
func (c *conn) mff(arg string) error {
	change, name, unknown, ok := ftp.ParseFactChange(arg)
	switch {
	case !ok:
		return badSyntax("MFF modify=YYYYMMDDHHMMSS;UNIX.mode=<octal>; <path>")
	case unknown != "":
		return refuse(504, "The fact %q cannot be set", unknown)
	}
	p, err := c.at(name)
	if err == nil {
		err = c.sess.Set(p, files.Attr{ModTime: change.ModTime, Mode: change.Mode})
	}
	if err != nil {
		return err
	}
	return c.lines(213, string(ftp.AppendFactChange(nil, change))+" "+name)
}

// siteUTime sets the time of the last change in the ways that were in use before MFMT.
func (c *conn) siteUTime(arg string) error {
	when, name, ok := ftp.ParseUTime(arg)
	if !ok {
		return badSyntax("SITE UTIME YYYYMMDDhhmm[ss] <path>")
	}
	p, err := c.at(name)
	if err == nil {
		err = c.sess.Set(p, files.Attr{ModTime: &when})
	}
	if err != nil {
		return err
	}
	return c.reply(200, "Changed")
}

func (c *conn) siteChmod(arg string) error {
	octal, name, _ := strings.Cut(arg, " ")
	mode, ok := ftp.ParseMode(octal)
	if !ok || name == "" {
		return badSyntax("SITE CHMOD <octal> <path>")
	}
	p, err := c.at(name)
	if err == nil {
		err = c.sess.Set(p, files.Attr{Mode: &mode})
	}
	if err != nil {
		return err
	}
	return c.reply(200, "Changed")
}

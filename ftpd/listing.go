package ftpd

import (
	"bufio"
	"context"
	"iter"
	"path"
	"strings"
	"time"

	"sampan/account"
	"sampan/fault"
	"sampan/files"
	"sampan/ftp"
)

// list sends lines in the manner of "ls -l".
func (c *conn) list(arg string) error {
	where := ""
	return c.sendListing(arg, func(dst []byte, e ftp.Entry, prefix string, first bool, now time.Time) []byte {
		if prefix != where && !first { // only with -R
			dst = append(ftp.AppendName(append(dst, "\r\n"...), heading(prefix)), ":\r\n"...)
		}
		where = prefix
		return ftp.AppendList(dst, e, now)
	})
}

// nlst sends names that can be used as they are (RFC 1123 section 4.1.2.7): those of another directory with its name
// before them.
func (c *conn) nlst(arg string) error {
	return c.sendListing(arg, func(dst []byte, e ftp.Entry, prefix string, _ bool, _ time.Time) []byte {
		return ftp.AppendName(ftp.AppendName(dst, prefix), e.Name)
	})
}

// mlsd sends facts of what is in a directory (RFC 3659 section 7).
func (c *conn) mlsd(arg string) error {
	p, err := c.at(arg)
	if err == nil {
		var i files.Info
		if i, err = c.sess.Stat(p); err == nil && !i.Mode.IsDir() {
			err = refuse(501, "%s: not a directory; MLST tells about files", p)
		}
	}
	if err != nil {
		return c.noTransfer(err)
	}
	a, err := c.sess.Account()
	if err != nil {
		return c.noTransfer(err)
	}
	facts := c.facts
	return c.sendEntries(c.sess.List(p), func(dst []byte, i files.Info, e ftp.Entry, _ time.Time) []byte {
		e.Perm = permFact(i, a.May(i.Path))
		return ftp.AppendFacts(dst, facts, e)
	})
}

// mlst tells the facts of one path over the control connection (RFC 3659 section 7.2).
func (c *conn) mlst(arg string) error {
	p, err := c.at(arg)
	if err != nil {
		return err
	}
	i, err := c.sess.Stat(p)
	if err != nil {
		return err
	}
	a, err := c.sess.Account()
	if err != nil {
		return err
	}
	e := entry(i)
	e.Name, e.Perm = p.String(), permFact(i, a.May(i.Path))
	return c.lines(250, c.say("Facts:"), string(ftp.AppendFacts(nil, c.facts, e)), c.say("End"))
}

// sendListing sends what LIST or NLST with arg is about: a directory's entries, one file, or, where the last element is
// a pattern, what fits it (clients of old send "NLST *.txt" for mget); with -R all that is below, too. line is told what
// goes before the name, so that it can be used as it is, and whether it is the first.
func (c *conn) sendListing(arg string, line func(dst []byte, e ftp.Entry, prefix string, first bool, now time.Time) []byte) error {
	arg, below := ftp.CutSwitches(arg)
	entries, top, err := c.entries(arg, below)
	if err != nil {
		return c.noTransfer(err)
	}
	var start, dir files.Path
	prefix, first := top, true
	return c.sendEntries(entries, func(dst []byte, i files.Info, e ftp.Entry, now time.Time) []byte {
		if below {
			switch in := i.Path.Dir(); {
			case first:
				start, dir = in, in
			case in != dir:
				dir, prefix = in, top+under(start, in)+"/"
			}
		}
		dst = line(dst, e, prefix, first, now)
		first = false
		return dst
	})
}

// entries returns what arg is about, and what goes before the names so that they can be used as they are.
func (c *conn) entries(arg string, below bool) (list iter.Seq2[files.Info, error], prefix string, err error) {
	p, err := c.at(arg)
	if err != nil {
		return nil, "", err
	}
	i, err := c.sess.Stat(p)
	switch {
	case err == nil && i.Mode.IsDir():
		if arg != "" && arg != "." {
			prefix = strings.TrimSuffix(arg, "/") + "/"
		}
		if below {
			return c.below(i), prefix, nil
		}
		return c.sess.List(p), prefix, nil
	case err == nil && !i.PartOnly():
		prefix = arg[:strings.LastIndexByte(arg, '/')+1]
		return func(yield func(files.Info, error) bool) { yield(i, nil) }, prefix, nil
	case err == nil:
		return nil, "", refuse(550, "%s: only a part of an upload is there", p)
	case fault.KindOf(err) != fault.NotExist || !strings.ContainsAny(p.Base(), "*?["):
		return nil, "", err
	}
	if _, bad := path.Match(p.Base(), ""); bad != nil {
		return nil, "", err
	}
	prefix = arg[:strings.LastIndexByte(arg, '/')+1]
	return func(yield func(files.Info, error) bool) {
		for i, err := range c.sess.List(p.Dir()) {
			if err == nil {
				if fits, _ := path.Match(p.Base(), i.Path.Base()); !fits {
					continue
				}
			}
			if !yield(i, err) {
				return
			}
		}
	}, prefix, nil
}

// sendEntries sends one line for each entry, as they come from the disk. A listing is always of TYPE A, and leaves TYPE
// as it is.
func (c *conn) sendEntries(list iter.Seq2[files.Info, error], line func(dst []byte, i files.Info, e ftp.Entry, now time.Time) []byte) error {
	defer c.spent()
	c.takeOffset()
	c.takeRange()
	if err := c.mayMove(); err != nil {
		return err
	}
	l := &listing{c: c}
	defer l.close()
	now := time.Now()
	var b []byte
	for i, err := range list {
		if err != nil {
			return l.broken(err)
		}
		if err := l.begin(); err != nil { // what cannot be listed at all was told before that
			return err
		}
		b = append(line(b[:0], i, entry(i), now), '\r', '\n')
		if _, err := l.w.Write(c.charset.show(b)); err != nil {
			return c.brokeOff()
		}
	}
	if err := l.begin(); err != nil {
		return err
	}
	if err := l.w.Flush(); err != nil {
		return c.brokeOff()
	}
	if err := l.out.finish(); err != nil {
		return c.brokeOff()
	}
	if c.blocks {
		return c.reply(250, "That is all")
	}
	return c.reply(226, "That is all")
}

// A listing is one on its way over a data connection.
type listing struct {
	c    *conn
	out  outlet
	w    *bufio.Writer // to out; nil before there is a connection
	stop func() bool
}

// begin makes the data connection, unless that was done.
func (l *listing) begin() (err error) {
	if l.w != nil {
		return nil
	}
	if l.out, err = l.c.outlet(l.c.say("The list comes"), -1, 0); err != nil {
		return err
	}
	to := l.out.to
	if d, ok := to.(dataConn); ok {
		l.stop = context.AfterFunc(l.c.ctx, func() { d.SetDeadline(longAgo) })
		to = writerOf(d, l.c)
	}
	l.w = bufio.NewWriterSize(to, 64<<10)
	return nil
}

// broken ends a listing that failed so that it cannot be taken for whole.
func (l *listing) broken(err error) error {
	if l.w != nil {
		l.out.fail()
	}
	return err
}

func (l *listing) close() {
	if l.stop != nil {
		l.stop()
	}
	if l.w != nil {
		l.out.close()
	}
}

// brokeOff tells why a listing did not reach its end.
func (c *conn) brokeOff() error {
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	return refuse(426, "The data connection broke before the end")
}

// A patientWriter gives each write of a listing its time.
type patientWriter struct {
	d        dataConn
	c        *conn
	patience time.Duration
}

func writerOf(d dataConn, c *conn) *patientWriter { return &patientWriter{d, c, c.srv.limits.write} }

func (w *patientWriter) Write(p []byte) (int, error) {
	w.d.SetWriteDeadline(time.Now().Add(w.patience))
	if w.c.ctx.Err() != nil { // whose own deadline this one may have undone
		return 0, context.Cause(w.c.ctx)
	}
	return w.d.Write(p)
}

// statLines bounds a listing over the control connection, which is held in memory.
const statLines = 2000

// statPath is LIST over the control connection (RFC 959 section 4.1.3).
func (c *conn) statPath(arg string) error {
	if !c.loggedIn {
		return refuse(530, "Log in with USER and PASS first")
	}
	arg, _ = ftp.CutSwitches(arg)
	entries, _, err := c.entries(arg, false)
	if err != nil {
		return err
	}
	lines := []string{c.say("Listing:")}
	now := time.Now()
	for i, err := range entries {
		if err != nil {
			return err
		}
		if len(lines) > statLines {
			lines = append(lines, c.say("There are more; LIST shows all"))
			break
		}
		lines = append(lines, string(ftp.AppendList(nil, entry(i), now)))
	}
	return c.lines(213, append(lines, c.say("End"))...)
}

// entry describes i as a listing does, but for what may be done with it.
func entry(i files.Info) ftp.Entry {
	e := ftp.Entry{
		Name: i.Path.Base(), Type: ftp.FileEntry, Size: i.Size, Part: i.Part, ModTime: i.ModTime,
		Mode: i.Mode.Perm(), HasMode: true, Unique: i.Tag,
	}
	if i.Mode.IsDir() {
		e.Type = ftp.DirEntry
	}
	if i.PartOnly() {
		e.HasMode = false
	}
	return e
}

// permFact writes what may be done as RFC 3659 section 7.5.5 has it.
func permFact(i files.Info, may account.Perm) string {
	letters := []struct {
		bit       account.Perm
		file, dir string
	}{
		{account.Append, "a", ""},
		{account.Write, "", "c"},
		{account.Delete, "d", "dp"},
		{account.ChangeDir, "", "e"},
		{account.Rename, "f", "f"},
		{account.List, "", "l"},
		{account.MakeDir, "", "m"},
		{account.Read, "r", ""},
		{account.Write, "w", ""},
	}
	var s []byte
	for _, l := range letters {
		switch {
		case may&l.bit == 0:
		case i.Mode.IsDir():
			s = append(s, l.dir...)
		case l.bit == account.Read && i.PartOnly():
		default:
			s = append(s, l.file...)
		}
	}
	return string(s)
}

package ftpd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"sampan/account"
	"sampan/fault"
	"sampan/files"
	"sampan/session"
)

// takeOffset returns what REST said, which holds for one transfer.
func (c *conn) takeOffset() int64 {
	off := c.rest
	c.rest = 0
	return off
}

// takeSize returns what ALLO announced, which holds for one upload; -1 if nothing counts.
func (c *conn) takeSize() int64 {
	n := c.allo
	c.allo = -1
	if c.ascii {
		return -1
	}
	return n
}

// follow makes t the transfer of the running command: ABOR ends it and STAT tells about it. The caller calls stop.
func (c *conn) follow(t *session.Transfer) (stop func()) {
	c.moving.Store(t)
	ctx := c.ctx
	release := context.AfterFunc(ctx, func() { t.Abort(context.Cause(ctx)) })
	return func() {
		release()
		c.moving.Store(nil)
		t.Close()
	}
}

func progress(t *session.Transfer) string {
	return fmt.Sprintf("Moving %s: %d bytes so far", t.Info().Path, t.Done())
}

// retr sends a file.
func (c *conn) retr(arg string) error {
	defer c.agree(nil)
	off, last := c.takeRange()
	if last < 0 {
		off = c.takeOffset()
	}
	c.takeOffset()
	p, err := c.at(arg)
	switch {
	case err != nil:
		return err
	case c.ascii && off > 0:
		return refuse(504, "Offsets mean something in TYPE I only")
	case c.way == nil:
		return errNoWay()
	}
	t, err := c.sess.Get(p, off)
	if err != nil {
		return err
	}
	defer c.follow(t)()
	c.reply(150, fmt.Sprintf("Sending %s (%d bytes)", p, t.Info().Size-off))
	d, err := c.openData()
	if err != nil {
		return err
	}
	defer d.Close()
	var dst io.Writer = d
	if c.ascii {
		dst = &toASCII{dst: d}
	}
	if last >= 0 {
		dst = &firstBytes{dst: dst, left: last - off + 1}
	}
	if _, err := t.WriteTo(dst); err != nil && !errors.Is(err, errEnough) {
		cutOff(d)
		return err
	}
	if err := finish(d); err != nil {
		return c.brokeOff()
	}
	t.Close()
	return c.reply(226, "All is sent")
}

// A firstBytes writes as many bytes as RANG chose.
type firstBytes struct {
	dst  io.Writer
	left int64
}

var errEnough = errors.New("the range ends here")

func (f *firstBytes) Write(p []byte) (int, error) {
	if int64(len(p)) < f.left {
		f.left -= int64(len(p))
		return f.dst.Write(p)
	}
	n, err := f.dst.Write(p[:f.left])
	f.left -= int64(n)
	if err == nil {
		err = errEnough
	}
	return n, err
}

// stor receives a file, behind what REST said.
func (c *conn) stor(arg string) error {
	p, err := c.at(arg)
	if err != nil {
		return c.noTransfer(err)
	}
	w, err := c.behind(p)
	if err != nil {
		return c.noTransfer(err)
	}
	return c.receive(p, w, "Receiving "+p.String())
}

// noTransfer forgets what was agreed for a transfer that is refused.
func (c *conn) noTransfer(err error) error {
	c.agree(nil)
	c.takeOffset()
	c.takeSize()
	c.takeRange()
	return err
}

// behind says how a STOR with REST begins. Exactly the size of one's own part goes on behind the part. Any other offset
// is about the file, and is refused while there is a part: an old head would be joined to a new tail.
func (c *conn) behind(p files.Path) (files.Want, error) {
	if _, last := c.takeRange(); last >= 0 {
		return files.Want{}, refuse(504, "RANG is for HASH and RETR; REST says where an upload begins")
	}
	off := c.takeOffset()
	switch {
	case off == 0:
		return files.Want{}, nil
	case c.ascii:
		return files.Want{}, refuse(504, "Offsets mean something in TYPE I only")
	}
	i, err := c.sess.Stat(p)
	switch {
	case fault.KindOf(err) == fault.Denied: // the session will tell whether this may be
		return files.Want{From: off, Part: true}, nil
	case err != nil:
		return files.Want{}, err
	case i.Part == off:
		return files.Want{From: off, Part: true}, nil
	case i.PartOnly():
		return files.Want{}, refuse(554, "The part has %d bytes: only that offset goes on with it", i.Part)
	case i.Part >= 0:
		return files.Want{}, partInTheWay(i)
	}
	return files.Want{From: off}, nil
}

func partInTheWay(i files.Info) error {
	return refuse(450, "%s: there is a part of %d bytes of an upload that was cut: go on behind it (REST %d, STOR), or begin anew (STOR)",
		i.Path, i.Part, i.Part)
}

// appe receives what goes behind the file, or behind one's own part where there is no file.
func (c *conn) appe(arg string) error {
	p, err := c.at(arg)
	if err != nil {
		return c.noTransfer(err)
	}
	if c.takeOffset() > 0 {
		return c.noTransfer(refuse(503, "APPE always goes on behind the end; REST is for STOR"))
	}
	i, err := c.sess.Stat(p)
	w := files.Want{From: i.Size, Part: i.PartOnly()}
	switch {
	case fault.KindOf(err) == fault.NotExist:
		w = files.Want{}
		if !c.sess.May(p, account.Write) && c.sess.May(p, account.Append) {
			return c.noTransfer(err)
		}
	case err != nil:
		return c.noTransfer(err)
	case i.Part >= 0 && !i.PartOnly():
		return c.noTransfer(partInTheWay(i))
	}
	return c.receive(p, w, "Receiving what goes behind "+p.String())
}

// stou receives a file under a name that is not taken, and tells it (RFC 1123 section 4.1.2.9).
func (c *conn) stou(arg string) error {
	c.takeOffset()
	c.takeRange()
	name, base := arg, arg
	if base == "" {
		base = "stou"
	}
	for i := range 10 {
		if i > 0 || arg == "" {
			name = base + "." + random()
		}
		p, err := c.at(name)
		if err != nil {
			return c.noTransfer(err)
		}
		err = c.receive(p, files.Want{New: true}, "FILE: "+name)
		if fault.KindOf(err) != fault.Exist || c.way == nil {
			return err
		}
	}
	return c.noTransfer(refuse(450, "No free name was found"))
}

func random() string {
	var b [4]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// receive is the way of every upload, from the data connection to the name.
func (c *conn) receive(p files.Path, w files.Want, opening string) error {
	if c.way == nil {
		c.noTransfer(nil)
		return errNoWay()
	}
	w.Size = c.takeSize()
	if w.Size < w.From && w.Size >= 0 {
		w.Size = -1 // it announced what is to come, not the whole
	}
	t, err := c.sess.Put(p, w)
	if err != nil {
		if !w.New || fault.KindOf(err) != fault.Exist {
			c.agree(nil)
		}
		return err
	}
	defer c.follow(t)()
	c.reply(150, opening)
	d, err := c.openData()
	if err != nil {
		return err
	}
	defer d.Close()
	var src io.Reader = d
	if c.ascii {
		src = &fromASCII{src: d}
	}
	n, err := t.ReadFrom(src)
	if err == nil {
		err = c.whole(d, w, n)
	}
	if err != nil {
		cutOff(d)
		return err
	}
	// Our close_notify: clients wait for it before they read the reply.
	d.Close()
	info, err := t.Commit(c.sure)
	if err != nil {
		return err
	}
	t.Close()
	if w.New {
		return c.reply(226, opening)
	}
	return c.reply(226, fmt.Sprintf("Safe: %s (%d bytes)", p, info.Size))
}

// whole tells an upload that ended from one that was cut, as far as the data connection knows.
func (c *conn) whole(d dataConn, w files.Want, received int64) error {
	if w.Size >= 0 && w.From+received < w.Size {
		return refuse(426, "ALLO announced %d bytes and %d came; what came is kept as a part", w.Size, w.From+received)
	}
	s, ok := d.(*secureData)
	if !ok || !s.truncated() {
		return nil
	}
	a, err := c.sess.Account()
	if err != nil {
		return err
	}
	if a.Lenient {
		return nil
	}
	c.srv.noteTruncated(a.Name)
	return refuse(426, "TLS ended without close_notify, as it does when a connection is cut; what came is kept as a part. "+
		"If your client always ends so, the operator can allow it: sampan user set %s --lenient on", a.Name)
}

// noteTruncated tells the operator, from the second time on, about an account whose client may just be careless.
func (s *Server) noteTruncated(name string) {
	s.mu.Lock()
	if len(s.truncated) > 10_000 {
		clear(s.truncated)
	}
	s.truncated[name]++
	n := s.truncated[name]
	s.mu.Unlock()
	if n >= 2 {
		s.log.Warn("uploads end without close_notify; if the client always ends so, allow it",
			"account", name, "times", n, "command", "sampan user set "+name+" --lenient on")
	}
}

// abor answers behind the transfer that it ended, which was answered 426 (RFC 959 section 4.1.3); without one it gives up
// the data connection that was agreed.
func (c *conn) abor(string) error {
	c.agree(nil)
	return c.reply(226, "Nothing moves any more")
}

package ftpd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"strings"
	"time"

	"sampan/fault"
	"sampan/files"
	"sampan/session"
)

// takeOffset returns what REST said, which holds for one transfer.
func (c *conn) takeOffset() int64 {
	off := c.rest
	c.rest, c.restSaid = 0, false
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

// takePiece returns what of its file the next download is about: n bytes, all that follows if n is -1. RANG goes before
// REST.
func (c *conn) takePiece() (off, n int64) {
	rest := c.takeOffset()
	if first, last := c.takeRange(); last >= 0 {
		return first, last - first + 1
	}
	return rest, -1
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

func (c *conn) progress(t *session.Transfer) string {
	return c.say("Moving %s: %d bytes so far", t.Info().Path, t.Done())
}

// retr sends a file.
func (c *conn) retr(arg string) error {
	defer c.spent()
	// aria2 takes 150 and 226 in one read if they come together, and then waits a minute for the 226 that it has. It says
	// REST before every download, and closes its end when it has all.
	var linger time.Duration
	if c.restSaid {
		linger = c.srv.limits.taken
	}
	off, n := c.takePiece()
	p, err := c.at(arg)
	switch {
	case err != nil:
		return err
	case c.ascii && c.blocks:
		return errNotASCII()
	case c.ascii && off > 0:
		return refuse(504, "Offsets mean something in TYPE I only")
	}
	if err := c.mayMove(); err != nil {
		return err
	}
	t, err := c.sess.Get(p, off, n)
	if err != nil {
		return err
	}
	defer c.follow(t)()
	if n < 0 {
		n = t.Info().Size - off
	}
	opening := c.say("Sending %s", p)
	if !c.ascii { // clients take the number for a promise
		opening = c.say("Sending %s (%d bytes)", p, n)
	}
	out, err := c.outlet(opening, n, linger)
	if err != nil {
		return err
	}
	defer out.close()
	var known []byte
	if c.blocks {
		known = t.Sum()
		c.link.watchSum(known)
	}
	dst := out.to
	if c.ascii {
		dst = &toASCII{dst: dst}
	}
	if _, err := t.WriteTo(dst); err != nil {
		out.fail()
		return err
	}
	if err := out.finish(); err != nil {
		return c.brokeOff()
	}
	if c.blocks {
		said := c.link.sent(t, known)
		t.Close()
		return c.lines(250, said)
	}
	t.Close()
	return c.reply(226, "All is sent")
}

// An outlet is where a download or a listing goes.
type outlet struct {
	to     io.Writer    // a *net.TCPConn, which Transfer can hand to the kernel, a *secureData, a *link or a *visitor
	finish func() error // ends it well
	fail   func()       // ends it so that it cannot be taken for whole
	close  func()       // when nothing is known of how it ended
}

// atOnce is what the kernel takes of a download without waiting for the client.
const atOnce = 16 << 10

// outlet answers that the transfer of size bytes, -1 if that is not known, begins, and returns where its bytes go. In
// stream mode the end waits up to linger for the client's. What is sent at once is answered with one write: a client
// that is woken finds its file, the end of it and both replies.
func (c *conn) outlet(opening string, size int64, linger time.Duration) (outlet, error) {
	if c.blocks {
		l, err := c.openLink(opening)
		if err != nil {
			return outlet{}, err
		}
		return outlet{l, l.end, l.giveUp, func() {}}, nil
	}
	if size >= 0 && size <= atOnce && linger == 0 && !c.private {
		if v := c.visitor(); v != nil {
			c.holdBack()
			c.lines(150, opening)
			return outlet{v, v.finish, v.cutOff, func() { v.Close() }}, nil
		}
	}
	c.lines(150, opening)
	d, err := c.openData()
	if err != nil {
		return outlet{}, err
	}
	return outlet{d, func() error { return finish(d, linger) }, func() { cutOff(d) }, func() { d.Close() }}, nil
}

// stor receives a file, behind what REST said: exactly the size of one's own part goes on behind the part, any other
// offset is about the file.
func (c *conn) stor(arg string) error {
	_, last := c.takeRange()
	off := c.takeOffset()
	p, err := c.at(arg)
	switch {
	case err != nil:
		return c.noTransfer(err)
	case last >= 0:
		return c.noTransfer(refuse(504, "RANG is for HASH and RETR; REST says where an upload begins"))
	case c.ascii && off > 0:
		return c.noTransfer(refuse(504, "Offsets mean something in TYPE I only"))
	}
	return c.receive(c.say("Receiving %s", p), func(w files.Want) (*session.Transfer, error) {
		if w.From = off; off > 0 {
			return c.sess.Resume(p, w)
		}
		return c.sess.Put(p, w)
	})
}

// noTransfer forgets what was said about a transfer that is refused. The way stays, for the next one or until another is
// agreed: curl, which shakes hands on the data connection while it waits for the reply, takes its end for a failure of
// passive mode and never tells the reason.
func (c *conn) noTransfer(err error) error {
	c.takeOffset()
	c.takeSize()
	c.takeRange()
	return err
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
	return c.receive(c.say("Receiving what goes behind %s", p), func(w files.Want) (*session.Transfer, error) {
		w.From = -1
		return c.sess.Resume(p, w)
	})
}

// uniqueName begins both replies of STOU, which tell the name (RFC 1123 section 4.1.2.9).
const uniqueName = "FILE: "

// stou receives a file under a name that is not taken.
func (c *conn) stou(arg string) error {
	c.takeOffset()
	c.takeRange()
	name, base, size := arg, arg, c.allo
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
		c.allo = size
		err = c.receive(uniqueName+name, func(w files.Want) (*session.Transfer, error) {
			w.New = true
			return c.sess.Put(p, w)
		})
		if fault.KindOf(err) != fault.Exist || c.noWay() {
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

// receive is the way of every upload, from the data connection to the name. put begins it: the size that ALLO
// announced is known, and in block mode the last reply tells the hash.
func (c *conn) receive(opening string, put func(files.Want) (*session.Transfer, error)) error {
	size := c.takeSize()
	if c.ascii && c.blocks {
		return c.noTransfer(errNotASCII())
	}
	if err := c.mayMove(); err != nil {
		return c.noTransfer(err)
	}
	t, err := put(files.Want{Size: size, Sum: c.blocks})
	if fault.KindOf(err) == fault.Exist {
		return err // STOU tries another name
	}
	if err != nil {
		return c.noTransfer(err)
	}
	if c.blocks {
		return c.receiveBlocks(t, opening)
	}
	defer c.follow(t)()
	in, err := c.inlet(opening)
	if err != nil {
		return err
	}
	defer in.from.Close()
	var src io.Reader = in.from
	if c.ascii {
		src = &fromASCII{src: src}
	}
	n, err := t.ReadFrom(src)
	if err == nil {
		err = c.whole(in.from, size, t.Info().Size+n)
	}
	if err != nil {
		in.cutOff()
		return err
	}
	// Our close_notify: clients wait for it before they read the reply.
	in.from.Close()
	info, err := t.Commit(c.sure)
	if err != nil {
		return err
	}
	t.Close()
	if strings.HasPrefix(opening, uniqueName) {
		return c.lines(226, opening)
	}
	return c.reply(226, "Safe: %s (%d bytes)", info.Path, info.Size)
}

// An inlet is where an upload comes from.
type inlet struct {
	from   io.ReadCloser // a *visitor, a *net.TCPConn, which Transfer can hand to the kernel, or a *secureData
	cutOff func()        // ends it when the upload has failed
}

// inlet answers that an upload in stream mode begins, and returns where its bytes come from.
func (c *conn) inlet(opening string) (inlet, error) {
	c.lines(150, opening)
	if !c.private {
		if v := c.visitor(); v != nil {
			return inlet{v, v.cutOff}, nil
		}
	}
	d, err := c.openData()
	if err != nil {
		return inlet{}, err
	}
	return inlet{d, func() { cutOff(d) }}, nil
}

// whole tells an upload that ended from one that was cut, as far as the data connection knows.
func (c *conn) whole(from io.Reader, announced, size int64) error {
	if size < announced {
		return refuse(426, "ALLO announced %d bytes and %d came; what came is kept as a part", announced, size)
	}
	s, ok := from.(*secureData)
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
	c.srv.noteCareless(a.Name, "uploads end without close_notify; if the client always ends so, allow it")
	return refuse(426, "TLS ended without close_notify, as it does when a connection is cut; what came is kept as a part. "+
		"If your client always ends so, the operator can allow it: sampan user set %s --lenient on", a.Name)
}

// noteCareless tells the operator, from the second time on, about an account whose client may just be careless.
func (s *Server) noteCareless(name, what string) {
	s.mu.Lock()
	if len(s.careless) > 10_000 {
		clear(s.careless)
	}
	key := name + "\x00" + what
	s.careless[key]++
	n := s.careless[key]
	s.mu.Unlock()
	if n >= 2 {
		s.log.Warn(what, "account", name, "times", n, "command", "sampan user set "+name+" --lenient on")
	}
}

// abor answers behind the transfer that it ended, which was answered 426 (RFC 959 section 4.1.3); without one it gives up
// the data connection that was agreed.
func (c *conn) abor(string) error {
	c.agree(nil)
	c.drop()
	return c.reply(226, "Nothing moves any more")
}

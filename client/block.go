package client

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"

	"sampan/ftp"
)

// Block mode (RFC 959 section 3.4.2, docs/PROTOCOL.md): one data connection is kept for all transfers of a control
// connection. It is spoken with servers that offer to pipeline it, and never with others.

// A link is the data connection of block mode, in the hands of who has the control connection.
type link struct {
	wait time.Duration
	ctx  context.Context // of the transfer in hand
	raw  *net.TCPConn
	conn net.Conn // raw, or TLS over it
	in   *ftp.BlockReader
	out  *ftp.BlockWriter

	before func() // of a pipe: called before something is sent
	moved  func() // of a pipe: something went over the link
}

func newLink(d *data) *link {
	l := &link{wait: d.wait, ctx: d.ctx, raw: d.raw, conn: d.conn}
	l.in, l.out = ftp.NewBlockReader(linkBytes{l}, nil), ftp.NewBlockWriter(linkBytes{l})
	return l
}

// linkBytes is what goes over a link, with the time-out of silence.
type linkBytes struct{ *link }

func (l linkBytes) Read(p []byte) (int, error) {
	l.raw.SetReadDeadline(time.Now().Add(l.wait))
	if err := l.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := l.conn.Read(p)
	if l.moved != nil {
		l.moved()
	}
	return n, err
}

func (l linkBytes) Write(p []byte) (int, error) {
	if l.before != nil {
		l.before()
	}
	l.raw.SetWriteDeadline(time.Now().Add(l.wait))
	if err := l.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := l.conn.Write(p)
	if l.moved != nil {
		l.moved()
	}
	return n, err
}

// interrupted makes what blocks on the link return when ctx is done.
func (l *link) interrupted(ctx context.Context) (stop func() bool) {
	l.ctx = ctx
	return context.AfterFunc(ctx, func() { l.raw.SetDeadline(longAgo) })
}

func (l *link) close() {
	l.raw.Close()
	l.conn.Close()
	l.in.Close()
	l.out.Close()
}

// dropLink ends the link: what is on its way in it is of no more use.
func (c *control) dropLink() {
	if c.link != nil {
		c.link.close()
		c.link = nil
	}
}

// ahead returns how many commands may be on their way to the server in block mode, 0 if it is not to be spoken.
func (c *control) ahead() int {
	if o := c.remote.options(); o.Stream || o.ASCII {
		return 0
	}
	return aheadOf(c.feats)
}

func aheadOf(f ftp.Features) int {
	n, err := strconv.Atoi(f["PIPELINE"])
	if err != nil || n < 1 || !f.Has("MODE", "B") {
		return 0
	}
	return min(n, 10_000)
}

// pipelines reports whether the server offers to pipeline block mode, with windows that are worth it.
func (r *remote) pipelines() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return aheadOf(r.feats) >= 16
}

// setMode returns the commands that lead to a mode, none if it is agreed already.
func (c *control) setMode(mode string) []string {
	if mode == c.mode {
		return nil
	}
	return []string{"MODE " + mode}
}

// linked starts command on the link that there is. before are commands that come ahead of it and must succeed.
func (c *control) linked(ctx context.Context, before []string, command string) (*data, error) {
	d := &data{c: c, ctx: ctx, wait: c.remote.timeout(), link: c.link, raw: c.link.raw, conn: c.link.conn}
	if err := c.send(ctx, append(before, command)...); err != nil {
		return nil, err
	}
	var failed *refusal
	for range before {
		r, err := c.reply(ctx, d.wait)
		if err != nil {
			c.broken = true
			return nil, err
		}
		if r.Failed() && failed == nil {
			failed = &refusal{r}
		}
	}
	r, err := c.reply(ctx, d.wait)
	switch {
	case err != nil:
		c.broken = true
		return nil, err
	case failed != nil: // the command began without what had to come ahead of it
		c.broken = c.broken || !r.Failed()
		return nil, failed
	case r.Code == 425: // the link was lost while nobody used it
		c.dropLink()
		return c.transfer(ctx, before, command)
	case r.Failed():
		return nil, &refusal{r}
	}
	d.begin()
	return d, nil
}

// begin makes the next file of the link the one of d.
func (d *data) begin() {
	d.link.wait = d.wait
	d.stop = d.link.interrupted(d.ctx)
}

// over reports whether the file of d went over the link to its end, so that another one may follow.
func (d *data) over() bool { return d.sentAll || d.reads && d.link.in.Ended() }

// read reads from the file of the link.
func (d *data) read(p []byte) (int, error) {
	if !d.reads {
		d.reads = true
		d.link.in.Next()
	}
	return d.link.in.Read(p)
}

// A prover tells, when a transfer over the network went well, what the server says of the file and of the bytes that it
// sent or received: ok is false where the server says nothing.
type prover interface {
	proof() (p ftp.Proof, ok bool)
}

func (d *data) proof() (p ftp.Proof, ok bool) {
	if d.link == nil || !d.ended || d.answer != nil {
		return p, false
	}
	p, _, ok = ftp.ParseProof(d.last.Text())
	return p, ok
}

// early is how many bytes are sent between two looks whether the server refused the upload.
const early = 1 << 20

var errRefusedEarly = errors.New("the server refused before the end")

// write adds to the file of the link. A file that the server refused meanwhile is given up, which keeps both in step.
func (d *data) write(p []byte) (int, error) {
	if d.unlooked += len(p); d.unlooked > early {
		d.unlooked = 0
		d.c.conn.SetReadDeadline(time.Now())
		if _, err := d.c.in.Peek(1); err == nil {
			d.endFile(true)
			return 0, errRefusedEarly
		}
	}
	n, err := d.link.out.Write(p)
	if err == nil { // the server takes an upload that is silent for dead
		err = d.link.out.Flush()
	}
	return n, err
}

// endFile ends the file of the link.
func (d *data) endFile(givenUp bool) error {
	err := d.link.out.End(givenUp)
	if err == nil {
		err = d.link.out.Flush()
	}
	d.sentAll = err == nil
	return err
}

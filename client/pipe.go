package client

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"sampan/fault"
	"sampan/ftp"
)

// A pipe sends many commands at once over one control connection in block mode; the server runs them in order. Three
// goroutines share it: its owner sends commands and the files of uploads, one reads replies, and one reads the files of
// downloads. So what comes is always read, whatever blocks on the way out.
type pipe struct {
	c      *control
	link   *link
	ctx    context.Context // done when the pipe broke or was closed
	stop   context.CancelCauseFunc
	window int // commands that may be on their way
	out    []byte
	flying int // sent and not handed back

	mu    sync.Mutex
	queue []*call // sent and not answered, oldest first

	sent   chan struct{} // buffered: the queue is not empty
	files  chan *call    // downloads that began
	over   chan *call    // calls that are over
	moved  atomic.Int64  // time of the last byte either way, Unix ns
	reader sync.WaitGroup
}

// A call is one command on its way.
type call struct {
	line  string
	slow  bool                    // the server may need its time for it
	sink  func(r io.Reader) error // of a download: reads the file
	after func(c *call) error     // called by the owner when the call is over; an error ends the whole

	began   bool
	refused atomic.Bool
	halves  atomic.Int32 // of the reply and the file, those that are not over
	reply   ftp.Reply    // the last one
	err     error        // of the sink
}

// openPipe makes c one that pipelines. Its connections are broken when ctx is done.
func openPipe(ctx context.Context, c *control) (*pipe, error) {
	if err := c.openLink(ctx); err != nil {
		return nil, err
	}
	p := &pipe{c: c, link: c.link, window: c.ahead(), sent: make(chan struct{}, 1)}
	p.files, p.over = make(chan *call, p.window), make(chan *call, p.window)
	p.ctx, p.stop = context.WithCancelCause(ctx)
	p.link.ctx, p.link.before, p.link.moved = p.ctx, p.flushCommands, p.touch
	p.touch()
	context.AfterFunc(p.ctx, func() {
		if context.Cause(p.ctx) != errClosed {
			c.raw.Close()
			p.link.raw.Close()
		}
	})
	p.reader.Go(p.readReplies)
	p.reader.Go(p.readFiles)
	p.send(&call{line: "OPTS PIPELINE ON"})
	return p, nil
}

// errClosed ends a pipe that nothing is wrong with.
var errClosed = errors.New("the pipe was closed")

// openLink makes a data connection of block mode for a pipe. One that is left over is not trusted: nothing tells whether
// the way to it is still open, and many commands would be lost with it. TLS begins with its first byte: the server answers
// it behind the first transfer.
func (c *control) openLink(ctx context.Context) error {
	c.dropLink()
	modes := c.setMode("B")
	c.mode = ""
	v, err := c.passive(ctx, modes)
	if err != nil {
		return err
	}
	c.mode = "B"
	d := &data{c: c, ctx: ctx, wait: c.remote.timeout(), raw: v.conn, conn: net.Conn(v.conn)}
	if c.secure != nil {
		d.conn = tls.Client(v.conn, c.secure)
	}
	c.link = newLink(d)
	return nil
}

// close ends the pipe and leaves the connection in order, if it is.
func (p *pipe) close() {
	if p.ctx.Err() == nil {
		off := &call{line: "OPTS PIPELINE OFF"}
		p.send(off)
		for done := p.wait(); done != nil && done != off; {
			done = p.wait()
		}
	}
	broken := p.ctx.Err() != nil
	p.stop(errClosed)
	p.reader.Wait()
	p.link.before, p.link.moved = nil, nil
	if broken {
		p.c.broken = true
	}
}

// fail breaks the pipe.
func (p *pipe) fail(err error) {
	p.stop(err)
}

// err tells why the pipe broke, nil if it did not.
func (p *pipe) err() error {
	if p.ctx.Err() == nil {
		return nil
	}
	return context.Cause(p.ctx)
}

func (p *pipe) touch() { p.moved.Store(time.Now().UnixNano()) }

// full reports whether as many commands are on their way as may be.
func (p *pipe) full() bool { return p.flying >= p.window }

// send sends a command; it may wait in the buffer until flush. The owner calls wait before it sends more than fit.
func (p *pipe) send(c *call) {
	line, err := p.c.packet(c.line)
	if err != nil {
		p.fail(err)
		return
	}
	c.halves.Store(1)
	p.flying++
	p.mu.Lock()
	p.queue = append(p.queue, c)
	p.mu.Unlock()
	select {
	case p.sent <- struct{}{}:
	default:
	}
	p.out = append(p.out, line...)
	if len(p.out) > 16<<10 {
		p.flushCommands()
	}
}

// sendFile sends a command and the file that goes with it: what body writes. One that body gives up is not published.
func (p *pipe) sendFile(c *call, body func(w io.Writer) error) {
	p.send(c)
	err := body(p.link.out)
	if err = p.link.out.End(err != nil); err != nil {
		p.fail(p.broke(err))
	}
}

// flushCommands sends the commands that wait. It comes before all that is sent on the link: the server reads a file only
// when it has read the command.
func (p *pipe) flushCommands() {
	if len(p.out) == 0 {
		return
	}
	p.c.conn.SetWriteDeadline(time.Now().Add(p.c.remote.timeout()))
	if _, err := p.c.conn.Write(p.out); err != nil {
		p.fail(fault.Wrap(fault.Cut, err, "the connection to %s was lost", p.c.remote.url.Address()))
	}
	p.out = p.out[:0]
	p.touch()
}

// flush sends all that waits.
func (p *pipe) flush() {
	p.flushCommands()
	if err := p.link.out.Flush(); err != nil {
		p.fail(p.broke(err))
	}
}

// broke is what to say about an error of the link.
func (p *pipe) broke(err error) error {
	if p.ctx.Err() != nil {
		return context.Cause(p.ctx)
	}
	return fault.Wrap(fault.Cut, err, "the data connection to %s was lost: %s", p.c.remote.url.Address(), cause(err))
}

// wait sends all that waits and returns the next call that is over; nil when the pipe broke.
func (p *pipe) wait() *call {
	if c := p.done(); c != nil {
		return c
	}
	p.flush()
	select {
	case c := <-p.over:
		p.flying--
		return c
	case <-p.ctx.Done():
		return nil
	}
}

// done returns a call that is over, nil if there is none yet.
func (p *pipe) done() *call {
	select {
	case c := <-p.over:
		p.flying--
		return c
	default:
		return nil
	}
}

func (p *pipe) half(c *call) {
	if c.halves.Add(-1) == 0 {
		p.over <- c
	}
}

// head waits for a call that is not answered yet, nil when the pipe ends.
func (p *pipe) head() *call {
	for {
		p.mu.Lock()
		if len(p.queue) > 0 {
			c := p.queue[0]
			p.mu.Unlock()
			return c
		}
		p.mu.Unlock()
		select {
		case <-p.sent:
		case <-p.ctx.Done():
			return nil
		}
	}
}

// readReplies reads replies as long as there are calls.
func (p *pipe) readReplies() {
	for c := p.head(); c != nil; c = p.head() {
		r, err := p.reply(c)
		switch {
		case err != nil:
			p.fail(err)
			return
		case r.Code == 110:
			continue
		case r.Preliminary():
			if c.sink != nil && !c.began {
				c.began = true
				c.halves.Add(1)
				p.files <- c
			}
			continue
		case r.Code == 425 || r.Code == 426: // it is the same for all that come behind
			p.fail(refused(r, ""))
			return
		case r.Done() && c.sink != nil && !c.began:
			p.fail(fault.New(fault.Unsupported, "the server's answer cannot be read: %s", printable(r.Text())))
			return
		}
		p.mu.Lock()
		p.queue[0] = nil
		p.queue = p.queue[1:]
		p.mu.Unlock()
		c.reply = r
		c.refused.Store(r.Failed())
		p.half(c)
	}
}

// reply waits for the reply to c, for as long as something moves.
func (p *pipe) reply(c *call) (ftp.Reply, error) {
	wait := p.c.remote.timeout()
	limit := wait
	if c.slow {
		limit = longWait
	}
	for p.c.in.Buffered() == 0 {
		p.c.conn.SetReadDeadline(time.Now().Add(wait))
		if p.ctx.Err() != nil {
			return ftp.Reply{}, context.Cause(p.ctx)
		}
		_, err := p.c.in.Peek(1)
		if err == nil {
			break
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(time.Unix(0, p.moved.Load())) > limit {
			return ftp.Reply{}, p.c.lost(p.ctx, err)
		}
	}
	p.touch()
	return p.c.reply(p.ctx, wait)
}

// readFiles reads the files of downloads.
func (p *pipe) readFiles() {
	for {
		var c *call
		select {
		case c = <-p.files:
		case <-p.ctx.Done():
			return
		}
		p.link.in.Next()
		r := &fileReader{r: p.link.in}
		c.err = c.sink(r)
		if r.err == nil {
			r.err = p.link.in.Skip()
		}
		if r.err != nil && r.err != io.EOF && !errors.Is(r.err, ftp.ErrGivenUp) {
			p.fail(p.broke(r.err))
			return
		}
		if c.err == nil && errors.Is(r.err, ftp.ErrGivenUp) {
			c.err = r.err
		}
		p.half(c)
	}
}

// A fileReader remembers how a file ended.
type fileReader struct {
	r   io.Reader
	err error
}

func (f *fileReader) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil {
		f.err = err
	}
	return n, err
}

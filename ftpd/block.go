package ftpd

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sampan/files"
	"sampan/ftp"
	"sampan/session"
)

// Block mode (RFC 959 section 3.4.2): one data connection is kept for all files, each of which is a row of blocks with an
// end of its own. So a client can send many commands at once; they are run in order on one goroutine, and their replies
// and files are gathered until it would have to wait. An upload is committed behind its last block while the next one is
// read: commits that wait together share their syncs. docs/PROTOCOL.md has it for people who write clients.

// pipelineFeature tells a client how many commands may be on their way, and that uploads may be sent ahead of the replies
// (OPTS PIPELINE ON).
var pipelineFeature = fmt.Sprintf("PIPELINE %d", maxAhead)

func errNotASCII() error { return refuse(504, "MODE B moves files byte for byte: send TYPE I first") }

// A wire is a data connection under block mode. Before it waits for the client, everything that the client may be waiting
// for is sent. Transfers set deadlines often; they reach the connection only when it is used.
type wire struct {
	c       *conn
	d       dataConn
	readBy  atomic.Int64 // Unix ns; 0 is the patience of the server
	writeBy atomic.Int64
	broken  atomic.Bool
}

func (w *wire) Read(p []byte) (int, error) {
	w.c.push()
	w.d.SetReadDeadline(deadline(&w.readBy, w.c.srv.limits.idle))
	n, err := w.d.Read(p)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		w.broken.Store(true)
	}
	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	w.c.flush()
	w.d.SetWriteDeadline(deadline(&w.writeBy, w.c.srv.limits.idle))
	n, err := w.d.Write(p)
	if err != nil {
		w.broken.Store(true)
	}
	return n, err
}

func deadline(set *atomic.Int64, patience time.Duration) time.Time {
	if ns := set.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Now().Add(patience)
}

func keep(set *atomic.Int64, t time.Time) error {
	if t.IsZero() {
		set.Store(0)
	} else {
		set.Store(t.UnixNano())
	}
	return nil
}

// A link is the data connection of block mode. As a reader and a writer it is the current file.
type link struct {
	wire
	in    *ftp.BlockReader
	out   *ftp.BlockWriter
	sum   hash.Hash // of the file that is sent
	got   int64     // bytes of the current upload
	from  int64     // where it begins in its file
	begun bool      // some of the current command's file may have been read
	quiet bool      // it is thrown away
	let   func() bool
}

// openLink answers that a transfer begins, and makes the data connection unless there is one.
func (c *conn) openLink(opening string) (*link, error) {
	if c.ctx.Err() != nil { // which ended the link that there was
		return nil, context.Cause(c.ctx)
	}
	if l := c.link; l != nil && !l.broken.Load() {
		if opening != "" {
			c.lines(125, opening)
		}
		return l, nil
	}
	c.drop()
	if opening != "" {
		c.lines(150, opening)
	}
	c.flush()
	d, err := c.openData()
	if err != nil {
		return nil, err
	}
	l := &link{sum: sha256.New()}
	l.c, l.d = c, d
	l.in, l.out = ftp.NewBlockReader(&l.wire, l.mark), ftp.NewBlockWriter(&l.wire)
	c.link = l
	l.watch()
	return l, nil
}

// spent gives up the way of a transfer that is over. In block mode it waits for the next one.
func (c *conn) spent() {
	if !c.blocks {
		c.agree(nil)
	}
}

// watch ends the link with the running commands.
func (l *link) watch() {
	l.let = context.AfterFunc(l.c.ctx, func() {
		l.broken.Store(true)
		socket(l.d).Close()
	})
}

// mayMove refuses a transfer that has no way for its bytes, or none that may be taken.
func (c *conn) mayMove() error {
	switch {
	case !c.private && c.encrypted && !c.clearAllowed():
		return refuse(521, "Data is not taken in clear text here: send PBSZ 0 and PROT P first")
	case c.noWay():
		return errNoWay()
	}
	return nil
}

// noWay reports that there is neither a data connection nor a way to one.
func (c *conn) noWay() bool { return c.way == nil && c.link == nil }

// drop ends the data connection of block mode.
func (c *conn) drop() {
	l := c.link
	if l == nil {
		return
	}
	c.link = nil
	if l.let() && !l.broken.Load() {
		l.out.Flush()
	}
	l.in.Close()
	l.out.Close()
	l.d.Close()
}

func (l *link) Write(p []byte) (int, error) { return l.out.Write(p) }

func (l *link) ReadFrom(src io.Reader) (int64, error) { return l.out.ReadFrom(src) }

// Push sends all that was gathered before a transfer waits for a limit.
func (l *link) Push() { l.c.push() }

func (l *link) SetWriteDeadline(t time.Time) error { return keep(&l.writeBy, t) }

func (l *link) Read(p []byte) (int, error) {
	n, err := l.in.Read(p)
	l.got += int64(n)
	return n, err
}

func (l *link) SetReadDeadline(t time.Time) error { return keep(&l.readBy, t) }

// end ends a file that was sent.
func (l *link) end() error { return l.out.End(false) }

// giveUp ends a file that failed. A link that is broken, or was aborted, is beyond that.
func (l *link) giveUp() {
	if l.broken.Load() || l.c.ctx.Err() != nil || l.out.End(true) != nil {
		l.c.drop()
	}
}

// mark answers a restart marker with the place in the file that it stands for (RFC 959 section 3.5).
func (l *link) mark(text string) {
	if l.quiet {
		return
	}
	l.c.lines(110, fmt.Sprintf("MARK %s = %d", text, l.from+l.got))
}

// proof is what the last reply of a transfer says of the file, so that its client can compare.
func proof(i files.Info, sum []byte) string {
	p := ftp.Proof{Size: i.Size, ModTime: i.ModTime, Unique: i.Tag, Sum: sum}
	return string(ftp.AppendProof(make([]byte, 0, 256), p, i.Path.String()))
}

// watchSum has what is sent from now on hashed, unless its hash is known.
func (l *link) watchSum(known []byte) {
	if l.out.Tee(nil); known == nil {
		l.sum.Reset()
		l.out.Tee(l.sum)
	}
}

// sent is the proof of the download that was sent last. A hash that was known says nothing where the file changed meanwhile.
func (l *link) sent(t *session.Transfer, known []byte) string {
	now := t.Now()
	switch {
	case known == nil:
		return proof(now, l.sum.Sum(nil))
	case now.Tag != t.Info().Tag:
		return proof(now, nil)
	}
	return proof(now, known)
}

// receiveBlocks receives the next file of the link. When all of it is there it is left to be committed, and the next
// command is run meanwhile.
func (c *conn) receiveBlocks(t *session.Transfer, opening string) error {
	c.moving.Store(t)
	ctx := c.ctx
	release := context.AfterFunc(ctx, func() { t.Abort(context.Cause(ctx)) })
	defer release()
	defer c.moving.Store(nil)
	l, err := c.openLink(opening)
	if err == nil {
		err = l.in.Next()
	}
	if err != nil {
		t.Close()
		return err
	}
	l.begun, l.got, l.from = true, 0, t.Info().Size
	if _, err = t.ReadFrom(l); err == nil {
		a := &arrived{t: t, path: t.Info().Path.NFC()}
		if strings.HasPrefix(opening, uniqueName) {
			a.said = opening
		}
		c.leave(a)
		return nil
	}
	t.Close()
	switch {
	case c.ctx.Err() != nil:
		return context.Cause(c.ctx)
	case errors.Is(err, ftp.ErrGivenUp):
		return refuse(451, "Given up as you asked; what came is kept as a part")
	case errors.Is(err, ftp.ErrBlock):
		l.broken.Store(true)
		return refuse(426, "The block header makes no sense; what came is kept as a part")
	}
	return err
}

// refuseRow answers the error of a command. Behind an upload that is refused stands a file all the same, if the client
// said that it sends ahead.
func (c *conn) refuseRow(row *command, err error) {
	c.refuse(err)
	if row == nil || row.need&uploads == 0 || !c.blocks {
		return
	}
	if c.ahead && c.ctx.Err() == nil {
		err = c.skip()
	}
	if l := c.link; l != nil && (err != nil && c.ahead || l.begun && !l.in.Ended() || l.broken.Load()) {
		c.drop()
	}
}

// skip reads the file of an upload that was refused and throws it away.
func (c *conn) skip() error {
	if c.noWay() || c.link != nil && c.link.begun && c.link.in.Ended() {
		return nil
	}
	l, err := c.openLink("")
	if err != nil {
		return err
	}
	if !l.begun {
		err = l.in.Next()
	}
	if err == nil {
		l.begun, l.quiet = true, true
		err = l.in.Skip()
		l.quiet = false
	}
	return err
}

// runHeld runs a line and those that came meanwhile, until none is left. Their replies and files are gathered.
func (c *conn) runHeld(l line) {
	c.gather(true)
	defer c.gather(false)
	if c.link != nil {
		c.link.watch()
	}
	for ok, aborted := true, false; ok; {
		if aborted {
			c.drop()
			c.fresh()
		}
		if c.link != nil {
			c.link.begun = false
		}
		if row, arg, ok := c.check(l); ok {
			c.await(row, arg)
			c.run(row, arg)
		}
		if !c.blocks || c.ending.Load() {
			break
		}
		l, aborted, ok = c.next()
	}
	c.push()
	if l := c.link; l != nil {
		l.in.Rest()
		l.out.Rest()
		if !l.let() {
			c.drop()
		}
	}
}

// replies are gathered in block mode. While an upload waits for its commit, later replies wait behind it.
type replies struct {
	gather  bool
	ready   []byte     // to be sent
	arrived []*arrived // oldest first
	working bool       // a goroutine commits them
	decided sync.Cond  // an upload was decided; its lock is conn.write
}

// maxGathered is how many bytes of replies are gathered at most.
const maxGathered = 16 << 10

// add writes a reply behind all others.
func (r *replies) add(code int, lines ...string) {
	if n := len(r.arrived); n > 0 {
		last := r.arrived[n-1]
		last.behind = ftp.AppendReply(last.behind, code, lines...)
		return
	}
	r.ready = ftp.AppendReply(r.ready, code, lines...)
}

// flushLocked sends the replies that are ready. c.write is held.
func (c *conn) flushLocked() {
	r := &c.replies
	if len(r.ready) == 0 {
		return
	}
	patience := c.srv.limits.write
	if c.sess.Context().Err() != nil { // its place may be somebody else's already
		patience = c.srv.limits.linger
	}
	c.out.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.out.Write(c.charset.tell(r.ready)); err != nil {
		c.tcp.Close()
	}
	if r.ready = r.ready[:0]; cap(r.ready) > 256 && !r.gather {
		r.ready = nil
	}
}

func (c *conn) flush() {
	c.write.Lock()
	defer c.write.Unlock()
	c.flushLocked()
}

// push sends all that was gathered: whoever waits for the client must not let it wait.
func (c *conn) push() {
	if l := c.link; l != nil && l.out.Buffered() > 0 {
		l.out.Flush()
	}
	c.flush()
}

func (c *conn) gather(on bool) {
	c.write.Lock()
	defer c.write.Unlock()
	c.replies.gather = on
	if !on {
		c.flushLocked()
	}
}

// An arrived is an upload whose bytes are all there and which is not committed yet.
type arrived struct {
	t      *session.Transfer
	path   files.Path
	said   string // of STOU
	behind []byte // replies that wait behind its own
}

// Bounds of the uploads that wait for their commit, and of the replies behind them.
const (
	maxArrived = 128
	maxBatch   = 64
	maxBehind  = 64 << 10
)

// leave leaves an upload to be committed.
func (c *conn) leave(a *arrived) {
	r := &c.replies
	c.write.Lock()
	defer c.write.Unlock()
	r.arrived = append(r.arrived, a)
	if !r.working {
		r.working = true
		go c.commit()
	}
}

// commit commits what arrived, batch after batch, until there is nothing left.
func (c *conn) commit() {
	r := &c.replies
	c.write.Lock()
	defer c.write.Unlock()
	for len(r.arrived) > 0 {
		batch := r.arrived[:min(len(r.arrived), maxBatch):min(len(r.arrived), maxBatch)]
		c.write.Unlock()
		ts := make([]*session.Transfer, len(batch))
		for i, a := range batch {
			ts[i] = a.t
		}
		errs := session.CommitAll(ts)
		for _, t := range ts {
			t.Close()
		}
		c.write.Lock()
		for i, a := range batch {
			code, text := 250, a.said
			if errs[i] != nil {
				code, text = c.answer(errs[i])
			} else if text == "" {
				text = proof(a.t.Info(), a.t.Sum())
			}
			r.ready = append(ftp.AppendReply(r.ready, code, text), a.behind...)
		}
		r.arrived = r.arrived[len(batch):]
		c.flushLocked()
		r.decided.Broadcast()
	}
	r.arrived, r.working = nil, false
	r.decided.Broadcast()
}

// decide waits until nothing waits to be committed.
func (c *conn) decide() {
	c.write.Lock()
	defer c.write.Unlock()
	for c.replies.working {
		c.replies.decided.Wait()
	}
}

// await waits for the uploads that a command could see: those whose path is that of the command, above or below it, and
// all of them where it is not known what the command is about.
func (c *conn) await(row *command, arg string) {
	r := &c.replies
	c.write.Lock()
	defer c.write.Unlock()
	if len(r.arrived) == 0 {
		return
	}
	p, named := c.about(row, arg)
	waits := func() bool {
		n := len(r.arrived)
		if n == 0 || row.need&unrelated == 0 || n >= maxArrived || len(r.arrived[n-1].behind) >= maxBehind {
			return n > 0
		}
		return named && slices.ContainsFunc(r.arrived, func(a *arrived) bool { return a.path.Holds(p) || p.Holds(a.path) })
	}
	if !waits() {
		return
	}
	c.write.Unlock()
	c.push()
	c.write.Lock()
	for waits() {
		r.decided.Wait()
	}
}

// about returns the path that a command names, as its syntax tells.
func (c *conn) about(row *command, arg string) (p files.Path, named bool) {
	head, _, found := strings.Cut(row.syntax, "<path>")
	if !found {
		return p, false
	}
	if strings.Contains(head, " ") {
		_, arg, _ = strings.Cut(arg, " ")
	}
	p, err := c.at(arg)
	return p.NFC(), err == nil
}

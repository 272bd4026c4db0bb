package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"time"

	"sampan/fault"
	"sampan/files"
	"sampan/sftp"
)

// Bytes that may be on their way: twice what the link holds, by the best rate and the shortest round trip that were seen.
const (
	leastFlow = 1 << 20
	mostFlow  = 16 << 20
)

// A flow says how many bytes may be on their way in one direction of one transfer.
type flow struct {
	window int64
	moved  int64 // bytes that arrived
	rtt    time.Duration
	rate   float64 // bytes a second, the best seen
}

// A step is what was known of a flow when bytes set off.
type step struct{ moved int64 }

func newFlow() flow { return flow{window: leastFlow} }

// arrived notes n bytes that set off with s.
func (f *flow) arrived(c *rpc, s step, n int) {
	f.moved += int64(n)
	took := c.came.Sub(c.sent)
	if took <= 0 {
		return
	}
	if f.rtt == 0 || took < f.rtt {
		f.rtt = took
	}
	f.rate = max(f.rate, float64(f.moved-s.moved)/took.Seconds())
	f.window = min(max(f.window, int64(2*f.rate*f.rtt.Seconds())), mostFlow)
}

// sftpBody is a download: a file that is read ahead.
type sftpBody struct {
	ctx  context.Context
	info files.Info // as it was seen before
	lanes
	flow  flow
	end   int64 // where the file ends, as far as it is known
	next  int64 // the first byte that was not asked for
	left  int64 // bytes that are still to come
	ahead []*span
	err   error

	brief bool   // one READ takes all of it, and CLOSE tells its hash
	prove bool   // the server is asked for the hash of what was read, where it has one
	looks []*rpc // FSTAT behind the last READ, on each lane; none until that was sent
	sums  *rpc   // check-file-handle; nil until it was sent
}

// A span is a part of a file that was asked for.
type span struct {
	*rpc
	step
	lane *lane
	off  int64
	n    int
	got  []byte // what came and was not taken yet
}

// Open looks at p, opens it, and reads ahead. The reader says EOF only at the size that the server told when it was opened.
func (r *sshRemote) Open(ctx context.Context, p files.Path, off int64) (io.ReadCloser, files.Info, error) {
	w, err := r.acquire(ctx)
	if err != nil {
		return nil, files.Info{}, err
	}
	i, err := w.stat(ctx, p) // to open a pipe would wait for its other end
	if err != nil {
		return nil, i, err
	}
	return w.open(ctx, i, off)
}

// openKnown opens what a look at it or a listing told to be a file a moment ago. Nobody waits for another look: what it is
// behind the last READ is told by again.
func (r *sshRemote) openKnown(ctx context.Context, w *wire, i files.Info, off int64) (io.ReadCloser, files.Info, error) {
	b, err := w.openBody(ctx, i, off)
	if err != nil {
		return nil, i, err
	}
	b.prove = w.hashes
	b.brief = off == 0 && i.Size <= min(smallFile, int64(w.limits.Read)) && w.has(sftp.ExtClose)
	if w.ours() && !b.brief { // others do one thing after another
		b.askHash()
	}
	b.widen(r)
	b.ask()
	return b, i, nil
}

// open opens what i describes. The first bytes are asked for together with a look at what was opened.
func (w *wire) open(ctx context.Context, i files.Info, off int64) (io.ReadCloser, files.Info, error) {
	b, err := w.openBody(ctx, i, off)
	if err != nil {
		return nil, i, err
	}
	look := w.start(sftp.Request{Type: sftp.TypeFstat, Handle: b.all[0].handle})
	if off >= 0 {
		b.ask()
	}
	a, err := look.attrs(ctx)
	if err == nil {
		if i = sftpInfo(i.Path, a); i.Size != b.end {
			b.dropAhead()
			b.end, b.next, b.left = i.Size, off, i.Size-off
		}
		if off < 0 || off > i.Size {
			err = fault.New(fault.BadOffset, "%s: there are only %d bytes", i.Path.String(), i.Size)
		}
	}
	if err != nil {
		b.Close()
		return nil, i, named(err, i.Path)
	}
	return b, i, nil
}

// openBody opens a file that is read from off on.
func (w *wire) openBody(ctx context.Context, i files.Info, off int64) (*sftpBody, error) {
	p := i.Path
	if i.Mode.IsDir() {
		return nil, fault.New(fault.IsDir, "%s: is a directory", p.String())
	}
	handle, err := w.start(sftp.Request{Type: sftp.TypeOpen, Path: p.String(), Flags: sftp.OpenRead}).handle(ctx)
	if err != nil {
		return nil, named(err, p)
	}
	first := lanes{all: []*lane{{w: w, handle: handle}}}
	return &sftpBody{ctx: ctx, info: i, lanes: first, flow: newFlow(), end: i.Size, next: off, left: i.Size - off}, nil
}

// ask sends READs as far as the flow allows, and behind the last one has the server look at the file, and hash it. For one handle
// it does one thing after another (section 3); where there are more, nothing may be on its way any more.
func (b *sftpBody) ask() {
	b.join()
	for b.next < b.end && b.next-(b.end-b.left) < b.flow.window {
		l := b.emptiest()
		n := int(min(b.end-b.next, int64(l.w.limits.Read)))
		b.ahead = append(b.ahead, b.read(l, b.next, n))
		b.next += int64(n)
	}
	if b.next < b.end || len(b.looks) > 0 || len(b.all) > 1 && b.left > 0 {
		return
	}
	for _, l := range b.all {
		b.looks = append(b.looks, l.w.start(sftp.Request{Type: sftp.TypeFstat, Handle: l.handle}))
	}
	switch {
	case !b.prove || b.sums != nil:
	case b.brief:
		l := b.all[0]
		b.sums = l.w.start(sftp.Request{Type: sftp.TypeExtended, Extension: sftp.ExtClose, Handle: l.handle})
		l.handle = nil
	default:
		b.askHash()
	}
}

// askHash asks for the hash of the file. When that is does not matter: it must be that of what comes.
func (b *sftpBody) askHash() {
	l := b.all[0]
	b.sums = l.w.start(sftp.Request{Type: sftp.TypeExtended, Extension: sftp.ExtCheckHandle, Handle: l.handle, Algorithms: "sha256"})
}

// again describes the file as it was when all of it had been read, with its SHA-256, nil where the server tells none.
func (b *sftpBody) again(ctx context.Context) (now files.Info, sum []byte, err error) {
	for n, look := range b.looks {
		a, err := look.attrs(ctx)
		if err != nil {
			return now, nil, named(err, b.info.Path)
		}
		if i := sftpInfo(b.info.Path, a); n == 0 || changed(i, now) {
			now = i
		}
	}
	sum, err = b.sums.sha256(ctx)
	return now, sum, named(err, b.info.Path)
}

// dropLooks gives up the looks behind the last READ.
func (b *sftpBody) dropLooks() {
	for _, c := range b.looks {
		c.drop()
	}
	b.looks = nil
}

// sha256 waits for the reply to a check-file, nil if there is none.
func (c *rpc) sha256(ctx context.Context) ([]byte, error) {
	if c == nil {
		return nil, nil
	}
	var sums sftp.Sums
	err := c.parsed(ctx, &sums)
	var a *answer
	if errors.As(err, &a) || err == nil && (sums.Algorithm != "sha256" || len(sums.Hashes) != sha256.Size) {
		return nil, nil
	}
	return sums.Hashes, err
}

func (b *sftpBody) read(l *lane, off int64, n int) *span {
	c := l.w.start(sftp.Request{Type: sftp.TypeRead, Handle: l.handle, Offset: uint64(off), Size: uint64(n)})
	l.flying += int64(n)
	return &span{rpc: c, step: step{b.flow.moved}, lane: l, off: off, n: n}
}

func (b *sftpBody) Read(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	b.ask()
	if b.left == 0 {
		return 0, io.EOF
	}
	if b.ahead[0].got == nil {
		if err := b.await(); err != nil {
			b.err = err
			return 0, err
		}
	}
	s := b.ahead[0]
	n := copy(p, s.got)
	s.got = s.got[n:]
	b.left -= int64(n)
	if len(s.got) == 0 {
		s.free()
		b.ahead = b.ahead[1:]
	}
	return n, nil
}

// await waits for the first span. What a server leaves out at its end is asked for again.
func (b *sftpBody) await() error {
	s := b.ahead[0]
	err := s.expect(b.ctx, sftp.TypeData)
	for err != nil && s.lane != b.all[0] && s.lane.w.broken() {
		b.forsake(s.lane)
		s = b.ahead[0]
		err = s.expect(b.ctx, sftp.TypeData)
	}
	s.lane.flying -= int64(s.n)
	var a *answer
	switch {
	case errors.As(err, &a) && a.code == sftp.EOF:
		return fault.New(fault.Mismatch, "%s: it changed while it was copied", b.info.Path.String())
	case err != nil:
		return named(err, b.info.Path)
	}
	s.got = s.reply.Data
	switch n := len(s.got); {
	case n == 0 || n > s.n:
		return s.w.senseless("%d bytes where %d were asked for", n, s.n)
	case n < s.n && s.lane.handle == nil:
		return fault.New(fault.Mismatch, "%s: it changed while it was copied", b.info.Path.String())
	case n < s.n:
		b.dropLooks() // they are no longer behind the last READ
		b.ahead = append([]*span{s, b.read(s.lane, s.off+int64(n), s.n-n)}, b.ahead[1:]...)
	}
	b.flow.arrived(s.rpc, s.step, len(s.got))
	return nil
}

// Close ends the download, also in the middle.
func (b *sftpBody) Close() error {
	if len(b.all) == 0 {
		return nil
	}
	b.dropAhead()
	if b.left > 0 {
		b.dropLooks()
		b.sums.drop()
	}
	if b.stop != nil {
		b.stop()
	}
	for _, l := range b.all {
		l.close()
	}
	b.all = nil
	if b.err == nil {
		b.err = os.ErrClosed
	}
	return nil
}

// dropAhead gives up what was asked for and not taken.
func (b *sftpBody) dropAhead() {
	for _, s := range b.ahead {
		s.drop()
	}
	b.ahead = nil
}

// drop gives up an rpc, if it is one, whether its reply came or not.
func (c *rpc) drop() {
	if c == nil {
		return
	}
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.orphan = true
	select {
	case <-c.done:
		c.free()
	default:
	}
}

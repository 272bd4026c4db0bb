package client

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"sync"
	"time"

	"sampan/fault"
	"sampan/files"
	"sampan/words"
)

// CopyOptions says how Copy works.
type CopyOptions struct {
	NoClobber bool                // keep a file that is there already, whatever it holds
	Update    bool                // skip a file of which one of the same size is there that is not older; nothing is hashed for that
	Tries     int                 // how often a broken copy is begun again before GaveUp; 0 is 10, -1 never
	Progress  func(Progress)      // called often, from one goroutine at a time; nil is silent
	Say       func(words.Message) // remarks for the person ("reconnecting in 2 s"); nil is silent

	Only func(files.Info) bool // of a tree: which entries of the directory itself are copied, nil for all; may be asked again
}

// Phase is what a copy is doing.
type Phase uint8

const (
	Comparing Phase = iota // looking at both ends; hashing what is there already
	Moving                 // bytes go
	Proving                // comparing the result end to end
	Waiting                // for the next try
	Finished               // it is there, or was there already
)

// String is the phase's name in JSON events: "comparing", "moving", "proving", "waiting", "finished".
func (p Phase) String() string {
	return [...]string{"comparing", "moving", "proving", "waiting", "finished"}[p]
}

// Progress is one look at a running copy.
type Progress struct {
	From, To files.Path
	Phase    Phase
	Done     int64 // bytes of the file that are there, Resumed included
	Size     int64 // of the whole file, -1 if unknown
	Resumed  int64 // bytes that were there before this copy
}

// Result is what a copy did.
type Result struct {
	From, To  files.Path
	Size      int64         // of the file
	Bytes     int64         // moved by this copy, all tries together
	Resumed   int64         // bytes that were not moved because a proved part was there
	Restarted bool          // a part was there but did not fit, so it began from zero
	Skipped   bool          // equal already, or not newer where that is enough (then Sum is ""); nothing was moved
	Kept      bool          // NoClobber kept what was there
	Sum       string        // SHA-256 in hex of the file, "" if unknown
	Verified  bool          // Sum was computed at both ends and is equal
	Took      time.Duration // of all tries
}

// Copy copies the file from to the name to, in either direction. It is the one copy engine: an equal file (size and
// hash) is skipped; a part left by an earlier try is continued after its SHA-256 was proved equal to the head of the
// source, else it begins from zero and says so; a source that changes meanwhile is noticed before anything is
// published; the result's SHA-256 is compared where both ends can hash; the modification time is kept. What breaks
// is tried again with growing pauses. Cancelling ctx parks what came.
//
// Kinds: those of the two Stores; IsDir if from is a directory; Mismatch if the ends differ after two tries; GaveUp
// after too many.
func Copy(ctx context.Context, src files.Store, from files.Path, dst files.Store, to files.Path, o CopyOptions) (Result, error) {
	c := &copying{src: src, dst: dst, o: o, r: Result{From: from, To: to}}
	return c.run(ctx)
}

// run copies and looks at the clock.
func (c *copying) run(ctx context.Context) (Result, error) {
	begin := time.Now()
	err := c.retry(ctx, c.once)
	if fault.KindOf(err) == fault.Mismatch && err != nil {
		c.say(fault.Say(err))
		c.say(words.M("%s: copying it once more", c.r.From.String()))
		err = c.retry(ctx, c.once)
	}
	c.r.Took = time.Since(begin)
	if err == nil {
		c.show(Finished, c.r.Size, true)
	}
	return c.r, err
}

// copying is one Copy.
type copying struct {
	src, dst files.Store
	o        CopyOptions
	r        Result

	listed  *files.Info // the source, where a listing told of it just now
	target  *sight      // the target, where a listing told of it just now
	closed  func()      // of a swarm: hears that the remote target has no handle any more
	landing *landing    // of a swarm: publishes small files on this machine's disk
	again   bool        // not the first try
	gained  int64       // how far what need not be moved again has come
	shown   time.Time
}

// A sight is what a look at a name told a moment ago.
type sight struct {
	info  files.Info
	there bool
	sure  bool  // else one was not allowed to look
	part  int64 // size of a part of which only the head is kept; 0 if there is none, or all of it is
}

func (c *copying) say(m words.Message) {
	if c.o.Say != nil {
		c.o.Say(m)
	}
}

// show reports progress, at most every 50 ms unless it must be seen.
func (c *copying) show(phase Phase, done int64, must bool) {
	if c.o.Progress == nil || !must && time.Since(c.shown) < 50*time.Millisecond {
		return
	}
	c.shown = time.Now()
	c.o.Progress(Progress{From: c.r.From, To: c.r.To, Phase: phase, Done: done, Size: c.r.Size, Resumed: c.r.Resumed})
}

// once is one try.
func (c *copying) once(ctx context.Context) error {
	source, err := c.look(ctx)
	switch {
	case err != nil:
		return err
	case source.PartOnly():
		return fault.New(fault.NotExist, "%s: no such file or directory", c.r.From.String())
	case source.Mode.IsDir():
		return fault.New(fault.IsDir, "%s: is a directory; -r copies all of it", c.r.From.String())
	}
	c.r.Size = source.Size
	c.show(Comparing, 0, true)
	target, err := c.lookThere(ctx)
	if err != nil {
		return err
	}
	if target.there {
		if done, err := c.have(ctx, source, target.info); done || err != nil {
			return err
		}
	}
	begin, err := c.resume(ctx, source, target.info, target.there)
	if err != nil {
		return err
	}
	err = c.move(ctx, source, target, begin)
	if fault.KindOf(err) == fault.Exist && err != nil && c.o.NoClobber {
		c.r.Kept = true
		return nil
	}
	return err
}

// look describes the source.
func (c *copying) look(ctx context.Context) (files.Info, error) {
	if c.listed != nil && !c.again {
		return *c.listed, nil
	}
	return c.src.Stat(ctx, c.r.From)
}

// lookThere describes the target.
func (c *copying) lookThere(ctx context.Context) (sight, error) {
	if c.target != nil && !c.again {
		return *c.target, nil
	}
	i, err := c.dst.Stat(ctx, c.r.To)
	switch k := fault.KindOf(err); {
	case err == nil:
		return sight{info: i, there: !i.PartOnly(), sure: true}, nil
	case k == fault.NotExist || k == fault.Denied: // who may not look (a drop-box) may still put
		return sight{info: files.Info{Part: -1}, sure: k == fault.NotExist}, nil
	}
	return sight{}, err
}

// open opens the source, which was looked at.
func (c *copying) open(ctx context.Context, source files.Info, off int64) (io.ReadCloser, files.Info, error) {
	if r, ok := c.src.(*sshRemote); ok && source.Mode.IsRegular() {
		w, err := c.session(ctx, r)
		if err != nil {
			return nil, source, err
		}
		return r.openKnown(ctx, w, source, off)
	}
	return c.src.Open(ctx, c.r.From, off)
}

// create opens the target, which was looked at.
func (c *copying) create(ctx context.Context, target sight, w files.Want) (files.Upload, error) {
	if r, ok := c.dst.(*sshRemote); ok && target.sure {
		session, err := c.session(ctx, r)
		if err != nil {
			return nil, err
		}
		return r.create(ctx, session, c.r.To, w, &target)
	}
	if d, ok := c.dst.(*disk); ok && target.sure {
		return d.create(ctx, c.r.To, w, target)
	}
	return c.dst.Create(ctx, c.r.To, w)
}

// session is what a file goes over: that of the remote, or, of a tree, one of several.
func (c *copying) session(ctx context.Context, r *sshRemote) (*wire, error) {
	if c.closed != nil {
		return r.share(ctx)
	}
	return r.acquire(ctx)
}

// have reports whether what is there already is enough: kept on request, or equal.
func (c *copying) have(ctx context.Context, source, target files.Info) (bool, error) {
	if target.Mode.IsDir() {
		return false, fault.New(fault.IsDir, "%s: is a directory", c.r.To.String())
	}
	if c.o.NoClobber && !c.again {
		c.r.Kept = true
		return true, nil
	}
	if c.o.Update && !c.again && current(source, target) {
		c.r.Skipped = true
		return true, nil
	}
	if source.Size == target.Size && !c.converts() {
		same, err := c.same(ctx)
		if err != nil {
			return false, err
		}
		if same != nil {
			c.r.Skipped = c.r.Bytes == 0 && c.r.Resumed == 0
			c.r.Sum, c.r.Verified = hex.EncodeToString(same), true
			if sameTime(source, target) {
				return true, nil
			}
			return true, stamp(ctx, c.dst, c.r.To, source) // a copy that was cut behind its last byte has none yet
		}
	}
	c.r.Kept = c.o.NoClobber
	return c.o.NoClobber, nil
}

// same hashes the file at both ends, at the same time. It returns the SHA-256 if both have the same, nil if not or if one end cannot
// tell; then the other one need not go on.
func (c *copying) same(ctx context.Context) ([]byte, error) {
	both, stop := context.WithCancel(ctx)
	defer stop()
	var there []byte
	var thereErr error
	var running sync.WaitGroup
	running.Go(func() {
		if there, thereErr = sum(both, c.dst, c.r.To, -1); there == nil {
			stop()
		}
	})
	here, err := sum(both, c.src, c.r.From, -1)
	if here == nil {
		stop()
	}
	running.Wait()
	if err := first(ctx.Err(), unlessStopped(err), unlessStopped(thereErr)); err != nil {
		return nil, err
	}
	if !bytes.Equal(here, there) {
		return nil, nil
	}
	return here, nil
}

// unlessStopped is the error of who was not stopped for another's sake.
func unlessStopped(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// first returns the first error that is one.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// move carries the bytes behind what is kept, and publishes.
func (c *copying) move(ctx context.Context, source files.Info, target sight, b beginning) error {
	in, opened, err := c.open(ctx, source, b.from)
	if err != nil {
		return err
	}
	defer in.Close()
	if changed(source, opened) {
		return c.changed()
	}
	size := source.Size
	if c.converts() {
		size = -1
	}
	target.part = b.size
	out, err := c.create(ctx, target, files.Want{From: b.from, Size: size, Part: b.part, New: c.o.NoClobber})
	if err != nil {
		return err
	}
	defer out.Close()
	c.r.Resumed, c.gained = b.from, max(c.gained, b.from)
	if err := c.pump(ctx, out, in, b.hash); err != nil {
		return err
	}
	if size >= 0 && out.Size() != size {
		return c.changed()
	}
	in.Close()
	var ours []byte
	if b.hash != nil && !c.converts() {
		ours = b.hash.Sum(nil)
	}
	c.show(Proving, out.Size(), true)
	sure := func() error { return c.unchanged(ctx, source, &ours, in, b.from) }
	stamped, theirs := false, []byte(nil)
	switch u := out.(type) {
	case *sftpUpload:
		u.prepare(source.ModTime, c.closed)
		err = u.publish(ctx, sure)
		stamped, theirs = u.stamped, u.sum
	case *diskUpload:
		u.time = source.ModTime
		err = c.land(ctx, u, sure)
		stamped = u.stamped
	default:
		err = publish(ctx, out, sure)
		theirs = proofOf(out, 0)
	}
	if err != nil {
		return err
	}
	return c.settle(ctx, source, ours, theirs, stamped)
}

// land publishes a file on this machine's disk, a small one of a tree together with others.
func (c *copying) land(ctx context.Context, u *diskUpload, sure func() error) error {
	if c.landing == nil || u.size >= bigFile {
		return u.publish(ctx, sure)
	}
	if err := sure(); err != nil {
		return err
	}
	done := make(chan struct{})
	f := &landed{up: u, done: func() { close(done) }}
	c.landing.add(f)
	<-done
	return f.err
}

// proofOf returns the SHA-256 of all of the file that the server said with a transfer, if x is one that brings it. What it says
// of a download is about the bytes behind from.
func proofOf(x any, from int64) []byte {
	if x, ok := x.(prover); ok && from == 0 {
		if p, ok := x.proof(); ok {
			return p.Sum
		}
	}
	return nil
}

// equal compares what came with what the source is said to hold.
func (c *copying) equal(ours, theirs []byte) error {
	if bytes.Equal(ours, theirs) {
		return nil
	}
	return fault.New(fault.Mismatch, "%s: what came is not what is there (SHA-256 %x, not %x)", c.r.From.String(), ours, theirs)
}

// pump copies all of in, hashing what goes by.
func (c *copying) pump(ctx context.Context, out files.Upload, in io.Reader, h hash.Hash) error {
	x := newHashing(h, c.r.Size)
	defer x.end()
	c.show(Moving, out.Size(), true)
	for {
		buf := x.buffer()
		n, err := fill(in, buf)
		if n > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			x.take(buf[:n])
			m, err := out.Write(buf[:n])
			c.r.Bytes += int64(m)
			if err != nil {
				return err
			}
			c.show(Moving, out.Size(), false)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == io.EOF: // itself: what wraps it is no end of the content
			return nil
		case err != nil:
			return local(err, c.r.From.String())
		}
	}
}

// fill reads until buf is full or a moment has passed, so that fast sources are written in big steps and slow ones
// are seen to move.
func fill(in io.Reader, buf []byte) (n int, err error) {
	begin := time.Now()
	for n < len(buf) && err == nil {
		var m int
		m, err = in.Read(buf[n:])
		n += m
		if n < len(buf) && err == nil && time.Since(begin) > 50*time.Millisecond {
			break
		}
	}
	return n, err
}

// lookAgain describes the source now that it was read, and tells what a remote one said of its hash; nil if nothing.
func (c *copying) lookAgain(ctx context.Context, in any, from int64) (files.Info, []byte, error) {
	if b, ok := in.(*sftpBody); ok {
		return b.again(ctx)
	}
	if d, ok := c.src.(*disk); ok {
		now, err := d.file(c.r.From)
		return now, nil, err
	}
	now, err := c.src.Stat(ctx, c.r.From)
	return now, proofOf(in, from), err
}

// unchanged looks at the source once more, before anything is published: it must be what it was, and what a remote
// source says of its content must be what came.
func (c *copying) unchanged(ctx context.Context, source files.Info, ours *[]byte, in any, from int64) error {
	now, theirs, err := c.lookAgain(ctx, in, from)
	if err != nil {
		return err
	}
	if changed(source, now) {
		return c.changed()
	}
	if c.converts() || onDisk(c.src) {
		return nil
	}
	if theirs == nil {
		if theirs, err = sum(ctx, c.src, c.r.From, -1); err != nil || theirs == nil {
			return err
		}
	}
	if *ours == nil {
		*ours = theirs
	}
	if err := c.equal(*ours, theirs); err != nil {
		return err
	}
	c.r.Verified = true
	return nil
}

// stamp gives a file the time of its source. A store that cannot, or where one may not, is left as it is.
func stamp(ctx context.Context, dst files.Store, p files.Path, source files.Info) error {
	if source.ModTime.IsZero() {
		return nil
	}
	err := dst.Set(ctx, p, files.Attr{ModTime: &source.ModTime})
	if k := fault.KindOf(err); k == fault.Unsupported || k == fault.Denied || k == fault.Syntax {
		return nil
	}
	return err
}

// sameTime compares times as MFMT tells them, to the second.
func sameTime(a, b files.Info) bool {
	return a.ModTime.Truncate(time.Second).Equal(b.ModTime.Truncate(time.Second))
}

// current reports whether the target is as large as the source and, as far as both tell, not older.
func current(source, target files.Info) bool {
	return source.Size == target.Size && !source.ModTime.IsZero() && !target.ModTime.Before(source.ModTime.Truncate(time.Second))
}

// settle gives the published file its time, unless it has it, and compares it with what was sent. theirs is what the server said,
// when it published the file, that it had received; nil has it asked.
func (c *copying) settle(ctx context.Context, source files.Info, ours, theirs []byte, stamped bool) error {
	if !stamped {
		if err := stamp(ctx, c.dst, c.r.To, source); err != nil {
			return err
		}
	}
	if ours == nil {
		return nil
	}
	c.r.Sum = hex.EncodeToString(ours)
	if onDisk(c.dst) && !onDisk(c.src) {
		return nil // compared before it was published
	}
	if theirs == nil {
		var err error
		if theirs, err = sum(ctx, c.dst, c.r.To, -1); err != nil || theirs == nil {
			return err
		}
	}
	if !bytes.Equal(ours, theirs) {
		c.r.Verified = false
		return fault.New(fault.Mismatch, "%s: what is there now is not what was sent (SHA-256 %x, not %x)", c.r.To.String(), theirs, ours)
	}
	c.r.Verified = true
	return nil
}

func (c *copying) changed() error {
	return fault.New(fault.Mismatch, "%s: it changed while it was copied", c.r.From.String())
}

// changed compares two looks at one file.
func changed(a, b files.Info) bool {
	return a.Size != b.Size || !a.ModTime.Equal(b.ModTime) || a.Tag != b.Tag
}

// converts reports whether either end changes line ends, so that sizes and hashes differ by nature.
func (c *copying) converts() bool {
	for _, s := range []files.Store{c.src, c.dst} {
		if r, ok := s.(*remote); ok && r.options().ASCII {
			return true
		}
	}
	return false
}

// onDisk reports whether s is this machine's disk, whose bytes need no proof.
func onDisk(s files.Store) bool {
	_, ok := s.(*disk)
	return ok
}

// sum asks s for the SHA-256 of the first n bytes (all if -1) of p; nil if s cannot tell.
func sum(ctx context.Context, s files.Store, p files.Path, n int64) ([]byte, error) {
	summer, ok := s.(files.Summer)
	if !ok {
		return nil, nil
	}
	h, err := summer.Sum(ctx, p, "SHA-256", 0, n)
	if k := fault.KindOf(err); err != nil && (k == fault.Unsupported || k == fault.Denied) {
		return nil, nil
	}
	return h, err
}

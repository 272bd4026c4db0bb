package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"sampan/fault"
	"sampan/files"
	"sampan/ftp"
	"sampan/words"
)

// A flight copies a tree through a pipe: directories are listed and made, and files sent or fetched, many at a time, so
// that a tree of any width costs a few round trips for each level of its depth. What is out of the ordinary (a part to go
// on with, a file that changed meanwhile, an error that may pass) is left to Copy, one file after another.
type flight struct {
	t      *tree
	remote *remote
	p      *pipe
	ctx    context.Context // of the copy
	ended  error           // what ended the whole
	buf    []byte          // of the owner
	in     []byte          // of who reads downloads
	land   *landing        // of downloads
	landed chan *fileJob   // those that it is done with

	dirs  []*dirJob  // to be begun
	files []*fileJob // to be sent or fetched
	slow  []*fileJob // for Copy
	aloft map[any]bool

	mu    sync.Mutex // held while the caller is called back
	shown time.Time
}

// A dirJob is a directory to be copied.
type dirJob struct {
	from, to files.Path
	depth    int
}

// A fileJob is a file to be copied. target is what is there already.
type fileJob struct {
	source   files.Info
	to       files.Path
	target   files.Info
	there    bool
	known    bool // target and there are known
	compared bool // what is there differs
	asked    bool // no part is there
	odd      bool // more came than was listed
	begun    time.Time
	up       files.Upload // of a download
	r        Result
	err      error // of publishing
}

// maxPlanned is how many files may be known and not begun before listing goes on.
const maxPlanned = 10_000

// canFly reports which end of a tree copy is the remote one, nil if a flight cannot do it: it joins a server that
// pipelines with something that is near.
func (t *tree) canFly() *remote {
	a, _ := t.src.(*remote)
	b, _ := t.dst.(*remote)
	r := a
	switch {
	case a != nil && b != nil, a == nil && b == nil:
		return nil
	case a == nil:
		r = b
	}
	if r.options().Active || r.options().Stream || r.options().ASCII || !r.pipelines() {
		return nil
	}
	return r
}

// fly copies a directory, again and again where the connection breaks.
func (t *tree) fly(ctx context.Context, r *remote, from, to files.Path) error {
	f := &flight{t: t, remote: r, buf: make([]byte, 256<<10), aloft: map[any]bool{}}
	f.dirs = []*dirJob{{from, to, 0}}
	again := &copying{src: t.src, dst: t.dst, o: t.o, r: Result{From: from, To: to}}
	err := again.retry(ctx, func(ctx context.Context) error {
		err := f.once(ctx)
		again.gained = t.r.Bytes + int64(t.r.Files+t.r.Dirs+t.r.Skipped)
		return err
	})
	switch {
	case f.ended != nil:
		return f.ended
	case err != nil:
		return t.tell(ctx, Result{From: from, To: to}, err)
	}
	for _, j := range f.slow {
		if err := t.file(ctx, j.source.Path, j.to); err != nil {
			return err
		}
	}
	return nil
}

// once opens a pipe and goes on until nothing is left, or the pipe breaks; then what was on its way waits for the next.
func (f *flight) once(ctx context.Context) error {
	return f.remote.do(ctx, func(c *control) (err error) {
		if f.p, err = openPipe(ctx, c); err != nil {
			return err
		}
		f.ctx = ctx
		if f.down() {
			f.p.window = min(f.p.window, maxOpen)
			f.land, f.landed = newLanding(ctx), make(chan *fileJob, 2*maxOpen)
		}
		if err = f.run(); err != nil {
			f.p.fail(err)
		}
		f.p.close()
		if f.land != nil {
			f.land.close()
			close(f.landed)
			for j := range f.landed {
				if lerr := f.finish(ctx, j); err == nil {
					err = lerr
				}
			}
			f.land, f.landed = nil, nil
		}
		f.recall()
		return err
	})
}

// maxOpen is how many files of downloads may be open at a time.
const maxOpen = 512

// down reports whether the remote end is the source.
func (f *flight) down() bool { return f.t.src == files.Store(f.remote) }

// recall puts what was on its way back. A big file is left to Copy, which goes on where it was cut.
func (f *flight) recall() {
	for j := range f.aloft {
		switch j := j.(type) {
		case *dirJob:
			f.dirs = append(f.dirs, j)
		case *fileJob:
			if j.up != nil {
				j.up.Close()
				j.up = nil
			}
			if j.source.Size >= bigFile || j.odd {
				f.slow = append(f.slow, j)
			} else {
				f.files = append(f.files, j)
			}
		}
	}
	clear(f.aloft)
}

// run is the owner of the pipe.
func (f *flight) run() error {
	for {
		for c := f.p.done(); c != nil; c = f.p.done() {
			if err := f.after(c); err != nil {
				return err
			}
		}
		var err error
		switch {
		case f.p.err() != nil:
			return f.p.err()
		case f.p.flying+len(f.aloft) >= 2*f.p.window || f.p.full():
			err = f.wait()
		case len(f.dirs) > 0 && len(f.files) < maxPlanned:
			j := f.dirs[0]
			f.dirs = f.dirs[1:]
			f.aloft[j] = true
			err = f.beginDir(j)
		case len(f.files) > 0:
			j := f.files[0]
			f.files = f.files[1:]
			f.aloft[j] = true
			err = f.beginFile(j)
		case len(f.aloft) == 0:
			return nil
		default:
			err = f.wait()
		}
		if err != nil {
			return err
		}
	}
}

// wait waits until something is over.
func (f *flight) wait() error {
	f.p.flush()
	select {
	case c := <-f.p.over:
		f.p.flying--
		return f.after(c)
	case j := <-f.landed:
		return f.finish(f.ctx, j)
	case <-f.p.ctx.Done():
		return f.p.err()
	}
}

func (f *flight) after(c *call) error {
	if c.after == nil {
		return nil
	}
	return c.after(c)
}

// tell reports a file or a directory that is done with.
func (f *flight) tell(j any, r Result, err error) error {
	delete(f.aloft, j)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil && f.t.o.Progress != nil {
		f.t.o.Progress(Progress{From: r.From, To: r.To, Phase: Finished, Done: r.Size, Size: r.Size})
	}
	f.ended = f.t.tell(f.ctx, r, err)
	return f.ended
}

// ends reports how a file ended.
func (f *flight) ends(j *fileJob, err error) error {
	j.r.From, j.r.To, j.r.Size = j.source.Path, j.to, j.source.Size
	if !j.begun.IsZero() {
		j.r.Took = time.Since(j.begun)
	}
	return f.tell(j, j.r, err)
}

// leave leaves a file to Copy.
func (f *flight) leave(j *fileJob) error {
	if j.up != nil {
		j.up.Close()
		j.up = nil
	}
	delete(f.aloft, j)
	f.slow = append(f.slow, j)
	return nil
}

// again puts a file back, with more known about it.
func (f *flight) again(j *fileJob) error {
	delete(f.aloft, j)
	f.files = append(f.files, j)
	return nil
}

// show reports progress, at most every 50 ms.
func (f *flight) show(j *fileJob, done int64) {
	if f.t.o.Progress == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.shown) < 50*time.Millisecond {
		return
	}
	f.shown = time.Now()
	f.t.o.Progress(Progress{From: j.source.Path, To: j.to, Phase: Moving, Done: done, Size: j.source.Size})
}

// beginDir asks for the listing of a remote directory, or makes it.
func (f *flight) beginDir(j *dirJob) error {
	switch {
	case j.depth > maxDepth:
		return f.tell(j, Result{From: j.from, To: j.to}, fault.New(fault.Stopped, "%s: directories are nested too deep", j.from.String()))
	case f.down():
		f.list(j.from, func(entries []files.Info, odd, err error) error {
			fresh := false
			if err == nil {
				fresh, err = f.t.mkdir(f.ctx, j.to)
			}
			return f.plan(j, entries, odd, err, nil, fresh)
		})
	case j.to.IsRoot():
		f.compare(j, nil)
	default:
		f.p.send(&call{line: "MKD " + j.to.String(), after: func(c *call) error {
			if c.reply.Done() {
				return f.planHere(j, map[string]files.Info{}, true)
			}
			k, _ := kindOf(c.reply)
			err := refusedAs(k, c.reply, j.to.String())
			if k != fault.Exist && k != fault.Denied { // who may not make any may still put into one that is there
				return f.tell(j, Result{From: j.from, To: j.to}, err)
			}
			f.compare(j, err)
			return nil
		}})
	}
	return nil
}

// compare asks what is in the target directory already. taken is what to say if it is none.
func (f *flight) compare(j *dirJob, taken error) {
	f.list(j.to, func(entries []files.Info, odd, err error) error {
		switch k := fault.KindOf(err); {
		case err == nil || k == fault.BadName:
		case k == fault.Denied: // who may not look may still put
			return f.planHere(j, nil, false)
		case taken != nil && (k == fault.NotDir || k == fault.NotExist):
			return f.tell(j, Result{From: j.from, To: j.to}, taken)
		default:
			return f.tell(j, Result{From: j.from, To: j.to}, err)
		}
		there := make(map[string]files.Info, len(entries))
		for _, i := range entries {
			there[i.Path.Base()] = i
		}
		return f.planHere(j, there, true)
	})
}

// list lists a remote directory.
func (f *flight) list(p files.Path, then func(entries []files.Info, odd, err error) error) {
	var entries []files.Info
	var odd error
	f.p.send(&call{
		line: "MLSD " + p.String(),
		sink: func(r io.Reader) (err error) {
			var stopped bool
			odd, stopped, err = readEntries(r, f.p.link.wait, p, ftp.ParseFacts, func(i files.Info) bool {
				entries = append(entries, i)
				return len(entries) <= maxEntries
			})
			if stopped {
				err = fault.New(fault.Stopped, "%s: the listing has no end", p.String())
				f.p.fail(err)
			}
			return err
		},
		after: func(c *call) error {
			err := c.err
			if c.reply.Code == 501 {
				err = fault.New(fault.NotDir, "%s: not a directory", p.String())
			} else if c.reply.Failed() {
				err = refused(c.reply, p.String())
			}
			slices.SortFunc(entries, func(a, b files.Info) int { return strings.Compare(a.Path.Base(), b.Path.Base()) })
			return then(entries, odd, err)
		},
	})
}

// planHere plans the upload of a directory. there is what the target holds, nil if nobody may know.
func (f *flight) planHere(j *dirJob, there map[string]files.Info, known bool) error {
	entries, odd, err := list(f.ctx, f.t.src, j.from)
	if !known {
		there = nil
	}
	return f.plan(j, entries, odd, err, there, known)
}

// plan notes what is to be done for the entries of a directory. In a directory that is known, or fresh, all that is there
// is in there.
func (f *flight) plan(j *dirJob, entries []files.Info, odd, err error, there map[string]files.Info, known bool) error {
	if err != nil {
		return f.tell(j, Result{From: j.from, To: j.to}, err)
	}
	delete(f.aloft, j)
	f.t.r.Dirs++
	if j.depth == 0 {
		entries, odd = chosen(entries, odd, f.t.o.Only)
	}
	if odd != nil {
		if err := f.tell(j, Result{From: j.from, To: j.to}, odd); err != nil {
			return err
		}
	}
	seen := map[string]string{}
	for _, i := range entries {
		if err := f.entry(j, i, there, known, seen); err != nil {
			return err
		}
	}
	return nil
}

func (f *flight) entry(j *dirJob, i files.Info, there map[string]files.Info, known bool, seen map[string]string) error {
	from, base := i.Path, i.Path.Base()
	q, err := j.to.Join(base)
	if err == nil && onDisk(f.t.dst) {
		err = distinct(runtime.GOOS, base, seen)
	}
	link := i.Mode&fs.ModeSymlink != 0
	if err == nil && link {
		i, err = f.t.src.Stat(f.ctx, from)
	}
	switch {
	case err != nil:
		return f.tell(nil, Result{From: from, To: q}, err)
	case link && i.Mode.IsDir():
		if f.t.o.Say != nil {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.t.o.Say(words.M("%s: a link to a directory, left out", i.Path.String()))
		}
	case i.Mode.IsDir():
		f.dirs = append(f.dirs, &dirJob{i.Path, q, j.depth + 1})
	default:
		job := &fileJob{source: i, to: q, known: known}
		job.target, job.there = there[base]
		f.files = append(f.files, job)
	}
	return nil
}

// beginFile sends the next command about a file.
func (f *flight) beginFile(j *fileJob) error {
	if j.begun.IsZero() {
		j.begun = time.Now()
	}
	if !j.known {
		if !f.down() && f.t.o.NoClobber {
			return f.leave(j)
		}
		if f.down() {
			target, err := f.t.dst.Stat(f.ctx, j.to)
			if err != nil && fault.KindOf(err) != fault.NotExist {
				return f.ends(j, err)
			}
			j.target, j.there = target, err == nil
		}
		j.known = true
	}
	switch {
	case j.there && j.target.Part > 0:
		return f.leave(j)
	case j.there && j.target.Mode.IsDir():
		return f.ends(j, fault.New(fault.IsDir, "%s: is a directory", j.to.String()))
	case j.there && f.t.o.NoClobber:
		j.r.Kept = true
		return f.ends(j, nil)
	case j.there && f.t.o.Update && current(j.source, j.target):
		j.r.Skipped = true
		return f.ends(j, nil)
	case j.there && j.target.Size == j.source.Size && !j.compared:
		f.ask(j)
	case f.down():
		f.fetch(j)
	case j.source.Size >= bigFile && !j.asked:
		f.askPart(j)
	default:
		f.send(j)
	}
	return nil
}

// ask compares two files of the same size by their hashes.
func (f *flight) ask(j *fileJob) {
	near, far := f.t.src, j.to
	nearPath := j.source.Path
	if f.down() {
		near, far, nearPath = f.t.dst, j.source.Path, j.to
	}
	f.p.send(&call{line: "HASH " + far.String(), slow: true, after: func(c *call) error {
		j.compared = true
		_, _, theirs, ok := parseHash(c.reply.Text())
		if !c.reply.Done() || !ok {
			return f.again(j)
		}
		ours, err := sum(f.ctx, near, nearPath, -1)
		if err != nil {
			return f.ends(j, err)
		}
		if !bytes.Equal(ours, theirs) {
			return f.again(j)
		}
		j.r.Skipped, j.r.Verified, j.r.Sum = true, true, hex.EncodeToString(ours)
		switch { // a copy that was cut behind its last byte has no time yet
		case sameTime(j.source, j.target):
			return f.ends(j, nil)
		case f.down():
			return f.ends(j, stamp(f.ctx, f.t.dst, j.to, j.source))
		}
		return f.stamp(j)
	}})
}

// askPart asks whether there is a part of a big file, which Copy goes on with.
func (f *flight) askPart(j *fileJob) {
	f.p.send(&call{line: "SITE PART " + j.to.String(), slow: true, after: func(c *call) error {
		if j.asked = true; c.reply.Code == 550 {
			return f.again(j)
		}
		return f.leave(j)
	}})
}

var errChanged = errors.New("the source changed")

// send uploads a file. Its time is set when the server has it.
func (f *flight) send(j *fileJob) {
	sum := sha256.New()
	var failed error
	c := &call{line: "STOR " + j.to.String(), slow: true}
	c.after = func(c *call) error {
		p, _, ok := ftp.ParseProof(c.reply.Text())
		k, sure := kindOf(c.reply)
		switch {
		case failed != nil && !errors.Is(failed, errChanged) && !errors.Is(failed, errRefusedEarly):
			return f.ends(j, failed)
		case failed == nil && c.reply.Done() && ok && bytes.Equal(p.Sum, sum.Sum(nil)):
			j.r.Sum, j.r.Verified = hex.EncodeToString(p.Sum), true
			return f.stamp(j)
		case c.reply.Failed() && sure && !passes(k) && !errors.Is(failed, errChanged):
			return f.ends(j, refusedAs(k, c.reply, j.to.String()))
		}
		return f.leave(j)
	}
	f.p.sendFile(c, func(w io.Writer) error {
		failed = f.feed(j, c, w, sum)
		return failed
	})
}

// feed writes the content of a near file. What is not as it was listed is given up.
func (f *flight) feed(j *fileJob, c *call, w io.Writer, sum hash.Hash) error {
	in, opened, err := f.t.src.Open(f.ctx, j.source.Path, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	if changed(j.source, opened) {
		return errChanged
	}
	for {
		n, err := fill(in, f.buf)
		if j.r.Bytes += int64(n); j.r.Bytes > j.source.Size {
			return errChanged
		}
		sum.Write(f.buf[:n])
		if _, werr := w.Write(f.buf[:n]); werr != nil {
			return werr
		}
		switch {
		case c.refused.Load():
			return errRefusedEarly
		case err == io.EOF:
			if now, err := f.t.src.Stat(f.ctx, j.source.Path); err != nil || changed(j.source, now) || j.r.Bytes != j.source.Size {
				return errChanged
			}
			return nil
		case err != nil:
			return local(err, j.source.Path.String())
		}
		f.show(j, j.r.Bytes)
	}
}

// stamp gives an uploaded file its time.
func (f *flight) stamp(j *fileJob) error {
	if j.source.ModTime.IsZero() || !f.p.c.feats.Has("MFMT") {
		return f.ends(j, nil)
	}
	f.p.send(&call{line: "MFMT " + j.source.ModTime.UTC().Format("20060102150405") + " " + j.to.String(), after: func(c *call) error {
		k, _ := kindOf(c.reply)
		if c.reply.Done() || k == fault.Unsupported || k == fault.Denied || k == fault.Syntax {
			return f.ends(j, nil)
		}
		return f.ends(j, refusedAs(k, c.reply, j.to.String()))
	}})
	return nil
}

// fetch downloads a file.
func (f *flight) fetch(j *fileJob) {
	sum := sha256.New()
	f.p.send(&call{
		line: "RETR " + j.source.Path.String(),
		sink: func(r io.Reader) (err error) {
			if j.up, err = f.create(j); err != nil {
				return err
			}
			return f.drink(j, r, sum)
		},
		after: func(c *call) error {
			p, _, ok := ftp.ParseProof(c.reply.Text())
			k, sure := kindOf(c.reply)
			switch {
			case c.reply.Failed() && sure && !passes(k):
				return f.fails(j, refusedAs(k, c.reply, j.source.Path.String()))
			case c.reply.Failed(), errors.Is(c.err, errChanged), c.err != nil && passing(c.err):
				return f.leave(j)
			case c.err != nil:
				return f.fails(j, c.err)
			case !ok || p.Size != j.r.Bytes || tag(p.Size, p.ModTime, p.Unique) != j.source.Tag || !bytes.Equal(p.Sum, sum.Sum(nil)):
				return f.leave(j)
			}
			j.r.Sum, j.r.Verified = hex.EncodeToString(p.Sum), true
			f.publish(j)
			return nil
		},
	})
}

// create begins a download, whose target was looked at.
func (f *flight) create(j *fileJob) (files.Upload, error) {
	w := files.Want{Size: j.source.Size, New: f.t.o.NoClobber}
	if d, ok := f.t.dst.(*disk); ok {
		seen := sight{info: j.target, there: j.there && !j.target.PartOnly(), sure: true}
		if !j.there {
			seen.info.Part = -1
		}
		return d.create(f.ctx, j.to, w, seen)
	}
	return f.t.dst.Create(f.ctx, j.to, w)
}

// fails ends a download that cannot be published.
func (f *flight) fails(j *fileJob, err error) error {
	if j.up != nil {
		j.up.Close()
		j.up = nil
	}
	return f.ends(j, err)
}

// drink reads a download; more than was listed is not written.
func (f *flight) drink(j *fileJob, r io.Reader, sum hash.Hash) error {
	if f.in == nil {
		f.in = make([]byte, 256<<10)
	}
	for {
		n, err := r.Read(f.in)
		if j.r.Bytes+int64(n) > j.source.Size {
			j.odd = true
			f.p.fail(fault.New(fault.Cut, "%s: it changed while it was copied", j.source.Path.String()))
			return errChanged
		}
		sum.Write(f.in[:n])
		if n > 0 {
			m, werr := j.up.Write(f.in[:n])
			if j.r.Bytes += int64(m); werr != nil {
				return werr
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		f.show(j, j.r.Bytes)
	}
}

// publish hands a download on to be published.
func (f *flight) publish(j *fileJob) {
	if u, ok := j.up.(*diskUpload); ok {
		u.time = j.source.ModTime
	}
	l := &landed{up: j.up}
	l.done = func() {
		j.err = l.err
		f.landed <- j
	}
	f.land.add(l)
}

// finish ends a download that was published, or was not.
func (f *flight) finish(ctx context.Context, j *fileJob) error {
	err := j.err
	u, near := j.up.(*diskUpload)
	j.up = nil
	if fault.KindOf(err) == fault.Exist && err != nil && f.t.o.NoClobber {
		j.r.Kept, err = true, nil
	}
	if err != nil && passing(err) {
		return f.leave(j)
	}
	if err == nil && (!near || !u.stamped) {
		err = stamp(ctx, f.t.dst, j.to, j.source)
	}
	return f.ends(j, err)
}

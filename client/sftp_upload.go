package client

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"time"
	"unicode/utf8"

	"sampan/fault"
	"sampan/files"
	"sampan/sftp"
)

// stage is the name that an upload of p has until it is whole, on servers that stage nothing by themselves. What a cut leaves
// there is the part of p.
func stage(p files.Path, mark string) files.Path {
	base := p.Base()
	if most := 255 - len(".") - len(mark) - len(stageSuffix); len(base) > most {
		sum := sha256.Sum256([]byte(base))
		for base = base[:most-17]; !utf8.ValidString(base) && len(base) > most-21; {
			base = base[:len(base)-1]
		}
		base += "~" + hex.EncodeToString(sum[:8])
	}
	q, err := p.Dir().Join("." + base + mark + stageSuffix)
	if err != nil {
		return p.Dir() // no name that an upload can have comes here
	}
	return q
}

// sftpUpload is an upload under way.
type sftpUpload struct {
	r      *sshRemote
	w      *wire
	ctx    context.Context
	path   files.Path
	stage  files.Path // where it is written; path itself where the server stages
	staged bool       // the stage is there, and it is ours to rename
	marked bool       // its times are a mark
	handle []byte
	size   int64 // bytes kept and written
	lanes
	flow   flow
	ahead  []*span
	flying int64 // bytes in ahead
	mode   *fs.FileMode
	isNew  bool
	err    error

	time    time.Time // to be the file's; zero if it is not told
	stamped bool      // it is
	closed  func()    // hears when CLOSE was sent; may be nil
	fresh   bool      // nothing was kept
	prove   bool      // the server is asked for the hash of what it published, if it is Sampan
	sum     []byte    // what it said; nil if nothing
}

// Create opens a stage: the server's own where it is Sampan, else a file beside the name.
func (r *sshRemote) Create(ctx context.Context, p files.Path, w files.Want) (files.Upload, error) {
	wire, err := r.acquire(ctx)
	if err != nil {
		return nil, err
	}
	return r.create(ctx, wire, p, w, nil)
}

// create is Create on one session; who has just looked at the name says what he saw.
func (r *sshRemote) create(ctx context.Context, wire *wire, p files.Path, w files.Want, seen *sight) (files.Upload, error) {
	if err := p.CheckNew(); err != nil {
		return nil, err
	}
	u := &sftpUpload{r: r, w: wire, ctx: ctx, path: p, stage: p, size: w.From, flow: newFlow(), isNew: w.New, fresh: w.From == 0}
	var err error
	if wire.ours() {
		err = u.openOurs(w)
	} else {
		err = u.openForeign(w, seen)
	}
	if err != nil {
		return nil, err
	}
	u.widen(w.Size - u.size)
	return u, nil
}

// openOurs has Sampan open a stage.
func (u *sftpUpload) openOurs(w files.Want) (err error) {
	open := sftp.Request{Type: sftp.TypeOpen, Path: u.path.String(), Flags: sftp.OpenWrite | sftp.OpenCreate | sftp.OpenTruncate}
	switch {
	case w.New:
		open.Flags |= sftp.OpenExclusive
	case w.From > 0:
		if err := u.fits(w); err != nil {
			return err
		}
		open = sftp.Request{Type: sftp.TypeExtended, Extension: sftp.ExtResume, Path: u.path.String(), Offset: uint64(w.From), Size: sftp.Unknown}
		if w.Size >= 0 {
			open.Size = uint64(w.Size)
		}
	}
	if err = named(u.begin(open), u.path); err != nil && fault.KindOf(err) == fault.NotExist && w.From > 0 {
		return fault.New(fault.BadOffset, "%s: there are only %d bytes", u.path.String(), 0)
	}
	return err
}

// begin opens what is written to.
func (u *sftpUpload) begin(open sftp.Request) (err error) {
	if u.handle, err = u.w.start(open).handle(u.ctx); err == nil {
		u.all = []*lane{{w: u.w, handle: u.handle}}
	}
	return err
}

// fits compares what is to be kept with what is there: resume@sampan tells the part from the file by its size alone.
func (u *sftpUpload) fits(w files.Want) error {
	part, err := u.r.Part(u.ctx, u.path)
	switch parked := err == nil; {
	case err != nil && fault.KindOf(err) != fault.NotExist:
		return err
	case w.Part && (!parked || part.Size != w.From):
		return fault.New(fault.BadOffset, "%s: the part is not %d bytes long", u.path.String(), w.From)
	case !w.Part && parked:
		return fault.New(fault.Busy, "%s: a part of %d bytes waits there", u.path.String(), part.Size)
	}
	return nil
}

// openForeign opens a stage, and begins it with what is to be kept.
func (u *sftpUpload) openForeign(w files.Want, seen *sight) error {
	if seen == nil {
		there, err := u.w.stat(u.ctx, u.path)
		if err != nil && fault.KindOf(err) != fault.NotExist {
			return err
		}
		seen = &sight{info: there, there: err == nil}
	}
	there := seen.info
	switch {
	case !seen.there:
		if w.From > 0 && !w.Part {
			return fault.New(fault.BadOffset, "%s: there are only %d bytes", u.path.String(), 0)
		}
	case there.Mode.IsDir():
		return fault.New(fault.IsDir, "%s: is a directory", u.path.String())
	case w.New:
		return fault.New(fault.Exist, "%s: that name is taken", u.path.String())
	case !w.Part && w.From > there.Size:
		return fault.New(fault.BadOffset, "%s: there are only %d bytes", u.path.String(), there.Size)
	default:
		mode := there.Mode.Perm()
		u.mode = &mode
	}
	u.stage = stage(u.path, "")
	if !u.claim() {
		if w.Part {
			return fault.New(fault.Busy, "%s: another copy is writing it just now", u.path.String())
		}
		u.stage = stage(u.path, "."+rand.Text()[:8])
		u.claim()
	}
	if err := u.openStage(w, max(w.From, seen.part)); err != nil {
		u.unclaim()
		return named(err, u.path)
	}
	return nil
}

// claim takes the name of the stage, unless another upload of this process has it.
func (u *sftpUpload) claim() bool {
	u.r.mu.Lock()
	defer u.r.mu.Unlock()
	if u.r.stages[u.stage.String()] {
		return false
	}
	u.r.stages[u.stage.String()] = true
	return true
}

func (u *sftpUpload) unclaim() {
	u.r.mu.Lock()
	defer u.r.mu.Unlock()
	delete(u.r.stages, u.stage.String())
}

// openStage opens the stage: the part of that size that is there to go on with it, else a new file. One that somebody left is removed, not
// written to: he might be writing still.
func (u *sftpUpload) openStage(w files.Want, size int64) (err error) {
	name := u.stage.String()
	open := sftp.Request{Type: sftp.TypeOpen, Path: name, Flags: sftp.OpenWrite}
	if w.Part {
		look, err := u.w.start(sftp.Request{Type: sftp.TypeLstat, Path: name}).attrs(u.ctx)
		if err != nil || look.FileMode()&fs.ModeType != 0 || look.Size != uint64(size) {
			return fault.New(fault.BadOffset, "%s: the part is not %d bytes long", u.path.String(), size)
		}
		err = u.begin(open)
		u.staged = err == nil
		return err
	}
	open.Flags |= sftp.OpenCreate | sftp.OpenExclusive
	err = u.begin(open)
	var a *answer
	if errors.As(err, &a) && u.w.do(u.ctx, sftp.Request{Type: sftp.TypeRemove, Path: name}) == nil {
		err = u.begin(open)
	}
	u.staged = err == nil
	if err == nil && w.From > 0 {
		if err = u.keep(w.From); err != nil {
			u.size = 0
			u.Close()
		}
	}
	return err
}

// keep begins the stage with the first n bytes of the file.
func (u *sftpUpload) keep(n int64) error {
	src, _, err := u.r.Open(u.ctx, u.path, 0)
	if err != nil {
		return err
	}
	defer src.Close()
	u.size = 0
	buf := make([]byte, 256<<10)
	for u.size < n {
		m, err := src.Read(buf[:min(n-u.size, int64(len(buf)))])
		if err != nil {
			return err
		}
		if _, err := u.Write(buf[:m]); err != nil {
			return err
		}
	}
	return nil
}

// Write sends WRITEs, as many ahead of their answers as the flow allows.
func (u *sftpUpload) Write(p []byte) (n int, err error) {
	if u.handle == nil && u.err == nil {
		u.err = fault.New(fault.Internal, "the upload is over")
	}
	for len(p) > 0 && u.err == nil {
		u.join()
		l := u.emptiest()
		m := min(len(p), int(l.w.limits.Write))
		c := l.w.startWrite(l.handle, u.size, p[:m])
		u.ahead = append(u.ahead, &span{rpc: c, step: step{u.flow.moved}, lane: l, n: m})
		l.flying += int64(m)
		u.flying += int64(m)
		u.size += int64(m)
		n, p = n+m, p[m:]
		for u.flying > u.flow.window && u.err == nil {
			u.settle()
		}
	}
	return n, u.err
}

// settle waits for the oldest WRITE.
func (u *sftpUpload) settle() {
	s := u.ahead[0]
	u.ahead = u.ahead[1:]
	u.flying -= int64(s.n)
	s.lane.flying -= int64(s.n)
	if err := s.ok(u.ctx); err != nil {
		u.err = named(err, u.path)
		if s.lane != u.all[0] && s.lane.w.broken() {
			u.r.extras.shaky.Store(true)
		}
		return
	}
	u.flow.arrived(s.rpc, s.step, s.n)
}

// WriteAt takes what comes next: what is behind a gap would be no part.
func (u *sftpUpload) WriteAt(p []byte, off int64) (int, error) {
	if off != u.size {
		return 0, fault.New(fault.Unsupported, "%s: bytes are written in order only", u.path.String())
	}
	return u.Write(p)
}

// Room grants all: the server holds the quota.
func (u *sftpUpload) Room(want int64) (int64, error) { return want, nil }

func (u *sftpUpload) Size() int64 { return u.size }

// Commit publishes and looks at the result.
func (u *sftpUpload) Commit(ctx context.Context, sure func() error) (files.Info, error) {
	if err := u.publish(ctx, sure); err != nil {
		return files.Info{}, err
	}
	i, err := u.w.stat(ctx, u.path)
	if err != nil { // it is in place; only the look at it failed
		i = files.Info{Path: u.path, Size: u.size, Part: -1}
	}
	return i, nil
}

// prepare has the file get a time when it is published, and its hash told. closed, which may be nil, hears when CLOSE was sent.
func (u *sftpUpload) prepare(t time.Time, closed func()) { u.time, u.prove, u.closed = t, true, closed }

// publish waits until the server has all, and gives the stage its name. sure is asked before.
func (u *sftpUpload) publish(ctx context.Context, sure func() error) error {
	if sure == nil {
		sure = func() error { return nil }
	}
	if u.err == nil && u.handle == nil {
		u.err = fault.New(fault.Internal, "the upload is over")
	}
	if u.err == nil {
		u.err = ctx.Err()
	}
	if u.err == nil {
		u.endFurther(ctx)
	}
	if u.err == nil {
		if u.w.ours() {
			u.err = u.publishOurs(ctx, sure)
		} else {
			u.err = u.publishForeign(ctx, sure)
		}
	}
	if u.err != nil {
		u.Close()
		return u.err
	}
	u.err = fault.New(fault.Internal, "the upload is over")
	return nil
}

// publishOurs sends all that is left to say in one go: CLOSE publishes nothing of which a WRITE was refused.
func (u *sftpUpload) publishOurs(ctx context.Context, sure func() error) error {
	if err := sure(); err != nil {
		return err
	}
	attrs := u.startAttrs()
	if u.prove && u.fresh && u.size <= smallFile && u.w.has(sftp.ExtClose) {
		return u.publishSmall(ctx, attrs)
	}
	end := u.startClose(sftp.Request{Type: sftp.TypeClose})
	var sums *rpc
	if u.prove {
		sums = u.w.start(sftp.Request{Type: sftp.TypeExtended, Extension: sftp.ExtCheckName, Path: u.path.String(), Algorithms: "sha256"})
	}
	u.settleAll()
	u.settleAttrs(ctx, attrs)
	err := named(end.ok(ctx), u.path)
	if u.err != nil { // a WRITE that was refused tells more than that CLOSE was
		err = u.err
	}
	if err != nil {
		sums.drop()
		return err
	}
	u.sum, err = sums.sha256(ctx)
	return err
}

// publishSmall has CLOSE answered with the hash of what it published.
func (u *sftpUpload) publishSmall(ctx context.Context, attrs *rpc) error {
	end := u.startClose(sftp.Request{Type: sftp.TypeExtended, Extension: sftp.ExtClose})
	u.settleAll()
	u.settleAttrs(ctx, attrs)
	var sums sftp.Sums
	err := named(end.parsed(ctx, &sums), u.path)
	if err = first(u.err, err); err == nil && len(sums.Hashes) == sha256.Size {
		u.sum = sums.Hashes
	}
	return err
}

// publishForeign has the server sync what it got, looks whether all of it is there, and closes the stage; then the stage gets
// its name, if it still has that of the stage: a copy from elsewhere may have taken its place. What the server answers in the order in
// which it was asked (section 3) is asked in one go.
func (u *sftpUpload) publishForeign(ctx context.Context, sure func() error) error {
	attrs := u.startAttrs()
	look := u.w.start(sftp.Request{Type: sftp.TypeFstat, Handle: u.handle})
	var sync *rpc
	if u.w.has(sftp.ExtFsync) {
		sync = u.w.start(sftp.Request{Type: sftp.TypeExtended, Extension: sftp.ExtFsync, Handle: u.handle})
	}
	end := u.startClose(sftp.Request{Type: sftp.TypeClose})
	byName := u.w.start(sftp.Request{Type: sftp.TypeLstat, Path: u.stage.String()})
	u.settleAll()
	u.settleAttrs(ctx, attrs)
	is, err := look.attrs(ctx)
	if err == nil && is.Size != uint64(u.size) {
		err = fault.New(fault.Mismatch, "%s: the server has %d bytes of %d", u.path.String(), is.Size, u.size)
	}
	if there, lerr := byName.attrs(ctx); lerr == nil && !sameFile(is, there) {
		err = first(err, fault.New(fault.Busy, "%s: another copy is writing it just now", u.path.String()))
	}
	if sync != nil {
		err = first(err, sync.ok(ctx))
	}
	if err = first(u.err, err, end.ok(ctx), ctx.Err()); err != nil {
		return named(err, u.path)
	}
	if err := sure(); err != nil {
		return err
	}
	if err := u.rename(ctx); err != nil {
		return named(err, u.path)
	}
	u.staged = false
	u.unclaim()
	return nil
}

// sameFile compares what a handle and a name have, as far as it was told: SFTP knows no other identity.
func sameFile(a, b sftp.Attrs) bool {
	both := a.Has & b.Has
	return (both&sftp.HasSize == 0 || a.Size == b.Size) && (both&sftp.HasTimes == 0 || a.ModTime().Equal(b.ModTime()))
}

// settleAll waits for every WRITE. u.err is the first refusal.
func (u *sftpUpload) settleAll() {
	for len(u.ahead) > 0 && u.err == nil {
		u.settle()
	}
}

// startAttrs has the stage get its mode and its time, nil if neither is known.
func (u *sftpUpload) startAttrs() *rpc {
	var a sftp.Attrs
	if u.mode != nil {
		a.Has, a.Mode = sftp.HasMode, uint32(*u.mode)
	}
	switch t := u.time; {
	case !t.IsZero() && t.Unix() >= 0 && t.Unix() < 1<<32:
		a.SetTime(t)
	case u.marked:
		a.SetTime(time.Now())
	}
	if a.Has == 0 {
		return nil
	}
	return u.w.start(sftp.Request{Type: sftp.TypeFsetstat, Handle: u.handle, Attrs: a})
}

// settleAttrs waits for the answer to that. A server that keeps no modes or times may say so.
func (u *sftpUpload) settleAttrs(ctx context.Context, attrs *rpc) {
	u.stamped = attrs != nil && attrs.ok(ctx) == nil && !u.time.IsZero()
}

// startClose ends the handle by a request.
func (u *sftpUpload) startClose(r sftp.Request) *rpc {
	r.Handle, u.handle = u.handle, nil
	end := u.w.start(r)
	if u.closed != nil {
		u.closed()
	}
	return end
}

// rename gives the stage its name.
func (u *sftpUpload) rename(ctx context.Context) error {
	err := u.w.rename(ctx, u.stage.String(), u.path.String(), !u.isNew)
	var a *answer
	if errors.As(err, &a) {
		i, look := u.w.stat(ctx, u.path)
		switch {
		case look == nil && i.Mode.IsDir():
			return fault.New(fault.IsDir, "%s: is a directory", u.path.String())
		case look == nil && u.isNew:
			return fault.New(fault.Exist, "%s: that name is taken", u.path.String())
		}
	}
	return err
}

// Close without Commit leaves what came as the part: a server that stages hears that nothing is to be published.
func (u *sftpUpload) Close() error {
	for _, s := range u.ahead {
		s.drop()
	}
	u.ahead = nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(u.ctx), u.w.wait)
	defer cancel()
	u.endFurther(ctx)
	if u.handle == nil && !u.staged {
		return nil
	}
	if u.w.ours() {
		return u.abandon(ctx)
	}
	return u.leave(ctx)
}

// abandon waits until the server has parked what came.
func (u *sftpUpload) abandon(ctx context.Context) error {
	handle := u.handle
	u.handle = nil
	err := u.w.do(ctx, sftp.Request{Type: sftp.TypeExtended, Extension: sftp.ExtAbandon, Handle: handle})
	if u.w.broken() {
		return nil
	}
	return named(err, u.path)
}

// leave makes the stage the part, unless there is nothing in it.
func (u *sftpUpload) leave(ctx context.Context) (err error) {
	u.staged = false
	defer u.unclaim()
	if u.handle != nil {
		err = u.startClose(sftp.Request{Type: sftp.TypeClose}).ok(ctx)
	}
	part := stage(u.path, "")
	switch {
	case u.w.broken(): // the next try finds it
		return nil
	case u.size == 0:
		err = errors.Join(err, u.w.do(ctx, sftp.Request{Type: sftp.TypeRemove, Path: u.stage.String()}))
	case u.stage != part:
		err = errors.Join(err, u.w.rename(ctx, u.stage.String(), part.String(), true))
	}
	return named(err, u.path)
}

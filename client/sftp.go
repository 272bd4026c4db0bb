package client

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"strings"

	"golang.org/x/crypto/ssh"

	"sampan/fault"
	"sampan/files"
	"sampan/sftp"
)

// sshRemote is an SFTP server. All that is asked of it goes over one connection.
type sshRemote struct {
	dialed
	hop *sshHop

	dialing chan struct{} // buffered; full while somebody connects
	// mu guards these too.
	conn   *sshConn
	wire   *wire
	stages map[string]bool // names of uploads under way

	extras extras
}

func newSSHRemote(u URL, o Options) *sshRemote {
	r := &sshRemote{dialed: dialed{url: u, opts: o}, dialing: make(chan struct{}, 1), stages: map[string]bool{}}
	r.extras.rest, r.extras.over = restOfExtras, r.wasClosed()
	return r
}

// start makes the first connection.
func (r *sshRemote) start(ctx context.Context) error {
	o := r.options()
	if o.ASCII {
		return fault.New(fault.Unsupported, "SFTP keeps every byte; --ascii is for ftp:// and ftps://")
	}
	s, err := newSSHDialer(o)
	if err != nil {
		return err
	}
	if r.hop, err = s.hop(&r.dialed); err != nil {
		return err
	}
	_, err = r.acquire(ctx)
	return err
}

// Close ends the connection.
func (r *sshRemote) Close() error {
	r.mu.Lock()
	conn, w := r.conn, r.wire
	r.conn, r.wire, r.closed = nil, nil, true
	r.mu.Unlock()
	if w != nil {
		w.fail(r.wasClosed())
	}
	conn.close()
	r.extras.close(r.wasClosed())
	return nil
}

func (r *sshRemote) wasClosed() error {
	return fault.New(fault.Unreachable, "the connection to %s was closed", r.url.Address())
}

// acquire returns the session, a new one if it broke.
func (r *sshRemote) acquire(ctx context.Context) (*wire, error) {
	select {
	case r.dialing <- struct{}{}:
		defer func() { <-r.dialing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r.mu.Lock()
	conn, w, closed := r.conn, r.wire, r.closed
	r.mu.Unlock()
	switch {
	case closed:
		return nil, r.wasClosed()
	case w != nil && !w.broken():
		return w, nil
	}
	conn.close()
	conn, err := r.hop.dial(ctx)
	if err != nil {
		return nil, err
	}
	if w, err = r.session(ctx, conn); err != nil {
		conn.close()
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		conn.close()
		return nil, r.wasClosed()
	}
	r.conn, r.wire = conn, w
	return w, nil
}

// session begins SFTP on a connection (RFC 4254 section 6.5), and asks where we are and what limits there are.
func (r *sshRemote) session(ctx context.Context, conn *sshConn) (*wire, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout())
	defer cancel()
	defer context.AfterFunc(ctx, func() { conn.close() })()
	w, err := r.begin(conn)
	if err == nil {
		err = r.learn(ctx, w)
	}
	switch {
	case err == nil:
		return w, nil
	case ctx.Err() == context.DeadlineExceeded:
		return nil, fault.Wrap(fault.Cut, err, "%s did not answer in time", r.url.Address())
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return nil, err
}

func (r *sshRemote) begin(conn *sshConn) (*wire, error) {
	channel, requests, err := conn.OpenChannel("session", nil)
	if err != nil {
		return nil, fault.Wrap(fault.Unsupported, err, "%s offers no SFTP: %s", r.url.Address(), cause(err))
	}
	go ssh.DiscardRequests(requests)
	go io.Copy(io.Discard, channel.Stderr())
	if ok, err := channel.SendRequest("subsystem", true, ssh.Marshal(struct{ Name string }{"sftp"})); err != nil || !ok {
		return nil, fault.Wrap(fault.Unsupported, err, "%s offers no SFTP", r.url.Address())
	}
	w := newWire(channel, r.url.Address(), r.timeout(), r.trace)
	if err := w.hello(); err != nil {
		return nil, w.lost(err)
	}
	// ProFTPD hashes without offering it, and opens a second session on a connection but then takes from one of them only. So
	// who is not known to do better gets one on each connection.
	server := string(conn.ServerVersion())
	w.hashes = w.has(sftp.ExtCheckName) || w.has(sftp.ExtCheckFile) || strings.HasPrefix(server, "SSH-2.0-mod_sftp")
	w.several = w.ours() || strings.HasPrefix(server, "SSH-2.0-OpenSSH_")
	return w, nil
}

func (r *sshRemote) learn(ctx context.Context, w *wire) error {
	where := w.start(sftp.Request{Type: sftp.TypeRealpath, Path: "."})
	if w.has(sftp.ExtLimits) {
		var l sftp.Limits
		if err := w.extended(ctx, sftp.Request{Extension: sftp.ExtLimits}, &l); err == nil {
			w.take(l)
		}
	}
	if err := where.expect(ctx, sftp.TypeName); err != nil {
		return err
	}
	defer where.free()
	if len(where.reply.Names) != 1 {
		return w.senseless("%d names where one should be", len(where.reply.Names))
	}
	home, err := files.Parse(files.Root, where.reply.Names[0].Name)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.home = home
	return nil
}

// handles is how many files may be open at once, beside directories that are listed.
func (r *sshRemote) handles() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wire == nil || r.wire.limits.Handles < fewAtOnce+dirsAtOnce {
		return fewAtOnce
	}
	return int(min(r.wire.limits.Handles-dirsAtOnce, manyAtOnce))
}

// atOnce is how many of n files are worth sending at once before it is known how long one takes. Sampan does many things at a time.
func (r *sshRemote) atOnce(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wire == nil || r.wire.ours() {
		return n
	}
	return min(n, atOnce(r.wire.trip()))
}

// do runs f with the session.
func (r *sshRemote) do(ctx context.Context, f func(*wire) error) error {
	w, err := r.acquire(ctx)
	if err != nil {
		return err
	}
	return f(w)
}

// named makes a fault of an answer about p.
func named(err error, p files.Path) error {
	var a *answer
	if errors.As(err, &a) {
		return refusedAnswer(a, p.String())
	}
	return err
}

// sftpInfo is an entry as a Store tells it.
func sftpInfo(p files.Path, a sftp.Attrs) files.Info {
	i := files.Info{Path: p, Size: int64(min(a.Size, 1<<63-1)), Mode: a.FileMode(), Part: -1}
	if a.Has&sftp.HasTimes != 0 {
		i.ModTime = a.ModTime()
	}
	if i.Mode.IsDir() {
		i.Size = 0
	}
	i.Tag = tag(i.Size, i.ModTime, "")
	return i
}

// Stat asks STAT, and of Sampan what is parked under the name: STAT does not tell a part from a file.
func (r *sshRemote) Stat(ctx context.Context, p files.Path) (i files.Info, err error) {
	err = r.do(ctx, func(w *wire) error {
		if !w.ours() {
			i, err = w.stat(ctx, p)
			return err
		}
		var part sftp.Part
		asked := w.start(sftp.Request{Type: sftp.TypeExtended, Extension: sftp.ExtPart, Path: p.String()})
		if i, err = w.stat(ctx, p); err != nil {
			asked.drop()
			return err
		}
		if asked.parsed(ctx, &part) == nil {
			i.Part = int64(part.Size)
			if i.Size == i.Part && i.ModTime.Unix() == int64(part.Time) { // what STAT describes where there is no file
				i.Mode |= fs.ModeIrregular
			}
		}
		return nil
	})
	return i, err
}

func (w *wire) stat(ctx context.Context, p files.Path) (files.Info, error) {
	a, err := w.start(sftp.Request{Type: sftp.TypeStat, Path: p.String()}).attrs(ctx)
	if err != nil {
		return files.Info{}, named(err, p)
	}
	i := sftpInfo(p, a)
	if i.Mode&fs.ModeIrregular != 0 { // a pipe or a device
		return i, fault.New(fault.NotExist, "%s: no such file or directory", p.String())
	}
	return i, nil
}

// List streams READDIR, some of them ahead. Names that are not one element are never handed on: the first of them ends the
// list as BadName, behind all that were well.
func (r *sshRemote) List(ctx context.Context, p files.Path) iter.Seq2[files.Info, error] {
	return func(yield func(files.Info, error) bool) {
		err := r.do(ctx, func(w *wire) error {
			return w.list(ctx, p, func(i files.Info) bool { return yield(i, nil) })
		})
		if err != nil {
			yield(files.Info{}, err)
		}
	}
}

// READDIRs that are on their way: a thousand names take one round trip.
const (
	fewReaddirs = 8
	maxReaddirs = 64
)

func (w *wire) list(ctx context.Context, p files.Path, yield func(files.Info) bool) error {
	return w.readdir(ctx, p, func(names []sftp.Name) (odd error, more bool) { return w.entries(p, names, yield) })
}

// readdir reads a directory. each hears of what every NAME holds; an odd error of it comes behind all else.
func (w *wire) readdir(ctx context.Context, p files.Path, each func(names []sftp.Name) (odd error, more bool)) error {
	handle, err := w.start(sftp.Request{Type: sftp.TypeOpendir, Path: p.String()}).handle(ctx)
	if err != nil {
		return w.notListed(ctx, err, p)
	}
	defer w.giveUp(handle, false)
	var odd error
	var ahead []*rpc
	defer func() {
		for _, c := range ahead {
			c.drop()
		}
	}()
	total := 0
	for window := fewReaddirs; ; window = min(window+1, maxReaddirs) {
		for len(ahead) < window {
			ahead = append(ahead, w.start(sftp.Request{Type: sftp.TypeReaddir, Handle: handle}))
		}
		c := ahead[0]
		ahead = ahead[1:]
		err := c.expect(ctx, sftp.TypeName)
		var a *answer
		if errors.As(err, &a) && a.code == sftp.EOF {
			return odd
		}
		if err != nil {
			return named(err, p)
		}
		if total += c.packet.Len(); total > maxListBytes || len(c.reply.Names) == 0 {
			c.free()
			return fault.New(fault.Stopped, "%s: the listing has no end", p.String())
		}
		names := c.reply.Names
		c.free()
		bad, more := each(names)
		if odd == nil {
			odd = bad
		}
		if !more {
			return nil
		}
	}
}

// entries hands on what a NAME holds. odd is the error about the first name that cannot be used.
func (w *wire) entries(p files.Path, names []sftp.Name, yield func(files.Info) bool) (odd error, more bool) {
	for _, n := range names {
		if n.Name == "." || n.Name == ".." || !w.ours() && isStage(n.Name) {
			continue
		}
		q, err := p.Join(n.Name)
		if err != nil {
			if odd == nil {
				odd = fault.Wrap(fault.BadName, err, "%s: the server lists a name that cannot be used: %s", p.String(), printable(n.Name))
			}
			continue
		}
		if n.Attrs.Has&sftp.HasMode == 0 && n.Long != "" { // some servers tell the kind only there
			n.Attrs.Mode = map[byte]uint32{'d': 0o040000, 'l': 0o120000}[n.Long[0]]
		}
		if i := sftpInfo(q, n.Attrs); i.Mode&fs.ModeIrregular == 0 && !yield(i) {
			return odd, false
		}
	}
	return odd, true
}

// notListed says why a directory was not opened.
func (w *wire) notListed(ctx context.Context, err error, p files.Path) error {
	var a *answer
	if !errors.As(err, &a) {
		return err
	}
	if i, err := w.stat(ctx, p); err == nil && !i.Mode.IsDir() {
		return fault.New(fault.NotDir, "%s: not a directory", p.String())
	}
	return named(err, p)
}

// Mkdir sends MKDIR.
func (r *sshRemote) Mkdir(ctx context.Context, p files.Path) error {
	if p.IsRoot() {
		return fault.New(fault.Exist, "%s: that name is taken", p.String())
	}
	if err := p.CheckNew(); err != nil {
		return err
	}
	return r.do(ctx, func(w *wire) error {
		err := w.do(ctx, sftp.Request{Type: sftp.TypeMkdir, Path: p.String()})
		var a *answer
		if errors.As(err, &a) {
			if _, sure := kindOfAnswer(a); !sure {
				if _, err := w.stat(ctx, p); err == nil {
					return fault.New(fault.Exist, "%s: that name is taken", p.String())
				}
			}
		}
		return named(err, p)
	})
}

// Remove sends REMOVE, and RMDIR if there is a directory. Stages that were left in one go with it.
func (r *sshRemote) Remove(ctx context.Context, p files.Path) error {
	if p.IsRoot() {
		return fault.New(fault.BadName, "the root cannot be removed")
	}
	return r.do(ctx, func(w *wire) error {
		err := w.do(ctx, sftp.Request{Type: sftp.TypeRemove, Path: p.String()})
		var a *answer
		if !errors.As(err, &a) {
			return err
		}
		look, lerr := w.start(sftp.Request{Type: sftp.TypeLstat, Path: p.String()}).attrs(ctx)
		if lerr != nil || !look.FileMode().IsDir() {
			return named(err, p)
		}
		rmdir := sftp.Request{Type: sftp.TypeRmdir, Path: p.String()}
		err = w.do(ctx, rmdir)
		if errors.As(err, &a) {
			empty, lerr := w.sweep(ctx, p)
			switch {
			case lerr != nil:
			case !empty:
				return fault.New(fault.NotEmpty, "%s: the directory is not empty", p.String())
			default:
				err = w.do(ctx, rmdir)
			}
		}
		return named(err, p)
	})
}

// Rename sends RENAME, which replaces nothing, or posix-rename, which does.
func (r *sshRemote) Rename(ctx context.Context, from, to files.Path, replace bool) error {
	if from.IsRoot() {
		return fault.New(fault.BadName, "the root cannot be renamed")
	}
	if err := to.CheckNew(); err != nil {
		return err
	}
	if from != to && from.Holds(to) {
		return fault.New(fault.BadName, "%s: cannot be moved into itself", from.String())
	}
	return r.do(ctx, func(w *wire) error {
		source, err := w.start(sftp.Request{Type: sftp.TypeLstat, Path: from.String()}).attrs(ctx)
		if err != nil {
			return named(err, from)
		}
		target, err := w.start(sftp.Request{Type: sftp.TypeLstat, Path: to.String()}).attrs(ctx)
		if err == nil && from != to && !w.ours() && (!replace || target.FileMode().IsDir() || source.FileMode().IsDir()) {
			return fault.New(fault.Exist, "%s: that name is taken", to.String())
		}
		if from == to && !w.ours() {
			return nil
		}
		return named(w.rename(ctx, from.String(), to.String(), replace), to)
	})
}

// rename renames; where the server cannot replace in one go, what is in the way is removed first.
func (w *wire) rename(ctx context.Context, from, to string, replace bool) error {
	plain := sftp.Request{Type: sftp.TypeRename, Path: from, To: to}
	if !replace {
		return w.do(ctx, plain)
	}
	if w.has(sftp.ExtPosixRename) {
		return w.do(ctx, sftp.Request{Type: sftp.TypeExtended, Extension: sftp.ExtPosixRename, Path: from, To: to})
	}
	err := w.do(ctx, plain)
	var a *answer
	if errors.As(err, &a) && w.do(ctx, sftp.Request{Type: sftp.TypeRemove, Path: to}) == nil {
		err = w.do(ctx, plain)
	}
	return err
}

// Set sends SETSTAT.
func (r *sshRemote) Set(ctx context.Context, p files.Path, a files.Attr) error {
	var set sftp.Attrs
	if a.ModTime != nil {
		if t := a.ModTime.Unix(); t < 0 || t > 1<<32-1 {
			return fault.New(fault.Syntax, "%s: no file can have that time here", p.String())
		}
		set.SetTime(*a.ModTime)
	}
	if a.Mode != nil {
		set.Has |= sftp.HasMode
		set.Mode = uint32(*a.Mode & fs.ModePerm)
	}
	return r.do(ctx, func(w *wire) error {
		return named(w.do(ctx, sftp.Request{Type: sftp.TypeSetstat, Path: p.String(), Attrs: set}), p)
	})
}

// Passwd is not possible over SFTP.
func (r *sshRemote) Passwd(context.Context, string, string) error {
	return fault.New(fault.Unsupported, "SFTP changes no passwords")
}

// take takes limits that the server tells, as far as they make sense.
func (w *wire) take(l sftp.Limits) {
	if l.Read >= 1024 {
		w.limits.Read = min(l.Read, sftp.MaxData)
	}
	if l.Write >= 1024 {
		w.limits.Write = min(l.Write, sftp.MaxData)
	}
	w.limits.Handles = l.Handles
}

// stageSuffix is what the names of uploads under way end with, where the server stages nothing by itself.
const stageSuffix = ".sampan"

// isStage reports whether a name is one of an upload under way.
func isStage(name string) bool {
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, stageSuffix) && len(name) > len("."+stageSuffix)
}

// sweep removes stages that were left in a directory which holds nothing else; empty reports whether that is so.
func (w *wire) sweep(ctx context.Context, p files.Path) (empty bool, err error) {
	var stages []files.Path
	empty = true
	err = w.readdir(ctx, p, func(names []sftp.Name) (error, bool) {
		for _, n := range names {
			q, err := p.Join(n.Name)
			switch {
			case n.Name == "." || n.Name == "..":
			case err == nil && !w.ours() && isStage(n.Name):
				stages = append(stages, q)
			default:
				empty = false
			}
		}
		return nil, empty
	})
	if err != nil || !empty {
		return empty, err
	}
	for _, q := range stages {
		if err := w.do(ctx, sftp.Request{Type: sftp.TypeRemove, Path: q.String()}); err != nil {
			return true, named(err, q)
		}
	}
	return true, nil
}

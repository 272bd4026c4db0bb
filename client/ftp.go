package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"time"

	"sampan/fault"
	"sampan/files"
	"sampan/ftp"
)

// Limits of what a server may list.
const (
	maxListLine  = 16 << 10
	maxListBytes = 1 << 30
)

// Stat asks MLST; where that is not known, SIZE and MDTM for files, CWD for directories.
func (r *remote) Stat(ctx context.Context, p files.Path) (i files.Info, err error) {
	err = r.do(ctx, func(c *control) error {
		i, err = c.stat(ctx, p)
		return err
	})
	return i, err
}

func (c *control) stat(ctx context.Context, p files.Path) (files.Info, error) {
	if !c.feats.Has("MLST") {
		return c.oldStat(ctx, p)
	}
	r, err := c.cmd(ctx, "MLST "+p.String())
	if err != nil {
		return files.Info{}, err
	}
	if !r.Done() {
		k, sure := kindOf(r)
		if !sure { // to a question what is there, a bare 550 says: nothing
			k = fault.NotExist
		}
		return files.Info{}, refusedAs(k, r, p.String())
	}
	for _, line := range r.Lines[1:] {
		if line == "" || line[0] != ' ' {
			continue
		}
		if e, ok := ftp.ParseFacts(line[1:]); ok {
			if e.Type == ftp.SelfEntry {
				e.Type = ftp.DirEntry
			}
			return info(p, e), nil
		}
	}
	return files.Info{}, fault.New(fault.Unsupported, "%s: the server's answer cannot be read", p.String())
}

// oldStat is for servers without MLST. All paths that we send are absolute, so CWD changes nothing for us.
func (c *control) oldStat(ctx context.Context, p files.Path) (files.Info, error) {
	i := files.Info{Path: p, Part: -1}
	if !p.IsRoot() {
		if err := c.setType(ctx, "I"); err != nil {
			return i, err
		}
		r, err := c.cmd(ctx, "SIZE "+p.String())
		if err != nil {
			return i, err
		}
		if n := int64(-1); r.Code == 213 {
			if _, err := fmt.Sscan(r.Text(), &n); err != nil || n < 0 {
				return i, fault.New(fault.Unsupported, "%s: the server's answer cannot be read", p.String())
			}
			i.Size = n
			if r, err = c.cmd(ctx, "MDTM "+p.String()); err != nil {
				return i, err
			}
			if r.Code == 213 {
				i.ModTime, _ = ftp.ParseTime(r.Text())
			}
			i.Tag = tag(i.Size, i.ModTime, "")
			return i, nil
		}
	}
	r, err := c.cmd(ctx, "CWD "+p.String())
	if err != nil {
		return i, err
	}
	if !r.Done() {
		return i, fault.New(fault.NotExist, "%s: no such file or directory", p.String())
	}
	i.Mode = fs.ModeDir
	return i, nil
}

// info is an entry as a Store tells it. A part without a file has no mode.
func info(p files.Path, e ftp.Entry) files.Info {
	i := files.Info{Path: p, Size: max(e.Size, 0), ModTime: e.ModTime, Mode: e.Mode, Part: e.Part}
	switch e.Type {
	case ftp.DirEntry:
		i.Mode |= fs.ModeDir
		i.Size = 0
	case ftp.LinkEntry:
		i.Mode |= fs.ModeSymlink
	case ftp.FileEntry:
		if e.Part >= 0 && !e.HasMode {
			i.Mode |= fs.ModeIrregular
		}
	}
	i.Tag = tag(i.Size, i.ModTime, e.Unique)
	return i
}

func tag(size int64, when time.Time, unique string) string {
	return fmt.Sprintf("%d-%d-%s", size, when.UnixNano(), unique)
}

// List streams MLSD, or LIST where that is not known. Names that are not one element are never handed on: the first
// of them ends the list as BadName, behind all that were well.
func (r *remote) List(ctx context.Context, p files.Path) iter.Seq2[files.Info, error] {
	return func(yield func(files.Info, error) bool) {
		c, err := r.acquire(ctx)
		if err == nil {
			defer r.release(c)
			err = c.list(ctx, p, func(i files.Info) bool { return yield(i, nil) })
		}
		if err != nil {
			yield(files.Info{}, err)
		}
	}
}

func (c *control) list(ctx context.Context, p files.Path, yield func(files.Info) bool) error {
	command, parse := "MLSD "+p.String(), func(line string) (ftp.Entry, bool) { return ftp.ParseFacts(line) }
	if !c.feats.Has("MLST") {
		r, err := c.cmd(ctx, "CWD "+p.String()) // LIST of a path may be taken for switches or a pattern
		if err != nil {
			return err
		}
		if !r.Done() {
			return c.notListed(ctx, r, p)
		}
		now := time.Now().UTC()
		command, parse = "LIST -a", func(line string) (ftp.Entry, bool) { return ftp.ParseList(line, now) }
	}
	d, err := c.transfer(ctx, nil, command)
	if err != nil {
		var r *refusal
		if errors.As(err, &r) {
			return c.notListed(ctx, r.Reply, p)
		}
		return err
	}
	odd, stopped, err := d.entries(p, parse, yield)
	if stopped {
		d.received(ctx)
		return nil
	}
	if err != nil {
		return d.named(d.broke(err), p)
	}
	if err := d.received(ctx); err != nil {
		return d.named(err, p)
	}
	return odd
}

// entries reads the listing. odd is the error about the first name that cannot be used.
func (d *data) entries(p files.Path, parse func(string) (ftp.Entry, bool), yield func(files.Info) bool) (odd error, stopped bool, err error) {
	return readEntries(d, d.wait, p, parse, yield)
}

func readEntries(r io.Reader, wait time.Duration, p files.Path, parse func(string) (ftp.Entry, bool), yield func(files.Info) bool) (odd error, stopped bool, err error) {
	begin, total := time.Now(), 0
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := listLine(in)
		if err != nil && (line == "" || !errors.Is(err, io.EOF)) {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return odd, false, err
		}
		total += len(line)
		slow := time.Since(begin) > 4*wait && float64(total) < 16*time.Since(begin).Seconds()
		if total > maxListBytes || slow {
			return odd, false, fault.New(fault.Stopped, "%s: the listing has no end", p.String())
		}
		e, ok := parse(line)
		if !ok || e.Type == ftp.SelfEntry || e.Type == ftp.OtherEntry || e.Name == "." || e.Name == ".." {
			continue
		}
		q, err := p.Join(e.Name)
		if err != nil {
			if odd == nil {
				odd = fault.Wrap(fault.BadName, err, "%s: the server lists a name that cannot be used: %s", p.String(), printable(e.Name))
			}
			continue
		}
		if !yield(info(q, e)) {
			return odd, true, nil
		}
	}
}

// listLine reads one line without its end; one that is too long ends the list.
func listLine(in *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxListLine {
			return "", fault.New(fault.Stopped, "the listing holds a line without end")
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return string(bytes.TrimRight(line, "\r\n")), err
		}
	}
}

// notListed says why a directory was not listed: MLSD of a file is 501 (RFC 3659 section 7.2.1).
func (c *control) notListed(ctx context.Context, r ftp.Reply, p files.Path) error {
	if i, err := c.stat(ctx, p); err != nil {
		return err
	} else if !i.Mode.IsDir() {
		return fault.New(fault.NotDir, "%s: not a directory", p.String())
	}
	return refused(r, p.String())
}

// named makes a fault of a refusal.
func (d *data) named(err error, p files.Path) error {
	var r *refusal
	if errors.As(err, &r) {
		return refused(r.Reply, p.String())
	}
	return err
}

// Mkdir sends MKD.
func (r *remote) Mkdir(ctx context.Context, p files.Path) error {
	if p.IsRoot() {
		return fault.New(fault.Exist, "%s: that name is taken", p.String())
	}
	if err := p.CheckNew(); err != nil {
		return err
	}
	return r.do(ctx, func(c *control) error {
		reply, err := c.cmd(ctx, "MKD "+p.String())
		if err != nil || reply.Done() {
			return err
		}
		if k, sure := kindOf(reply); sure {
			return refusedAs(k, reply, p.String())
		}
		if _, err := c.stat(ctx, p); err == nil {
			return fault.New(fault.Exist, "%s: that name is taken", p.String())
		}
		return c.explain(ctx, reply, p.Dir())
	})
}

// Remove sends DELE, and RMD if there is a directory.
func (r *remote) Remove(ctx context.Context, p files.Path) error {
	return r.do(ctx, func(c *control) error {
		reply, err := c.cmd(ctx, "DELE "+p.String())
		if err != nil || reply.Done() {
			return err
		}
		if i, err := c.stat(ctx, p); err != nil {
			return err
		} else if !i.Mode.IsDir() {
			return refused(reply, p.String())
		}
		if reply, err = c.cmd(ctx, "RMD "+p.String()); err != nil || reply.Done() {
			return err
		}
		k, sure := kindOf(reply)
		if !sure {
			empty := true
			if c.list(ctx, p, func(files.Info) bool { empty = false; return false }); !empty {
				k = fault.NotEmpty
			}
		}
		return refusedAs(k, reply, p.String())
	})
}

// Rename sends RNFR and RNTO. FTP has no rename that refuses to replace, so the name is looked at before.
func (r *remote) Rename(ctx context.Context, from, to files.Path, replace bool) error {
	if from.IsRoot() {
		return fault.New(fault.BadName, "the root cannot be replaced")
	}
	if err := to.CheckNew(); err != nil {
		return err
	}
	return r.do(ctx, func(c *control) error {
		source, err := c.stat(ctx, from)
		if err != nil {
			return err
		}
		target, err := c.stat(ctx, to)
		if err == nil && !target.PartOnly() {
			if !replace || target.Mode.IsDir() || source.Mode.IsDir() {
				return fault.New(fault.Exist, "%s: that name is taken", to.String())
			}
		} else if err != nil && fault.KindOf(err) != fault.NotExist {
			return err
		}
		reply, err := c.cmd(ctx, "RNFR "+from.String())
		if err != nil {
			return err
		}
		if !reply.More() {
			return c.explain(ctx, reply, from)
		}
		if reply, err = c.cmd(ctx, "RNTO "+to.String()); err != nil || reply.Done() {
			return err
		}
		return c.explain(ctx, reply, to.Dir())
	})
}

// Set sends MFMT (draft-somers-ftp-mfxx) and SITE CHMOD.
func (r *remote) Set(ctx context.Context, p files.Path, a files.Attr) error {
	return r.do(ctx, func(c *control) error {
		if a.ModTime != nil {
			if !c.feats.Has("MFMT") {
				return fault.New(fault.Unsupported, "%s: the server does not set times", p.String())
			}
			reply, err := c.cmd(ctx, "MFMT "+a.ModTime.UTC().Format("20060102150405")+" "+p.String())
			if err != nil {
				return err
			}
			if !reply.Done() {
				return c.explain(ctx, reply, p)
			}
		}
		if a.Mode != nil {
			reply, err := c.cmd(ctx, fmt.Sprintf("SITE CHMOD %03o %s", *a.Mode&fs.ModePerm, p.String()))
			if err != nil {
				return err
			}
			if !reply.Done() {
				return c.explain(ctx, reply, p)
			}
		}
		return nil
	})
}

// Open sends RETR behind REST. The reader says EOF only after the server's 226, and not before Info.Size.
func (r *remote) Open(ctx context.Context, p files.Path, off int64) (io.ReadCloser, files.Info, error) {
	c, err := r.acquire(ctx)
	if err != nil {
		return nil, files.Info{}, err
	}
	body, i, err := c.open(ctx, p, off)
	if err != nil {
		r.release(c)
		return nil, i, err
	}
	return body, i, nil
}

func (c *control) open(ctx context.Context, p files.Path, off int64) (io.ReadCloser, files.Info, error) {
	i, err := c.stat(ctx, p)
	switch {
	case err != nil:
		return nil, i, err
	case i.PartOnly():
		return nil, i, fault.New(fault.NotExist, "%s: no such file or directory", p.String())
	case i.Mode.IsDir():
		return nil, i, fault.New(fault.IsDir, "%s: is a directory", p.String())
	}
	typ := c.remote.wireType()
	if err := c.setType(ctx, typ); err != nil {
		return nil, i, err
	}
	size := i.Size
	if typ == "A" {
		size = -1
	} else if off < 0 || off > size {
		return nil, i, fault.New(fault.BadOffset, "%s: there are only %d bytes", p.String(), size)
	}
	var before []string
	if off > 0 {
		before = append(before, fmt.Sprintf("REST %d", off))
	}
	d, err := c.transfer(ctx, before, "RETR "+p.String())
	if err != nil {
		var r *refusal
		if errors.As(err, &r) {
			return nil, i, c.explain(ctx, r.Reply, p)
		}
		return nil, i, err
	}
	return &body{data: d, path: p, left: size - off, counted: size >= 0}, i, nil
}

func (r *remote) wireType() string {
	if r.options().ASCII {
		return "A"
	}
	return "I"
}

// body is a download.
type body struct {
	*data
	path    files.Path
	left    int64 // bytes that are still to come
	counted bool
	err     error
	back    bool // the control connection was put back
}

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	n, err := b.data.Read(p)
	b.left -= int64(n)
	switch {
	case b.counted && b.left < 0: // it grew, or would never end
		err = fault.New(fault.Mismatch, "%s: it changed while it was copied", b.path.String())
		b.received(b.ctx)
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		if err = b.received(b.ctx); err == nil && b.counted && b.left > 0 {
			err = fault.New(fault.Cut, "%s: the transfer ended early", b.path.String())
		}
		if err == nil {
			err = io.EOF
		}
	default:
		err = b.broke(err)
	}
	b.err = b.named(err, b.path)
	b.giveBack()
	return n, b.err
}

// Close ends the download, also in the middle: then the server sees the connection close.
func (b *body) Close() error {
	if !b.back {
		b.close()
		if b.err == nil {
			b.finish(context.WithoutCancel(b.ctx), 2*time.Second)
			b.err = os.ErrClosed
		}
		b.giveBack()
	}
	return nil
}

func (b *body) giveBack() {
	if !b.back {
		b.back = true
		b.close()
		b.c.remote.release(b.c)
	}
}

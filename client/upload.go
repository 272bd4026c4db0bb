package client

import (
	"context"
	"errors"
	"fmt"

	"sampan/fault"
	"sampan/files"
)

// Create sends STOR behind REST. The size, if known, is announced with ALLO, so that Sampan takes a cut for what it
// is. New looks at the name before: FTP has no way to claim it.
func (r *remote) Create(ctx context.Context, p files.Path, w files.Want) (files.Upload, error) {
	c, err := r.acquire(ctx)
	if err != nil {
		return nil, err
	}
	u, err := c.create(ctx, p, w)
	if err != nil {
		r.release(c)
		return nil, err
	}
	return u, nil
}

func (c *control) create(ctx context.Context, p files.Path, w files.Want) (files.Upload, error) {
	if err := p.CheckNew(); err != nil {
		return nil, err
	}
	if w.New || w.From > 0 || w.Part {
		if err := c.checkWant(ctx, p, w); err != nil {
			return nil, err
		}
	}
	typ := c.remote.wireType()
	if err := c.setType(ctx, typ); err != nil {
		return nil, err
	}
	u := &upload{path: p, size: w.From, want: -1}
	var before []string
	if w.Size > 0 && typ == "I" {
		allo := fmt.Sprintf("ALLO %d", w.Size)
		if c.ours { // goes with the rest in one packet
			before, u.want = append(before, allo), w.Size
		} else if reply, err := c.cmd(ctx, allo); err != nil {
			return nil, err
		} else if k, _ := kindOf(reply); reply.Failed() && (k == fault.OverQuota || k == fault.NoSpace) {
			return nil, refusedAs(k, reply, p.String())
		}
	}
	if w.From > 0 {
		before = append(before, fmt.Sprintf("REST %d", w.From))
	}
	d, err := c.transfer(ctx, before, "STOR "+p.String())
	if err != nil {
		var r *refusal
		if !errors.As(err, &r) {
			return nil, err
		}
		if k, sure := kindOf(r.Reply); sure {
			return nil, refusedAs(k, r.Reply, p.String())
		}
		if i, err := c.stat(ctx, p); err == nil && i.Mode.IsDir() {
			return nil, fault.New(fault.IsDir, "%s: is a directory", p.String())
		}
		return nil, c.explain(ctx, r.Reply, p.Dir())
	}
	u.data = d
	return u, nil
}

// checkWant compares what is wanted with what is there.
func (c *control) checkWant(ctx context.Context, p files.Path, w files.Want) error {
	i, err := c.stat(ctx, p)
	missing := fault.KindOf(err) == fault.NotExist && err != nil
	if missing {
		i = files.Info{Part: -1}
	} else if err != nil {
		return err
	}
	published := !missing && !i.PartOnly()
	switch {
	case w.New && published:
		return fault.New(fault.Exist, "%s: that name is taken", p.String())
	case published && i.Mode.IsDir():
		return fault.New(fault.IsDir, "%s: is a directory", p.String())
	case w.Part && i.Part != w.From:
		return fault.New(fault.BadOffset, "%s: the part is not %d bytes long", p.String(), w.From)
	case !w.Part && w.From > 0 && (!published || w.From > i.Size):
		return fault.New(fault.BadOffset, "%s: there are only %d bytes", p.String(), i.Size)
	case !w.Part && w.From > 0 && i.Part >= 0: // REST could mean the part
		return fault.New(fault.Busy, "%s: a part of %d bytes waits there", p.String(), i.Part)
	}
	return nil
}

// upload is a STOR under way.
type upload struct {
	*data
	path files.Path
	size int64 // bytes kept and written
	want int64 // what the server was promised, -1 if nothing
	err  error
	done bool
}

func (u *upload) Write(p []byte) (int, error) {
	if u.err != nil {
		return 0, u.err
	}
	n, err := u.data.Write(p)
	u.size += int64(n)
	if err != nil {
		u.err = u.named(u.broke(err), u.path)
	}
	return n, u.err
}

// WriteAt takes what comes next; a stream has no other place.
func (u *upload) WriteAt(p []byte, off int64) (int, error) {
	if off != u.size {
		return 0, fault.New(fault.Unsupported, "%s: the server takes bytes in order only", u.path.String())
	}
	return u.Write(p)
}

// Room grants all: the server holds the quota.
func (u *upload) Room(want int64) (int64, error) { return want, nil }

func (u *upload) Size() int64 { return u.size }

// Commit publishes and looks at the result.
func (u *upload) Commit(ctx context.Context, sure func() error) (files.Info, error) {
	if err := u.publish(ctx, sure); err != nil {
		return files.Info{}, err
	}
	i, err := u.c.remote.Stat(ctx, u.path)
	if err != nil { // it is in place; only the look at it failed
		i = files.Info{Path: u.path, Size: u.size, Part: -1}
	}
	return i, nil
}

// publish ends the stream and waits for the server's word. sure is asked before the end is sent.
func (u *upload) publish(ctx context.Context, sure func() error) error {
	if u.err == nil {
		u.err = ctx.Err()
	}
	if u.err == nil && sure != nil {
		u.err = sure()
	}
	if u.err == nil {
		u.err = u.named(u.sent(ctx), u.path)
	}
	if err := u.err; err != nil {
		u.Close()
		return err
	}
	u.err = fault.New(fault.Internal, "the upload is over")
	u.giveBack()
	return nil
}

// Close without Commit parks, where the server can.
func (u *upload) Close() error {
	if !u.done {
		u.cut(u.want > u.size)
		u.giveBack()
	}
	return nil
}

func (u *upload) giveBack() {
	if !u.done {
		u.done = true
		u.close()
		u.c.remote.release(u.c)
	}
}

package client

import (
	"context"
	"path/filepath"
	"sync"

	"sampan/files"
)

// A landing publishes files, those that come together in one go: on this machine's disk they share their syncs.
type landing struct {
	ctx  context.Context
	in   chan *landed
	over chan struct{}
}

// A landed is a file that came whole and is to be published.
type landed struct {
	up   files.Upload
	err  error
	done func() // called when it is published, or err tells why not
}

// maxTogether is how many files are published in one go.
const maxTogether = 128

// newLanding begins one. The caller calls close.
func newLanding(ctx context.Context) *landing {
	l := &landing{ctx: context.WithoutCancel(ctx), in: make(chan *landed, 8*maxTogether), over: make(chan struct{})}
	go l.run()
	return l
}

func (l *landing) add(f *landed) { l.in <- f }

// close publishes what is left.
func (l *landing) close() {
	close(l.in)
	<-l.over
}

func (l *landing) run() {
	defer close(l.over)
	for f := range l.in {
		batch := []*landed{f}
		for more := true; more && len(batch) < maxTogether; {
			select {
			case f, ok := <-l.in:
				if more = ok; ok {
					batch = append(batch, f)
				}
			default:
				more = false
			}
		}
		l.publish(batch)
		for _, f := range batch {
			f.up.Close()
			f.done()
		}
	}
}

// publish publishes files and sets their errors.
func (l *landing) publish(batch []*landed) {
	var near []*diskUpload
	for _, f := range batch {
		if u, ok := f.up.(*diskUpload); ok {
			near = append(near, u)
		}
	}
	if len(near) < len(batch) || !syncTogether(near) {
		var each sync.WaitGroup
		for _, f := range batch {
			each.Go(func() { f.err = publish(l.ctx, f.up, nil) })
		}
		each.Wait()
		return
	}
	for i, f := range batch {
		f.err = near[i].rename()
	}
	synced := map[string]error{} // by directory
	for i, f := range batch {
		if f.err != nil {
			continue
		}
		dir := filepath.Dir(near[i].name)
		err, done := synced[dir]
		if !done {
			err = near[i].d.syncDir(near[i].name)
			synced[dir] = err
		}
		f.err = local(err, near[i].d.show(near[i].path))
	}
}

// A publisher is an upload that can be published without a look at the result.
type publisher interface {
	publish(ctx context.Context, sure func() error) error
}

// publish commits an upload of which nobody wants to know what became of it.
func publish(ctx context.Context, up files.Upload, sure func() error) error {
	if u, ok := up.(publisher); ok {
		return u.publish(ctx, sure)
	}
	_, err := up.Commit(ctx, sure)
	return err
}

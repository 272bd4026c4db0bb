package client

import (
	"context"
	"sync"
	"time"

	"sampan/files"
	"sampan/words"
)

// A swarm copies the files of a tree many at a time where SFTP carries them: one connection takes any number of requests, so
// that a long link is kept busy though each file takes some round trips. Of big files, which fill the link, there are two at most.
type swarm struct {
	t       *tree
	ctx     context.Context
	stop    context.CancelCauseFunc
	slots   chan struct{} // full while so many files are on their way
	space   chan struct{} // full while their bytes are so many
	filling sync.Mutex    // held by who takes more than one place there
	walkers chan struct{} // full while so many directories are walked
	running sync.WaitGroup

	mu    sync.Mutex // held while the caller is called back
	shown time.Time

	moved  int64 // bytes of the files that were begun, guarded by filling
	opened int   // further sessions that were asked for by then
}

// Files that may be on their way: most servers take as many handles as few, others say how many. Half of those are left to others.
const (
	fewAtOnce  = 64
	manyAtOnce = 512
)

// What a file takes of the space: a place for each grain of its bytes, half of them at most.
const (
	grain  = 32 << 10
	places = 512
)

// dirsAtOnce is how many directories are listed and made at a time.
const dirsAtOnce = 32

// canSwarm reports how many files may be on their way, 0 if one after another has to do.
func (t *tree) canSwarm() int {
	n := 0
	for _, s := range []files.Store{t.src, t.dst} {
		switch s := s.(type) {
		case *sshRemote:
			n = fewAtOnce
			s.mu.Lock()
			if s.wire != nil {
				n = int(min(max(fewAtOnce, s.wire.limits.Handles/2), manyAtOnce))
			}
			s.mu.Unlock()
		case *disk:
		default: // an FTP server would take a connection for each
			return 0
		}
	}
	return n
}

// swarm has files copied by n at a time. The caller calls wait.
func (t *tree) swarms(ctx context.Context, n int) *swarm {
	s := &swarm{t: t, slots: make(chan struct{}, n), space: make(chan struct{}, places), walkers: make(chan struct{}, dirsAtOnce)}
	s.ctx, s.stop = context.WithCancelCause(ctx)
	if say := t.o.Say; say != nil {
		t.o.Say = func(m words.Message) {
			s.mu.Lock()
			defer s.mu.Unlock()
			say(m)
		}
	}
	if show := t.o.Progress; show != nil {
		t.o.Progress = func(p Progress) { s.show(p, show) }
	}
	return s
}

// show passes progress on: every end, and of the rest one every 50 ms.
func (s *swarm) show(p Progress, show func(Progress)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.Phase != Finished {
		if time.Since(s.shown) < 50*time.Millisecond {
			return
		}
		s.shown = time.Now()
	}
	show(p)
}

// dir walks a directory beside the others when there is room, else at once.
func (s *swarm) dir(from, to files.Path, depth int) error {
	select {
	case s.walkers <- struct{}{}:
		s.running.Go(func() {
			defer func() { <-s.walkers }()
			if err := s.t.dir(s.ctx, from, to, depth); err != nil {
				s.stop(err)
			}
		})
		return nil
	default:
		return s.t.dir(s.ctx, from, to, depth)
	}
}

// enter waits until there is room for a file of that size; leave is called when it is copied.
func (s *swarm) enter(size int64) (leave func(), err error) {
	wanted := int(min(max(size/grain, 1), places/2))
	taken, in := 0, false
	leave = func() {
		for range taken {
			<-s.space
		}
		if in {
			<-s.slots
		}
	}
	s.filling.Lock()
	defer s.filling.Unlock()
	for taken < wanted {
		select {
		case s.space <- struct{}{}:
			taken++
		case <-s.ctx.Done():
			leave()
			return nil, context.Cause(s.ctx)
		}
	}
	select {
	case s.slots <- struct{}{}:
		in = true
		s.widen(size)
		return leave, nil
	case <-s.ctx.Done():
		leave()
		return nil, context.Cause(s.ctx)
	}
}

// widen has further sessions opened when so much goes over a long link that they pay.
func (s *swarm) widen(more int64) {
	s.moved += more
	for ; s.opened < len(worth) && s.moved >= worth[s.opened]; s.opened++ {
		for _, end := range []files.Store{s.t.src, s.t.dst} {
			if r, ok := end.(*sshRemote); ok && r.far() {
				n := s.opened
				go r.extra(s.ctx, n)
			}
		}
	}
}

// file copies a file when there is room. target is what a listing told of the name to, nil if none did. The error is what ended
// the whole.
func (s *swarm) file(i files.Info, to files.Path, target *sight) error {
	leave, err := s.enter(i.Size)
	if err != nil {
		return err
	}
	s.running.Go(func() {
		defer leave()
		c := &copying{src: s.t.src, dst: s.t.dst, o: s.t.o, target: target, r: Result{From: i.Path, To: to}}
		if i.Mode.IsRegular() {
			c.listed = &i
		}
		r, err := c.run(s.ctx)
		if err := s.t.tell(s.ctx, r, err); err != nil {
			s.stop(err)
		}
	})
	return nil
}

// wait waits for the files under way, and returns what ended the whole.
func (s *swarm) wait() error {
	s.running.Wait()
	err := context.Cause(s.ctx)
	s.stop(nil)
	return err
}

package client

import (
	"context"
	"sync"
	"time"

	"sampan/files"
	"sampan/words"
)

// A swarm copies the files of a tree many at a time where SFTP carries them: one connection takes any number of requests, so
// that a long link is kept busy though each file takes some round trips. Big files go one after another: each fills the link.
type swarm struct {
	t       *tree
	ctx     context.Context
	stop    context.CancelCauseFunc
	slots   chan struct{}
	big     sync.Mutex
	running sync.WaitGroup

	mu    sync.Mutex // held while the caller is called back
	shown time.Time
}

// Files that may be on their way: most servers take as many handles, others say how many.
const (
	fewAtOnce  = 32
	manyAtOnce = 128
)

// canSwarm reports how many files may be on their way, 0 if one after another has to do.
func (t *tree) canSwarm() int {
	n := 0
	for _, s := range []files.Store{t.src, t.dst} {
		switch s := s.(type) {
		case *sshRemote:
			n = fewAtOnce
			s.mu.Lock()
			if s.wire != nil && s.wire.limits.Handles >= 2*manyAtOnce {
				n = manyAtOnce
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
	s := &swarm{t: t, slots: make(chan struct{}, n)}
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

// file copies a file when there is room. The error is what ended the whole.
func (s *swarm) file(i files.Info, to files.Path) error {
	select {
	case s.slots <- struct{}{}:
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
	s.running.Go(func() {
		defer func() { <-s.slots }()
		if i.Size >= bigFile {
			s.big.Lock()
			defer s.big.Unlock()
		}
		c := &copying{src: s.t.src, dst: s.t.dst, o: s.t.o, r: Result{From: i.Path, To: to}}
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

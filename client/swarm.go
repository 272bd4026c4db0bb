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
	slots   chan struct{} // full while so many files are open
	kept    int           // slots that are not given away before it is known how long a file takes
	timed   sync.Once     // it is
	space   chan struct{} // full while their bytes are so many
	filling sync.Mutex    // held by who takes more than one place there
	walkers chan struct{} // full while so many directories are walked
	running sync.WaitGroup

	mu    sync.Mutex // held while the caller is called back
	shown time.Time

	land   *landing // nil where the target is not this machine's disk
	done   []func() // with the further sessions
	moved  int64    // bytes of the files that were begun, guarded by filling
	opened int      // further sessions that were asked for by then
}

// Files that may be open at a server: most take as many handles as few, others say how many.
const (
	fewAtOnce  = 64
	manyAtOnce = 1024
)

// smallFile is up to which size it takes round trips, and the bytes hardly matter.
const smallFile = 32 << 10

// tripsOfFile is how many round trips a file takes, one after another.
const tripsOfFile = 3

// atOnce is how many files keep a server busy that does one thing after another, on a link with that round trip. More would only
// wait there, and OpenSSH's server moves all that waits for each request that it reads: it took six times as long.
func atOnce(trip time.Duration) int { return fewAtOnce * max(1, int(trip/time.Millisecond)) }

// What a file takes of the space: a place for each grain of its bytes, half of them at most.
const (
	grain  = 4 << 10
	places = 4096
)

// dirsAtOnce is how many directories are listed and made at a time.
const dirsAtOnce = 32

// canSwarm reports how many files may be on their way, 0 if one after another has to do.
func (t *tree) canSwarm() int {
	n := manyAtOnce
	for _, s := range []files.Store{t.src, t.dst} {
		switch s := s.(type) {
		case *sshRemote:
			n = min(n, s.handles())
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
	if onDisk(t.dst) {
		s.land = newLanding(ctx)
	}
	for _, end := range []files.Store{t.src, t.dst} {
		if r, ok := end.(*sshRemote); ok {
			s.done = append(s.done, r.extras.use())
			s.kept = max(s.kept, n-r.atOnce(n))
		}
	}
	for range s.kept {
		s.slots <- struct{}{}
	}
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

// took gives the slots away that a server can use of which the first file took so long.
func (s *swarm) took(d time.Duration) {
	s.timed.Do(func() {
		for n := cap(s.slots) - s.kept; n < atOnce(d/tripsOfFile) && s.kept > 0; n++ {
			<-s.slots
			s.kept--
		}
	})
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

// A berth is the room that a file takes.
type berth struct {
	s      *swarm
	places int
	handle bool
	closed sync.Once
}

// close gives back the handle: the server hears of its end before anything that is asked from now on.
func (b *berth) close() {
	b.closed.Do(func() {
		if b.handle {
			<-b.s.slots
		}
	})
}

// leave gives back all.
func (b *berth) leave() {
	b.close()
	for range b.places {
		<-b.s.space
	}
}

// enter waits until there is room for a file of that size.
func (s *swarm) enter(size int64) (*berth, error) {
	b := &berth{s: s}
	s.filling.Lock()
	defer s.filling.Unlock()
	for wanted := int(min(max(size/grain, 1), places/2)); !b.handle; {
		var space, slots chan struct{}
		if b.places < wanted {
			space = s.space
		} else {
			slots = s.slots
		}
		select {
		case space <- struct{}{}:
			b.places++
		case slots <- struct{}{}:
			b.handle = true
		case <-s.ctx.Done():
			b.leave()
			return nil, context.Cause(s.ctx)
		}
	}
	s.widen(size)
	return b, nil
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
	b, err := s.enter(i.Size)
	if err != nil {
		return err
	}
	s.running.Go(func() {
		defer b.leave()
		c := &copying{src: s.t.src, dst: s.t.dst, o: s.t.o, target: target, closed: b.close, landing: s.land, r: Result{From: i.Path, To: to}}
		if i.Mode.IsRegular() {
			c.listed = &i
		}
		r, err := c.run(s.ctx)
		if err == nil && i.Size <= smallFile && !r.Skipped && !r.Kept {
			s.took(r.Took)
		}
		if err := s.t.tell(s.ctx, r, err); err != nil {
			s.stop(err)
		}
	})
	return nil
}

// wait waits for the files under way, and returns what ended the whole.
func (s *swarm) wait() error {
	s.running.Wait()
	if s.land != nil {
		s.land.close()
	}
	err := context.Cause(s.ctx)
	s.stop(nil)
	for _, done := range s.done {
		done()
	}
	return err
}

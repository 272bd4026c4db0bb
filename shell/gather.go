package shell

import (
	"io"
	"sync"
	"time"
)

// gathered holds back what is written right behind something else, so that the lines about many small files go out together: each
// write wakes who reads them.
type gathered struct {
	w io.Writer

	mu    sync.Mutex
	held  []byte
	last  time.Time // when something went out
	timer *time.Timer
	err   error // of the last write
}

const (
	frame    = 50 * time.Millisecond
	mostHeld = 16 << 10
)

// gather returns a writer for w, or w itself if that is a terminal: a person reads along. The caller calls flush at the end.
func gather(w io.Writer) io.Writer {
	if _, tty := terminal(w); tty {
		return w
	}
	g := &gathered{w: w}
	g.timer = time.AfterFunc(frame, g.flush)
	return g
}

// gathering returns a copy of t whose Out is gathered.
func (t *task) gathering() *task {
	there, env := *t, *t.Env
	env.Out = gather(env.Out)
	there.Env = &env
	return &there
}

// flush has everything go out that a gathered writer holds, if it is one.
func flush(w io.Writer) {
	if g, ok := w.(*gathered); ok {
		g.flush()
	}
}

func (g *gathered) flush() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.release()
}

func (g *gathered) release() {
	if len(g.held) > 0 {
		_, g.err = g.w.Write(g.held)
		g.held, g.last = g.held[:0], time.Now()
	}
}

func (g *gathered) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return 0, g.err
	}
	first := len(g.held) == 0
	g.held = append(g.held, p...)
	if len(g.held) >= mostHeld || first && time.Since(g.last) >= frame {
		g.release()
	} else if first {
		g.timer.Reset(frame)
	}
	return len(p), g.err
}

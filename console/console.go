// Package console is the live screen of `sampan serve` on a terminal: who is in and what is moving below, the log above,
// and a question for every request for an account.
package console

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"sampan/admin"
	"sampan/fault"
	"sampan/words"
)

// Config is what Run shows and asks.
type Config struct {
	Client       *admin.Client
	Join         string   // the exact command for a second person
	JoinSSH      string   // that of one who has OpenSSH alone, where SFTP is served
	Addresses    []string // what listens, as people write it: "ftp://192.168.1.5:2121"
	DefaultQuota int64    // bytes that an approval gives, -1 unlimited
}

// Screen is a terminal that log lines and the live area share.
type Screen struct {
	in, out *os.File
	lang    words.Lang

	mu   sync.Mutex
	on   bool // between the begin and the end of Run
	live live
}

// New returns the Screen of a terminal. Before and after Run what is written to it simply appears.
func New(in, out *os.File, lang words.Lang) *Screen { return &Screen{in: in, out: out, lang: lang} }

// Write shows whole lines (of the log) above the live area.
func (s *Screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.on {
		return s.out.Write(p)
	}
	columns, _ := s.size()
	_, err := s.out.Write(s.live.redraw(p, s.live.lines, columns))
	return len(p), err
}

// say shows a message above the live area.
func (s *Screen) say(m words.Message) { _, _ = s.Write([]byte(m.In(s.lang) + "\n")) }

func (s *Screen) draw(p *picture) {
	s.mu.Lock()
	defer s.mu.Unlock()
	columns, rows := s.size()
	_, _ = s.out.Write(s.live.redraw(nil, p.lines(s.lang, columns, rows), columns))
}

func (s *Screen) size() (columns, rows int) {
	columns, rows, err := term.GetSize(int(s.out.Fd()))
	if err != nil || columns < 1 || rows < 1 {
		return 80, 24
	}
	return columns, rows
}

const (
	refresh  = 250 * time.Millisecond // of the live area
	patience = 10 * time.Second       // with an answer of the server
)

// Run shows the live area until ^C (nil: the server should drain) or until ctx is done (nil too). The terminal is as
// it was when Run returns, also by a panic. In and out must be terminals.
func (s *Screen) Run(ctx context.Context, c Config) error {
	restore, err := s.begin()
	if err != nil {
		return fault.Wrap(fault.Local, err, "the terminal cannot be used")
	}
	defer restore()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	for _, a := range c.Addresses {
		s.say(words.M("listening at %s", a))
	}
	if c.Join != "" {
		s.say(words.M("A second person joins with:\n  %s", c.Join))
	}
	if c.JoinSSH != "" && c.JoinSSH != c.Join {
		s.say(words.M("or, without Sampan, with:\n  %s", c.JoinSSH))
	}
	p := &picture{quota: c.DefaultQuota}
	typed := make(chan rune)
	go read(ctx, s.in, typed)
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	for s.look(ctx, c.Client, p); ; {
		s.draw(p)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.look(ctx, c.Client, p)
		case key, ok := <-typed:
			if !ok {
				typed = nil // the input is gone; the screen goes on
				continue
			}
			switch d := p.press(key, time.Now()); {
			case d.leave:
				return nil
			case d.redraw:
				s.clear()
			case d.decide:
				s.decide(ctx, c.Client, d)
				s.look(ctx, c.Client, p)
			}
		}
	}
}

// begin makes the terminal raw and returns what undoes it.
func (s *Screen) begin() (restore func(), err error) {
	undo, err := enableEscapes(s.out)
	if err != nil {
		return nil, err
	}
	before, err := term.MakeRaw(int(s.in.Fd()))
	if err != nil {
		undo()
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		columns, _ := s.size()
		_, _ = s.out.Write(s.live.redraw(nil, nil, columns))
		_ = term.Restore(int(s.in.Fd()), before)
		undo()
		s.on = false
	}, nil
}

// clear forgets what is on the screen, as after ^L.
func (s *Screen) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live.lines = nil
	_, _ = s.out.WriteString("\x1b[H\x1b[2J")
}

// look asks the server who is in and who asks for an account.
func (s *Screen) look(ctx context.Context, c *admin.Client, p *picture) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	people, err := c.Who(ctx)
	asks, err2 := c.Requests(ctx)
	if err := errors.Join(err, err2); err != nil {
		p.broken = fault.Say(err)
		return
	}
	if p.show(people, asks, time.Now()) {
		_, _ = s.out.WriteString("\a")
	}
}

// decide answers a request and says what became of it.
func (s *Screen) decide(ctx context.Context, c *admin.Client, d deed) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	user, err := c.Decide(ctx, d.name, admin.Decision{Approve: d.approve, Note: d.note})
	name := words.Escape(d.name)
	switch {
	case err != nil:
		s.say(words.M("%s: %s", name, words.Escape(fault.Say(err).In(s.lang))))
	case !d.approve:
		s.say(words.M("%s was refused", name))
	case user.Quota < 0:
		s.say(words.M("%s may come in now, without a quota", name))
	default:
		s.say(words.M("%s may come in now, with %s", name, words.Bytes(user.Quota)))
	}
}

// read sends what is typed until the input or ctx ends. A read cannot be called off: the goroutine ends at the next
// key at the latest, which is why Run is called once in a program's life.
func read(ctx context.Context, in *os.File, typed chan<- rune) {
	defer close(typed)
	var rest []byte
	buf := make([]byte, 256)
	for {
		n, err := in.Read(buf)
		if err != nil {
			return
		}
		var pressed []rune
		pressed, rest = keys(append(rest, buf[:n]...))
		for _, key := range pressed {
			select {
			case typed <- key:
			case <-ctx.Done():
				return
			}
		}
	}
}

package shell

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A slate notes each write.
type slate struct {
	mu     sync.Mutex
	writes []string
	err    error
}

func (s *slate) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	s.writes = append(s.writes, string(p))
	return len(p), nil
}

// all returns the writes so far.
func (s *slate) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.writes, "|")
}

func TestLinesAreGatheredForAMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slate{}
		g := gather(s)
		says := func(want string) {
			t.Helper()
			synctest.Wait()
			if got := s.all(); got != want {
				t.Errorf("after %q was wanted, %q was written", want, got)
			}
		}
		io.WriteString(g, "1\n")
		says("1\n")
		io.WriteString(g, "2\n")
		io.WriteString(g, "3\n")
		says("1\n")
		time.Sleep(frame)
		says("1\n|2\n3\n")
		time.Sleep(frame)
		io.WriteString(g, "4\n")
		says("1\n|2\n3\n|4\n")
		io.WriteString(g, "5\n")
		flush(g)
		says("1\n|2\n3\n|4\n|5\n")
		io.WriteString(g, "6\n")
		time.Sleep(frame)
		says("1\n|2\n3\n|4\n|5\n|6\n")
	})
}

func TestMuchIsNotHeldBack(t *testing.T) {
	t.Parallel()
	s := &slate{}
	g := gather(s)
	want := bytes.Repeat([]byte("0123456789abcde\n"), 3*mostHeld/16)
	for p := want; len(p) > 0; p = p[16:] {
		if _, err := g.Write(p[:16]); err != nil {
			t.Fatal(err)
		}
	}
	flush(g)
	if got := strings.ReplaceAll(s.all(), "|", ""); got != string(want) {
		t.Errorf("%d bytes of %d came, or others", len(got), len(want))
	}
	s.mu.Lock()
	s.err = errors.New("full")
	s.mu.Unlock()
	io.WriteString(g, "lost")
	flush(g)
	if _, err := io.WriteString(g, "more"); err == nil {
		t.Error("nobody hears that nothing can be written")
	}
}

package session

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"sampan/fault"
	"sampan/files"
)

// TestAppendsAtOnceLoseNothing: what is behind the end when an upload is asked for need not be when it begins. Who was told that
// a line is safe finds it there, whoever else went on behind the file meanwhile.
func TestAppendsAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", -1, "")
	a, err := h.book.Get(t.Context(), "alice")
	must(t, err)
	file := p(t, "/log")
	ways := map[string]func(s *Session) (*Transfer, error){
		"append": func(s *Session) (*Transfer, error) { return s.Resume(file, files.Want{From: -1, Size: -1}) },
		"edit":   func(s *Session) (*Transfer, error) { return s.Edit(file, Edit{Create: true}) },
	}
	must(t, put(h.in("alice"), file, "first\n", whole))
	var all sync.WaitGroup
	var mu sync.Mutex
	var safe []string
	for n := range 6 {
		name := fmt.Sprintf("n%d", n)
		h.add(name, -1, a.Home)
		s := h.in(name)
		for how, begin := range ways {
			if how == "edit" && n%2 == 0 || how == "append" && n%2 == 1 {
				continue
			}
			all.Go(func() {
				for i := range 300 {
					line := fmt.Sprintf("%s %d\n", name, i)
					tr, err := begin(s)
					if err == nil {
						err = goOn(tr, line)
						tr.Close()
					}
					switch {
					case err == nil:
						mu.Lock()
						safe = append(safe, line)
						mu.Unlock()
					case fault.KindOf(err) != fault.Busy:
						t.Errorf("%s: %v", how, err)
					}
				}
			})
		}
	}
	all.Wait()
	got, err := get(h.in("alice"), file, 0)
	must(t, err)
	for _, line := range safe {
		if !strings.Contains(got, line) {
			t.Errorf("%q was told to be safe, and is gone", line)
		}
	}
	if len(safe) == 0 {
		t.Error("nobody went on")
	}
}

// goOn adds a line behind what tr keeps, and commits.
func goOn(tr *Transfer, line string) error {
	if tr.draft == nil {
		if _, err := tr.ReadFrom(strings.NewReader(line)); err != nil {
			return err
		}
	} else {
		if _, err := tr.WriteAt([]byte(line), tr.base); err != nil {
			return err
		}
		if err := tr.Whole(); err != nil {
			return err
		}
	}
	_, err := tr.Commit(nil)
	return err
}

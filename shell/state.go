package shell

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"sampan/fault"
)

// state is what the client remembers between runs, in STATE/shell.json.
type state struct {
	Last     string    `json:"last,omitempty"` // URL of the last log-in or registration
	Requests []request `json:"requests,omitempty"`
}

// request is a request for an account that has no answer yet.
type request struct {
	Server string    `json:"server"` // URL
	Name   string    `json:"name"`
	Ticket string    `json:"ticket"`
	Asked  time.Time `json:"asked"`
}

// stateDir is where the client keeps its state: XDG's place, and the like elsewhere.
func (e *Env) stateDir() (string, error) {
	dir := e.Getenv("XDG_STATE_HOME")
	if runtime.GOOS == "windows" && dir == "" {
		dir = e.Getenv("LOCALAPPDATA")
	}
	if dir == "" || !filepath.IsAbs(dir) {
		home := e.Getenv("HOME")
		if home == "" {
			var err error
			if home, err = os.UserHomeDir(); err != nil {
				return "", fault.Wrap(fault.Local, err, "the home directory is not known; set HOME")
			}
		}
		dir = filepath.Join(home, ".local", "state")
	}
	dir = filepath.Join(dir, "sampan")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fault.Wrap(fault.Local, err, "%s cannot be made, so nothing can be remembered", dir)
	}
	return dir, nil
}

// load reads the state; none is an empty one.
func (e *Env) load() (state, error) {
	dir, err := e.stateDir()
	if err != nil {
		return state{}, err
	}
	name := filepath.Join(dir, "shell.json")
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return state{}, nil
	}
	var s state
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		return state{}, fault.Wrap(fault.Local, err, "%s cannot be read; move it away if it is damaged", name)
	}
	return s, nil
}

// update changes the state, whole or not at all.
func (e *Env) update(change func(*state)) error {
	s, err := e.load()
	if err != nil {
		return err
	}
	change(&s)
	dir, err := e.stateDir()
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "shell.json.*") // 0600: tickets are secrets
	if err != nil {
		return fault.Wrap(fault.Local, err, "%s cannot be written, so nothing can be remembered", dir)
	}
	_, err = f.Write(append(data, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, "shell.json"))
	}
	if err != nil {
		os.Remove(f.Name())
		return fault.Wrap(fault.Local, err, "%s cannot be written, so nothing can be remembered", dir)
	}
	return nil
}

// remember keeps the server of the last log-in.
func (e *Env) remember(url string) error {
	return e.update(func(s *state) { s.Last = url })
}

// settle forgets the request for name at a server.
func (s *state) settle(server, name string) {
	kept := s.Requests[:0]
	for _, r := range s.Requests {
		if r.Server != server || r.Name != name {
			kept = append(kept, r)
		}
	}
	s.Requests = kept
}

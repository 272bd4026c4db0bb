package shell

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sampan/fault"
)

// A history is the lines of former shells, in STATE/history, one a line, oldest first.
type history struct {
	name  string
	lines []string
}

// remembered is how many lines a shell begins with.
const remembered = 1000

// openHistory reads the history. What it returns is never nil.
func (e *Env) openHistory() (*history, error) {
	dir, err := e.stateDir()
	if err != nil {
		return &history{}, err
	}
	h := &history{name: filepath.Join(dir, "history")}
	data, err := os.ReadFile(h.name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return h, fault.Wrap(fault.Local, err, "the history %s cannot be kept", h.name)
	}
	h.lines = slices.Collect(strings.Lines(string(data)))
	for i, l := range h.lines {
		h.lines[i] = strings.TrimSuffix(l, "\n")
	}
	if n := len(h.lines); n > 2*remembered {
		h.lines = slices.Clone(h.lines[n-remembered:])
		if err := os.WriteFile(h.name, []byte(strings.Join(h.lines, "\n")+"\n"), 0o600); err != nil {
			return h, fault.Wrap(fault.Local, err, "the history %s cannot be kept", h.name)
		}
	}
	return h, nil
}

// add keeps a line, unless it is the last one again, or begins with a blank. One with a password in it goes into no file.
func (h *history) add(line string) error {
	if line == "" || line[0] == ' ' || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return nil
	}
	h.lines = append(h.lines, line)
	if hasPassword(line) {
		return nil
	}
	f, err := os.OpenFile(h.name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(line + "\n")
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fault.Wrap(fault.Local, err, "the history %s cannot be kept", h.name)
	}
	return nil
}

// hasPassword reports whether there may be a URL with a password in a line; it takes rather too many for such than too few.
func hasPassword(line string) bool {
	_, rest, ok := strings.Cut(line, "://")
	colon := strings.IndexByte(rest, ':')
	return ok && colon >= 0 && strings.Contains(rest[colon:], "@")
}

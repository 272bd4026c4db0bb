package shell

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sampan/fault"
)

func stateEnv(dir string) *Env {
	return &Env{Getenv: func(k string) string { return map[string]string{"XDG_STATE_HOME": dir, "HOME": dir}[k] }}
}

func TestStateComesBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := stateEnv(dir)
	if s, err := e.load(); err != nil || s.Last != "" {
		t.Fatal(s, err)
	}
	r := request{Server: "ftp://localhost:2121/", Name: "李雷", Ticket: "t1", Asked: time.Unix(1, 0).UTC()}
	other := r
	other.Name = "mei"
	if err := e.update(func(s *state) { s.Requests = append(s.Requests, r, other) }); err != nil {
		t.Fatal(err)
	}
	if err := e.remember(r.Server); err != nil {
		t.Fatal(err)
	}
	got, err := e.load()
	if d := cmp.Diff(state{Last: r.Server, Requests: []request{r, other}}, got); d != "" || err != nil {
		t.Error(d, err)
	}
	if err := e.update(func(s *state) { s.settle(r.Server, r.Name) }); err != nil {
		t.Fatal(err)
	}
	if got, err = e.load(); err != nil || len(got.Requests) != 1 || got.Requests[0].Name != "mei" {
		t.Error(got, err)
	}
	i, err := os.Stat(filepath.Join(dir, "sampan", "shell.json"))
	if err != nil || runtime.GOOS != "windows" && i.Mode().Perm() != 0o600 {
		t.Error(i.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "sampan", "*")); len(left) != 1 {
		t.Error(left)
	}
}

func TestDamagedStateIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := stateEnv(dir)
	name := filepath.Join(dir, "sampan", "shell.json")
	if err := e.remember("x"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := e.remember("y"); fault.KindOf(err) != fault.Local {
		t.Error(err)
	}
	if data, _ := os.ReadFile(name); string(data) != "{" {
		t.Errorf("%q", data)
	}
}

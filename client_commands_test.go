//go:build unix

package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sampan/shell"
)

// TestClientScripts runs the real client against the real server, as people and their scripts do.
func TestClientScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/client",
		Setup: func(e *testscript.Env) error {
			e.Setenv("LC_ALL", "C.UTF-8")
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("XDG_RUNTIME_DIR", e.WorkDir)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"code": exitsWith, "waitfile": waitFile, "signal": signalServer, "address": addressOf, "mode": hasMode,
			"waitrequest": waitRequest,
		},
	})
}

// waitRequest is `waitrequest NAME`: it waits until the client keeps the ticket of a request for the account.
func waitRequest(ts *testscript.TestScript, _ bool, args []string) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); <-tick.C {
		b, _ := os.ReadFile(ts.MkAbs(".local/state/sampan/shell.json"))
		if strings.Contains(string(b), `"name": "`+args[0]+`"`) {
			return
		}
	}
	ts.Fatalf("%s does not ask for an account", args[0])
}

// TestVerbsAreCommands holds the shell's table against main's: each verb that can be a command is one, once.
func TestVerbsAreCommands(t *testing.T) {
	t.Parallel()
	rows := map[string]command{}
	for _, row := range commands(&env{getenv: func(string) string { return "" }}) {
		if _, twice := rows[row.name]; twice {
			t.Errorf("%s is there twice", row.name)
		}
		rows[row.name] = row
	}
	for _, name := range strings.Fields("ls get put mget mput cp mv rm mkdir rmdir cat stat sum du quota passwd join") {
		row := rows[name]
		if row.run == nil || row.group != clientGroup || row.short.IsZero() {
			t.Errorf("%s is no command of the client", name)
		}
		has := map[string]bool{}
		for _, f := range row.flags {
			has[f.name] = true
		}
		for _, flag := range []string{"plain", "active", "ascii", "pin", "yes", "trace", "json"} {
			if !has[flag] {
				t.Errorf("%s has no --%s", name, flag)
			}
		}
	}
	if n := len(shell.Commands()); n < 16 {
		t.Errorf("the shell lends %d commands", n)
	}
}

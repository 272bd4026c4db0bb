//go:build unix

package main

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sampan": main})
}

// TestScripts runs the real program as operators and their scripts do.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("LC_ALL", "C.UTF-8")
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("XDG_RUNTIME_DIR", e.WorkDir)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"code": exitsWith, "waitfile": waitFile, "waitserver": waitServer, "signal": signalServer, "address": addressOf, "mode": hasMode,
		},
	})
}

// exitsWith is `code N COMMAND…`: the command has to end with exit code N.
func exitsWith(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var failed *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &failed) {
		got = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if (got == want) == neg {
		ts.Fatalf("%s ended with %d", strings.Join(args[1:], " "), got)
	}
}

// waitFile is `waitfile NAME`: it waits until the file is there, or with ! until it is gone.
func waitFile(ts *testscript.TestScript, neg bool, args []string) {
	name := ts.MkAbs(args[0])
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); <-tick.C {
		if _, err := os.Stat(name); (err == nil) != neg {
			return
		}
	}
	ts.Fatalf("waited in vain for %s", args[0])
}

// addresses reads DATA/addresses.json.
func addresses(ts *testscript.TestScript, data string) map[string]string {
	var list map[string]string
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(data+"/addresses.json")), &list))
	return list
}

// addressOf is `address DATA PROTOCOL VARIABLE`: the variable gets the address of a listener.
func addressOf(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[2], addresses(ts, args[0])[args[1]])
}

// waitServer is `waitserver DATA`: it waits until the server that addresses.json names accepts; a stale file names
// none.
func waitServer(ts *testscript.TestScript, _ bool, args []string) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); <-tick.C {
		var list map[string]string
		b, _ := os.ReadFile(ts.MkAbs(args[0] + "/addresses.json"))
		if json.Unmarshal(b, &list) != nil {
			continue
		}
		if c, err := net.Dial("tcp", list["ftp"]); err == nil {
			c.Close()
			return
		}
	}
	ts.Fatalf("the server of %s does not accept", args[0])
}

// signalServer is `signal NAME DATA`: the server, whose process id is in the lock, gets the signal.
func signalServer(ts *testscript.TestScript, _ bool, args []string) {
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[1] + "/lock")))
	ts.Check(err)
	ts.Check(syscall.Kill(pid, map[string]syscall.Signal{
		"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL,
	}[args[0]]))
}

// hasMode is `mode 600 NAME`.
func hasMode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[0] {
		ts.Fatalf("%s has mode %s", args[1], got)
	}
}

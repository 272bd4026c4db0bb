//go:build linux

package stories

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts plays the stories of testdata. Besides testscript's own commands they have
//
//	serve [FLAG…]      start the server, or start it again
//	kill               end it with -9
//	account NAME […]   add an account with the password pw-of-NAME, with more flags of `user add`
//	operator ARG…      sampan ARG… where the server keeps everything
//	alice ARG…         sampan ARG… as alice; @ at the head of an argument is her URL
//	bob, mallory       the same
//	disk NAME FILE WANT  the file in that home is byte for byte like the script's file WANT
//	exit N             the last of these commands has ended with N
//
// Any of the commands of sampan may fail with !, and then exit says how.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, environ(e.WorkDir)...)
			e.Values[stage(0)] = newServerIn(e.T().(testing.TB), e.WorkDir)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"serve": func(ts *testscript.TestScript, _ bool, args []string) {
				s := serverOf(ts)
				s.kill()
				s.flags = append([]string{"--ftp", "127.0.0.1:0", "--sftp", "off"}, args...)
				s.start()
			},
			"kill": func(ts *testscript.TestScript, _ bool, _ []string) { serverOf(ts).kill() },
			"account": func(ts *testscript.TestScript, _ bool, args []string) {
				serverOf(ts).addUser(args[0], args[1:]...)
			},
			"operator": func(ts *testscript.TestScript, neg bool, args []string) {
				sampan(ts, neg, append(args, "--data", serverOf(ts).data))
			},
			"alice": actor("alice"), "bob": actor("bob"), "mallory": actor("mallory"),
			"disk": func(ts *testscript.TestScript, neg bool, args []string) {
				got, err := os.ReadFile(filepath.Join(serverOf(ts).home(args[0]), args[1]))
				ts.Check(err)
				if (string(got) == ts.ReadFile(args[2])) == neg {
					ts.Fatalf("%s's %s holds %q", args[0], args[1], tail(string(got), 200))
				}
			},
			"exit": func(ts *testscript.TestScript, _ bool, args []string) {
				if got := ts.Getenv("EXIT"); got != args[0] {
					ts.Fatalf("it ended with %s", got)
				}
			},
		},
	})
}

func serverOf(ts *testscript.TestScript) *server { return ts.Value(stage(0)).(*server) }

// stage is the key of a script's server.
type stage int

// actor is the command of a person with an account.
func actor(name string) func(ts *testscript.TestScript, neg bool, args []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		for i, a := range args {
			if rest, ok := strings.CutPrefix(a, "@"); ok {
				args[i] = "ftp://" + name + "@" + serverOf(ts).addr + rest
			}
		}
		ts.Setenv("SAMPAN_PASSWORD", "pw-of-"+name)
		sampan(ts, neg, append(args, "--pin", serverOf(ts).pin()))
	}
}

func sampan(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(binary, args...)
	code := 0
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		code = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	ts.Setenv("EXIT", strconv.Itoa(code))
	if (code == 0) == neg {
		ts.Fatalf("sampan %s ended with %d", strings.Join(args, " "), code)
	}
}

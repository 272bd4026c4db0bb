package stories

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sampan/console/consoletest"
)

// onTerminal runs the program on a terminal of its own.
func onTerminal(t *testing.T, dir string, args ...string) *consoletest.Terminal {
	t.Helper()
	p := consoletest.Open(t, 80, 24)
	cmd := exec.Command(binary, args...)
	cmd.Dir, cmd.Env = dir, append(environ(dir), "TERM=xterm")
	p.Start(cmd)
	return p
}

// TestStoryJoin is the story as people see it, on two terminals: the operator starts a server and reads the exact
// command for the second person; alice joins with it and waits; the operator allows with one key; alice is in the
// shell, uploads, and her file is there. Mallory is refused with a note.
func TestStoryJoin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	operator := onTerminal(t, dir, "serve", "--data", data, "--ftp", "127.0.0.1:0", "--default-quota", "10G")
	operator.Expect(`operator`)
	join := strings.Fields(operator.Expect(`sampan join ftp://\S+ --pin sha256:[0-9a-f]{64}`))
	operator.Expect(`without Sampan, with:\s+ssh ssh://register@127\.0\.0\.1:\d+`)
	operator.Expect(`nobody is in yet`)

	away := t.TempDir()
	alice := onTerminal(t, away, join[1:]...)
	alice.Expect(`(?i)name`)
	alice.Type("alice\r")
	alice.Expect(`(?i)password`)
	alice.Type("correct horse battery\r")
	alice.Expect(`(?i)again`)
	alice.Type("correct horse battery\r")
	alice.Expect(`waiting for the operator`)

	operator.Expect(`alice \(127\.0\.0\.1\) asks for an account, 10G: 1 allows, 2 refuses`)
	eventually(t, "a key counts", func() bool {
		operator.Type("1")
		return strings.Contains(operator.Shown(), "allow alice; a note")
	})
	operator.Expect(`allow alice; a note`)
	operator.Type("\x15welcome aboard\r")
	operator.Expect(`alice may come in now, with 10G`)

	alice.Expect(`welcome aboard`)
	alice.Expect(`alice@\S*> |> $`)
	content := awkward(7, 3_000_000)
	write(t, filepath.Join(away, "three megabytes.bin"), content)
	alice.Type("put \"three megabytes.bin\"\r")
	alice.Expect(`equal at both ends`)
	operator.Expect(`alice +127\.0\.0\.1 +TLS`)
	alice.Type("ls\r")
	alice.Expect(`2\.9 MB .*three megabytes\.bin`)
	alice.Type("Q\r")
	alice.Ends(0)
	if got := read(t, filepath.Join(data, "homes", "alice", "three megabytes.bin")); string(got) != string(content) {
		t.Errorf("the server has %d bytes", len(got))
	}
	if strings.Contains(alice.Shown(), "correct horse") {
		t.Error("the password was shown")
	}

	mallory := onTerminal(t, t.TempDir(), join[1:]...)
	mallory.Expect(`(?i)name`)
	mallory.Type("mallory\r")
	mallory.Expect(`(?i)password`)
	mallory.Type("let me in please\r")
	mallory.Expect(`(?i)again`)
	mallory.Type("let me in please\r")
	mallory.Expect(`waiting for the operator`)
	if r := runIn(t, dir, "", binary, "refuse", "mallory", "--note", "we do not know you", "--data", data); r.code != 0 {
		t.Fatalf("refuse: %s%s", r.out, r.err)
	}
	mallory.Expect(`we do not know you`)

	operator.Type("\x03")
	operator.Ends(0)
	if _, err := os.Stat(filepath.Join(data, "addresses.json")); err == nil {
		t.Error("addresses.json stays")
	}
}

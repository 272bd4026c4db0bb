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
// command for the second person; alice joins with it, after a password that is too short, and waits; the operator allows
// with one key; alice is in the shell, uploads, and her file is there, and later commands need no pin. Mallory is refused with a note.
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
	alice.Type("short\r")
	alice.Expect(`(?i)again`)
	alice.Type("short\r")
	alice.Expect(`at least 8 characters`)
	alice.Expect(`The name`)
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
	url := strings.Replace(join[2], "://", "://alice:correct%20horse%20battery@", 1)
	if r := runIn(t, away, "", binary, "ls", url); r.code != 0 || !strings.Contains(r.out, "three megabytes.bin") {
		t.Errorf("without the pin that she joined with: exit %d, %s%s", r.code, r.out, r.err)
	}
	if strings.Contains(alice.Shown(), "correct horse") {
		t.Error("the password was shown")
	}

	mallory := onTerminal(t, t.TempDir(), append(join[1:], "--name", "mallory.")...)
	mallory.Expect(`A password`)
	mallory.Type("let me in please\r")
	mallory.Expect(`again`)
	mallory.Type("let me in please\r")
	mallory.Expect(`an account's name is`)
	mallory.Expect(`The name`) // a name that cannot be is not tried for ever
	mallory.Type("mallory\r")
	mallory.Expect(`A password`)
	mallory.Type("let me in please\r")
	mallory.Expect(`(?i)again`)
	mallory.Type("let me in please\r")
	mallory.Expect(`waiting for the operator`)
	if r := runIn(t, dir, "", binary, "refuse", "mallory", "--note", "we do not know you", "--data", data); r.code != 0 {
		t.Fatalf("refuse: %s%s", r.out, r.err)
	}
	mallory.Expect(`we do not know you`)

	// ^C while something moves: it may finish, and ^C again ends it.
	if r := runIn(t, dir, "", binary, "user", "set", "alice", "--up", "100K", "--data", data); r.code != 0 {
		t.Fatalf("user set: %s%s", r.out, r.err)
	}
	slow := onTerminal(t, away, "put", "three megabytes.bin", url+"/slow.bin")
	operator.Expect(`alice +127\.0\.0\.1 +TLS +put +slow\.bin`)
	operator.Type("\x03")
	operator.Expect(`transfers under way: 1\. They may finish within 30s; \^C again ends them now`)
	operator.Type("\x03")
	operator.Ends(0)
	slow.Type("\x03")
	slow.Ends(130)
	if _, err := os.Stat(filepath.Join(data, "addresses.json")); err == nil {
		t.Error("addresses.json stays")
	}
}

// TestStoryJoinBySSH is the story of somebody who has OpenSSH and nothing else: he asks for an account with ssh, keeps the
// ticket, hears by it how the request stands, and uploads with sftp once the operator allowed it.
func TestStoryJoinBySSH(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--sftp", "127.0.0.1:0")
	s.knownHosts()
	dir := t.TempDir()
	r := s.route(way{security: byPassword, family: "IPv4"}, "register")
	ask := func() *consoletest.Terminal {
		argv := append(append([]string{"ssh", "-tt"}, sshOptions(r)...), r.host)
		p := consoletest.Open(t, 80, 24)
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Dir, cmd.Env = dir, append(environ(dir), "TERM=xterm")
		p.Start(cmd)
		p.Expect(`(?i)the name that you want`)
		return p
	}
	bob := ask()
	bob.Type("bob\r")
	bob.Expect(`(?i)a password`)
	bob.Type("pw-of-bob\r")
	bob.Expect(`(?i)again`)
	bob.Type("pw-of-bob\r")
	ticket := strings.Fields(bob.Expect(`Keep this ticket: \S+`))[3]
	bob.Ends(0)
	if strings.Contains(bob.Shown(), "pw-of-bob") {
		t.Error("the password was shown")
	}

	content := awkward(8, 3_000_000)
	write(t, filepath.Join(dir, "three megabytes.bin"), content)
	put := openSSHSays(s.route(way{security: byPassword, family: "IPv4"}, "bob"), `put "three megabytes.bin"`)
	if got := runWith(t, dir, put.env, put.stdin, put.argv...); got.code == 0 {
		t.Error("he is in before the operator allowed it")
	}
	pending := ask()
	pending.Type(ticket + "\r")
	pending.Expect(`not decided yet`)
	pending.Ends(0)
	if r := s.sampan("", "approve", "bob", "--quota", "10M", "--note", "welcome aboard"); r.code != 0 {
		t.Fatalf("approve: %s%s", r.out, r.err)
	}
	answered := ask()
	answered.Type(ticket + "\r")
	answered.Expect(`gave you the account bob and says: welcome aboard`)
	answered.Ends(0)
	if got := runWith(t, dir, put.env, put.stdin, put.argv...); got.code != 0 {
		t.Fatalf("sftp: exit %d, %s%s", got.code, got.out, got.err)
	}
	if got := read(t, filepath.Join(s.data, "homes", "bob", "three megabytes.bin")); string(got) != string(content) {
		t.Errorf("the server has %d bytes", len(got))
	}
}

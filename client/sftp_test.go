//go:build unix

package client_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"sampan/client"
	"sampan/fault"
	"sampan/files"
	"sampan/words"
)

// TestSFTPWithOpenSSH copies to OpenSSH's server and back.
func TestSFTPWithOpenSSH(t *testing.T) {
	t.Parallel()
	s := newSSHServer(t)
	r := s.dial()
	near, far := t.TempDir(), t.TempDir()
	for _, size := range []int{0, 1, 300_000, 5 << 20} {
		content := bytesOf(uint64(size), size)
		write(t, filepath.Join(near, "f"), content)
		res, err := client.Copy(t.Context(), disk(t, near), path(t, "f"), r, path(t, far+"/名 f"), client.CopyOptions{})
		must(t, err)
		if got := read(t, filepath.Join(far, "名 f")); !bytes.Equal(got, content) || res.Size != int64(size) {
			t.Errorf("%d bytes: others arrived; %+v", size, res)
		}
		_, err = client.Copy(t.Context(), r, path(t, far+"/名 f"), disk(t, near), path(t, "back"), client.CopyOptions{})
		must(t, err)
		if !bytes.Equal(read(t, filepath.Join(near, "back")), content) {
			t.Errorf("%d bytes: others came back", size)
		}
	}
	names, err := os.ReadDir(far)
	must(t, err)
	if len(names) != 1 {
		t.Errorf("there is %v", names)
	}
}

func sha256Of(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}

// TestSSHSettingsAreFollowed: an alias with its own port and key, behind a passphrase and over another server.
func TestSSHSettingsAreFollowed(t *testing.T) {
	t.Parallel()
	s := newSSHServer(t)
	host, port, _ := net.SplitHostPort(s.address)
	sealed := newKey(t, filepath.Join(s.ssh, "sealed key"), "open sesame")
	write(t, filepath.Join(s.dir, "authorized"), append(ssh.MarshalAuthorizedKey(sealed), read(t, filepath.Join(s.ssh, "id_ed25519.pub"))...))
	write(t, filepath.Join(s.ssh, "config"), fmt.Appendf(nil, `
Host inner
	HostName %[1]s
	Port %[2]s
	User %[3]s
	IdentityFile "~/.ssh/sealed key"
	IdentitiesOnly yes
	IdentityAgent none
	ProxyJump %[3]s@outer
Host outer
	HostName %[1]s
	Port %[2]s
`, host, port, s.me))
	asked := 0
	o := s.options()
	o.Ask = func(_ context.Context, q words.Message, hidden bool) (string, error) {
		if asked++; !hidden || !strings.Contains(q.String(), "sealed key") {
			t.Errorf("asked %s", q)
		}
		if asked == 1 {
			return "wrong", nil
		}
		return "open sesame", nil
	}
	u, err := client.ParseURL("sftp://inner/")
	must(t, err)
	r, err := client.Dial(t.Context(), u, o)
	must(t, err)
	defer r.Close()
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
	if got := r.URL().User; got != s.me {
		t.Errorf("logged in as %q", got)
	}
	if _, err := r.Stat(t.Context(), path(t, s.dir)); err != nil {
		t.Error(err)
	}
}

// TestSSHAgentSigns: a key of which there is only the public half here.
func TestSSHAgentSigns(t *testing.T) {
	t.Parallel()
	s := newSSHServer(t)
	private, err := ssh.ParseRawPrivateKey(read(t, filepath.Join(s.ssh, "id_ed25519")))
	must(t, err)
	must(t, os.Remove(filepath.Join(s.ssh, "id_ed25519")))
	ring := agent.NewKeyring()
	must(t, ring.Add(agent.AddedKey{PrivateKey: private}))
	socket := filepath.Join(s.ssh, "agent")
	l, err := net.Listen("unix", socket)
	must(t, err)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go agent.ServeAgent(ring, c)
		}
	}()
	write(t, filepath.Join(s.ssh, "config"), []byte("IdentityAgent "+socket+"\n"))
	s.dial()
}

// TestSFTPUploadIsResumedBehindAProof: what a cut left at a foreign server is read back, for it computes no hashes.
func TestSFTPUploadIsResumedBehindAProof(t *testing.T) {
	t.Parallel()
	s := newSSHServer(t)
	near, far := t.TempDir(), t.TempDir()
	content := bytesOf(9, 3<<20)
	write(t, filepath.Join(near, "f"), content)
	write(t, filepath.Join(far, "f"), []byte("old"))
	p := path(t, far+"/f")
	for _, c := range []struct {
		name    string
		left    []byte
		resumed int64
	}{
		{"the head", content[:2<<20], 2 << 20},
		{"another file's", bytesOf(10, 2<<20), 0},
	} {
		r := s.dial()
		u, err := r.Create(t.Context(), p, files.Want{Size: -1})
		must(t, err)
		_, err = u.Write(c.left)
		must(t, err)
		must(t, u.Close())
		if c.resumed > 0 && string(read(t, filepath.Join(far, "f"))) != "old" {
			t.Errorf("%s: the old file is gone", c.name)
		}
		part, err := r.(files.Parter).Part(t.Context(), p)
		must(t, err)
		if part.Size != int64(len(c.left)) || !bytes.Equal(part.Sum, sha256Of(c.left)) {
			t.Errorf("%s: the part is %+v", c.name, part)
		}
		res, err := client.Copy(t.Context(), disk(t, near), path(t, "f"), s.dial(), p, client.CopyOptions{})
		must(t, err)
		if res.Resumed != c.resumed || !bytes.Equal(read(t, filepath.Join(far, "f")), content) {
			t.Errorf("%s: %+v", c.name, res)
		}
		if names, _ := os.ReadDir(far); len(names) != 1 {
			t.Errorf("%s: there is %v", c.name, names)
		}
		must(t, os.WriteFile(filepath.Join(far, "f"), []byte("other"), 0o600))
	}
}

// TestSFTPStagesThatWereLeftGoWithTheirDirectory, for no listing shows them.
func TestSFTPStagesThatWereLeftGoWithTheirDirectory(t *testing.T) {
	t.Parallel()
	s := newSSHServer(t)
	r, far := s.dial(), t.TempDir()
	write(t, filepath.Join(far, "d", ".f.sampan"), []byte("left"))
	must(t, r.Remove(t.Context(), path(t, far+"/d")))
	write(t, filepath.Join(far, "e", ".f.sampan"), []byte("left"))
	write(t, filepath.Join(far, "e", "f"), nil)
	wantKind(t, r.Remove(t.Context(), path(t, far+"/e")), fault.NotEmpty)
	if _, err := os.Stat(filepath.Join(far, "e", ".f.sampan")); err != nil {
		t.Error("the stage went though the directory stays")
	}
}

// TestSFTPTreeOfManyFilesBothWays: many are on their way at once, and all arrive whole; a second copy finds what is there.
func TestSFTPTreeOfManyFilesBothWays(t *testing.T) {
	t.Parallel()
	s := newSSHServer(t)
	r := s.dial()
	tree := grove(300)
	near, far, back := t.TempDir(), t.TempDir(), t.TempDir()
	plant(t, near, tree)
	told := map[string]int{}
	res, err := client.CopyTree(t.Context(), disk(t, near), path(t, "/"), r, path(t, far+"/t"), client.CopyOptions{
		Progress: func(client.Progress) {}, // called by one at a time
	}, func(r client.Result, err error) {
		told[r.From.String()]++
		if err != nil {
			t.Errorf("%s: %v", r.From, err)
		}
	})
	must(t, err)
	if res.Files != len(tree) || len(told) != len(tree) || res.Failed != 0 {
		t.Errorf("%+v, %d told, want %d", res, len(told), len(tree))
	}
	grown(t, filepath.Join(far, "t"), tree)
	write(t, filepath.Join(far, "t", "new"), []byte("x"))
	res, err = client.CopyTree(t.Context(), r, path(t, far+"/t"), disk(t, back), path(t, "/"), client.CopyOptions{}, nil)
	must(t, err)
	if res.Files != len(tree)+1 {
		t.Errorf("back: %+v", res)
	}
	must(t, os.Remove(filepath.Join(back, "new")))
	grown(t, back, tree)
}

// TestSFTPTreeGoesOnBehindAFailure: what fails for one file does not stop the others, and who cancels is heard.
func TestSFTPTreeGoesOnBehindAFailure(t *testing.T) {
	t.Parallel()
	s := newSSHServer(t)
	r := s.dial()
	near, far := t.TempDir(), t.TempDir()
	plant(t, near, map[string][]byte{"a": []byte("a"), "b": []byte("b"), "c": []byte("c")})
	must(t, os.Mkdir(filepath.Join(far, "b"), 0o700)) // where a file has to go
	res, err := client.CopyTree(t.Context(), disk(t, near), path(t, "/"), r, path(t, far), client.CopyOptions{}, nil)
	wantKind(t, err, fault.IsDir)
	if res.Files != 2 || res.Failed != 1 {
		t.Errorf("%+v", res)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = client.CopyTree(ctx, disk(t, near), path(t, "/"), r, path(t, far+"/x"), client.CopyOptions{}, func(client.Result, error) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// relay leads to a server as a ProxyCommand does, and leaves a mark that it was there.
const relay = `import os, socket, sys, threading
open(sys.argv[3], "w").close()
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def up():
    while b := os.read(0, 65536):
        s.sendall(b)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while b := s.recv(65536):
    os.write(1, b)
`

// TestSSHProxyCommandIsRun, and nothing that a name could slip into it.
func TestSSHProxyCommandIsRun(t *testing.T) {
	t.Parallel()
	s := newSSHServer(t)
	host, port, _ := net.SplitHostPort(s.address)
	dir := t.TempDir()
	program, mark := filepath.Join(dir, "relay.py"), filepath.Join(dir, "mark")
	write(t, program, []byte(relay))
	write(t, filepath.Join(s.ssh, "config"), fmt.Appendf(nil, `
Host inner
	HostName %s
	Port %s
	User %s
Host *
	ProxyCommand python3 '%s' %%h %%p '%s' 100%%%%
`, host, port, s.me, program, mark))
	dial := func(to string) (client.Remote, error) {
		u, err := client.ParseURL("sftp://inner/")
		must(t, err)
		if u.Host = to; to != "inner" {
			u.User = "x"
		}
		return client.Dial(t.Context(), u, s.options())
	}
	for _, evil := range []string{"$(touch x)", "-oX", "a;b", "a`b`", "a b", "a|b"} {
		_, err := dial(evil)
		wantKind(t, err, fault.Syntax)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("it was run for a name that a shell would read")
	}
	r, err := dial("inner")
	must(t, err)
	defer r.Close()
	content := bytesOf(1, 1<<20)
	write(t, filepath.Join(dir, "f"), content)
	_, err = client.Copy(t.Context(), disk(t, dir), path(t, "f"), r, path(t, dir+"/g"), client.CopyOptions{})
	must(t, err)
	if _, err := os.Stat(mark); err != nil || !bytes.Equal(read(t, filepath.Join(dir, "g")), content) {
		t.Errorf("others arrived, or not that way: %v", err)
	}
}

// TestSFTPUploadsFromTwoSidesPublishNothingTorn: who lost his stage to another one does not give that one the name.
func TestSFTPUploadsFromTwoSidesPublishNothingTorn(t *testing.T) {
	t.Parallel()
	s := newSSHServer(t)
	far := t.TempDir()
	p, name := path(t, far+"/f"), filepath.Join(far, "f")
	begin := func(content []byte) files.Upload {
		u, err := s.dial().Create(t.Context(), p, files.Want{Size: -1})
		must(t, err)
		_, err = u.Write(content)
		must(t, err)
		return u
	}
	first := begin([]byte("first"))
	second := begin([]byte("the second one's beginning"))
	_, err := first.Commit(t.Context(), nil)
	wantKind(t, err, fault.Busy)
	if _, err := os.Stat(name); err == nil {
		t.Errorf("there is %q", read(t, name))
	}
	_, err = second.Write([]byte(" and its end"))
	must(t, err)
	_, err = second.Commit(t.Context(), nil)
	must(t, err)
	if got := string(read(t, name)); got != "the second one's beginning and its end" {
		t.Errorf("there is %q", got)
	}
}

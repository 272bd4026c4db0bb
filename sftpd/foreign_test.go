package sftpd

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"sampan/account"
)

// A rig is what foreign clients need on this side: a key that lets alice in, and the server's in known_hosts.
type rig struct {
	*house
	local       string // a directory of the client's
	host, port  string
	key, config string // files
}

func newRig(t *testing.T) *rig {
	t.Helper()
	h := newHouse(t)
	h.add("alice", account.Unlimited)
	r := &rig{house: h, local: t.TempDir()}
	r.host, r.port, _ = net.SplitHostPort(h.addr)
	c := h.login("alice")
	c.Close()
	key := newKeyFile(t, filepath.Join(r.local, "id"))
	r.key = filepath.Join(r.local, "id")
	if _, err := h.book.AddKeys(context.Background(), "alice", string(ssh.MarshalAuthorizedKey(key))); err != nil {
		t.Fatal(err)
	}
	host := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(h.srv.cfg.HostKeys[0].PublicKey())))
	r.file("known_hosts", fmt.Sprintf("[%s]:%s %s\n", r.host, r.port, host))
	r.config = r.file("config", fmt.Sprintf("Host *\n  User alice\n  Port %s\n  IdentityFile %s\n  IdentitiesOnly yes\n  UserKnownHostsFile %s/known_hosts\n  StrictHostKeyChecking yes\n  PasswordAuthentication no\n  KbdInteractiveAuthentication no\n",
		r.port, r.key, r.local))
	return r
}

// newKeyFile writes a private key as OpenSSH does, and returns the public one.
func newKeyFile(t *testing.T, name string) ssh.PublicKey {
	t.Helper()
	private, err := hostKeys[0].make()
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return s.PublicKey()
}

// file writes a file of the client's.
func (r *rig) file(name, content string) string {
	r.t.Helper()
	full := filepath.Join(r.local, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
	return full
}

// run runs a foreign program in the client's directory.
func (r *rig) run(stdin, name string, args ...string) (string, error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = r.local
	cmd.Env = []string{"HOME=" + r.local, "PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "LC_ALL=C.UTF-8", "TERM=dumb"}
	cmd.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func (r *rig) must(stdin, name string, args ...string) string {
	r.t.Helper()
	out, err := r.run(stdin, name, args...)
	if err != nil {
		r.t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return out
}

// has checks a file of the client's.
func (r *rig) has(name, want string) {
	r.t.Helper()
	got, err := os.ReadFile(filepath.Join(r.local, name))
	if err != nil || string(got) != want {
		r.t.Errorf("%s here: %d bytes, %v; want %d", name, len(got), err, len(want))
	}
}

func TestOpenSSH(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	big := strings.Repeat("0123456789abcdef", 700_000)
	r.file("up/one", big)
	r.file("up/deep/- 文件", "two")
	r.file("up/empty", "")
	sftp := func(batch string) string {
		t.Helper()
		return r.must(batch, "sftp", "-q", "-F", r.config, "-b", "-", r.host)
	}
	sftp("mkdir d\nput -pR up d/\nput up/one plain\nls -la d/up\n")
	r.holds("alice", "d/up/one", big)
	r.holds("alice", "d/up/deep/- 文件", "two")
	r.holds("alice", "d/up/empty", "")
	r.holds("alice", "plain", big)
	sftp("get -pR d/up down\nget plain\nrename plain d/moved\nchmod 600 d/moved\ndf -h\n")
	r.has("down/one", big)
	r.has("down/deep/- 文件", "two")
	r.has("plain", big)
	r.holds("alice", "d/moved", big)
	if out := sftp("ls -l d/moved\nls -1 d/up\n"); !strings.Contains(out, "-rw-------") || !strings.Contains(out, "deep") {
		t.Errorf("the listing: %s", out)
	}
	sftp("copy d/moved d/copy\n")
	r.holds("alice", "d/copy", big)
	r.file("half", big[:3_000_000])
	sftp("reget d/moved half\n")
	r.has("half", big)
	if out, err := r.run("get nothing-there\n", "sftp", "-q", "-F", r.config, "-b", "-", r.host); err == nil {
		t.Errorf("a missing file: %s", out)
	}
	sftp("rm d/moved\nrm d/copy\n-rm d/up/*\nrm d/up/deep/*\nrmdir d/up/deep\nrmdir d/up\nrmdir d\n")
	r.missing("alice", "d")

	r.must("", "scp", "-q", "-F", r.config, "up/one", r.host+":by-scp")
	r.holds("alice", "by-scp", big)
	r.must("", "scp", "-q", "-r", "-F", r.config, r.host+":by-scp", "back")
	r.has("back", big)
	for _, args := range [][]string{{r.host}, {r.host, "id"}} {
		out, err := r.run("", "ssh", append([]string{"-F", r.config}, args...)...)
		if err == nil || !strings.Contains(out, "only SFTP") {
			t.Errorf("ssh %q: %v, %s", args, err, out)
		}
	}
	out, err := r.run("", "ssh", "-F", r.config, "-o", "ExitOnForwardFailure=yes", "-N", "-R", "0:127.0.0.1:1", r.host)
	if err == nil || !strings.Contains(out, "forward") {
		t.Errorf("forwarding: %v, %s", err, out)
	}
}

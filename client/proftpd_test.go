//go:build unix

package client_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sampan/client"
	"sampan/fault"
	"sampan/files"
)

// proftpdSettings is ProFTPD with mod_sftp, for one account that is the one who runs the tests.
const proftpdSettings = `ServerType standalone
DefaultServer on
DefaultAddress 127.0.0.1
SocketBindTight on
Port %[1]d
UseIPv6 off
UseReverseDNS off
User %[2]s
Group %[3]s
RootLogin on
DefaultRoot ~
ModulePath /usr/lib/proftpd
LoadModule mod_sftp.c
PidFile %[4]s/pid
ScoreboardFile %[4]s/scoreboard
TransferLog none
WtmpLog off
AuthUserFile %[4]s/users
AuthOrder mod_auth_file.c
RequireValidShell off
UseFtpUsers off
AllowOverwrite on
AllowStoreRestart on
AllowRetrieveRestart on
MaxInstances none
DelayEngine off
SFTPEngine on
SFTPHostKey %[4]s/host
SFTPAuthMethods password
`

// A proftpd is ProFTPD's SFTP on loopback.
type proftpd struct {
	*sshServer
	home string
}

func newProFTPD(t *testing.T) *proftpd {
	t.Helper()
	s := &sshServer{t: t, dir: t.TempDir(), ssh: filepath.Join(t.TempDir(), ".ssh")}
	must(t, os.Mkdir(s.ssh, 0o700))
	p := &proftpd{s, filepath.Join(s.dir, "home")}
	must(t, os.Mkdir(p.home, 0o700))
	must(t, os.Chmod(s.dir, 0o700))
	me, err := user.Current()
	must(t, err)
	group, err := user.LookupGroupId(me.Gid)
	must(t, err)
	s.me = "alice"
	// password as crypt(3) has it, MD5-crypt
	users := fmt.Sprintf("alice:$1$sampan$WXg7tEw4WocVy8.hMLoCA0:%s:%s::%s:/bin/false\n", me.Uid, me.Gid, p.home)
	must(t, os.WriteFile(filepath.Join(s.dir, "users"), []byte(users), 0o600))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.MarshalECPrivateKey(key)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(s.dir, "host"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600))
	s.host, err = ssh.NewPublicKey(key.Public())
	must(t, err)
	for range 20 { // the port is found by asking for a free one
		if p.listen(me.Username, group.Name) {
			break
		}
	}
	if s.address == "" {
		t.Fatal("proftpd does not listen")
	}
	s.know(s.host)
	return p
}

func (p *proftpd) listen(name, group string) bool {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(p.t, err)
	address := l.Addr().(*net.TCPAddr)
	l.Close()
	conf := filepath.Join(p.dir, "conf")
	must(p.t, os.WriteFile(conf, fmt.Appendf(nil, proftpdSettings, address.Port, name, group, p.dir), 0o600))
	cmd := exec.Command("/usr/sbin/proftpd", "-n", "-c", conf)
	out, err := cmd.StderrPipe()
	must(p.t, err)
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("proftpd: %v (Debian: proftpd-core, proftpd-mod-crypto)", err)
	}
	var said strings.Builder
	gone := make(chan struct{})
	go func() {
		io.Copy(&said, out)
		close(gone)
	}()
	for {
		c, err := net.Dial("tcp", address.String())
		if err == nil {
			c.Close()
			break
		}
		select {
		case <-gone:
			cmd.Wait()
			if !strings.Contains(said.String(), "in use") {
				p.t.Fatalf("proftpd: %s", said.String())
			}
			return false
		case <-time.After(10 * time.Millisecond): // it tells nobody when it listens
		}
	}
	p.t.Cleanup(func() {
		cmd.Process.Kill()
		<-gone
		cmd.Wait()
	})
	p.address = address.String()
	return true
}

func (p *proftpd) login() client.Remote {
	p.t.Helper()
	u := p.url()
	u.Pass = password
	r, err := client.Dial(p.t.Context(), u, client.Options{SSH: p.ssh, Timeout: 20 * time.Second})
	if err != nil {
		p.t.Fatalf("dial: %v", err)
	}
	p.t.Cleanup(func() { r.Close() })
	return r
}

// TestSFTPWithProFTPD: files of all sizes and names, both ways, and over what is there.
func TestSFTPWithProFTPD(t *testing.T) {
	t.Parallel()
	p := newProFTPD(t)
	r := p.login()
	near := t.TempDir()
	for _, name := range []string{"f", "名 f", "-la", "a'b\"c", "*"} {
		for _, size := range []int{0, 1, 10<<20 + 1} {
			content := bytesOf(uint64(size), size)
			write(t, filepath.Join(near, "f"), content)
			res, err := client.Copy(t.Context(), disk(t, near), path(t, "f"), r, path(t, "/"+name), client.CopyOptions{})
			must(t, err)
			if got := read(t, filepath.Join(p.home, name)); !bytes.Equal(got, content) || res.Size != int64(size) {
				t.Errorf("%s, %d bytes: others arrived; %+v", name, size, res)
			}
			_, err = client.Copy(t.Context(), r, path(t, "/"+name), disk(t, near), path(t, "back"), client.CopyOptions{})
			must(t, err)
			if !bytes.Equal(read(t, filepath.Join(near, "back")), content) {
				t.Errorf("%s, %d bytes: others came back", name, size)
			}
		}
	}
	names, err := os.ReadDir(p.home)
	must(t, err)
	if len(names) != 5 {
		t.Errorf("there is %v", names)
	}
}

// TestSFTPResumedWithProFTPD: what a cut left is proved by the server's hash.
func TestSFTPResumedWithProFTPD(t *testing.T) {
	t.Parallel()
	p := newProFTPD(t)
	near := t.TempDir()
	content := bytesOf(9, 3<<20)
	write(t, filepath.Join(near, "f"), content)
	for _, c := range []struct {
		name    string
		left    []byte
		resumed int64
	}{
		{"the head", content[:2<<20], 2 << 20},
		{"another file's", bytesOf(10, 2<<20), 0},
	} {
		write(t, filepath.Join(p.home, "f"), []byte("old"))
		u, err := p.login().Create(t.Context(), path(t, "f"), files.Want{Size: -1})
		must(t, err)
		_, err = u.Write(c.left)
		must(t, err)
		must(t, u.Close())
		if string(read(t, filepath.Join(p.home, "f"))) != "old" {
			t.Errorf("%s: the old file is gone", c.name)
		}
		res, err := client.Copy(t.Context(), disk(t, near), path(t, "f"), p.login(), path(t, "f"), client.CopyOptions{})
		must(t, err)
		if res.Resumed != c.resumed || !res.Verified || !bytes.Equal(read(t, filepath.Join(p.home, "f")), content) {
			t.Errorf("%s: %+v", c.name, res)
		}
		if names, _ := os.ReadDir(p.home); len(names) != 1 {
			t.Errorf("%s: there is %v", c.name, names)
		}
	}
	must(t, os.WriteFile(filepath.Join(near, "g.part"), content[:1<<20], 0o600))
	res, err := client.Copy(t.Context(), p.login(), path(t, "f"), disk(t, near), path(t, "g"), client.CopyOptions{})
	must(t, err)
	if res.Resumed != 1<<20 || !res.Verified || !bytes.Equal(read(t, filepath.Join(near, "g")), content) {
		t.Errorf("down: %+v", res)
	}
}

// TestSFTPTreeWithProFTPD both ways, and a directory that is not empty.
func TestSFTPTreeWithProFTPD(t *testing.T) {
	t.Parallel()
	p := newProFTPD(t)
	r := p.login()
	tree := grove(200)
	near, back := t.TempDir(), t.TempDir()
	plant(t, near, tree)
	res, err := client.CopyTree(t.Context(), disk(t, near), path(t, "/"), r, path(t, "t"), client.CopyOptions{}, nil)
	must(t, err)
	if res.Files != len(tree) || res.Failed != 0 {
		t.Errorf("%+v", res)
	}
	grown(t, filepath.Join(p.home, "t"), tree)
	res, err = client.CopyTree(t.Context(), r, path(t, "t"), disk(t, back), path(t, "/"), client.CopyOptions{}, nil)
	must(t, err)
	if res.Files != len(tree) {
		t.Errorf("back: %+v", res)
	}
	grown(t, back, tree)
	wantKind(t, r.Remove(t.Context(), path(t, "t")), fault.NotEmpty)
	must(t, client.RemoveTree(t.Context(), r, path(t, "t"), nil))
	if names, _ := os.ReadDir(p.home); len(names) != 0 {
		t.Errorf("there is %v", names)
	}
}

//go:build unix

package client_test

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sampan/client"
)

// An sshServer is OpenSSH's sshd on loopback, with a host key and settings of its own, and the user's files that lead there.
type sshServer struct {
	t       testing.TB
	dir     string // of the server
	ssh     string // the client's ~/.ssh
	address string
	me      string
	host    ssh.PublicKey
}

// newSSHServer starts sshd and waits until it listens. more are lines of its settings.
func newSSHServer(t testing.TB, more ...string) *sshServer {
	t.Helper()
	s := &sshServer{t: t, dir: t.TempDir()}
	s.ssh = filepath.Join(t.TempDir(), ".ssh")
	must(t, os.Mkdir(s.ssh, 0o700))
	u, err := user.Current()
	must(t, err)
	s.me = u.Username
	s.host = newKey(t, filepath.Join(s.dir, "host"), "")
	public := newKey(t, filepath.Join(s.ssh, "id_ed25519"), "")
	write(t, filepath.Join(s.dir, "authorized"), ssh.MarshalAuthorizedKey(public))
	if os.Geteuid() == 0 { // where sshd goes before it knows who comes
		must(t, os.MkdirAll("/run/sshd", 0o755))
	}
	// The port is found by asking for a free one; sshd cannot be told to take any.
	for range 20 {
		if s.listen(more) {
			break
		}
	}
	if s.address == "" {
		t.Fatal("sshd does not listen")
	}
	s.know(s.host)
	return s
}

// know makes a host key the known one.
func (s *sshServer) know(key ssh.PublicKey) {
	host, port, _ := net.SplitHostPort(s.address)
	line := fmt.Sprintf("[%s]:%s %s", host, port, ssh.MarshalAuthorizedKey(key))
	write(s.t, filepath.Join(s.ssh, "known_hosts"), []byte(line))
}

// newKey makes a key and writes it, with the public half beside it.
func newKey(t testing.TB, name, passphrase string) ssh.PublicKey {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(private, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(passphrase))
	}
	must(t, err)
	must(t, os.WriteFile(name, pem.EncodeToMemory(block), 0o600))
	key, err := ssh.NewPublicKey(public)
	must(t, err)
	write(t, name+".pub", ssh.MarshalAuthorizedKey(key))
	return key
}

func (s *sshServer) listen(more []string) bool {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(s.t, err)
	address := l.Addr().(*net.TCPAddr)
	l.Close()
	conf := filepath.Join(s.dir, "sshd_config")
	lines := append([]string{
		fmt.Sprintf("ListenAddress 127.0.0.1:%d", address.Port), "HostKey " + filepath.Join(s.dir, "host"), "PidFile none",
		"AuthorizedKeysFile " + filepath.Join(s.dir, "authorized"), "StrictModes no", "UsePAM no", "PasswordAuthentication no",
		"KbdInteractiveAuthentication no", "PermitRootLogin yes", "MaxStartups 1000", "MaxSessions 100", "UseDNS no", "Subsystem sftp internal-sftp",
	}, more...)
	write(s.t, conf, []byte(strings.Join(lines, "\n")+"\n"))
	cmd := exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", conf)
	out, err := cmd.StderrPipe()
	must(s.t, err)
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("sshd: %v (Debian: openssh-server)", err)
	}
	listens := make(chan bool, 1)
	var said strings.Builder
	var reading sync.WaitGroup
	reading.Go(func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			said.WriteString(lines.Text() + "\n")
			if strings.HasPrefix(lines.Text(), "Server listening on") {
				select {
				case listens <- true:
				default:
				}
			}
		}
		io.Copy(io.Discard, out)
		select {
		case listens <- false:
		default:
		}
	})
	end := func() {
		cmd.Process.Kill()
		reading.Wait()
		cmd.Wait()
	}
	if !<-listens {
		end()
		if !strings.Contains(said.String(), "in use") {
			s.t.Fatalf("sshd: %s", said.String())
		}
		return false
	}
	s.t.Cleanup(end)
	s.address = address.String()
	return true
}

func (s *sshServer) options() client.Options {
	return client.Options{SSH: s.ssh, Timeout: 20 * time.Second}
}

func (s *sshServer) url() client.URL {
	s.t.Helper()
	u, err := client.ParseURL("sftp://" + s.me + "@" + s.address)
	must(s.t, err)
	return u
}

func (s *sshServer) dial(change ...func(*client.Options)) client.Remote {
	s.t.Helper()
	o := s.options()
	for _, c := range change {
		c(&o)
	}
	r, err := client.Dial(s.t.Context(), s.url(), o)
	if err != nil {
		s.t.Fatalf("dial: %v", err)
	}
	s.t.Cleanup(func() { r.Close() })
	return r
}

//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// sshCipher is what all connections over SSH use: the fastest that all know.
const sshCipher = "aes128-gcm@openssh.com"

// An sftpClient is pkg/sftp on a connection of its own.
type sftpClient struct {
	*sftp.Client
	conn *ssh.Client
}

func (t *trial) dialSSH() (*sftpClient, error) {
	conf := &ssh.ClientConfig{
		User: t.user, Auth: []ssh.AuthMethod{ssh.PublicKeys(t.env.signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	}
	conf.Ciphers = []string{sshCipher}
	conn, err := ssh.Dial("tcp", t.at.String(), conf)
	if err != nil {
		return nil, err
	}
	c, err := sftp.NewClient(conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &sftpClient{c, conn}, nil
}

// overSSH logs in, does something and logs out.
func (t *trial) overSSH(do func(*sftpClient) error) error {
	c, err := t.dialSSH()
	if err != nil {
		return err
	}
	return errors.Join(do(c), c.conn.Close())
}

// store sends a small file as clients do: OPEN, WRITE, CLOSE.
func (c *sftpClient) store(name string, content []byte) error {
	f, err := c.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// fetch receives a file whose size is known: OPEN, READ, CLOSE.
func (c *sftpClient) fetch(name string, into []byte) error {
	f, err := c.Open(name)
	if err != nil {
		return err
	}
	_, err = io.ReadFull(f, into)
	return errors.Join(err, f.Close())
}

// A program is somebody's client, logged in, that takes commands line by line and knows `pwd`.
type program struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	answer string // what the answer to pwd begins with
	said   strings.Builder
}

// openSFTP starts OpenSSH's sftp.
func (t *trial) openSFTP() (*program, error) {
	cmd := exec.Command("sftp", "-q", "-b", "-", "-F", "none", "-c", sshCipher, "-i", t.env.userKey, "-o", "IdentitiesOnly=yes",
		"-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR",
		"-P", fmt.Sprint(t.at.Port()), t.user+"@"+t.at.Addr().String())
	return t.program(cmd, "Remote working directory:")
}

// openOurs starts our shell.
func (t *trial) openOurs() (*program, error) {
	cmd := exec.Command(t.env.sampan, "open", "--yes", "sftp://"+t.user+"@"+t.at.String())
	cmd.Env = append(os.Environ(), "HOME="+t.env.home)
	return t.program(cmd, "/")
}

func (t *trial) program(cmd *exec.Cmd, answer string) (*program, error) {
	p := &program{cmd: cmd, answer: answer}
	cmd.Dir, cmd.Stderr = t.dir, &p.said
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.in, p.out = in, bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if err := p.settle(); err != nil {
		return nil, errors.Join(err, p.end())
	}
	return p, nil
}

// settle waits until all commands so far are done.
func (p *program) settle() error {
	if _, err := io.WriteString(p.in, "pwd\n"); err != nil {
		return err
	}
	for {
		line, err := p.out.ReadString('\n')
		if err != nil {
			return fmt.Errorf("%s ended", p.cmd.Path)
		}
		if strings.HasPrefix(line, p.answer) {
			return nil
		}
	}
}

// do runs a command to its end.
func (p *program) do(command string) error {
	if _, err := io.WriteString(p.in, command+"\n"); err != nil {
		return err
	}
	return p.settle()
}

// end ends it; the error tells what it complained of.
func (p *program) end() error {
	p.in.Close()
	err := p.cmd.Wait()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", filepath.Base(p.cmd.Path), err, p.said.String())
	}
	return err
}

// by runs one command of a client that is logged in, and returns how long it took and the server's processor time.
func (t *trial) by(open func() (*program, error), command string) (elapsed, cpu time.Duration, err error) {
	p, err := open()
	if err != nil {
		return 0, 0, err
	}
	used := t.proc.cpu()
	begun := time.Now()
	err = p.do(command)
	elapsed, cpu = time.Since(begun), t.proc.cpu()-used
	return elapsed, cpu, errors.Join(err, p.end())
}

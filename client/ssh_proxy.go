package client

import (
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"sampan/fault"
)

// proxyCommand fills in a ProxyCommand (ssh_config(5)). A shell reads it, so names that mean something to a shell are refused: a
// URL may come from anywhere.
func proxyCommand(command, alias string, t sshTarget) (string, error) {
	for _, name := range []string{alias, t.host, t.user} {
		if strings.HasPrefix(name, "-") || strings.ContainsFunc(name, func(r rune) bool {
			return r <= ' ' || r == 0x7f || strings.ContainsRune("'`\"\\;&<>|(){}$*?!#~", r)
		}) {
			return "", fault.New(fault.Syntax, "%s cannot be handed to the ProxyCommand of the settings of ssh", printable(name))
		}
	}
	return strings.NewReplacer("%%", "%", "%h", t.host, "%n", alias, "%p", strconv.Itoa(t.port), "%r", t.user).Replace(command), nil
}

// A proxied connection is what a ProxyCommand carries.
type proxied struct {
	io.Reader
	io.WriteCloser
	cmd *exec.Cmd
	end sync.Once
}

// dialProxy starts a command of the user's shell that leads to the server.
func dialProxy(command string) (net.Conn, error) {
	cmd := exec.Command("cmd", "/c", command)
	if runtime.GOOS != "windows" {
		shell := os.Getenv("SHELL")
		if shell == "" {
			shell = "/bin/sh"
		}
		cmd = exec.Command(shell, "-c", "exec "+command)
	}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &proxied{Reader: out, WriteCloser: in, cmd: cmd}, nil
}

// Close ends the command.
func (p *proxied) Close() error {
	p.end.Do(func() {
		p.cmd.Process.Kill()
		p.WriteCloser.Close()
		p.cmd.Wait() // ends who still reads
	})
	return nil
}

// LocalAddr implements net.Conn.
func (p *proxied) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero} }

// RemoteAddr implements net.Conn: nobody knows it.
func (p *proxied) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero} }

// SetDeadline implements net.Conn; who is late is closed.
func (p *proxied) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (p *proxied) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (p *proxied) SetWriteDeadline(time.Time) error { return nil }

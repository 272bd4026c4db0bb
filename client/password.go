package client

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/jdx/go-netrc"

	"sampan/fault"
)

// secret finds the password, once: the URL, SAMPAN_PASSWORD, the output of SAMPAN_PASSWORD_COMMAND, ~/.netrc, and at
// last Options.Password. Anonymous needs none (RFC 1635 has an address there; we do not tell one).
func (d *dialed) secret(ctx context.Context) (string, error) {
	d.mu.Lock()
	password, known, ask := d.password, d.known, d.opts.Password
	d.mu.Unlock()
	if known {
		return password, nil
	}
	password, ok, err := d.find(ctx)
	if err != nil {
		return "", err
	}
	if !ok {
		if ask == nil {
			return "", fault.New(fault.Unauth, "%s wants a password for %s; set SAMPAN_PASSWORD or write it to ~/.netrc", d.url.Address(), d.user)
		}
		if password, err = ask(ctx, d.URL()); err != nil {
			return "", err
		}
	}
	if strings.ContainsAny(password, "\x00\r\n") {
		return "", fault.New(fault.Unauth, "the password holds a line end")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.password, d.known = password, true
	return password, nil
}

// forget drops a password that the server refused.
func (d *dialed) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.password, d.known = "", false
}

// given reports whether the person said a password beforehand, in the URL or the environment.
func (d *dialed) given() bool {
	_, set := os.LookupEnv("SAMPAN_PASSWORD")
	return d.url.Pass != "" || !d.jump && (set || os.Getenv("SAMPAN_PASSWORD_COMMAND") != "")
}

func (d *dialed) find(ctx context.Context) (password string, ok bool, err error) {
	switch {
	case d.url.Pass != "":
		return d.url.Pass, true, nil
	case d.user == "" || d.user == "anonymous":
		return "sampan@", true, nil
	case d.jump:
		return fromNetrc(d.url.Host, d.user)
	}
	if p, ok := os.LookupEnv("SAMPAN_PASSWORD"); ok {
		return p, true, nil
	}
	if line := os.Getenv("SAMPAN_PASSWORD_COMMAND"); line != "" {
		p, err := passwordFrom(ctx, line)
		return p, true, err
	}
	return fromNetrc(d.url.Host, d.user)
}

// passwordFrom runs a command of the user's shell; its first line is the password.
func passwordFrom(ctx context.Context, line string) (string, error) {
	shell, flag := "sh", "-c"
	if runtime.GOOS == "windows" {
		shell, flag = "cmd", "/c"
	}
	cmd := exec.CommandContext(ctx, shell, flag, line)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fault.Wrap(fault.Unauth, err, "SAMPAN_PASSWORD_COMMAND failed: %s", printable(err.Error()))
	}
	first, _, _ := bytes.Cut(out, []byte("\n"))
	return strings.TrimSuffix(string(first), "\r"), nil
}

// fromNetrc looks for the machine, and for the default, with this log-in name or with none.
func fromNetrc(host, user string) (password string, ok bool, err error) {
	file := os.Getenv("NETRC")
	if file == "" {
		dir, err := os.UserHomeDir()
		if err != nil {
			return "", false, nil
		}
		file = filepath.Join(dir, ".netrc")
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fault.Wrap(fault.Local, err, "%s: cannot be read", file)
	}
	parsed, err := netrc.ParseString(string(text))
	if err != nil {
		return "", false, fault.Wrap(fault.Local, err, "%s: not in the form of a netrc file", file)
	}
	for _, m := range parsed.Machines() {
		if !m.IsDefault && !strings.EqualFold(m.Name, host) {
			continue
		}
		if login := m.Get("login"); login != "" && login != user || m.Get("password") == "" {
			continue
		}
		return m.Get("password"), true, nil
	}
	return "", false, nil
}

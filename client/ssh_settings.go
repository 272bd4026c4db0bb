package client

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kevinburke/ssh_config"

	"sampan/fault"
	"sampan/words"
)

// sshHome is where SSH keeps what it knows: the user's directory and the system's.
type sshHome struct {
	dirs    []string
	configs []*ssh_config.Config // the user's, then the system's: the first that says something counts
	say     func(words.Message)
}

// openSSHHome reads the settings in dir; "" stands for the user's own and the system's. A file that cannot be understood is
// left out, which say hears.
func openSSHHome(dir string, say func(words.Message)) (*sshHome, error) {
	h := &sshHome{dirs: []string{dir}, say: say}
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, fault.Wrap(fault.Local, err, "this machine names no directory for settings; set HOME")
		}
		h.dirs = []string{filepath.Join(home, ".ssh"), "/etc/ssh"}
	}
	for i, dir := range h.dirs {
		name := filepath.Join(dir, [...]string{"config", "ssh_config"}[i])
		text, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var c *ssh_config.Config
		if err == nil {
			c, err = ssh_config.DecodeBytes(text)
		}
		if err != nil {
			say(words.M("%s is left out: %s", name, printable(err.Error())))
			continue
		}
		h.configs = append(h.configs, c)
	}
	return h, nil
}

// own is the user's directory.
func (h *sshHome) own() string { return h.dirs[0] }

// all returns what the settings say of a key for a host, in their order; none is nil.
func (h *sshHome) all(host, key string) []string {
	var values []string
	for _, c := range h.configs {
		v, err := c.GetAll(host, key)
		if err == nil {
			values = append(values, v...)
		}
	}
	return values
}

// one returns the first thing that the settings say, "" if nothing.
func (h *sshHome) one(host, key string) string {
	if all := h.all(host, key); len(all) > 0 {
		return all[0]
	}
	return ""
}

// sshTarget is a server as the settings have it (ssh_config(5)).
type sshTarget struct {
	host  string
	port  int
	user  string
	keys  []string // IdentityFile
	only  bool     // IdentitiesOnly
	agent string   // socket of the agent, "" for none
	jump  []string // ProxyJump
	proxy string   // ProxyCommand, filled in; "" for none
}

// target is what the settings say of the server of u. What the URL says counts more, but that a URL that says 22 says nothing.
func (h *sshHome) target(u URL) (sshTarget, error) {
	alias := u.Host
	t := sshTarget{host: alias, port: u.Port, user: u.User}
	if name := h.one(alias, "HostName"); name != "" {
		t.host = strings.NewReplacer("%h", alias, "%%", "%").Replace(name)
	}
	if t.user == "" {
		t.user = h.one(alias, "User")
	}
	if t.user == "" {
		me, err := user.Current()
		if err != nil {
			return t, fault.Wrap(fault.Unauth, err, "say as whom: sftp://name@%s", alias)
		}
		t.user = me.Username
	}
	if port := h.one(alias, "Port"); port != "" && t.port == ports["sftp"] {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return t, fault.New(fault.Syntax, "the settings of ssh name a port for %s that is none: %s", alias, printable(port))
		}
		t.port = int(n)
	}
	t.only = strings.EqualFold(h.one(alias, "IdentitiesOnly"), "yes")
	switch agent := h.one(alias, "IdentityAgent"); {
	case agent == "", agent == "SSH_AUTH_SOCK":
		t.agent = os.Getenv("SSH_AUTH_SOCK")
	case strings.HasPrefix(agent, "$"):
		t.agent = os.Getenv(agent[1:])
	case !strings.EqualFold(agent, "none"):
		t.agent = h.expand(agent, alias, t)
	}
	for _, name := range h.all(alias, "IdentityFile") {
		if !strings.EqualFold(name, "none") {
			t.keys = append(t.keys, h.expand(name, alias, t))
		}
	}
	if jump := h.one(alias, "ProxyJump"); jump != "" {
		t.jump = jumps(jump)
	} else if command := h.one(alias, "ProxyCommand"); command != "" && !strings.EqualFold(command, "none") {
		var err error
		if t.proxy, err = proxyCommand(command, alias, t); err != nil {
			return t, err
		}
	}
	return t, nil
}

// jumps are the servers of a ProxyJump, the first one first.
func jumps(list string) []string {
	if strings.EqualFold(list, "none") {
		return nil
	}
	return strings.Split(list, ",")
}

// expand fills in a file name of the settings: "~", and the tokens that make sense here.
func (h *sshHome) expand(name, alias string, t sshTarget) string {
	home := filepath.Dir(h.own())
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		name = filepath.Join(home, rest)
	}
	var local string
	if me, err := user.Current(); err == nil {
		local = me.Username
	}
	name = strings.NewReplacer("%%", "%", "%d", home, "%h", t.host, "%n", alias, "%p", strconv.Itoa(t.port), "%r", t.user, "%u", local).Replace(name)
	if !filepath.IsAbs(name) {
		name = filepath.Join(h.own(), name)
	}
	return name
}

// known returns the files of host keys that there are.
func (h *sshHome) known() []string {
	var there []string
	for _, dir := range h.dirs {
		for _, name := range []string{"known_hosts", "known_hosts2", "ssh_known_hosts", "ssh_known_hosts2"} {
			name = filepath.Join(dir, name)
			if _, err := os.Stat(name); err == nil {
				there = append(there, name)
			}
		}
	}
	return there
}

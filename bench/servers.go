//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A server is one of those that are compared: how to make it ready, once, and how to start it.
type server struct {
	name    string
	user    string
	ours    bool
	strict  bool // runs in the rows that ask for durable uploads only, with its files on the disk
	noMLSD  bool
	prepare func(*site) error
	start   starter // of FTP, with TLS only if secure; nil if it serves none
	sftp    starter // nil if it serves none
}

// A starter starts a server.
type starter func(s *site, at netip.AddrPort, secure bool) (*process, error)

// A site is where a server lives: its settings, and the home of its only user.
type site struct {
	*server
	dir, home string
	env       *environment
	cleared   int // how often a strict one was cleared
}

// An environment is what all servers share.
type environment struct {
	sampan    string // our binary
	peers     string // where the peers' packages are unpacked
	cert, key string
	both      string // certificate and key in one file
	sshKeys
}

const (
	userName = "bench"
	password = "correct horse"
	// passwordHash is password as crypt(3) has it: MD5-crypt, the cheapest, so that the log-in rows are about the peers
	// and not about their hash.
	passwordHash = "$1$sampan$Yc3MUZTMtHswlvGCxpD/30"
	nobody       = 65534
)

// servers returns all that can be compared; ours first.
func servers() []*server {
	return []*server{
		{name: "sampan", user: userName, ours: true, prepare: prepareSampan, start: startSampan("ftp", "fast"), sftp: startSampan("sftp", "fast")},
		{
			name: "sampan-strict", user: userName, ours: true, strict: true, prepare: prepareSampan,
			start: startSampan("ftp", "strict"), sftp: startSampan("sftp", "strict"),
		},
		{name: "vsftpd", user: "anonymous", noMLSD: true, prepare: prepareVsftpd, start: startVsftpd},
		{name: "proftpd", user: userName, prepare: prepareProftpd, start: startProftpd, sftp: startModSFTP},
		{name: "pure-ftpd", user: userName, prepare: preparePureFTPd, start: startPureFTPd},
		{name: "pyftpdlib", user: userName, prepare: preparePyftpdlib, start: startPyftpdlib},
		{name: "openssh", user: userName, prepare: prepareSSHD, sftp: startSSHD},
	}
}

func prepareSampan(s *site) error {
	if err := addUser(s, userName); err != nil {
		return err
	}
	return command("", s.env.sampan, "user", "key", "add", userName, "--data", s.path("data"), s.env.userPublic)
}

func addUser(s *site, name string) error {
	return command(password+"\n", s.env.sampan, "user", "add", name, "--data", s.path("data"), "--home", s.home, "--password-stdin")
}

func command(stdin, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(name), err, bytes.TrimSpace(out))
	}
	return nil
}

func startSampan(proto, durability string) starter {
	return func(s *site, at netip.AddrPort, _ bool) (*process, error) {
		listen := map[string]string{"ftp": "off", "sftp": "off", proto: at.String()}
		return launch(s.dir, nil, s.env.sampan, "serve", "--data", s.path("data"), "--ftp", listen["ftp"], "--sftp", listen["sftp"],
			"--durability", durability, "--max-sessions", "20000", "--max-sessions-per-address", "20000", "--max-sessions-per-account", "20000",
			"--tls-cert", s.env.cert, "--tls-key", s.env.key, "--log-level", "warn")
	}
}

// path names a file of the site.
func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

// write writes a file of the site.
func (s *site) write(name, format string, args ...any) error {
	return os.WriteFile(s.path(name), fmt.Appendf(nil, format, args...), 0o600)
}

// peer names a file of the peers' packages, and libraries the environment that they need.
func (s *site) peer(name string) string { return filepath.Join(s.env.peers, name) }

func (s *site) libraries() []string {
	dirs, _ := filepath.Glob(s.peer("usr/lib/*-linux-gnu*"))
	return []string{"LD_LIBRARY_PATH=" + strings.Join(dirs, ":")}
}

// vsftpd has no accounts of its own but PAM's and the system's. To leave the machine as it is, it serves an anonymous
// user who may write, as a system user that has a home.
const vsftpdSettings = `listen=YES
background=NO
listen_address=%s
listen_port=%d
anonymous_enable=YES
no_anon_password=NO
local_enable=NO
ftp_username=daemon
nopriv_user=nobody
anon_root=%s
write_enable=YES
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
anon_world_readable_only=NO
xferlog_enable=NO
seccomp_sandbox=NO
isolate_network=NO
secure_chroot_dir=%s
max_clients=0
max_per_ip=0
ssl_enable=%s
allow_anon_ssl=YES
force_anon_data_ssl=NO
force_anon_logins_ssl=NO
force_local_data_ssl=NO
force_local_logins_ssl=NO
require_ssl_reuse=NO
ssl_ciphers=HIGH
rsa_cert_file=%s
rsa_private_key_file=%s
`

func prepareVsftpd(s *site) error { return os.MkdirAll(s.path("empty"), 0o755) }

func startVsftpd(s *site, at netip.AddrPort, secure bool) (*process, error) {
	ssl := "NO"
	if secure {
		ssl = "YES"
	}
	err := s.write("conf", vsftpdSettings, at.Addr(), at.Port(), s.home, s.path("empty"), ssl, s.env.cert, s.env.key)
	if err != nil {
		return nil, err
	}
	return launch(s.dir, s.libraries(), s.peer("usr/sbin/vsftpd"), s.path("conf"))
}

const proftpdSettings = `ServerType standalone
DefaultServer on
DefaultAddress %s
SocketBindTight on
Port %d
UseIPv6 off
UseReverseDNS off
User nobody
Group nogroup
DefaultRoot ~
ModulePath %s
PidFile %s
ScoreboardFile %s
SystemLog none
TransferLog none
WtmpLog off
AuthUserFile %s
AuthOrder mod_auth_file.c
RequireValidShell off
UseFtpUsers off
AllowOverwrite on
MaxInstances none
DelayEngine off
`

const proftpdTLS = `LoadModule mod_tls.c
TLSEngine on
TLSRequired off
TLSOptions NoSessionReuseRequired
TLSECCertificateFile %s
TLSECCertificateKeyFile %s
`

func prepareProftpd(s *site) error {
	return s.write("users", "%s:%s:%d:%d::%s:/bin/false\n", userName, passwordHash, nobody, nobody, s.home)
}

func startProftpd(s *site, at netip.AddrPort, secure bool) (*process, error) {
	more := ""
	if secure {
		more = fmt.Sprintf(proftpdTLS, s.env.cert, s.env.key)
	}
	return s.launchProftpd(at, more)
}

// launchProftpd starts ProFTPD with more settings than it always has.
func (s *site) launchProftpd(at netip.AddrPort, more string) (*process, error) {
	settings := fmt.Sprintf(proftpdSettings, at.Addr(), at.Port(), s.peer("usr/lib/proftpd"), s.path("pid"),
		s.path("scoreboard"), s.path("users"))
	if err := s.write("conf", "%s%s", settings, more); err != nil {
		return nil, err
	}
	return launch(s.dir, s.libraries(), s.peer("usr/sbin/proftpd"), "-n", "-q", "-c", s.path("conf"))
}

func preparePureFTPd(s *site) error {
	err := s.write("passwd", "%s:%s:%d:%d::%s/./::::::::::::\n", userName, passwordHash, nobody, nobody, s.home)
	if err != nil {
		return err
	}
	return command("", "env", s.libraries()[0], s.peer("usr/bin/pure-pw"), "mkdb", s.path("pdb"), "-f", s.path("passwd"))
}

func startPureFTPd(s *site, at netip.AddrPort, secure bool) (*process, error) {
	args := []string{
		"-S", fmt.Sprintf("%s,%d", at.Addr(), at.Port()), "-4", "-H", "-E", "-c", "20000", "-C", "20000",
		"-L", "1000000:5", "-f", "none", "-g", s.path("pid"), "-l", "puredb:" + s.path("pdb"),
	}
	if secure {
		args = append(args, "-Y", "1", "-2", s.env.both)
	}
	return launch(s.dir, s.libraries(), s.peer("usr/sbin/pure-ftpd"), args...)
}

const pyftpdlibProgram = `import logging, sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
from pyftpdlib.servers import FTPServer

host, port, home, pem, secure, user, password = sys.argv[1:]
logging.basicConfig(level=logging.CRITICAL)
users = DummyAuthorizer()
users.add_user(user, password, home, perm="elradfmwMT")
handler = TLS_FTPHandler if secure == "true" else FTPHandler
handler.authorizer = users
handler.certfile = pem
server = FTPServer((host, int(port)), handler, backlog=1024)
server.max_cons = 0
server.max_cons_per_ip = 0
server.serve_forever()
`

// python is Debian's, for which the package is built.
const python = "/usr/bin/python3"

func preparePyftpdlib(s *site) error {
	if _, err := os.Stat(python); err != nil {
		return errors.New("python3 of Debian is not installed")
	}
	return s.write("server.py", "%s", pyftpdlibProgram)
}

func startPyftpdlib(s *site, at netip.AddrPort, secure bool) (*process, error) {
	env := append(s.libraries(), "PYTHONPATH="+s.peer("usr/lib/python3/dist-packages"))
	return launch(s.dir, env, python, s.path("server.py"), at.Addr().String(), fmt.Sprint(at.Port()), s.home,
		s.env.both, fmt.Sprint(secure), userName, password)
}

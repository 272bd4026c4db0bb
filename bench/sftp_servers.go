//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// sshKeys are what all log-ins over SSH are made with: everybody takes ECDSA P-256.
type sshKeys struct {
	home       string // of the clients' user: the key is in .ssh
	userKey    string // its file
	userPublic string // as authorized_keys has it
	hostKey    string // the peers'; ours has its own
	signer     ssh.Signer
}

// makeKeys makes the user's key and the peers' host key.
func (k *sshKeys) makeKeys(dir string) error {
	k.home = filepath.Join(dir, "user")
	k.userKey = filepath.Join(k.home, ".ssh", "id_ecdsa")
	k.hostKey = filepath.Join(dir, "host.pem")
	if err := os.MkdirAll(filepath.Dir(k.userKey), 0o700); err != nil {
		return err
	}
	if _, err := newKey(k.hostKey); err != nil {
		return err
	}
	var err error
	if k.signer, err = newKey(k.userKey); err != nil {
		return err
	}
	k.userPublic = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.signer.PublicKey())))
	return nil
}

func newKey(name string) (ssh.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	if err := os.WriteFile(name, text, 0o600); err != nil {
		return nil, err
	}
	return ssh.NewSignerFromKey(key)
}

const sshdSettings = `ListenAddress %s:%d
HostKey %s
PidFile none
AuthorizedKeysFile %s
StrictModes no
UsePAM no
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
Ciphers %s
MaxStartups 1000
MaxSessions 100
LogLevel ERROR
Subsystem sftp internal-sftp
`

// sshd is Debian's, installed: it looks for its helpers where they are installed.
const sshd = "/usr/sbin/sshd"

// inside runs sshd where it finds an account of the benchmark's, and nobody else does: it has no accounts of its own.
const inside = `mount -t tmpfs none /run && mkdir -m 755 /run/sshd && mount --bind "$0" /etc/passwd && exec "$@"`

func prepareSSHD(s *site) error {
	if _, err := os.Stat(sshd); err != nil {
		return errors.New("openssh-server of Debian is not installed")
	}
	system, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return err
	}
	users := fmt.Sprintf("%s%s:*:%d:%d::%s:/bin/sh\n", system, userName, nobody, nobody, s.home)
	return errors.Join(
		os.WriteFile(s.path("passwd"), []byte(users), 0o644),
		os.WriteFile(s.path("authorized"), []byte(s.env.userPublic+"\n"), 0o644))
}

func startSSHD(s *site, at netip.AddrPort, _ bool) (*process, error) {
	if err := s.write("conf", sshdSettings, at.Addr(), at.Port(), s.env.hostKey, s.path("authorized"), sshCipher); err != nil {
		return nil, err
	}
	return launch(s.dir, nil, "unshare", "--mount", "sh", "-c", inside, s.path("passwd"), sshd, "-D", "-e", "-f", s.path("conf"))
}

const modSFTPSettings = `LoadModule mod_sftp.c
SFTPEngine on
SFTPHostKey %s
SFTPAuthorizedUserKeys file:%s
SFTPAuthMethods publickey
SFTPCiphers %s
`

// startModSFTP starts ProFTPD as an SFTP server. Its keys are written as RFC 4716 has them.
func startModSFTP(s *site, at netip.AddrPort, _ bool) (*process, error) {
	key := base64.StdEncoding.EncodeToString(s.env.signer.PublicKey().Marshal())
	var lines strings.Builder
	for len(key) > 0 {
		n := min(len(key), 70)
		lines.WriteString(key[:n] + "\n")
		key = key[n:]
	}
	err := os.WriteFile(s.path("authorized"), fmt.Appendf(nil, "---- BEGIN SSH2 PUBLIC KEY ----\n%s---- END SSH2 PUBLIC KEY ----\n", &lines), 0o644)
	if err != nil {
		return nil, err
	}
	return s.launchProftpd(at, fmt.Sprintf(modSFTPSettings, s.env.hostKey, s.path("authorized"), sshCipher))
}

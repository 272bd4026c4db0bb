package sftpd

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"sampan/fault"
	"sampan/words"
)

// asking is the name under which anybody may ask for an account.
const asking = "register"

// errRefused is what a client is refused with; it says no more to anybody.
var errRefused = errors.New("refused")

// config is that of the connection: log-in by password, by keyboard-interactive, by public key, by certificate.
func (c *conn) config() *ssh.ServerConfig {
	cfg := c.srv.ssh
	cfg.NoClientAuthCallback = c.none
	cfg.PasswordCallback = func(m ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
		return c.in(m, func() error { return c.sess.Login(m.User(), string(password)) })
	}
	cfg.KeyboardInteractiveCallback = func(m ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
		answers, err := ask("", "", []string{words.M("Password: ").String()}, []bool{false})
		if err != nil {
			return nil, err
		}
		return c.in(m, func() error { return c.sess.Login(m.User(), answers[0]) })
	}
	cfg.PublicKeyCallback = c.offer
	cfg.VerifiedPublicKeyCallback = func(m ssh.ConnMetadata, k ssh.PublicKey, p *ssh.Permissions, _ string) (*ssh.Permissions, error) {
		_, err := c.in(m, func() error {
			if _, ok := k.(*ssh.Certificate); ok {
				return c.sess.LoginVouched(m.User())
			}
			return c.sess.LoginKey(m.User(), k.Marshal())
		})
		return p, err
	}
	return &cfg
}

// none lets in who asks for an account; it opens nothing but the dialogue.
func (c *conn) none(m ssh.ConnMetadata) (*ssh.Permissions, error) {
	if c.asker = strings.EqualFold(m.User(), asking); c.asker {
		return &ssh.Permissions{}, nil
	}
	return nil, errRefused
}

// in logs in. What a person should know beyond "denied" is told by a banner (RFC 4252 section 5.4).
func (c *conn) in(m ssh.ConnMetadata, login func() error) (*ssh.Permissions, error) {
	if strings.EqualFold(m.User(), asking) {
		return nil, errRefused
	}
	err := login()
	switch {
	case err == nil:
		return &ssh.Permissions{}, nil
	case fault.KindOf(err) == fault.Unauth:
		return nil, errRefused
	}
	return nil, &ssh.BannerError{Err: errRefused, Message: fault.Say(err).String() + "\r\n"}
}

// offer tells whether a key would do. What it is good for is decided when its owner has signed.
func (c *conn) offer(m ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
	if cert, ok := k.(*ssh.Certificate); ok {
		return c.certified(m, cert)
	}
	if !c.sess.MayOffer(m.User(), k.Marshal()) {
		return nil, errRefused
	}
	return &ssh.Permissions{}, nil
}

const forceCommand = "force-command"

// certified accepts a certificate for users that a trusted authority signed, that names the account, and that asks for no
// other command than the one that there is (OpenSSH PROTOCOL.certkeys).
func (c *conn) certified(m ssh.ConnMetadata, cert *ssh.Certificate) (*ssh.Permissions, error) {
	checker := ssh.CertChecker{
		SupportedCriticalOptions: []string{forceCommand, "source-address"},
		IsUserAuthority: func(auth ssh.PublicKey) bool {
			return c.srv.cfg.UserCA != nil && slices.ContainsFunc(c.srv.cfg.UserCA(), func(ca ssh.PublicKey) bool {
				return bytes.Equal(ca.Marshal(), auth.Marshal())
			})
		},
	}
	if command, ok := cert.CriticalOptions[forceCommand]; ok && command != "internal-sftp" {
		return nil, errRefused
	}
	if len(cert.ValidPrincipals) == 0 { // the library takes that for everybody
		return nil, errRefused
	}
	return checker.Authenticate(m, cert)
}

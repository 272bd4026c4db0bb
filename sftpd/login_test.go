package sftpd

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sampan/account"
)

func (h *house) dial(user string, auth ...ssh.AuthMethod) error {
	c, err := ssh.Dial("tcp", h.addr, clientConfig(user, auth...))
	if err == nil {
		c.Close()
	}
	return err
}

func answering(text string) ssh.AuthMethod {
	return ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
		answers := make([]string, len(questions))
		for i := range answers {
			answers[i] = text
		}
		return answers, nil
	})
}

func TestLogin(t *testing.T) {
	t.Parallel()
	ca, stranger := signer(t), signer(t)
	h := newHouse(t, func(c *Config, _ *limits) {
		c.UserCA = func() []ssh.PublicKey { return []ssh.PublicKey{ca.PublicKey()} }
	})
	h.add("alice", account.Unlimited)
	h.add("bob", account.Unlimited)
	key := signer(t)
	if _, err := h.book.AddKeys(context.Background(), "alice", string(ssh.MarshalAuthorizedKey(key.PublicKey()))); err != nil {
		t.Fatal(err)
	}
	certify := func(by ssh.Signer, change func(*ssh.Certificate)) ssh.AuthMethod {
		t.Helper()
		cert := &ssh.Certificate{
			Key: key.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{"bob"},
			ValidAfter: 0, ValidBefore: ssh.CertTimeInfinity,
		}
		change(cert)
		if err := cert.SignCert(rand.Reader, by); err != nil {
			t.Fatal(err)
		}
		s, err := ssh.NewCertSigner(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		return ssh.PublicKeys(s)
	}
	fine := func(*ssh.Certificate) {}
	options := func(name, value string) func(*ssh.Certificate) {
		return func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{name: value} }
	}
	for name, c := range map[string]struct {
		user string
		auth ssh.AuthMethod
		in   bool
	}{
		"password":                       {"alice", ssh.Password(password), true},
		"wrong password":                 {"alice", ssh.Password("wrong"), false},
		"nobody":                         {"nobody", ssh.Password(password), false},
		"keyboard":                       {"alice", answering(password), true},
		"wrong keyboard":                 {"alice", answering("wrong"), false},
		"key":                            {"alice", ssh.PublicKeys(key), true},
		"another's key":                  {"bob", ssh.PublicKeys(key), false},
		"a stranger's key":               {"alice", ssh.PublicKeys(stranger), false},
		"certificate":                    {"bob", certify(ca, fine), true},
		"certificate for another":        {"alice", certify(ca, fine), false},
		"certificate by a stranger":      {"bob", certify(stranger, fine), false},
		"certificate for all":            {"bob", certify(ca, func(c *ssh.Certificate) { c.ValidPrincipals = nil }), false},
		"host certificate":               {"bob", certify(ca, func(c *ssh.Certificate) { c.CertType = ssh.HostCert }), false},
		"expired certificate":            {"bob", certify(ca, func(c *ssh.Certificate) { c.ValidBefore = 1 }), false},
		"certificate for a command":      {"bob", certify(ca, options("force-command", "/bin/sh")), false},
		"certificate for SFTP":           {"bob", certify(ca, options("force-command", "internal-sftp")), true},
		"certificate from elsewhere":     {"bob", certify(ca, options("source-address", "192.0.2.0/24")), false},
		"certificate from here":          {"bob", certify(ca, options("source-address", "127.0.0.0/8")), true},
		"certificate with other options": {"bob", certify(ca, options("verify-required", "")), false},
		"register by password":           {"register", ssh.Password(password), true}, // opens the dialogue alone
	} {
		if err := h.dial(c.user, c.auth); (err == nil) != c.in {
			t.Errorf("%s: %v, want in %v", name, err, c.in)
		}
	}
	state := account.Suspended
	for _, name := range []string{"alice", "bob"} {
		if _, err := h.book.Update(context.Background(), name, account.Change{State: &state}); err != nil {
			t.Fatal(err)
		}
	}
	if h.dial("alice", ssh.PublicKeys(key)) == nil || h.dial("bob", certify(ca, fine)) == nil || h.dial("alice", ssh.Password(password)) == nil {
		t.Error("a suspended account is in")
	}
}

// TestOldAlgorithmsAreNotOffered: nothing of the Terrapin era and before it, and strict key exchange is.
func TestOldAlgorithmsAreNotOffered(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	nc, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	io.WriteString(nc, "SSH-2.0-test\r\n")
	hello := make([]byte, 0, 4096)
	for !strings.Contains(string(hello), "none") {
		b := make([]byte, 1024)
		n, err := nc.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		hello = append(hello, b[:n]...)
	}
	text := string(hello)
	if !strings.HasPrefix(text, "SSH-2.0-Sampan\r\n") {
		t.Errorf("the version: %q", text[:20])
	}
	for _, name := range []string{"sha1,", "-cbc", "arcfour", "group1-", "hmac-sha1", "ssh-dss", "ssh-rsa", "md5", "group-exchange"} {
		if strings.Contains(text, name) {
			t.Errorf("%s is offered", name)
		}
	}
	for _, name := range []string{"mlkem768x25519-sha256,", "curve25519-sha256", "kex-strict-s-v00@openssh.com", "aes128-gcm@openssh.com"} {
		if !strings.Contains(text, name) {
			t.Errorf("%s is not offered", name)
		}
	}
	for what, cfg := range map[string]ssh.Config{
		"CBC":  {Ciphers: []string{ssh.InsecureCipherAES128CBC}},
		"SHA1": {KeyExchanges: []string{ssh.InsecureKeyExchangeDH14SHA1}},
	} {
		c := clientConfig("register")
		c.Config = cfg
		if sc, err := ssh.Dial("tcp", h.addr, c); err == nil {
			sc.Close()
			t.Errorf("%s was taken", what)
		}
	}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", account.Unlimited)
	talk := func(pty bool, input string) string {
		t.Helper()
		c, err := ssh.Dial("tcp", h.addr, clientConfig("register"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := c.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if pty {
			if err := s.RequestPty("xterm", 24, 80, nil); err != nil {
				t.Fatal(err)
			}
		}
		s.Stdin = strings.NewReader(input)
		var out strings.Builder
		s.Stdout = &out
		if err := s.Shell(); err != nil {
			t.Fatal(err)
		}
		s.Wait()
		return out.String()
	}
	ticketOf := func(out string) string {
		t.Helper()
		_, rest, ok := strings.Cut(out, "ticket: ")
		if !ok {
			t.Fatalf("no ticket: %s", out)
		}
		ticket, _, _ := strings.Cut(rest, "\r\n")
		return ticket
	}
	out := talk(true, "b?d\rcarol\rshort\rcarol\rcorrect horse\rcorrect hose\rcarol\rcorrect horse\rcorrect horse\r")
	if strings.Contains(out, "correct hor") {
		t.Errorf("the password is shown: %s", out)
	}
	ticket := ticketOf(out)
	if out := talk(false, ticket+"\n"); !strings.Contains(out, "not decided") {
		t.Errorf("pending: %s", out)
	}
	if ticketOf(talk(false, "alice\ncorrect horse\ncorrect horse\n")) == "" {
		t.Error("a name that is taken can be told")
	}
	if h.dial("carol", ssh.Password("correct horse")) == nil {
		t.Error("who asks is in")
	}
	if _, err := h.book.Decide(context.Background(), "carol", account.Decision{Approve: true, Note: "hi"}); err != nil {
		t.Fatal(err)
	}
	if out := talk(false, ticket+"\n"); !strings.Contains(out, "gave you the account carol and says: hi") {
		t.Errorf("approved: %s", out)
	}
	if err := h.dial("carol", ssh.Password("correct horse")); err != nil {
		t.Errorf("who was approved: %v", err)
	}
	if out := talk(false, "\n\n\n\n\n\n\n"); strings.Count(out, "ticket that you have") != tries {
		t.Errorf("it asks for ever: %s", out)
	}
}

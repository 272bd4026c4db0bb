package account

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sampan/fault"
)

// sshKey makes a key pair.
func sshKey(t testing.TB) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// line writes a key as authorized_keys has it.
func line(k ssh.PublicKey, comment string) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k))) + " " + comment + "\n"
}

func TestKeys(t *testing.T) {
	t.Parallel()
	b, _ := newBook(t)
	ctx := t.Context()
	add(t, b, NewAccount{Name: "alice"})
	add(t, b, NewAccount{Name: "bob"})
	k1, k2 := sshKey(t).PublicKey(), sshKey(t).PublicKey()
	text := "# keys of alice\n\n" + line(k1, "alice@\x1b[31mlaptop") + `restrict,no-pty ` + line(k2, "")
	v := b.Version()
	for range 2 { // the second time nothing is new
		got, err := b.AddKeys(ctx, "ALICE", text)
		if err != nil || len(got) != 2 || got[0].Fingerprint != ssh.FingerprintSHA256(k1) || got[0].Comment != "alice@ [31mlaptop" {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if b.Version() == v {
		t.Error("nobody hears of it")
	}
	list, err := b.Keys(ctx, "alice")
	if err != nil || len(list) != 2 || list[0].Type != "ssh-ed25519" {
		t.Errorf("%+v, %v", list, err)
	}
	in := func(name string, k ssh.PublicKey) bool {
		t.Helper()
		may, err := b.HasKey(ctx, name, k.Marshal())
		if err != nil {
			t.Fatal(err)
		}
		a, err := b.Check(ctx, Proof{Name: name, Key: k.Marshal(), Remote: "192.0.2.1"})
		if may != (err == nil) || err == nil && (!strings.EqualFold(a.Name, name) || len(a.Grants) == 0) {
			t.Errorf("%s: offered %v, %+v, %v", name, may, a, err)
		}
		if err != nil {
			wantKind(t, err, fault.Unauth)
		}
		return err == nil
	}
	if !in("alice", k1) || !in("Alice", k2) || in("bob", k1) || in("nobody", k1) || in("alice", sshKey(t).PublicKey()) {
		t.Error("the wrong ones are in")
	}
	if _, err := b.Check(ctx, Proof{Name: "alice", Key: []byte{}}); fault.KindOf(err) != fault.Unauth {
		t.Errorf("no key at all: %v", err)
	}
	state := Suspended
	if _, err := b.Update(ctx, "alice", Change{State: &state}); err != nil {
		t.Fatal(err)
	}
	if in("alice", k1) {
		t.Error("a suspended account is in")
	}
	if _, err := b.Check(ctx, Proof{Name: "alice", Vouched: true}); fault.KindOf(err) != fault.Unauth {
		t.Errorf("a suspended account that somebody vouches for: %v", err)
	}
	state = Active
	if _, err := b.Update(ctx, "alice", Change{State: &state}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Check(ctx, Proof{Name: "alice", Vouched: true}); err != nil {
		t.Error(err)
	}
	if _, err := b.Check(ctx, Proof{Name: "nobody", Vouched: true}); fault.KindOf(err) != fault.Unauth {
		t.Errorf("nobody: %v", err)
	}
	for _, which := range []string{"", "no such", "SHA256:"} {
		_, err := b.RemoveKey(ctx, "alice", which)
		wantKind(t, err, fault.NotExist)
	}
	if k, err := b.RemoveKey(ctx, "alice", ssh.FingerprintSHA256(k2)); err != nil || k.Fingerprint != ssh.FingerprintSHA256(k2) {
		t.Errorf("%+v, %v", k, err)
	}
	if in("alice", k2) || !in("alice", k1) {
		t.Error("another key was removed")
	}
	if _, err := b.RemoveKey(ctx, "alice", "alice@ [31mlaptop"); err != nil {
		t.Error(err)
	}
	if _, err := b.AddKeys(ctx, "bob", line(k1, "same")+line(k2, "same")); err != nil {
		t.Fatal(err)
	}
	_, err = b.RemoveKey(ctx, "bob", "same")
	wantKind(t, err, fault.Exist)
	if err := b.Remove(ctx, "bob"); err != nil {
		t.Fatal(err)
	}
	add(t, b, NewAccount{Name: "bob"})
	if in("bob", k1) {
		t.Error("whoever has the name next inherits the keys")
	}
	for _, name := range []string{"nobody", ""} {
		_, err = b.AddKeys(ctx, name, text)
		wantKind(t, err, fault.NotExist)
		_, err = b.Keys(ctx, name)
		wantKind(t, err, fault.NotExist)
	}
}

// TestGuessersDoNotKeepKeysOut: who fails with passwords behind the same address does not lock out those who sign.
func TestGuessersDoNotKeepKeysOut(t *testing.T) {
	t.Parallel()
	b, _ := newBook(t)
	add(t, b, NewAccount{Name: "alice"})
	k := sshKey(t).PublicKey()
	if _, err := b.AddKeys(t.Context(), "alice", line(k, "")); err != nil {
		t.Fatal(err)
	}
	b.guard.addrs["192.0.2.1"] = &bucket{level: addrLimit + 5, at: time.Now()}
	_, err := b.Check(t.Context(), Proof{Name: "alice", Password: "correct horse", Remote: "192.0.2.1"})
	wantKind(t, err, fault.TooMany)
	if _, err := b.Check(t.Context(), Proof{Name: "alice", Key: k.Marshal(), Remote: "192.0.2.1"}); err != nil {
		t.Error(err)
	}
}

func TestBadKeysAreRefused(t *testing.T) {
	t.Parallel()
	b, _ := newBook(t)
	add(t, b, NewAccount{Name: "alice"})
	good := sshKey(t)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	weakKey, err := ssh.NewPublicKey(&weak.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	cert := &ssh.Certificate{Key: good.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{"alice"}}
	if err := cert.SignCert(rand.Reader, good); err != nil {
		t.Fatal(err)
	}
	fine := line(good.PublicKey(), "")
	for name, c := range map[string]struct {
		text string
		kind fault.Kind
	}{
		"nothing":         {"", fault.Syntax},
		"only remarks":    {"# none\n\n", fault.Syntax},
		"rubbish":         {fine + "hello\n", fault.Syntax},
		"half a key":      {fine[:40], fault.Syntax},
		"a private key":   {fine + "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", fault.Syntax},
		"too much":        {fine + strings.Repeat("#\n", maxKeyText), fault.Syntax},
		"from":            {fine + `from="192.0.2.*" ` + fine, fault.Unsupported},
		"command":         {fine + `restrict,command="/bin/sh" ` + fine, fault.Unsupported},
		"cert-authority":  {fine + "cert-authority " + fine, fault.Unsupported},
		"a short RSA key": {fine + line(weakKey, ""), fault.Unsupported},
		"a certificate":   {fine + line(cert, ""), fault.Unsupported},
	} {
		_, err := b.AddKeys(t.Context(), "alice", c.text)
		if fault.KindOf(err) != c.kind || err == nil {
			t.Errorf("%s: %v, want %v", name, err, c.kind)
		}
	}
	if list, err := b.Keys(t.Context(), "alice"); err != nil || len(list) != 0 {
		t.Errorf("of a text with a bad key some were taken: %+v, %v", list, err)
	}
	var many strings.Builder
	for i := range maxKeys + 1 {
		many.WriteString(line(sshKey(t).PublicKey(), fmt.Sprint(i)))
	}
	_, err = b.AddKeys(t.Context(), "alice", many.String())
	wantKind(t, err, fault.TooMany)
}

func FuzzParseKeys(f *testing.F) {
	good := line(sshKey(f).PublicKey(), "alice@laptop")
	f.Add(good)
	f.Add(`restrict,command="internal-sftp" ` + good + "# remark\n\n" + good)
	f.Add("ssh-rsa AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseKeys(text)
		if err != nil && len(list) > 0 {
			t.Fatalf("%d keys and %v", len(list), err)
		}
		for _, k := range list {
			if k.Fingerprint != fingerprint(k.blob) || len(k.Comment) > maxComment || strings.ContainsAny(k.Comment, "\n\x1b") {
				t.Fatalf("%+v", k)
			}
		}
	})
}

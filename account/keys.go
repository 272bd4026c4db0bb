package account

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/crypto/ssh"

	"sampan/fault"
)

// A Key is a public key that lets an account in over SSH.
type Key struct {
	Type        string // "ssh-ed25519"
	Fingerprint string // "SHA256:…"
	Comment     string
	Added       time.Time
}

const (
	maxKeys      = 100       // of one account
	maxKeyText   = 256 << 10 // bytes that are read for keys
	maxComment   = 200       // bytes that are kept of a comment
	leastRSA     = 2048      // bits
	goodKeyTypes = "ssh-ed25519, sk-ssh-ed25519@openssh.com, ecdsa-sha2-…, sk-ecdsa-sha2-…, ssh-rsa"
)

// keys is a migration: public keys of accounts. key is as SSH has it, in base64.
var keys = statements(`
	CREATE TABLE keys (
		folded      TEXT NOT NULL REFERENCES accounts(folded) ON DELETE CASCADE,
		fingerprint TEXT NOT NULL,
		type        TEXT NOT NULL,
		key         TEXT NOT NULL,
		comment     TEXT NOT NULL,
		added       BIGINT NOT NULL,
		PRIMARY KEY (folded, fingerprint)
	);
`)

// A fullKey is a Key with what the book keeps of it.
type fullKey struct {
	Key
	blob []byte
}

// harmless are the options of authorized_keys that allow or forbid only what nobody is offered here. Another option
// would restrict the key, so a key that has one is refused.
var harmless = []string{
	"restrict", "pty", "no-pty", "port-forwarding", "no-port-forwarding", "agent-forwarding", "no-agent-forwarding",
	"x11-forwarding", "no-x11-forwarding", "user-rc", "no-user-rc", `command="internal-sftp"`,
}

// parseKeys reads keys in the format of authorized_keys (sshd(8)): one a line, empty lines and those that begin with #
// left out. All of them or none.
func parseKeys(text string) ([]fullKey, error) {
	if len(text) > maxKeyText {
		return nil, fault.New(fault.Syntax, "that is too much for public keys")
	}
	if strings.Contains(text, "PRIVATE KEY-----") {
		return nil, fault.New(fault.Syntax, "that is a private key, which nobody else should see; the public one is in the file beside it that ends in .pub")
	}
	var list []fullKey
	for n, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		k, err := parseKey(line)
		if err != nil {
			return nil, fault.New(fault.KindOf(err), "line %d: %s", n+1, fault.Say(err))
		}
		list = append(list, k)
	}
	if len(list) == 0 {
		return nil, fault.New(fault.Syntax, "there is no public key in it; one looks like: ssh-ed25519 AAAA… name")
	}
	return list, nil
}

func parseKey(line string) (fullKey, error) {
	pub, comment, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return fullKey{}, fault.New(fault.Syntax, "there is no public key in it; one looks like: ssh-ed25519 AAAA… name")
	}
	for _, o := range options {
		if !slices.Contains(harmless, strings.ToLower(o)) {
			return fullKey{}, fault.New(fault.Unsupported, "the option %s is not known here, and without it the key would be good for more than it should", o)
		}
	}
	if _, ok := pub.(*ssh.Certificate); ok {
		return fullKey{}, fault.New(fault.Unsupported, "that is a certificate; let the server trust the authority that signed it, with --ssh-user-ca FILE")
	}
	if !slices.Contains(ssh.SupportedAlgorithms().PublicKeyAuths, pub.Type()) && pub.Type() != ssh.KeyAlgoRSA {
		return fullKey{}, fault.New(fault.Unsupported, "a key of the type %s is not good enough; these are: %s", pub.Type(), goodKeyTypes)
	}
	if c, ok := pub.(ssh.CryptoPublicKey); ok {
		if r, ok := c.CryptoPublicKey().(*rsa.PublicKey); ok && r.N.BitLen() < leastRSA {
			return fullKey{}, fault.New(fault.Unsupported, "an RSA key needs at least %d bits", leastRSA)
		}
	}
	comment = strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, comment), "?")
	return fullKey{Key{pub.Type(), ssh.FingerprintSHA256(pub), cut(comment, maxComment), time.Now().UTC()}, pub.Marshal()}, nil
}

// cut returns the first n bytes of s, or a few less so that it stays UTF-8.
func cut(s string, n int) string { return strings.ToValidUTF8(s[:min(n, len(s))], "") }

// AddKeys gives an account the public keys of a text in the format of authorized_keys. Those that it has already stay as
// they are. It returns the keys of the text; Syntax or Unsupported for a line that is no good key, and then none is added.
func (b *Book) AddKeys(ctx context.Context, name, text string) ([]Key, error) {
	list, err := parseKeys(text)
	if err != nil {
		return nil, err
	}
	var r row
	err = b.update(ctx, func(tx *sql.Tx) (err error) {
		if r, err = b.find(ctx, tx, fold(name), name); err != nil {
			return err
		}
		for _, k := range list {
			_, err := tx.ExecContext(ctx, `INSERT INTO keys (folded, fingerprint, type, key, comment, added) VALUES ($1, $2, $3, $4, $5, $6)
				ON CONFLICT DO NOTHING`, r.folded, k.Fingerprint, k.Type, base64.StdEncoding.EncodeToString(k.blob), k.Comment, micros(k.Added))
			if err != nil {
				return err
			}
		}
		var n int
		err = tx.QueryRowContext(ctx, `SELECT count(*) FROM keys WHERE folded = $1`, r.folded).Scan(&n)
		if err == nil && n > maxKeys {
			err = fault.New(fault.TooMany, "an account has at most %d keys", maxKeys)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	b.accountChanged(r.folded)
	out := make([]Key, len(list))
	for i, k := range list {
		out[i] = k.Key
	}
	return out, nil
}

// Keys lists the public keys of an account, oldest first.
func (b *Book) Keys(ctx context.Context, name string) ([]Key, error) {
	r, err := b.find(ctx, b.r, fold(name), name)
	if err != nil {
		return nil, err
	}
	rows, err := b.r.QueryContext(ctx, `SELECT type, fingerprint, comment, added FROM keys WHERE folded = $1 ORDER BY added, fingerprint`, r.folded)
	if err != nil {
		return nil, bookError(err)
	}
	defer rows.Close()
	list := []Key{}
	for rows.Next() {
		var k Key
		var added int64
		if err := rows.Scan(&k.Type, &k.Fingerprint, &k.Comment, &added); err != nil {
			return nil, bookError(err)
		}
		k.Added = fromMicros(added)
		list = append(list, k)
	}
	return list, bookError(rows.Err())
}

// RemoveKey takes a public key from an account: which is its fingerprint, or its comment if no other key has it. NotExist.
func (b *Book) RemoveKey(ctx context.Context, name, which string) (Key, error) {
	list, err := b.Keys(ctx, name)
	if err != nil {
		return Key{}, err
	}
	match := slices.DeleteFunc(list, func(k Key) bool { return k.Fingerprint != which && k.Comment != which })
	switch {
	case which == "" || len(match) == 0:
		return Key{}, fault.New(fault.NotExist, "%s has no key %q; sampan user key list shows them", name, which)
	case len(match) > 1:
		return Key{}, fault.New(fault.Exist, "%s has %d keys with the comment %q; name one by its fingerprint", name, len(match), which)
	}
	folded := fold(name)
	err = b.update(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM keys WHERE folded = $1 AND fingerprint = $2`, folded, match[0].Fingerprint)
		return err
	})
	if err != nil {
		return Key{}, err
	}
	b.accountChanged(folded)
	return match[0], nil
}

// HasKey reports whether a public key, as SSH has it, would let an Active account of that name in. To ask proves nothing
// and counts for nothing.
func (b *Book) HasKey(ctx context.Context, name string, key []byte) (bool, error) {
	_, ok, err := b.proveKey(ctx, fold(name), key)
	return ok, err
}

// fingerprint is ssh.FingerprintSHA256 for a key as SSH has it.
func fingerprint(key []byte) string {
	sum := sha256.Sum256(key)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// proveKey is prove for a public key whose owner has signed.
func (b *Book) proveKey(ctx context.Context, folded string, key []byte) (row, bool, error) {
	rows, err := b.load(ctx, b.r, `a.folded = $1`, folded)
	if err != nil {
		return row{}, false, err
	}
	var stored string
	err = b.r.QueryRowContext(ctx, `SELECT key FROM keys WHERE folded = $1 AND fingerprint = $2`, folded, fingerprint(key)).Scan(&stored)
	if errors.Is(err, sql.ErrNoRows) {
		return row{}, false, nil
	}
	if err != nil {
		return row{}, false, bookError(err)
	}
	blob, err := base64.StdEncoding.DecodeString(stored)
	if err != nil {
		return row{}, false, tampered(err)
	}
	if len(rows) != 1 || rows[0].State != Active || !bytes.Equal(blob, key) {
		return row{}, false, nil
	}
	return rows[0], true, nil
}

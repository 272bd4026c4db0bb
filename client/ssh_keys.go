package client

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"sampan/fault"
	"sampan/words"
)

// keyring keeps the keys that were opened with a passphrase, so that a new connection does not ask again.
type keyring struct {
	mu     sync.Mutex
	dir    string                // where the usual keys lie
	opened map[string]ssh.Signer // by file
}

// An identity is a key that a file names. signer is nil where the file holds only the public half: then the agent may
// have the other.
type identity struct {
	public ssh.PublicKey
	signer ssh.Signer
}

// signers are the keys to try: first those that the settings name, the agent's where it holds them, then the agent's others.
func (a *authentication) signers() ([]ssh.Signer, error) {
	held := map[string]ssh.Signer{} // by public key
	var others []ssh.Signer
	if a.target.agent != "" {
		conn, err := (&net.Dialer{}).DialContext(a.ctx, "unix", a.target.agent)
		if err == nil {
			a.agent = conn
			others, _ = agent.NewClient(conn).Signers()
		}
	}
	for _, s := range others {
		held[string(s.PublicKey().Marshal())] = s
	}
	var keys []ssh.Signer
	for _, i := range a.identities() {
		blob := string(i.public.Marshal())
		if s := held[blob]; s != nil {
			i.signer = s
			delete(held, blob)
		}
		if i.signer != nil {
			keys = append(keys, i.signer)
		}
	}
	for _, s := range others {
		if held[string(s.PublicKey().Marshal())] != nil && !a.target.only {
			keys = append(keys, s)
		}
	}
	if a.quiet {
		keys = slices.DeleteFunc(keys, func(s ssh.Signer) bool { return strings.HasPrefix(s.PublicKey().Type(), "sk-") })
	}
	return keys, nil
}

// closeAgent ends the connection to the agent, which signs as long as the log-in lasts.
func (a *authentication) closeAgent() {
	if a.agent != nil {
		a.agent.Close()
	}
}

// usualKeys are tried where the settings name no other.
var usualKeys = []string{"id_ed25519", "id_ecdsa", "id_rsa"}

// identities reads the keys of files. One that the settings name and that cannot be read is worth a remark.
func (a *authentication) identities() []identity {
	var found []identity
	names, usual := a.target.keys, len(a.target.keys) == 0
	if usual {
		for _, name := range usualKeys {
			names = append(names, filepath.Join(a.ring.dir, name))
		}
	}
	for _, name := range names {
		i, err := a.identity(name)
		switch {
		case err == nil:
			found = append(found, i)
		case !usual || !errors.Is(err, os.ErrNotExist):
			a.d.say(words.M("the key %s is left out: %s", name, printable(err.Error())))
		}
	}
	return found
}

func (a *authentication) identity(name string) (identity, error) {
	text, err := os.ReadFile(name)
	public, _, _, _, pubErr := ssh.ParseAuthorizedKey(text)
	if err == nil && pubErr == nil {
		return identity{public, nil}, nil
	}
	beside, besideErr := os.ReadFile(name + ".pub")
	if besideErr == nil {
		public, _, _, _, besideErr = ssh.ParseAuthorizedKey(beside)
	}
	if err != nil {
		if besideErr == nil {
			return identity{public, nil}, nil
		}
		return identity{}, err
	}
	signer, err := ssh.ParsePrivateKey(text)
	var sealed *ssh.PassphraseMissingError
	if errors.As(err, &sealed) {
		if sealed.PublicKey != nil {
			public = sealed.PublicKey
		}
		s := &sealedKey{a: a, name: name, text: text, public: public}
		if public == nil { // old files do not tell what is in them
			if signer, err = s.open(); err != nil {
				return identity{}, err
			}
			s.public = signer.PublicKey()
		}
		return identity{s.public, s}, nil
	}
	if err != nil {
		return identity{}, err
	}
	return identity{signer.PublicKey(), signer}, nil
}

// A sealedKey is a key behind a passphrase, which is asked for when the server wants the key to sign.
type sealedKey struct {
	a      *authentication
	name   string
	text   []byte
	public ssh.PublicKey
}

// PublicKey implements ssh.Signer.
func (k *sealedKey) PublicKey() ssh.PublicKey { return k.public }

// Sign implements ssh.Signer.
func (k *sealedKey) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	s, err := k.open()
	if err != nil {
		return nil, err
	}
	return s.Sign(rand, data)
}

// SignWithAlgorithm implements ssh.AlgorithmSigner: RSA keys sign with SHA-2.
func (k *sealedKey) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	s, err := k.open()
	if err != nil {
		return nil, err
	}
	able, ok := s.(ssh.AlgorithmSigner)
	if !ok {
		return s.Sign(rand, data)
	}
	return able.SignWithAlgorithm(rand, data, algorithm)
}

// maxPassphrases is how often a passphrase is asked for.
const maxPassphrases = 3

// open asks for the passphrase.
func (k *sealedKey) open() (ssh.Signer, error) {
	k.a.ring.mu.Lock()
	defer k.a.ring.mu.Unlock()
	if s := k.a.ring.opened[k.name]; s != nil {
		return s, nil
	}
	for range maxPassphrases {
		phrase, err := k.a.ask(words.M("Passphrase of the key %s:", k.name), true)
		if err != nil {
			return nil, err
		}
		if s, err := ssh.ParsePrivateKeyWithPassphrase(k.text, []byte(phrase)); err == nil {
			k.a.ring.opened[k.name] = s
			return s, nil
		}
	}
	return nil, k.a.fail(fault.New(fault.Unauth, "the passphrase of the key %s was wrong", k.name))
}

package sftpd

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"

	"sampan/fault"
)

const rsaBits = 3072

// hostKeys are the keys that a server has, by the names of their files.
var hostKeys = []struct {
	file       string
	make       func() (crypto.PrivateKey, error)
	algorithms []string // of its signatures; nil is the only one
}{
	{"host_ed25519", func() (crypto.PrivateKey, error) {
		_, k, err := ed25519.GenerateKey(rand.Reader)
		return k, err
	}, nil},
	{"host_rsa", func() (crypto.PrivateKey, error) { // for old clients
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}, []string{ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512}},
}

// HostKeys reads the keys by which clients know the server, in OpenSSH's format, from a directory; those that are missing
// are made and kept there, the public ones beside them in .pub.
func HostKeys(dir string) ([]ssh.Signer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Wrap(fault.Local, err, "%s cannot be made; name another place with --data DIR", dir)
	}
	var list []ssh.Signer
	for _, k := range hostKeys {
		name := filepath.Join(dir, k.file)
		text, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			text, err = newHostKey(name, k.make)
		}
		if err != nil {
			return nil, fault.Wrap(fault.Local, err, "the host key %s cannot be read or made", name)
		}
		s, err := ssh.ParsePrivateKey(text)
		if as, ok := s.(ssh.AlgorithmSigner); err == nil && ok && k.algorithms != nil {
			s, err = ssh.NewSignerWithAlgorithms(as, k.algorithms)
		}
		if err != nil {
			return nil, fault.Wrap(fault.Local, err, "the host key %s cannot be understood; put it right, or move it away and a new one is made, which clients will warn of", name)
		}
		list = append(list, s)
	}
	return list, nil
}

// newHostKey makes a key and keeps it.
func newHostKey(name string, generate func() (crypto.PrivateKey, error)) ([]byte, error) {
	k, err := generate()
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(k, "")
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(block)
	s, err := ssh.NewSignerFromKey(k)
	if err != nil {
		return nil, err
	}
	return text, errors.Join(
		keep(name+".pub", ssh.MarshalAuthorizedKey(s.PublicKey()), 0o644),
		keep(name, text, 0o600))
}

// keep writes a small file whole, durably and by rename.
func keep(name string, content []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

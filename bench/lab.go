//go:build linux

package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

// A lab is where measurements are made: the servers' sites, and an address of its own for each start.
type lab struct {
	env    environment
	sites  []*site
	sizes  *sizes
	starts int
	dirs   []string // to be removed

	profiles string // where to put profiles of ours; "" makes none
	running  atomic.Pointer[process]
}

// open makes a site for each server, in memory, or on the disk for strict ones.
func (l *lab) open(memory, disk string, chosen []*server) error {
	for _, d := range []*string{&memory, &disk} {
		dir, err := os.MkdirTemp(*d, "sampan-bench-")
		if err != nil {
			return err
		}
		l.dirs = append(l.dirs, dir)
		if err := os.Chmod(dir, 0o755); err != nil { // the peers' sessions are nobody
			return err
		}
		*d = dir
	}
	if err := touchMemory(8 << 30); err != nil {
		return err
	}
	if err := errors.Join(l.env.certify(memory), l.env.makeKeys(memory)); err != nil {
		return err
	}
	big := filepath.Join(memory, "big")
	if err := makeBig(big, l.sizes.big); err != nil {
		return err
	}
	for _, srv := range chosen {
		base := memory
		if srv.strict {
			base = disk
		}
		s := &site{server: srv, dir: filepath.Join(base, srv.name), env: &l.env}
		s.home = s.path("home")
		if err := s.fill(big, l.sizes); err != nil {
			return err
		}
		if err := srv.prepare(s); err != nil {
			return fmt.Errorf("%s: %w", srv.name, err)
		}
		l.sites = append(l.sites, s)
	}
	return nil
}

func (l *lab) close() {
	for _, dir := range l.dirs {
		for range 100 { // it may be filled still, when a signal came
			if os.RemoveAll(dir) == nil {
				break
			}
		}
	}
}

// cleanOnSignal leaves nothing behind when the benchmark is interrupted; the caller calls stop at the end.
func (l *lab) cleanOnSignal() (stop func()) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, os.Interrupt, syscall.SIGTERM)
	go func() {
		if _, ok := <-told; !ok {
			return
		}
		if p := l.running.Load(); p != nil {
			p.stop()
		}
		l.close()
		os.Exit(130)
	}()
	return func() {
		signal.Stop(told)
		close(told)
	}
}

// certify makes the one certificate that all servers show.
func (e *environment) certify(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(240 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	for _, f := range []struct {
		path    *string
		name    string
		content []byte
	}{
		{&e.cert, "cert.pem", certPEM},
		{&e.key, "key.pem", keyPEM},
		{&e.both, "both.pem", append(keyPEM, certPEM...)},
	} {
		*f.path = filepath.Join(dir, f.name)
		if err := os.WriteFile(*f.path, f.content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// touchMemory uses so much memory once, if it is free: a virtual machine gets its pages from the host when they are used
// first, which takes many times as long as any server here.
func touchMemory(size int64) error {
	var i syscall.Sysinfo_t
	if err := syscall.Sysinfo(&i); err != nil {
		return err
	}
	size = min(size, int64(i.Freeram)*int64(i.Unit)/4*3)
	const how = syscall.MAP_ANON | syscall.MAP_PRIVATE | syscall.MAP_POPULATE
	b, err := syscall.Mmap(-1, 0, int(size), syscall.PROT_READ|syscall.PROT_WRITE, how)
	if err != nil {
		return err
	}
	return syscall.Munmap(b)
}

func makeBig(name string, size int64) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	content := random(1 << 20)
	for left := size; left > 0; {
		n, err := f.Write(content[:min(left, int64(len(content)))])
		if err != nil {
			return err
		}
		left -= int64(n)
	}
	return f.Chmod(0o644)
}

// fill makes the home: the big file, the small ones, the many, and a directory for uploads. A strict site has that
// directory only: it is asked for nothing else.
func (s *site) fill(big string, z *sizes) error {
	if err := os.MkdirAll(s.home, 0o755); err != nil {
		return err
	}
	if err := s.clear(); err != nil || s.strict {
		return err
	}
	if err := os.Link(big, filepath.Join(s.home, "big")); err != nil {
		return err
	}
	for _, d := range []struct {
		name    string
		count   int
		content []byte
	}{
		{"small", z.files, random(smallSize)},
		{"many", z.entries, nil},
	} {
		dir := filepath.Join(s.home, d.name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		for i := range d.count {
			if err := os.WriteFile(filepath.Join(dir, smallName(i)), d.content, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// clear empties the directory for uploads. The server does not run meanwhile. On a disk what was there is put aside and
// not removed: ext4 looks hard for inodes that were not freed within the last minute, and the next server would pay for
// that. Nor does it pay for what others left to be written.
func (s *site) clear() error {
	up := filepath.Join(s.home, "up")
	if s.strict {
		s.cleared++
		if err := os.Rename(up, s.path(fmt.Sprint("up-", s.cleared))); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		syscall.Sync()
	} else if err := os.RemoveAll(up); err != nil {
		return err
	}
	if err := os.Mkdir(up, 0o755); err != nil {
		return err
	}
	return os.Chmod(up, 0o777) // the peers' sessions are somebody else
}

// start starts the server of s on a loopback address that was not used before, so that no connection of an earlier run
// that the kernel still remembers (TIME_WAIT) is in the way.
func (l *lab) start(s *site, secure, sftp bool) (*trial, error) {
	if err := s.clear(); err != nil {
		return nil, err
	}
	l.starts++
	addr := netip.AddrFrom4([4]byte{127, 77, byte(l.starts >> 8), byte(l.starts)})
	probe, err := net.Listen("tcp", netip.AddrPortFrom(addr, 0).String())
	if err != nil {
		return nil, err
	}
	at := probe.Addr().(*net.TCPAddr).AddrPort()
	probe.Close()
	launch := s.server.start
	if sftp {
		launch = s.server.sftp
	}
	proc, err := launch(s, at, secure)
	if err != nil {
		return nil, err
	}
	l.running.Store(proc)
	t := &trial{
		site: s, proc: proc, sizes: l.sizes, at: at,
		dial: func() (*client, error) { return dial(at, secure) },
	}
	if err := t.greeted(at); err != nil {
		t.end()
		return nil, err
	}
	return t, nil
}

// greeted waits until the server answers.
func (t *trial) greeted(at netip.AddrPort) error {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		select {
		case <-t.proc.gone:
			return t.failed(errors.New("the server ended"))
		default:
		}
		s, err := connect(at)
		if err == nil {
			s.Close()
			return nil
		}
		if time.Now().After(deadline) {
			return t.failed(err)
		}
	}
}

// warm logs in once: what is remembered of a log-in is remembered then.
func (t *trial) warm(sftp bool) error {
	if sftp {
		return t.failed(t.overSSH(func(*sftpClient) error { return nil }))
	}
	c, err := t.dial()
	if err != nil {
		return t.failed(err)
	}
	defer c.close()
	if err := c.login(t.user, password); err != nil {
		return t.failed(err)
	}
	return t.failed(c.quit())
}

// failed adds what the server said to err.
func (t *trial) failed(err error) error {
	if err == nil {
		return nil
	}
	said, _ := os.ReadFile(t.proc.log)
	said = bytes.TrimSpace(said[max(0, len(said)-600):])
	return fmt.Errorf("%s: %w\n%s", t.name, err, said)
}

func (t *trial) end() { t.proc.stop() }

// verifyAll checks every server in clear text, over TLS and over SSH.
func (l *lab) verifyAll() error {
	for _, s := range l.sites {
		for _, secure := range []bool{false, true} {
			if s.server.start == nil {
				continue
			}
			if err := l.verify(s, secure); err != nil {
				return err
			}
		}
		if s.server.sftp != nil {
			if err := l.verifySFTP(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// verify checks that a server moves bytes as they are, before it is measured: what is fast and wrong is no peer.
func (l *lab) verify(s *site, secure bool) error {
	t, err := l.start(s, secure, false)
	if err != nil {
		return err
	}
	defer t.end()
	content := random(3<<20 + 1)
	_, _, err = t.side(1, func(c *client, _ int) error {
		if err := c.store("STOR up/proof", content, int64(len(content))); err != nil {
			return err
		}
		var got []byte
		if _, err := c.fetch("RETR up/proof", func(b []byte) { got = append(got, b...) }); err != nil {
			return err
		}
		if !bytes.Equal(got, content) {
			return errors.New("what came back is not what was sent")
		}
		if s.strict {
			return nil
		}
		if s.noMLSD {
			return t.count(c, "LIST many")
		}
		return errors.Join(t.count(c, "LIST many"), t.count(c, "MLSD many"))
	})
	return t.failed(err)
}

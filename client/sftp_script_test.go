//go:build unix

package client_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sampan/client"
	"sampan/fault"
	"sampan/files"
	"sampan/sftp"
	"sampan/words"
)

// A strangeSSH is an SSH server whose log-in and whose SFTP a test makes up.
type strangeSSH struct {
	t       testing.TB
	conf    *ssh.ServerConfig
	serve   func(ch io.ReadWriteCloser) // the sftp subsystem
	address string
	home    string
	host    ssh.PublicKey
}

func newStrangeSSH(t testing.TB, conf *ssh.ServerConfig, serve func(io.ReadWriteCloser)) *strangeSSH {
	t.Helper()
	s := &strangeSSH{t: t, conf: conf, serve: serve, home: filepath.Join(t.TempDir(), ".ssh")}
	must(t, os.Mkdir(s.home, 0o700))
	s.host = newKey(t, filepath.Join(s.home, "of_server"), "")
	signer, err := ssh.ParsePrivateKey(read(t, filepath.Join(s.home, "of_server")))
	must(t, err)
	conf.AddHostKey(signer)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s.address = l.Addr().String()
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { s.conn(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return s
}

func (s *strangeSSH) conn(conn net.Conn) {
	defer conn.Close()
	stop := context.AfterFunc(s.t.Context(), func() { conn.Close() })
	defer stop()
	c, channels, requests, err := ssh.NewServerConn(conn, s.conf)
	if err != nil {
		return
	}
	defer c.Close()
	go ssh.DiscardRequests(requests)
	var all sync.WaitGroup
	defer all.Wait()
	for offer := range channels {
		if offer.ChannelType() != "session" || s.serve == nil {
			offer.Reject(ssh.Prohibited, "not here")
			continue
		}
		ch, asked, err := offer.Accept()
		if err != nil {
			return
		}
		all.Go(func() {
			for r := range asked {
				r.Reply(r.Type == "subsystem", nil)
				if r.Type == "subsystem" {
					all.Go(func() {
						s.serve(ch)
						ch.Close()
					})
				}
			}
		})
	}
}

func (s *strangeSSH) url(user string) client.URL {
	u, err := client.ParseURL("sftp://" + user + "@" + s.address)
	must(s.t, err)
	return u
}

// options pin the server's key and have no other files.
func (s *strangeSSH) options() client.Options {
	return client.Options{SSH: s.home, Pin: ssh.FingerprintSHA256(s.host), Timeout: 10 * time.Second}
}

// scripted is a session of SFTP after its greeting; the functions answer requests.
func scripted(t testing.TB, answer func(r *sftp.Request, send func(*sftp.Packet)) bool, offers ...sftp.Extension) func(io.ReadWriteCloser) {
	return func(ch io.ReadWriteCloser) {
		send := func(p *sftp.Packet) { ch.Write(p.Wire()) }
		p, err := sftp.ReadPacket(ch)
		if err != nil {
			return
		}
		p.Free()
		send(sftp.Hello{Version: sftp.Version, Extensions: offers}.Packet(sftp.TypeVersion))
		for {
			p, err := sftp.ReadPacket(ch)
			if err != nil {
				return
			}
			var r sftp.Request
			if err := r.Parse(p); err != nil {
				t.Errorf("the client sends what cannot be read: %v", err)
				return
			}
			if !answer(&r, send) && !usual(&r, send) {
				return
			}
		}
	}
}

// usual answers as a server with nothing but an empty file at every name does.
func usual(r *sftp.Request, send func(*sftp.Packet)) bool {
	file := sftp.Attrs{Has: sftp.HasSize | sftp.HasMode, Mode: 0o100644}
	switch r.Type {
	case sftp.TypeRealpath:
		names := sftp.NamesPacket(r.ID)
		names.Add("/", nil, sftp.Attrs{})
		send(names.Packet())
	case sftp.TypeStat, sftp.TypeLstat, sftp.TypeFstat:
		send(sftp.AttrsPacket(r.ID, file))
	case sftp.TypeOpen, sftp.TypeOpendir:
		send(sftp.HandlePacket(r.ID, "h"))
	case sftp.TypeReaddir, sftp.TypeRead:
		send(sftp.StatusPacket(r.ID, sftp.EOF, "", ""))
	case sftp.TypeExtended:
		send(sftp.StatusPacket(r.ID, sftp.OpUnsupported, "", ""))
	default:
		send(sftp.StatusPacket(r.ID, sftp.OK, "", ""))
	}
	return true
}

func openDoor() *ssh.ServerConfig { return &ssh.ServerConfig{NoClientAuth: true} }

// TestSFTPServersThatLie: whatever a server answers, the client ends with a sentence, soon.
func TestSFTPServersThatLie(t *testing.T) {
	t.Parallel()
	list := func(r client.Remote) error {
		for _, err := range r.List(t.Context(), files.Root) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	get := func(r client.Remote) error {
		f, _, err := r.Open(t.Context(), path(t, "f"), 0)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(io.Discard, f)
		return err
	}
	told := false
	big := sftp.Attrs{Has: sftp.HasSize | sftp.HasMode, Mode: 0o100644, Size: 1 << 20}
	for _, c := range []struct {
		name   string
		answer func(r *sftp.Request, send func(*sftp.Packet)) bool
		do     func(client.Remote) error
		want   fault.Kind
	}{
		{"a name with a slash", func(r *sftp.Request, send func(*sftp.Packet)) bool {
			if r.Type != sftp.TypeReaddir || told {
				return false
			}
			told = true
			names := sftp.NamesPacket(r.ID)
			names.Add("../../etc/passwd", nil, sftp.Attrs{})
			send(names.Packet())
			return true
		}, list, fault.BadName},
		{"an empty NAME", func(r *sftp.Request, send func(*sftp.Packet)) bool {
			if r.Type == sftp.TypeReaddir {
				send(sftp.NamesPacket(r.ID).Packet())
			}
			return r.Type == sftp.TypeReaddir
		}, list, fault.Stopped},
		{"a wrong id", func(r *sftp.Request, send func(*sftp.Packet)) bool {
			if r.Type == sftp.TypeOpendir {
				send(sftp.HandlePacket(r.ID+7, "h"))
			}
			return r.Type == sftp.TypeOpendir
		}, list, fault.Unsupported},
		{"an answer twice", func(r *sftp.Request, send func(*sftp.Packet)) bool {
			if r.Type == sftp.TypeOpendir {
				send(sftp.HandlePacket(r.ID, "h"))
				send(sftp.HandlePacket(r.ID, "h"))
			}
			return r.Type == sftp.TypeOpendir
		}, list, fault.Unsupported},
		{"another type", func(r *sftp.Request, send func(*sftp.Packet)) bool {
			if r.Type == sftp.TypeOpendir {
				send(sftp.AttrsPacket(r.ID, big))
			}
			return r.Type == sftp.TypeOpendir
		}, list, fault.Unsupported},
		{"success without a handle", func(r *sftp.Request, send func(*sftp.Packet)) bool {
			if r.Type == sftp.TypeOpendir {
				send(sftp.StatusPacket(r.ID, sftp.OK, "", ""))
			}
			return r.Type == sftp.TypeOpendir
		}, list, fault.Unsupported},
		{"more than was asked for", func(r *sftp.Request, send func(*sftp.Packet)) bool {
			switch r.Type {
			case sftp.TypeStat, sftp.TypeFstat:
				send(sftp.AttrsPacket(r.ID, big))
			case sftp.TypeRead:
				p, _ := sftp.DataPacket(r.ID, int(r.Size)+1)
				send(p)
			default:
				return false
			}
			return true
		}, get, fault.Unsupported},
		{"nothing where something was asked for", func(r *sftp.Request, send func(*sftp.Packet)) bool {
			switch r.Type {
			case sftp.TypeStat, sftp.TypeFstat:
				send(sftp.AttrsPacket(r.ID, big))
			case sftp.TypeRead:
				p, _ := sftp.DataPacket(r.ID, 0)
				send(p)
			default:
				return false
			}
			return true
		}, get, fault.Unsupported},
		{"an end before the size", func(r *sftp.Request, send func(*sftp.Packet)) bool {
			if r.Type == sftp.TypeStat || r.Type == sftp.TypeFstat {
				send(sftp.AttrsPacket(r.ID, big))
				return true
			}
			return false
		}, get, fault.Mismatch},
		{"silence", func(r *sftp.Request, _ func(*sftp.Packet)) bool { return r.Type == sftp.TypeOpendir }, list, fault.Cut},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStrangeSSH(t, openDoor(), scripted(t, c.answer))
			o := s.options()
			if c.name == "silence" {
				o.Timeout = 5 * time.Second // the log-in has to fit in it on a busy machine
			}
			r, err := client.Dial(t.Context(), s.url("u"), o)
			must(t, err)
			defer r.Close()
			wantKind(t, c.do(r), c.want)
		})
	}
}

// TestSFTPGreetingsThatAreNone: what is no SFTP, or too much of it, ends the log-in.
func TestSFTPGreetingsThatAreNone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		greeting []byte
		want     fault.Kind
	}{
		"a shell that talks": {[]byte("Welcome to the machine!\n"), fault.Unsupported},
		"a huge packet":      {binary.BigEndian.AppendUint32(nil, 1<<31), fault.Unsupported},
		"an old version":     {sftp.Hello{Version: 2}.Packet(sftp.TypeVersion).Wire(), fault.Unsupported},
		"nothing":            {nil, fault.Cut},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStrangeSSH(t, openDoor(), func(ch io.ReadWriteCloser) { ch.Write(c.greeting) })
			_, err := client.Dial(t.Context(), s.url("u"), s.options())
			wantKind(t, err, c.want)
		})
	}
	s := newStrangeSSH(t, openDoor(), nil)
	_, err := client.Dial(t.Context(), s.url("u"), s.options())
	wantKind(t, err, fault.Unsupported)
	o := s.options()
	o.ASCII = true
	_, err = client.Dial(t.Context(), s.url("u"), o)
	wantKind(t, err, fault.Unsupported)
}

// TestSSHLogins: the ways to say who one is.
func TestSSHLogins(t *testing.T) {
	t.Parallel()
	no := errors.New("no")
	byPassword := &ssh.ServerConfig{PasswordCallback: func(c ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) {
		if c.User() == "alice" && string(p) == password {
			return nil, nil
		}
		return nil, no
	}}
	byAnswers := &ssh.ServerConfig{KeyboardInteractiveCallback: func(c ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
		a, err := ask("", "", []string{"Password: "}, []bool{false})
		if err != nil || a[0] != password {
			return nil, no
		}
		if a, err = ask("", "a second factor", []string{"Code"}, []bool{true}); err != nil || a[0] != "123456" {
			return nil, no
		}
		return nil, nil
	}}
	code := func(_ context.Context, q words.Message, hidden bool) (string, error) {
		if hidden || !strings.Contains(q.String(), "Code") {
			return "", fmt.Errorf("asked %s", q)
		}
		return "123456", nil
	}
	for _, c := range []struct {
		name string
		conf *ssh.ServerConfig
		user string
		pass string
		set  func(*client.Options)
		want fault.Kind // 0 is to get in
	}{
		{"password", byPassword, "alice", password, nil, 0},
		{"wrong password", byPassword, "alice", "wrong", nil, fault.Unauth},
		{"password that is asked for", byPassword, "alice", "", func(o *client.Options) {
			o.Password = func(context.Context, client.URL) (string, error) { return password, nil }
		}, 0},
		{"answers", byAnswers, "alice", password, func(o *client.Options) { o.Ask = code }, 0},
		{"nobody answers", byAnswers, "alice", password, nil, fault.Unauth},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			conf := *c.conf
			s := newStrangeSSH(t, &conf, scripted(t, func(*sftp.Request, func(*sftp.Packet)) bool { return false }))
			u, o := s.url(c.user), s.options()
			if u.Pass = c.pass; c.set != nil {
				c.set(&o)
			}
			r, err := client.Dial(t.Context(), u, o)
			if c.want != 0 {
				wantKind(t, err, c.want)
				if said := fault.Say(err).String(); !strings.Contains(said, "did not let alice in") || strings.Contains(said, "handshake") {
					t.Errorf("it says %q", said)
				}
				return
			}
			must(t, err)
			r.Close()
		})
	}
}

// TestUnknownHostKeyIsAskedAboutOnceAndKept: and one that changed is refused, whatever the person would say.
func TestUnknownHostKeyIsAskedAboutOnceAndKept(t *testing.T) {
	t.Parallel()
	s := newStrangeSSH(t, openDoor(), scripted(t, func(*sftp.Request, func(*sftp.Packet)) bool { return false }))
	known := filepath.Join(s.home, "known_hosts")
	write(t, known, []byte("# no line end")) // the new line stands on its own nevertheless
	questions := 0
	dial := func(answer bool) error {
		r, err := client.Dial(t.Context(), s.url("u"), client.Options{SSH: s.home, Trust: func(_ context.Context, c client.Certificate) (bool, error) {
			questions++
			if c.Key != ssh.KeyAlgoED25519 || c.SHA256 != ssh.FingerprintSHA256(s.host) || c.Host != s.address {
				t.Errorf("asked about %+v", c)
			}
			return answer, nil
		}})
		if err == nil {
			r.Close()
		}
		return err
	}
	wantKind(t, dial(false), fault.Untrusted)
	must(t, dial(true))
	must(t, dial(false))
	if questions != 2 {
		t.Errorf("%d questions, want 2", questions)
	}
	other := newKey(t, filepath.Join(t.TempDir(), "k"), "")
	host, port, _ := net.SplitHostPort(s.address)
	write(t, known, fmt.Appendf(nil, "[%s]:%s %s", host, port, ssh.MarshalAuthorizedKey(other)))
	err := dial(true)
	wantKind(t, err, fault.Untrusted)
	if text := fault.Say(err).String(); questions != 2 || !strings.Contains(text, ssh.FingerprintSHA256(other)) || !strings.Contains(text, "line 1") {
		t.Errorf("%d questions; it says %q", questions, text)
	}
	write(t, known, []byte("rubbish\n"))
	wantKind(t, dial(true), fault.Local)
}

// TestPinOfAHostKeyAloneDecides, in either form.
func TestPinOfAHostKeyAloneDecides(t *testing.T) {
	t.Parallel()
	s := newStrangeSSH(t, openDoor(), scripted(t, func(*sftp.Request, func(*sftp.Packet)) bool { return false }))
	hex := fmt.Sprintf("sha256:%x", sha256Of(s.host.Marshal()))
	for pin, good := range map[string]bool{
		ssh.FingerprintSHA256(s.host): true, hex: true, strings.ToUpper(hex): true, "sha256:" + strings.Repeat("0", 64): false, "SHA256:": false, "x": false,
	} {
		r, err := client.Dial(t.Context(), s.url("u"), client.Options{SSH: s.home, Pin: pin, Trust: func(context.Context, client.Certificate) (bool, error) {
			t.Error("asked in spite of a pin")
			return true, nil
		}})
		if good {
			must(t, err)
			r.Close()
		} else {
			wantKind(t, err, fault.Untrusted)
		}
	}
}

// TestJoinedWithAPinOfAHostKey: it is kept where that is wanted, and takes no other key's place.
func TestJoinedWithAPinOfAHostKey(t *testing.T) {
	t.Parallel()
	s := newStrangeSSH(t, openDoor(), scripted(t, func(*sftp.Request, func(*sftp.Packet)) bool { return false }))
	dial := func(pin string) error {
		r, err := client.Dial(t.Context(), s.url("u"), client.Options{SSH: s.home, Pin: pin, Keep: true})
		if err == nil {
			r.Close()
		}
		return err
	}
	pin := ssh.FingerprintSHA256(s.host)
	wantKind(t, dial(""), fault.Untrusted)
	must(t, dial(pin))
	must(t, dial(""))
	host, port, _ := net.SplitHostPort(s.address)
	other := fmt.Appendf(nil, "[%s]:%s %s", host, port, ssh.MarshalAuthorizedKey(newKey(t, filepath.Join(t.TempDir(), "k"), "")))
	write(t, filepath.Join(s.home, "known_hosts"), other)
	must(t, dial(pin))
	if got := read(t, filepath.Join(s.home, "known_hosts")); string(got) != string(other) {
		t.Errorf("the known hosts are %q now", got)
	}
}

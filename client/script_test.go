package client_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sampan/client"
	"sampan/fault"
	"sampan/files"
)

// foreign is one control connection of a server that a test plays.
type foreign struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	got  []string
}

// play starts a server that greets and then does what script says, once per connection. It returns its URL.
func play(t *testing.T, script func(*foreign)) client.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(20 * time.Second))
				script(&foreign{t: t, conn: conn, in: bufio.NewReader(conn)})
			})
		}
	})
	t.Cleanup(func() { l.Close(); running.Wait() })
	u, err := client.ParseURL("ftp://bob:secret@" + l.Addr().String())
	must(t, err)
	return u
}

func (f *foreign) say(format string, args ...any) { fmt.Fprintf(f.conn, format+"\r\n", args...) }

// next reads a command; "" at the end of the connection.
func (f *foreign) next() string {
	line, err := f.in.ReadString('\n')
	if err != nil {
		return ""
	}
	line = strings.TrimRight(line, "\r\n")
	f.got = append(f.got, line)
	return line
}

// serve answers as a simple server does. special has answers of its own, by verb; one that returns false gives back to
// the simple ones.
func (f *foreign) serve(special map[string]func(arg string) bool) {
	f.say("220 ready")
	for {
		line := f.next()
		if line == "" {
			return
		}
		verb, arg, _ := strings.Cut(line, " ")
		if s := special[verb]; s != nil && s(arg) {
			continue
		}
		switch verb {
		case "USER":
			f.say("331 password")
		case "PASS":
			f.say("230 in")
		case "PWD":
			f.say(`257 "/"`)
		case "TYPE", "CWD", "ALLO", "DELE", "RNTO":
			f.say("200 fine")
		case "REST", "RNFR":
			f.say("350 fine")
		case "QUIT":
			f.say("221 bye")
			return
		default:
			f.say("500 what?")
		}
	}
}

// passive answers EPSV or PASV and hands out the data connection at the transfer command.
type passive struct {
	f *foreign
	l net.Listener
}

func (f *foreign) passive(reply func(port int) string) *passive {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Error(err)
		return nil
	}
	f.say("%s", reply(l.Addr().(*net.TCPAddr).Port))
	return &passive{f, l}
}

func epsv(port int) string { return fmt.Sprintf("229 go (|||%d|)", port) }

// send sends content and waits until the client closed its end.
func (p *passive) send(content string) {
	conn, err := p.l.Accept()
	p.l.Close()
	if err != nil {
		return
	}
	p.f.say("150 here it comes")
	io.WriteString(conn, content)
	conn.(*net.TCPConn).CloseWrite()
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		p.f.t.Logf("the client did not close: %v", err)
	}
	conn.Close()
}

func dialPlain(t *testing.T, u client.URL, change ...func(*client.Options)) (client.Remote, error) {
	t.Helper()
	o := client.Options{Plain: true, Timeout: 5 * time.Second}
	for _, c := range change {
		c(&o)
	}
	r, err := client.Dial(t.Context(), u, o)
	if err == nil {
		t.Cleanup(func() { r.Close() })
	}
	return r, err
}

func TestHostileGreetings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		script func(f *foreign)
		kind   fault.Kind
	}{
		{"a line without end", func(f *foreign) {
			f.conn.Write([]byte("220 "))
			for {
				if _, err := f.conn.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		}, fault.Unsupported},
		{"a reply without end", func(f *foreign) {
			for {
				if _, err := f.conn.Write([]byte("220-more\r\n")); err != nil {
					return
				}
			}
		}, fault.Unsupported},
		{"another protocol", func(f *foreign) { f.say("SSH-2.0-OpenSSH_9.2"); f.next() }, fault.Unsupported},
		{"silence", func(f *foreign) { f.next() }, fault.Cut},
		{"a byte now and then", func(f *foreign) {
			for {
				if _, err := f.conn.Write([]byte("2")); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}, fault.Cut},
		{"nothing", func(f *foreign) {}, fault.Cut},
		{"full", func(f *foreign) { f.say("421 too many\x1b[2J connections") }, fault.TooMany},
		{"refused", func(f *foreign) { f.say("530 go away"); f.next() }, fault.Unreachable},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := dialPlain(t, play(t, c.script), func(o *client.Options) { o.Timeout = 2 * time.Second })
			wantKind(t, err, c.kind)
			if s := fault.Say(err).String(); strings.ContainsAny(s, "\x1b\r\n") {
				t.Errorf("the sentence has control characters: %q", s)
			}
		})
	}
}

// TestNeverClearTextByItself: whatever the server says to AUTH and PROT, no name and no password goes out in clear text.
func TestNeverClearTextByItself(t *testing.T) {
	t.Parallel()
	cert := newCertificate(t)
	for _, c := range []struct {
		name string
		auth func(f *foreign) bool // false ends the connection
		kind fault.Kind
	}{
		{"AUTH is not known", func(f *foreign) bool { f.say("500 what?"); return true }, fault.Unsupported},
		{"AUTH is refused", func(f *foreign) bool { f.say("534 no"); return true }, fault.Unsupported},
		{"AUTH is taken for something else", func(f *foreign) bool { f.say("230 you are in"); return true }, fault.Unsupported},
		{"clear text behind AUTH", func(f *foreign) bool { f.say("234 begin\r\n230 you are in"); return true }, fault.Untrusted},
		{"no handshake", func(f *foreign) bool { f.say("234 begin"); f.conn.Close(); return false }, fault.Unreachable},
		{"the data stay open", func(f *foreign) bool {
			f.say("234 begin")
			s := tls.Server(f.conn, &tls.Config{Certificates: []tls.Certificate{cert}})
			f.conn, f.in = s, bufio.NewReader(s)
			return true
		}, fault.Unsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			u := play(t, func(f *foreign) {
				secret := false
				f.serve(map[string]func(string) bool{
					"AUTH": func(string) bool { secret = true; return c.auth(f) },
					"PBSZ": func(string) bool { f.say("200 0"); return true },
					"PROT": func(string) bool { f.say("536 no"); return true },
					"USER": func(string) bool {
						if _, private := f.conn.(*tls.Conn); !private || !secret {
							t.Error("the name was sent in clear text")
						}
						return false
					},
					"PASS": func(string) bool { t.Error("the password was sent"); return false },
				})
			})
			_, err := client.Dial(t.Context(), u, client.Options{Timeout: 2 * time.Second, Pin: client.Fingerprint(cert.Leaf)})
			wantKind(t, err, c.kind)
		})
	}
}

// A server of old: no FEAT, no EPSV, LIST only; and its PASV names another host, as behind a NAT or out of malice.
func TestServerOfOld(t *testing.T) {
	t.Parallel()
	var way *passive
	u := play(t, func(f *foreign) {
		f.serve(map[string]func(string) bool{
			"PASV": func(string) bool {
				way = f.passive(func(port int) string {
					return fmt.Sprintf("227 Entering Passive Mode (10,255,255,1,%d,%d).", port>>8, port&255)
				})
				return true
			},
			"LIST": func(string) bool {
				way.send("total 4\r\ndrwxr-xr-x 2 o g 4096 Jan  1  2020 .\r\n-rw-r--r-- 1 o g 5 Jan  1  2020 a  file\r\n" +
					"lrwxrwxrwx 1 o g 5 Jan  1  2020 l -> a  file\r\ncrw-rw-rw- 1 o g 1, 3 Jan  1  2020 null\r\n" +
					"-rw-r--r-- 1 o g 5 Jan  1  2020 ../../evil\r\ndrwxr-xr-x 2 o g 4096 Jan  1  2020 d\r\n")
				f.say("226 done")
				return true
			},
			"SIZE": func(string) bool { f.say("213 5"); return true },
			"MDTM": func(string) bool { f.say("213 20200101000000"); return true },
			"RETR": func(string) bool { way.send("hello"); f.say("226 done"); return true },
		})
	})
	r, err := dialPlain(t, u)
	must(t, err)
	var names []string
	var last error
	for i, err := range r.List(t.Context(), files.Root) {
		if err != nil {
			last = err
			continue
		}
		names = append(names, fmt.Sprintf("%s %v %d", i.Path, i.Mode.Type(), i.Size))
	}
	wantKind(t, last, fault.BadName)
	if got, want := strings.Join(names, "|"), "/a  file ---------- 5|/l L--------- 5|/d d--------- 0"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	local := t.TempDir()
	res, err := client.Copy(t.Context(), r, path(t, "a  file"), disk(t, local), path(t, "a"), client.CopyOptions{})
	must(t, err)
	if string(read(t, local+"/a")) != "hello" || res.Verified {
		t.Errorf("%+v", res)
	}
}

// modern answers FEAT, MLST and EPSV for one file /f of size bytes.
func modern(f *foreign, way **passive, size int) map[string]func(string) bool {
	return map[string]func(string) bool{
		"FEAT": func(string) bool {
			f.say("211-Features:\r\n MLST size*;type*;modify*;\r\n EPSV\r\n REST STREAM\r\n211 End")
			return true
		},
		"MLST": func(string) bool {
			f.say("250-Facts:\r\n type=file;size=%d;modify=20200101000000; /f\r\n250 End", size)
			return true
		},
		"EPSV": func(string) bool { *way = f.passive(epsv); return true },
	}
}

func TestDownloadThatLiesAboutItsSize(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		size int
		kind fault.Kind
	}{{"too short", 10, fault.Cut}, {"too long", 3, fault.Mismatch}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			u := play(t, func(f *foreign) {
				var way *passive
				special := modern(f, &way, c.size)
				special["RETR"] = func(string) bool { way.send("hello"); f.say("226 all of it"); return true }
				f.serve(special)
			})
			r, err := dialPlain(t, u)
			must(t, err)
			body, _, err := r.Open(t.Context(), path(t, "f"), 0)
			must(t, err)
			_, err = io.ReadAll(body)
			wantKind(t, err, c.kind)
			must(t, body.Close())
			local := t.TempDir()
			_, err = client.Copy(t.Context(), r, path(t, "f"), disk(t, local), path(t, "f"), client.CopyOptions{Tries: -1})
			wantKind(t, err, c.kind)
			if _, err := disk(t, local).Stat(t.Context(), path(t, "f")); err == nil {
				if i, _ := disk(t, local).Stat(t.Context(), path(t, "f")); !i.PartOnly() {
					t.Error("it was published")
				}
			}
		})
	}
}

// TestReplyComesAfterTheClientClosed: ProFTPD sends 226 only when the client has closed the data connection too.
func TestReplyComesAfterTheClientClosed(t *testing.T) {
	t.Parallel()
	u := play(t, func(f *foreign) {
		var way *passive
		special := modern(f, &way, 5)
		special["RETR"] = func(string) bool { way.send("hello"); f.say("226 done"); return true }
		special["MLSD"] = func(string) bool { way.send("type=file;size=5; f\r\n"); f.say("226 done"); return true }
		f.serve(special)
	})
	r, err := dialPlain(t, u, func(o *client.Options) { o.Timeout = 2 * time.Second })
	must(t, err)
	body, _, err := r.Open(t.Context(), path(t, "f"), 0)
	must(t, err)
	if b, err := io.ReadAll(body); err != nil || string(b) != "hello" {
		t.Errorf("%q %v", b, err)
	}
	for _, err := range r.List(t.Context(), files.Root) {
		must(t, err)
	}
}

func TestHostileListings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, listing string
		kind          fault.Kind
	}{
		{"names that lead elsewhere", "type=file; ../evil\r\ntype=file; a/b\r\ntype=dir; ..\r\ntype=file; good\r\ntype=file; .sampan\r\n", fault.BadName},
		{"a line without end", "type=file; good\r\n" + strings.Repeat("x", 1<<20), fault.Stopped},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			u := play(t, func(f *foreign) {
				var way *passive
				special := modern(f, &way, 5)
				special["MLSD"] = func(string) bool { way.send(c.listing); f.say("226 done"); return true }
				f.serve(special)
			})
			r, err := dialPlain(t, u, func(o *client.Options) { o.Timeout = time.Second })
			must(t, err)
			var names []string
			var last error
			for i, err := range r.List(t.Context(), files.Root) {
				if last = err; err == nil {
					names = append(names, i.Path.String())
				}
			}
			wantKind(t, last, c.kind)
			if strings.Join(names, " ") != "/good" {
				t.Errorf("got %q", names)
			}
		})
	}
}

// TestIdleConnectionThatEnded: a 421 that came while nobody looked is not the answer to the next command.
func TestIdleConnectionThatEnded(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 1)
	var later atomic.Bool
	u := play(t, func(f *foreign) {
		var way *passive
		special := modern(f, &way, 5)
		if !later.Swap(true) {
			special["MLST"] = func(string) bool {
				f.say("250-Facts:\r\n type=file;size=5; /f\r\n250 End\r\n421 idle for too long")
				f.conn.Close()
				ended <- struct{}{}
				return true
			}
		}
		f.serve(special)
	})
	r, err := dialPlain(t, u)
	must(t, err)
	_, err = r.Stat(t.Context(), path(t, "f"))
	must(t, err)
	<-ended
	_, err = r.Stat(t.Context(), path(t, "f"))
	must(t, err)
}

func TestTraceMasksPasswords(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	tr := &traced{}
	r := h.dial("alice", func(o *client.Options) { o.Trace = tr.add })
	must(t, r.Passwd(t.Context(), password, "another long secret"))
	_, err := r.Space(t.Context())
	must(t, err)
	wantKind(t, r.Passwd(t.Context(), "wrong old word", "a third long secret"), fault.Unauth)
	s := tr.String()
	for _, secret := range []string{password, "another long secret", "wrong old word", "third"} {
		if strings.Contains(s, secret) {
			t.Errorf("the trace tells %q", secret)
		}
	}
	for _, want := range []string{"> USER alice", "> PASS ****", "< 220 ", "> SITE PASSWD", "> SITE QUOTA"} {
		if !strings.Contains(s, want) {
			t.Errorf("the trace lacks %q:\n%s", want, s)
		}
	}
}

// TestLostControlConnectionIsNoEndOfFile: when both connections end in mid-download, what came is not the file.
func TestLostControlConnectionIsNoEndOfFile(t *testing.T) {
	t.Parallel()
	u := play(t, func(f *foreign) {
		var way *passive
		special := modern(f, &way, 10)
		special["RETR"] = func(string) bool { way.send("hello"); f.conn.Close(); return true }
		f.serve(special)
	})
	r, err := dialPlain(t, u)
	must(t, err)
	body, _, err := r.Open(t.Context(), path(t, "f"), 0)
	must(t, err)
	_, err = io.ReadAll(body)
	wantKind(t, err, fault.Cut)
	if errors.Is(err, io.EOF) {
		t.Errorf("%v passes for the end of the file", err)
	}
	_, err = client.Copy(t.Context(), r, path(t, "f"), disk(t, t.TempDir()), path(t, "f"), client.CopyOptions{Tries: -1})
	wantKind(t, err, fault.Cut)
}

// TestSomebodyElseOnTheDataConnection: a certificate with another key than that of the control connection.
func TestSomebodyElseOnTheDataConnection(t *testing.T) {
	t.Parallel()
	cert, other := newCertificate(t), newCertificate(t)
	u := play(t, func(f *foreign) {
		var way *passive
		special := modern(f, &way, 5)
		special["AUTH"] = func(string) bool {
			f.say("234 begin")
			s := tls.Server(f.conn, &tls.Config{Certificates: []tls.Certificate{cert}})
			f.conn, f.in = s, bufio.NewReader(s)
			return true
		}
		special["PBSZ"] = func(string) bool { f.say("200 0"); return true }
		special["PROT"] = func(string) bool { f.say("200 P"); return true }
		special["STOR"] = func(string) bool {
			f.say("150 send")
			conn, err := way.l.Accept()
			way.l.Close()
			if err != nil {
				return true
			}
			defer conn.Close()
			s := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{other}})
			if b, _ := io.ReadAll(s); len(b) > 0 {
				t.Errorf("the stranger got %q", b)
			}
			f.say("426 nothing came")
			return true
		}
		f.serve(special)
	})
	r, err := client.Dial(t.Context(), u, client.Options{Timeout: 5 * time.Second, Pin: client.Fingerprint(cert.Leaf)})
	must(t, err)
	defer r.Close()
	_, err = r.Create(t.Context(), path(t, "f"), files.Want{Size: -1})
	wantKind(t, err, fault.Untrusted)
}

// TestStrangerOnTheActivePort: who connects first from another address gets and gives nothing.
func TestStrangerOnTheActivePort(t *testing.T) {
	t.Parallel()
	u := play(t, func(f *foreign) {
		var way *passive
		special := modern(f, &way, 5)
		var port string
		special["PORT"] = func(arg string) bool {
			var a, b, c, d, hi, lo int
			fmt.Sscanf(arg, "%d,%d,%d,%d,%d,%d", &a, &b, &c, &d, &hi, &lo)
			port = fmt.Sprintf("127.0.0.1:%d", hi<<8|lo)
			f.say("200 fine")
			return true
		}
		special["RETR"] = func(string) bool {
			f.say("150 here it comes")
			stranger := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
			if conn, err := stranger.Dial("tcp", port); err == nil {
				io.WriteString(conn, "false")
				io.ReadAll(conn)
				conn.Close()
			}
			conn, err := net.Dial("tcp", port)
			if err != nil {
				t.Error(err)
				return true
			}
			io.WriteString(conn, "hello")
			conn.Close()
			f.say("226 done")
			return true
		}
		f.serve(special)
	})
	r, err := dialPlain(t, u, func(o *client.Options) { o.Active = true })
	must(t, err)
	body, _, err := r.Open(t.Context(), path(t, "f"), 0)
	must(t, err)
	if b, err := io.ReadAll(body); err != nil || string(b) != "hello" {
		t.Errorf("%q %v", b, err)
	}
}

// TestSessionOfTheControlConnectionIsResumed: some servers (vsftpd, ProFTPD) want exactly that one on every data
// connection, though they send tickets on those too.
func TestSessionOfTheControlConnectionIsResumed(t *testing.T) {
	t.Parallel()
	cert := newCertificate(t)
	shown := make(chan string, 10)
	u := play(t, func(f *foreign) {
		var way *passive
		special := modern(f, &way, 5)
		conf := func(id string) *tls.Config {
			c := &tls.Config{Certificates: []tls.Certificate{cert}}
			c.SetSessionTicketKeys([][32]byte{{7}})
			c.WrapSession = func(s tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
				ss.Extra = [][]byte{[]byte(id)}
				return c.EncryptTicket(s, ss)
			}
			c.UnwrapSession = func(b []byte, s tls.ConnectionState) (*tls.SessionState, error) {
				ss, err := c.DecryptTicket(b, s)
				if ss != nil {
					shown <- string(ss.Extra[0])
				}
				return ss, err
			}
			return c
		}
		special["AUTH"] = func(string) bool {
			f.say("234 begin")
			s := tls.Server(f.conn, conf("control"))
			f.conn, f.in = s, bufio.NewReader(s)
			return true
		}
		special["PBSZ"] = func(string) bool { f.say("200 0"); return true }
		special["PROT"] = func(string) bool { f.say("200 P"); return true }
		special["RETR"] = func(string) bool {
			f.say("150 here it comes")
			conn, err := way.l.Accept()
			way.l.Close()
			if err != nil {
				return true
			}
			s := tls.Server(conn, conf("data"))
			io.WriteString(s, "hello")
			s.Close()
			f.say("226 done")
			return true
		}
		f.serve(special)
	})
	r, err := client.Dial(t.Context(), u, client.Options{Timeout: 5 * time.Second, Pin: client.Fingerprint(cert.Leaf)})
	must(t, err)
	defer r.Close()
	for range 3 {
		body, _, err := r.Open(t.Context(), path(t, "f"), 0)
		must(t, err)
		if b, err := io.ReadAll(body); err != nil || string(b) != "hello" {
			t.Fatalf("%q %v", b, err)
		}
		if got := <-shown; got != "control" {
			t.Errorf("a session of a %s connection was resumed", got)
		}
	}
}

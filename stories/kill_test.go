//go:build linux

package stories

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestServerKilled: the server is killed with -9 again and again under 8 writers. Nothing acknowledged is missing or
// torn, what was not answered happened wholly or not at all, parts are heads of what was sent, and the quota that
// the server tells is the disk's.
func TestServerKilled(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	random := rand.New(rand.NewPCG(seed, 99))
	s := startServer(t)
	s.addUser("alice", "--quota", "2G")
	f := newFleet(t, s, seed, 8, 50<<20)
	for range serverKills {
		f.round(func() {
			time.Sleep(time.Duration(10+random.IntN(400)) * time.Millisecond)
			s.kill()
		})
		s.start()
		f.verify(s.home("alice"))
		verifyUsed(t, s, "alice")
		if t.Failed() {
			break
		}
	}
	t.Logf("%d kills, %d acknowledged, %d parts proved", f.cuts, f.acked, f.parts)
	if f.acked < f.cuts {
		t.Errorf("only %d commands were acknowledged in %d rounds", f.acked, f.cuts)
	}
}

// TestUploaderKilled: clients are killed with -9 in the middle of uploads, 50 times each, over FTP in clear text, under TLS, and over
// SFTP. No truncated file stands under the name, and an old version stays. Over plain connections a client whose control
// connection dies later than the data connection cannot be told from one that finished: such cases are counted.
func TestUploaderKilled(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	s := startServer(t, "--sftp", "127.0.0.1:0")
	s.knownHosts()
	const size, times = 6 << 20, 50
	source := filepath.Join(t.TempDir(), "source")
	write(t, source, awkward(1, size))
	put := func(name string) []step { return []step{{op: "put", local: source, remote: name}} }
	clients := map[string]func(r route, name string) command{
		"curl": func(r route, name string) command {
			c := curl(r, put(name))[0]
			c.argv = append(c.argv, "--limit-rate", "60M")
			return c
		},
		"lftp": func(r route, name string) command {
			c := lftp(r, put(name))[0]
			last := &c.argv[len(c.argv)-1]
			*last = "set net:limit-rate 60000000; set net:connection-limit 1; " + *last
			return c
		},
		"OpenSSH sftp": func(r route, name string) command {
			c := openSSH(r, put(name))[0]
			c.argv = slices.Insert(c.argv, 1, "-l", "480000") // kbit/s
			return c
		},
	}
	for _, k := range []struct{ client, security string }{
		{"curl", "plain"}, {"curl", "explicit"}, {"lftp", "plain"}, {"lftp", "explicit"}, {"OpenSSH sftp", byKey},
	} {
		t.Run(k.client+" "+k.security, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, uint64(len(k.client+k.security))))
			account := strings.ReplaceAll(strings.ToLower(k.client+"-"+k.security), " ", "-")
			s.addUser(account)
			if k.security == byKey {
				if r := s.sampan("", "user", "key", "add", account, userKey()+".pub"); r.code != 0 {
					t.Fatalf("user key add: %s%s", r.out, r.err)
				}
			}
			r := s.route(way{k.security, "passive", "IPv4"}, account)
			is := uploaderKills{t: t, home: s.home(account), source: read(t, source)}
			for i := range times {
				name := fmt.Sprintf("f%d", i)
				is.once(clients[k.client](r, name), name, 1+random.IntN(size-1), i%2 == 0)
			}
			t.Logf("%d kills: %d cut, %d already whole, %d truncated under the name", times, is.cut, is.whole, is.truncated)
			if is.truncated > 0 && k.security != "plain" {
				t.Errorf("%d truncated files were published", is.truncated)
			}
			if is.cut < times/2 {
				t.Errorf("only %d of %d kills hit an upload", is.cut, times)
			}
		})
	}
}

type uploaderKills struct {
	t                     *testing.T
	home                  string
	source                []byte
	cut, whole, truncated int
}

// once starts an upload of name, kills the client when the stage holds at least so many bytes, and judges.
func (k *uploaderKills) once(c command, name string, at int, replaces bool) {
	k.t.Helper()
	target := filepath.Join(k.home, name)
	old := []byte("the old version of " + name)
	if replaces {
		write(k.t, target, old)
	}
	cmd := exec.Command(c.argv[0], c.argv[1:]...)
	cmd.Env, cmd.SysProcAttr, cmd.Stdin = append(environ(k.t.TempDir()), c.env...), dieWithParent(), strings.NewReader(c.stdin)
	if err := cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	eventually(k.t, "the upload gets so far", func() bool {
		select {
		case <-ended:
			return true
		default:
			return biggestStage(k.home) >= int64(at)
		}
	})
	_ = cmd.Process.Kill()
	<-ended
	eventually(k.t, "the server ends the upload", func() bool { return biggestStage(k.home) < 0 })

	switch got, err := os.ReadFile(target); {
	case os.IsNotExist(err) && !replaces, err == nil && replaces && bytes.Equal(got, old):
		k.cut++
	case err != nil:
		k.t.Errorf("%s: %v", name, err)
	case bytes.Equal(got, k.source):
		k.whole++
	case bytes.HasPrefix(k.source, got):
		k.truncated++
	default:
		k.t.Errorf("%s holds %d bytes that nobody sent", name, len(got))
	}
	_ = os.Remove(target)
}

// biggestStage is the size of the biggest stage in a home, -1 if there is none.
func biggestStage(home string) (n int64) {
	n = -1
	list, _ := os.ReadDir(filepath.Join(home, ".sampan", "stage"))
	for _, e := range list {
		if info, err := e.Info(); err == nil {
			n = max(n, info.Size())
		}
	}
	return n
}

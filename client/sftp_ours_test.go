//go:build unix

package client_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sampan/account"
	"sampan/client"
	"sampan/fault"
	"sampan/files"
	"sampan/files/filestest"
	"sampan/sftpd"
)

// quay is a harbour's SFTP.
type quay struct {
	h       *harbour
	address string
	pin     string
	ssh     string // an empty ~/.ssh
}

func newQuay(t testing.TB) *quay {
	t.Helper()
	h := newHarbour(t)
	dir := t.TempDir()
	keys, err := sftpd.HostKeys(filepath.Join(dir, "keys"))
	must(t, err)
	srv := sftpd.New(sftpd.Config{Hub: h.hub, HostKeys: keys})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var serving sync.WaitGroup
	serving.Go(func() { srv.Serve(l) })
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		srv.Shutdown(ctx)
		serving.Wait()
	})
	q := &quay{h: h, address: l.Addr().String(), ssh: filepath.Join(dir, ".ssh")}
	must(t, os.Mkdir(q.ssh, 0o700))
	for _, k := range keys {
		if k.PublicKey().Type() == ssh.KeyAlgoED25519 {
			q.pin = ssh.FingerprintSHA256(k.PublicKey())
		}
	}
	return q
}

func (q *quay) dial(user string) client.Remote {
	q.h.t.Helper()
	r, err := client.Dial(q.h.t.Context(), q.h.url("sftp", q.address, user), client.Options{SSH: q.ssh, Pin: q.pin, Timeout: 20 * time.Second})
	if err != nil {
		q.h.t.Fatalf("dial: %v", err)
	}
	q.h.t.Cleanup(func() { r.Close() })
	return r
}

// TestSFTPIsAStoreWithSampan runs the suite of stores through the client, SSH and our server. Over SFTP a listing does not
// tell of parts, and a session sees the uploads that it has open.
func TestSFTPIsAStoreWithSampan(t *testing.T) {
	t.Parallel()
	filestest.Run(t, func(t *testing.T) filestest.Rig {
		q := newQuay(t)
		home := filepath.Join(q.h.homes, "shared")
		for _, name := range []string{"bob", "carol"} {
			_, err := q.h.book.Add(t.Context(), account.NewAccount{Name: name, Password: password, Home: home})
			must(t, err)
		}
		return filestest.Rig{
			Store: q.dial("bob"), Other: q.dial("carol"), Dir: home,
			Can: filestest.Kinds | filestest.Twins | filestest.Parts | filestest.Owners | filestest.Quota | filestest.Sums | filestest.Modes | filestest.Disk,
			SetQuota: func(n int64) {
				_, err := q.h.book.Update(context.Background(), "bob", account.Change{Quota: &n})
				must(t, err)
			},
		}
	})
}

// TestSFTPCutAndResumed: copies that are cut on the way, more than once, go on behind a proof in either direction.
func TestSFTPCutAndResumed(t *testing.T) {
	t.Parallel()
	q := newQuay(t)
	near := t.TempDir()
	d := disk(t, near)
	content := bytesOf(3, 24<<20)
	write(t, filepath.Join(near, "f"), content)
	write(t, filepath.Join(q.h.home("alice"), "f"), []byte("old"))
	far := func(cuts ...load) client.Remote {
		way := newWay(t, q.address, func(to io.Writer, from io.Reader) { io.Copy(to, from) }, cuts...)
		return (&quay{q.h, way.address, q.pin, q.ssh}).dial("alice")
	}
	up, err := client.Copy(t.Context(), d, path(t, "f"), far(load{forth: 6 << 20, back: forever}, load{forth: 9 << 20, back: forever}), path(t, "f"), client.CopyOptions{})
	must(t, err)
	if got := read(t, filepath.Join(q.h.home("alice"), "f")); !bytes.Equal(got, content) || !up.Verified || up.Resumed == 0 {
		t.Errorf("up: %d bytes are there; %+v", len(got), up)
	}
	down, err := client.Copy(t.Context(), far(load{forth: forever, back: 6 << 20}, load{forth: forever, back: 9 << 20}), path(t, "f"), d, path(t, "g"), client.CopyOptions{})
	must(t, err)
	if got := read(t, filepath.Join(near, "g")); !bytes.Equal(got, content) || !down.Verified || down.Resumed == 0 {
		t.Errorf("down: %d bytes are there; %+v", len(got), down)
	}
}

// TestUploadBegunOverFTPIsFinishedOverSFTP: parts belong to the account, whatever it speaks.
func TestUploadBegunOverFTPIsFinishedOverSFTP(t *testing.T) {
	t.Parallel()
	q := newQuay(t)
	near := t.TempDir()
	content := bytesOf(4, 3<<20)
	write(t, filepath.Join(near, "f"), content)
	park(t, q.h.dial("alice"), path(t, "f"), content[:2<<20])
	res, err := client.Copy(t.Context(), disk(t, near), path(t, "f"), q.dial("alice"), path(t, "f"), client.CopyOptions{})
	must(t, err)
	if got := read(t, filepath.Join(q.h.home("alice"), "f")); !bytes.Equal(got, content) || !res.Verified || res.Resumed != 2<<20 {
		t.Errorf("%d bytes are there; %+v", len(got), res)
	}
}

// TestSpaceIsTheSameOverSFTP: what is used, the quota and whether there is one are told as over FTP.
func TestSpaceIsTheSameOverSFTP(t *testing.T) {
	t.Parallel()
	q := newQuay(t)
	over := map[string]client.Remote{"ftp": q.h.dial("alice"), "sftp": q.dial("alice")}
	near := t.TempDir()
	write(t, filepath.Join(near, "f"), bytesOf(1, 5000))
	_, err := client.Copy(t.Context(), disk(t, near), path(t, "f"), over["sftp"], path(t, "f"), client.CopyOptions{})
	must(t, err)
	for _, quota := range []int64{-1, 1 << 20, 5000, 10} {
		_, err := q.h.book.Update(t.Context(), "alice", account.Change{Quota: &quota})
		must(t, err)
		for name, r := range over {
			s, err := r.Space(t.Context())
			must(t, err)
			if s.Used != 5000 || s.Quota != quota || s.Free <= 0 {
				t.Errorf("a quota of %d over %s: %+v", quota, name, s)
			}
		}
	}
}

// TestJoiningOverSSH goes through the dialogue that people have there.
func TestJoiningOverSSH(t *testing.T) {
	t.Parallel()
	q := newQuay(t)
	u := q.h.url("sftp", q.address, "")
	o := client.Options{SSH: q.ssh, Pin: q.pin, Timeout: 20 * time.Second}
	ask := func(name string) string {
		t.Helper()
		ticket, err := client.Register(t.Context(), u, o, name, "", "a good password here")
		must(t, err)
		return ticket
	}
	stands := func(ticket string, want client.Standing) {
		t.Helper()
		if got, err := client.Answer(t.Context(), u, o, ticket); err != nil || got != want {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	given, refused, plain := ask("newcomer"), ask("other"), ask("third")
	stands(given, client.Standing{State: client.Pending})
	for name, d := range map[string]account.Decision{
		"newcomer": {Approve: true, By: "operator", Note: "welcome: 欢迎 says: x"}, "other": {By: "operator", Note: "no"}, "third": {Approve: true, By: "operator"},
	} {
		_, err := q.h.book.Decide(t.Context(), name, d)
		must(t, err)
	}
	stands(given, client.Standing{State: client.Approved, Note: "welcome: 欢迎 says: x"})
	stands(refused, client.Standing{State: client.Refused, Note: "no"})
	stands(plain, client.Standing{State: client.Approved})
	u.User, u.Pass = "newcomer", "a good password here"
	r, err := client.Dial(t.Context(), u, o)
	must(t, err)
	must(t, r.Close())
	u.User, u.Pass = "", ""
	for _, ticket := range []string{"no-such-ticket", strings.Repeat("A", 26)} {
		_, err := client.Answer(t.Context(), u, o, ticket)
		wantKind(t, err, fault.NotExist)
	}
	for name, want := range map[string]fault.Kind{"x/y": fault.BadName, "in ject": fault.Syntax} {
		_, err := client.Register(t.Context(), u, o, name, "", "a good password here")
		wantKind(t, err, want)
	}
	_, err = client.Register(t.Context(), u, o, "short", "", "x")
	wantKind(t, err, fault.BadName)
	_, err = client.Register(t.Context(), u, o, "addressed", "a@b", "a good password here")
	wantKind(t, err, fault.Unsupported)
}

// TestJoiningElsewhereOverSSH: OpenSSH's server lets nobody in who asks for an account.
func TestJoiningElsewhereOverSSH(t *testing.T) {
	t.Parallel()
	s := newSSHServer(t)
	u := s.url()
	_, err := client.Register(t.Context(), u, s.options(), "newcomer", "", "a good password here")
	wantKind(t, err, fault.Unsupported)
}

// TestSFTPSmallFilesAreProvedByTheirClose: that takes no request more, and is proof all the same.
func TestSFTPSmallFilesAreProvedByTheirClose(t *testing.T) {
	t.Parallel()
	q := newQuay(t)
	near := t.TempDir()
	for n := range 20 {
		write(t, filepath.Join(near, strings.Repeat("f", n+1)), bytesOf(uint64(n), n*1000))
	}
	r := q.dial("alice")
	var mu sync.Mutex
	asked := map[string]int{}
	r.Tune(func(o *client.Options) {
		o.Trace = func(line string) {
			mu.Lock()
			defer mu.Unlock()
			what, _, _ := strings.Cut(strings.TrimPrefix(line, "> "), " ")
			asked[what]++
		}
	})
	proved := func(r client.Result, err error) {
		if err != nil || !r.Verified || r.Sum == "" {
			t.Errorf("%+v, %v", r, err)
		}
	}
	_, err := client.CopyTree(t.Context(), disk(t, near), files.Root, r, path(t, "up"), client.CopyOptions{}, proved)
	must(t, err)
	if asked["close@sampan"] != 20 || asked["check-file-name"] != 0 {
		t.Errorf("%v", asked)
	}
	clear(asked)
	_, err = client.CopyTree(t.Context(), r, path(t, "up"), disk(t, t.TempDir()), path(t, "down"), client.CopyOptions{}, proved)
	must(t, err)
	if asked["close@sampan"] != 20 || asked["check-file-handle"] != 0 || asked["CLOSE"] != 1 { // of the directory
		t.Errorf("%v", asked)
	}
}

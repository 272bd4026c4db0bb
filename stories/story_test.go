//go:build linux

package stories

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const storySize = 200 << 20

// TestStoryCut is the heart of the story: a transfer of 200 MB is cut at a random place, and one byte before its end,
// because the sockets are closed, the client is killed or the server is killed. The old version is still there; the
// part is no file; then the transfer goes on behind a proved part, and both ends have the same SHA-256.
func TestStoryCut(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	whole := content{{seed, storySize}}
	create(t, source, whole)
	sum := whole.sum(storySize)
	number := uint64(0)
	oneCase := func(direction, cause, place, security string, least, most int64) {
		number++
		random := rand.New(rand.NewPCG(seed, number))
		t.Run(strings.Join([]string{direction, cause, place, security}, ", "), func(t *testing.T) {
			t.Parallel()
			c := newCase(t, source, sum, security)
			at := int64(-1)
			if place == "random" {
				at = least + random.Int64N(most-least)
			}
			if direction == "put" {
				c.put(at, cause)
			} else {
				c.get(at, cause)
			}
		})
	}
	for _, direction := range []string{"put", "get"} {
		for _, cause := range []string{"socket closed", "client killed", "server killed"} {
			for _, place := range []string{"random", "one byte before the end"} {
				for _, security := range []string{"TLS", "plain", "SFTP"} {
					if security == "plain" && place == "random" {
						continue // the exact place matters to plain connections only
					}
					if security == "SFTP" && place != "random" {
						continue // nobody outside sees where a file ends
					}
					oneCase(direction, cause, place, security, storySize/20, storySize*19/20)
				}
			}
		}
	}
	// Two connections carry it, each some half.
	for _, cause := range []string{"socket closed", "client killed", "server killed"} {
		oneCase("put", cause, "random", "SFTP from afar", storySize/8, storySize*3/8)
	}
	oneCase("get", "socket closed", "random", "SFTP from afar", storySize/8, storySize*3/8)
}

// storyCase is one cut of the story.
type storyCase struct {
	t      *testing.T
	s      *server
	c      *cutter
	dir    string // the client's
	source string
	sum    string
	flags  []string
	cmd    *exec.Cmd
	out    *log
}

func newCase(t *testing.T, source, sum, security string) *storyCase {
	t.Helper()
	var flags []string
	if strings.HasPrefix(security, "SFTP") {
		flags = []string{"--sftp", "127.0.0.1:0"}
	}
	s, c := startBehindCutter(t, flags...)
	s.addUser("alice")
	k := &storyCase{t: t, s: s, c: c, dir: t.TempDir(), source: source, sum: sum, flags: []string{"--json"}}
	switch security {
	case "TLS":
		k.flags = append(k.flags, "--pin", s.pin())
	case "SFTP":
		k.flags = append(k.flags, "--pin", s.hostPin())
	case "SFTP from afar":
		k.flags = append(k.flags, "--pin", s.hostPin())
		c.mu.Lock()
		c.far = func(to string) string { return detour(t, to, 8*time.Millisecond) }
		c.mu.Unlock()
	default:
		k.flags = append(k.flags, "--plain")
	}
	return k
}

// pin is the fingerprint that the server prints for its users.
func (s *server) pin() string {
	s.t.Helper()
	_, rest, ok := strings.Cut(s.log.String(), "--pin sha256:")
	if !ok || len(rest) < 64 {
		s.t.Fatal("the log has no pin")
	}
	return "sha256:" + rest[:64]
}

// hostPin is the fingerprint of the host key, as the log tells it.
func (s *server) hostPin() string {
	s.t.Helper()
	_, rest, ok := strings.Cut(s.log.String(), "ssh-ed25519 ")
	pin, _, ok2 := strings.Cut(rest, `"`)
	if !ok || !ok2 {
		s.t.Fatal("the log has no host key")
	}
	return pin
}

// url is a file of alice's as the client reaches it through the cutter.
func (k *storyCase) url(name string) string {
	if k.s.sftp != "" {
		return fmt.Sprintf("sftp://alice@%s:%d/%s", k.c.host, k.c.sftp, name)
	}
	return fmt.Sprintf("ftp://alice@%s:%d/%s", k.c.host, k.c.port, name)
}

// start starts the client.
func (k *storyCase) start(args ...string) {
	k.t.Helper()
	k.out = &log{}
	k.cmd = exec.Command(binary, append(args, k.flags...)...)
	k.cmd.Dir, k.cmd.Env, k.cmd.SysProcAttr = k.dir, environ(k.dir, "SAMPAN_PASSWORD=pw-of-alice"), dieWithParent()
	k.cmd.Stdout, k.cmd.Stderr = k.out, k.out
	if err := k.cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
}

// outcome is the event that ends a file.
type outcome struct {
	Event     string `json:"event"`
	OK        bool   `json:"ok"`
	Verified  bool   `json:"verified"`
	Restarted bool   `json:"restarted"`
	Resumed   int64  `json:"resumed"`
	Size      int64  `json:"size"`
	SHA256    string `json:"sha256"`
}

// end waits for the client, which must end well, and returns what it tells of the file.
func (k *storyCase) end() outcome {
	k.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- k.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			k.t.Fatalf("the client: %v\n%s", err, tail(k.out.String(), 3000))
		}
	case <-time.After(2 * patience):
		_ = k.cmd.Process.Kill()
		<-ended
		k.t.Fatalf("the client does not end:\n%s", tail(k.out.String(), 3000))
	}
	for line := range strings.Lines(k.out.String()) {
		var o outcome
		if json.Unmarshal([]byte(line), &o) == nil && o.Event == "file" {
			if !o.OK || !o.Verified {
				k.t.Errorf("the client did not prove the file: %s", line)
			}
			return o
		}
	}
	k.t.Fatalf("the client tells of no file:\n%s", tail(k.out.String(), 3000))
	return outcome{}
}

// cutBy runs the client until the plan is hit, cuts, and sees to it that check holds before anything moves again.
func (k *storyCase) cutBy(cause string, up bool, at int64, args []string, check func()) outcome {
	k.t.Helper()
	p := k.c.next(up, at, storySize)
	k.start(args...)
	select {
	case <-p.hit:
	case <-time.After(2 * patience):
		k.t.Fatalf("nothing was cut; the client says:\n%s", tail(k.out.String(), 3000))
	}
	switch cause {
	case "socket closed":
		k.c.closeAll()
		check()
	case "client killed":
		_ = k.cmd.Process.Kill()
		_ = k.cmd.Wait()
		k.c.closeAll()
		check()
		k.start(args...)
	case "server killed":
		k.s.kill()
		k.c.closeAll()
		check()
		k.s.start()
	}
	return k.end()
}

func (k *storyCase) put(at int64, cause string) {
	t := k.t
	old := []byte("the old version")
	before := k.s.as(t, "alice")
	before.check(before.put("STOR big", 0, bytes.NewReader(old)))
	home := k.s.home("alice")
	var parked int64
	got := k.cutBy(cause, true, at, []string{"put", k.source, k.url("big")}, func() {
		if got := read(t, filepath.Join(home, "big")); !bytes.Equal(got, old) {
			t.Errorf("after the cut the name holds %d bytes", len(got))
		}
		if cause == "server killed" {
			parked = max(biggestStage(home), 0)
			return
		}
		eventually(t, "the cut upload is parked", func() bool { return biggestStage(home) < 0 })
		h := k.s.as(t, "alice")
		if got, err := h.get("RETR big", 0); err != nil || !bytes.Equal(got, old) {
			t.Errorf("after the cut the server serves %d bytes, %v", len(got), err)
		}
		size, sum, err := parsePart(h.want(213, "SITE PART big"))
		h.check(err)
		parked = size
		if want := headSum(t, k.source, size); sum != want {
			t.Errorf("the part of %d bytes has %s, the source's head %s", size, sum, want)
		}
	})
	k.judge(got, parked, k.c.up.Load())
	if sum := fileSum(t, filepath.Join(home, "big")); sum != k.sum {
		t.Errorf("the server's file: %s", sum)
	}
	k.s.as(t, "alice").want(550, "SITE PART big")
}

func (k *storyCase) get(at int64, cause string) {
	t := k.t
	copyFile(t, k.source, filepath.Join(k.s.home("alice"), "big"))
	local := filepath.Join(k.dir, "big")
	old := []byte("the old version")
	write(t, local, old)
	var parked int64
	got := k.cutBy(cause, false, at, []string{"get", k.url("big"), "big"}, func() {
		if got := read(t, local); !bytes.Equal(got, old) {
			t.Errorf("after the cut the local name holds %d bytes", len(got))
		}
		if info, err := os.Stat(local + ".part"); err != nil {
			t.Errorf("no local part: %v", err)
		} else {
			parked = info.Size()
		}
	})
	k.judge(got, parked, k.c.down.Load())
	if sum := fileSum(t, local); sum != k.sum {
		t.Errorf("the local file: %s", sum)
	}
	if _, err := os.Stat(local + ".part"); err == nil {
		t.Error("the local part stays")
	}
}

// judge checks what the client told: it went on behind the part and did not send everything again.
func (k *storyCase) judge(got outcome, parked, moved int64) {
	k.t.Helper()
	k.t.Logf("cut with %d of %d bytes there; resumed at %d; %d bytes moved in all", parked, storySize, got.Resumed, moved)
	if got.SHA256 != k.sum || got.Size != storySize {
		k.t.Errorf("the client tells %+v, the source has %s", got, k.sum)
	}
	if got.Restarted || got.Resumed == 0 {
		k.t.Errorf("the client did not resume:\n%s", tail(k.out.String(), 3000))
	}
	// What was on its way when it was cut goes twice: as much as the buffers of four sockets hold.
	if extra := moved - storySize; extra > 64<<20 {
		k.t.Errorf("%d bytes went more than once", extra)
	}
}

// TestStoryChanged: when one byte of the source changed since the cut, the client says so and starts over; it never
// joins two different files.
func TestStoryChanged(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	for _, direction := range []string{"put", "get"} {
		for _, security := range []string{"TLS", "SFTP"} {
			t.Run(direction+", "+security, func(t *testing.T) {
				t.Parallel()
				storyChanged(t, seed, direction, security)
			})
		}
	}
}

func storyChanged(t *testing.T, seed uint64, direction, security string) {
	source := filepath.Join(t.TempDir(), "source")
	create(t, source, content{{seed, storySize}})
	k := newCase(t, source, "", security)
	home := k.s.home("alice")
	args, changes, result := []string{"put", source, k.url("big")}, source, filepath.Join(home, "big")
	if direction == "get" {
		copyFile(t, source, filepath.Join(home, "big"))
		args, changes, result = []string{"get", k.url("big"), "big"}, filepath.Join(home, "big"), filepath.Join(k.dir, "big")
	}
	got := k.cutBy("client killed", direction == "put", storySize/2, args, func() {
		if direction == "put" {
			eventually(t, "the cut upload is parked", func() bool { return biggestStage(home) < 0 })
		}
		flip(t, changes, 1_234_567)
	})
	want := fileSum(t, changes)
	if !got.Restarted || got.SHA256 != want || fileSum(t, result) != want {
		t.Errorf("%+v; the source has %s, the result %s", got, want, fileSum(t, result))
	}
}

func create(t testing.TB, name string, c content) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, c.reader()); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	src, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	if _, err := io.Copy(dst, src); err != nil {
		t.Fatal(err)
	}
}

func flip(t testing.TB, name string, at int64) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := []byte{0}
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

func fileSum(t testing.TB, name string) string { t.Helper(); return headSum(t, name, -1) }

// headSum is the SHA-256 of the first n bytes of a file, of all for -1.
func headSum(t testing.TB, name string, n int64) string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, src := sha256.New(), io.Reader(f)
	if n >= 0 {
		src = io.LimitReader(f, n)
	}
	if _, err := io.Copy(h, src); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

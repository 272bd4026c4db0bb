//go:build linux

package stories

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// piece is random content that can be made again: so many bytes from a seed.
type piece struct {
	seed uint64
	size int64
}

func (p piece) reader() io.Reader {
	var seed [32]byte
	for i := range 8 {
		seed[i] = byte(p.seed >> (8 * i))
	}
	return io.LimitReader(rand.NewChaCha8(seed), p.size)
}

// content is what a file should hold: pieces one behind the other; nil means that there is no file.
type content []piece

func (c content) reader() io.Reader {
	var all []io.Reader
	for _, p := range c {
		all = append(all, p.reader())
	}
	return io.MultiReader(all...)
}

func (c content) size() (n int64) {
	for _, p := range c {
		n += p.size
	}
	return n
}

// sum is the SHA-256 of the first n bytes.
func (c content) sum(n int64) string {
	h := sha256.New()
	if _, err := io.CopyN(h, c.reader(), n); err != nil {
		return err.Error()
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (c content) is(found file) bool {
	if c == nil || found.missing {
		return c == nil && found.missing
	}
	return c.size() == found.size && c.sum(found.size) == found.sum
}

func (c content) String() string {
	if c == nil {
		return "nothing"
	}
	return fmt.Sprintf("%d bytes %v", c.size(), []piece(c))
}

// file is what stands on the disk under a name.
type file struct {
	missing bool
	size    int64
	sum     string
}

func look(name string) (file, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return file{missing: true}, nil
	}
	if err != nil {
		return file{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return file{size: n, sum: hex.EncodeToString(h.Sum(nil))}, err
}

// name is one file of a writer, with what was acknowledged and what may be.
type name struct {
	name  string
	is    content   // as it was acknowledged
	maybe []content // what an unanswered command may have made of it
	sent  []content // of the uploads that were cut since: a part must be a head of one
}

// fleet is writers that upload, overwrite, append, resume, rename and delete while their server is cut off, again
// and again. What was acknowledged is kept here, outside the server.
type fleet struct {
	t       testing.TB
	s       *server
	writers []*writer

	mu    sync.Mutex
	acked int
	cuts  int
	parts int
}

type writer struct {
	f     *fleet
	rand  *rand.Rand
	tls   bool
	names []*name
	big   int64
}

// newFleet makes writers for alice's account on s. big is the size of the biggest file.
func newFleet(t testing.TB, s *server, seed uint64, writers int, big int64) *fleet {
	f := &fleet{t: t, s: s}
	for i := range writers {
		w := &writer{f: f, rand: rand.New(rand.NewPCG(seed, uint64(i))), tls: i%2 == 1, big: big}
		for j := range 5 {
			w.names = append(w.names, &name{name: fmt.Sprintf("w%d-%d.bin", i, j)})
		}
		f.writers = append(f.writers, w)
	}
	return f
}

// round lets all writers work until cut has cut the server off.
func (f *fleet) round(cut func()) {
	var wg sync.WaitGroup
	for _, w := range f.writers {
		wg.Go(func() { w.work() })
	}
	cut()
	wg.Wait()
	f.cuts++
}

// work sends commands until the connection fails.
func (w *writer) work() {
	conn, err := dialWire(w.f.s.addr, "")
	if err != nil {
		return
	}
	defer conn.close()
	if w.tls {
		c, err := trust(w.f.s.data)
		if err != nil {
			return
		}
		if err := conn.secure(c); err != nil {
			return
		}
	}
	if err := conn.login("alice", "pw-of-alice"); err != nil {
		return
	}
	for w.step(conn) {
	}
}

// step sends one command; false ends the writer's round.
func (w *writer) step(conn *wire) bool {
	n := w.names[w.rand.IntN(len(w.names))]
	if len(n.maybe) > 0 {
		return false
	}
	switch op := w.rand.IntN(10); {
	case op < 2 && n.is != nil:
		return w.append(conn, n)
	case op == 2 && n.is != nil:
		return w.rename(conn, n)
	case op == 3 && n.is != nil:
		return w.settle(n, must(conn.cmd(250, "DELE "+n.name)), nil)
	case op < 7 && n.sent != nil:
		return w.resume(conn, n)
	default:
		return w.put(conn, n, 0, content{w.piece()})
	}
}

func must(_ string, err error) error { return err }

// piece is new content: from nothing to the biggest size, small ones as often as big ones.
func (w *writer) piece() piece {
	size := int64(0)
	if w.rand.IntN(12) > 0 {
		size = int64(math.Exp2(w.rand.Float64() * math.Log2(float64(w.big))))
	}
	return piece{w.rand.Uint64(), size}
}

// settle notes what became of a command about n that would make it want: err is nil for done, a refusal for
// unchanged, and anything else for unknown. It reports whether the connection still stands.
func (w *writer) settle(n *name, err error, want content) bool {
	if err == nil {
		n.is, n.sent = want, nil
		w.f.mu.Lock()
		w.f.acked++
		w.f.mu.Unlock()
		return true
	}
	if code := codeOf(err); code >= 500 || code == 450 {
		return true
	}
	// 421, 426, 451 or no reply at all: it may be in place.
	n.maybe = []content{n.is, want}
	return false
}

func (w *writer) put(conn *wire, n *name, off int64, c content) bool {
	src := c.reader()
	if _, err := io.CopyN(io.Discard, src, off); err != nil {
		w.f.t.Error(err)
		return false
	}
	err := conn.put("STOR "+n.name, off, src)
	if err != nil {
		n.sent = append(n.sent, c)
	}
	return w.settle(n, err, c)
}

func (w *writer) append(conn *wire, n *name) bool {
	more := w.piece()
	if n.is.size()+more.size > w.big {
		return true
	}
	want := append(append(content{}, n.is...), more)
	err := conn.put("APPE "+n.name, 0, more.reader())
	if err != nil && codeOf(err) == 0 {
		n.sent = append(n.sent, want)
	}
	return w.settle(n, err, want)
}

// resume continues a cut upload after the server's proof of what it has: a head of something that was sent.
func (w *writer) resume(conn *wire, n *name) bool {
	text, err := conn.cmd(213, "SITE PART "+n.name)
	switch codeOf(err) {
	case 550:
		n.sent = nil
		return true
	case 450: // the connection that was cut is not over yet
		return true
	}
	if err != nil {
		return false
	}
	size, sum, err := parsePart(text)
	if err != nil {
		w.f.t.Error(err)
		return false
	}
	for _, c := range n.sent {
		if size <= c.size() && c.sum(size) == sum {
			w.f.mu.Lock()
			w.f.parts++
			w.f.mu.Unlock()
			return w.put(conn, n, size, c)
		}
	}
	w.f.t.Errorf("%s: the part of %d bytes is no head of what was sent (%v)", n.name, size, n.sent)
	return false
}

// parsePart reads "213 SIZE SHA-256 HEX PATH".
func parsePart(text string) (size int64, sum string, err error) {
	if _, err := fmt.Sscanf(text, "213 %d SHA-256 %64x", &size, &sum); err != nil {
		return 0, "", fmt.Errorf("SITE PART answers %q: %w", text, err)
	}
	return size, hex.EncodeToString([]byte(sum)), nil
}

func (w *writer) rename(conn *wire, n *name) bool {
	to := w.names[w.rand.IntN(len(w.names))]
	if to == n || len(to.maybe) > 0 {
		return true
	}
	_, err := conn.cmd(350, "RNFR "+n.name)
	if err == nil {
		_, err = conn.cmd(250, "RNTO "+to.name)
	}
	moved := n.is
	if !w.settle(n, err, nil) {
		to.maybe = []content{to.is, moved}
		return false
	}
	if err == nil {
		to.is, to.sent = moved, nil
	}
	return true
}

// verify compares all names with the disk: nothing acknowledged is missing or torn, and a command that was not
// answered happened wholly or not at all.
func (f *fleet) verify(home string) {
	f.t.Helper()
	for _, w := range f.writers {
		for _, n := range w.names {
			found, err := look(filepath.Join(home, n.name))
			if err != nil {
				f.t.Error(err)
				continue
			}
			may := n.maybe
			if len(may) == 0 {
				may = []content{n.is}
			}
			good := false
			for _, c := range may {
				if good = c.is(found); good {
					n.is, n.maybe = c, nil
					break
				}
			}
			if !good {
				f.t.Errorf("cut %d: %s holds %+v; acknowledged is %v, of %d that may be", f.cuts, n.name, found, n.is, len(may))
			}
		}
	}
}

// verifyUsed compares the quota that the server tells with the disk. Nothing else may be going on.
func verifyUsed(t testing.TB, s *server, account string) {
	t.Helper()
	h := s.as(t, account)
	used, _, err := parseQuota(h.want(200, "SITE QUOTA"))
	h.check(err)
	h.want(221, "QUIT")
	if disk := diskUsed(t, s.home(account)); disk != used {
		t.Errorf("the disk holds %d bytes, and SITE QUOTA tells %d", disk, used)
	}
}

// parseQuota reads "200 used BYTES of BYTES, free …"; quota is -1 for none.
func parseQuota(text string) (used, quota int64, err error) {
	var of string
	if _, err := fmt.Sscanf(text, "200 used %d of %s", &used, &of); err != nil {
		return 0, 0, fmt.Errorf("SITE QUOTA answers %q: %w", text, err)
	}
	of = strings.TrimSuffix(of, ",")
	if of == "none" {
		return used, -1, nil
	}
	quota, err = strconv.ParseInt(of, 10, 64)
	return used, quota, err
}

// diskUsed sums st_size of all that counts in a home: files, stages and parts.
func diskUsed(t testing.TB, home string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !counts(home, path) {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// counts reports whether a file on the disk counts in the quota: all but what Sampan notes for itself.
func counts(home, path string) bool {
	rel, err := filepath.Rel(home, path)
	if err != nil || !strings.HasPrefix(rel, ".sampan/") {
		return err == nil
	}
	return strings.HasPrefix(rel, ".sampan/stage/") || strings.HasPrefix(rel, ".sampan/part/")
}

// TestContentIsItself guards the judge: a content matches itself and nothing that differs by a byte.
func TestContentIsItself(t *testing.T) {
	t.Parallel()
	c := content{{1, 1000}, {2, 0}, {3, 70_000}}
	b, err := io.ReadAll(c.reader())
	if err != nil || int64(len(b)) != c.size() {
		t.Fatal(len(b), err)
	}
	path := filepath.Join(t.TempDir(), "f")
	for _, change := range []struct {
		bytes []byte
		good  bool
	}{{b, true}, {b[:len(b)-1], false}, {append(bytes.Clone(b), 0), false}, {append([]byte{b[0] ^ 1}, b[1:]...), false}} {
		write(t, path, change.bytes)
		found, err := look(path)
		if err != nil || c.is(found) != change.good || content(nil).is(found) {
			t.Errorf("%d bytes: %+v, %v", len(change.bytes), found, err)
		}
	}
	if found, err := look(path + "x"); err != nil || c.is(found) || !content(nil).is(found) {
		t.Errorf("no file: %+v, %v", found, err)
	}
	if sum := (content{}).sum(0); sum != hex.EncodeToString(sha256.New().Sum(nil)) {
		t.Error(sum)
	}
}

// seedOf is the seed of a test's randomness: STORIES_SEED, else the time. It is printed, so that a failure can be
// played again as far as the machine allows.
func seedOf(t testing.TB) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("STORIES_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("STORIES_SEED=%d", seed)
	return seed
}

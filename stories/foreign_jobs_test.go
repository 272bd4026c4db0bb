//go:build linux

package stories

import (
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// jobs are the columns of the table: what every client does that can.
var jobs = []job{
	{name: "0 bytes", run: sized(0)},
	{name: "1 byte", run: sized(1)},
	{name: "10 MiB + 1", run: sized(10<<20 + 1)},
	{name: "over 4 GiB", run: sized(4<<30 + 1), long: true},
	{name: "spaces", run: named("two  spaces .bin")},
	{name: "leading dash", run: named("-la")},
	{name: "200 letters", run: named(strings.Repeat("0123456789", 20))},
	{name: "Chinese", run: named("文件 名字.bin")},
	{name: "directories", run: directories},
	{name: "1,000 entries", run: thousand},
	{name: "TYPE A", run: text},
	{name: "abort, go on", run: abortAndGoOn},
	{name: "resume up", up: true, run: resumeUp},
	{name: "resume down", run: resumeDown(300_001, 123_457)},
	{name: "resume over 4 GiB", run: resumeDown(4<<30+100_001, 4<<30+17), long: true},
	{name: "certificate", tls: true, run: certificate},
}

// visit is one client at one job.
type visit struct {
	t   *testing.T
	s   *server
	f   foreign
	r   route
	dir string // the client's own
	*fixtures
}

// fixtures are what all visits share.
type fixtures struct {
	dir   string
	other string // the certificate of another server
	mu    sync.Mutex
	sums  map[string]string
}

// source is a file of n bytes to be uploaded. Nobody writes to it.
func (x *fixtures) source(t testing.TB, n int64) string {
	t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	name := filepath.Join(x.dir, fmt.Sprint(n))
	if x.sums[name] == "" {
		fill(t, name, n)
		x.sums[name] = fileSum(t, name)
	}
	return name
}

func (x *fixtures) sum(source string) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.sums[source]
}

// fill makes a file of n bytes that no translation leaves as they are; a big one has holes.
func fill(t testing.TB, name string, n int64) {
	t.Helper()
	const much = 64 << 10
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(n); err != nil {
		t.Fatal(err)
	}
	write := func(off, n int64) {
		if _, err := f.WriteAt(awkward(int(off>>10), int(n)), off); err != nil {
			t.Fatal(err)
		}
	}
	if n <= 16<<20 {
		write(0, n)
		return
	}
	for _, off := range []int64{0, 2<<30 - much/2, 4<<30 - much/2, n - much} {
		if off+much <= n {
			write(off, much)
		}
	}
}

// do has the client do some steps, in one session where it can; what it says is returned.
func (v *visit) do(steps ...step) string {
	v.t.Helper()
	for i, do := range steps {
		if do.local != "" {
			steps[i].local = v.local(do.local)
		}
	}
	return v.programs(v.f.run(v.r, steps)...)
}

// programs runs programs that must end well.
func (v *visit) programs(commands ...command) string {
	v.t.Helper()
	var out strings.Builder
	for _, c := range commands {
		got := runWith(v.t, v.dir, c.env, c.stdin, c.argv...)
		if got.code != 0 {
			v.t.Fatalf("%q: exit %d\n%s%s", c.argv, got.code, tail(got.out, 3000), tail(got.err, 3000))
		}
		if !c.mute {
			out.WriteString(got.out)
		}
	}
	return out.String()
}

// local is a file of the client's; one that is there already, for all clients, has its whole path.
func (v *visit) local(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(v.dir, name)
}

// disk is where a file of the server's is.
func (v *visit) disk(name string) string { return filepath.Join(v.s.home(v.f.account), name) }

// up is an upload as a step; for a client that only downloads the file is put there, and there is nothing to do.
func (v *visit) up(op, local, remote string) []step {
	v.t.Helper()
	if !v.f.downloads {
		return []step{{op: op, local: local, remote: remote}}
	}
	copyFile(v.t, v.local(local), v.disk(remote))
	return nil
}

// same fails unless a file has the SHA-256 of a source.
func (v *visit) same(what, got, source string) {
	v.t.Helper()
	if a, b := fileSum(v.t, got), v.sum(source); a != b {
		info, _ := os.Stat(got)
		v.t.Fatalf("%s: of %d bytes, and not what was meant", what, info.Size())
	}
}

// shows fails unless a list that a client printed has the names: exactly those, if they begin alike.
func (v *visit) shows(list, alike string, names ...string) {
	v.t.Helper()
	got := map[string]int{}
	for line := range strings.Lines(list) {
		line = strings.TrimRight(line, "\r\n")
		for _, before := range []string{"/", " "} {
			if i := strings.LastIndex(line, before+alike); alike != "" && i >= 0 {
				line = line[i+1:]
			}
		}
		got[line]++
	}
	for _, name := range names {
		if got[name] == 0 {
			v.t.Fatalf("the list does not show %q:\n%s", name, tail(list, 3000))
		}
	}
	for line, n := range got {
		if strings.HasPrefix(line, alike) && (n > 1 || !slices.Contains(names, line)) {
			v.t.Fatalf("the list shows %q %d times:\n%s", line, n, tail(list, 3000))
		}
	}
}

// lists reports whether the client can list at all.
func (v *visit) lists() bool { return v.f.cannot["1,000 entries"] == "" }

// sized moves a file of n bytes up and down.
func sized(n int64) func(v *visit) {
	return func(v *visit) {
		source, remote := v.source(v.t, n), fmt.Sprintf("size %d", n)
		v.do(append(v.up("put", source, remote), step{op: "get", local: "down", remote: remote})...)
		v.same("what arrived", v.disk(remote), source)
		v.same("what came back", v.local("down"), source)
		if n > 1<<30 {
			os.Remove(v.disk(remote))
		}
	}
}

// named uploads, lists, downloads, renames and removes a file with some name.
func named(name string) func(v *visit) {
	return func(v *visit) { v.roundTrip(name, "new "+name) }
}

// roundTrip is what is done by each way: a little of everything.
func roundTrip(v *visit) {
	name := "文件 by " + v.r.String() + ".bin"
	v.roundTrip(name, "new "+name)
}

func (v *visit) roundTrip(name, renamed string) {
	v.t.Helper()
	source := v.source(v.t, 300_001)
	steps := v.up("put", source, name)
	if v.lists() {
		steps = append(steps, step{op: "list", remote: "."})
	}
	steps = append(steps, step{op: "get", local: "down", remote: name})
	if !v.f.downloads && !v.f.copies {
		steps = append(steps, step{op: "rename", remote: name, to: renamed})
	}
	list := v.do(steps...)
	v.same("what came back", v.local("down"), source)
	if v.lists() {
		v.shows(list, name, name)
	}
	if v.f.copies {
		v.same("what arrived", v.disk(name), source)
	}
	if v.f.downloads || v.f.copies {
		return
	}
	v.same("what was renamed", v.disk(renamed), source)
	v.do(step{op: "delete", remote: renamed})
	for _, gone := range []string{name, renamed} {
		if _, err := os.Lstat(v.disk(gone)); err == nil {
			v.t.Fatalf("%q is still there", gone)
		}
	}
}

// directories makes one, works in it and removes it.
func directories(v *visit) {
	const dir, inner = "a dir", "a dir/目录"
	source := v.source(v.t, 1)
	var steps []step
	if v.f.downloads {
		if err := os.MkdirAll(v.disk(inner), 0o777); err != nil {
			v.t.Fatal(err)
		}
	} else {
		steps = []step{{op: "mkdir", remote: dir}, {op: "mkdir", remote: inner}}
	}
	steps = append(steps, v.up("put", source, inner+"/x.bin")...)
	if v.lists() {
		steps = append(steps, step{op: "list", remote: inner})
	}
	list := v.do(append(steps, step{op: "get", local: "down", remote: inner + "/x.bin"})...)
	v.same("what came back", v.local("down"), source)
	v.same("what arrived", v.disk(inner+"/x.bin"), source)
	if v.lists() {
		v.shows(list, "x.bin", "x.bin")
	}
	if v.f.downloads {
		return
	}
	v.do(step{op: "delete", remote: inner + "/x.bin"}, step{op: "rmdir", remote: inner}, step{op: "rmdir", remote: dir})
	if _, err := os.Lstat(v.disk(dir)); err == nil {
		v.t.Fatal("the directory is still there")
	}
}

// thousand lists 1,000 entries.
func thousand(v *visit) {
	const dir = "thousand"
	if err := os.Mkdir(v.disk(dir), 0o777); err != nil {
		v.t.Fatal(err)
	}
	var names []string
	for i := range 1000 {
		name := fmt.Sprintf("entry-%d 项", i)
		names = append(names, name)
		write(v.t, v.disk(dir+"/"+name), nil)
	}
	v.shows(v.do(step{op: "list", remote: dir}), "entry-", names...)
}

// text moves lines in TYPE A: LF here, LF on the server's disk; what has CRLF there comes with LF.
func text(v *visit) {
	const lines = "one\ntwo 二\n\nthe last\n"
	write(v.t, v.local("text"), []byte(lines))
	write(v.t, v.disk("dos.txt"), []byte(strings.ReplaceAll(lines, "\n", "\r\n")))
	v.do(append(v.up("put-text", "text", "text.txt"),
		step{op: "get-text", local: "back", remote: "text.txt"},
		step{op: "get-text", local: "dos", remote: "dos.txt"})...)
	here := lines
	if v.f.rawText {
		here = strings.ReplaceAll(lines, "\n", "\r\n")
	}
	for _, got := range []struct{ what, path, want string }{
		{"what arrived", v.disk("text.txt"), lines},
		{"what came back", v.local("back"), here},
		{"what came of a file with CRLF", v.local("dos"), here},
	} {
		if b := read(v.t, got.path); string(b) != got.want {
			v.t.Errorf("%s: %q", got.what, b)
		}
	}
}

// abortAndGoOn gives a download up in its middle and downloads another file, in one session.
func abortAndGoOn(v *visit) {
	source, big := v.source(v.t, 10<<20+1), "to be aborted"
	f, err := os.Create(v.disk(big))
	if err != nil {
		v.t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(256 << 20); err != nil { // more than sockets hold
		v.t.Fatal(err)
	}
	copyFile(v.t, source, v.disk("behind it"))
	v.do(step{op: "abort", local: "given up", remote: big}, step{op: "get", local: "down", remote: "behind it"})
	v.same("what came after it", v.local("down"), source)
}

// plainly does a job in clear text.
func plainly(run func(v *visit)) func(v *visit) {
	return func(v *visit) {
		v.r = v.s.route(way{"plain", v.r.mode, v.r.family}, v.r.user)
		run(v)
	}
}

// resumeUp goes on behind a cut upload, which is a part, by the client's own way to resume.
func resumeUp(v *visit) {
	const name, there = "resumed up", 123_457
	source := v.source(v.t, 300_001)
	park(v.t, v.s, v.f.account, name, read(v.t, source)[:there])
	v.do(step{op: "resume-put", local: source, remote: name, to: strconv.Itoa(there)})
	v.same("what arrived", v.disk(name), source)
}

// resumeDown goes on behind what is there of n bytes.
func resumeDown(n, there int64) func(v *visit) {
	return func(v *visit) {
		source, name := v.source(v.t, n), fmt.Sprintf("resumed down %d", n)
		fill(v.t, v.disk(name), n)
		fill(v.t, v.local("half"), n)
		if err := os.Truncate(v.local("half"), there); err != nil {
			v.t.Fatal(err)
		}
		v.do(step{op: "resume-get", local: "half", remote: name})
		v.same("what came", v.local("half"), source)
		os.Remove(v.disk(name))
	}
}

// certificate: a server that shows another certificate is told nothing.
func certificate(v *visit) {
	v.r.ca = v.other
	v.toldNothing()
}

// toldNothing: a client that trusts somebody else ends badly, and has nothing.
func (v *visit) toldNothing() {
	v.t.Helper()
	write(v.t, v.disk("for the right one"), []byte("content"))
	for _, c := range v.f.run(v.r, []step{{op: "get", local: v.local("down"), remote: "for the right one"}}) {
		if got := runWith(v.t, v.dir, c.env, c.stdin, c.argv...); got.code == 0 {
			v.t.Errorf("it ended well:\n%s%s", got.out, got.err)
		}
	}
	if b, err := os.ReadFile(v.local("down")); err == nil && len(b) > 0 {
		v.t.Errorf("%q came", b)
	}
}

// park leaves a part of an account's.
func park(t testing.TB, s *server, account, name string, b []byte) {
	t.Helper()
	h := s.as(t, account)
	conn, err := h.begin("STOR " + name)
	h.check(err)
	_, err = conn.Write(b)
	h.check(err)
	// What was sent may still be on its way: wait until the server counts it.
	eventually(t, "the part arrives", func() bool { return stageBytes(t, s.home(account), int64(len(b))) })
	h.check(h.send("ABOR"))
	h.wantReply(426, "ABOR")
	h.wantReply(226, "ABOR")
	conn.Close()
	if text := h.want(213, "SIZE "+name); !strings.Contains(text, fmt.Sprint(len(b))) {
		t.Fatalf("the part of %q: %s", name, text)
	}
	h.want(221, "QUIT")
}

// stageBytes reports whether some stage of the home holds exactly n bytes.
func stageBytes(t testing.TB, home string, n int64) bool {
	t.Helper()
	list, _ := os.ReadDir(filepath.Join(home, ".sampan", "stage"))
	for _, e := range list {
		if info, err := e.Info(); err == nil && info.Size() == n {
			return true
		}
	}
	return false
}

// awkward returns n bytes that any translation would spoil: random ones with many line ends among them.
func awkward(seed, n int) []byte {
	r := rand.New(rand.NewPCG(uint64(seed), 1))
	b := make([]byte, n)
	for i := range b {
		switch r.IntN(8) {
		case 0:
			b[i] = '\n'
		case 1:
			b[i] = '\r'
		case 2:
			b[i] = 0xff
		default:
			b[i] = byte(r.Uint32())
		}
	}
	return b
}

// tree makes a small tree of files, and returns its directory.
func (v *visit) tree() string {
	v.t.Helper()
	root := v.local("tree")
	for name, n := range map[string]int{"a.bin": 1000, "b/空 格.bin": 100_001, "b/c/empty": 0, "b/c/d.bin": 1, "e/f.bin": 70_000} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o777); err != nil {
			v.t.Fatal(err)
		}
		write(v.t, filepath.Join(root, name), awkward(n, n))
	}
	return root
}

// sameTree fails unless two trees hold the same files.
func (v *visit) sameTree(what, got, want string) {
	v.t.Helper()
	if a, b := v.sumTree(got), v.sumTree(want); !maps.Equal(a, b) {
		v.t.Errorf("%s: %v, where %v was meant", what, a, b)
	}
}

func (v *visit) sumTree(root string) map[string]string {
	v.t.Helper()
	sums := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			rel, _ := filepath.Rel(root, path)
			sums[rel] = fileSum(v.t, path)
		}
		return err
	})
	if err != nil {
		v.t.Fatal(err)
	}
	return sums
}

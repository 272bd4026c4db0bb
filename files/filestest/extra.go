package filestest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"time"

	"sampan/fault"
	"sampan/files"
)

var extraCases = []testCase{
	{"sums", Sums, sums},
	{"written at random", Random, atRandom},
	{"filled to the last byte", Quota, lastByte},
	{"an overwrite needs room for both", Quota, roomForBoth},
	{"what is announced", Quota, announced},
	{"what the quota refuses is not parked", Quota | Parts, refusedNotParked},
	{"a part counts", Quota | Parts, partCounts},
	{"holes count", Quota | Random, holesCount},
	{"links", Disk, links},
	{"neither file nor directory", Disk, specials},
	{"our own directory", Disk, ours},
}

func sums(s *suite) {
	summer, ok := s.Store.(files.Summer)
	if !ok {
		s.Fatal("the Rig says Sums, but the Store is no Summer")
	}
	data := content(700 << 10)
	s.put("a", data)
	for _, c := range []struct{ off, n int64 }{{0, -1}, {0, 700 << 10}, {0, 1}, {1, 699 << 10}, {5000, -1}, {700 << 10, -1}, {3, 0}} {
		got, err := summer.Sum(s.ctx, s.path("a"), "SHA-256", c.off, c.n)
		s.ok("Sum", err)
		end := c.off + c.n
		if c.n < 0 {
			end = int64(len(data))
		}
		if want := sha256.Sum256(data[c.off:end]); !bytes.Equal(got, want[:]) {
			s.Errorf("Sum of %d bytes from %d is %x, want %x", c.n, c.off, got, want)
		}
	}
	_, err := summer.Sum(s.ctx, s.path("a"), "SHA-256", 700<<10+1, -1)
	s.refused("Sum beyond the end", err, fault.BadOffset)
	_, err = summer.Sum(s.ctx, s.path("a"), "SHA-256", 1, 700<<10)
	s.refused("Sum over the end", err, fault.BadOffset)
	_, err = summer.Sum(s.ctx, s.path("a"), "NO-SUCH", 0, -1)
	s.refused("Sum by an unknown hash", err, fault.Unsupported)
	_, err = summer.Sum(s.ctx, s.path("b"), "SHA-256", 0, -1)
	s.refused("Sum of nothing", err, fault.NotExist)
	s.put("a", content(10))
	got, err := summer.Sum(s.ctx, s.path("a"), "SHA-256", 0, -1)
	s.ok("Sum", err)
	if want := sha256.Sum256(content(10)); !bytes.Equal(got, want[:]) {
		s.Error("Sum of the new version is of the old one")
	}
}

func atRandom(s *suite) {
	data := content(10000)
	u := s.create("a", whole, nil)
	for _, c := range [][2]int{{9000, 10000}, {0, 10}, {4000, 9500}, {5, 4000}} {
		n, err := u.WriteAt(data[c[0]:c[1]], int64(c[0]))
		s.ok("WriteAt", err)
		if n != c[1]-c[0] {
			s.Errorf("WriteAt wrote %d of %d", n, c[1]-c[0])
		}
	}
	if u.Size() != 10000 {
		s.Errorf("Size is %d", u.Size())
	}
	_, err := u.Write([]byte("tail"))
	s.ok("Write", err)
	_, err = u.WriteAt(nil, -1)
	s.refused("WriteAt(-1)", err, fault.BadOffset)
	s.commit(u)
	s.holds("a", append(data, "tail"...))
}

func (s *suite) space() files.Space {
	s.Helper()
	spacer, ok := s.Store.(files.Spacer)
	if !ok {
		s.Fatal("the Rig says Quota, but the Store is no Spacer")
	}
	sp, err := spacer.Space(s.ctx)
	s.ok("Space", err)
	return sp
}

func (s *suite) uses(n int64) {
	s.Helper()
	if sp := s.space(); sp.Used != n {
		s.Fatalf("%d bytes are used, want %d", sp.Used, n)
	}
}

// tooBig uploads data and expects that the quota refuses it.
func (s *suite) tooBig(name string, w files.Want, data []byte) {
	s.Helper()
	u, err := s.Store.Create(s.ctx, s.path(name), w)
	if err == nil {
		_, err = files.Pump(u, bytes.NewReader(data), 1000, func(_, want int64) (int64, error) { return u.Room(want) })
		if err == nil { // a protocol may tell only at the end
			_, err = u.Commit(s.ctx, nil)
		}
		err = errors.Join(err, u.Close())
	}
	s.refused("upload over the quota", err, fault.OverQuota)
}

func lastByte(s *suite) {
	s.SetQuota(10000)
	if sp := s.space(); sp.Quota != 10000 || sp.Used != 0 {
		s.Fatalf("Space: %+v", sp)
	}
	s.put("a", content(9000))
	s.tooBig("b", whole, content(1001))
	s.absent("b")
	s.uses(9000)
	s.put("b", content(1000))
	s.uses(10000)
	s.put("empty", nil)
	s.tooBig("c", whole, content(1))
	s.ok("Remove", s.Store.Remove(s.ctx, s.path("a")))
	s.uses(1000)
	s.put("c", content(9000))
	s.uses(10000)
}

func roomForBoth(s *suite) {
	s.SetQuota(10000)
	old := content(6000)
	s.put("a", old)
	s.tooBig("a", whole, content(5000))
	s.holds("a", old)
	s.uses(6000)
	s.put("a", content(4000))
	s.uses(4000)
	s.tooBig("a", files.Want{From: 4000, Size: -1}, content(2001))
	s.holds("a", content(4000))
	s.commit(s.create("a", files.Want{From: 4000, Size: -1}, content(2000)))
	s.uses(6000)
	s.put("b", content(100))
	s.ok("Rename", s.rename("b", "a", true))
	s.uses(100)
	s.SetQuota(50)
	s.tooBig("c", whole, content(1))
	s.holds("a", content(100))
	s.SetQuota(-1)
	s.put("c", content(100000))
	s.uses(100100)
}

func announced(s *suite) {
	s.SetQuota(10000)
	s.tooBig("a", files.Want{Size: 10001}, content(10001))
	s.commit(s.create("a", files.Want{Size: 10000}, content(10000)))
	s.uses(10000)
}

func refusedNotParked(s *suite) {
	s.SetQuota(10000)
	s.tooBig("a", whole, content(10001))
	s.noPart("a")
	s.uses(0)
	s.cut("a", whole, content(10001)[:3000])
	s.tooBig("a", resume(3000), content(10001)[3000:])
	s.part("a", content(10001)[:3000])
	s.uses(3000)
}

func partCounts(s *suite) {
	s.SetQuota(10000)
	s.cut("a", whole, content(8000))
	s.uses(8000)
	s.tooBig("b", whole, content(2001))
	s.put("a", content(10000)) // gives its own part up
	s.uses(10000)
}

func holesCount(s *suite) {
	s.SetQuota(10000)
	u := s.create("a", whole, nil)
	_, err := u.WriteAt([]byte("x"), 10000)
	s.refused("WriteAt beyond the quota", err, fault.OverQuota)
	_, err = u.WriteAt([]byte("x"), 9999)
	s.ok("WriteAt", err)
	s.uses(10000)
	s.commit(u)
	s.uses(10000)
	s.holds("a", append(make([]byte, 9999), 'x'))
}

func links(s *suite) {
	outside := s.TempDir()
	secret := filepath.Join(outside, "secret")
	s.ok("WriteFile", os.WriteFile(secret, []byte("secret"), 0o600))
	s.mkdir("d")
	s.put("d/f", []byte("inside"))
	for name, target := range map[string]string{
		"in": "d/f", "dir": "d", "out": secret, "outdir": outside, "up": "../", "dangling": "nowhere", "loop": "loop",
	} {
		s.ok("Symlink", os.Symlink(target, filepath.Join(s.Dir, name)))
	}
	s.holds("in", []byte("inside"))
	s.holds("dir/f", []byte("inside"))
	if found := s.list("/"); len(found) != 3 || !found["dir"].Mode.IsDir() || !found["in"].Mode.IsRegular() {
		s.Errorf("listed: %v", found)
	}
	for _, name := range []string{"out", "outdir", "outdir/secret", "up", "dangling", "loop"} {
		_, err := s.Store.Stat(s.ctx, s.path(name))
		s.refused("Stat "+name, err, fault.NotExist, fault.Denied)
		_, _, err = s.Store.Open(s.ctx, s.path(name), 0)
		s.refused("Open "+name, err, fault.NotExist, fault.Denied)
	}
	u, err := s.Store.Create(s.ctx, s.path("outdir/planted"), whole)
	if err == nil {
		_, err = u.Commit(s.ctx, nil)
		_ = u.Close()
	}
	s.refused("Create outside", err, fault.NotExist, fault.NotDir, fault.Denied)
	if err := s.rename("d/f", "outdir/moved", true); err == nil {
		s.Error("Rename led out")
	}
	s.put("out", []byte("mine")) // the link is replaced, its target stays
	s.put("dangling", []byte("mine"))
	s.ok("Remove", s.Store.Remove(s.ctx, s.path("in")))
	s.holds("d/f", []byte("inside"))
	s.ok("Remove", s.Store.Remove(s.ctx, s.path("outdir")))
	if b, err := os.ReadFile(secret); err != nil || string(b) != "secret" {
		s.Errorf("the file outside: %q, %v", b, err)
	}
	if names, _ := os.ReadDir(outside); len(names) != 1 {
		s.Errorf("outside there is %v", names)
	}
}

func specials(s *suite) {
	s.ok("Mkfifo", mkfifo(filepath.Join(s.Dir, "fifo")))
	if found := s.list("/"); len(found) != 0 {
		s.Errorf("listed: %v", found)
	}
	s.absent("fifo")
	_, err := s.Store.Create(s.ctx, s.path("fifo"), whole)
	s.refused("Create over it", err, fault.Exist, fault.Denied)
	s.refused("Remove of it", s.Store.Remove(s.ctx, s.path("fifo")), fault.NotExist, fault.Denied)
	s.refused("Rename of it", s.rename("fifo", "x", true), fault.NotExist, fault.Denied)
}

func ours(s *suite) {
	s.put("a", []byte("x"))
	if _, ok := s.list("/")[files.Hidden]; ok {
		s.Error("it is listed")
	}
	for _, name := range []string{files.Hidden, ".SAMPAN/stage", "d/../.sampan"} {
		if _, err := files.Parse(files.Root, name); fault.KindOf(err) != fault.BadName {
			s.Errorf("Parse(%q): %v", name, err)
		}
	}
	s.mkdir("d")
	for name, target := range map[string]string{
		"alias": files.Hidden, "file": files.Hidden + "/ledger", "d/file": "../" + files.Hidden + "/ledger", "chain": "d/file",
		"round": "d/../d/.././alias/ledger", "stage": "alias/stage",
	} {
		s.ok("Symlink", os.Symlink(target, filepath.Join(s.Dir, name)))
	}
	for _, name := range []string{"alias", "alias/stage", "stage"} {
		for i, err := range s.Store.List(s.ctx, s.path(name)) {
			if err == nil {
				s.Errorf("%s lists %v", name, i)
			}
		}
	}
	for name := range s.list("/") {
		if name != "a" && name != "d" {
			s.Errorf("listed: %s", name)
		}
	}
	for _, name := range []string{"alias", "alias/ledger", "alias/stage", "stage", "file", "d/file", "chain", "round"} {
		p := s.path(name)
		_, err := s.Store.Stat(s.ctx, p)
		s.refused("Stat "+name, err, fault.NotExist)
		_, _, err = s.Store.Open(s.ctx, p, 0)
		s.refused("Open "+name, err, fault.NotExist)
		now := time.Now()
		s.refused("Set "+name, s.Store.Set(s.ctx, p, files.Attr{ModTime: &now}), fault.NotExist)
		if summer, ok := s.Store.(files.Summer); ok {
			_, err = summer.Sum(s.ctx, p, "SHA-256", 0, -1)
			s.refused("Sum "+name, err, fault.NotExist)
		}
		_, err = s.Store.Create(s.ctx, p, files.Want{From: 1, Size: -1})
		s.refused("Create behind "+name, err, fault.NotExist, fault.BadOffset)
	}
	for _, name := range []string{"alias/x", "stage/x"} {
		p := s.path(name)
		_, err := s.Store.Create(s.ctx, p, whole)
		s.refused("Create "+name, err, fault.NotExist)
		s.refused("Mkdir "+name, s.Store.Mkdir(s.ctx, p), fault.NotExist)
		s.refused("Rename to "+name, s.rename("a", name, true), fault.NotExist)
	}
	s.refused("Remove", s.Store.Remove(s.ctx, s.path("alias/ledger")), fault.NotExist)
	s.refused("Rename", s.rename("alias/ledger", "b", true), fault.NotExist)
	s.put("file", []byte("mine")) // the link is replaced
	s.holds("file", []byte("mine"))
}

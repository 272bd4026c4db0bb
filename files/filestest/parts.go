package filestest

import (
	"sampan/fault"
	"sampan/files"
)

var partCases = []testCase{
	{"park and resume", Parts, parkAndResume},
	{"cut without an announcement", Parts, cutUnannounced},
	{"a part beside a file", Parts, partBesideFile},
	{"a part of exact size", Parts, exactSize},
	{"a later part replaces", Parts, laterPart},
	{"nothing is no part", Parts, nothingParked},
	{"from 0 drops the part", Parts, fromZero},
	{"a commit drops the part", Parts, commitDrops},
	{"remove drops the part", Parts, removeDrops},
	{"rename drops the part", Parts, renameDrops},
	{"a directory takes its parts along", Parts, dirTakesParts},
	{"not sure, then resumed", Parts, notSureThenResumed},
	{"parts are one's own", Parts | Owners, oneOwnParts},
	{"gaps are not parked", Parts | Random, gapsNotParked},
	{"changed within the file, not parked", Parts | Random, changedWithinNotParked},
}

func parkAndResume(s *suite) {
	data := content(100 << 10)
	s.cut("a", whole, data[:60<<10])
	i := s.stat("a")
	if !i.PartOnly() || i.Part != 60<<10 || i.Size != 60<<10 {
		s.Errorf("Stat of a part: %+v", i)
	}
	_, _, err := s.Store.Open(s.ctx, s.path("a"), 0)
	s.refused("Open of a part", err, fault.NotExist)
	if len(s.list("/")) != 0 {
		s.Errorf("a part is listed: %v", s.list("/"))
	}
	s.part("a", data[:60<<10])
	s.cut("a", resume(60<<10), data[60<<10:70<<10])
	s.part("a", data[:70<<10])
	s.cut("a", resume(70<<10), nil)
	s.part("a", data[:70<<10])
	s.commit(s.create("a", resume(70<<10), data[70<<10:]))
	s.holds("a", data)
	s.noPart("a")
	if s.stat("a").Part >= 0 {
		s.Error("the file still has a part")
	}
}

// cutUnannounced: what is parked then is the head of what was sent, and it can be continued.
func cutUnannounced(s *suite) {
	data := content(300 << 10)
	s.ok("Close", s.create("a", whole, data[:200<<10]).Close())
	n := 0
	if p, err := s.parter().Part(s.ctx, s.path("a")); err == nil {
		n = int(p.Size)
		if n == 0 || n > 200<<10 {
			s.Fatalf("%d bytes are parked of %d", n, 200<<10)
		}
		s.part("a", data[:n])
	} else {
		s.refused("Part", err, fault.NotExist) // none had come
	}
	s.commit(s.create("a", files.Want{From: int64(n), Size: -1, Part: n > 0}, data[n:]))
	s.holds("a", data)
}

func partBesideFile(s *suite) {
	old, data := content(5000), content(9000)
	s.put("a", old)
	s.cut("a", whole, data[:4000])
	s.holds("a", old)
	if i := s.stat("a"); i.Part != 4000 || i.PartOnly() {
		s.Errorf("Stat: %+v", i)
	}
	if i := s.list("/")["a"]; s.Can&Listed != 0 && i.Part != 4000 || i.Size != 5000 {
		s.Errorf("List: %+v", i)
	}
	_, err := s.Store.Create(s.ctx, s.path("a"), files.Want{From: 5000, Size: -1})
	s.refused("append to a file that has a part", err, fault.Busy)
	s.part("a", data[:4000])
	s.commit(s.create("a", resume(4000), data[4000:]))
	s.holds("a", data)
	s.noPart("a")
}

func exactSize(s *suite) {
	data := content(1000)
	_, err := s.Store.Create(s.ctx, s.path("a"), resume(1000))
	s.refused("resume of nothing", err, fault.NotExist, fault.BadOffset)
	s.cut("a", whole, data)
	for _, n := range []int{1, 999, 1001} {
		_, err := s.Store.Create(s.ctx, s.path("a"), resume(n))
		s.refused("resume at a wrong place", err, fault.BadOffset)
	}
	s.part("a", data)
}

func laterPart(s *suite) {
	s.cut("a", whole, content(5000))
	s.cut("a", whole, content(300))
	s.part("a", content(300))
}

func nothingParked(s *suite) {
	s.cut("a", whole, nil)
	s.noPart("a")
	s.absent("a")
	s.cut("a", whole, content(500))
	s.cut("a", whole, nil)
	s.part("a", content(500))
	s.ok("DropPart", s.parter().DropPart(s.ctx, s.path("a")))
	s.noPart("a")
	s.refused("a second DropPart", s.parter().DropPart(s.ctx, s.path("a")), fault.NotExist)
}

func fromZero(s *suite) {
	s.cut("a", whole, content(5000))
	u := s.create("a", whole, content(700))
	s.commit(u)
	s.holds("a", content(700))
	s.noPart("a")
}

func commitDrops(s *suite) {
	s.cut("a", whole, content(5000))
	s.put("a", nil)
	s.holds("a", nil)
	s.noPart("a")
}

func removeDrops(s *suite) {
	s.put("a", []byte("x"))
	s.cut("a", whole, content(5000))
	s.ok("Remove", s.Store.Remove(s.ctx, s.path("a")))
	s.noPart("a")
	s.cut("b", whole, content(10))
	s.ok("Remove of a part alone", s.Store.Remove(s.ctx, s.path("b")))
	s.noPart("b")
	s.mkdir("d")
	s.cut("d/x", whole, content(10))
	s.ok("Remove of a directory with a part below", s.Store.Remove(s.ctx, s.path("d")))
	s.noPart("d/x")
}

func renameDrops(s *suite) {
	for _, name := range []string{"a", "b"} {
		s.put(name, []byte(name))
		s.cut(name, whole, content(100))
	}
	s.ok("Rename", s.rename("a", "b", true))
	s.noPart("a")
	s.noPart("b")
	s.holds("b", []byte("a"))
}

func dirTakesParts(s *suite) {
	s.mkdir("d")
	s.mkdir("d/e")
	s.cut("d/e/x", whole, content(2000))
	s.ok("Rename", s.rename("d", "f", false))
	s.part("f/e/x", content(2000))
	s.noPart("d/e/x")
	s.commit(s.create("f/e/x", resume(2000), []byte("tail")))
	s.holds("f/e/x", append(content(2000), "tail"...))
}

func notSureThenResumed(s *suite) {
	data := content(3000)
	u := s.create("a", files.Want{Size: 3001}, data) // see cut
	_, err := u.Commit(s.ctx, func() error { return fault.New(fault.Cut, "interrupted") })
	if err == nil {
		s.Fatal("Commit went well though sure had an error")
	}
	s.ok("Close", u.Close())
	s.part("a", data)
	s.commit(s.create("a", resume(3000), nil))
	s.holds("a", data)
}

func oneOwnParts(s *suite) {
	other := &suite{T: s.T, Rig: s.Rig, ctx: s.ctx}
	other.Store = s.Other
	s.cut("a", whole, content(2000))
	other.noPart("a")
	other.absent("a")
	_, err := other.Store.Create(s.ctx, s.path("a"), resume(2000))
	s.refused("resume of another's part", err, fault.NotExist, fault.BadOffset)
	other.cut("a", whole, content(900))
	s.part("a", content(2000))
	other.part("a", content(900))
	other.put("b", []byte("for all"))
	s.holds("b", []byte("for all"))
	s.cut("b", whole, content(50))
	if i := other.stat("b"); i.Part >= 0 {
		s.Errorf("another's part shows: %+v", i)
	}
	if i := other.list("/")["b"]; i.Part >= 0 {
		s.Errorf("another's part is listed: %+v", i)
	}
}

func gapsNotParked(s *suite) {
	data := content(10000)
	u := s.create("a", whole, nil)
	for _, c := range [][2]int{{8000, 10000}, {0, 1000}, {3000, 5000}, {1000, 2000}} {
		_, err := u.WriteAt(data[c[0]:c[1]], int64(c[0]))
		s.ok("WriteAt", err)
	}
	if u.Size() != 2000 {
		s.Errorf("Size is %d, want 2000", u.Size())
	}
	s.ok("Close", u.Close())
	s.part("a", data[:2000])
}

func changedWithinNotParked(s *suite) {
	old := content(3000)
	s.put("a", old)
	u := s.create("a", files.Want{From: 3000, Size: -1}, content(500))
	_, err := u.WriteAt([]byte("within"), 1000)
	s.ok("WriteAt", err)
	s.ok("Close", u.Close())
	s.holds("a", old)
	if i := s.stat("a"); i.Part >= 0 {
		s.Errorf("a part of %d bytes is there", i.Part)
	}
}

package filestest

import (
	"fmt"
	"sync"

	"sampan/fault"
	"sampan/files"
)

var twinCases = []testCase{
	{"twins", Twins, twinNames},
	{"twins that come at once", Twins, twinsAtOnce},
	{"parts of twins", Parts | Twins, twinParts},
	{"new twins", Fresh | Twins, newTwins},
}

// Names in NFC and in NFD: Latin, Greek, Japanese and Korean.
var nfc, nfd = "Amélie Ώ が 한", "Ame\u0301lie \u03a9\u0301 \u304b\u3099 \u1112\u1161\u11ab"

// only checks that dir holds one entry, of that name.
func (s *suite) only(dir, name string) {
	s.Helper()
	if found := s.list(dir); len(found) != 1 || found[name].Path.Base() != name {
		s.Errorf("%s holds %v, want %q alone", dir, found, name)
	}
}

func twinNames(s *suite) {
	for i, c := range []struct{ made, asked string }{{nfc, nfd}, {nfd, nfc}} {
		top := fmt.Sprint("d", i)
		s.mkdir(top)
		s.mkdir(top + "/" + c.made)
		dir := top + "/" + c.asked
		if !s.stat(dir).Mode.IsDir() {
			s.Errorf("%q is no directory", dir)
		}
		s.refused("Mkdir of a twin", s.Store.Mkdir(s.ctx, s.path(dir)), fault.Exist)
		s.put(dir+"/"+c.made, []byte("one"))
		s.holds(dir+"/"+c.asked, []byte("one"))
		s.put(dir+"/"+c.asked, []byte("two"))
		s.holds(top+"/"+c.made+"/"+c.made, []byte("two"))
		s.only(top, c.made)
		s.only(dir, c.made)

		s.put(dir+"/other", []byte("three"))
		s.refused("Rename onto a twin", s.rename(dir+"/other", dir+"/"+c.asked, false), fault.Exist)
		s.ok("Rename over a twin", s.rename(dir+"/other", dir+"/"+c.asked, true))
		s.holds(dir+"/"+c.asked, []byte("three"))
		s.only(dir, c.made)
		s.refused("Rename into itself", s.rename(top+"/"+c.made, dir+"/below", false), fault.BadName)
		s.ok("Rename to itself", s.rename(dir+"/"+c.asked, dir+"/"+c.asked, true))
		s.only(dir, c.made)
		s.ok("Rename to another spelling", s.rename(dir+"/"+c.made, dir+"/"+c.asked, true))
		s.only(dir, c.asked)
		s.ok("Remove", s.Store.Remove(s.ctx, s.path(dir+"/"+c.made)))
		s.absent(dir + "/" + c.asked)
		s.ok("Remove", s.Store.Remove(s.ctx, s.path(dir)))
		if found := s.list(top); len(found) != 0 {
			s.Errorf("left behind: %v", found)
		}
	}
}

// twinsAtOnce: whoever comes first, two spellings never make two names.
func twinsAtOnce(s *suite) {
	for round := range 8 {
		dir := fmt.Sprint("d", round)
		s.mkdir(dir)
		var uploads []files.Upload
		for _, name := range []string{nfc, nfd} {
			uploads = append(uploads, s.create(dir+"/"+name, whole, []byte(name)))
		}
		var all sync.WaitGroup
		for _, u := range uploads {
			all.Go(func() {
				if _, err := u.Commit(s.ctx, nil); err != nil {
					s.Errorf("Commit: %v", err)
				}
				u.Close()
			})
		}
		made := make([]error, 2)
		for i, name := range []string{dir + "/x" + nfc, dir + "/x" + nfd} {
			p := s.path(name)
			all.Go(func() { made[i] = s.Store.Mkdir(s.ctx, p) })
		}
		all.Wait()
		if (made[0] == nil) == (made[1] == nil) {
			s.Errorf("of two Mkdir of twins: %v", made)
		}
		if found := s.list(dir); len(found) != 2 {
			s.Errorf("%s holds %v", dir, found)
		}
	}
}

func twinParts(s *suite) {
	s.ok("Close", s.create(nfd, whole, content(100)).Close())
	if i := s.stat(nfc); !i.PartOnly() || i.Size != 100 {
		s.Errorf("Stat: %+v", i)
	}
	part, err := s.Store.(files.Parter).Part(s.ctx, s.path(nfc))
	if err != nil || part.Size != 100 {
		s.Fatalf("Part: %+v, %v", part, err)
	}
	u := s.create(nfc, files.Want{From: 100, Size: -1, Part: true}, []byte("end"))
	s.commit(u)
	s.holds(nfd, append(content(100), "end"...))
	if len(s.list("/")) != 1 {
		s.Errorf("there is %v", s.list("/"))
	}
}

func newTwins(s *suite) {
	s.put(nfd, []byte("x"))
	_, err := s.Store.Create(s.ctx, s.path(nfc), files.Want{Size: -1, New: true})
	s.refused("Create of a new twin", err, fault.Exist)
	s.only("/", nfd)
}

package filestest

import (
	"fmt"
	"strings"
	"time"

	"sampan/fault"
	"sampan/files"
)

var nameCases = []testCase{
	{"names of all sorts", 0, allSorts},
	{"a long list", 0, longList},
	{"list refuses", 0, listRefuses},
	{"directories", 0, directories},
	{"remove", 0, remove},
	{"rename", 0, rename},
	{"rename refuses", 0, renameRefuses},
	{"times", 0, times},
	{"modes", Modes, modes},
}

func allSorts(s *suite) {
	names := []string{
		"with space", " leading", "中文名字", "naïve", "a;b=c", "-la", "--", ".hidden", "...", "*?[x]", `back\slash`, `"quoted"`,
		"percent%2Fslash", "tilde~", "plus+", "ÿ", strings.Repeat("n", 255),
	}
	for i, name := range names {
		s.mkdir(fmt.Sprint("dir ", i))
		s.put(name, []byte(name))
	}
	found := s.list("/")
	for _, name := range names {
		s.holds("/"+name, []byte(name))
		if i, ok := found[name]; !ok || i.Size != int64(len(name)) || i.Mode.IsDir() {
			s.Errorf("%q is listed as %+v (%t)", name, i, ok)
		}
	}
	if len(found) != 2*len(names) {
		s.Errorf("%d entries are listed, want %d", len(found), 2*len(names))
	}
}

func longList(s *suite) {
	s.mkdir("d")
	for i := range 600 {
		s.mkdir(fmt.Sprintf("d/sub%d", i))
	}
	s.put("d/file", content(10))
	found := s.list("d")
	if len(found) != 601 || !found["sub599"].Mode.IsDir() || found["file"].Size != 10 {
		s.Errorf("%d entries are listed, want 601", len(found))
	}
	for range s.Store.List(s.ctx, s.path("d")) {
		break // who has seen enough may stop
	}
}

func listRefuses(s *suite) {
	s.put("f", []byte("x"))
	for name, kinds := range map[string][]fault.Kind{
		"f": {fault.NotDir}, "missing": {fault.NotExist}, "f/below": {fault.NotDir, fault.NotExist},
	} {
		n := 0
		for _, err := range s.Store.List(s.ctx, s.path(name)) {
			n++
			s.refused("List "+name, err, kinds...)
		}
		if n != 1 {
			s.Errorf("List %s yields %d times, want one error", name, n)
		}
	}
}

func directories(s *suite) {
	s.mkdir("d")
	s.mkdir("d/e")
	if i := s.stat("d/e"); !i.Mode.IsDir() || i.Path != s.path("d/e") {
		s.Errorf("Stat of a directory: %+v", i)
	}
	if i := s.stat("/"); !i.Mode.IsDir() {
		s.Errorf("Stat of the root: %+v", i)
	}
	s.put("f", []byte("x"))
	for name, kinds := range map[string][]fault.Kind{
		"d": {fault.Exist}, "f": {fault.Exist}, "/": {fault.Exist}, "x/y": {fault.NotExist},
		"f/x": {fault.NotDir, fault.NotExist}, "tab\t": {fault.BadName},
	} {
		s.refused(fmt.Sprintf("Mkdir %q", name), s.Store.Mkdir(s.ctx, s.path(name)), kinds...)
	}
	_, _, err := s.Store.Open(s.ctx, s.path("d"), 0)
	s.refused("Open of a directory", err, fault.IsDir)
}

func remove(s *suite) {
	s.mkdir("d")
	s.put("d/f", []byte("x"))
	s.refused("Remove of a full directory", s.Store.Remove(s.ctx, s.path("d")), fault.NotEmpty)
	s.holds("d/f", []byte("x"))
	s.ok("Remove", s.Store.Remove(s.ctx, s.path("d/f")))
	s.absent("d/f")
	s.ok("Remove", s.Store.Remove(s.ctx, s.path("d")))
	s.absent("d")
	s.refused("Remove of nothing", s.Store.Remove(s.ctx, s.path("d")), fault.NotExist)
	s.refused("Remove of the root", s.Store.Remove(s.ctx, files.Root), fault.BadName, fault.Denied)
}

func (s *suite) rename(from, to string, replace bool) error {
	return s.Store.Rename(s.ctx, s.path(from), s.path(to), replace)
}

func rename(s *suite) {
	s.put("a", []byte("A"))
	s.mkdir("d")
	s.ok("Rename", s.rename("a", "d/b", false))
	s.absent("a")
	s.holds("d/b", []byte("A"))
	s.put("c", []byte("CC"))
	s.refused("Rename onto a file", s.rename("c", "d/b", false), fault.Exist)
	s.holds("d/b", []byte("A"))
	s.ok("Rename over a file", s.rename("c", "d/b", true))
	s.absent("c")
	s.holds("d/b", []byte("CC"))
	s.mkdir("d/sub")
	s.put("d/sub/x", []byte("X"))
	s.ok("Rename of a directory", s.rename("d", "e", false))
	s.absent("d")
	s.holds("e/b", []byte("CC"))
	s.holds("e/sub/x", []byte("X"))
	s.ok("Rename to itself", s.rename("e/b", "e/b", true))
	s.holds("e/b", []byte("CC"))
}

func renameRefuses(s *suite) {
	s.mkdir("d")
	s.mkdir("empty")
	s.put("f", []byte("x"))
	for _, c := range []struct {
		from, to string
		kinds    []fault.Kind
	}{
		{"missing", "g", []fault.Kind{fault.NotExist}},
		{"f", "missing/g", []fault.Kind{fault.NotExist}},
		{"f", "d", []fault.Kind{fault.Exist}},
		{"d", "f", []fault.Kind{fault.Exist}},
		{"d", "empty", []fault.Kind{fault.Exist}},
		{"d", "d/below", []fault.Kind{fault.BadName}},
		{"/", "g", []fault.Kind{fault.BadName}},
		{"f", "/", []fault.Kind{fault.BadName}},
		{"f", "bell\a", []fault.Kind{fault.BadName}},
	} {
		s.refused(fmt.Sprintf("Rename %s to %q", c.from, c.to), s.rename(c.from, c.to, true), c.kinds...)
	}
	s.holds("f", []byte("x"))
	if len(s.list("/")) != 3 {
		s.Errorf("afterwards there is %v", s.list("/"))
	}
}

func times(s *suite) {
	s.put("f", []byte("x"))
	when := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	s.ok("Set", s.Store.Set(s.ctx, s.path("f"), files.Attr{ModTime: &when}))
	if got := s.stat("f").ModTime; !got.Equal(when) {
		s.Errorf("ModTime is %v, want %v", got, when)
	}
	if got := s.list("/")["f"].ModTime; !got.Equal(when) {
		s.Errorf("listed ModTime is %v, want %v", got, when)
	}
	s.holds("f", []byte("x"))
	s.refused("Set of nothing", s.Store.Set(s.ctx, s.path("g"), files.Attr{ModTime: &when}), fault.NotExist)
}

func modes(s *suite) {
	s.put("f", []byte("x"))
	mode := s.stat("f").Mode | 0o700
	s.ok("Set", s.Store.Set(s.ctx, s.path("f"), files.Attr{Mode: &mode}))
	if got := s.stat("f").Mode; got != mode {
		s.Errorf("Mode is %v, want %v", got, mode)
	}
	s.put("f", []byte("y"))
	if got := s.stat("f").Mode; got != mode {
		s.Errorf("Mode is %v after a new version, want %v", got, mode)
	}
	wild := mode | 0o7000
	s.ok("Set", s.Store.Set(s.ctx, s.path("f"), files.Attr{Mode: &wild}))
	if got := s.stat("f").Mode; got != mode {
		s.Errorf("Mode is %v after special bits were asked for, want %v", got, mode)
	}
}

package files

import (
	"strings"
	"testing"

	"sampan/fault"
)

func TestParse(t *testing.T) {
	t.Parallel()
	base := mustPath("/home/a")
	for name, want := range map[string]string{
		"": "/home/a", ".": "/home/a", "b": "/home/a/b", "/b": "/b", "..": "/home", "../../../..": "/", "b/../c/": "/home/a/c",
		"//x//y": "/x/y", "-la": "/home/a/-la", " b ": "/home/a/ b ", "中文": "/home/a/中文", "/": "/", "...": "/home/a/...",
		".sampan2": "/home/a/.sampan2",
	} {
		p, err := Parse(base, name)
		if err != nil || p.String() != want {
			t.Errorf("Parse(%q) = %q, %v, want %q", name, p, err, want)
		}
	}
	for _, name := range []string{
		"a\x00b", "a\nb", "a\rb", ".sampan", "/.Sampan/ledger", "x/../.SAMPAN", "/a/.sampan", strings.Repeat("x", 4097),
	} {
		if p, err := Parse(base, name); fault.KindOf(err) != fault.BadName || err == nil {
			t.Errorf("Parse(%q) = %q, %v, want BadName", name, p, err)
		}
	}
}

func TestPathParts(t *testing.T) {
	t.Parallel()
	p := mustPath("/a/b/c")
	if p.Base() != "c" || p.Dir().String() != "/a/b" || p.Rel() != "a/b/c" || Root.Rel() != "." || Root.Dir() != Root {
		t.Errorf("%q: base %q, dir %q, rel %q", p, p.Base(), p.Dir(), p.Rel())
	}
	if !mustPath("/a").Holds(p) || mustPath("/a/b/cc").Holds(p) || mustPath("/a/b/c/d").Holds(p) || !Root.Holds(p) || !p.Holds(p) {
		t.Error("Holds is wrong")
	}
	if q := p.moved(mustPath("/a/b"), mustPath("/x")); q.String() != "/x/c" {
		t.Errorf("moved to %q", q)
	}
	for _, elem := range []string{"", ".", "..", "a/b", "/", "a\n"} {
		if _, err := p.Join(elem); fault.KindOf(err) != fault.BadName || err == nil {
			t.Errorf("Join(%q): %v", elem, err)
		}
	}
}

// FuzzParse: whatever comes over the wire, a Path that is given out stays inside, is clean, and is none of ours.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"a", "../x", "/.sampan", "a/./b//..", "\x00", "a\xff", strings.Repeat("../", 50) + "etc"} {
		f.Add("/base", s)
	}
	f.Fuzz(func(t *testing.T, base, name string) {
		b, err := Parse(Root, base)
		if err != nil {
			return
		}
		p, err := Parse(b, name)
		if err != nil {
			if fault.KindOf(err) != fault.BadName {
				t.Fatalf("Parse(%q, %q): %v", base, name, err)
			}
			return
		}
		s := p.String()
		if !strings.HasPrefix(s, "/") || strings.Contains(s, "//") || len(s) > 1 && strings.HasSuffix(s, "/") {
			t.Fatalf("Parse(%q, %q) = %q is not clean", base, name, s)
		}
		for elem := range strings.SplitSeq(s[1:], "/") {
			if elem == ".." || elem == "." || strings.EqualFold(elem, Hidden) || strings.ContainsAny(elem, "\x00\r\n") {
				t.Fatalf("Parse(%q, %q) = %q", base, name, s)
			}
		}
		if again, err := Parse(Root, s); err != nil || again != p {
			t.Fatalf("%q parses to %q, %v", s, again, err)
		}
		if !p.Dir().Holds(p) || p.IsRoot() != (s == "/") {
			t.Fatalf("%q and its directory %q", p, p.Dir())
		}
	})
}

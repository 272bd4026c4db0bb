package ftp

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSplitPaths(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want []string // nil: refused
	}{
		{"", []string{}},
		{"a b", []string{"a", "b"}},
		{"  a   b ", []string{"a", "b"}},
		{`"a b" c`, []string{"a b", "c"}},
		{`"a ""b""" "c"`, []string{`a "b"`, "c"}},
		{`a"b c`, []string{`a"b`, "c"}},
		{`"a`, nil},
		{`"a"b`, nil},
		{`""`, nil},
		{`a ""`, nil},
		{`"a""`, nil},
	} {
		got, ok := SplitPaths(c.in)
		if ok != (c.want != nil) || ok && !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, %v; want %q", c.in, got, ok, c.want)
		}
	}
}

func TestCutSpan(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in         string
		path       string
		start, end int64
		ok         bool
	}{
		{"f 1 3", "f", 1, 3, true},
		{"f 1", "f", 1, -1, true},
		{"a b 1 3", "a b", 1, 3, true},
		{`"a b" 1 3`, "a b", 1, 3, true},
		{`"a ""b" 7`, `a "b`, 7, -1, true},
		{"f 3 3", "f", 3, 3, true},
		{"f", "f", 0, -1, false},
		{`"a b"`, "a b", 0, -1, false},
		{"f 3 1", "", 0, 0, false},
		{`"f" 1 2 3`, "", 0, 0, false},
		{`"f"1 2`, "", 0, 0, false},
		{`"f" -1 2`, "", 0, 0, false},
		{`"f" 1 99999999999999999999`, "", 0, 0, false},
		{`"f`, "", 0, 0, false},
		{" 1 2", "", 0, 0, false},
	} {
		path, start, end, ok := CutSpan(c.in)
		if ok != c.ok || ok && (path != c.path || start != c.start || end != c.end) {
			t.Errorf("%q: %q %d %d %v", c.in, path, start, end, ok)
		}
	}
}

func TestParseFactChange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, facts, path, unknown string }{
		{"modify=20260102030405; f", "Modify=20260102030405;", "f", ""},
		{"UNIX.mode=0640;Modify=20260102030405;  a b", "Modify=20260102030405;UNIX.mode=0640;", " a b", ""},
		{"unix.mode=0; f", "UNIX.mode=00;", "f", ""},
		{"modify=20260102030405;create=20260102030405; f", "", "f", "create"},
		{"modify=2026; f", "", "", ""},
		{"modify=20261302030405; f", "", "", ""},
		{"UNIX.mode=888; f", "", "", ""},
		{"UNIX.mode=1777; f", "", "", ""},
		{"UNIX.mode=-1; f", "", "", ""},
		{"UNIX.mode=777777777777777777777; f", "", "", ""},
		{"modify=20260102030405 f", "", "", ""},
		{"modify=20260102030405;", "", "", ""},
		{"modify; f", "", "", ""},
		{"=; f", "", "", ""},
		{"; f", "", "", ""},
		{"", "", "", ""},
	} {
		change, path, unknown, ok := ParseFactChange(c.in)
		got := string(AppendFactChange(nil, change))
		if ok != (c.path != "") || got != c.facts || path != c.path || unknown != c.unknown {
			t.Errorf("%q: %q %q %q %v", c.in, got, path, unknown, ok)
		}
	}
}

func TestParseUTime(t *testing.T) {
	t.Parallel()
	want := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		in, path string
		t        time.Time
	}{
		{"20260102030405 a b", "a b", want},
		{"202601020304 f", "f", want.Truncate(time.Minute)},
		{"a b 20200102030405 20260102030405 20210102030405 UTC", "a b", want},
		{"20260102030405", "", time.Time{}},
		{"20260102 f", "", time.Time{}},
		{"f 20260102030405 20260102030405 UTC", "", time.Time{}},
		{" 20200102030405 20260102030405 20210102030405 UTC", "", time.Time{}},
		{"f 20260102030405", "", time.Time{}},
		{"", "", time.Time{}},
	} {
		got, path, ok := ParseUTime(c.in)
		if ok != (c.path != "") || ok && (path != c.path || !got.Equal(c.t)) {
			t.Errorf("%q: %v %q %v", c.in, got, path, ok)
		}
	}
}

func TestParseHostAndLanguage(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"ftp.example.com", "FTP.Example.COM", "localhost", "192.0.2.1", "[2001:db8::1]", "[::ffff:192.0.2.1]", "xn--fiq228c.example", "a_b.example."} {
		if got, ok := ParseHost(good); !ok || got != strings.ToLower(strings.TrimSuffix(good, ".")) {
			t.Errorf("%q: %q, %v", good, got, ok)
		}
	}
	for _, bad := range []string{"", ".", "a..b", "-a", "a-", "a b", "a:21", "[::1", "::1", "[]", "[a]", "a/b", "中文", "%s", strings.Repeat("a", 64), strings.Repeat("a.", 130)} {
		if got, ok := ParseHost(bad); ok {
			t.Errorf("%q: %q", bad, got)
		}
	}
	for _, good := range []string{"en", "zh-CN", "zh-Hans-CN", "de-1996"} {
		if got, ok := ParseLanguage(good); !ok || strings.Join(got, "-") != strings.ToLower(good) {
			t.Errorf("%q: %q, %v", good, got, ok)
		}
	}
	for _, bad := range []string{"", "-", "en-", "1", "en_US", "zh CN", "toolongtag", "%s"} {
		if got, ok := ParseLanguage(bad); ok {
			t.Errorf("%q: %q", bad, got)
		}
	}
}

// FuzzArgs: no argument is out of reach of the parsers, and what they return holds what they promise.
func FuzzArgs(f *testing.F) {
	for _, s := range []string{
		"", "a b", `"a b" c`, `"a""b" 1 2`, "f 1 3", "modify=20260102030405;UNIX.mode=0644; f",
		"20260102030405 f", "f 20200102030405 20260102030405 20210102030405 UTC", "ftp.example.com", "[::1]", "zh-CN", "-laR x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		if paths, ok := SplitPaths(arg); ok {
			var again strings.Builder
			for _, p := range paths {
				again.WriteString(QuotePath(p) + " ")
			}
			if got, ok := SplitPaths(again.String()); !ok || !slices.Equal(got, paths) {
				t.Errorf("%q: %q is read back as %q", arg, paths, got)
			}
		}
		if path, start, end, ok := CutSpan(arg); ok && (path == "" || start < 0 || end >= 0 && end < start) {
			t.Errorf("%q: %q %d %d", arg, path, start, end)
		}
		if c, path, unknown, ok := ParseFactChange(arg); ok && unknown == "" {
			again, p, _, ok := ParseFactChange(string(AppendFactChange(nil, c)) + " " + path)
			if !ok || p != path || string(AppendFactChange(nil, again)) != string(AppendFactChange(nil, c)) {
				t.Errorf("%q: %q", arg, AppendFactChange(nil, c))
			}
		}
		if _, path, ok := ParseUTime(arg); ok && path == "" {
			t.Errorf("%q", arg)
		}
		if name, ok := ParseHost(arg); ok && strings.ContainsAny(name, " \r\n/%") {
			t.Errorf("%q: %q", arg, name)
		}
		if groups, ok := ParseLanguage(arg); ok && !strings.EqualFold(strings.Join(groups, "-"), arg) {
			t.Errorf("%q: %q", arg, groups)
		}
	})
}

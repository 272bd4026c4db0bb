package shell

import (
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sampan/fault"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]string{
		"":                                 nil,
		"   ":                              nil,
		"get a b":                          {"get", "a", "b"},
		"  get\t a\u3000b ":                {"get", "a", "b"},
		`get "my file.txt"`:                {"get", "my file.txt"},
		`get 'it "is" so' x`:               {"get", `it "is" so`, "x"},
		`get my\ file.txt`:                 {"get", "my file.txt"},
		`get a"b c"d'e f'`:                 {"get", "ab cde f"},
		`get "a\"b\\c\d"`:                  {"get", `a"b\c\d`},
		`get 'C:\x'`:                       {"get", `C:\x`},
		`put ""`:                           {"put", ""},
		`put 文件 夹`:                         {"put", "文件", "夹"},
		"put a # of the day":               {"put", "a"},
		"put a#b":                          {"put", "a#b"},
		`put '#1'`:                         {"put", "#1"},
		`put end\`:                         {"put", `end\`},
		"get \xff\xfe":                     {"get", "\xff\xfe"},
		"rm -r -- -x":                      {"rm", "-r", "--", "-x"},
		`get "quote 'inside' quote" 'x"y'`: {"get", "quote 'inside' quote", `x"y`},
	} {
		got, err := split(line)
		if err != nil {
			t.Errorf("split(%q): %v", line, err)
			continue
		}
		var texts []string
		for _, w := range got {
			texts = append(texts, w.text)
		}
		if d := cmp.Diff(want, texts); d != "" {
			t.Errorf("split(%q): %s", line, d)
		}
	}
	for _, line := range []string{`get "a`, `get 'a b`, `"`, `get "a\"`} {
		if _, err := split(line); fault.KindOf(err) != fault.Syntax {
			t.Errorf("split(%q): %v, want Syntax", line, err)
		}
	}
}

func TestSplitPatterns(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`*.txt`:         `*.txt`,
		`'*.txt'`:       ``,
		`\*.txt`:        ``,
		`"a*"*`:         `a\**`,
		`[ab]?`:         `[ab]?`,
		`"my file"*`:    `my file*`,
		`a\[1\]*`:       `a\[1]*`,
		`plain`:         ``,
		`'a\b'*`:        `a\\b*`,
		`x/*/"[1].txt"`: `x/*/\[1].txt`,
	} {
		got, err := split(line)
		if err != nil || len(got) != 1 || got[0].glob != want {
			t.Errorf("split(%q) = %+v %v, want the pattern %q", line, got, err, want)
		}
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	v, err := find("get")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		line      string
		rest      string
		recursive bool
		noClobber bool
		bad       bool
	}{
		{"a b", "a b", false, false, false},
		{"-r a", "a", true, false, false},
		{"-r -n a", "a", true, true, false},
		{"--no-clobber a", "a", false, true, false},
		{"-- -r", "-r", false, false, false},
		{"a -r", "a", true, false, false},
		{"a -- -r", "a -r", false, false, false},
		{"a -x", "", false, false, true},
		{"-R a -u", "a", true, false, false},
		{"- a", "- a", false, false, false},
		{"-x a", "", false, false, true},
	} {
		list, _ := split(row.line)
		var o Options
		rest, err := o.flags(list, v)
		var texts []string
		for _, w := range rest {
			texts = append(texts, w.text)
		}
		if (err != nil) != row.bad || strings.Join(texts, " ") != row.rest || o.Recursive != row.recursive || o.NoClobber != row.noClobber {
			t.Errorf("flags(%q) = %q, %+v, %v", row.line, texts, o, err)
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{"get a b", `"my file"*`, `a\ b 'c d`, "文件 #x", "\xff *", `it's "x`, `\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		list, quote := scan(line)
		if _, err := split(line); (err != nil) != (quote != 0) {
			t.Fatalf("split(%q): %v, but the open quote is %q", line, err, quote)
		}
		at := -1
		for _, w := range list {
			if w.at <= at || w.at >= len(line) {
				t.Fatalf("%q: words at %d and %d", line, at, w.at)
			}
			at = w.at
			if w.glob != "" && !hasWildcard(w.glob) {
				t.Fatalf("%q: the pattern %q has no wildcard", line, w.glob)
			}
		}
		// What is quoted comes back as it was, as one word and never as a pattern.
		for _, q := range []rune{0, '\'', '"'} {
			got, err := split("get " + quoted(line, q))
			if err != nil || len(got) != 2 || got[1].text != line || got[1].glob != "" {
				t.Fatalf("quoted(%q, %q) = %q came back as %+v, %v", line, q, quoted(line, q), got, err)
			}
		}
		if ok, err := path.Match(escapePattern(line), line); err != nil || !ok && !strings.Contains(line, "/") {
			t.Fatalf("escapePattern(%q) = %q does not match it: %v", line, escapePattern(line), err)
		}
		if unescapePattern(escapePattern(line)) != line {
			t.Fatalf("escapePattern(%q) does not come back", line)
		}
	})
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sampan/fault"
	"sampan/words"
)

func testEnv(lang words.Lang) (e *env, out *bytes.Buffer) {
	out = new(bytes.Buffer)
	return &env{in: strings.NewReader(""), out: out, err: out, getenv: environment(), lang: lang}, out
}

// TestExitCodes holds the codes that scripts count on, and that every kind of failure has one.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	kinds := 0
	for kind := fault.Internal; kind == fault.Internal || kind.String() != fault.Internal.String(); kind++ {
		kinds++
		if _, ok := exitCodes[kind]; !ok {
			t.Errorf("%s has no exit code", kind)
		}
	}
	if kinds != len(exitCodes) {
		t.Errorf("%d kinds, %d codes", kinds, len(exitCodes))
	}
	for want, err := range map[int]error{
		0: nil, 1: errSilent, 2: fault.New(fault.Syntax, ""), 3: fault.New(fault.NotExist, ""), 4: fault.New(fault.Local, ""),
		5: fault.New(fault.Denied, ""), 6: fault.New(fault.Unreachable, ""), 7: fault.New(fault.Untrusted, ""),
		8: fault.New(fault.Unauth, ""), 9: fault.New(fault.Mismatch, ""), 10: fault.New(fault.GaveUp, ""),
		11: fault.New(fault.OverQuota, ""), 12: fault.New(fault.Stopped, ""), 130: context.Canceled,
	} {
		if got := exitCode(err); got != want {
			t.Errorf("%v ends with %d, want %d", err, got, want)
		}
	}
	if got := exitCode(errors.Join(errSilent, fault.New(fault.NoSpace, ""))); got != 11 {
		t.Errorf("what was said already ends with %d, want 11", got)
	}
	if got := exitCode(fault.Wrap(fault.Cut, context.Canceled, "")); got != 130 {
		t.Errorf("a cut by ^C ends with %d, want 130", got)
	}
	meant := map[int]bool{}
	for _, m := range exitMeanings() {
		meant[m.code] = true
	}
	for kind, code := range exitCodes {
		if !meant[code] {
			t.Errorf("%s ends with %d, which is not explained", kind, code)
		}
	}
}

// TestCommandTable: no name twice, parents are there, and each command explains itself in both languages.
func TestCommandTable(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	e, _ := testEnv(words.English)
	for _, row := range commands(e) {
		if seen[row.name] {
			t.Errorf("%s is there twice", row.name)
		}
		seen[row.name] = true
	}
	for name := range seen {
		if i := strings.LastIndex(name, " "); i > 0 && !seen[name[:i]] {
			t.Errorf("%s has no parent", name)
		}
	}
	for name := range seen {
		for _, lang := range []words.Lang{words.English, words.Chinese} {
			e, out := testEnv(lang)
			args := append(strings.Fields(name), "--help", "--lang", map[words.Lang]string{words.English: "en", words.Chinese: "zh"}[lang])
			if code := run(t.Context(), e, args); code != 0 {
				t.Errorf("%v ends with %d: %s", args, code, out)
			}
			if !strings.HasPrefix(out.String(), "sampan "+name) {
				t.Errorf("%v says %q", args, out)
			}
			if chinese := strings.ContainsFunc(out.String(), func(r rune) bool { return 0x4e00 <= r && r < 0xa000 }); chinese != (lang == words.Chinese) {
				t.Errorf("%v is in the wrong language: %s", args, out)
			}
		}
	}
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	rows := []struct {
		args string
		env  []string
		want words.Lang
	}{
		{"ls", nil, words.English},
		{"ls", []string{"LANG", "zh_CN.UTF-8"}, words.Chinese},
		{"ls", []string{"LANG", "zh_CN.UTF-8", "LC_ALL", "C"}, words.English},
		{"--lang zh ls", nil, words.Chinese},
		{"ls --lang=zh", nil, words.Chinese},
		{"ls --lang=en", []string{"LANG", "zh_CN.UTF-8"}, words.English},
		{"ls -- --lang=zh", nil, words.English},
		{"ls --lang", nil, words.English},
	}
	for _, row := range rows {
		if got := language(environment(row.env...), strings.Fields(row.args)); got != row.want {
			t.Errorf("%s with %v: %v", row.args, row.env, got)
		}
	}
}

// TestTable: columns stand under each other, also where a character takes two of the terminal's; nothing in a cell
// can move the cursor.
func TestTable(t *testing.T) {
	t.Parallel()
	e, out := testEnv(words.Chinese)
	e.table([]column{{title: words.M("name")}, {title: words.M("used"), right: true}, {title: words.M("home")}}, [][]string{
		{"alice", "17", "/a"},
		{"小明", "1.5G", "/b\x1b[2J"},
	})
	want := "名称   已用  主目录\n" +
		"alice    17  /a\n" +
		"小明   1.5G  /b\\x1b[2J\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
}

// TestSuggestions: a mistyped command is met with its neighbours, in one sentence.
func TestSuggestions(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"serv":      "did you mean serve?",
		"user lst":  "did you mean list?",
		"xyzzy":     "sampan help lists them all",
		"user":      "", // lists what is below
		"\x1b[2Jls": `\x1b`,
	} {
		e, out := testEnv(words.English)
		code := run(t.Context(), e, strings.Split(args, " "))
		if want != "" && (code != exitUsage || !strings.Contains(out.String(), want) || strings.Count(out.String(), "\n") != 1) {
			t.Errorf("%q ends with %d and says %q", args, code, out)
		}
		if want == "" && (code != exitOK || !strings.Contains(out.String(), "sampan user add NAME")) {
			t.Errorf("%q ends with %d and says %q", args, code, out)
		}
	}
}

func FuzzCommandLine(f *testing.F) {
	e, _ := testEnv(words.English)
	for _, row := range commands(e) {
		f.Add(row.name + " --" + fmt.Sprint(len(row.flags)))
	}
	f.Fuzz(func(t *testing.T, line string) {
		e, out := testEnv(words.English)
		rows := commands(e)
		for i := range rows { // only the way to them is tried
			if rows[i].run != nil {
				rows[i].run = func(context.Context, []string) error { return nil }
			}
		}
		args := strings.Fields(line)
		if len(args) == 0 {
			return
		}
		root := e.cobra(rows)
		root.SetArgs(args)
		err := root.ExecuteContext(t.Context())
		var said *fault.Error
		if err != nil && !errors.As(err, &said) {
			t.Errorf("%q: %v has no sentence", line, err)
		}
		if err != nil {
			e.explain(err)
			if s := strings.TrimSuffix(out.String(), "\n"); strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) {
				t.Errorf("%q says %q", line, s)
			}
		}
	})
}

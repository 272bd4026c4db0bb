package shell

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"sampan/fault"
	"sampan/words"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"gte": "get", "putt": "put", "mkdri": "mkdir", "hlep": "help", "quta": "quota", "statt": "stat",
		"l": "ls", "xyzzy": "", "frobnicate": "", "tarce": "trace", "passiv": "passive", "列": "",
	} {
		if got := nearest(name); got != want {
			t.Errorf("nearest(%q) = %q, want %q", name, got, want)
		}
	}
	if _, err := find("gte"); !strings.Contains(err.Error(), "did you mean get?") || fault.KindOf(err) != fault.Syntax {
		t.Error(err)
	}
}

func TestFindAliases(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"Q": "quit", "q": "quit", "bye": "quit", "exit": "quit", "LS": "ls", "?": "help", "dir": "ls"} {
		if v, err := find(name); err != nil || v.name != want {
			t.Errorf("find(%q) = %v, %v", name, v, err)
		}
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"get", "", 3}, {"get", "gte", 1}, {"abc", "abd", 1}, {"abc", "xabc", 1}, {"文件", "文", 1}, {"ab", "ba", 1}} {
		if got := distance(row.a, row.b); got != row.want || distance(row.b, row.a) != got {
			t.Errorf("distance(%q, %q) = %d", row.a, row.b, got)
		}
	}
}

func TestCheckCountsArguments(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		verb string
		n    int
		ok   bool
	}{{"get", 0, false}, {"get", 1, true}, {"get", 2, true}, {"get", 3, false}, {"rm", 9, true}, {"pwd", 1, false}, {"chmod", 1, false}, {"chmod", 3, true}, {"ls", 0, true}} {
		v, err := find(row.verb)
		if err == nil {
			err = v.check(row.n)
		}
		if (err == nil) != row.ok {
			t.Errorf("%s with %d arguments: %v", row.verb, row.n, err)
		}
	}
}

func TestVerbsAreComplete(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, v := range verbs() {
		if v.run == nil || v.short.IsZero() || v.command == "" || seen[v.name] {
			t.Errorf("the row of %s is not complete, or there twice", v.name)
		}
		seen[v.name] = true
	}
	for a, means := range aliases {
		list := unalias([]word{{text: strings.ToUpper(a)}, {text: "x"}})
		v, err := find(a)
		if seen[a] || err != nil || !seen[list[0].text] || v.name != list[0].text || strings.Count(means, " ")+2 != len(list) || list[len(list)-1].text != "x" {
			t.Errorf("the alias %s of %s is %v, %v", a, means, list, err)
		}
	}
}

func TestHelpFitsEightyColumns(t *testing.T) {
	t.Parallel()
	for _, l := range []words.Lang{words.English, words.Chinese} {
		var out bytes.Buffer
		if err := help(context.Background(), &task{Env: &Env{Out: &out, Lang: l}}, nil); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			line = strings.TrimRight(line, "\n")
			if words.Width(line) > 80 {
				t.Errorf("%d columns: %s", words.Width(line), line)
			}
		}
		if n := strings.Count(out.String(), "\n"); n < len(verbs()) {
			t.Errorf("help has %d lines", n)
		}
	}
}

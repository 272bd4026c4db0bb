package words

import (
	"strings"
	"testing"
)

func TestEscape(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain 文件.txt":             "plain 文件.txt",
		"a\x1b[2Jb\r\n":            `a\x1b[2Jb\r\n`,
		"\u202egnp.exe":            `\u202egnp.exe`,
		"bad \xff byte":            `bad \xff byte`,
		"\u009b31m":                `\u009b31m`,
		"\x00\x7f":                 `\x00\x7f`,
		"e\u0301":                  "e\u0301",
		`quote ' and " and \ stay`: `quote ' and " and \ stay`,
	} {
		if got := Escape(in); got != want {
			t.Errorf("Escape(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestColumns(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		s               string
		width           int
		pad, cut, tails string
	}{
		{"abc", 5, "abc  ", "abc", "abc"},
		{"abcdef", 4, "abcdef", "abc…", "…def"},
		{"文件名字", 8, "文件名字", "文件名字", "文件名字"},
		{"文件名字", 7, "文件名字", "文件名…", "…件名字"},
		{"文件名字", 6, "文件名字", "文件…", "…名字"},
		{"文件", 6, "文件  ", "文件", "文件"},
		{"abc", 1, "abc", "…", "…"},
		{"abc", 0, "abc", "", ""},
	} {
		if got := Pad(row.s, row.width); got != row.pad {
			t.Errorf("Pad(%q, %d) = %q, want %q", row.s, row.width, got, row.pad)
		}
		if got := Cut(row.s, row.width); got != row.cut {
			t.Errorf("Cut(%q, %d) = %q, want %q", row.s, row.width, got, row.cut)
		}
		if got := CutHead(row.s, row.width); got != row.tails {
			t.Errorf("CutHead(%q, %d) = %q, want %q", row.s, row.width, got, row.tails)
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("a\x1b[2J", 3)
	f.Add("文件\xff\u202e", 4)
	f.Fuzz(func(t *testing.T, s string, width int) {
		width %= 100
		safe := Escape(s)
		if strings.ContainsFunc(safe, unfit) {
			t.Errorf("Escape(%q) = %q", s, safe)
		}
		for _, cut := range []string{Cut(safe, width), CutHead(safe, width)} {
			if Width(cut) > max(0, width) {
				t.Errorf("%q cut to %d columns is %q of %d", safe, width, cut, Width(cut))
			}
		}
	})
}

func TestBytes(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1.0K", 1023: "1.0K", 1536: "1.5K", 200 << 20: "200M", 1023 << 20: "1.0G", 9<<30 + 900<<20: "9.9G", 1<<63 - 1: "8192P",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}

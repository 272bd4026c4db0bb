package shell

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sampan/files"
	"sampan/words"
)

func TestComplete(t *testing.T) {
	t.Parallel()
	sh := localTask(t, "report.txt", "report.pdf", "my file.txt", "My Documents/a.txt", "文件一.txt", "文件二.txt", "文档/读我.txt", ".hidden", "it's.txt", "quote\".txt", "sub/one", "sub/two")
	sh.seen = map[string][]files.Info{}
	for _, row := range []struct {
		line, want string
		choices    []string
	}{
		{"pas", "pass", nil},
		{"pass", "pass", []string{"passive", "passwd"}},
		{"pw", "pwd ", nil},
		{"zzz", "zzz", nil},
		{"help tr", "help trace ", nil},
		{"put rep", "put report.", nil},
		{"put report.", "put report.", []string{"report.pdf", "report.txt"}},
		{"put report.t", "put report.txt ", nil},
		{"put my", "put \"my file.txt\" ", nil},
		{"put \"my", "put \"my file.txt\" ", nil},
		{"put 'my", "put 'my file.txt' ", nil},
		{`put my\ f`, "put \"my file.txt\" ", nil},
		{"put My", `put "My Documents/`, nil},
		{`put "My Documents/`, `put "My Documents/a.txt" `, nil},
		{"put 文", "put 文", []string{"文件一.txt", "文件二.txt", "文档/"}},
		{"put 文件", "put 文件", []string{"文件一.txt", "文件二.txt"}},
		{"put 文件一", "put 文件一.txt ", nil},
		{"put 文档", "put 文档/", nil},
		{"put 文档/", "put 文档/读我.txt ", nil},
		{"put -r su", "put -r sub/", nil},
		{"put sub/", "put sub/", []string{"one", "two"}},
		{"lcd su", "lcd sub/", nil},
		{"lcd re", "lcd re", nil},
		{"put .", "put .hidden ", nil},
		{"put it", `put "it's.txt" `, nil},
		{"put 'it", "put \"it's.txt\" ", nil},
		{"put quo", `put "quote\".txt" `, nil},
		{"put nothing", "put nothing", nil},
		{"mput report.txt my", "mput report.txt \"my file.txt\" ", nil},
		{"pwd x", "pwd x", nil},
	} {
		got := sh.complete(context.Background(), row.line)
		if d := cmp.Diff(row.choices, got.choices); got.line != row.want || d != "" {
			t.Errorf("%q became %q, want %q; %s", row.line, got.line, row.want, d)
		}
	}
}

func TestInColumns(t *testing.T) {
	t.Parallel()
	names := []string{"a", "文件夹/", "report.txt", "一个很长的中文文件名.txt", "b", "c", "d"}
	for cols := 10; cols < 120; cols++ {
		text := inColumns(names, cols)
		for line := range strings.SplitSeq(text, "\n") {
			if words.Width(line) > cols {
				t.Fatalf("%d columns: %q", cols, line)
			}
		}
		if cols > 40 && len(strings.Fields(text)) != len(names) {
			t.Fatalf("names are missing: %s", text)
		}
	}
}

func FuzzCommonPrefix(f *testing.F) {
	f.Add("文件一", "文件二")
	f.Add("\xe6\x96", "\xe6\x97")
	f.Fuzz(func(t *testing.T, a, b string) {
		p := commonPrefix(a, b)
		if !strings.HasPrefix(a, p) || !strings.HasPrefix(b, p) || p != commonPrefix(b, a) && strings.ToValidUTF8(a+b, "") == a+b {
			t.Fatalf("commonPrefix(%q, %q) = %q", a, b, p)
		}
	})
}

package shell

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sampan/fault"
)

// localTask is a shell whose local directory holds files; a name with a slash at its end is a directory.
func localTask(t *testing.T, names ...string) *task {
	t.Helper()
	dir := t.TempDir()
	for _, n := range names {
		full := filepath.Join(dir, n)
		if strings.HasSuffix(n, "/") {
			full += "/x"
		}
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(n, "/") {
			if err := os.WriteFile(full, []byte(n), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return &task{Env: &Env{Dir: dir, Getenv: func(string) string { return "" }}, lines: newLines()}
}

func TestExpandLocal(t *testing.T) {
	t.Parallel()
	sh := localTask(t, "a.txt", "b.txt", ".hidden.txt", "文件.txt", "[1].txt", "my file.txt", "d1/x.txt", "d1/y.log", "d2/x.txt", "d2/e/z.txt", "empty/")
	for line, want := range map[string][]string{
		`*.txt`:       {"[1].txt", "a.txt", "b.txt", "my file.txt", "文件.txt"},
		`.*.txt`:      {".hidden.txt"},
		`?.txt`:       {"a.txt", "b.txt"},
		`[ab].txt`:    {"a.txt", "b.txt"},
		`"[1].txt"`:   {"[1].txt"},
		`"[1]".*`:     {"[1].txt"},
		`"my "*`:      {"my file.txt"},
		`d?/x.txt`:    {"d1/x.txt", "d2/x.txt"},
		`d1/*`:        {"d1/x.txt", "d1/y.log"},
		`*/*/*`:       {"d2/e/z.txt"},
		`./d1/*.log`:  {"d1/y.log"},
		`d1/../d2/x*`: {"d2/x.txt"},
		`文*`:          {"文件.txt"},
		`a.txt d*/x*`: {"a.txt", "d1/x.txt", "d2/x.txt"},
	} {
		list, err := split(line)
		if err != nil {
			t.Fatal(err)
		}
		found, err := sh.expand(context.Background(), list, true)
		var got []string
		for _, p := range found {
			got = append(got, filepath.ToSlash(p.show))
		}
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%s: %v %s", line, err, d)
		}
	}
	for line, kind := range map[string]fault.Kind{`*.nothing`: fault.NotExist, `empty/*`: fault.NotExist, `[a`: fault.Syntax, `nodir/*`: fault.NotExist} {
		list, _ := split(line)
		if _, err := sh.expand(context.Background(), list, true); fault.KindOf(err) != kind {
			t.Errorf("%s: %v, want %v", line, err, kind)
		}
	}
}

func TestGlobURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string][2]string{
		"ftp://h/a/b.txt":          {"ftp://h/a/b.txt", ""},
		"ftp://h/a/*.txt":          {"ftp://h/", "a/*.txt"},
		"ftp://[::1]:2121/plain":   {"ftp://[::1]:2121/plain", ""},
		"ftp://[::1]:2121/x?":      {"ftp://[::1]:2121/", "x?"},
		"ftp://u@h/%2A*":           {"ftp://u@h/", `\**`},
		"ftp://u@h/%2Ftmp/[ab]%20": {"ftp://u@h/", "/tmp/[ab] "},
		"ftp://u@h/%5Bx%5D*":       {"ftp://u@h/", `\[x]*`},
	} {
		base, pattern, err := globURL(raw)
		if err != nil || base != want[0] || pattern != want[1] {
			t.Errorf("globURL(%q) = %q, %q, %v, want %q", raw, base, pattern, err, want)
		}
	}
}

func TestCutPattern(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string][2]string{
		"*.txt": {"", "*.txt"}, "a/b/*": {"a/b", "*"}, "/*": {"/", "*"}, "/a/*/c": {"/a", "*/c"}, `\[a]/x*`: {"[a]", "x*"}, `my file/*`: {"my file", "*"},
	} {
		if dir, rest := cutPattern(pattern); dir != want[0] || rest != want[1] {
			t.Errorf("cutPattern(%q) = %q, %q", pattern, dir, rest)
		}
	}
}

func FuzzGlobURL(f *testing.F) {
	for _, s := range []string{"ftp://h/a*", "ftp://[::1]/%2A?", "ftp://u:p@h:1/%zz*", "x://", "ftp://h/\uf8f1*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		base, pattern, err := globURL(raw)
		if err != nil || pattern == "" {
			return
		}
		if strings.ContainsAny(base[strings.Index(base, "://")+3:], "*?") && !strings.ContainsAny(raw[:len(base)], "*?") {
			t.Fatalf("globURL(%q): the base is %q", raw, base)
		}
		if dir, rest := cutPattern(pattern); rest == "" && dir == "" {
			t.Fatalf("cutPattern(%q) is empty", pattern)
		}
	})
}

// TestOneOddNameHidesNoOther: a name that cannot be used is told about, and the others beside it are found and listed.
func TestOneOddNameHidesNoOther(t *testing.T) {
	t.Parallel()
	sh := localTask(t, "a.txt", "b.txt")
	if err := os.WriteFile(filepath.Join(sh.Dir, "c\n.txt"), nil, 0o644); err != nil {
		t.Skip("no such name here: ", err)
	}
	var out, said strings.Builder
	sh.Out, sh.Err = &out, &said
	list, _ := split("*.txt")
	found, err := sh.expand(context.Background(), list, true)
	if err != nil || len(found) != 2 || !strings.Contains(said.String(), `c\n.txt`) {
		t.Errorf("%v, %v; it says %q", found, err, said.String())
	}
	if err := localList(context.Background(), sh, nil); fault.KindOf(err) != fault.BadName {
		t.Errorf("lls: %v", err)
	}
	if got := out.String(); !strings.Contains(got, "a.txt") || !strings.Contains(got, "b.txt") {
		t.Errorf("lls lists %q", got)
	}
}

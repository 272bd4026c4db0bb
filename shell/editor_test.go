package shell

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rivo/uniseg"

	"sampan/words"
)

// typing returns an editor of 40 columns that gets keys.
func typing(keys string) (*editor, *bytes.Buffer) {
	var out bytes.Buffer
	return &editor{in: strings.NewReader(keys), out: &out, cols: func() int { return 40 }, prompt: "李@host:/> "}, &out
}

func TestEditorKeys(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		keys, want string
		err        error
	}{
		{"ls\r", "ls", nil},
		{"put 你好\x7f吗\n", "put 你吗", nil},
		{"e\u0301\x7fx\r", "x", nil},
		{"👨‍👩‍👧a\x1b[D\x7f\r", "a", nil},
		{"junk\x15good\r", "good", nil},
		{"bc\x01a\x05d\r", "abcd", nil},
		{"ac\x1b[Db\r", "abc", nil},
		{"文件\x1b[D名\x1b[Cx\r", "文名件x", nil},
		{"abc\x1b[D\x1b[D\x0b\r", "a", nil},
		{"abc\x1b[H\x1b[3~\x04\r", "c", nil},
		{"one two  three\x17\x17x\r", "one x", nil},
		{"one two\x1bbX\x1bfY\r", "one XtwoY", nil},
		{"\x1b[A\x1b[A\r", "older", nil},
		{"draft\x1b[A\x1b[B!\r", "draft!", nil},
		{"\x10\x10\x10\x10\x0e\r", "newer", nil},
		{"\x1b[99;99R\x1b[200~a\x1b[201~\x1bOPb\r", "ab", nil},
		{"a\x00\x01\x1ab\r", "ba", nil},
		{"\xff\xfeab\u009b\r", "ab", nil},
		{"half\x03", "", context.Canceled},
		{"\x04", "", io.EOF},
		{"a\x04b\r", "ab", nil},
		{"no end", "", io.EOF},
		{"\x1b", "", io.EOF},
		{"\x7f\x02\x06\x17\x0b\x1b[D\x1b[C\r", "", nil},
		{"pas\tw\t\r", "passwd ", nil},
	} {
		e, out := typing(row.keys)
		e.history = []string{"older", "newer"}
		e.complete = (&task{Env: &Env{}}).completeVerbs
		got, err := e.read()
		if got != row.want || !errors.Is(err, row.err) {
			t.Errorf("%q: %q, %v, want %q", row.keys, got, err, row.want)
		}
		if strings.Contains(out.String(), "\x1b[6n") {
			t.Errorf("%q: it asks the terminal", row.keys)
		}
	}
}

// completeVerbs completes verbs only.
func (t *task) completeVerbs(before string) completion {
	return t.complete(context.Background(), before)
}

func TestEditorReadsLineByLine(t *testing.T) {
	t.Parallel()
	e, _ := typing("one\rtwo\rthree\r")
	for _, want := range []string{"one", "two", "three"} {
		if got, err := e.read(); got != want || err != nil {
			t.Fatal(got, err)
		}
	}
}

func TestHiddenLineIsNotShown(t *testing.T) {
	t.Parallel()
	e, out := typing("secre文\x7ft\x1b[A\t\x0c\r")
	e.hidden, e.history = true, []string{"older"}
	if got, err := e.read(); got != "secret" || err != nil {
		t.Fatal(got, err)
	}
	if shown := strings.NewReplacer("\r", "", "\x1b[K", "", e.prompt, "").Replace(out.String()); shown != "" {
		t.Errorf("it shows %q", shown)
	}
}

// lastRow plays what was written on a terminal of one row, and returns the row and the cursor's column.
func lastRow(t *testing.T, s string, cols int) (string, int) {
	t.Helper()
	csi := regexp.MustCompile(`^\x1b\[(\d*)([A-Za-z])`)
	cells := make([]string, cols+200)
	at := 0
	for len(s) > 0 {
		if m := csi.FindStringSubmatch(s); m != nil {
			n, _ := strconv.Atoi(m[1])
			switch m[2] {
			case "K":
				clear(cells[at:])
			case "D":
				at -= n
			default:
				t.Fatalf("unexpected %q", m[0])
			}
			s = s[len(m[0]):]
			continue
		}
		c, rest, w, _ := uniseg.FirstGraphemeClusterInString(s, -1)
		s = rest
		if c == "\r" {
			at = 0
			continue
		}
		cells[at] = c
		for i := 1; i < w; i++ {
			cells[at+i] = ""
		}
		at += w
		if at > cols {
			t.Fatalf("column %d of %d", at, cols)
		}
	}
	return strings.Join(cells, ""), at
}

func TestEditorDrawsWithinItsColumns(t *testing.T) {
	t.Parallel()
	for _, keys := range []string{
		"short", "文件名", "文件名\x1b[D\x1b[D", "abc\x01", strings.Repeat("文件", 40), strings.Repeat("long ", 30) + "\x01", strings.Repeat("x文", 40) + strings.Repeat("\x1b[D", 30),
		strings.Repeat("y", 28), strings.Repeat("y", 29), strings.Repeat("y", 30), strings.Repeat("件", 14) + "\x7f\x7f", "e\u0301e\u0301\x1b[D",
	} {
		e, out := typing(keys)
		if _, err := e.read(); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		row, at := lastRow(t, out.String(), 40)
		if words.Width(row) > 40 || !strings.HasPrefix(row, e.prompt) {
			t.Errorf("%q is drawn as %q", keys, row)
		}
		if whole := e.prompt + e.before + e.after; words.Width(whole) < 40 && (row != whole || at != words.Width(e.prompt+e.before)) {
			t.Errorf("%q is drawn as %q with the cursor at %d, want %q and %d", keys, row, at, whole, words.Width(e.prompt+e.before))
		}
	}
}

func FuzzEditor(f *testing.F) {
	f.Add("put 文件\x1b[D\x7f\t\x1b[A\r")
	f.Add("a\x17\x0b\x04\x15\xff\x1bOP\x1b[3~e\u0301👨‍👩‍👧\x02\x06")
	f.Fuzz(func(t *testing.T, keys string) {
		e, out := typing(keys)
		e.history = []string{"older 文件"}
		line, err := e.read()
		if err == nil && strings.ContainsAny(line, "\x00\x03\x04\x1b\r\n\x7f") {
			t.Fatalf("%q gave %q", keys, line)
		}
		if !strings.Contains(keys, "\x0c") {
			lastRow(t, out.String(), 44)
		}
	})
}

// TestHistoryKeepsNoPassword: a line with one comes back in its own shell, and stands in no file.
func TestHistoryKeepsNoPassword(t *testing.T) {
	t.Parallel()
	env := stateEnv(t.TempDir())
	h, err := env.openHistory()
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{"open ftp://alice:secret@host/", `get "sftp://a:b c@host/x"`, "put x ftp://a:b/c@host:21/", "open ftp://alice@host:21/a", "get ftp://host/x"}
	for _, line := range lines {
		if err := h.add(line); err != nil {
			t.Fatal(err)
		}
	}
	again, err := env.openHistory()
	if d := cmp.Diff(lines[3:], again.lines); d != "" || err != nil || len(h.lines) != len(lines) {
		t.Error(d, err, h.lines)
	}
}

func TestHistoryComesBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := stateEnv(dir)
	h, err := env.openHistory()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"ls", "ls", "", " hidden", "put 文件", "ls"} {
		if err := h.add(line); err != nil {
			t.Fatal(err)
		}
	}
	again, err := env.openHistory()
	if d := cmp.Diff([]string{"ls", "put 文件", "ls"}, again.lines); d != "" || err != nil {
		t.Error(d, err)
	}
	name := filepath.Join(dir, "sampan", "history")
	if err := os.WriteFile(name, []byte(strings.Repeat("x\ny\n", 3*remembered)), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err = env.openHistory(); err != nil || len(again.lines) != remembered {
		t.Error(len(again.lines), err)
	}
	if data, _ := os.ReadFile(name); strings.Count(string(data), "\n") != remembered {
		t.Error("the file is not cut")
	}
}

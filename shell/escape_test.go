package shell

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"sampan/words"
)

func TestSafeEscapesArguments(t *testing.T) {
	t.Parallel()
	m := Safe(words.M("%s: %s (%d, %s)", "a\x1b[2J", words.M("%s is a directory; add -r to copy it with everything in it", "b\r"), 7, errors.New("c\n")))
	if got, want := m.String(), `a\x1b[2J: b\r is a directory; add -r to copy it with everything in it (7, c\n)`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCatOnATerminalIsHarmless(t *testing.T) {
	t.Parallel()
	in := "one\r\ntwo\tthree\x1b]0;title\x07 文件 \xff\n"
	for step := 1; step < len(in); step++ {
		var out bytes.Buffer
		e := &escaper{w: &out}
		for s := in; len(s) > 0; {
			n := min(step, len(s))
			if wrote, err := io.WriteString(e, s[:n]); err != nil || wrote != n {
				t.Fatal(wrote, err)
			}
			s = s[n:]
		}
		e.Close()
		got := strings.ReplaceAll(out.String(), `\r`, "")
		if want := "one\ntwo\tthree\\x1b]0;title\\a 文件 \\xff\n"; got != want {
			t.Errorf("in steps of %d: %q, want %q", step, got, want)
		}
	}
}

// TestCatEndsItsLine: the prompt would be drawn over the rest of a file that does not end its last one.
func TestCatEndsItsLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", "one": "one\n", "one\n": "one\n", "文\xe6": "文\\xe6\n", "\xe6": "\\xe6\n"} {
		var out bytes.Buffer
		e := &escaper{w: &out}
		_, _ = io.WriteString(e, in)
		e.Close()
		if out.String() != want {
			t.Errorf("%q is shown as %q, want %q", in, out.String(), want)
		}
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	for n := range 12 {
		for _, s := range []string{"", "a", "文件名字", "holiday.mp4"} {
			if got := fit(s, n); words.Width(got) != n {
				t.Errorf("fit(%q, %d) = %q", s, n, got)
			}
		}
	}
}

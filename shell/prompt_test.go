package shell

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestEditKeys(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		keys, want string
		err        error
	}{
		{"secret\r", "secret", nil},
		{"se\x7f\x7fpass\n", "pass", nil},
		{"你好\x7f吗\r", "你吗", nil},
		{"junk\x15good\r", "good", nil},
		{"\x1b[A\x1bOPab\x1b[1;5C c\r", "ab c", nil},
		{"\x7f\x15a\x01\r", "a", nil},
		{"half\x03", "", context.Canceled},
		{"\x04", "", io.EOF},
		{"a\x04b\r", "ab", nil},
		{"\xff\xfeab\r", "ab", nil},
		{"no end", "", io.EOF},
	} {
		got, err := editKeys(strings.NewReader(row.keys), io.Discard, true)
		if got != row.want || !errors.Is(err, row.err) {
			t.Errorf("%q: %q, %v", row.keys, got, err)
		}
	}
}

func TestEditKeysShows(t *testing.T) {
	t.Parallel()
	var shown, hidden bytes.Buffer
	_, _ = editKeys(strings.NewReader("a文\x7f\r"), &shown, true)
	_, _ = editKeys(strings.NewReader("a文\x7f\r"), &hidden, false)
	if shown.String() != "a文\b\b  \b\b" || hidden.Len() != 0 {
		t.Errorf("shown %q, hidden %q", shown.String(), hidden.String())
	}
}

func FuzzEditKeys(f *testing.F) {
	f.Add("secret\r")
	f.Add("\x1b[A你\x7f\x15\x03")
	f.Fuzz(func(t *testing.T, keys string) {
		line, err := editKeys(strings.NewReader(keys), io.Discard, true)
		if err == nil && strings.ContainsAny(line, "\x00\x03\x04\x1b\r\n\x7f") {
			t.Fatalf("%q gave %q", keys, line)
		}
	})
}

func TestReadLineTakesNoMoreThanALine(t *testing.T) {
	t.Parallel()
	r := strings.NewReader("one\r\ntwo\nlast")
	for _, want := range []string{"one", "two", "last"} {
		if got, err := readLine(r); got != want || err != nil {
			t.Fatalf("%q, %v, want %q", got, err, want)
		}
	}
	if _, err := readLine(r); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

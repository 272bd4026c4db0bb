package shell

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"sampan/words"
)

// Safe returns m with every text among its arguments escaped: names come from anywhere.
func Safe(m words.Message) words.Message {
	args := make([]any, len(m.Args))
	for i, a := range m.Args {
		switch v := a.(type) {
		case words.Message:
			a = Safe(v)
		case string:
			a = words.Escape(v)
		case error:
			a = words.Escape(v.Error())
		case fmt.Stringer:
			a = words.Escape(v.String())
		}
		args[i] = a
	}
	return words.Message{Text: m.Text, Args: args}
}

// An escaper escapes what is written through it, line ends and tabs excepted: content on its way to a terminal.
type escaper struct {
	w    io.Writer
	rest []byte // the beginning of a rune
	open bool   // the line is not ended
}

func (e *escaper) Write(p []byte) (int, error) {
	buf := append(e.rest, p...)
	whole := len(buf)
	for i := 1; i < utf8.UTFMax && i <= len(buf); i++ {
		if utf8.RuneStart(buf[len(buf)-i]) {
			if !utf8.FullRune(buf[len(buf)-i:]) {
				whole = len(buf) - i
			}
			break
		}
	}
	var b strings.Builder
	text := strings.ReplaceAll(string(buf[:whole]), "\r\n", "\n")
	for len(text) > 0 {
		n := strings.IndexAny(text, "\n\t")
		if n < 0 {
			b.WriteString(words.Escape(text))
			break
		}
		b.WriteString(words.Escape(text[:n]) + text[n:n+1])
		text = text[n+1:]
	}
	e.rest = append([]byte(nil), buf[whole:]...)
	if b.Len() > 0 {
		e.open = !strings.HasSuffix(b.String(), "\n")
	}
	_, err := io.WriteString(e.w, b.String())
	return len(p), err
}

// Close writes what is left, and ends the line: a prompt would be drawn over it.
func (e *escaper) Close() error {
	end := words.Escape(string(e.rest))
	if e.open || end != "" {
		end += "\n"
	}
	_, err := io.WriteString(e.w, end)
	e.rest, e.open = nil, false
	return err
}

// fit returns s in exactly n columns: the end of a name tells more than its beginning.
func fit(s string, n int) string { return words.Pad(words.CutHead(s, n), n) }

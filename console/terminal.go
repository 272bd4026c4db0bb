package console

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"sampan/words"
)

// live is what stands on the terminal below the log.
type live struct{ lines []string }

// redraw returns the bytes that replace what is live by other lines, with text above them. columns is how wide the
// terminal is now: after it was narrowed, old lines take more rows.
func (l *live) redraw(text []byte, lines []string, columns int) []byte {
	if len(text) == 0 && slices.Equal(l.lines, lines) {
		return nil
	}
	var b bytes.Buffer
	if len(l.lines) > 0 {
		b.WriteByte('\r')
		if up := rows(l.lines, columns) - 1; up > 0 {
			fmt.Fprintf(&b, "\x1b[%dA", up)
		}
		b.WriteString("\x1b[J")
	}
	if len(text) > 0 {
		b.Write(bytes.ReplaceAll(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"), []byte("\r\n")))
		b.WriteString("\r\n")
	}
	b.WriteString(strings.Join(lines, "\r\n"))
	l.lines = lines
	return b.Bytes()
}

func rows(lines []string, columns int) (n int) {
	for _, line := range lines {
		n += max(1, (words.Width(plain(line))+columns-1)/columns)
	}
	return n
}

// plain takes our own colours out.
func plain(s string) string { return strings.NewReplacer("\x1b[1m", "", "\x1b[0m", "").Replace(s) }

// keys splits what a terminal in raw mode sent into keys: a lone ESC is one, a sequence behind ESC (an arrow) is
// left out. What may go on in the next read is returned as rest.
func keys(b []byte) (pressed []rune, rest []byte) {
	for len(b) > 0 {
		if b[0] == keyEscape && len(b) > 1 && (b[1] == '[' || b[1] == 'O') {
			n := 2
			for n < len(b) && (b[n] < 0x40 || b[n] > 0x7e) {
				n++
			}
			b = b[min(n+1, len(b)):]
			continue
		}
		if !utf8.FullRune(b) {
			return pressed, b
		}
		r, n := utf8.DecodeRune(b)
		if r != utf8.RuneError {
			pressed = append(pressed, r)
		}
		b = b[n:]
	}
	return pressed, nil
}

package words

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// Escape makes text that came from anywhere (names, notes) fit for one line of a terminal: control characters, what
// turns the direction of writing, and bytes that are no UTF-8 are written as \n, \x1b, \u202e.
func Escape(s string) string {
	if !strings.ContainsFunc(s, unfit) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case !unfit(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
		i += n
	}
	return b.String()
}

// unfit reports whether r moves the cursor, changes the terminal's state or reorders what stands around it.
func unfit(r rune) bool {
	return unicode.IsControl(r) || r == utf8.RuneError || unicode.Is(unicode.Bidi_Control, r) || r == 0x2028 || r == 0x2029
}

// Width is how many columns s takes on a terminal: two for a Chinese character.
func Width(s string) int { return uniseg.StringWidth(s) }

// Pad fills s with spaces to width columns. A longer s stays as it is.
func Pad(s string, width int) string { return s + strings.Repeat(" ", max(0, width-Width(s))) }

// Cut shortens s to width columns: its end goes, and "…" says so.
func Cut(s string, width int) string {
	if Width(s) <= width {
		return s
	}
	kept, room := 0, width-1
	for g := uniseg.NewGraphemes(s); g.Next(); {
		if room -= g.Width(); room < 0 {
			break
		}
		_, kept = g.Positions()
	}
	if width < 1 {
		return ""
	}
	return s[:kept] + "…"
}

// CutHead shortens s to width columns from its head: of a path the end tells more.
func CutHead(s string, width int) string {
	over := Width(s) - width
	if over <= 0 {
		return s
	}
	if width < 1 {
		return ""
	}
	from := 0
	over++ // the ellipsis
	for g := uniseg.NewGraphemes(s); over > 0 && g.Next(); {
		over -= g.Width()
		_, from = g.Positions()
	}
	return "…" + s[from:]
}

// Bytes writes a number of bytes for the eye, in at most three digits and a unit of 1024: "0", "999", "1.5K", "200M".
func Bytes(n int64) string {
	x, unit := float64(n), 0
	for unit < 5 && x >= 999.5 {
		x, unit = x/1024, unit+1
	}
	digits := 0
	if unit > 0 && x < 9.95 {
		digits = 1
	}
	return strconv.FormatFloat(x, 'f', digits, 64) + []string{"", "K", "M", "G", "T", "P"}[unit]
}

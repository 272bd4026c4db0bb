package ftp

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Command is one command line (RFC 959 section 5.3).
type Command struct {
	Verb string // in capitals
	Arg  string // byte for byte what follows the first space: a path may begin or end with spaces
}

// ErrNoCommand is said of a line that does not begin with a verb.
var ErrNoCommand = errors.New("no command")

// maxVerb is the length of the longest verb that anybody speaks, with room for guesses.
const maxVerb = 12

// ParseCommand splits a line at its first space. A verb is letters (and digits behind them); case does not matter.
func ParseCommand(line string) (Command, error) {
	verb, arg, _ := strings.Cut(line, " ")
	if verb == "" || len(verb) > maxVerb {
		return Command{}, ErrNoCommand
	}
	for i := range len(verb) {
		b := verb[i] | 0x20
		if (b < 'a' || b > 'z') && (i == 0 || verb[i] < '0' || verb[i] > '9') {
			return Command{}, ErrNoCommand
		}
	}
	return Command{strings.ToUpper(verb), arg}, nil
}

// AppendReply writes one reply (RFC 959 section 4.2): one line, or "ddd-", lines that begin with a space, and "ddd ".
// Control characters in the text, which could forge a reply, are written as \xNN.
func AppendReply(dst []byte, code int, lines ...string) []byte {
	for i, line := range lines {
		switch {
		case i == len(lines)-1:
			dst = append(strconv.AppendInt(dst, int64(code), 10), ' ')
		case i == 0:
			dst = append(strconv.AppendInt(dst, int64(code), 10), '-')
		default:
			dst = append(dst, ' ')
		}
		dst = appendVisible(dst, line)
		dst = append(dst, '\r', '\n')
	}
	return dst
}

func appendVisible(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	for i := range len(s) {
		if b := s[i]; b < ' ' || b == 0x7f {
			dst = append(dst, '\\', 'x', hex[b>>4], hex[b&15])
		} else {
			dst = append(dst, b)
		}
	}
	return dst
}

// QuotePath writes a path for a 257 reply: in quotes, those inside doubled (RFC 959 appendix II).
func QuotePath(path string) string { return `"` + strings.ReplaceAll(path, `"`, `""`) + `"` }

// ParseOffset reads the number of a REST, RANG or ALLO: digits alone, at most 63 bits.
func ParseOffset(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// ParseRange reads the argument of RANG (draft-bryan-ftp-range section 3): both ends are included, "1 0" takes the
// range back, which is said as end -1.
func ParseRange(arg string) (start, end int64, ok bool) {
	a, b, found := strings.Cut(arg, " ")
	start, ok1 := ParseOffset(a)
	end, ok2 := ParseOffset(b)
	switch {
	case !found || !ok1 || !ok2:
		return 0, -1, false
	case start == 1 && end == 0:
		return 0, -1, true
	case start > end, end == math.MaxInt64: // more bytes than can be counted
		return 0, -1, false
	}
	return start, end, true
}

// CutSwitches takes the switches of "ls" off the argument of LIST or NLST, which clients send though no RFC knows
// them: "-la dir" is about dir. "--" ends them, and "./-la" is a path. Only -R means something: all that is below, too.
func CutSwitches(arg string) (path string, below bool) {
	for strings.HasPrefix(arg, "-") {
		word, rest, _ := strings.Cut(arg, " ")
		if word == "--" {
			return rest, below
		}
		if strings.Trim(word[1:], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ1") != "" {
			return arg, below
		}
		below = below || strings.Contains(word, "R")
		arg = strings.TrimLeft(rest, " ")
	}
	return arg, below
}

package ftp

import (
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// SplitPaths reads paths with spaces between them. One that has spaces itself stands in quotes, and quotes inside those
// are doubled, as in a 257 reply.
func SplitPaths(arg string) ([]string, bool) {
	var paths []string
	for arg = strings.TrimLeft(arg, " "); arg != ""; arg = strings.TrimLeft(arg, " ") {
		path, rest, ok := cutPath(arg)
		if !ok || path == "" || rest != "" && rest[0] != ' ' {
			return nil, false
		}
		paths, arg = append(paths, path), rest
	}
	return paths, true
}

// cutPath takes the first path off arg.
func cutPath(arg string) (path, rest string, ok bool) {
	if !strings.HasPrefix(arg, `"`) {
		end := strings.IndexByte(arg, ' ')
		if end < 0 {
			end = len(arg)
		}
		return arg[:end], arg[end:], true
	}
	var b strings.Builder
	for rest = arg[1:]; ; {
		head, tail, found := strings.Cut(rest, `"`)
		if !found {
			return "", "", false
		}
		b.WriteString(head)
		if !strings.HasPrefix(tail, `"`) {
			return b.String(), tail, true
		}
		b.WriteByte('"')
		rest = tail[1:]
	}
}

// CutSpan takes the bytes off the argument of XCRC and its like: "<path> <start> <end>", where the end is the first byte
// that does not count, and the path may be quoted. end is -1 without one; ok is false where there is no span.
func CutSpan(arg string) (path string, start, end int64, ok bool) {
	var rest string
	if strings.HasPrefix(arg, `"`) {
		if path, rest, ok = cutPath(arg); !ok {
			return "", 0, -1, false
		}
	} else {
		path, rest = arg, ""
		for range 2 {
			at := strings.LastIndexByte(path, ' ')
			if at < 0 {
				break
			}
			if _, ok := ParseOffset(path[at+1:]); !ok {
				break
			}
			path, rest = path[:at], path[at:]+rest
		}
	}
	numbers := strings.Fields(rest)
	if path == "" || len(numbers) == 0 || len(numbers) > 2 || rest[0] != ' ' {
		return path, 0, -1, false
	}
	end = -1
	if start, ok = ParseOffset(numbers[0]); ok && len(numbers) == 2 {
		end, ok = ParseOffset(numbers[1])
	}
	return path, start, end, ok && (end < 0 || start <= end)
}

// A FactChange is what MFF sets of a file; nil leaves a thing alone.
type FactChange struct {
	ModTime *time.Time
	Mode    *fs.FileMode // permission bits
}

// ParseFactChange reads the argument of MFF (draft-somers-ftp-mfxx section 5): "fact=value;fact=value; path". A fact that
// cannot be set is returned as unknown.
func ParseFactChange(arg string) (c FactChange, path, unknown string, ok bool) {
	facts, path, found := strings.Cut(arg, " ")
	if !found || path == "" || !strings.HasSuffix(facts, ";") {
		return FactChange{}, "", "", false
	}
	for fact := range strings.SplitSeq(strings.TrimSuffix(facts, ";"), ";") {
		key, value, found := strings.Cut(fact, "=")
		switch {
		case !found || key == "":
			return FactChange{}, "", "", false
		case strings.EqualFold(key, "modify"):
			t, ok := ParseTime(value)
			if !ok {
				return FactChange{}, "", "", false
			}
			c.ModTime = &t
		case strings.EqualFold(key, "UNIX.mode"):
			m, ok := ParseMode(value)
			if !ok {
				return FactChange{}, "", "", false
			}
			c.Mode = &m
		default:
			return FactChange{}, path, key, true
		}
	}
	return c, path, "", true
}

// AppendFactChange writes c as the reply to MFF does, without the path.
func AppendFactChange(dst []byte, c FactChange) []byte {
	if c.ModTime != nil {
		dst = append(AppendTime(append(dst, "Modify="...), *c.ModTime), ';')
	}
	if c.Mode != nil {
		dst = append(strconv.AppendUint(append(dst, "UNIX.mode=0"...), uint64(*c.Mode), 8), ';')
	}
	return dst
}

// ParseMode reads permission bits in octal, at most 777.
func ParseMode(s string) (fs.FileMode, bool) {
	if s == "" || strings.Trim(s, "01234567") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 8, 16)
	return fs.FileMode(n), err == nil && n <= 0o777
}

// ParseUTime reads the argument of SITE UTIME in both forms that there are: "YYYYMMDDhhmm[ss] path", and "path atime
// mtime ctime UTC", of which only the second time is of use.
func ParseUTime(arg string) (t time.Time, path string, ok bool) {
	if rest, found := strings.CutSuffix(arg, " UTC"); found {
		var stamps [3]time.Time
		path = rest
		for i := 2; i >= 0; i-- {
			at := strings.LastIndexByte(path, ' ')
			if at < 0 {
				return time.Time{}, "", false
			}
			if stamps[i], ok = ParseTime(path[at+1:]); !ok {
				return time.Time{}, "", false
			}
			path = path[:at]
		}
		return stamps[1], path, path != ""
	}
	stamp, path, _ := strings.Cut(arg, " ")
	if len(stamp) == 12 {
		stamp += "00"
	}
	t, ok = ParseTime(stamp)
	return t, path, ok && path != ""
}

// ParseHost reads the argument of HOST (RFC 7151 section 3.1): a host name, an IPv4 address, or an IPv6 address in
// brackets; no port. The name comes back in small letters.
func ParseHost(arg string) (string, bool) {
	if inner, found := strings.CutPrefix(arg, "["); found {
		inner, found = strings.CutSuffix(inner, "]")
		return arg, found && len(inner) >= 2 && strings.Trim(inner, "0123456789abcdefABCDEF:.") == "" && strings.Contains(inner, ":")
	}
	name := strings.ToLower(strings.TrimSuffix(arg, "."))
	if name == "" || len(name) > 253 {
		return "", false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", false
		}
	}
	return name, true
}

// ParseLanguage reads the argument of LANG (RFC 2640 section 4.1), a tag of RFC 1766: letters and digits in groups of at
// most eight. The groups come back in small letters.
func ParseLanguage(arg string) ([]string, bool) {
	groups := strings.Split(strings.ToLower(arg), "-")
	for i, g := range groups {
		allowed := "abcdefghijklmnopqrstuvwxyz"
		if i > 0 {
			allowed += "0123456789"
		}
		if g == "" || len(g) > 8 || strings.Trim(g, allowed) != "" {
			return nil, false
		}
	}
	return groups, true
}

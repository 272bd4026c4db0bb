package files

import (
	"slices"
	"strings"
	"unicode/utf8"

	"sampan/fault"
)

// checkSystem refuses, with fault.BadName, a path that a system reads otherwise than it is written. Each element of a Path is one
// name in one directory: by that permissions are looked up, and what is ours is kept apart. On Windows "a\b" is two names, "a:b"
// and "a::$INDEX_ALLOCATION" are a, so are "a." and "a ", "LONGNA~1" may be a name that is longer, and "NUL" is a device.
func checkSystem(system string, p Path) error {
	if system != "windows" || p.IsRoot() {
		return nil
	}
	for elem := range strings.SplitSeq(p.clean[1:], "/") {
		stem, _, _ := strings.Cut(elem, ".")
		switch end := elem[len(elem)-1]; {
		case end == '.', end == ' ', strings.ContainsAny(elem, `\:*?"<>|`), isShort(stem),
			slices.Contains(devices, strings.ToUpper(strings.TrimRight(stem, " "))):
			return fault.New(fault.BadName, "%s: the server's system would take this for another name", p)
		}
	}
	return nil
}

// isShort reports whether the part of a name before the point looks like those that Windows makes for longer ones: at most eight
// characters, of which the last are a tilde and digits.
func isShort(stem string) bool {
	head := strings.TrimRight(stem, "0123456789")
	return utf8.RuneCountInString(stem) <= 8 && len(head) < len(stem) && strings.HasSuffix(head, "~")
}

// devices are no names on Windows, with any ending.
var devices = []string{
	"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$",
	"COM0", "COM1", "COM2", "COM3", "COM4", "COM5", "COM6", "COM7", "COM8", "COM9", "COM¹", "COM²", "COM³",
	"LPT0", "LPT1", "LPT2", "LPT3", "LPT4", "LPT5", "LPT6", "LPT7", "LPT8", "LPT9", "LPT¹", "LPT²", "LPT³",
}

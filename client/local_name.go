package client

import (
	"strings"

	"sampan/fault"
	"sampan/files"
)

// wide are the characters that Windows forbids in names and what stands for them: their full-width twins, as other
// programs write them too.
var wide = map[rune]rune{
	'<': '＜', '>': '＞', ':': '：', '"': '＂', '\\': '＼', '|': '｜', '?': '？', '*': '＊',
}

// devices cannot be names on Windows, with any ending.
var devices = map[string]bool{
	"CON": true, "PRN": true, "AUX": true, "NUL": true, "CONIN$": true, "CONOUT$": true,
	"COM1": true, "COM2": true, "COM3": true, "COM4": true, "COM5": true, "COM6": true, "COM7": true, "COM8": true, "COM9": true,
	"COM¹": true, "COM²": true, "COM³": true,
	"LPT1": true, "LPT2": true, "LPT3": true, "LPT4": true, "LPT5": true, "LPT6": true, "LPT7": true, "LPT8": true, "LPT9": true,
	"LPT¹": true, "LPT²": true, "LPT³": true,
}

// localName is the name that one element of a remote path has on a system: itself on most, a readable twin where
// the system forbids characters of it, BadName where it can be no name at all.
func localName(system, elem string) (string, error) {
	switch system {
	case "windows":
		return windowsName(elem)
	case "darwin", "ios":
		// The Finder and older programs show ":" as "/"; the twin means the same to all.
		return strings.ReplaceAll(elem, ":", "："), nil
	}
	return elem, nil
}

func windowsName(elem string) (string, error) {
	stem, _, _ := strings.Cut(elem, ".")
	if devices[strings.ToUpper(strings.TrimRight(stem, " "))] {
		return "", fault.New(fault.BadName, "%s: Windows keeps this name for a device", elem)
	}
	name := strings.Map(func(r rune) rune {
		if w, ok := wide[r]; ok {
			return w
		}
		if r < 0x20 {
			return 0x2400 + r // its picture
		}
		return r
	}, elem)
	if end := name[len(name)-1:]; end == "." {
		name = name[:len(name)-1] + "．"
	} else if end == " " {
		name = name[:len(name)-1] + "␠"
	}
	return name, nil
}

// foldsCase reports whether a system usually takes capitals and small letters for the same.
func foldsCase(system string) bool {
	return system == "windows" || system == "darwin" || system == "ios"
}

// fold is what two names have in common that such a system takes for one: case, and on macOS how accents are composed.
func fold(name string) string { return files.Fold(name) }

// caseTwin returns the one of names that such a system takes for name, unless name itself is among them.
func caseTwin(name string, names []string) string {
	twin, folded := "", fold(name)
	for _, n := range names {
		if n == name {
			return ""
		}
		if fold(n) == folded {
			twin = n
		}
	}
	return twin
}

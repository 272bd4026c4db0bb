package ftp

import (
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// Entry is one line of a listing, of either kind.
type Entry struct {
	Name    string      // as the server wrote it: one element in MLSD and LIST, a path in MLST
	Type    EntryType   //
	Size    int64       // -1 if unknown
	Part    int64       // X.part: bytes of one's own parked part, -1 if none
	ModTime time.Time   // UTC; zero if unknown
	Mode    fs.FileMode // permission bits; 0 if unknown
	HasMode bool        //
	Perm    string      // the perm fact
	Unique  string      // the unique fact
	Target  string      // of a link, "" if unknown
}

// EntryType is what an entry is.
type EntryType uint8

const (
	OtherEntry EntryType = iota // a device, a pipe, or not known
	FileEntry
	DirEntry
	LinkEntry
	SelfEntry // the listed directory itself or its parent: no entry of it
)

// ParseFacts reads one line of MLSD, or the middle line of MLST without its leading space (RFC 3659 section 7):
// "fact=value;fact=value; name". Facts that are not known, and values that make no sense, are left out.
func ParseFacts(line string) (Entry, bool) {
	facts, name, ok := strings.Cut(line, " ")
	if !ok || name == "" || facts != "" && !strings.HasSuffix(facts, ";") {
		return Entry{}, false
	}
	e := Entry{Name: name, Size: -1, Part: -1}
	for fact := range strings.SplitSeq(facts, ";") {
		key, value, ok := strings.Cut(fact, "=")
		if !ok {
			continue
		}
		switch strings.ToLower(key) {
		case "type":
			e.Type, e.Target = entryType(value)
		case "size", "sizd":
			e.Size = number(value)
		case "x.part":
			e.Part = number(value)
		case "modify":
			e.ModTime, _ = ParseTime(value)
		case "perm":
			e.Perm = value
		case "unique":
			e.Unique = value
		case "unix.mode":
			if n, err := strconv.ParseUint(value, 8, 32); err == nil {
				e.Mode, e.HasMode = fs.FileMode(n)&fs.ModePerm, true
			}
		}
	}
	return e, true
}

func entryType(v string) (EntryType, string) {
	lower := strings.ToLower(v)
	switch {
	case lower == "file":
		return FileEntry, ""
	case lower == "dir":
		return DirEntry, ""
	case lower == "cdir", lower == "pdir":
		return SelfEntry, ""
	case strings.HasPrefix(lower, "os.unix=slink"), strings.HasPrefix(lower, "os.unix=symlink"):
		_, target, _ := strings.Cut(v, ":")
		return LinkEntry, target
	}
	return OtherEntry, ""
}

// number reads decimal digits; anything else, and what does not fit 63 bits, is -1.
func number(s string) int64 {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return -1
	}
	return int64(n)
}

// ParseTime reads a time of RFC 3659 section 2.3: YYYYMMDDHHMMSS with an optional fraction, in UTC.
func ParseTime(s string) (time.Time, bool) {
	digits, fraction, dot := strings.Cut(s, ".")
	if len(digits) != 14 || dot && (fraction == "" || strings.Trim(fraction, "0123456789") != "") {
		return time.Time{}, false
	}
	t, err := time.Parse("20060102150405", digits)
	if err != nil {
		return time.Time{}, false
	}
	if dot {
		ns, _ := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
		t = t.Add(time.Duration(ns))
	}
	return t, true
}

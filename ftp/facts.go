package ftp

import (
	"io/fs"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// FactSet chooses the facts of MLST and MLSD (RFC 3659 section 7.5).
type FactSet uint8

const (
	FactType FactSet = 1 << iota
	FactSize
	FactModify
	FactPerm
	FactUnique
	FactMode
	FactPart

	AllFacts = FactType | FactSize | FactModify | FactPerm | FactUnique | FactMode | FactPart
)

// factNames are in the order of the bits. UNIX.mode is an OS fact, X.part a local one (RFC 3659 section 7.5).
var factNames = [...]string{"type", "size", "modify", "perm", "unique", "UNIX.mode", "X.part"}

// ParseFactSet reads the argument of OPTS MLST: names with semicolons, unknown ones do not count.
func ParseFactSet(arg string) FactSet {
	var set FactSet
	for name := range strings.SplitSeq(arg, ";") {
		for i, n := range factNames {
			if strings.EqualFold(name, n) {
				set |= 1 << i
			}
		}
	}
	return set
}

// String lists the facts that are in s, as the reply to OPTS MLST does.
func (s FactSet) String() string {
	var b strings.Builder
	for i, n := range factNames {
		if s&(1<<i) != 0 {
			b.WriteString(n + ";")
		}
	}
	return b.String()
}

// Feature lists all facts, with a star behind those in s, as FEAT does (RFC 3659 section 7.8).
func (s FactSet) Feature() string {
	var b strings.Builder
	for i, n := range factNames {
		b.WriteString(n)
		if s&(1<<i) != 0 {
			b.WriteByte('*')
		}
		b.WriteByte(';')
	}
	return b.String()
}

// AppendFacts writes e as "fact=value; name" without an end of line (RFC 3659 section 7.2). Facts that are unknown
// are left out. What would break the line, CR and LF in a name, is written as \xNN.
func AppendFacts(dst []byte, s FactSet, e Entry) []byte {
	fact := func(bit FactSet, value []byte) {
		if s&bit == 0 || len(value) == 0 {
			return
		}
		dst = append(dst, factNames[bits.TrailingZeros(uint(bit))]...)
		dst = append(append(append(dst, '='), value...), ';')
	}
	var num [32]byte
	fact(FactType, []byte(e.Type.fact()))
	if e.Size >= 0 && e.Type == FileEntry {
		fact(FactSize, strconv.AppendInt(num[:0], e.Size, 10))
	}
	if !e.ModTime.IsZero() {
		fact(FactModify, AppendTime(num[:0], e.ModTime))
	}
	fact(FactPerm, []byte(e.Perm))
	fact(FactUnique, []byte(e.Unique))
	if e.HasMode {
		fact(FactMode, strconv.AppendUint(append(num[:0], '0'), uint64(e.Mode.Perm()), 8))
	}
	if e.Part >= 0 {
		fact(FactPart, strconv.AppendInt(num[:0], e.Part, 10))
	}
	return AppendName(append(dst, ' '), e.Name)
}

func (t EntryType) fact() string {
	switch t {
	case FileEntry:
		return "file"
	case DirEntry:
		return "dir"
	case LinkEntry:
		return "OS.unix=slink"
	case SelfEntry:
		return "cdir"
	case OtherEntry:
	}
	return "OS.unix=other"
}

// AppendTime writes t as RFC 3659 section 2.3 has it, in UTC and whole seconds.
func AppendTime(dst []byte, t time.Time) []byte { return t.UTC().AppendFormat(dst, "20060102150405") }

// AppendName writes a name into a line of a listing. Other control characters stay: the name must lead to its file.
func AppendName(dst []byte, name string) []byte {
	if !strings.ContainsAny(name, "\r\n") {
		return append(dst, name...)
	}
	for i := range len(name) {
		switch b := name[i]; b {
		case '\r':
			dst = append(dst, `\x0d`...)
		case '\n':
			dst = append(dst, `\x0a`...)
		default:
			dst = append(dst, b)
		}
	}
	return dst
}

// appendMode writes the permission bits as "ls -l" does.
func appendMode(dst []byte, m fs.FileMode) []byte {
	const bits = "rwxrwxrwx"
	for i := range len(bits) {
		if m&(1<<(8-i)) != 0 {
			dst = append(dst, bits[i])
		} else {
			dst = append(dst, '-')
		}
	}
	return dst
}

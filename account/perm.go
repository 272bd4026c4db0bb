package account

import (
	"strings"

	"sampan/fault"
)

// Perm is a set of permissions; String writes it in pyftpdlib's letters.
type Perm uint16

const (
	ChangeDir Perm = 1 << iota // e: CWD, CDUP
	List                       // l: LIST NLST MLSD MLST STAT SIZE MDTM
	Read                       // r: RETR, HASH
	Append                     // a: APPE, and REST above 0 before STOR; inside the file, where old bytes go, Write as well
	Delete                     // d: DELE, RMD, and a rename that replaces; an upload that replaces needs Write alone
	Rename                     // f: RNFR, RNTO
	MakeDir                    // m: MKD
	Write                      // w: STOR, STOU
	Chmod                      // M: SITE CHMOD
	SetTime                    // T: MFMT

	ReadOnly = ChangeDir | List | Read
	DropBox  = ChangeDir | Write | MakeDir // may put, sees and reads nothing
	Full     = ChangeDir | List | Read | Append | Delete | Rename | MakeDir | Write | Chmod | SetTime
)

// permLetters has the letter of each permission at the place of its bit.
const permLetters = "elradfmwMT"

// presets are names for common sets.
var presets = []struct {
	name string
	perm Perm
}{{"read-only", ReadOnly}, {"drop-box", DropBox}, {"full", Full}}

// String writes the letters of p in their fixed order, "" for none.
func (p Perm) String() string {
	var b strings.Builder
	for i := range len(permLetters) {
		if p&(1<<i) != 0 {
			b.WriteByte(permLetters[i])
		}
	}
	return b.String()
}

// ParsePerm reads letters in any order ("elr"), a preset ("read-only", "drop-box", "full"), or "none" or nothing for
// no permission at all. Syntax.
func ParsePerm(s string) (Perm, error) {
	for _, p := range presets {
		if strings.EqualFold(s, p.name) {
			return p.perm, nil
		}
	}
	if strings.EqualFold(s, "none") {
		return 0, nil
	}
	var p Perm
	for _, r := range s {
		i := strings.IndexRune(permLetters, r)
		if i < 0 {
			return 0, fault.New(fault.Syntax,
				"%q is no permission: give letters of %s, or read-only, drop-box, full or none", string(r), permLetters)
		}
		p |= 1 << i
	}
	return p, nil
}

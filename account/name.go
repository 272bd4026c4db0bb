package account

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"sampan/fault"
	"sampan/files"
)

const maxName = 32 // letters, digits and marks

var (
	// ours are names that mean something in a protocol; nobody can have them.
	ours = []string{"register", "anonymous", "ftp"}
	// posts are names that would pass for somebody in charge. Nobody can ask for one; Add gives one to an operator.
	posts = []string{"operator", "root", "admin", "administrator", "sampan", "system"}
	// devices are names that Windows keeps for itself, also with an extension.
	devices = []string{
		"con", "prn", "aux", "nul", "conin", "conout",
		"com0", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9",
		"lpt0", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
	}
)

// CheckName returns the name as it is kept (NFC), or BadName with the rule that it breaks: 1–32 letters or digits of
// any script with . _ - inside, no device name of Windows, none of Sampan's own.
func CheckName(name string) (string, error) {
	if len(name) > 16*maxName || !utf8.ValidString(name) {
		return "", badName()
	}
	name = norm.NFC.String(name)
	if n := utf8.RuneCountInString(name); n < 1 || n > maxName {
		return "", badName()
	}
	before := '.' // what a mark or the end may not follow
	for i, r := range name {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r):
		case isVowelSign(r) && isWord(before):
		case strings.ContainsRune("._-", r) && i > 0:
		default:
			return "", badName()
		}
		before = r
	}
	if !isWord(before) {
		return "", badName()
	}
	folded := fold(name)
	stem, _, _ := strings.Cut(folded, ".")
	if slices.Contains(devices, stem) || slices.Contains(ours, folded) {
		return "", fault.New(fault.BadName, "the name %q is reserved; take another", name)
	}
	return name, nil
}

func badName() error {
	return fault.New(fault.BadName, "an account's name is 1 to %d letters or digits, with . _ - only inside", maxName)
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || isVowelSign(r) }

// isVowelSign reports whether r is a mark that belongs to one script, as Hindi and Thai need them; the accents that
// can be heaped on any letter belong to none, and NFC has already joined those that a language uses.
func isVowelSign(r rune) bool { return unicode.IsMark(r) && !unicode.Is(unicode.Inherited, r) }

// fold returns the form of a name by which names are compared.
func fold(name string) string { return files.Fold(name) }

package files

import (
	"testing"

	"sampan/fault"
)

// TestNamesThatWindowsReadsOtherwise: by one of them a client would come past permissions, or to what is ours.
func TestNamesThatWindowsReadsOtherwise(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		`/.sampan\ledger`, `/a\..\secret\f`, "/secret::$INDEX_ALLOCATION/f", "/f::$DATA", "/f:stream", "/.sampan./part", "/secret ", "/secret./f",
		"/SAMPAN~1/part", "/secre~12/f", "/机密文件~1/f", "/Éclair~1", "/a/NUL", "/aux.txt", "/com1", "/Con .x", "/what?", `/"`, "/a*", "/a<b", "/a|b", "/COM².log",
	} {
		if err := checkSystem("windows", mustPath(name)); fault.KindOf(err) != fault.BadName {
			t.Errorf("%s: %v", name, err)
		}
		if err := checkSystem("linux", mustPath(name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{
		"/", "/a/b.c", "/~", "/~$letter.docx", "/a~b", "/longer name~1", "/~1x", "/console", "/com10", "/.hidden", "/.a b", "/你好", "/nul2",
	} {
		if err := checkSystem("windows", mustPath(name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

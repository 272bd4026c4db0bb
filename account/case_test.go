package account

import (
	"testing"

	"sampan/files"
)

// TestGrantInOtherLetters: on a disk that has one name for capitals and small letters, nobody comes past a grant by writing its path
// in others. Where they are two names, what is granted at one is not at the other.
func TestGrantInOtherLetters(t *testing.T) {
	t.Parallel()
	path := func(s string) files.Path {
		t.Helper()
		p, err := files.Parse(files.Root, s)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	a := Account{Grants: []Grant{
		{Under: files.Root, May: ReadOnly},
		{Under: path("/Secret"), May: 0},
		{Under: path("/Straße"), May: 0},
		{Under: path("/Upload"), May: Full},
		{Under: path("/BOTH"), May: Full},
		{Under: path("/both"), May: 0},
		{Under: path("/deep"), May: Full},
		{Under: path("/DEEP/er"), May: List},
	}}
	for p, want := range map[string]Perm{
		"/Secret/f": 0, "/secret/f": 0, "/SECRET": 0, "/secretary": ReadOnly, "/STRASSE/f": 0,
		"/Upload/f": Full, "/upload/f": ReadOnly,
		"/both/f": 0, "/BOTH/f": Full, "/Both/f": 0,
		"/deep/f": Full, "/deep/er/f": List, "/DEEP/er/f": List, "/DEEP/f": ReadOnly,
		"/": ReadOnly, "/other": ReadOnly,
	} {
		if got := a.May(path(p)); got != want {
			t.Errorf("%s: %q, want %q", p, got, want)
		}
	}
}

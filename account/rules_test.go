package account

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"sampan/fault"
	"sampan/files"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"a": "a", "Ann": "Ann", "ann.lee_2-x": "ann.lee_2-x", "李雷": "李雷", "Zoe\u0308": "Zoë", "İpek": "İpek",
		"с.петров": "с.петров", "नमस्ते": "नमस्ते", "42": "42", "a..b": "a..b", "console": "console", "com": "com",
		strings.Repeat("é", 32): strings.Repeat("é", 32), "operator": "operator",
	} {
		if got, err := CheckName(name); err != nil || got != want {
			t.Errorf("CheckName(%q) = %q, %v", name, got, err)
		}
	}
	for _, name := range []string{
		"", ".", "..", ".a", "a.", "-a", "a-", "_a", "a_", "a b", "a/b", `a\b`, "a:b", "a\x00", "a\n", "a\u200bb", "\u202ea",
		"x\u0301\u0302", "a*", "a?", "a@b", "☃", "½", "\xff", strings.Repeat("x", 33), strings.Repeat("x", 10_000),
		"CON", "con.txt", "NUL", "aux", "Com1", "lpt9.x", "com0", "register", "REGISTER", "Anonymous", "ftp", "\u0928\u0301",
	} {
		got, err := CheckName(name)
		if err == nil || fault.KindOf(err) != fault.BadName {
			t.Errorf("CheckName(%q) = %q, %v", name, got, err)
		}
	}
	for _, same := range [][2]string{{"ANN", "ann"}, {"Zoe\u0308", "ZOË"}, {"straße", "STRASSE"}, {"ΣΊΣΥΦΟΣ", "σίσυφος"}} {
		if fold(same[0]) != fold(same[1]) {
			t.Errorf("%q and %q are two names", same[0], same[1])
		}
	}
}

// The fuzz target found "Ꮟ": cases.Fold exchanges the capitals and small letters of Cherokee, so that a name and its
// other case were two accounts.
func TestEveryLetterHasOneFold(t *testing.T) {
	t.Parallel()
	for r := range rune(unicode.MaxRune) {
		if !unicode.IsLetter(r) {
			continue
		}
		folded := fold(string(r))
		if again := fold(folded); again != folded {
			t.Errorf("%q is folded to %q, and that to %q", r, folded, again)
		}
		for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
			if other := fold(string(o)); other != folded {
				t.Errorf("%q is folded to %q, but %q to %q", r, folded, o, other)
			}
		}
	}
}

func FuzzCheckName(f *testing.F) {
	for _, s := range []string{"ann", "李雷", "Zoe\u0308", "a.b", "con", "\xff", "नमस्ते", "a/../b", "Ꮟ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := CheckName(s)
		if err != nil {
			if fault.KindOf(err) != fault.BadName {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		if again, err := CheckName(name); err != nil || again != name {
			t.Errorf("%q is kept as %q, and that as %q, %v", s, name, again, err)
		}
		if n := utf8.RuneCountInString(name); n < 1 || n > maxName || strings.ContainsAny(name, "/\\:\x00 \n") || fold(fold(name)) != fold(name) {
			t.Errorf("%q was taken as %q, folded %q", s, name, fold(name))
		}
		if _, err := files.Root.Join(name); err != nil {
			t.Errorf("%q is no name of a directory: %v", name, err)
		}
	})
}

func TestPerms(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]Perm{
		"": 0, "none": 0, "elr": ReadOnly, "rle": ReadOnly, "rrr": Read, "read-only": ReadOnly, "Drop-Box": DropBox, "FULL": Full,
		"elradfmwMT": Full, "m": MakeDir, "M": Chmod, "T": SetTime, "f": Rename, "d": Delete, "a": Append, "w": Write,
	} {
		if got, err := ParsePerm(s); err != nil || got != want {
			t.Errorf("ParsePerm(%q) = %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"x", "E", "elr ", "read only", "t", "\xff", "全"} {
		got, err := ParsePerm(s)
		if err == nil || fault.KindOf(err) != fault.Syntax || got != 0 {
			t.Errorf("ParsePerm(%q) = %v, %v", s, got, err)
		}
	}
	if s := Full.String(); s != "elradfmwMT" {
		t.Errorf("Full is %q", s)
	}
	for p := range Full + 1 {
		if back, err := ParsePerm(p.String()); err != nil || back != p {
			t.Fatalf("%b is %q is %b, %v", p, p, back, err)
		}
	}
}

func FuzzParsePerm(f *testing.F) {
	for _, s := range []string{"elr", "full", "elradfmwMT", "Q", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePerm(s)
		if err != nil {
			if fault.KindOf(err) != fault.Syntax {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		if back, err := ParsePerm(p.String()); err != nil || back != p || p&^Full != 0 {
			t.Errorf("%q is %b, %q", s, p, p)
		}
	})
}

func TestStatesInJSON(t *testing.T) {
	t.Parallel()
	for s := Pending; s <= Suspended; s++ {
		text, err := json.Marshal(s)
		var back State
		if err != nil || json.Unmarshal(text, &back) != nil || back != s || string(text) != `"`+s.String()+`"` {
			t.Errorf("%v is %s is %v, %v", s, text, back, err)
		}
	}
	var s State
	wantKind(t, s.UnmarshalText([]byte("dead")), fault.Syntax)
}

func TestMay(t *testing.T) {
	t.Parallel()
	a := Account{Grants: []Grant{{path(t, "/in"), DropBox}, {path(t, "/in/public"), ReadOnly}, {path(t, "/in/public/x"), 0}}}
	for name, want := range map[string]Perm{
		"/": 0, "/inn": 0, "/in": DropBox, "/in/a/b": DropBox, "/in/public": ReadOnly, "/in/public/a": ReadOnly, "/in/public/x/y": 0,
	} {
		if got := a.May(path(t, name)); got != want {
			t.Errorf("may at %s: %q, want %q", name, got, want)
		}
	}
	a.Grants = append(a.Grants, Grant{files.Root, Read})
	if a.May(path(t, "/other")) != Read || a.May(files.Root) != Read || a.May(path(t, "/in")) != DropBox || a.May(path(t, "/i")) != Read {
		t.Error("the root's grant")
	}
	if (Account{}).May(files.Root) != 0 {
		t.Error("no grant grants")
	}
}

// May agrees with asking from the path upwards for a grant, whatever their order.
func TestMayIsTheNearestGrant(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "aa"}), 0, 4), func(s []string) string { return "/" + strings.Join(s, "/") })
		var a Account
		byPath := map[string]Perm{}
		for _, n := range rapid.SliceOfNDistinct(name, 0, 6, rapid.ID[string]).Draw(t, "grants") {
			p, err := files.Parse(files.Root, n)
			if err != nil {
				t.Fatal(err)
			}
			may := Perm(rapid.Uint16Range(0, uint16(Full)).Draw(t, "may"))
			a.Grants = append(a.Grants, Grant{p, may})
			byPath[p.String()] = may
		}
		asked, err := files.Parse(files.Root, name.Draw(t, "asked"))
		if err != nil {
			t.Fatal(err)
		}
		want := Perm(0)
		for p := asked; ; p = p.Dir() {
			if may, ok := byPath[p.String()]; ok {
				want = may
				break
			}
			if p.IsRoot() {
				break
			}
		}
		if got := a.May(asked); got != want {
			t.Fatalf("may at %s: %q, want %q", asked, got, want)
		}
	})
}

func TestPHC(t *testing.T) {
	t.Parallel()
	// The reference implementation's test vector of version 0x13 with these parameters.
	const known = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	h, err := parsePHC(known)
	if err != nil || h.String() != known || string(h.salt) != "somesalt" {
		t.Fatalf("%v, %v", h, err)
	}
	if got := h.derive("password"); string(got) != string(h.key) {
		t.Errorf("derived %x, want %x", got, h.key)
	}
	for _, s := range []string{
		"", "$", "plain", "$argon2i" + known[9:],
		strings.Replace(known, "v=19", "v=16", 1), strings.Replace(known, "m=256", "m=4294967295", 1), strings.Replace(known, "m=256", "m=65537", 1),
		strings.Replace(known, "t=2", "t=9", 1), strings.Replace(known, "t=2", "t=0", 1), strings.Replace(known, "p=1", "p=255", 1),
		strings.Replace(known, "m=256", "m=0256", 1), strings.Replace(known, "m=256", "m=+256", 1), strings.Replace(known, "m=256,", "", 1),
		known + "$", known + "=", strings.Replace(known, "c29tZXNhbHQ", "", 1), known[:len(known)-30], known + strings.Repeat("A", 100),
		strings.Replace(known, "c29tZXNhbHQ", "c29t\nZXNhbHQ", 1),
	} {
		if h, err := parsePHC(s); err == nil {
			t.Errorf("parsePHC(%q) = %v", s, h)
		}
	}
}

func FuzzParsePHC(f *testing.F) {
	f.Add(newPHC().String())
	f.Add("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4")
	f.Add("$argon2id$v=19$m=99999999,t=2,p=1$$")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parsePHC(s)
		if err != nil {
			return
		}
		if h.String() != s {
			t.Errorf("%q is written %q", s, h)
		}
		if h.memory > maxMemory || h.time > maxTime || h.lanes > maxLanes || len(h.salt) > 64 || len(h.key) > 64 {
			t.Errorf("%q is beyond the bounds", s)
		}
	})
}

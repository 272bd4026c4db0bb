package session

import (
	"context"
	"io/fs"
	"slices"
	"testing"
	"time"

	"sampan/account"
	"sampan/fault"
	"sampan/files"
)

// An act is one thing to do, with what must be granted at "/": exactly these permissions suffice, and without any one
// of them it is denied.
type act struct {
	name string
	need account.Perm
	do   func(t *testing.T, s *Session) error
}

// acts are tried on a home that holds /file ("content"), /dir with /dir/sub, and a part of /cut ("half") of the asker's.
var acts = []act{
	{"enter", account.ChangeDir, func(t *testing.T, s *Session) error { return s.Enter(p(t, "/dir")) }},
	{"stat", account.List, func(t *testing.T, s *Session) error { _, err := s.Stat(p(t, "/file")); return err }},
	{"list", account.List, func(t *testing.T, s *Session) error { return list(t, s, "/", "dir", "file") }},
	{"get", account.Read, func(t *testing.T, s *Session) error { _, err := get(s, p(t, "/file"), 0); return err }},
	{"sum", account.Read, func(t *testing.T, s *Session) error {
		_, err := s.Sum(context.Background(), p(t, "/file"), "SHA-256", 0, -1)
		return err
	}},
	{"copy", account.Read | account.Write, func(t *testing.T, s *Session) error {
		return copied(s, p(t, "/copy"), false, p(t, "/file"))
	}},
	{"copy behind", account.Read | account.Append, func(t *testing.T, s *Session) error {
		return copied(s, p(t, "/file"), true, p(t, "/second"))
	}},
	{"put new", account.Write, func(t *testing.T, s *Session) error { return put(s, p(t, "/new"), "x", whole) }},
	{"put unique", account.Write, func(t *testing.T, s *Session) error {
		return put(s, p(t, "/new"), "x", files.Want{Size: -1, New: true})
	}},
	{"replace", account.Write, func(t *testing.T, s *Session) error { return put(s, p(t, "/file"), "x", whole) }},
	{"append", account.Append, func(t *testing.T, s *Session) error {
		return put(s, p(t, "/file"), "x", files.Want{From: 7, Size: -1})
	}},
	{"write inside", account.Append | account.Write, func(t *testing.T, s *Session) error {
		return put(s, p(t, "/file"), "x", files.Want{From: 3, Size: -1})
	}},
	{"remove", account.Delete, func(t *testing.T, s *Session) error { return s.Remove(p(t, "/file")) }},
	{"remove directory", account.Delete, func(t *testing.T, s *Session) error { return s.Remove(p(t, "/dir/sub")) }},
	{"rename", account.Rename, func(t *testing.T, s *Session) error { return s.Rename(p(t, "/file"), p(t, "/to"), true) }},
	{"rename over", account.Rename | account.Delete, func(t *testing.T, s *Session) error {
		return s.Rename(p(t, "/file"), p(t, "/second"), true)
	}},
	{"mkdir", account.MakeDir, func(t *testing.T, s *Session) error { return s.Mkdir(p(t, "/made")) }},
	{"chmod", account.Chmod, func(t *testing.T, s *Session) error {
		mode := fs.FileMode(0o640)
		return s.Set(p(t, "/file"), files.Attr{Mode: &mode})
	}},
	{"set time", account.SetTime, func(t *testing.T, s *Session) error {
		when := time.Unix(1e9, 0)
		return s.Set(p(t, "/file"), files.Attr{ModTime: &when})
	}},
	{"set both", account.SetTime | account.Chmod, func(t *testing.T, s *Session) error {
		when, mode := time.Unix(1e9, 0), fs.FileMode(0o640)
		return s.Set(p(t, "/file"), files.Attr{ModTime: &when, Mode: &mode})
	}},
}

// partActs need Write or Append, either of them.
var partActs = []act{
	{"part", 0, func(t *testing.T, s *Session) error { _, err := s.Part(t.Context(), p(t, "/cut")); return err }},
	{"stat of a part", 0, func(t *testing.T, s *Session) error { _, err := s.Stat(p(t, "/cut")); return err }},
	{"drop part", 0, func(t *testing.T, s *Session) error { return s.DropPart(p(t, "/cut")) }},
	{"continue a part", 0, func(t *testing.T, s *Session) error {
		return put(s, p(t, "/cut"), "!", files.Want{From: 4, Part: true, Size: -1})
	}},
}

// list fails unless directory dir of s holds names.
func list(t *testing.T, s *Session, dir string, names ...string) error {
	var got []string
	for i, err := range s.List(p(t, dir)) {
		if err != nil {
			return err
		}
		got = append(got, i.Path.Base())
	}
	for _, n := range names {
		if !slices.Contains(got, n) {
			t.Errorf("%s is not listed in %s: %v", n, dir, got)
		}
	}
	return nil
}

// A scene is a home that alice fills and bob, whose grants change, acts in.
type scene struct {
	*house
	alice, bob *Session
}

func newScene(t *testing.T) *scene {
	h := newHouse(t, Config{})
	home := h.add("alice", account.Unlimited, "").Home
	h.add("bob", account.Unlimited, home)
	return &scene{h, h.in("alice"), h.in("bob")}
}

// set makes the home what acts expect.
func (sc *scene) set(t *testing.T) {
	t.Helper()
	for _, gone := range []string{"/new", "/to", "/made", "/cut"} {
		if err := sc.alice.Remove(p(t, gone)); err != nil && fault.KindOf(err) != fault.NotExist {
			t.Fatal(err)
		}
	}
	for _, there := range []string{"/dir", "/dir/sub"} {
		if err := sc.alice.Mkdir(p(t, there)); err != nil && fault.KindOf(err) != fault.Exist {
			t.Fatal(err)
		}
	}
	must(t, put(sc.alice, p(t, "/file"), "content", whole))
	must(t, put(sc.alice, p(t, "/second"), "second", whole))
	sc.grant("bob", account.Grant{May: account.Full})
	park(t, sc.bob, p(t, "/cut"), "half")
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	sc := newScene(t)
	for _, a := range acts {
		sc.set(t)
		for bit := account.ChangeDir; bit <= account.SetTime; bit <<= 1 {
			if a.need&bit == 0 {
				continue
			}
			sc.grant("bob", account.Grant{May: account.Full &^ bit})
			wantKind(t, a.name+" without "+bit.String(), a.do(t, sc.bob), fault.Denied)
		}
		sc.grant("bob", account.Grant{May: a.need})
		if err := a.do(t, sc.bob); err != nil {
			t.Errorf("%s with %s alone: %v", a.name, a.need, err)
		}
	}
	for _, a := range partActs {
		sc.set(t)
		denied := account.Full &^ (account.Write | account.Append | account.List)
		sc.grant("bob", account.Grant{May: denied})
		wantKind(t, a.name+" with "+denied.String(), a.do(t, sc.bob), fault.Denied)
		for _, either := range []account.Perm{account.Write, account.Append} {
			sc.set(t)
			sc.grant("bob", account.Grant{May: either})
			if err := a.do(t, sc.bob); err != nil {
				t.Errorf("%s with %s alone: %v", a.name, either, err)
			}
		}
	}
}

// TestDeniedTellsNothing compares what a denied act says of names that are there with what it says of others.
func TestDeniedTellsNothing(t *testing.T) {
	t.Parallel()
	sc := newScene(t)
	sc.set(t)
	sc.grant("bob", account.Grant{May: account.DropBox})
	for _, name := range []string{"/file", "/dir", "/missing", "/missing/below", "/file/below"} {
		path := p(t, name)
		_, statErr := sc.bob.Stat(path)
		_, getErr := sc.bob.Get(path, 0, -1)
		_, sumErr := sc.bob.Sum(context.Background(), path, "SHA-256", 0, -1)
		for what, err := range map[string]error{
			"stat": statErr, "get": getErr, "sum": sumErr, "remove": sc.bob.Remove(path),
			"rename": sc.bob.Rename(path, p(t, "/x"), true), "list": list(t, sc.bob, name),
		} {
			wantKind(t, what+" "+name, err, fault.Denied)
			if err != nil && err.Error() != denied(path).Error() {
				t.Errorf("%s %s says: %v", what, name, err)
			}
		}
	}
}

func TestLongestGrantWins(t *testing.T) {
	t.Parallel()
	sc := newScene(t)
	sc.set(t)
	must(t, put(sc.alice, p(t, "/dir/secret"), "secret", whole))
	must(t, sc.alice.Mkdir(p(t, "/dir/open")))
	must(t, put(sc.alice, p(t, "/dir/open/a"), "a", whole))
	sc.grant("bob",
		account.Grant{May: account.Full},
		account.Grant{Under: p(t, "/dir"), May: 0},
		account.Grant{Under: p(t, "/dir/open"), May: account.ReadOnly})
	_, err := get(sc.bob, p(t, "/dir/secret"), 0)
	wantKind(t, "below /dir", err, fault.Denied)
	if got, err := get(sc.bob, p(t, "/dir/open/a"), 0); err != nil || got != "a" {
		t.Errorf("below /dir/open: %q, %v", got, err)
	}
	wantKind(t, "put below /dir/open", put(sc.bob, p(t, "/dir/open/b"), "b", whole), fault.Denied)
	for i, err := range sc.bob.List(files.Root) {
		must(t, err)
		if i.Path.Base() == "dir" {
			t.Error("what nothing may be done with is listed")
		}
	}
	if !sc.bob.May(p(t, "/file"), account.Read|account.Write) || sc.bob.May(p(t, "/dir/x"), account.Read) {
		t.Error("May")
	}
}

// TestRenameKeepsGrants: a directory that is moved would take what is denied below it to where it is allowed.
func TestRenameKeepsGrants(t *testing.T) {
	t.Parallel()
	sc := newScene(t)
	sc.set(t)
	must(t, put(sc.alice, p(t, "/dir/secret"), "secret", whole))
	secret := account.Grant{Under: p(t, "/dir/secret"), May: account.List}
	sc.grant("bob", account.Grant{May: account.Full}, secret)
	wantKind(t, "moving a directory out of its grants", sc.bob.Rename(p(t, "/dir"), p(t, "/mine"), true), fault.Denied)
	wantKind(t, "as some disks know it too", sc.bob.Rename(p(t, "/DIR"), p(t, "/mine"), true), fault.Denied)
	must(t, sc.bob.Rename(p(t, "/file"), p(t, "/dir/file"), true))
	sc.grant("bob", account.Grant{May: account.Full}, account.Grant{Under: p(t, "/box"), May: account.DropBox})
	must(t, sc.bob.Rename(p(t, "/dir/file"), p(t, "/file"), false))
	wantKind(t, "into a box", sc.bob.Rename(p(t, "/file"), p(t, "/box"), false), fault.Denied)
	must(t, sc.alice.Mkdir(p(t, "/box")))
	wantKind(t, "out of a box", sc.bob.Rename(p(t, "/box"), p(t, "/mine"), false), fault.Denied)
}

// TestRenameOverWithoutDelete: the target stays, and where the asker may list nothing it is not even confirmed.
func TestRenameOverWithoutDelete(t *testing.T) {
	t.Parallel()
	sc := newScene(t)
	sc.set(t)
	sc.grant("bob", account.Grant{May: account.Rename})
	wantKind(t, "over a file", sc.bob.Rename(p(t, "/file"), p(t, "/second"), true), fault.Denied)
	if got, err := get(sc.alice, p(t, "/second"), 0); err != nil || got != "second" {
		t.Errorf("the target: %q, %v", got, err)
	}
}

// TestPartsArePrivate: what one account parks, another neither sees nor continues.
func TestPartsArePrivate(t *testing.T) {
	t.Parallel()
	sc := newScene(t)
	sc.set(t)
	_, err := sc.alice.Part(t.Context(), p(t, "/cut"))
	wantKind(t, "another's part", err, fault.NotExist)
	_, err = sc.alice.Stat(p(t, "/cut"))
	wantKind(t, "Stat of another's part", err, fault.NotExist)
	wantKind(t, "continuing another's part", put(sc.alice, p(t, "/cut"), "x", files.Want{From: 4, Part: true, Size: -1}), fault.NotExist)
	if i, err := sc.bob.Stat(p(t, "/cut")); err != nil || i.Part != 4 {
		t.Errorf("the owner's: %+v, %v", i, err)
	}
}

package session

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sampan/account"
	"sampan/fault"
	"sampan/files"
)

var create = Edit{Create: true, Truncate: true}

func edit(t testing.TB, s *Session, path files.Path, e Edit) *Transfer {
	t.Helper()
	tr, err := s.Edit(path, e)
	must(t, err)
	return tr
}

func writeAt(t testing.TB, tr *Transfer, content string, off int64) {
	t.Helper()
	_, err := tr.WriteAt([]byte(content), off)
	must(t, err)
}

// publish is what CLOSE does.
func publish(tr *Transfer) error {
	defer tr.Close()
	if err := tr.Whole(); err != nil {
		return err
	}
	_, err := tr.Commit(nil)
	return err
}

func holds(t testing.TB, s *Session, path files.Path, want string) {
	t.Helper()
	if got, err := get(s, path, 0); err != nil || got != want {
		t.Errorf("%s: %q, %v; want %q", path, got, err, want)
	}
}

// whileHere calls f, which looks for a while whether the peer of s is alive.
func whileHere(s *Session, f func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- f() }()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-tick.C:
			s.Here()
		}
	}
}

func TestEditBegins(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", account.Unlimited, "")
	s := h.in("alice")
	file, part, both, none, dir := p(t, "/file"), p(t, "/part"), p(t, "/both"), p(t, "/none"), p(t, "/dir")
	must(t, s.Mkdir(dir))
	for _, c := range []struct {
		name string
		at   files.Path
		e    Edit
		want string // what is published when "X" is written behind what is there
		kind fault.Kind
	}{
		{"file", file, Edit{}, "old-fileX", 0},
		{"file, create", file, Edit{Create: true}, "old-fileX", 0},
		{"file, append", file, Edit{Append: true}, "old-fileX", 0},
		{"file, truncate", file, Edit{Truncate: true}, "X", 0},
		{"file, create, truncate", file, create, "X", 0},
		{"file, new", file, Edit{Create: true, New: true}, "", fault.Exist},
		{"file, new, truncate", file, Edit{Create: true, New: true, Truncate: true}, "", fault.Exist},
		{"part", part, Edit{}, "old-partX", 0},
		{"part, create", part, Edit{Create: true}, "old-partX", 0},
		{"part, append", part, Edit{Append: true, Create: true}, "old-partX", 0},
		{"part, truncate", part, Edit{Truncate: true}, "", fault.NotExist},
		{"part, create, truncate", part, create, "X", 0},
		{"part, new", part, Edit{Create: true, New: true}, "X", 0},
		{"both", both, Edit{}, "", fault.Busy},
		{"both, append", both, Edit{Append: true}, "", fault.Busy},
		{"both, truncate", both, Edit{Truncate: true}, "X", 0},
		{"none", none, Edit{}, "", fault.NotExist},
		{"none, append", none, Edit{Append: true}, "", fault.NotExist},
		{"none, truncate", none, Edit{Truncate: true}, "", fault.NotExist},
		{"none, create", none, Edit{Create: true}, "X", 0},
		{"none, create, append", none, Edit{Create: true, Append: true}, "X", 0},
		{"none, new", none, Edit{Create: true, New: true}, "X", 0},
		{"dir", dir, Edit{}, "", fault.IsDir},
		{"dir, create, truncate", dir, create, "", fault.IsDir},
		{"dir, new", dir, Edit{Create: true, New: true}, "", fault.IsDir},
	} {
		for _, at := range []files.Path{file, part, both, none} {
			if _, err := s.Stat(at); err == nil {
				must(t, s.Remove(at))
			}
		}
		must(t, put(s, file, "old-file", whole))
		must(t, put(s, both, "old-both", whole))
		park(t, s, part, "old-part")
		park(t, s, both, "new")
		tr, err := s.Edit(c.at, c.e)
		if c.want == "" {
			wantKind(t, c.name, err, c.kind)
			continue
		}
		must(t, err)
		i, err := tr.Stat()
		must(t, err)
		writeAt(t, tr, "X", i.Size)
		must(t, publish(tr))
		holds(t, s, c.at, c.want)
	}
}

func TestDraftIsSeenByItsSessionAlone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", account.Unlimited, "")
	s, other := h.in("alice"), h.in("alice")
	a := p(t, "/a")
	tr := edit(t, s, a, Edit{Create: true, New: true})
	writeAt(t, tr, "hello", 0)
	if i, err := s.Stat(a); err != nil || i.Size != 5 || !i.Mode.IsRegular() {
		t.Errorf("its session sees %+v, %v", i, err)
	}
	_, err := other.Stat(a)
	wantKind(t, "another session", err, fault.NotExist)
	err = whileHere(s, func() error {
		_, err := other.Edit(a, Edit{Create: true, New: true})
		return err
	})
	wantKind(t, "the name is held", err, fault.Exist)
	holds(t, s, a, "hello")
	r, err := s.Get(a, 0, -1)
	must(t, err)
	defer r.Close()
	then := time.Unix(1_000_000_000, 0)
	must(t, s.Set(a, files.Attr{ModTime: &then}))
	writeAt(t, tr, "HELLO, world", 0)
	must(t, s.Resize(a, 9))
	b := make([]byte, 20)
	if n, err := r.ReadAt(b, 0); string(b[:n]) != "HELLO, wo" || err != io.EOF {
		t.Errorf("whoever reads it sees %q, %v", b[:n], err)
	}
	if n, err := tr.ReadAt(b, 7); string(b[:n]) != "wo" || err != io.EOF {
		t.Errorf("its handle reads %q, %v", b[:n], err)
	}
	must(t, tr.Sync())
	must(t, publish(tr))
	if i, err := other.Stat(a); err != nil || !i.ModTime.Equal(then) {
		t.Errorf("published: %+v, %v", i, err)
	}
	holds(t, other, a, "HELLO, wo")
	if n, err := r.ReadAt(b, 0); string(b[:n]) != "HELLO, wo" || err != io.EOF {
		t.Errorf("behind Commit the reader sees %q, %v", b[:n], err)
	}
	_, err = tr.WriteAt([]byte("late"), 0)
	wantKind(t, "behind Close", err, fault.Cut)
}

func TestDraftIsRenamedAndRemoved(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", account.Unlimited, "")
	s := h.in("alice")
	a, b, c, taken := p(t, "/a"), p(t, "/b"), p(t, "/d/c"), p(t, "/taken")
	must(t, put(s, taken, "taken", whole))
	must(t, s.Mkdir(p(t, "/d")))
	tr := edit(t, s, a, create)
	writeAt(t, tr, "content", 0)
	wantKind(t, "a name that is taken", s.Rename(a, taken, false), fault.Exist)
	must(t, s.Rename(a, b, false))
	_, err := s.Stat(a)
	wantKind(t, "the old name", err, fault.NotExist)
	must(t, s.Rename(b, c, true))
	must(t, s.Rename(p(t, "/d"), p(t, "/e"), false)) // its directory
	if i, err := s.Stat(p(t, "/e/c")); err != nil || i.Size != 7 {
		t.Errorf("with its directory: %+v, %v", i, err)
	}
	must(t, publish(tr))
	holds(t, s, p(t, "/e/c"), "content")

	// A file and a draft of it go together.
	tr = edit(t, s, taken, Edit{})
	writeAt(t, tr, "TAKEN", 0)
	must(t, s.Rename(taken, a, false))
	must(t, publish(tr))
	holds(t, s, a, "TAKEN")
	_, err = s.Stat(taken)
	wantKind(t, "the old name", err, fault.NotExist)

	tr = edit(t, s, b, create)
	writeAt(t, tr, "gone", 0)
	must(t, s.Remove(b))
	_, err = s.Stat(b)
	wantKind(t, "removed", err, fault.NotExist)
	writeAt(t, tr, "more of it", 0)
	if !tr.Dropped() {
		t.Error("nobody says that it was removed")
	}
	must(t, tr.Close())
	_, err = s.Part(t.Context(), b)
	wantKind(t, "a part of what was removed", err, fault.NotExist)
}

func TestResize(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", 100, "")
	s := h.in("alice")
	a := p(t, "/a")
	must(t, put(s, a, "0123456789", whole))
	must(t, s.Resize(a, 4))
	holds(t, s, a, "0123")
	must(t, s.Resize(a, 6))
	holds(t, s, a, "0123\x00\x00")
	wantKind(t, "past the quota", s.Resize(a, 95), fault.OverQuota)
	holds(t, s, a, "0123\x00\x00")
	must(t, s.Resize(a, 94)) // both versions are there for a moment
	must(t, s.Resize(a, 0))
	holds(t, s, a, "")
	wantKind(t, "nothing there", s.Resize(p(t, "/none"), 0), fault.NotExist)
	wantKind(t, "a directory", s.Resize(files.Root, 0), fault.IsDir)
	wantKind(t, "a size before 0", s.Resize(a, -1), fault.BadOffset)
	if sp, err := s.Space(); err != nil || sp.Used != 0 {
		t.Errorf("%+v, %v", sp, err)
	}
	h.grant("alice", account.Grant{Under: files.Root, May: account.Full &^ account.Write})
	wantKind(t, "without w", s.Resize(a, 1), fault.Denied)
}

// TestRefusedWriteIsNeverPublished: clients close what they could not write, as if all were well.
func TestRefusedWriteIsNeverPublished(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", 100, "")
	s := h.in("alice")
	a := p(t, "/a")
	must(t, put(s, a, "the old one", whole))
	tr := edit(t, s, a, create)
	writeAt(t, tr, strings.Repeat("x", 50), 0)
	_, err := tr.WriteAt(make([]byte, 50), 50)
	wantKind(t, "past the quota", err, fault.OverQuota)
	_, err = tr.WriteAt([]byte("tail"), 50)
	wantKind(t, "what follows a hole", err, fault.OverQuota)
	wantKind(t, "CLOSE", publish(tr), fault.OverQuota)
	holds(t, s, a, "the old one")
	if sp, err := s.Space(); err != nil || sp.Used != 11 {
		t.Errorf("%+v, %v", sp, err)
	}
}

func TestCutDraftIsParkedUpToItsFirstGap(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", account.Unlimited, "")
	s := h.in("alice")
	a, b := p(t, "/a"), p(t, "/b")
	must(t, put(s, b, "the old one", whole))
	tr := edit(t, s, a, create)
	writeAt(t, tr, "second", 5)
	writeAt(t, tr, "behind a gap", 20)
	writeAt(t, tr, "first", 0)
	inPlace := edit(t, s, b, Edit{})
	writeAt(t, inPlace, "THE", 0)
	writeAt(t, inPlace, " and more", 11)
	s.End()
	s = h.in("alice")
	if part, err := s.Part(t.Context(), a); err != nil || part.Size != 11 {
		t.Errorf("the part: %+v, %v", part, err)
	}
	holds(t, s, b, "the old one")
	_, err := s.Part(t.Context(), b)
	wantKind(t, "a part of what was changed in place", err, fault.NotExist)
	tr, err = s.Resume(a, files.Want{From: 11, Size: -1})
	must(t, err)
	writeAt(t, tr.Draft(), ", third", 11)
	must(t, publish(tr))
	holds(t, s, a, "firstsecond, third")
}

func TestDraftNeedsWhatPutNeeds(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", account.Unlimited, "")
	s := h.in("alice")
	a := p(t, "/a")
	must(t, put(s, a, "0123456789", whole))
	h.grant("alice", account.Grant{Under: files.Root, May: account.Read | account.List})
	for _, e := range []Edit{{}, create, {Append: true}, {Create: true, New: true}} {
		_, err := s.Edit(a, e)
		wantKind(t, "who may read", err, fault.Denied)
	}
	h.grant("alice", account.Grant{Under: files.Root, May: account.Append})
	for _, e := range []Edit{{}, create, {Create: true, New: true}, {Append: true, Truncate: true}} {
		_, err := s.Edit(a, e)
		wantKind(t, "who may append", err, fault.Denied)
	}
	_, err := s.Edit(p(t, "/new"), Edit{Create: true, Append: true})
	wantKind(t, "who may append makes a file", err, fault.Denied)
	tr := edit(t, s, a, Edit{Append: true})
	writeAt(t, tr, "AB", 3) // the offset says nothing
	wantKind(t, "Truncate", tr.Truncate(1), fault.Denied)
	must(t, publish(tr))
	tr, err = s.Resume(a, files.Want{From: 12, Size: -1})
	must(t, err)
	tr.Draft()
	writeAt(t, tr, "CD", 12)
	wantKind(t, "Truncate within what was kept", tr.Truncate(5), fault.Denied)
	_, err = tr.WriteAt([]byte("x"), 5)
	wantKind(t, "within what was kept", err, fault.Denied)
	must(t, tr.Close())
	must(t, s.DropPart(a))
	h.grant("alice", account.Grant{Under: files.Root, May: account.Write})
	b := p(t, "/b")
	tr = edit(t, s, b, Edit{Create: true, Truncate: true, Mode: 0o751})
	mode := fs.FileMode(0o700)
	wantKind(t, "Set without M", tr.Set(files.Attr{Mode: &mode}), fault.Denied)
	if _, err := s.Stat(b); err != nil {
		t.Errorf("who may only put does not see the draft: %v", err)
	}
	must(t, publish(tr))
	fi, err := os.Stat(filepath.Join(h.dir, "homes", "alice", "b"))
	if err != nil || fi.Mode().Perm() == 0o751 {
		t.Errorf("the mode was taken without M: %v, %v", fi, err)
	}
	h.grant("alice", account.Grant{Under: files.Root, May: account.Full})
	holds(t, s, a, "0123456789AB")
	must(t, publish(edit(t, s, p(t, "/c"), Edit{Create: true, Truncate: true, Mode: 0o751})))
	if i, err := s.Stat(p(t, "/c")); err != nil || i.Mode != 0o751 {
		t.Errorf("%v, %v", i.Mode, err)
	}
	tr = edit(t, s, a, Edit{})
	h.grant("alice", account.Grant{Under: files.Root, May: account.Append | account.Read | account.List})
	_, err = tr.WriteAt([]byte("x"), 0)
	wantKind(t, "after the grant was taken back", err, fault.Denied)
	wantKind(t, "CLOSE", publish(tr), fault.Denied)
}

// TestIdleDraftOfAnAnsweringPeerIsNotTakenOver: a file that is open and idle is nothing unusual in SFTP.
func TestIdleDraftOfAnAnsweringPeerIsNotTakenOver(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", account.Unlimited, "")
	s, other := h.in("alice"), h.in("alice")
	a := p(t, "/a")
	tr := edit(t, s, a, create)
	writeAt(t, tr, "content", 0)
	tr.heard.Store(time.Now().Add(-time.Minute).UnixNano())
	s.Here()
	_, err := other.Stat(a)
	wantKind(t, "another session", err, fault.NotExist)
	must(t, publish(tr))
	tr = edit(t, s, a, create)
	writeAt(t, tr, "half", 0)
	tr.heard.Store(time.Now().Add(-time.Minute).UnixNano())
	ended := make(chan error, 1)
	go func() {
		<-tr.Context().Done()
		ended <- publish(tr)
	}()
	if i, err := other.Stat(a); err != nil || i.Part != 4 {
		t.Errorf("half dead: %+v, %v", i, err)
	}
	wantKind(t, "CLOSE", <-ended, fault.Cut)
}

func TestCopyAt(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", 20_000_000, "")
	s := h.in("alice")
	a, b := p(t, "/a"), p(t, "/b")
	content := strings.Repeat("0123456789abcdef", 400_000)
	must(t, put(s, a, content, whole))
	src, err := s.Get(a, 0, -1)
	must(t, err)
	defer src.Close()
	tr := edit(t, s, b, create)
	must(t, tr.CopyAt(t.Context(), src, 16, -1, 0))
	must(t, tr.CopyAt(t.Context(), src, 0, 8, 4)) // within
	must(t, tr.CopyAt(t.Context(), tr, 0, 20, int64(len(content)-16)))
	must(t, tr.CopyAt(t.Context(), src, 1<<40, 5, 0)) // beyond the end
	want := content[16:20] + content[:8] + content[28:] + content[16:20] + content[:8] + content[28:36]
	gone, leave := context.WithCancelCause(context.Background())
	leave(fault.New(fault.Cut, "nobody waits for it"))
	wantKind(t, "after its end was asked for", tr.CopyAt(gone, src, 0, -1, int64(len(want))), fault.Cut)
	must(t, tr.Truncate(int64(len(want))))
	must(t, publish(tr))
	holds(t, s, b, want)
	tr = edit(t, s, p(t, "/c"), create)
	must(t, tr.CopyAt(t.Context(), src, 0, -1, 0))
	wantKind(t, "past the quota", tr.CopyAt(t.Context(), src, 0, -1, int64(len(content))), fault.OverQuota)
	wantKind(t, "CLOSE", publish(tr), fault.OverQuota)
}

func TestWholeDownloadIsRecordedSo(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", account.Unlimited, "")
	s := h.in("alice")
	a := p(t, "/a")
	must(t, put(s, a, "0123456789", whole))
	for range 2 {
		tr, err := s.Get(a, 0, -1)
		must(t, err)
		if _, err := tr.ReadAt(make([]byte, 4), 3); err != nil {
			t.Error(err)
		}
		if _, err := tr.WriteAt([]byte("x"), 0); fault.KindOf(err) != fault.Unsupported {
			t.Errorf("a write to what is read: %v", err)
		}
		must(t, tr.Whole())
		must(t, tr.Close())
	}
	tr, err := s.Get(a, 0, -1)
	must(t, err)
	must(t, tr.Close())
	log, err := h.book.Log(context.Background(), account.Filter{})
	must(t, err)
	if len(log) != 4 || log[0].Result != "cut" || log[1].Result != "ok" || log[1].Bytes != 4 || log[1].Verb != "get" {
		t.Errorf("records: %+v", log)
	}
}

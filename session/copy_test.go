package session

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"sampan/account"
	"sampan/fault"
	"sampan/files"
)

// copied runs a copy to its end.
func copied(s *Session, to files.Path, behind bool, from ...files.Path) error {
	t, err := s.Copy(to, behind, from...)
	if err != nil {
		return err
	}
	defer t.Close()
	if err := t.Fill(); err != nil {
		return err
	}
	_, err = t.Commit(nil)
	return err
}

func TestCopy(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", 1000, "")
	s := h.in("alice")
	a, b, c := p(t, "/a"), p(t, "/b"), p(t, "/c")
	must(t, put(s, a, strings.Repeat("a", 300), whole))
	must(t, put(s, b, strings.Repeat("b", 200), whole))
	must(t, s.Mkdir(p(t, "/dir")))
	must(t, copied(s, c, false, a, b))
	if got, err := get(s, c, 0); err != nil || got != strings.Repeat("a", 300)+strings.Repeat("b", 200) {
		t.Errorf("%q, %v", got, err)
	}
	// 1000 bytes are used, and there is no room for what a replaced file holds until it is replaced.
	wantKind(t, "past the quota", copied(s, a, false, b), fault.OverQuota)
	if got, err := get(s, a, 0); err != nil || got != strings.Repeat("a", 300) {
		t.Errorf("the target after a refusal: %q, %v", got, err)
	}
	must(t, s.Remove(c))
	must(t, copied(s, a, true, b))
	if got, err := get(s, a, 0); err != nil || got != strings.Repeat("a", 300)+strings.Repeat("b", 200) {
		t.Errorf("behind: %q, %v", got, err)
	}
	wantKind(t, "onto itself", copied(s, a, false, a), fault.BadName)
	wantKind(t, "a directory", copied(s, c, false, p(t, "/dir")), fault.IsDir)
	wantKind(t, "nothing", copied(s, c, false, p(t, "/none")), fault.NotExist)
	park(t, s, c, "part")
	wantKind(t, "a part", copied(s, p(t, "/d"), false, c), fault.NotExist)
	tr, err := s.Copy(p(t, "/d"), false, b)
	must(t, err)
	must(t, tr.Fill())
	must(t, tr.Close()) // without Commit
	_, err = s.Stat(p(t, "/d"))
	wantKind(t, "a copy that was given up", err, fault.NotExist)
	if space, err := s.Space(); err != nil || space.Used != 704 {
		t.Errorf("%+v, %v", space, err)
	}
	log, err := h.book.Log(context.Background(), account.Filter{Account: "alice"})
	must(t, err)
	var records []string
	for _, r := range log {
		if r.Verb == "copy" {
			records = append(records, r.Path+" to "+r.To+" "+r.Result)
		}
	}
	if got := strings.Join(records, ", "); got != "/b to /d cut, /b to /a ok, /a to /c ok" {
		t.Errorf("records: %s", got)
	}
}

// TestCopyRevoked: who may not read any more while the copy runs gets nothing.
func TestCopyRevoked(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", account.Unlimited, "")
	s := h.in("alice")
	must(t, put(s, p(t, "/a"), "content", whole))
	tr, err := s.Copy(p(t, "/b"), false, p(t, "/a"))
	must(t, err)
	defer tr.Close()
	h.grant("alice", account.Grant{May: account.Write})
	wantKind(t, "Fill", tr.Fill(), fault.Denied)
	_, err = tr.Commit(nil)
	wantKind(t, "Commit", err, fault.Denied)
}

func TestGetRange(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", account.Unlimited, "")
	s := h.in("alice")
	a := p(t, "/a")
	must(t, put(s, a, "0123456789", whole))
	for _, c := range []struct {
		off, n int64
		want   string
	}{{0, 3, "012"}, {3, 4, "3456"}, {9, 1, "9"}, {5, -1, "56789"}, {10, 0, ""}, {0, 10, "0123456789"}} {
		tr, err := s.Get(a, c.off, c.n)
		must(t, err)
		var b bytes.Buffer
		if _, err := tr.WriteTo(&b); err != nil || b.String() != c.want {
			t.Errorf("%d bytes from %d: %q, %v", c.n, c.off, b.String(), err)
		}
		must(t, tr.Close())
	}
	for _, c := range [][2]int64{{0, 11}, {10, 1}, {11, 0}, {5, 1<<63 - 1}, {-1, 2}} {
		_, err := s.Get(a, c[0], c[1])
		wantKind(t, "beyond the end", err, fault.BadOffset)
	}
	log, err := h.book.Log(context.Background(), account.Filter{Account: "alice"})
	must(t, err)
	for _, r := range log {
		if r.Result != "ok" || r.Size != 10 {
			t.Errorf("record: %+v", r)
		}
	}
}

func TestOperate(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", account.Unlimited, "")
	s := h.in("alice")
	_, err := s.Operate()
	wantKind(t, "somebody", err, fault.Denied)
	_, err = h.begin().Operate()
	wantKind(t, "nobody", err, fault.Unauth)
	yes := true
	_, err = h.book.Update(context.Background(), "alice", account.Change{Operator: &yes})
	must(t, err)
	hub, err := s.Operate()
	if err != nil || hub != h.hub {
		t.Errorf("%v, %v", hub, err)
	}
}

// TestRemoveReadLeavesWhatCameMeanwhile: what was copied is removed, and an upload that took its name since then is not.
func TestRemoveReadLeavesWhatCameMeanwhile(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", account.Unlimited, "")
	s, other := h.in("alice"), h.in("alice")
	a, b, c := p(t, "/a"), p(t, "/b"), p(t, "/c")
	must(t, put(s, a, "a", whole))
	must(t, put(s, b, "b", whole))
	tr, err := s.Copy(c, true, a, b)
	must(t, err)
	defer tr.Close()
	must(t, tr.Fill())
	must(t, put(other, b, "new", whole))
	_, err = tr.Commit(nil)
	must(t, err)
	if len(tr.Read()) != 2 {
		t.Fatal(tr.Read())
	}
	must(t, s.RemoveRead(tr.Read()[0]))
	_, err = s.Stat(a)
	wantKind(t, "what was copied", err, fault.NotExist)
	wantKind(t, "what came meanwhile", s.RemoveRead(tr.Read()[1]), fault.Busy)
	if got, err := get(s, b, 0); err != nil || got != "new" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := get(s, c, 0); err != nil || got != "ab" {
		t.Errorf("%q, %v", got, err)
	}
}

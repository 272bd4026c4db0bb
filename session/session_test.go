package session

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"sampan/account"
	"sampan/fault"
	"sampan/files"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const password = "correct horse battery"

// A house is a real book and a real hub in a directory of the test's own.
type house struct {
	t    testing.TB
	dir  string
	book *account.Book
	hub  *Hub
	log  *logged
}

func newHouse(t testing.TB, c Config) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir(), log: &logged{}}
	book, err := account.Open(context.Background(), filepath.Join(h.dir, "book.db"), account.Options{
		Homes: filepath.Join(h.dir, "homes"), DefaultQuota: account.Unlimited, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	h.book, c.Book = book, book
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	h.hub = NewHub(c)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		for _, s := range h.hub.all() {
			s.End()
		}
		h.hub.Drain(ctx)
		if err := h.hub.Close(); err != nil {
			t.Errorf("hub: %v", err)
		}
		if err := book.Close(); err != nil {
			t.Errorf("book: %v", err)
		}
	})
	return h
}

// logged keeps what was logged.
type logged struct {
	mu  sync.Mutex
	all strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

func (h *house) add(name string, quota int64, home string) account.Account {
	h.t.Helper()
	a, err := h.book.Add(context.Background(), account.NewAccount{Name: name, Password: password, Quota: &quota, Home: home})
	if err != nil {
		h.t.Fatal(err)
	}
	return a
}

var from = netip.MustParseAddrPort("192.0.2.7:40000")

func (h *house) begin() *Session {
	h.t.Helper()
	s, err := h.hub.Begin(Via{Proto: "ftp", Remote: from})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(s.End)
	return s
}

func (h *house) in(name string) *Session {
	h.t.Helper()
	s := h.begin()
	if err := s.Login(name, password); err != nil {
		h.t.Fatal(err)
	}
	return s
}

func (h *house) grant(name string, grants ...account.Grant) {
	h.t.Helper()
	if _, err := h.book.Update(context.Background(), name, account.Change{Grants: &grants}); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) suspend(name string) {
	h.t.Helper()
	state := account.Suspended
	if _, err := h.book.Update(context.Background(), name, account.Change{State: &state}); err != nil {
		h.t.Fatal(err)
	}
}

func p(t testing.TB, name string) files.Path {
	t.Helper()
	path, err := files.Parse(files.Root, name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func put(s *Session, path files.Path, content string, w files.Want) error {
	t, err := s.Put(path, w)
	if err != nil {
		return err
	}
	defer t.Close()
	if _, err := t.ReadFrom(strings.NewReader(content)); err != nil {
		return err
	}
	_, err = t.Commit(nil)
	return err
}

func get(s *Session, path files.Path, off int64) (string, error) {
	t, err := s.Get(path, off, -1)
	if err != nil {
		return "", err
	}
	defer t.Close()
	var b bytes.Buffer
	_, err = t.WriteTo(&b)
	return b.String(), err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t testing.TB, what string, err error, want fault.Kind) {
	t.Helper()
	if err == nil || fault.KindOf(err) != want {
		t.Errorf("%s: %v, want the kind %v", what, err, want)
	}
}

var whole = files.Want{Size: -1}

// cutShort is a source that breaks after its content.
type cutShort struct{ io.Reader }

func (c cutShort) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	if err == io.EOF {
		err = errors.New("connection reset")
	}
	return n, err
}

// park leaves content as s's part of path.
func park(t testing.TB, s *Session, path files.Path, content string) {
	t.Helper()
	tr, err := s.Put(path, whole)
	must(t, err)
	_, err = tr.ReadFrom(cutShort{strings.NewReader(content)})
	wantKind(t, "a broken source", err, fault.Cut)
	_, err = tr.Commit(nil)
	wantKind(t, "Commit after a break", err, fault.Cut)
	must(t, tr.Close())
}

func TestPutGetRoundTrip(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", account.Unlimited, "")
	s := h.in("alice")
	a := p(t, "/a.txt")
	must(t, put(s, a, "hello, world", whole))
	if got, err := get(s, a, 0); err != nil || got != "hello, world" {
		t.Errorf("get: %q, %v", got, err)
	}
	if got, err := get(s, a, 7); err != nil || got != "world" {
		t.Errorf("get from 7: %q, %v", got, err)
	}
	must(t, put(s, a, "!!", files.Want{From: 12, Size: -1}))
	if got, _ := get(s, a, 0); got != "hello, world!!" {
		t.Errorf("after the append: %q", got)
	}
	space, err := s.Space()
	if err != nil || space.Used != 14 {
		t.Errorf("space: %+v, %v", space, err)
	}
	_, err = s.Get(a, 15, -1)
	wantKind(t, "beyond the end", err, fault.BadOffset)

	log, err := h.book.Log(context.Background(), account.Filter{Account: "alice"})
	must(t, err)
	var got []string
	for i := len(log) - 1; i >= 0; i-- {
		got = append(got, log[i].Verb+" "+log[i].Result)
		if log[i].Remote != "192.0.2.7" || log[i].Proto != "ftp" || log[i].Path != "/a.txt" {
			t.Errorf("record: %+v", log[i])
		}
	}
	if want := "put ok, get ok, get ok, put ok, get ok"; strings.Join(got, ", ") != want {
		t.Errorf("records: %v, want %s", got, want)
	}
	if r := log[1]; r.Bytes != 2 || r.Size != 14 {
		t.Errorf("the append's record: %+v", r)
	}
}

func TestCutUploadIsParkedAndResumed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", account.Unlimited, "")
	s := h.in("alice")
	a := p(t, "/a.txt")
	must(t, put(s, a, "the old one", whole))
	park(t, s, a, "the new")
	if got, _ := get(s, a, 0); got != "the old one" {
		t.Errorf("a cut upload shows: %q", got)
	}
	part, err := s.Part(t.Context(), a)
	if err != nil || part.Size != 7 {
		t.Fatalf("part: %+v, %v", part, err)
	}
	gone, leave := context.WithCancelCause(context.Background())
	leave(fault.New(fault.Cut, "nobody waits for it"))
	if got, err := s.Part(gone, a); fault.KindOf(err) != fault.Cut {
		t.Errorf("a part that nobody waits for is hashed all the same: %+v, %v", got, err)
	}
	must(t, put(s, a, " one", files.Want{From: 7, Part: true, Size: -1}))
	if got, _ := get(s, a, 0); got != "the new one" {
		t.Errorf("resumed: %q", got)
	}
	_, err = s.Part(t.Context(), a)
	wantKind(t, "the part after the commit", err, fault.NotExist)

	log, err := h.book.Log(context.Background(), account.Filter{Account: "alice"})
	must(t, err)
	var cuts int
	for _, r := range log {
		if r.Result == "cut" && r.Bytes == 7 && r.Size == 7 {
			cuts++
		}
	}
	if cuts != 1 {
		t.Errorf("%d records of the cut: %+v", cuts, log)
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", account.Unlimited, "")
	s := h.begin()
	_, err := s.Account()
	wantKind(t, "before log-in", err, fault.Unauth)
	_, err = s.Stat(files.Root)
	wantKind(t, "Stat before log-in", err, fault.Unauth)
	wantKind(t, "wrong password", s.Login("alice", "wrong password"), fault.Unauth)
	wantKind(t, "unknown name", s.Login("nobody.here", password), fault.Unauth)
	must(t, s.Login("ALICE", password))
	if a, err := s.Account(); err != nil || a.Name != "alice" {
		t.Errorf("Account: %v, %v", a.Name, err)
	}
	if v := h.hub.Live(); len(v) != 1 || v[0].Account != "alice" || v[0].Doing != nil {
		t.Errorf("Live: %+v", v)
	}
	wantKind(t, "a second log-in that fails", s.Login("alice", "wrong password"), fault.Unauth)
	_, err = s.Account()
	wantKind(t, "a failed log-in leaves nobody", err, fault.Unauth)
	must(t, s.Login("alice", password))
	s.Logout()
	_, err = s.Account()
	wantKind(t, "after Logout", err, fault.Unauth)

	for line := range strings.Lines(h.log.String()) {
		if !strings.Contains(line, "log-in") {
			continue
		}
		i, j := strings.Index(line, " remote="), strings.Index(line, " reason=")
		if i < 0 || j < i || strings.Contains(line[j+1:], " remote=") || !strings.Contains(line, "remote=192.0.2.7:40000 reason=") {
			t.Errorf("remote and reason are not last: %s", line)
		}
	}
	if n := strings.Count(h.log.String(), "log-in refused"); n != 3 {
		t.Errorf("%d refusals logged, want 3:\n%s", n, h.log.String())
	}
}

func TestPasswd(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", account.Unlimited, "")
	s := h.in("alice")
	wantKind(t, "wrong old one", s.Passwd("not the old one", "brand new secret"), fault.Unauth)
	must(t, s.Passwd(password, "brand new secret"))
	if _, err := s.Stat(files.Root); err != nil {
		t.Errorf("the session goes on: %v", err)
	}
	other := h.begin()
	wantKind(t, "the old password", other.Login("alice", password), fault.Unauth)
	must(t, other.Login("alice", "brand new secret"))
}

func TestRegister(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	s := h.begin()
	ticket, err := s.Register("bob", "bob@example.org", password, "it is me")
	must(t, err)
	if a, err := s.Answer(ticket); err != nil || a.State != account.Pending {
		t.Errorf("pending: %+v, %v", a, err)
	}
	wantKind(t, "a pending account", s.Login("bob", password), fault.Unauth)
	reqs, err := h.book.Requests(context.Background())
	if err != nil || len(reqs) != 1 || reqs[0].Remote != "192.0.2.7" {
		t.Errorf("requests: %+v, %v", reqs, err)
	}
	_, err = h.book.Decide(context.Background(), "bob", account.Decision{Approve: true, By: "operator", Note: "welcome"})
	must(t, err)
	if a, err := s.Answer(ticket); err != nil || a.State != account.Active || a.Note != "welcome" {
		t.Errorf("approved: %+v, %v", a, err)
	}
	must(t, s.Login("bob", password))
	must(t, put(s, p(t, "/x"), "x", whole))
}

func TestAdmission(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Config{Limits: Limits{MaxSessions: 5, MaxPerAddress: 2}})
		h.add("alice", account.Unlimited, "")
		begin := func(addr string) (*Session, error) {
			s, err := h.hub.Begin(Via{Proto: "ftp", Remote: netip.MustParseAddrPort(addr)})
			if err == nil {
				t.Cleanup(s.End)
				must(t, s.Login("alice", password)) // others may have to give way
			}
			return s, err
		}
		first, err := begin("192.0.2.1:1")
		must(t, err)
		_, err = begin("[::ffff:192.0.2.1]:2")
		must(t, err)
		_, err = begin("192.0.2.1:3")
		wantKind(t, "the third of an address", err, fault.TooMany)
		_, err = begin("[2001:db8::1]:1")
		must(t, err)
		_, err = begin("[2001:db8::ffff]:1")
		must(t, err)
		_, err = begin("[2001:db8::abcd:1]:1")
		wantKind(t, "the third of a /64", err, fault.TooMany)
		_, err = begin("192.0.2.2:1")
		must(t, err)
		_, err = begin("192.0.2.3:1")
		wantKind(t, "the sixth", err, fault.TooMany)
		first.End()
		first.End()
		_, err = begin("192.0.2.1:4")
		must(t, err)
		if n := len(h.hub.Live()); n != 5 {
			t.Errorf("%d live, want 5", n)
		}
	})
}

func TestSuspendedIsRefusedAndKicked(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", account.Unlimited, "")
	idle, busy := h.in("alice"), h.in("alice")
	tr, err := busy.Put(p(t, "/big"), whole)
	must(t, err)
	r, w := io.Pipe()
	defer w.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := tr.ReadFrom(r)
		ended <- err
	}()
	_, err = w.Write(make([]byte, 100))
	must(t, err)
	h.suspend("alice")
	for _, s := range []*Session{idle, busy} { // the caretaker sees it, nobody asks
		select {
		case <-s.Context().Done():
			wantKind(t, "the cause", context.Cause(s.Context()), fault.Unauth)
		case <-time.After(10 * time.Second):
			t.Fatal("a suspended account stays in")
		}
	}
	w.Close()
	wantKind(t, "the transfer", <-ended, fault.Unauth)
	must(t, tr.Close())
	_, err = idle.Stat(files.Root)
	wantKind(t, "Stat", err, fault.Unauth)
	wantKind(t, "a new log-in", h.begin().Login("alice", password), fault.Unauth)
}

func TestRemovedAndAddedAgainIsSomebodyElse(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", account.Unlimited, "")
	home := t.TempDir()
	s := h.in("alice")
	must(t, h.book.Remove(context.Background(), "alice"))
	h.add("alice", account.Unlimited, home)
	_, err := s.Stat(files.Root)
	wantKind(t, "the old session", err, fault.Unauth)
}

func TestRevokedDuringTransfer(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", account.Unlimited, "")
	s := h.in("alice")
	a := p(t, "/a")
	tr, err := s.Put(a, whole)
	must(t, err)
	_, err = tr.ReadFrom(strings.NewReader("content"))
	must(t, err)
	h.grant("alice", account.Grant{May: account.ReadOnly})
	_, err = tr.Commit(nil)
	wantKind(t, "Commit after the grant is gone", err, fault.Denied)
	must(t, tr.Close())
	if i, err := s.Stat(a); err != nil || !i.PartOnly() || i.Size != 7 {
		t.Errorf("what came is parked: %+v, %v", i, err)
	}
}

func TestQuotaChangeIsEffectiveAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", 10, "")
	s := h.in("alice")
	a := p(t, "/a")
	wantKind(t, "11 of 10", put(s, a, "01234567890", whole), fault.OverQuota)
	more := int64(11)
	_, err := h.book.Update(context.Background(), "alice", account.Change{Quota: &more})
	must(t, err)
	must(t, put(s, a, "01234567890", whole))
	if space, err := s.Space(); err != nil || space.Quota != 11 || space.Used != 11 {
		t.Errorf("space: %+v, %v", space, err)
	}
}

func TestKick(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", account.Unlimited, "")
	h.add("bob", account.Unlimited, "")
	one, two, other := h.in("alice"), h.in("alice"), h.in("bob")
	why := fault.New(fault.Stopped, "the operator ended it")
	if h.hub.Kick(999, why) {
		t.Error("a session that is not there was kicked")
	}
	tr, err := one.Put(p(t, "/a"), whole)
	must(t, err)
	if n := h.hub.KickAccount("Alice", why); n != 2 {
		t.Errorf("%d kicked", n)
	}
	for _, s := range []*Session{one, two} {
		if context.Cause(s.Context()) != why {
			t.Errorf("cause: %v", context.Cause(s.Context()))
		}
		if _, err := s.Stat(files.Root); !errors.Is(err, why) {
			t.Errorf("Stat: %v", err)
		}
	}
	if _, err := tr.ReadFrom(strings.NewReader("x")); !errors.Is(err, why) {
		t.Errorf("ReadFrom: %v", err)
	}
	one.End() // closes tr
	if err := tr.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
	if _, err := other.Stat(files.Root); err != nil {
		t.Errorf("bob: %v", err)
	}
	if !h.hub.Kick(other.ID(), why) || other.Context().Err() == nil {
		t.Error("bob was not kicked")
	}
}

// TestHomesAreShared has two accounts in one directory: one Home, one quota.
func TestHomesAreShared(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	a := h.add("alice", 1000, "")
	b, err := h.book.Add(context.Background(), account.NewAccount{Name: "bob", Password: password, Home: a.Home})
	must(t, err)
	ha, err := h.hub.Home(a)
	must(t, err)
	hb, err := h.hub.Home(b)
	must(t, err)
	if ha != hb {
		t.Error("two Homes over one directory")
	}
	must(t, put(h.in("alice"), p(t, "/a"), strings.Repeat("a", 600), whole))
	wantKind(t, "600 of the other 400", put(h.in("bob"), p(t, "/b"), strings.Repeat("b", 600), whole), fault.OverQuota)
}

// TestHomeThatCannotBeOpenedIsTriedAgain: an error is not remembered.
func TestHomeThatCannotBeOpenedIsTriedAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	a := h.add("alice", account.Unlimited, "")
	must(t, os.Remove(a.Home))
	must(t, os.WriteFile(a.Home, nil, 0o600)) // a file where the directory was
	if err := h.begin().Login("alice", password); err == nil {
		t.Fatal("a file was opened as a home")
	}
	must(t, os.Remove(a.Home))
	must(t, os.Mkdir(a.Home, 0o700))
	must(t, put(h.in("alice"), p(t, "/a"), "a", whole))
}

// TestSetLimits: a reload admits by the new numbers, and 0 is the default as in Config.
func TestSetLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, Config{Limits: Limits{MaxSessions: 1}})
		h.begin()
		_, err := h.hub.Begin(Via{Remote: from})
		wantKind(t, "past the limit", err, fault.TooMany)
		h.hub.SetLimits(Limits{MaxPerAddress: 2})
		h.begin()
		_, err = h.hub.Begin(Via{Remote: from})
		wantKind(t, "past the new limit", err, fault.TooMany)
	})
}

// TestPartsExpireWhenAHomeIsOpened: a server that is started seldom does not keep parts for ever.
func TestPartsExpireWhenAHomeIsOpened(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.add("alice", account.Unlimited, "")
	s := h.in("alice")
	park(t, s, p(t, "/a"), "half")
	s.End()
	must(t, h.hub.Close())
	h.hub = NewHub(Config{Book: h.book, PartAge: time.Nanosecond})
	s = h.in("alice")
	_, err := s.Part(t.Context(), p(t, "/a"))
	wantKind(t, "an old part", err, fault.NotExist)
	if space, err := s.Space(); err != nil || space.Used != 0 {
		t.Errorf("space: %+v, %v", space, err)
	}
}

package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sampan/account"
	"sampan/fault"
	"sampan/files"
	"sampan/session"
	"sampan/words"
)

// house is a book and a hub with both ways to the API.
type house struct {
	dir     string
	book    *account.Book
	hub     *session.Hub
	handler http.Handler
	clients map[string]*Client
	http    *http.Client // bare, over the socket
}

func newHouse(t testing.TB) *house {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	book, err := account.Open(t.Context(), filepath.Join(dir, "book.db"), account.Options{
		Homes: filepath.Join(dir, "homes"), DefaultQuota: 1 << 20, Log: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	hub := session.NewHub(session.Config{Book: book, Strict: false, Log: quiet})
	h := &house{dir: dir, book: book, hub: hub, handler: Handler(book, hub)}
	// A socket's name is short on every system; a test's directory may not be.
	sockets, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(sockets, "a")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h.handler, ErrorLog: slog.NewLogLogger(quiet.Handler(), slog.LevelError)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	h.clients = map[string]*Client{"socket": NewClient(socket), "in process": InProcess(h.handler)}
	h.http = h.clients["socket"].http
	t.Cleanup(func() {
		err := server.Close()
		if end := <-served; !errors.Is(end, http.ErrServerClosed) {
			err = errors.Join(err, end)
		}
		if err := errors.Join(err, hub.Close(), book.Close(), os.RemoveAll(sockets)); err != nil {
			t.Error(err)
		}
	})
	return h
}

// both runs f with a house of its own for each way to the API.
func both(t *testing.T, f func(t *testing.T, h *house, c *Client)) {
	t.Parallel()
	for _, way := range []string{"socket", "in process"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			f(t, h, h.clients[way])
		})
	}
}

func wantKind(t testing.TB, err error, k fault.Kind) {
	t.Helper()
	if err == nil || fault.KindOf(err) != k {
		t.Errorf("error is %v, want kind %v", err, k)
	}
}

func ptr[T any](v T) *T { return &v }

// enter logs a session in, as a protocol would.
func (h *house) enter(t testing.TB, name, password string) *session.Session {
	t.Helper()
	s, err := h.hub.Begin(session.Via{Proto: "ftps", Remote: netip.MustParseAddrPort("192.0.2.7:1234"), TLS: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.End)
	if err := s.Login(name, password); err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t testing.TB, s *session.Session, name, content string) error {
	t.Helper()
	p, err := files.Parse(files.Root, name)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := s.Put(p, files.Want{Size: -1})
	if err != nil {
		return err
	}
	if _, err := tr.ReadFrom(strings.NewReader(content)); err != nil {
		return errors.Join(err, tr.Close())
	}
	_, err = tr.Commit(nil)
	return errors.Join(err, tr.Close())
}

func TestUsers(t *testing.T) {
	both(t, func(t *testing.T, h *house, c *Client) {
		ctx := t.Context()
		if all, err := c.Users(ctx); err != nil || len(all) != 0 {
			t.Errorf("nobody: %v, %v", all, err)
		}
		got, err := c.AddUser(ctx, NewUser{Name: "李雷", Email: "li@example.org", Password: "correct horse"})
		if err != nil {
			t.Fatal(err)
		}
		want := User{
			Name: "李雷", Email: "li@example.org", State: "active", Home: filepath.Join(h.dir, "homes", "李雷"), Quota: 1 << 20,
			Down: -1, Up: -1, Grants: []Grant{{"/", "elradfmwMT"}}, Created: got.Created,
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("added (-want +got):\n%s", d)
		}
		if when, err := time.Parse(time.RFC3339, got.Created); err != nil || time.Since(when) > time.Minute || !strings.HasSuffix(got.Created, "Z") {
			t.Errorf("created %q, %v", got.Created, err)
		}
		_, err = c.AddUser(ctx, NewUser{Name: "李雷", Password: "correct horse"})
		wantKind(t, err, fault.Exist)

		if err := put(t, h.enter(t, "李雷", "correct horse"), "/a", "12345"); err != nil {
			t.Fatal(err)
		}
		got, err = c.UpdateUser(ctx, "李雷", UserChange{
			Email: ptr(""), Operator: ptr(true), Quota: ptr(int64(-1)), Lenient: ptr(true), Grants: &[]Grant{{"/in", "drop-box"}},
			Down: ptr(int64(5000)),
		})
		want.Email, want.Operator, want.Quota, want.Lenient, want.Used, want.Grants = "", true, -1, true, 5, []Grant{{"/in", "emw"}}
		want.Down = 5000
		want.LastSeen = got.LastSeen
		if d := cmp.Diff(want, got); d != "" || err != nil || got.LastSeen == "" {
			t.Errorf("changed: %v (-want +got):\n%s", err, d)
		}
		if all, err := c.Users(ctx); err != nil || cmp.Diff([]User{want}, all) != "" {
			t.Errorf("list: %v, %v", all, err)
		}
		if one, err := c.User(ctx, "李雷"); err != nil || cmp.Diff(want, one) != "" {
			t.Errorf("one: %v, %v", one, err)
		}

		wantKind(t, c.RemoveUser(ctx, "李雷"), fault.Stopped)
		if _, err := c.AddUser(ctx, NewUser{Name: "second", Password: "correct horse", Operator: true, Grants: []Grant{{"/", "none"}}}); err != nil {
			t.Fatal(err)
		}
		if err := c.RemoveUser(ctx, "李雷"); err != nil {
			t.Error(err)
		}
		_, err = c.User(ctx, "李雷")
		wantKind(t, err, fault.NotExist)
		wantKind(t, c.RemoveUser(ctx, "李雷"), fault.NotExist)
	})
}

func TestGrants(t *testing.T) {
	both(t, func(t *testing.T, h *house, c *Client) {
		ctx := t.Context()
		if _, err := c.AddUser(ctx, NewUser{Name: "ann", Password: "correct horse", Grants: []Grant{{"/", "elr"}}}); err != nil {
			t.Fatal(err)
		}
		s := h.enter(t, "ann", "correct horse")
		wantKind(t, put(t, s, "/a", "x"), fault.Denied)
		u, err := c.Grant(ctx, "ann", Grant{"in/../in box/", "full"})
		if err != nil || cmp.Diff([]Grant{{"/", "elr"}, {"/in box", "elradfmwMT"}}, u.Grants) != "" {
			t.Errorf("%v, %v", u.Grants, err)
		}
		if u, err = c.Grant(ctx, "ann", Grant{"/", "w"}); err != nil || u.Grants[0].Perms != "w" || len(u.Grants) != 2 {
			t.Errorf("%v, %v", u.Grants, err)
		}
		if err := put(t, s, "/a", "x"); err != nil {
			t.Errorf("the grant is not in force at once: %v", err)
		}
		if u, err = c.Revoke(ctx, "ann", "/"); err != nil || cmp.Diff([]Grant{{"/in box", "elradfmwMT"}}, u.Grants) != "" {
			t.Errorf("%v, %v", u.Grants, err)
		}
		wantKind(t, put(t, s, "/a", "x"), fault.Denied)
		_, err = c.Revoke(ctx, "ann", "/")
		wantKind(t, err, fault.NotExist)
		_, err = c.Revoke(ctx, "ann", "")
		wantKind(t, err, fault.Syntax)
		_, err = c.Grant(ctx, "ann", Grant{"/", "xyz"})
		wantKind(t, err, fault.Syntax)
		_, err = c.Grant(ctx, "ann", Grant{"/.sampan", "r"})
		wantKind(t, err, fault.BadName)
		_, err = c.Grant(ctx, "bob", Grant{"/", "r"})
		wantKind(t, err, fault.NotExist)
	})
}

func TestRequests(t *testing.T) {
	both(t, func(t *testing.T, h *house, c *Client) {
		ctx := t.Context()
		tickets := map[string]account.Ticket{}
		for _, name := range []string{"Mei", "Tom"} {
			tk, err := h.book.Register(ctx, name, "x@example.org", account.Proof{Password: "correct horse", Remote: "192.0.2.1"}, "hi")
			if err != nil {
				t.Fatal(err)
			}
			tickets[name] = tk
		}
		all, err := c.Requests(ctx)
		if err != nil || len(all) != 2 || cmp.Diff(Request{"Mei", "x@example.org", "hi", "192.0.2.1", all[0].Asked}, all[0]) != "" {
			t.Fatalf("%+v, %v", all, err)
		}
		here, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		relative, err := filepath.Rel(here, filepath.Join(h.dir, "mei's"))
		if err != nil {
			t.Fatal(err)
		}
		u, err := c.Decide(ctx, "mei", Decision{Approve: true, Note: "welcome", Home: relative, Quota: ptr(int64(7))})
		if err != nil || u.Name != "Mei" || u.State != "active" || u.Quota != 7 || u.Used != 0 || u.Home != filepath.Join(h.dir, "mei's") {
			t.Errorf("%+v, %v", u, err)
		}
		if u, err = c.Decide(ctx, "tom", Decision{Note: "no"}); err != nil || u.Name != "Tom" || u.State != "refused" {
			t.Errorf("%+v, %v", u, err)
		}
		for name, want := range map[string]account.Answer{
			"Mei": {State: account.Active, Name: "Mei", Note: "welcome"}, "Tom": {State: account.Refused, Name: "Tom", Note: "no"},
		} {
			if got, err := h.book.Answer(ctx, tickets[name]); err != nil || got != want {
				t.Errorf("%+v, %v", got, err)
			}
		}
		_, err = c.Decide(ctx, "tom", Decision{Approve: true})
		wantKind(t, err, fault.NotExist)
	})
}

// Suspending and removing end what runs; a change of the quota holds for an open home.
func TestChangesReachTheRunning(t *testing.T) {
	both(t, func(t *testing.T, h *house, c *Client) {
		ctx := t.Context()
		if _, err := c.AddUser(ctx, NewUser{Name: "Ann", Password: "correct horse", Quota: ptr(int64(10))}); err != nil {
			t.Fatal(err)
		}
		s := h.enter(t, "ann", "correct horse")
		wantKind(t, put(t, s, "/a", strings.Repeat("x", 11)), fault.OverQuota)
		if _, err := c.UpdateUser(ctx, "ann", UserChange{Quota: ptr(int64(100))}); err != nil {
			t.Fatal(err)
		}
		if err := put(t, s, "/b", strings.Repeat("x", 50)); err != nil {
			t.Errorf("the higher quota does not hold: %v", err)
		}
		if _, err := c.UpdateUser(ctx, "ann", UserChange{Quota: ptr(int64(51))}); err != nil {
			t.Fatal(err)
		}
		wantKind(t, put(t, s, "/c", "xxxxx"), fault.OverQuota)
		if _, err := c.UpdateUser(ctx, "ann", UserChange{State: ptr("suspended")}); err != nil {
			t.Fatal(err)
		}
		<-s.Context().Done()
		// The hub may have noticed by itself before.
		if k := fault.KindOf(context.Cause(s.Context())); k != fault.Stopped && k != fault.Unauth {
			t.Errorf("the session ended with %v", context.Cause(s.Context()))
		}
		if _, err := c.UpdateUser(ctx, "ann", UserChange{State: ptr("active")}); err != nil {
			t.Fatal(err)
		}
		s = h.enter(t, "ann", "correct horse")
		if _, err := c.UpdateUser(ctx, "ann", UserChange{Home: ptr(filepath.Join(h.dir, "other"))}); err != nil {
			t.Fatal(err)
		}
		<-s.Context().Done()
		s = h.enter(t, "ann", "correct horse")
		if err := c.RemoveUser(ctx, "ann"); err != nil {
			t.Fatal(err)
		}
		<-s.Context().Done()
		if _, err := os.Stat(filepath.Join(h.dir, "homes", "Ann", "b")); err != nil {
			t.Errorf("the old home: %v", err)
		}
	})
}

// A log-in that began before a change of the quota and ends after it does not bring the old quota back.
func TestStaleAccountKeepsTheNewQuota(t *testing.T) {
	both(t, func(t *testing.T, h *house, c *Client) {
		ctx := t.Context()
		if _, err := c.AddUser(ctx, NewUser{Name: "ann", Password: "correct horse", Quota: ptr(int64(100))}); err != nil {
			t.Fatal(err)
		}
		stale, err := h.book.Get(ctx, "ann")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.UpdateUser(ctx, "ann", UserChange{Quota: ptr(int64(5))}); err != nil {
			t.Fatal(err)
		}
		home, err := h.hub.Home(stale)
		if err != nil {
			t.Fatal(err)
		}
		if space, err := home.Space(ctx); err != nil || space.Quota != 5 {
			t.Errorf("%+v, %v", space, err)
		}
	})
}

func TestSessions(t *testing.T) {
	both(t, func(t *testing.T, h *house, c *Client) {
		ctx := t.Context()
		if _, err := c.AddUser(ctx, NewUser{Name: "ann", Password: "correct horse"}); err != nil {
			t.Fatal(err)
		}
		if who, err := c.Who(ctx); err != nil || len(who) != 0 {
			t.Errorf("%v, %v", who, err)
		}
		one, two, three := h.enter(t, "ann", "correct horse"), h.enter(t, "ann", "correct horse"), h.enter(t, "ann", "correct horse")
		p, _ := files.Parse(files.Root, "/up")
		tr, err := one.Put(p, files.Want{Size: 100})
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		who, err := c.Who(ctx)
		if err != nil || len(who) != 3 {
			t.Fatalf("%v, %v", who, err)
		}
		want := Session{
			ID: one.ID(), Account: "ann", Proto: "ftps", Remote: "192.0.2.7:1234", TLS: true, Since: who[0].Since, Idle: who[0].Idle,
			Doing: &Moving{Verb: "put", Path: "/up", Done: 0, Size: 100},
		}
		if who[0].Doing != nil {
			want.Doing.Started = who[0].Doing.Started
		}
		if d := cmp.Diff(want, who[0]); d != "" || who[1].Doing != nil {
			t.Errorf("(-want +got):\n%s", d)
		}
		if err := c.Kick(ctx, two.ID(), "lunch"); err != nil {
			t.Fatal(err)
		}
		<-two.Context().Done()
		if why := fault.Say(context.Cause(two.Context())); why.String() != "the operator ended the session: lunch" {
			t.Errorf("%v", why)
		}
		wantKind(t, c.Kick(ctx, 1<<40, ""), fault.NotExist)
		two.End()
		if n, err := c.KickUser(ctx, "ANN", ""); err != nil || n != 2 {
			t.Errorf("%d, %v", n, err)
		}
		<-one.Context().Done()
		<-three.Context().Done()
		_, err = c.KickUser(ctx, "nobody", "")
		wantKind(t, err, fault.NotExist)
	})
}

func TestQuotaCheck(t *testing.T) {
	both(t, func(t *testing.T, h *house, c *Client) {
		ctx := t.Context()
		u, err := c.AddUser(ctx, NewUser{Name: "ann", Password: "correct horse"})
		if err != nil {
			t.Fatal(err)
		}
		if err := put(t, h.enter(t, "ann", "correct horse"), "/a", "12345"); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(u.Home, "past sampan"), make([]byte, 100), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			fix            bool
			recorded, used int64
		}{{false, 5, 5}, {true, 5, 105}, {false, 105, 105}} {
			got, err := c.QuotaCheck(ctx, "ann", step.fix)
			if d := cmp.Diff(QuotaReport{u.Home, 1 << 20, step.recorded, 105, step.fix}, got); d != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, d)
			}
			if u, err := c.User(ctx, "ann"); err != nil || u.Used != step.used {
				t.Errorf("used is %d, %v, want %d", u.Used, err, step.used)
			}
		}
		_, err = c.QuotaCheck(ctx, "bob", false)
		wantKind(t, err, fault.NotExist)
	})
}

func TestLog(t *testing.T) {
	both(t, func(t *testing.T, h *house, c *Client) {
		ctx := t.Context()
		if _, err := c.AddUser(ctx, NewUser{Name: "Ann", Password: "correct horse"}); err != nil {
			t.Fatal(err)
		}
		before := time.Now()
		if err := put(t, h.enter(t, "ann", "correct horse"), "/a 文件", "12345"); err != nil {
			t.Fatal(err)
		}
		log, err := c.Log(ctx, Filter{Account: "ann", Since: before.Add(-time.Second)})
		if err != nil || len(log) != 1 {
			t.Fatalf("%+v, %v", log, err)
		}
		want := Transfer{
			ID: log[0].ID, When: log[0].When, Account: "Ann", Remote: log[0].Remote, Proto: "ftps", Verb: "put", Path: "/a 文件",
			Bytes: 5, Size: 5, Took: log[0].Took, Result: "ok",
		}
		if d := cmp.Diff(want, log[0]); d != "" || !strings.HasPrefix(log[0].Remote, "192.0.2.7") {
			t.Errorf("(-want +got):\n%s", d)
		}
		for _, f := range []Filter{{Account: "bob"}, {Since: time.Now().Add(time.Hour)}} {
			if log, err := c.Log(ctx, f); err != nil || len(log) != 0 {
				t.Errorf("%+v: %v, %v", f, log, err)
			}
		}
		_, err = c.Log(ctx, Filter{Limit: -1})
		wantKind(t, err, fault.Syntax)
	})
}

// What the server says is rendered in the reader's language, whatever the arguments.
func TestErrorsKeepKindAndSentence(t *testing.T) {
	both(t, func(t *testing.T, h *house, c *Client) {
		_, err := c.User(t.Context(), "nobody")
		say := fault.Say(err)
		if say.In(words.English) != `there is no account named "nobody"` || say.In(words.Chinese) != `没有名为 "nobody" 的账户` {
			t.Errorf("%q, %q", say.In(words.English), say.In(words.Chinese))
		}
		_, err = c.AddUser(t.Context(), NewUser{Name: "ann", Password: "short"})
		if say := fault.Say(err); say.In(words.Chinese) != "密码至少要有 8 个字符" {
			t.Errorf("%q", say.In(words.Chinese))
		}
	})
}

type stringer struct{}

func (stringer) String() string { return "strung" }

func TestArgumentsSurviveTheWire(t *testing.T) {
	t.Parallel()
	m := words.M("%s %d %d %d %.2f %t %v %s %s %v", "a\n\"文", -1<<63, uint64(1<<64-1), int8(3), 2.0, true,
		words.M("%d of %s", 4, words.M("inner")), 90*time.Second, stringer{}, errors.New("e"))
	for k := fault.Internal; k <= fault.Local; k++ {
		_, p := problemOf(&fault.Error{Kind: k, Say: m})
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var back problem
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		got := back.fault()
		if fault.KindOf(got) != k || fault.Say(got).String() != m.String() {
			t.Errorf("kind %v, %q\nwant %v, %q", fault.KindOf(got), fault.Say(got), k, m)
		}
	}
	_, p := problemOf(errors.New("secret path"))
	if text, _ := json.Marshal(p); strings.Contains(string(text), "secret") {
		t.Errorf("an inner error is told: %s", text)
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	_, err := NewClient(filepath.Join(t.TempDir(), "none")).Users(t.Context())
	wantKind(t, err, fault.Unreachable)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newHouse(t).clients["socket"].Users(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// Bad requests get one sentence each, and change nothing.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const js = "application/json"
	for _, c := range []struct {
		method, path, kind, body string
		status                   int
	}{
		{"POST", "/users", js, `{"name":"ann","password":"correct horse","opertor":true}`, 400},
		{"POST", "/users", js, `{"name":"ann","password":"correct horse"} {}`, 400},
		{"POST", "/users", js, `{"name":"ann","password":"correct horse"`, 400},
		{"POST", "/users", js, ``, 400},
		{"POST", "/users", js, `[]`, 400},
		{"POST", "/users", js, `{"name":"ann","password":"correct horse","quota":1.5}`, 400},
		{"POST", "/users", js, `{"name":"ann","password":"correct horse","quota":-2}`, 400},
		{"POST", "/users", js, `{"name":"ann","password":"correct horse","quota":99999999999999999999}`, 400},
		{"POST", "/users", js, `{"name":"ann","password":"correct horse","home":"relative"}`, 400},
		{"POST", "/users", js, `{"name":"ann","password":"correct horse","home":"/"}`, 403},
		{"POST", "/users", js, `{"name":"ann","password":"correct horse","grants":[{"path":"/","perms":"Z"}]}`, 400},
		{"POST", "/users", js, `{"name":"../ann","password":"correct horse"}`, 400},
		{"POST", "/users", js, `{"name":"ann","password":"` + strings.Repeat("x", maxBody) + `"}`, 400},
		{"POST", "/users", js, strings.Repeat("[", 100_000), 400},
		{"POST", "/users", "text/plain", `{"name":"ann","password":"correct horse"}`, 400},
		{"POST", "/users", "", `{"name":"ann","password":"correct horse"}`, 400},
		{"PATCH", "/users/ann", js, `{"state":"pending"}`, 400},
		{"PATCH", "/users/ann", js, `{"state":"active"}`, 404},
		{"PATCH", "/users/ann", js, `{"state":"dead"}`, 400},
		{"PUT", "/users", js, `{}`, 404},
		{"GET", "/", "", ``, 404},
		{"GET", "/users/ann/secret", "", ``, 404},
		{"GET", "/users/%00", "", ``, 404},
		{"GET", "/users/%2e%2e%2f", "", ``, 404},
		{"DELETE", "/sessions/x", "", ``, 404},
		{"DELETE", "/sessions/99999999999999999999", "", ``, 404},
		{"GET", "/transfers?limit=x", "", ``, 400},
		{"GET", "/transfers?limit=100001", "", ``, 400},
		{"GET", "/transfers?since=yesterday", "", ``, 400},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, "http://sampan"+prefix+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", c.kind)
		res, err := h.http.Do(r)
		if err != nil {
			t.Errorf("%s %s: %v", c.method, c.path, err)
			continue
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		var p problem
		if err != nil || json.Unmarshal(text, &p) != nil || p.Text == "" || p.Say == "" || res.StatusCode != c.status || res.Header.Get("Content-Type") != js {
			t.Errorf("%s %s %.80s: %s %.200s, %v, want %d", c.method, c.path, c.body, res.Status, text, err, c.status)
		}
	}
	if all, err := h.book.Accounts(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("accounts: %v, %v", all, err)
	}
}

func TestEveryRouteHasItsClient(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	asked := map[string]bool{}
	mux := http.NewServeMux()
	for _, rt := range routes {
		method, path, _ := strings.Cut(rt.pattern, " ")
		mux.HandleFunc(method+" "+prefix+path, func(w http.ResponseWriter, r *http.Request) {
			asked[rt.pattern] = true
			h.handler.ServeHTTP(w, r)
		})
	}
	c, ctx := InProcess(mux), t.Context()
	c.Users(ctx)
	c.User(ctx, "x")
	c.AddUser(ctx, NewUser{})
	c.UpdateUser(ctx, "x", UserChange{})
	c.RemoveUser(ctx, "x")
	c.Grant(ctx, "x", Grant{})
	c.Revoke(ctx, "x", "/")
	c.Keys(ctx, "x")
	c.AddKeys(ctx, "x", "")
	c.RemoveKey(ctx, "x", "")
	c.QuotaCheck(ctx, "x", false)
	c.KickUser(ctx, "x", "")
	c.Requests(ctx)
	c.Decide(ctx, "x", Decision{})
	c.Who(ctx)
	c.Kick(ctx, 1, "")
	c.Log(ctx, Filter{})
	for _, rt := range routes {
		if !asked[rt.pattern] {
			t.Errorf("no method of Client asks %s", rt.pattern)
		}
	}
}

// Whatever comes, the answer is JSON: no panic, no failure of ours, and nothing but what a well-formed request asks.
func FuzzHandler(f *testing.F) {
	h := newHouse(f)
	if _, err := h.book.Add(f.Context(), account.NewAccount{Name: "ann", Password: "correct horse"}); err != nil {
		f.Fatal(err)
	}
	f.Add(uint8(1), "", `{"name":"bob","password":"short","quota":5,"grants":[{"path":"/a","perms":"elr"}]}`)
	f.Add(uint8(3), "ann", `{"email":"a@b","grants":[],"lenient":true}`)
	f.Add(uint8(5), "ann", `{"path":"/in","perms":"drop-box"}`)
	f.Add(uint8(6), "ann?path=%2F", ``)
	f.Add(uint8(7), "ann", `{"fix":true}`)
	f.Add(uint8(10), "bob", `{"approve":true,"note":"hi","quota":-1}`)
	f.Add(uint8(13), "?limit=5&since=2026-01-02T15:04:05Z&account=ann", ``)
	f.Fuzz(func(t *testing.T, which uint8, rest, body string) {
		rt := routes[int(which)%len(routes)]
		if strings.Contains(body, `home`) {
			return // it would be made on this disk
		}
		method, path, _ := strings.Cut(rt.pattern, " ")
		segment, query, _ := strings.Cut(rest, "?")
		path = strings.NewReplacer("{name}", segment, "{id}", segment).Replace(path)
		r, err := http.NewRequestWithContext(t.Context(), method, "http://sampan"+prefix+path+"?"+query, strings.NewReader(body))
		if err != nil {
			return
		}
		r.Header.Set("Content-Type", "application/json")
		w := &recorder{header: http.Header{}, status: http.StatusOK}
		h.handler.ServeHTTP(w, r)
		switch {
		case w.status >= 500 && w.status != http.StatusInsufficientStorage, w.status < 200:
			t.Errorf("%s %q %q: %d %s", method, path, body, w.status, w.body.String())
		case w.status >= 400 || w.status == 200:
			if !json.Valid(w.body.Bytes()) {
				t.Errorf("%s %q %q: %d %s", method, path, body, w.status, w.body.String())
			}
		}
	})
}

func ExampleInProcess() {
	c := InProcess(http.NotFoundHandler())
	_, err := c.Users(context.Background())
	fmt.Println(fault.Say(err))
	// Output: the server's answer cannot be understood: 404 Not Found
}

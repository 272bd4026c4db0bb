package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sampan/fault"
	"sampan/files"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// newBook opens a book in a directory of its own, as a server keeps it.
func newBook(t testing.TB) (*Book, string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(t.Context(), filepath.Join(dir, "book.db"), Options{
		Homes: filepath.Join(dir, "homes"), DefaultQuota: 1 << 30, Log: quiet(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b, dir
}

func add(t testing.TB, b *Book, n NewAccount) Account {
	t.Helper()
	if n.Password == "" {
		n.Password = "correct horse"
	}
	a, err := b.Add(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func wantKind(t testing.TB, err error, k fault.Kind) {
	t.Helper()
	if err == nil || fault.KindOf(err) != k {
		t.Errorf("error is %v, want kind %v", err, k)
	}
}

func path(t testing.TB, name string) files.Path {
	t.Helper()
	p, err := files.Parse(files.Root, name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var comparePaths = cmp.AllowUnexported(files.Path{})

func TestAccountLife(t *testing.T) {
	t.Parallel()
	b, dir := newBook(t)
	ctx := t.Context()
	v := b.Version()
	got := add(t, b, NewAccount{Name: "Li-Lei", Email: "li@example.org"})
	want := Account{
		Name: "Li-Lei", Email: "li@example.org", State: Active, Home: filepath.Join(dir, "homes", "Li-Lei"),
		Quota: 1 << 30, Down: Unlimited, Up: Unlimited, Grants: []Grant{{Under: files.Root, May: Full}}, Created: got.Created,
	}
	if d := cmp.Diff(want, got, comparePaths); d != "" {
		t.Fatalf("added account (-want +got):\n%s", d)
	}
	if time.Since(got.Created) > time.Minute || got.Created.Location() != time.UTC {
		t.Errorf("created %v", got.Created)
	}
	if b.Version() == v {
		t.Error("the version did not change")
	}
	if st, err := os.Stat(got.Home); err != nil || !st.IsDir() {
		t.Errorf("the home was not made: %v", err)
	}
	if again, err := b.Get(ctx, "LI-LEI"); err != nil || again.Name != "Li-Lei" {
		t.Errorf("Get with other case: %v, %v", again.Name, err)
	}
	_, err := b.Add(ctx, NewAccount{Name: "li-lei", Password: "correct horse"})
	wantKind(t, err, fault.Exist)

	state, quota, lenient, mail, down := Suspended, Unlimited, true, "", int64(5000)
	grants := []Grant{{path(t, "/in"), DropBox}, {path(t, "/out"), ReadOnly}}
	got, err = b.Update(ctx, "li-lei", Change{State: &state, Quota: &quota, Lenient: &lenient, Email: &mail, Down: &down, Grants: &grants})
	if err != nil {
		t.Fatal(err)
	}
	want.State, want.Quota, want.Lenient, want.Email, want.Down, want.Grants = state, quota, lenient, mail, down, grants
	if d := cmp.Diff(want, got, comparePaths); d != "" {
		t.Fatalf("updated account (-want +got):\n%s", d)
	}
	list, err := b.Accounts(ctx)
	if d := cmp.Diff([]Account{want}, list, comparePaths); d != "" || err != nil {
		t.Fatalf("Accounts: %v (-want +got):\n%s", err, d)
	}

	if err := b.Remove(ctx, "LI-lei"); err != nil {
		t.Fatal(err)
	}
	_, err = b.Get(ctx, "li-lei")
	wantKind(t, err, fault.NotExist)
	wantKind(t, b.Remove(ctx, "li-lei"), fault.NotExist)
	_, err = b.Update(ctx, "li-lei", Change{})
	wantKind(t, err, fault.NotExist)
	if _, err := os.Stat(got.Home); err != nil {
		t.Errorf("removing the account took the home: %v", err)
	}
}

func TestBookSurvivesReopening(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "a b?#%41.db") // a name that means something else in a URI
	o := Options{Homes: filepath.Join(dir, "homes"), DefaultQuota: Unlimited, Log: quiet()}
	var names []string
	for i := range 2 {
		b, err := Open(t.Context(), file, o)
		if err != nil {
			t.Fatal(err)
		}
		add(t, b, NewAccount{Name: fmt.Sprint("user", i)})
		b.Record(Transfer{Account: "user0", When: time.Now()})
		log, err := b.Log(t.Context(), Filter{})
		if err != nil || len(log) != i+1 || log[0].ID != int64(i+1) {
			t.Errorf("opening %d: log is %v, %v", i, log, err)
		}
		all, err := b.Accounts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		names = nil
		for _, a := range all {
			names = append(names, a.Name)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff([]string{"user0", "user1"}, names); d != "" {
		t.Error(d)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the book's file: %v, %v", st.Mode(), err)
	}
}

func TestBookPragmas(t *testing.T) {
	t.Parallel()
	b, _ := newBook(t)
	for _, c := range []struct{ pragma, want string }{
		{"journal_mode", "wal"}, {"synchronous", "2"}, {"foreign_keys", "1"}, {"busy_timeout", "5000"}, {"application_id", fmt.Sprint(applicationID)},
	} {
		var got string
		if err := b.w.QueryRowContext(t.Context(), "PRAGMA "+c.pragma).Scan(&got); err != nil || got != c.want {
			t.Errorf("%s is %q, want %q (%v)", c.pragma, got, c.want, err)
		}
	}
	if _, err := b.r.ExecContext(t.Context(), `DELETE FROM accounts`); err == nil {
		t.Error("the readers can write")
	}
}

func TestMigrationKeepsACopy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "book.db")
	o := Options{Homes: filepath.Join(dir, "homes"), Log: quiet()}
	b, err := Open(t.Context(), file, o)
	if err != nil {
		t.Fatal(err)
	}
	add(t, b, NewAccount{Name: "old"})
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	next := len(migrations) + 1
	broken := append(migrations[:len(migrations):len(migrations)], statements(`CREATE TABLE extra (x); INSERT INTO nowhere VALUES (1)`))
	_, err = open(t.Context(), file, o, broken)
	wantKind(t, err, fault.Local)
	newer := append(migrations[:len(migrations):len(migrations)], statements(`CREATE TABLE extra (x)`))
	b, err = open(t.Context(), file, o, newer)
	if err != nil {
		t.Fatalf("after a migration that failed: %v", err)
	}
	if _, err := b.w.ExecContext(t.Context(), `INSERT INTO extra VALUES (1)`); err != nil {
		t.Error(err)
	}
	b.Close()

	_, err = Open(t.Context(), file, o)
	wantKind(t, err, fault.Unsupported)
	if err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("a newer book: %v", err)
	}
	saved := fmt.Sprintf("%s.before-v%d", file, next)
	if st, err := os.Stat(saved); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("copy: %v, %v", st, err)
	}
	b, err = Open(t.Context(), saved, o)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Get(t.Context(), "old"); err != nil {
		t.Errorf("the copy from before: %v", err)
	}
}

// TestMovedBook: homes below the book's directory move with it, also those of a book from before this was so, and one
// that comes to lie below it stays the same home.
func TestMovedBook(t *testing.T) {
	t.Parallel()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	in := func(names ...string) string { return filepath.Join(append([]string{top}, names...)...) }
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var b *Book
	reopen := func(dir string) {
		t.Helper()
		b, err = Open(ctx, filepath.Join(dir, "book.db"), Options{Homes: filepath.Join(dir, "homes"), Log: quiet()})
		check(err)
	}
	quota, outside := int64(1000), in("there", "files")
	check(os.Mkdir(in("here"), 0o700))
	reopen(in("here"))
	add(t, b, NewAccount{Name: "ann", Quota: &quota})
	add(t, b, NewAccount{Name: "ben", Quota: &quota, Home: in("here", "homes", "ann")})
	add(t, b, NewAccount{Name: "eve", Quota: &quota, Home: outside})
	_, err = b.w.ExecContext(ctx, `
		PRAGMA foreign_keys = off; -- as it was kept before
		UPDATE homes SET dir = $1 WHERE dir = 'homes/ann'; UPDATE accounts SET home = $1 WHERE home = 'homes/ann'`, in("here", "homes", "ann"))
	check(err)
	check(b.Close())

	for _, step := range []struct {
		dir  string
		move func() error
	}{
		{in("here"), func() error { return nil }},
		{in("moved"), func() error { return os.Rename(in("here"), in("moved")) }},
		{in("there"), func() error { // above eve's home
			return errors.Join(os.Rename(in("moved", "book.db"), in("there", "book.db")), os.Rename(in("moved", "homes"), in("there", "homes")))
		}},
	} {
		check(step.move())
		reopen(step.dir)
		ann := filepath.Join(step.dir, "homes", "ann")
		for name, home := range map[string]string{"ann": ann, "ben": ann, "eve": outside} {
			quota++
			a, err := b.Update(ctx, name, Change{Quota: &quota})
			if err != nil || a.Home != home || a.Quota != quota {
				t.Errorf("in %s: %s has %s with quota %d, %v; want %s with %d", step.dir, name, a.Home, a.Quota, err, home, quota)
			}
			if got, err := b.Quota(ctx, home); err != nil || got != quota {
				t.Errorf("in %s: quota of %s: %d, %v; want %d", step.dir, name, got, err, quota)
			}
			if a, err = b.Update(ctx, name, Change{Home: &home}); err != nil || a.Home != home || a.Quota != quota {
				t.Errorf("in %s: the same home again: %s with quota %d, %v", step.dir, a.Home, a.Quota, err)
			}
			_, err = b.Add(ctx, NewAccount{Name: "fay", Password: "correct horse", Home: filepath.Join(home, "sub")})
			wantKind(t, err, fault.Denied)
		}
		check(b.Close())
	}
}

func TestForeignFilesAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("this is no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other")
	db, err := sql.Open("sqlite", other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`CREATE TABLE theirs (x)`); err != nil {
		t.Fatal(err)
	}
	db.Close()
	for _, c := range []struct {
		file string
		kind fault.Kind
	}{{text, fault.Local}, {other, fault.Unsupported}, {dir, fault.Local}, {filepath.Join(dir, "no", "such"), fault.Local}} {
		was, _ := os.ReadFile(c.file)
		_, err := Open(t.Context(), c.file, Options{Homes: dir, Log: quiet()})
		wantKind(t, err, c.kind)
		if now, _ := os.ReadFile(c.file); string(now) != string(was) {
			t.Errorf("%s was changed", c.file)
		}
	}
}

// Quota may be remembered, never beyond a change.
func TestQuotaIsNeverStale(t *testing.T) {
	t.Parallel()
	b, dir := newBook(t)
	ctx := t.Context()
	home := filepath.Join(dir, "home")
	quota := int64(1)
	add(t, b, NewAccount{Name: "one", Home: home, Quota: &quota})
	for quota = range 20 {
		if _, err := b.Update(ctx, "one", Change{Quota: &quota}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if q, err := b.Quota(ctx, home); err != nil || q != quota {
				t.Fatalf("quota %d, %v; want %d", q, err, quota)
			}
		}
	}
	b.r.Close()
	if q, err := b.Quota(ctx, home); err != nil || q != quota {
		t.Errorf("not remembered: %d, %v", q, err)
	}
	if err := b.Remove(ctx, "one"); err != nil {
		t.Fatal(err)
	}
	if q, err := b.Quota(ctx, home); err == nil {
		t.Errorf("a home that nobody has: quota %d", q)
	}
}

func TestHomes(t *testing.T) {
	t.Parallel()
	b, dir := newBook(t)
	ctx := t.Context()
	shared := filepath.Join(dir, "shared")
	quota := int64(1000)
	add(t, b, NewAccount{Name: "one", Home: shared + "/./x/../", Quota: &quota})
	if err := os.Symlink(shared, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	two := add(t, b, NewAccount{Name: "two", Home: filepath.Join(dir, "link")})
	if two.Home != shared || two.Quota != 1000 {
		t.Errorf("the same home through a link: %s with quota %d", two.Home, two.Quota)
	}
	quota = 2000
	if _, err := b.Update(ctx, "two", Change{Quota: &quota}); err != nil {
		t.Fatal(err)
	}
	if one, _ := b.Get(ctx, "one"); one.Quota != 2000 {
		t.Errorf("a shared home has two quotas: %d", one.Quota)
	}
	if q, err := b.Quota(ctx, shared); err != nil || q != 2000 {
		t.Errorf("quota %d, %v", q, err)
	}
	_, err := b.Quota(ctx, dir)
	wantKind(t, err, fault.NotExist)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		home string
		kind fault.Kind
	}{
		{filepath.Join(shared, "sub", "deep"), fault.Denied},
		{filepath.Join(dir, "link", "sub"), fault.Denied},
		{dir, fault.Denied},
		{"/", fault.Denied},
		{filepath.Join(dir, "homes"), fault.Denied},
		{"relative", fault.Syntax},
		{file, fault.Local},
		{filepath.Join(file, "below"), fault.Local},
		{dir + "/a\x00b", fault.BadName},
		{dir + "/a\nb", fault.BadName},
	} {
		_, err := b.Add(ctx, NewAccount{Name: fmt.Sprint("bad", i), Password: "correct horse", Home: c.home})
		if err == nil || fault.KindOf(err) != c.kind {
			t.Errorf("home %q: %v, want %v", c.home, err, c.kind)
		}
	}
	// A neighbour whose name begins the same is no neighbour within.
	add(t, b, NewAccount{Name: "three", Home: shared + "2"})
	// The only one in a home may move below it, and what nobody has is free again.
	sub := filepath.Join(shared+"2", "sub")
	if a, err := b.Update(ctx, "three", Change{Home: &sub}); err != nil || a.Home != sub {
		t.Errorf("moving down: %v, %v", a.Home, err)
	}
	if err := b.Remove(ctx, "three"); err != nil {
		t.Fatal(err)
	}
	add(t, b, NewAccount{Name: "four", Home: shared + "2"})
	bad := int64(-2)
	_, err = b.Add(ctx, NewAccount{Name: "five", Password: "correct horse", Quota: &bad})
	wantKind(t, err, fault.Syntax)
	_, err = b.Update(ctx, "four", Change{Quota: &bad})
	wantKind(t, err, fault.Syntax)
	if all, _ := b.Accounts(ctx); len(all) != 3 {
		t.Errorf("%d accounts, want one, two, four", len(all))
	}
}

func TestLastOperatorStays(t *testing.T) {
	t.Parallel()
	b, _ := newBook(t)
	ctx := t.Context()
	_, err := b.Add(ctx, NewAccount{Name: "operator", Password: "correct horse"})
	wantKind(t, err, fault.BadName)
	add(t, b, NewAccount{Name: "operator", Operator: true})
	no, suspended := false, Suspended
	_, err = b.Update(ctx, "operator", Change{State: &suspended})
	wantKind(t, err, fault.Stopped)
	wantKind(t, b.Remove(ctx, "operator"), fault.Stopped)
	add(t, b, NewAccount{Name: "second", Operator: true})
	if _, err := b.Update(ctx, "operator", Change{State: &suspended}); err != nil {
		t.Error(err)
	}
	_, err = b.Update(ctx, "second", Change{Operator: &no})
	wantKind(t, err, fault.Stopped)
	if a, err := b.Get(ctx, "second"); err != nil || !a.Operator {
		t.Errorf("a refused change was kept: %v, %v", a, err)
	}
	_, err = b.Update(ctx, "operator", Change{Operator: &no})
	wantKind(t, err, fault.BadName)
	if err := b.Remove(ctx, "operator"); err != nil {
		t.Errorf("a suspended operator is not the last active one: %v", err)
	}
}

func TestPasswordSetIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var told []string
	b, err := Open(t.Context(), filepath.Join(dir, "book.db"), Options{
		Homes: filepath.Join(dir, "homes"), Log: quiet(), PasswordSet: func(name string) { told = append(told, name) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	add(t, b, NewAccount{Name: "Ann"})
	pw, mail := "another one", "a@b"
	for _, c := range []Change{{Email: &mail}, {Password: &pw}} {
		if _, err := b.Update(t.Context(), "ann", c); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Remove(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"Ann", "Ann"}, told); d != "" {
		t.Error(d)
	}
}

func TestTransferLog(t *testing.T) {
	t.Parallel()
	b, _ := newBook(t)
	ctx := t.Context()
	start := time.UnixMicro(1_700_000_000_000_000).UTC()
	const writers, each = 8, 50
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				b.Record(Transfer{
					When: start.Add(time.Duration(i) * time.Minute), Account: fmt.Sprint("w", w), Remote: "192.0.2.1", Proto: "ftps",
					Verb: "put", Path: "/a b/文件", To: "", Bytes: int64(i), Size: 7, Took: 1500 * time.Microsecond, Result: "ok",
				})
			}
		})
	}
	wg.Wait()
	all, err := b.Log(ctx, Filter{Limit: 10 * writers * each})
	if err != nil || len(all) != writers*each {
		t.Fatalf("%d records, %v", len(all), err)
	}
	for i, r := range all {
		if r.ID != int64(writers*each-i) {
			t.Fatalf("record %d has id %d", i, r.ID)
		}
	}
	got, err := b.Log(ctx, Filter{Account: "w3", Since: start.Add(48 * time.Minute)})
	if err != nil || len(got) != 2 {
		t.Fatalf("filtered: %v, %v", got, err)
	}
	want := Transfer{
		ID: got[0].ID, When: start.Add(49 * time.Minute), Account: "w3", Remote: "192.0.2.1", Proto: "ftps",
		Verb: "put", Path: "/a b/文件", Bytes: 49, Size: 7, Took: 1500 * time.Microsecond, Result: "ok",
	}
	if d := cmp.Diff(want, got[0]); d != "" {
		t.Error(d)
	}
	if got, err := b.Log(ctx, Filter{}); err != nil || len(got) != defaultLimit {
		t.Errorf("without a limit: %d, %v", len(got), err)
	}
}

// TestRecordsOfEveryNumber: whether one statement takes a record or many, it is written as it is.
func TestRecordsOfEveryNumber(t *testing.T) {
	t.Parallel()
	b, _ := newBook(t)
	var want []Transfer // newest first
	for _, n := range []int{1, manyRows - 1, manyRows, manyRows + 1, 2 * manyRows} {
		for range n {
			i := int64(len(want) + 1)
			r := Transfer{
				When: time.UnixMicro(i).UTC(), Account: fmt.Sprint("a", i), Remote: fmt.Sprint("r", i), Proto: fmt.Sprint("p", i),
				Verb: fmt.Sprint("v", i), Path: fmt.Sprint("/", i), To: fmt.Sprint("/to", i), Bytes: 10 * i, Size: 20 * i,
				Took: time.Duration(i) * time.Microsecond, Result: fmt.Sprint("ok", i),
			}
			b.Record(r)
			r.ID = i
			want = slices.Insert(want, 0, r)
		}
		got, err := b.Log(t.Context(), Filter{Limit: len(want) + 1})
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("behind %d more: %v\n%s", n, err, d)
		}
	}
}

func TestRecordsThatCouldNotBeWrittenAreKept(t *testing.T) {
	t.Parallel()
	b, _ := newBook(t)
	b.Record(Transfer{Account: "a", Path: "/1"})
	cut, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Log(cut, Filter{}); err == nil {
		t.Error("a cancelled Log has no error")
	}
	b.Record(Transfer{Account: "a", Path: "/2"})
	got, err := b.Log(t.Context(), Filter{})
	if err != nil || len(got) != 2 || got[0].Path != "/2" || got[1].Path != "/1" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestRegistration(t *testing.T) {
	t.Parallel()
	b, dir := newBook(t)
	ctx := t.Context()
	ask := func(name, remote string) Ticket {
		t.Helper()
		tk, err := b.Register(ctx, name, "x@example.org", Proof{Password: "correct horse", Remote: remote}, "hello\r\nthere")
		if err != nil {
			t.Fatal(err)
		}
		return tk
	}
	seen := b.Changed()
	first := ask("Mei", "192.0.2.1")
	select {
	case <-seen:
	default:
		t.Error("a request is no change")
	}
	taken := ask("mei", "192.0.2.2")
	other := ask("Zhang", "192.0.2.3")
	reqs, err := b.Requests(ctx)
	if err != nil || len(reqs) != 2 || reqs[0].Name != "Mei" || reqs[1].Name != "Zhang" || reqs[0].Note != "hello  there" || reqs[0].Remote != "192.0.2.1" {
		t.Fatalf("requests: %+v, %v", reqs, err)
	}
	answer := func(tk Ticket, want Answer) {
		t.Helper()
		got, err := b.Answer(ctx, tk)
		if err != nil || got != want {
			t.Errorf("answer is %+v, %v, want %+v", got, err, want)
		}
	}
	answer(first, Answer{Pending, "Mei", ""})
	answer(taken, Answer{Pending, "mei", ""})
	_, err = b.Check(ctx, Proof{Name: "mei", Password: "correct horse"})
	wantKind(t, err, fault.Unauth)

	quota := int64(5)
	a, err := b.Decide(ctx, "MEI", Decision{Approve: true, By: "operator", Note: "welcome", Quota: &quota})
	if err != nil || a.Name != "Mei" || a.Quota != 5 || a.State != Active || a.Home != filepath.Join(dir, "homes", "Mei") || a.Email != "x@example.org" {
		t.Fatalf("approved: %+v, %v", a, err)
	}
	if a.May(files.Root) != Full {
		t.Errorf("an approved account may %v", a.May(files.Root))
	}
	if a, err = b.Decide(ctx, "zhang", Decision{By: "operator", Note: "not now"}); err != nil || a.Name != "Zhang" || a.State != Refused {
		t.Fatalf("refused: %+v, %v", a, err)
	}
	answer(Ticket(strings.ToLower(string(first))+"\n"), Answer{Active, "Mei", "welcome"})
	answer(other, Answer{Refused, "Zhang", "not now"})
	answer(taken, Answer{Pending, "mei", ""})
	_, err = b.Answer(ctx, "nonsense")
	wantKind(t, err, fault.NotExist)
	_, err = b.Decide(ctx, "mei", Decision{Approve: true})
	wantKind(t, err, fault.NotExist)
	if _, err := b.Check(ctx, Proof{Name: "mei", Password: "correct horse"}); err != nil {
		t.Errorf("the approved one cannot log in: %v", err)
	}
	// A taken name of an account looks the same as well, and a refused name can be asked for again.
	answer(ask("Mei", "192.0.2.4"), Answer{Pending, "Mei", ""})
	ask("Zhang", "192.0.2.4")
	if reqs, _ := b.Requests(ctx); len(reqs) != 1 || reqs[0].Name != "Zhang" {
		t.Errorf("requests: %+v", reqs)
	}
	var stored int
	if err := b.r.QueryRow(`SELECT count(*) FROM requests WHERE ticket = $1 OR password <> '' AND (decoy OR state <> 'pending')`, string(first)).Scan(&stored); err != nil || stored != 0 {
		t.Errorf("%d requests keep what they should not, %v", stored, err)
	}
}

func TestRegisterRefusesBadInput(t *testing.T) {
	t.Parallel()
	b, _ := newBook(t)
	for _, c := range []struct {
		name, email, password, note string
		kind                        fault.Kind
	}{
		{"operator", "", "correct horse", "", fault.BadName},
		{"Root", "", "correct horse", "", fault.BadName},
		{"register", "", "correct horse", "", fault.BadName},
		{"a b", "", "correct horse", "", fault.BadName},
		{"ann", "", "short12", "", fault.Syntax},
		{"ann", "nobody", "correct horse", "", fault.Syntax},
		{"ann", "a@b c", "correct horse", "", fault.Syntax},
		{"ann", "a@\u202eb", "correct horse", "", fault.Syntax},
		{"ann", "", "correct horse", strings.Repeat("x", maxNote+1), fault.Syntax},
		{"ann", "", "correct horse", "\xff", fault.Syntax},
		{"ann", "", "a\x00bcdefghi", "", fault.Syntax},
		{"ann", "", strings.Repeat("x", maxPassword+1), "", fault.Syntax},
		{"ann", "", "\xff\xfe345678", "", fault.Syntax},
	} {
		_, err := b.Register(t.Context(), c.name, c.email, Proof{Password: c.password}, c.note)
		if err == nil || fault.KindOf(err) != c.kind {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if reqs, err := b.Requests(t.Context()); err != nil || len(reqs) != 0 {
		t.Errorf("requests: %v, %v", reqs, err)
	}
}

// The limit of an address holds for requests that come at once, and leaves other addresses alone.
func TestRequestsOfAnAddressAreLimited(t *testing.T) {
	t.Parallel()
	b, _ := newBook(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	filed := 0
	for i := range 4 * requestsPerSource {
		wg.Go(func() {
			// One IPv6 network is one source.
			_, err := b.Register(t.Context(), fmt.Sprint("n", i), "", Proof{Password: "correct horse", Remote: fmt.Sprintf("2001:db8::%x", i)}, "")
			if err == nil {
				mu.Lock()
				filed++
				mu.Unlock()
			} else {
				wantKind(t, err, fault.TooMany)
			}
		})
	}
	wg.Wait()
	if filed == 0 || filed > requestsPerSource {
		t.Errorf("%d requests were filed", filed)
	}
	if _, err := b.Register(t.Context(), "other", "", Proof{Password: "correct horse", Remote: "2001:db8:0:1::1"}, ""); err != nil {
		t.Error(err)
	}
	if len(b.asking) != 0 {
		t.Errorf("still asking: %v", b.asking)
	}
}

// TestOneAddressCannotFillTheQueue: who asks five times an hour, day after day, and for names that are taken so that the
// operator sees nothing, leaves room for others.
func TestOneAddressCannotFillTheQueue(t *testing.T) {
	t.Parallel()
	b, _ := newBook(t)
	ctx := t.Context()
	if _, err := b.Add(ctx, NewAccount{Name: "taken", Password: "correct horse"}); err != nil {
		t.Fatal(err)
	}
	ask := func(remote string) error {
		_, err := b.Register(ctx, "taken", "", Proof{Password: "correct horse", Remote: remote}, "")
		if err == nil {
			_, err = b.w.ExecContext(ctx, `UPDATE requests SET asked = asked - $1`, time.Hour.Microseconds())
		}
		return err
	}
	for n := range pendingPerSource {
		if err := ask("192.0.2.1"); err != nil {
			t.Fatal(n, err)
		}
	}
	wantKind(t, ask("192.0.2.1"), fault.TooMany)
	if err := ask("192.0.2.2"); err != nil {
		t.Error(err)
	}
	if _, err := b.w.ExecContext(ctx, `UPDATE requests SET expires = $1`, micros(time.Now())); err != nil {
		t.Fatal(err)
	}
	if err := ask("192.0.2.1"); err != nil {
		t.Errorf("when they have expired: %v", err)
	}
}

// TestRequestBehindAnotherForItsName: who asks first for somebody else's name does not keep him from being seen for ever.
func TestRequestBehindAnotherForItsName(t *testing.T) {
	t.Parallel()
	b, _ := newBook(t)
	ctx := t.Context()
	ask := func(name, note string) Ticket {
		t.Helper()
		tk, err := b.Register(ctx, name, "", Proof{Password: "correct horse " + note, Remote: ""}, note)
		if err != nil {
			t.Fatal(err)
		}
		return tk
	}
	shown := func(want string) {
		t.Helper()
		got := ""
		reqs, err := b.Requests(ctx)
		for _, r := range reqs {
			got += r.Note + " "
		}
		if err != nil || got != want {
			t.Errorf("shown: %q, %v, want %q", got, err, want)
		}
	}
	ask("bob", "mallory")
	bobs := ask("Bob", "bob")
	ask("bob", "third")
	shown("mallory ")
	if _, err := b.Decide(ctx, "bob", Decision{By: "op"}); err != nil {
		t.Fatal(err)
	}
	shown("bob ")
	if _, err := b.Decide(ctx, "bob", Decision{By: "op", Approve: true}); err != nil {
		t.Fatal(err)
	}
	shown("")
	if a, err := b.Answer(ctx, bobs); err != nil || a.State != Active {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := b.Check(ctx, Proof{Name: "bob", Password: "correct horse bob"}); err != nil {
		t.Error(err)
	}
	// One that expires makes room too, as soon as somebody asks.
	ask("ann", "first")
	ask("ann", "second")
	if _, err := b.w.ExecContext(ctx, `UPDATE requests SET expires = $1 WHERE note = 'first'`, micros(time.Now())); err != nil {
		t.Fatal(err)
	}
	ask("other", "other")
	shown("second other ")
}

func TestPendingRequestsAreLimitedAndExpire(t *testing.T) {
	t.Parallel()
	b, _ := newBook(t)
	ctx := t.Context()
	first, err := b.Register(ctx, "first", "", Proof{Password: "correct horse"}, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.w.ExecContext(ctx, `
		WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i+1 FROM n WHERE i < $1)
		INSERT INTO requests SELECT i, 'n' || i, 'n' || i, '', '', '', '', '', asked, expires, 0, state, 0, '', '' FROM n, requests`, maxPending)
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Register(ctx, "more", "", Proof{Password: "correct horse"}, "")
	wantKind(t, err, fault.TooMany)
	if _, err := b.w.ExecContext(ctx, `UPDATE requests SET expires = $1`, micros(time.Now())); err != nil {
		t.Fatal(err)
	}
	if reqs, err := b.Requests(ctx); err != nil || len(reqs) != 0 {
		t.Errorf("%d expired requests are listed, %v", len(reqs), err)
	}
	_, err = b.Answer(ctx, first)
	wantKind(t, err, fault.NotExist)
	_, err = b.Decide(ctx, "first", Decision{Approve: true})
	wantKind(t, err, fault.NotExist)
	if _, err := b.Register(ctx, "first", "", Proof{Password: "correct horse"}, ""); err != nil {
		t.Errorf("an expired request holds its name: %v", err)
	}
	var n int
	if err := b.r.QueryRow(`SELECT count(*) FROM requests`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d requests are kept, %v", n, err)
	}
}

// A stranger who asks for the name of somebody who left does not get what that one left.
func TestApprovalDoesNotInheritAHome(t *testing.T) {
	t.Parallel()
	b, _ := newBook(t)
	ctx := t.Context()
	old := add(t, b, NewAccount{Name: "bob"})
	if err := os.WriteFile(filepath.Join(old.Home, "secret"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Remove(ctx, "bob"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Register(ctx, "Bob", "", Proof{Password: "correct horse"}, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Decide(ctx, "bob", Decision{Approve: true, Home: old.Home + "2"}); err != nil {
		t.Fatal(err)
	}
	if err := b.Remove(ctx, "bob"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Register(ctx, "bob", "", Proof{Password: "correct horse"}, ""); err != nil {
		t.Fatal(err)
	}
	_, err := b.Decide(ctx, "bob", Decision{Approve: true})
	wantKind(t, err, fault.Exist)
	if reqs, _ := b.Requests(ctx); len(reqs) != 1 {
		t.Error("the request did not stay open")
	}
	if a, err := b.Decide(ctx, "bob", Decision{Approve: true, Home: old.Home}); err != nil || a.Home != old.Home {
		t.Errorf("named home: %v, %v", a, err)
	}
}

func TestDecideWhenTheNameWasAddedMeanwhile(t *testing.T) {
	t.Parallel()
	b, _ := newBook(t)
	tk, err := b.Register(t.Context(), "ann", "", Proof{Password: "correct horse"}, "")
	if err != nil {
		t.Fatal(err)
	}
	add(t, b, NewAccount{Name: "ann", Password: "something else"})
	_, err = b.Decide(t.Context(), "ann", Decision{Approve: true})
	wantKind(t, err, fault.Exist)
	if a, err := b.Answer(t.Context(), tk); err != nil || a.State != Pending {
		t.Errorf("%v, %v", a, err)
	}
	if _, err := b.Decide(t.Context(), "ann", Decision{}); err != nil {
		t.Error(err)
	}
	_, err = b.Check(t.Context(), Proof{Name: "ann", Password: "correct horse"})
	wantKind(t, err, fault.Unauth)
}

func TestCloseTwice(t *testing.T) {
	t.Parallel()
	b, _ := newBook(t)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if _, err := b.Accounts(t.Context()); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a closed book answers: %v", err)
	}
}

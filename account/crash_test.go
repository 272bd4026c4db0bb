package account

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sampan/fault"
	"sampan/files"
)

// victimBook names the book that this process is to write to until it is killed.
const victimBook = "ACCOUNT_TEST_VICTIM"

func TestMain(m *testing.M) {
	if file := os.Getenv(victimBook); file != "" {
		fmt.Println(beVictim(file))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// beVictim grants and revokes, and acknowledges each step with a line once it is done.
func beVictim(file string) error {
	ctx := context.Background()
	b, err := Open(ctx, file, Options{Homes: filepath.Join(filepath.Dir(file), "homes"), Log: quiet()})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		under, err := files.Parse(files.Root, fmt.Sprint("/", i))
		if err != nil {
			return err
		}
		if _, err := b.Grant(ctx, "ann", Grant{under, Read}); err != nil {
			return err
		}
		fmt.Println("+", i)
		if i%2 == 1 {
			continue
		}
		if _, err := b.Revoke(ctx, "ann", under); err != nil {
			return err
		}
		fmt.Println("-", i)
	}
}

// What was acknowledged is in the book after kill -9, and nothing is half there.
func TestKilledBookKeepsWhatItSaid(t *testing.T) {
	t.Parallel()
	for round := range 5 {
		dir := t.TempDir()
		file := filepath.Join(dir, "book.db")
		o := Options{Homes: filepath.Join(dir, "homes"), Log: quiet()}
		b, err := Open(t.Context(), file, o)
		if err != nil {
			t.Fatal(err)
		}
		add(t, b, NewAccount{Name: "ann", Grants: []Grant{}})
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		last := killAfter(t, file, 20+rand.IntN(60))
		b, err = Open(t.Context(), file, o)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		a, err := b.Get(t.Context(), "ann")
		if err != nil {
			t.Fatal(err)
		}
		have := map[int]bool{}
		for _, g := range a.Grants {
			n, err := strconv.Atoi(g.Under.Base())
			if err != nil || g.May != Read {
				t.Errorf("grant %v", g)
			}
			have[n] = true
		}
		sign, n := last[0], 0
		if n, err = strconv.Atoi(last[2:]); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if have[i] != (i%2 == 1) {
				t.Errorf("round %d, killed after %q: grant %d is there: %v", round, last, i, have[i])
			}
		}
		// The step after the last acknowledged one may have happened.
		if sign == '+' && !have[n] && n%2 == 1 || sign == '-' && have[n] {
			t.Errorf("round %d, killed after %q: grant %d is there: %v", round, last, n, have[n])
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// killAfter runs a victim, kills it after some lines and returns the last line that it wrote.
func killAfter(t *testing.T, file string, lines int) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), victimBook+"="+file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := ""
	for s := bufio.NewScanner(out); s.Scan(); lines-- {
		if last = s.Text(); !strings.HasPrefix(last, "+ ") && !strings.HasPrefix(last, "- ") {
			t.Fatalf("the victim: %s", last)
		}
		if lines == 0 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || last == "" {
		t.Fatalf("the victim ended with %v after %q", err, last)
	}
	return last
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	b, _ := newBook(t)
	ctx := t.Context()
	add(t, b, NewAccount{Name: "ann"})
	var pages int
	if err := b.w.QueryRow(`PRAGMA page_count`).Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if _, err := b.w.Exec(fmt.Sprintf(`PRAGMA max_page_count = %d`, pages)); err != nil {
		t.Fatal(err)
	}
	var err error
	for i := 0; err == nil && i < 900; i++ {
		_, err = b.Grant(ctx, "ann", Grant{path(t, fmt.Sprintf("/%0200d", i)), Read})
	}
	wantKind(t, err, fault.NoSpace)
	before, err := b.Get(ctx, "ann")
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		b.Record(Transfer{Account: "ann", Path: strings.Repeat("x", 1000)})
	}
	_, err = b.Log(ctx, Filter{})
	wantKind(t, err, fault.NoSpace)
	if _, err := b.Check(ctx, Proof{Name: "ann", Password: "correct horse"}); err != nil {
		t.Errorf("with a full disk nobody gets in: %v", err)
	}
	if _, err := b.w.Exec(`PRAGMA max_page_count = 100000`); err != nil {
		t.Fatal(err)
	}
	if log, err := b.Log(ctx, Filter{}); err != nil || len(log) != 50 {
		t.Errorf("%d records are left, %v", len(log), err)
	}
	if after, err := b.Get(ctx, "ann"); err != nil || len(after.Grants) != len(before.Grants) {
		t.Errorf("%d grants, before %d, %v", len(after.Grants), len(before.Grants), err)
	}
}

// Whatever happens at once, there is an active operator, every home is somebody's, and no account is half changed.
func TestManyChangesAtOnce(t *testing.T) {
	t.Parallel()
	b, dir := newBook(t)
	ctx := t.Context()
	names := []string{"ann", "bob", "cid", "dan"}
	for _, n := range names {
		add(t, b, NewAccount{Name: n, Operator: true})
	}
	check := func() {
		all, err := b.Accounts(ctx)
		if err != nil {
			t.Error(err)
		}
		active := 0
		for _, a := range all {
			if a.Operator && a.State == Active {
				active++
			}
			if n := len(a.Grants); n != 0 && n != 2 && a.May(files.Root) != Full {
				t.Errorf("%s has %v", a.Name, a.Grants)
			}
		}
		if active == 0 {
			t.Error("no active operator is left")
		}
	}
	var wg sync.WaitGroup
	stop := time.Now().Add(time.Second)
	seed := rand.Uint64()
	for w := range 6 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(w)))
			for time.Now().Before(stop) {
				name := names[r.IntN(len(names))]
				state, op := []State{Active, Suspended}[r.IntN(2)], r.IntN(2) == 0
				grants := [][]Grant{{}, {{path(t, "/a"), Read}, {path(t, "/b"), Write}}}[r.IntN(2)]
				home := filepath.Join(dir, fmt.Sprint("h", r.IntN(3)))
				var err error
				switch r.IntN(5) {
				case 0:
					_, err = b.Update(ctx, name, Change{State: &state, Operator: &op})
				case 1:
					_, err = b.Update(ctx, name, Change{Grants: &grants})
				case 2:
					_, err = b.Update(ctx, name, Change{Home: &home})
				case 3:
					if err = b.Remove(ctx, name); err == nil {
						_, err = b.Add(ctx, NewAccount{Name: name, Password: "correct horse", Operator: op})
					}
				case 4:
					check()
				}
				switch fault.KindOf(err) {
				case fault.Stopped, fault.NotExist, fault.Exist:
				default:
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	check()
	var loose int
	err := b.r.QueryRow(`SELECT count(*) FROM homes WHERE dir NOT IN (SELECT home FROM accounts)`).Scan(&loose)
	if err != nil || loose != 0 {
		t.Errorf("%d homes are nobody's, %v; seed %d", loose, err, seed)
	}
}

// A book that somebody wrote to by hand is no reason to tell a user that he made a mistake, nor to let him in.
func TestTamperedBook(t *testing.T) {
	t.Parallel()
	for _, change := range []string{
		`UPDATE accounts SET password = '$argon2id$v=19$m=4194304,t=1000,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'`,
		`UPDATE accounts SET password = ''`,
		`UPDATE accounts SET state = 'root'`,
		`UPDATE grants SET perms = 'everything'`,
		`UPDATE grants SET under = '/.sampan'`,
	} {
		b, _ := newBook(t)
		add(t, b, NewAccount{Name: "ann"})
		if _, err := b.w.Exec(change); err != nil {
			t.Fatal(err)
		}
		_, err := b.Check(t.Context(), Proof{Name: "ann", Password: "correct horse", Remote: "192.0.2.1"})
		wantKind(t, err, fault.Internal)
	}
}

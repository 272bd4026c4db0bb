package client_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"sampan/account"
	"sampan/client"
	"sampan/fault"
	"sampan/files"
)

var sum64 = strings.Repeat("0a", 32)

func TestAnswersOfSITE(t *testing.T) {
	t.Parallel()
	if n, sum, ok := client.ParsePart("12 SHA-256 " + sum64 + " /a b"); !ok || n != 12 || len(sum) != 32 {
		t.Error(n, sum, ok)
	}
	if from, to, _, ok := client.ParseHash("SHA-256 5-104 " + sum64 + " f"); !ok || from != 5 || to != 104 {
		t.Error(from, to, ok)
	}
	if s, ok := client.ParseQuota("used 5 of none, free unknown"); !ok || s != (files.Space{Used: 5, Quota: -1, Free: -1}) {
		t.Error(s, ok)
	}
	if s, ok := client.ParseQuota("used 5 of 10, free 99"); !ok || s != (files.Space{Used: 5, Quota: 10, Free: 99}) {
		t.Error(s, ok)
	}
	if s, ok := client.ParseTick("Asked. Ticket: abc-DEF_1"); !ok || s != "abc-DEF_1" {
		t.Error(s, ok)
	}
	if s, ok := client.ParseStand("refused: not: you\x1b"); !ok || s != (client.Standing{State: client.Refused, Note: "not: you\uFFFD"}) {
		t.Error(s, ok)
	}
	for _, bad := range []string{"", "x", "-1 SHA-256 " + sum64, "1 MD5 " + sum64, "1 SHA-256 0a", "99999999999999999999 SHA-256 " + sum64} {
		if _, _, ok := client.ParsePart(bad); ok {
			t.Errorf("part %q", bad)
		}
	}
	for _, bad := range []string{"", "used -1 of none, free 1", "used 1 of x, free 1", "used 1 of 1 free 1", "used none of 1, free 1"} {
		if s, ok := client.ParseQuota(bad); ok {
			t.Errorf("quota %q is %+v", bad, s)
		}
	}
	for _, bad := range []string{"", "Ticket: ", "Ticket: a b", "Ticket: \x1b"} {
		if s, ok := client.ParseTick(bad); ok {
			t.Errorf("ticket %q is %q", bad, s)
		}
	}
}

func FuzzAnswersOfSITE(f *testing.F) {
	f.Add("12 SHA-256 " + sum64 + " /a b")
	f.Add("SHA-256 5-104 " + sum64 + " f")
	f.Add("used 5 of none, free unknown")
	f.Add("Asked. Ticket: abc")
	f.Add("refused: note")
	f.Fuzz(func(t *testing.T, s string) {
		if n, sum, ok := client.ParsePart(s); ok && (n < 0 || len(sum) != 32) {
			t.Errorf("part %q: %d %x", s, n, sum)
		}
		if _, _, sum, ok := client.ParseHash(s); ok && len(sum) != 32 {
			t.Errorf("hash %q: %x", s, sum)
		}
		if q, ok := client.ParseQuota(s); ok && (q.Used < 0 || q.Quota < -1 || q.Free < -1) {
			t.Errorf("quota %q: %+v", s, q)
		}
		if ticket, ok := client.ParseTick(s); ok && (ticket == "" || strings.ContainsAny(ticket, " \r\n\x00")) {
			t.Errorf("ticket %q: %q", s, ticket)
		}
		if st, ok := client.ParseStand(s); ok && strings.ContainsAny(st.Note, "\x1b\r\n") {
			t.Errorf("standing %q: %+v", s, st)
		}
		if p := client.Printable(s); !utf8.ValidString(p) || strings.ContainsAny(p, "\x1b\r\n\x07\u202e") || utf8.RuneCountInString(p) > 501 {
			t.Errorf("printable %q: %q", s, p)
		}
	})
}

func FuzzParsePins(f *testing.F) {
	f.Add([]byte("# known\nh:21 sha256:" + sum64 + "\n"))
	f.Add([]byte("[::1]:21 " + sum64))
	f.Fuzz(func(t *testing.T, b []byte) {
		pins, bad := client.ParsePins(b)
		if (pins == nil) != (bad > 0) {
			t.Errorf("%q: %v and line %d", b, pins, bad)
		}
		for host, pin := range pins {
			if host == "" || len(pin) != len("sha256:")+64 {
				t.Errorf("%q: %q is %q", b, host, pin)
			}
		}
	})
}

func FuzzLocalName(f *testing.F) {
	for _, s := range []string{"a:b", "CON.txt", "x. ", "...", "\x01", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := files.Root.Join(s)
		if err != nil {
			return
		}
		got, err := client.LocalName("windows", p.Base())
		if err != nil {
			return
		}
		if got == "" || strings.ContainsAny(got, `<>:"/\|?*`) || strings.HasSuffix(got, ".") || strings.HasSuffix(got, " ") {
			t.Errorf("%q is %q on Windows", s, got)
		}
		if again, err := client.LocalName("windows", got); err != nil || again != got {
			t.Errorf("%q is %q, and that is %q, %v", s, got, again, err)
		}
	})
}

// TestPasswordSources: each source by itself, and what comes before what.
func TestPasswordSources(t *testing.T) {
	h := newHarbour(t)
	dir := t.TempDir()
	netrc := filepath.Join(dir, "netrc")
	t.Setenv("NETRC", netrc)
	t.Setenv("HOME", dir)
	t.Setenv("SAMPAN_PASSWORD", "")
	must(t, os.Unsetenv("SAMPAN_PASSWORD"))
	dial := func(inURL string, prompt string) error {
		u := h.url("ftp", h.ftp, "alice")
		u.Pass = inURL
		o := h.options()
		if prompt != "" {
			o.Password = func(_ context.Context, u client.URL) (string, error) {
				if u.User != "alice" || u.Pass != "" {
					t.Errorf("asked for %+v", u)
				}
				return prompt, nil
			}
		}
		r, err := client.Dial(t.Context(), u, o)
		if err == nil {
			r.Close()
		}
		return err
	}
	wantKind(t, dial("", ""), fault.Unauth)
	must(t, dial("", password))
	wantKind(t, dial("", "wrong password"), fault.Unauth)
	write(t, netrc, []byte("machine 127.0.0.1 login bob password wrong\nmachine 127.0.0.1 login alice password \""+password+"\"\n"))
	if p, ok, err := client.FromNetrc("127.0.0.1", "alice"); err != nil || !ok {
		t.Errorf("netrc: %q %v %v", p, ok, err)
	}
	if p, ok, err := client.FromNetrc("elsewhere", "alice"); err != nil || ok {
		t.Errorf("netrc of another host: %q %v", p, err)
	}
	t.Setenv("SAMPAN_PASSWORD_COMMAND", "printf '%s\\nsecond line' '"+password+"'")
	must(t, dial("", "wrong"))
	t.Setenv("SAMPAN_PASSWORD_COMMAND", "false")
	wantKind(t, dial("", password), fault.Unauth)
	t.Setenv("SAMPAN_PASSWORD", password)
	must(t, dial("", "wrong"))
	t.Setenv("SAMPAN_PASSWORD", "wrong")
	must(t, dial(password, ""))
}

func TestJoining(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	u := h.url("ftp", h.ftp, "")
	ticket, err := client.Register(t.Context(), u, h.options(), "newcomer", "n@example.org", "a good password here")
	must(t, err)
	st, err := client.Answer(t.Context(), u, h.options(), ticket)
	must(t, err)
	if st.State != client.Pending {
		t.Errorf("%+v", st)
	}
	_, err = h.book.Decide(t.Context(), "newcomer", account.Decision{Approve: true, By: "operator", Note: "welcome: 欢迎"})
	must(t, err)
	st, err = client.Answer(t.Context(), u, h.options(), ticket)
	must(t, err)
	if st != (client.Standing{State: client.Approved, Note: "welcome: 欢迎"}) {
		t.Errorf("%+v", st)
	}
	u.User, u.Pass = "newcomer", "a good password here"
	r, err := client.Dial(t.Context(), u, h.options())
	must(t, err)
	must(t, r.Mkdir(t.Context(), path(t, "mine")))
	must(t, r.Close())
	ticket, err = client.Register(t.Context(), u, h.options(), "other", "", "a good password here")
	must(t, err)
	_, err = h.book.Decide(t.Context(), "other", account.Decision{By: "operator", Note: "no"})
	must(t, err)
	if st, err = client.Answer(t.Context(), u, h.options(), ticket); err != nil || st.State != client.Refused || st.Note != "no" {
		t.Errorf("%+v %v", st, err)
	}
	_, err = client.Answer(t.Context(), u, h.options(), "no-such-ticket")
	wantKind(t, err, fault.NotExist)
	_, err = client.Register(t.Context(), u, h.options(), "x/y", "", "a good password here")
	wantKind(t, err, fault.BadName)
	_, err = client.Register(t.Context(), u, h.options(), "short", "", "x")
	wantKind(t, err, fault.BadName)
	_, err = client.Register(t.Context(), u, h.options(), "in ject", "", "a good password here")
	wantKind(t, err, fault.Syntax)
	_, err = client.Register(t.Context(), u, h.options(), "inject", "", "a\r\nQUIT")
	wantKind(t, err, fault.Syntax)
}

func TestQuotaAndASCII(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	quota := int64(1000)
	_, err := h.book.Update(t.Context(), "alice", account.Change{Quota: &quota})
	must(t, err)
	r := h.dial("alice")
	local := t.TempDir()
	d := disk(t, local)
	write(t, filepath.Join(local, "text"), []byte("one\r\ntwo\n"))
	write(t, filepath.Join(local, "big"), bytesOf(1, 2000))
	_, err = client.Copy(t.Context(), d, path(t, "big"), r, path(t, "big"), client.CopyOptions{})
	wantKind(t, err, fault.OverQuota)
	r.Tune(func(o *client.Options) { o.ASCII = true })
	res, err := client.Copy(t.Context(), d, path(t, "text"), r, path(t, "text"), client.CopyOptions{})
	must(t, err)
	if got := string(read(t, filepath.Join(h.home("alice"), "text"))); got != "one\ntwo\n" || res.Verified {
		t.Errorf("%q arrived, %+v", got, res)
	}
	_, err = client.Copy(t.Context(), r, path(t, "text"), d, path(t, "back"), client.CopyOptions{})
	must(t, err)
	s, err := r.Space(t.Context())
	must(t, err)
	if s.Used != 8 || s.Quota != 1000 {
		t.Errorf("%+v", s)
	}
}

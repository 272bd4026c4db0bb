package console

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sampan/admin"
	"sampan/fault"
	"sampan/words"
)

var somebody = []admin.Session{
	{ID: 1, Account: "alice", Remote: "192.168.1.20:40000", TLS: true, Doing: &admin.Moving{
		Verb: "put", Path: "/photos/2026/the trip to the sea.zip", Done: 62 << 20, Size: 100 << 20, BytesPerSec: 41.25 * (1 << 20),
	}},
	{ID: 2, Account: "李雷和韩梅梅的账号", Remote: "[2001:db8::1234:5678:9abc]:40000", TLS: true, Doing: &admin.Moving{
		Verb: "get", Path: "/资料/二〇二六年的照片.zip", Done: 5 << 30, Size: -1, BytesPerSec: 999 << 10,
	}},
	{ID: 3, Account: "bob", Remote: "10.0.0.7:1", Idle: 190},
	{ID: 4, Proto: "sftp", Remote: "127.0.0.1:2", Idle: 2},
}

func TestLines(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	var p picture
	p.quota = 10 << 30
	p.show(somebody, []admin.Request{
		{Name: "lina", Email: "lina@example.org", Note: "from the \x1b[2J field crew", Remote: "192.168.1.33:50000"},
		{Name: "wang", Remote: "192.168.1.34:50000"},
	}, now)
	got := func(l words.Lang) []string {
		var out []string
		for _, line := range p.lines(l, 80, 24) {
			out = append(out, plain(line))
		}
		return out
	}
	want := []string{
		"4 in, 2 moving; ^C stops the server",
		"alice        192.168.1.20    TLS   put  …o the sea.zip [======    ]  62%  41M/s",
		"李雷和韩梅…  2001:db8::1234… TLS   get  …年的照片.zip               5.0G 999K/s",
		"bob          10.0.0.7        plain idle 3m",
		"(logging in) 127.0.0.1       SSH   idle <1m",
		`lina says: lina@example.org from the \x1b[2J field crew`,
		"lina (192.168.1.33) asks for an account, 10G: 1 allows, 2 refuses (1 more wait)",
	}
	if diff := cmp.Diff(want, got(words.English)); diff != "" {
		t.Error(diff)
	}
	want = []string{
		"在线 4，传输中 2；按 ^C 停止服务器",
		"alice        192.168.1.20    TLS   上传 …o the sea.zip [======    ]  62%  41M/s",
		"李雷和韩梅…  2001:db8::1234… TLS   下载 …年的照片.zip               5.0G 999K/s",
		"bob          10.0.0.7        明文  空闲 3m",
		"（登录中）   127.0.0.1       SSH   空闲 <1m",
		`lina 留言：lina@example.org from the \x1b[2J field crew`,
		"lina（192.168.1.33）申请账户，配额 10G：1 允许，2 拒绝（还有 1 个在等）",
	}
	if diff := cmp.Diff(want, got(words.Chinese)); diff != "" {
		t.Error(diff)
	}
}

// TestLinesFit: whatever is live, no line reaches the last column and the area leaves room for the log.
func TestLinesFit(t *testing.T) {
	t.Parallel()
	var many []admin.Session
	for i := range 60 {
		one := somebody[i%len(somebody)]
		one.Account += fmt.Sprint(i)
		many = append(many, one)
	}
	for _, l := range []words.Lang{words.English, words.Chinese} {
		for _, columns := range []int{21, 40, 60, 80, 132} {
			for _, rows := range []int{5, 24} {
				var p picture
				p.show(many, []admin.Request{{Name: strings.Repeat("长", 32), Note: strings.Repeat("note ", 50), Remote: "[2001:db8::1]:1"}}, time.Time{})
				lines := p.lines(l, columns, rows)
				if len(lines) > rows-1 {
					t.Errorf("%d lines on %d rows", len(lines), rows)
				}
				for _, line := range lines {
					if w := words.Width(plain(line)); w >= columns {
						t.Errorf("%d columns of %d: %q", w, columns, line)
					}
				}
			}
		}
	}
}

func TestBroken(t *testing.T) {
	t.Parallel()
	var p picture
	p.broken = fault.Say(fault.New(fault.Unreachable, "the server does not answer on its operator's socket"))
	if got := plain(p.lines(words.English, 80, 24)[0]); got != "the server does not answer on its operator's socket" {
		t.Error(got)
	}
}

func TestKeysDecide(t *testing.T) {
	t.Parallel()
	lina, wang := admin.Request{Name: "lina", Asked: "a"}, admin.Request{Name: "wang", Asked: "b"}
	later := time.Unix(2000, 0)
	rows := []struct {
		keys string
		want deed
	}{
		{"1\r", deed{decide: true, name: "lina", approve: true}},
		{"2\r", deed{decide: true, name: "lina"}},
		{"2not yet\x7f\x7f\x7fnow\r", deed{decide: true, name: "lina", note: "not now"}},
		{"1\x1b2\r", deed{decide: true, name: "lina"}},
		{"1你好 \n", deed{decide: true, name: "lina", approve: true, note: "你好"}},
		{"1abc\x15d\r", deed{decide: true, name: "lina", approve: true, note: "d"}},
		{"1" + strings.Repeat("\x7f", 3) + "\r", deed{decide: true, name: "lina", approve: true}},
		{"xyz3\r\r", deed{}},
		{"1\x03", deed{leave: true}},
		{"\x0c", deed{redraw: true}},
	}
	for _, row := range rows {
		var p picture
		p.show(nil, []admin.Request{lina, wang}, later.Add(-time.Second))
		var got deed
		pressed, rest := keys([]byte(row.keys))
		if len(rest) > 0 {
			t.Errorf("%q leaves %q", row.keys, rest)
		}
		for _, key := range pressed {
			got = p.press(key, later)
		}
		if got != row.want {
			t.Errorf("%q: %+v, want %+v", row.keys, got, row.want)
		}
	}
}

// TestKeyForAnother: a key meant for one request never answers another that took its place on the screen.
func TestKeyForAnother(t *testing.T) {
	t.Parallel()
	lina, wang := admin.Request{Name: "lina"}, admin.Request{Name: "wang"}
	now := time.Unix(1000, 0)
	var p picture
	if !p.show(nil, []admin.Request{lina}, now) {
		t.Error("a request is no news")
	}
	now = now.Add(time.Second)
	p.press('1', now)
	// lina was answered elsewhere, wang is asked about: Enter does nothing, and a 1 counts only after a moment.
	if !p.show(nil, []admin.Request{wang}, now) {
		t.Error("another request is no news")
	}
	for _, key := range "\r1\r" {
		if d := p.press(key, now.Add(settle-1)); d.decide {
			t.Errorf("%+v", d)
		}
	}
	p.press('1', now.Add(settle))
	if d := p.press('\r', now.Add(settle)); !d.approve || d.name != "wang" {
		t.Errorf("%+v", d)
	}
	// What is typed survives news about others.
	if p.show(nil, []admin.Request{wang, lina}, now) {
		t.Error("a request behind the first is news")
	}
	p.show(nil, nil, now)
	if d := p.press('1', now.Add(time.Hour)); d != (deed{}) || p.stage != choosing {
		t.Errorf("%+v", d)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		in   string
		want string
		rest string
	}{
		{"1\r", "1\r", ""},
		{"\x1b[A1\x1bOB2\x1b[1;5C3", "123", ""},
		{"\x1b", "\x1b", ""},
		{"你\xe5\xa5", "你", "\xe5\xa5"},
		{"a\xffb", "ab", ""},
	} {
		got, rest := keys([]byte(row.in))
		if string(got) != row.want || string(rest) != row.rest {
			t.Errorf("%q: %q and %q", row.in, string(got), rest)
		}
	}
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte("1\x1b[A你\xe5\xa5"))
	f.Fuzz(func(t *testing.T, b []byte) {
		pressed, rest := keys(slices.Clone(b))
		if len(rest) > 3 {
			t.Errorf("%q waits for the rest of %q", b, rest)
		}
		p := picture{asks: []admin.Request{{Name: "lina"}}}
		for _, key := range pressed {
			p.press(key, time.Unix(1000, 0))
			for _, line := range p.lines(words.English, 80, 24) {
				if w := words.Width(plain(line)); w > 79 {
					t.Fatalf("%d columns: %q", w, line)
				}
			}
		}
	})
}

func TestRedraw(t *testing.T) {
	t.Parallel()
	var l live
	step := func(text string, lines []string, want string) {
		t.Helper()
		if got := string(l.redraw([]byte(text), lines, 80)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	step("", []string{"a", "b"}, "a\r\nb")
	step("", []string{"a", "b"}, "") // nothing changed
	step("log\n", []string{"a", "b"}, "\r\x1b[1A\x1b[Jlog\r\na\r\nb")
	step("two\nlines\n", []string{"c"}, "\r\x1b[1A\x1b[Jtwo\r\nlines\r\nc")
	step("", nil, "\r\x1b[J")
	step("log\n", nil, "log\r\n")
	// What was drawn on a wider terminal takes more rows on a narrow one.
	l.redraw(nil, []string{strings.Repeat("x", 70), bold("yy")}, 80)
	if got := string(l.redraw(nil, []string{"z"}, 30)); got != "\r\x1b[3A\x1b[Jz" {
		t.Errorf("%q", got)
	}
}

package main

import (
	"fmt"
	"strings"
	"testing"

	"sampan/admin"
	"sampan/words"
)

// TestTablesFit: on a terminal of 80 columns no line of who, log and user list wraps, in either language, and what tells most
// is left of what is long; where the output is no terminal nothing is cut.
func TestTablesFit(t *testing.T) {
	t.Parallel()
	const long = "/projects/2026/深圳/a long name of a directory/and a file in it.tar.gz"
	moving := &admin.Moving{Verb: "put", Path: long, Done: 123 << 20, Size: 2 << 30, BytesPerSec: 1.5e6}
	show := func(e *env) {
		e.printSessions([]admin.Session{
			{ID: 1, Account: "alice", Proto: "ftp", Remote: "192.0.2.17:50123", Since: "2026-11-23T05:04:00Z", Doing: moving},
			{ID: 1204, Account: "the-fire-brigade-of-上海", Proto: "ftps", Remote: "[2001:db8:1234:5678:9abc:def0:1234:5678]:50123", Since: "2026-11-23T05:04:00Z"},
			{ID: 1205, Proto: "ftps", Remote: "192.0.2.18:50124", Since: "2026-11-23T05:04:00Z"},
		})
		e.printLog([]admin.Transfer{
			{When: "2026-11-23T05:04:00Z", Account: "alice", Proto: "ftps", Remote: "192.0.2.17", Verb: "rename", Path: long, To: long, Result: "over-quota", Bytes: 999 << 10},
		})
		e.printUsers([]admin.User{
			{Name: "alice", State: "suspended", Operator: true, Home: "/var/lib/sampan/data/homes/alice", Quota: 1 << 40, Used: 999 << 30, LastSeen: "2026-11-23T05:04:00Z"},
		})
	}
	for _, lang := range []words.Lang{words.English, words.Chinese} {
		narrow, got := testEnv(lang)
		narrow.getenv = environment("COLUMNS", "80")
		show(narrow)
		for line := range strings.Lines(got.String()) {
			if n := words.Width(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%d columns: %s", n, line)
			}
		}
		for _, part := range []string{"1.4M/s", "   6%", "…", ".tar.gz", "192.0.2.17", "alice", "over-quota", "/alice", "1.0T"} {
			if !strings.Contains(got.String(), part) {
				t.Errorf("%q is not there:\n%s", part, got)
			}
		}
		wide, got := testEnv(lang)
		show(wide)
		for _, part := range []string{"123M/2.0G  6%", long + " → " + long, "9abc:def0:1234:5678", "2026-11-23", "/var/lib/sampan/data/homes/alice"} {
			if !strings.Contains(got.String(), part) {
				t.Errorf("%q is not there:\n%s", part, got)
			}
		}
	}
}

// TestFit: columns give way as far as they can, and no further.
func TestFit(t *testing.T) {
	t.Parallel()
	columns := []column{
		{}, {cut: words.Cut, least: 4}, {cut: words.CutHead, least: 5}, {cut: cutTime, least: leastTime},
	}
	for _, c := range []struct {
		room int
		want []int
	}{
		{100, []int{6, 10, 20, 16}},
		{58, []int{6, 10, 20, 16}},
		{57, []int{6, 10, 20, 11}},
		{50, []int{6, 10, 17, 11}},
		{40, []int{6, 8, 9, 11}},
		{10, []int{6, 4, 5, 11}},
	} {
		widths := []int{6, 10, 20, 16}
		fit(columns, widths, c.room)
		if fmt.Sprint(widths) != fmt.Sprint(c.want) {
			t.Errorf("in %d: %v, want %v", c.room, widths, c.want)
		}
	}
}

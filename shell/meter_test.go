package shell

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"sampan/client"
	"sampan/files"
	"sampan/words"
)

func mustPath(t testing.TB, name string) files.Path {
	t.Helper()
	p, err := files.Parse(files.Root, name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// clockMeter is a meter whose clock the test turns.
func clockMeter(e *Env) (*meter, *time.Time) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return &meter{t: &task{Env: e}, now: func() time.Time { return now }}, &now
}

func TestBarFillsItsColumnsExactly(t *testing.T) {
	t.Parallel()
	names := []string{"a", "holiday.mp4", "一个很长很长的中文文件名字而且还要更长一些才好.txt", strings.Repeat("x", 200), "e\u0301ta\x1b[2J.bin", "混合mixed名称name文件.tar.gz"}
	for _, lang := range []words.Lang{words.English, words.Chinese} {
		for _, name := range names {
			for _, phase := range []client.Phase{client.Comparing, client.Moving, client.Proving, client.Waiting} {
				for _, size := range []int64{-1, 0, 1, 200 << 20, 5 << 40} {
					m, now := clockMeter(&Env{Lang: lang})
					p := client.Progress{From: mustPath(t, "x"), To: mustPath(t, name), Phase: phase, Size: size}
					m.progress(p)
					*now = now.Add(3 * time.Second)
					p.Done = max(0, size*2/5)
					m.progress(p)
					for cols := 20; cols <= 200; cols += 7 {
						line := m.line(cols)
						if words.Width(line) != cols || strings.ContainsAny(line, "\x1b\n") {
							t.Fatalf("%d columns instead of %d: %q", words.Width(line), cols, line)
						}
					}
				}
			}
		}
	}
}

func TestBarTellsRateAndETA(t *testing.T) {
	t.Parallel()
	m, now := clockMeter(&Env{})
	p := client.Progress{From: mustPath(t, "big.bin"), To: mustPath(t, "big.bin"), Phase: client.Moving, Size: 200 << 20, Done: 50 << 20, Resumed: 50 << 20}
	m.progress(p)
	for range 20 { // 2 s of 10 MB/s: what was resumed does not count
		*now = now.Add(100 * time.Millisecond)
		p.Done += 1 << 20
		m.progress(p)
	}
	line := m.line(80)
	for _, want := range []string{"big.bin", " 35%", "70 MB/200 MB", "10 MB/s", "ETA 0:13", "[===", ">"} {
		if !strings.Contains(line, want) {
			t.Errorf("%q is not in %q", want, line)
		}
	}
	p.Done = p.Size
	m.progress(p)
	if line := m.line(80); !strings.Contains(line, "100%") || strings.Contains(line, ">") || strings.Contains(line, "ETA") {
		t.Error(line)
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0.0 s", 340 * time.Millisecond: "0.3 s", 12 * time.Second: "12 s", 59*time.Second + 900*time.Millisecond: "1:00",
		185 * time.Second: "3:05", 3723 * time.Second: "1:02:03", 1000 * time.Hour: "1000 h",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 512: "512 B", 1536: "1.5 KB", 123 << 20: "123 MB", 5 << 40: "5.0 TB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestPipedFileIsOneLine(t *testing.T) {
	t.Parallel()
	hash := strings.Repeat("ab", 32)
	for _, row := range []struct {
		r    client.Result
		want string
	}{
		{
			client.Result{Size: 200 << 20, Bytes: 77 << 20, Resumed: 123 << 20, Sum: hash, Verified: true, Took: 2 * time.Second},
			"big.bin: 200 MB in 2.0 s (38 MB/s), resumed at 123 MB after its SHA-256 matched, SHA-256 " + hash + ", equal at both ends\n",
		},
		{
			client.Result{Size: 1 << 20, Skipped: true, Sum: hash, Verified: true},
			"big.bin: skipped, an equal file of 1.0 MB is there, SHA-256 " + hash + ", equal at both ends\n",
		},
		{client.Result{Size: 1 << 20, Kept: true}, "big.bin: kept what is there\n"},
		{
			client.Result{Size: 3, Bytes: 3, Restarted: true, Took: time.Second},
			"big.bin: 3 B in 1.0 s (3 B/s), started over, for the part that was there does not fit the source, not compared by hash\n",
		},
	} {
		var out bytes.Buffer
		m, _ := clockMeter(&Env{Out: &out, Err: &out})
		row.r.To = mustPath(t, "dir/big.bin")
		m.done(row.r, nil)
		if out.String() != row.want {
			t.Errorf("got  %swant %s", out.String(), row.want)
		}
	}
}

// noRemote marks a place as one on a server.
type noRemote struct{ client.Remote }

func TestJSONIsOneObjectALine(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	m, now := clockMeter(&Env{Out: &out, Err: &errs})
	m.t.JSON = true
	m.dst.remote = noRemote{}
	p := client.Progress{From: mustPath(t, "a\x1b"), To: mustPath(t, "文件"), Phase: client.Moving, Size: 10}
	for range 30 {
		m.progress(p)
		*now = now.Add(100 * time.Millisecond)
	}
	m.done(client.Result{From: p.From, To: p.To, Size: 10, Sum: "ab", Verified: true}, nil)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 4 { // one a second, and the end
		t.Fatalf("%d lines:\n%s", len(lines), out.String())
	}
	for _, line := range lines {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil || e["to"] != "/文件" || strings.Contains(line, "\x1b") {
			t.Errorf("%s: %v", line, err)
		}
	}
	if errs.Len() > 0 {
		t.Errorf("a bar: %q", errs.String())
	}
}

package ftpd

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sampan/ftp"
)

func TestListBelow(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		h.put("alice", "d/a", []byte("a"))
		h.put("alice", "d/e/b", []byte("b"))
		h.put("alice", "d/e/f/c c", []byte("c"))
		h.mkdir("alice", "d/none")
		p := login("alice")
		names := func(command string) string {
			t.Helper()
			var list []string
			for line := range strings.SplitSeq(strings.TrimSpace(string(p.fetch(command))), "\r\n") {
				if f := strings.SplitN(line, ":00", 2); len(line) > 60 && len(f) > 0 {
					line = line[strings.LastIndexByte(line[:62], ' ')+1:]
				}
				list = append(list, line)
			}
			return strings.Join(list, "|")
		}
		got := names("NLST -R d")
		for _, want := range []string{"d/a", "d/e", "d/none", "d/e/b", "d/e/f", "d/e/f/c c"} {
			if !strings.Contains("|"+got+"|", "|"+want+"|") {
				t.Errorf("%s is not in %s", want, got)
			}
		}
		if n := strings.Count(got, "|"); n != 5 {
			t.Errorf("%d lines: %s", n+1, got)
		}
		long := string(p.fetch("LIST -lR"))
		for _, want := range []string{"\r\n\r\n./d:\r\n", "\r\n\r\n./d/e:\r\n", "\r\n\r\n./d/e/f:\r\n"} {
			if strings.Count(long, want) != 1 {
				t.Errorf("%q is not once in %q", want, long)
			}
		}
		if strings.HasPrefix(long, "\r\n") || strings.Contains(long, "./d/none:") {
			t.Errorf("%q", long)
		}
		if got := string(p.fetch("LIST -R /d")); !strings.Contains(got, "\r\n\r\n/d/e:\r\n") {
			t.Errorf("%q", got)
		}
		if got := string(p.fetch("LIST -R d/none")); got != "" {
			t.Errorf("%q", got)
		}
		if got := string(p.fetch("NLST -R d/a")); got != "d/a\r\n" {
			t.Errorf("%q", got)
		}
	})
}

// TestListBelowLoops: links that lead up, and every list of every list, end.
func TestListBelowLoops(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	h.put("alice", "d/f", nil)
	for _, name := range []string{"d/up", "d/up2", "d/up3"} {
		if err := os.Symlink("..", filepath.Join(h.home("alice"), name)); err != nil {
			t.Skip("no links here: ", err)
		}
	}
	p := h.login("alice")
	got := string(p.fetch("NLST -R"))
	if n := strings.Count(got, "\r\n"); n != 5 { // d, and in it f and three links
		t.Errorf("%d lines: %q", n, got)
	}
}

// TestListBelowBombs: a listing that would take too much fails as a whole: it must not look complete.
func TestListBelowBombs(t *testing.T) {
	t.Parallel()
	h := newHouse(t, hurried(func(l *limits) { l.below = 1000 }))
	h.add("alice", -1, nil)
	p := h.login("alice")
	broken := func(command, why string) {
		t.Helper()
		nc := p.passive()
		p.cmd(150, command)
		var b bytes.Buffer
		_, err := b.ReadFrom(nc)
		r := p.any()
		if r.Code != 550 || err == nil || !strings.Contains(r.Text(), why) {
			t.Errorf("%s: %v, %q behind %d bytes", command, err, r.Lines, b.Len())
		}
	}
	// links to the next level, 40 at each: 40 * 40 ways down
	for i := range 2 {
		h.mkdir("alice", fmt.Sprintf("many/%d", i))
		for name := range 40 {
			if err := os.Symlink(fmt.Sprintf("../%d", i+1), filepath.Join(h.home("alice"), fmt.Sprintf("many/%d/%d", i, name))); err != nil {
				t.Skip("no links here: ", err)
			}
		}
	}
	h.mkdir("alice", "many/2")
	began := time.Now()
	broken("LIST -R many/0", "entries")
	if took := time.Since(began); took > patience {
		t.Errorf("it took %v", took)
	}
	h.mkdir("alice", "deep/"+strings.Repeat("x/", belowDepth+2))
	broken("NLST -R deep", "deep")
	if got := string(p.fetch("LIST -R deep" + strings.Repeat("/x", 10))); strings.Count(got, ":\r\n") != belowDepth-9 {
		t.Errorf("%d levels", strings.Count(got, ":\r\n"))
	}
	p.cmd(200, "NOOP")
}

// TestGlobBombs: patterns cost no more than what they are compared with.
func TestGlobBombs(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	for i := range 100 {
		h.put("alice", strings.Repeat("a", 200)+fmt.Sprint(i), nil)
	}
	p := h.login("alice")
	began := time.Now()
	for _, pattern := range []string{
		strings.Repeat("*a", 120) + "b", strings.Repeat("?*", 120) + "b", strings.Repeat("[a-z]*", 40) + "b",
		strings.Repeat("*", 250) + "b", strings.Repeat("*a", 1000) + "b", "*/../*/../*/../*/../*/../*b", "{a,b}{a,b}{a,b}{a,b}*b",
	} {
		nc := p.passive()
		p.send("NLST " + pattern + "\r\n")
		r := p.any()
		if r.Preliminary() {
			var b bytes.Buffer
			b.ReadFrom(nc)
			if r = p.any(); b.Len() > 0 {
				t.Errorf("%.20s: %q", pattern, b.String())
			}
		}
		if r.Code != 226 && r.Code != 550 && (r.Code != 553 || len(pattern) < 256) {
			t.Errorf("%.20s: %d %.100q", pattern, r.Code, r.Lines)
		}
	}
	for _, bad := range []string{"[", "[a", "\\", "[]a]", "[-]", "a[b-"} {
		p.refused(550, "NLST "+bad)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if got := p.fetch("NLST *99"); strings.Count(string(got), "\r\n") != 1 {
		t.Errorf("%q", got)
	}
}

// TestFormatStrings: what a client sends is shown as it is, never taken for a format, in both languages.
func TestFormatStrings(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	const rude = "%s%n%d%v%!%%[1]*d%99999d"
	h.put("alice", rude, []byte("x"))
	h.mkdir("alice", "dir"+rude)
	p := h.dial()
	p.cmd(331, "USER "+rude)
	p.cmd(530, "PASS "+rude)
	p.login("alice")
	for _, lang := range []string{"EN", "ZH-CN"} {
		p.cmd(200, "LANG "+lang)
		for _, line := range []string{
			"250 CWD dir" + rude, "257 PWD", "250 CDUP", "550 CWD none" + rude, "550 CWD " + rude, "257 MKD new" + rude,
			"250 RMD new" + rude, "550 DELE dir" + rude, "550 RMD " + rude, "250 MLST " + rude, "213 STAT " + rude,
			"213 HASH " + rude, "213 MFMT 20260101000000 " + rude, "550 SITE COPY none" + rude + " x",
		} {
			var code int
			fmt.Sscan(line, &code)
			r := p.cmd(code, line[4:])
			all := strings.Join(r.Lines, "\n")
			if strings.Contains(all, "MISSING") || strings.Contains(all, "EXTRA") || strings.Contains(all, "BADINDEX") || len(all) > 2000 {
				t.Errorf("%s: %q", line, all)
			}
			if !strings.Contains(all, rude) && code != 250 {
				t.Errorf("%s: %q", line, all)
			}
		}
		nc := p.passive()
		p.send("RETR " + rude + "\r\n")
		if got := p.want(150).Text(); !strings.Contains(got, rude+" (1 bytes)") {
			t.Error(got)
		}
		nc.Close()
		p.any()
		p.text(504, "HELP "+strings.ToLower(rude), map[string]string{"EN": "There is no command ", "ZH-CN": "没有命令 "}[lang]+fmt.Sprintf("%q", strings.ToUpper(rude)))
	}
}

// TestNumbersOutOfRange: a number that does not fit is a bad argument, never another number.
func TestNumbersOutOfRange(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	h.put("alice", "f", []byte("content"))
	p := h.login("alice")
	for _, n := range []string{
		"-1", "+1", "1e3", "0x10", " ", "9223372036854775808", "18446744073709551616", strings.Repeat("9", 400), "1.5", "１",
	} {
		for _, form := range []string{"REST %s", "ALLO %s", "RANG %s %[1]s", "RANG 0 %s", "SITE CHMOD %s f", "MFF UNIX.mode=%s; f", "MFMT %s f", "PORT 127,0,0,1,%s,1", "EPRT |1|127.0.0.1|%s|", "TYPE L %s"} {
			line := fmt.Sprintf(form, n)
			line, _, _ = strings.Cut(line, "%!(EXTRA")
			p.send(line + "\r\n")
			r, err := ftp.ReadReply(p.r)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if r.Code < 500 && n != " " {
				t.Errorf("%q: %d %q", line, r.Code, r.Lines)
			}
		}
	}
	same(t, "the file", p.fetch("RETR f"), []byte("content"))
	p.text(213, "SIZE f", "7")
	for _, line := range []string{"REST 9223372036854775807", "RANG 9223372036854775806 9223372036854775806", "RANG 0 9223372036854775806"} {
		p.cmd(350, line)
		p.refused(554, "RETR f")
	}
	p.cmd(501, "RANG 0 9223372036854775807") // a count of bytes that cannot be told
	p.cmd(350, "RANG 0 9223372036854775806")
	p.cmd(554, "HASH f")
	p.cmd(554, "XCRC f 9223372036854775807 9223372036854775807")
	p.cmd(554, "XCRC f 0 9223372036854775807")
	p.cmd(200, "NOOP")
}

package ftpd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sampan/account"
	"sampan/ftp"
)

// TestEveryVerb runs every row of the tables in every state and with arguments of every kind: each gets one reply, and
// the session stays in step.
func TestEveryVerb(t *testing.T) {
	t.Parallel()
	h := newHouse(t, hurried(func(l *limits) { l.connect = 50 * time.Millisecond }))
	h.add("alice", -1, nil)
	var lines []string
	for i, row := range append(commands(), siteCommands()...) {
		verb := row.verb
		if i >= len(commands()) {
			verb = "SITE " + verb
		}
		if verb == "QUIT" || verb == "AUTH" || verb == "USER" || verb == "REIN" {
			continue
		}
		for _, arg := range []string{"", " x", " /", " a b c", "  ", " 99999999999999999999999999", " -1", " \xff\xff\xfe", " ../../../etc/passwd", " *?["} {
			lines = append(lines, verb+arg)
		}
	}
	for name, p := range map[string]*peer{"nobody": h.dial(), "alice": h.login("alice"), "alice over TLS": h.loginTLS("alice")} {
		t.Run(name, func(t *testing.T) {
			for i, line := range lines {
				if strings.HasPrefix(line, "PASS") && i%2 == 0 {
					continue
				}
				p.send(line + "\r\n")
				r, err := ftp.ReadReply(p.r)
				for err == nil && r.Preliminary() {
					r, err = ftp.ReadReply(p.r)
				}
				if err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				mark := fmt.Sprintf("mark%d", i)
				if got := p.cmd(504, "HELP "+mark).Text(); !strings.Contains(got, strings.ToUpper(mark)) {
					t.Fatalf("out of step behind %q: %s", line, got)
				}
			}
		})
	}
}

func TestOrderAndSyntax(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	h.put("alice", "f", []byte("content"))
	p := h.dial()
	script := func(lines string) {
		t.Helper()
		for line := range strings.SplitSeq(strings.TrimSpace(lines), "\n") {
			var code int
			if _, err := fmt.Sscan(line, &code); err != nil {
				t.Fatal(err)
			}
			p.cmd(code, strings.TrimPrefix(strings.TrimSpace(line), fmt.Sprint(code, " ")))
		}
	}
	script(`
		500 XYZZY
		500 xyzzy with arguments
		530 PWD
		530 RETR f
		530 SITE QUOTA
		530 SITE REGISTER x
		530 STAT /
		503 PASS early
		501 USER
		331 USER alice
		200 NOOP
		503 PASS not right behind USER
		503 PBSZ 0
		503 PROT P
		504 AUTH KERBEROS
		501 AUTH
		501 NOOP x
		215 SYST
		211 FEAT
		211 STAT
		214 HELP
		214 HELP STOR
		504 HELP XYZZY
		214 SITE HELP
		504 SITE XYZZY
		501 SITE`)
	p.login("alice")
	script(`
		202 ACCT x
		503 RNTO g
		350 RNFR f
		200 NOOP
		503 RNTO g
		550 RNFR none
		504 TYPE E
		504 TYPE L 36
		200 TYPE A N
		550 SIZE f
		200 TYPE L 8
		213 SIZE f
		550 SIZE /
		550 SIZE none
		501 SIZE
		200 STRU F
		504 STRU R
		200 MODE S
		504 MODE C
		504 MODE Z
		501 REST
		501 REST -1
		501 REST 99999999999999999999999999
		501 REST 1x
		350 REST 9223372036854775807
		350 REST 0
		200 TYPE A
		504 REST 1
		350 REST 0
		504 RANG 0 1
		200 TYPE I
		501 RANG 2 1
		501 RANG 1
		350 RANG 1 0
		501 ALLO x
		200 ALLO 5 R 80
		425 RETR f
		425 STOR g
		425 LIST
		501 MFMT 2026 f
		501 MFMT 20260101000000
		213 MFMT 20260101000000 f
		213 MDTM f
		501 SITE CHMOD 999 f
		501 SITE CHMOD 7777 f
		501 SITE CHMOD 644
		200 SITE CHMOD 640 f
		200 OPTS UTF8 ON
		200 OPTS UTF8 OFF
		200 OPTS MLST size;type;
		200 OPTS HASH
		200 OPTS HASH sha-256
		200 OPTS HASH MD5
		504 OPTS HASH MD4
		200 OPTS HASH SHA-256
		501 OPTS XYZZY
		501 EPSV x
		522 EPSV 3
		522 EPSV 2
		226 ABOR
		250 CDUP
		550 CWD f
		550 CWD none
		257 MKD dir
		550 MKD dir
		550 MKD none/dir
		250 CWD dir
		257 XPWD
		250 XCUP
		550 DELE dir
		550 RMD f
		250 XRMD dir
		250 DELE f
		550 DELE f
		220 REIN
		530 PWD
		221 QUIT`)
	p.gone()
	if got := h.read("alice", "f"); got != nil {
		t.Error("f is still there")
	}
}

func TestReplyTexts(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", 1000, nil)
	h.put("alice", "d/f", []byte("0123456789"))
	p := h.login("alice")
	text := func(code int, line, want string) {
		t.Helper()
		if got := strings.Join(p.cmd(code, line).Lines, "\n"); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	text(257, `MKD say "hi"`, `"/say ""hi"""`)
	text(250, `CWD say "hi"`, `/say "hi"`)
	text(257, "PWD", `"/say ""hi"""`)
	text(250, "CWD ../../..", "Now in /")
	text(213, "MFMT 20260203040506 d/f", "Modify=20260203040506; d/f")
	text(213, "MDTM d/f", "20260203040506")
	text(213, "SIZE /d/../d/f", "10")
	text(211, "FEAT", "MLST type*;size*;modify*;perm*;unique*;UNIX.mode*;X.part*;")
	text(200, "OPTS MLST size;UNIX.mode;junk;", "MLST OPTS size;UNIX.mode;")
	text(211, "FEAT", "MLST type;size*;modify;perm;unique;UNIX.mode*;X.part;")
	text(250, "MLST d/f", "size=10;UNIX.mode=0644; /d/f")
	text(200, "OPTS MLST", "MLST OPTS")
	text(250, "MLST d/f", " /d/f")
	text(200, "SITE QUOTA", "used 10 of 1000, free ")
	text(213, "HASH d/f", "SHA-256 0-9 84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882 d/f")
	p.cmd(350, "RANG 2 4")
	text(213, "HASH d/f", "SHA-256 2-4 114bd151f8fb0c58642d2170da4ae7d7c57977260ac2cc8905306cab6b2acabc d/f")
	text(213, "HASH d/f", "SHA-256 0-9 ")
	p.cmd(350, "RANG 5 10")
	p.cmd(554, "HASH d/f")
	p.cmd(550, "HASH d")
	text(213, "STAT d", "f")
	text(211, "STAT", "Logged in as alice")
	text(214, "HELP RETR", "Syntax: RETR <path>")
}

func TestListings(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	for _, f := range []string{"-la", ".hidden", "a b", "dir/x.txt", "dir/y.txt", "dir/z", "中;文=", "q[1]"} {
		h.put("alice", f, []byte(f))
	}
	p := h.login("alice")
	names := func(line string) string {
		t.Helper()
		return strings.ReplaceAll(sorted(string(p.fetch(line))), "\r\n", "|")
	}
	const all = "-la|.hidden|a b|dir|q[1]|中;文=|"
	for line, want := range map[string]string{
		"NLST":           all,
		"NLST -la":       all,
		"NLST -a /":      "/-la|/.hidden|/a b|/dir|/q[1]|/中;文=|",
		"NLST -1 dir":    "dir/x.txt|dir/y.txt|dir/z|",
		"NLST dir/":      "dir/x.txt|dir/y.txt|dir/z|",
		"NLST ./-la":     "./-la|",
		"NLST -- -la":    "-la|",
		"NLST dir/*.txt": "dir/x.txt|dir/y.txt|",
		"NLST q[1]":      "q[1]|",
		"NLST a b":       "a b|",
	} {
		if got := names(line); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
	for _, line := range []string{"LIST", "LIST -al", "MLSD", "MLSD /"} {
		var got []string
		for l := range strings.SplitSeq(strings.TrimSuffix(string(p.fetch(line)), "\r\n"), "\r\n") {
			e, ok := ftp.ParseList(l, time.Now())
			if strings.HasPrefix(line, "MLSD") {
				e, ok = ftp.ParseFacts(l)
			}
			if !ok {
				t.Errorf("%s: %q", line, l)
			}
			got = append(got, e.Name)
		}
		if s := sorted(strings.Join(got, "\r\n") + "\r\n"); strings.ReplaceAll(s, "\r\n", "|") != all {
			t.Errorf("%s: %q", line, got)
		}
	}
	p.refused(501, "MLSD a b")
	p.refused(550, "MLSD none")
	p.refused(550, "LIST none")
	p.refused(550, "NLST *.none/x")
	if got := p.fetch("NLST *.none"); len(got) != 0 {
		t.Errorf("%q", got)
	}
	p.cmd(200, "TYPE I")
	same(t, "-la", p.fetch("RETR -la"), []byte("-la"))
	p.cmd(213, "SIZE -la") // TYPE survived the listings
}

func sorted(lines string) string {
	list := strings.SplitAfter(lines, "\r\n")
	slices.Sort(list)
	return strings.Join(list, "")
}

func TestASCII(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	p := h.login("alice")
	p.cmd(200, "TYPE A")
	p.store(226, "STOR f", []byte("a\r\nb\r\r\nc\n\rd\r"))
	same(t, "stored", h.read("alice", "f"), []byte("a\nb\r\nc\n\rd\r"))
	h.put("alice", "g", []byte("x\ny\r\nz\n\n"))
	same(t, "sent", p.fetch("RETR g"), []byte("x\r\ny\r\nz\r\n\r\n"))
	p.cmd(200, "TYPE I")
	same(t, "byte for byte", p.fetch("RETR g"), []byte("x\ny\r\nz\n\n"))
}

func TestRegistration(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.dial()
	p.cmd(331, "USER register")
	p.cmd(230, "PASS anything")
	for _, line := range []string{"PWD", "LIST", "SITE QUOTA", "STOR x", "CWD /"} {
		p.cmd(530, line)
	}
	p.cmd(211, "FEAT")
	p.cmd(200, "NOOP")
	p.cmd(214, "HELP")
	p.cmd(501, "SITE REGISTER")
	p.cmd(331, "SITE REGISTER con")
	p.cmd(501, "PASS "+password)
	p.cmd(331, "SITE REGISTER bob")
	p.cmd(501, "PASS short")
	p.cmd(331, "SITE REGISTER bob bob@example.org")
	p.cmd(200, "NOOP")
	p.cmd(503, "PASS "+password) // not right behind it
	p.cmd(331, "SITE REGISTER bob bob@example.org")
	_, ticket, ok := strings.Cut(p.cmd(200, "PASS "+password).Text(), "Ticket: ")
	if !ok || ticket == "" {
		t.Fatal("no ticket")
	}
	p.cmd(503, "PASS again")
	if got := p.cmd(200, "SITE REGSTATUS "+ticket).Text(); got != "pending" {
		t.Error(got)
	}
	p.cmd(550, "SITE REGSTATUS nonsense")
	q := h.dial()
	q.cmd(331, "USER bob")
	q.cmd(530, "PASS "+password)
	if _, err := h.book.Decide(context.Background(), "bob", account.Decision{Approve: true, By: "operator", Note: "welcome\r\n226 x"}); err != nil {
		t.Fatal(err)
	}
	if got := p.cmd(200, "SITE REGSTATUS "+ticket).Text(); !strings.HasPrefix(got, "approved: welcome") {
		t.Error(got)
	}
	q.login("bob")
	q.store(226, "STOR f", []byte("x"))
	q.cmd(331, "SITE PASSWD")
	q.cmd(331, "PASS wrong")
	q.cmd(530, "PASS another good password")
	q.cmd(331, "SITE PASSWD")
	q.cmd(331, "PASS "+password)
	q.cmd(200, "PASS another good password")
	q.cmd(331, "USER bob")
	q.cmd(530, "PASS "+password)
	q.cmd(331, "USER bob")
	q.cmd(230, "PASS another good password")
	if strings.Contains(h.log.String(), password) || strings.Contains(h.log.String(), "another good") {
		t.Error("a password is in the log")
	}
}

package ftpd

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sampan/account"
)

// script runs lines of "code command".
func (p *peer) script(lines string) {
	p.t.Helper()
	for line := range strings.SplitSeq(strings.TrimSpace(lines), "\n") {
		line = strings.TrimSpace(line)
		var code int
		if _, err := fmt.Sscan(line, &code); err != nil {
			p.t.Fatal(line, err)
		}
		p.cmd(code, line[4:])
	}
}

// text checks the text of a reply of one line.
func (p *peer) text(code int, command, want string) {
	p.t.Helper()
	if got := p.cmd(code, command).Text(); got != want {
		p.t.Errorf("%s: %q, want %q", command, got, want)
	}
}

func TestHashes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	content := noise(100_000)
	h.put("alice", "a file", content)
	h.put("alice", "a file 10", []byte("ten"))
	h.put("alice", "empty", nil)
	p := h.login("alice")
	hex := map[string]func([]byte) string{
		"SHA-256": func(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) },
		"SHA-512": func(b []byte) string { return fmt.Sprintf("%x", sha512.Sum512(b)) },
		"SHA-1":   func(b []byte) string { return fmt.Sprintf("%x", sha1.Sum(b)) },
		"MD5":     func(b []byte) string { return fmt.Sprintf("%x", md5.Sum(b)) },
		"CRC32":   func(b []byte) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE(b)) },
	}
	if len(hex) != len(hashNames) {
		t.Fatal("a hash is not tested")
	}
	p.text(200, "OPTS HASH", "SHA-256")
	for _, name := range hashNames {
		p.text(200, "OPTS HASH "+strings.ToLower(name), name)
		feature := "HASH " + strings.Replace("SHA-256;SHA-512;SHA-1;MD5;CRC32;", name+";", name+"*;", 1)
		if feat := strings.Join(p.cmd(211, "FEAT").Lines, ";\n") + ";"; !strings.Contains(feat, feature) {
			t.Errorf("%s: %s", feature, feat)
		}
		p.text(213, "HASH a file", name+" 0-99999 "+hex[name](content)+" a file")
		p.cmd(350, "RANG 7 99")
		p.text(213, "HASH a file", name+" 7-99 "+hex[name](content[7:100])+" a file")
		p.text(213, "HASH empty", name+" 0-0 "+hex[name](nil)+" empty")
	}
	p.script(`
		504 OPTS HASH SHA-3
		504 OPTS HASH %s%n
		200 OPTS HASH MD5
		350 RANG 0 100000
		554 HASH a file
		213 HASH a file
		550 HASH none
		550 HASH /
		501 HASH`)
	for verb, name := range map[string]string{
		"XCRC": "CRC32", "XMD5": "MD5", "XSHA": "SHA-1", "XSHA1": "SHA-1", "XSHA256": "SHA-256", "XSHA512": "SHA-512",
	} {
		sum := func(b []byte) string { return strings.ToUpper(hex[name](b)) }
		p.text(250, verb+" a file", sum(content))
		p.text(250, verb+` "a file"`, sum(content))
		p.text(250, verb+" a file 5", sum(content[5:]))
		p.text(250, verb+" a file 5 9", sum(content[5:9]))
		p.text(250, verb+` "a file" 5 9`, sum(content[5:9]))
		p.text(250, verb+" a file 0 100000", sum(content))
		p.text(250, verb+" a file 9 9", sum(nil))
		p.text(250, verb+" a file 10", sum([]byte("ten"))) // a path that is there is a path
		p.text(250, verb+` "a file" 10`, sum(content[10:]))
		for code, arg := range map[int]string{554: "a file 100001", 550: "none", 501: ""} {
			p.cmd(code, strings.TrimSpace(verb+" "+arg))
		}
		p.cmd(554, verb+" a file 0 100001")
		p.cmd(550, verb+" a file 9 5")
		p.cmd(550, verb+" a file 0 99999999999999999999")
		p.cmd(550, verb+" /")
	}
}

// TestHashEndsWithItsClient: a hash of a huge file that nobody waits for any more costs nothing.
func TestHashEndsWithItsClient(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	h.put("alice", "huge", nil)
	if err := os.Truncate(filepath.Join(h.home("alice"), "huge"), 4<<40); err != nil {
		t.Fatal(err)
	}
	p := h.login("alice")
	p.send("HASH huge\r\n")
	p.send("ABOR\r\n")
	p.want(426)
	p.want(226)
	p.send("XSHA512 huge\r\nNOOP\r\n")
	p.want(200) // it is at work
	p.tcp.Close()
	eventually(t, "the session ends", func() bool { return len(h.hub.Live()) == 0 })
}

func TestFacts(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	h.put("alice", "a file", []byte("content"))
	h.put("alice", "20200102030405 x", []byte("named like a time"))
	p := h.login("alice")
	p.text(213, "MFMT 20010203040506 a file", "Modify=20010203040506; a file")
	p.text(213, "MDTM a file", "20010203040506")
	p.text(213, "MDTM 20020203040506 a file", "Modify=20020203040506; a file")
	p.text(213, "MDTM a file", "20020203040506")
	p.cmd(213, "MDTM 20200102030405 x")
	p.text(213, "MFF modify=20030203040506;UNIX.mode=0600; a file", "Modify=20030203040506;UNIX.mode=0600; a file")
	got := p.cmd(250, "MLST a file").Lines[1]
	if !strings.Contains(got, "modify=20030203040506;") || !strings.Contains(got, "UNIX.mode=0600;") {
		t.Error(got)
	}
	p.script(`
		501 MFF modify=20030203; a file
		501 MFF modify=20030203040506 a file
		501 MFF UNIX.mode=9999; a file
		504 MFF modify=20040203040506;create=20040203040506; a file
		504 MFF UNIX.owner=root; a file
		550 MFF modify=20040203040506; none
		504 MFCT 20040203040506 a file
		504 MFMT 00010203040506 a file
		504 MFMT 99990203040506 a file
		501 MFMT 99999999999999 a file
		501 MFMT -0010203040506 a file`)
	p.text(213, "MDTM a file", "20030203040506") // all or none
	p.script(`
		200 SITE UTIME 200502030405 a file
		213 MDTM a file`)
	p.text(213, "MDTM a file", "20050203040500")
	p.cmd(200, "SITE UTIME a file 20200101000000 20060203040506 20210101000000 UTC")
	p.text(213, "MDTM a file", "20060203040506")
	p.script(`
		501 SITE UTIME a file
		501 SITE UTIME 2006 a file
		501 SITE UTIME a file 20200101000000 20060203040506 UTC
		550 SITE UTIME 200502030405 none`)
	h.add("bob", -1, []account.Grant{{May: account.List | account.SetTime}})
	h.put("bob", "f", nil)
	b := h.login("bob")
	b.cmd(550, "MFF UNIX.mode=0600; f")
	b.cmd(550, "MFF modify=20030203040506;UNIX.mode=0600; f")
	b.cmd(213, "MFF modify=20030203040506; f")
}

func TestRangedDownload(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		content := noise(3 << 20)
		h.put("alice", "f", content)
		p := login("alice")
		p.cmd(350, "RANG 1000 2000999")
		same(t, "a range", p.fetch("RETR f"), content[1000:2001000])
		same(t, "all, behind it", p.fetch("RETR f"), content)
		p.cmd(350, "REST 5")
		p.cmd(350, "RANG 10 10")
		same(t, "a byte", p.fetch("RETR f"), content[10:11])
		same(t, "all, behind both", p.fetch("RETR f"), content)
		p.cmd(350, "RANG 0 3145728")
		p.refused(554, "RETR f")
		p.cmd(350, "RANG 3145728 3145728")
		p.refused(554, "RETR f")
		for _, bad := range []string{"RANG 5 4", "RANG -1 4", "RANG 0 9999999999999999999999", "RANG 0", "RANG a b", "RANG %d %d"} {
			p.cmd(501, bad)
		}
		log, err := h.book.Log(context.Background(), account.Filter{Account: "alice"})
		if err != nil {
			t.Fatal(err)
		}
		sizes := map[int64]bool{}
		for _, r := range log {
			if r.Result != "ok" {
				t.Errorf("%+v", r)
			}
			sizes[r.Bytes] = true
		}
		if !sizes[2000000] || !sizes[1] || !sizes[3<<20] {
			t.Errorf("bytes in the records: %v", sizes)
		}
	})
}

func TestRoom(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", 1000, nil)
	h.mkdir("alice", "d")
	p := h.login("alice")
	p.text(213, "AVBL", "1000")
	p.store(226, "STOR f", noise(300))
	p.text(213, "AVBL /d", "700")
	p.cmd(550, "AVBL f")
	p.cmd(550, "AVBL none")
	h.add("bob", -1, nil)
	var free int64
	if _, err := fmt.Sscan(h.login("bob").cmd(213, "AVBL").Text(), &free); err != nil || free <= 1000 {
		t.Error(free, err)
	}
}

func TestCombine(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", 1000, nil)
	p := h.login("alice")
	put := func(name string, n int, fill string) {
		t.Helper()
		p.store(226, "STOR "+name, bytes.Repeat([]byte(fill), n))
	}
	put("part 1", 100, "a")
	put("part 2", 50, "b")
	put(`part "3"`, 30, "c")
	p.text(250, `COMB "whole" "part 1" "part 2"`, "Combined: /whole (150 bytes)")
	p.text(250, `COMB whole "part ""3"""`, "Combined: /whole (180 bytes)")
	same(t, "the whole", h.read("alice", "whole"), []byte(strings.Repeat("a", 100)+strings.Repeat("b", 50)+strings.Repeat("c", 30)))
	for _, name := range []string{"part 1", "part 2", `part "3"`} {
		p.cmd(550, "SIZE "+name)
	}
	p.text(213, "AVBL", "820")
	put("x", 300, "x")
	put("y", 300, "y")
	p.script(`
		501 COMB whole
		501 COMB
		501 COMB "whole
		553 COMB whole x x
		553 COMB whole x whole
		550 COMB whole x none
		550 COMB new none
		550 COMB whole x /
		553 COMB / x y
		550 COMB whole x ../../../etc/passwd
		552 COMB z x y
		552 COMB whole x y`)
	same(t, "the whole after refusals", h.read("alice", "whole"), []byte(strings.Repeat("a", 100)+strings.Repeat("b", 50)+strings.Repeat("c", 30)))
	if len(h.read("alice", "x")) != 300 || len(h.read("alice", "y")) != 300 {
		t.Error("a refused COMB removed something")
	}
	p.text(213, "AVBL", "220")
	many := "COMB t" + strings.Repeat(" x", maxCombined)
	p.cmd(501, many)

	h.add("bob", -1, []account.Grant{{May: account.List | account.Read | account.Write | account.Append}})
	h.put("bob", "x", []byte("x"))
	h.put("bob", "y", []byte("y"))
	b := h.login("bob")
	b.cmd(550, "COMB x y") // y could not be removed
	same(t, "without d", h.read("bob", "x"), []byte("x"))
}

// TestCombineSameFile: a source that is the target by another name is not removed with the target's content.
func TestCombineSameFile(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	h.put("alice", "f", []byte("content"))
	if err := os.Link(filepath.Join(h.home("alice"), "f"), filepath.Join(h.home("alice"), "g")); err != nil {
		t.Skip("no hard links here: ", err)
	}
	p := h.login("alice")
	p.cmd(553, "COMB f g")
	p.cmd(553, "SITE COPY f g")
	same(t, "f", h.read("alice", "f"), []byte("content"))
	same(t, "g", h.read("alice", "g"), []byte("content"))
}

func TestCopy(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", 2500, nil)
	content := noise(1000)
	h.put("alice", "a file", content)
	h.put("alice", "other", []byte("other"))
	h.mkdir("alice", "d")
	p := h.login("alice")
	p.cmd(250, `SITE COPY "a file" d/b`)
	same(t, "a copy", h.read("alice", "d/b"), content)
	p.cmd(552, `SITE COPY "a file" d/c`)
	p.cmd(550, "SIZE d/c")
	p.script(`
		250 DELE d/b
		250 SITE COPY "a file" other
		503 SITE CPTO x
		350 SITE CPFR a file
		553 SITE CPTO a file
		503 SITE CPTO x
		250 DELE other
		350 SITE CPFR a file
		250 SITE CPTO a copy
		550 SITE CPFR none
		550 SITE COPY none x
		550 SITE COPY d x
		550 SITE COPY "a file" d
		550 SITE COPY "a file" none/x
		501 SITE COPY "a file"
		501 SITE COPY "a file" x y
		501 SITE COPY a "file
		550 SITE COPY ../../etc/passwd x`)
	same(t, "by two commands", h.read("alice", "a copy"), content)
	log, err := h.book.Log(context.Background(), account.Filter{Account: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, r := range log {
		found = found || r.Verb == "copy" && r.Path == "/a file" && r.To == "/a copy" && r.Result == "ok" && r.Size == 1000
	}
	if !found {
		t.Errorf("no record of the copy: %+v", log)
	}
}

// TestCopyAborted: a copy that was given up leaves nothing, and the target as it was.
func TestCopyAborted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	h.put("alice", "huge", nil)
	if err := os.Truncate(filepath.Join(h.home("alice"), "huge"), 1<<40); err != nil {
		t.Fatal(err)
	}
	h.put("alice", "target", []byte("old"))
	p := h.login("alice")
	p.send("SITE COPY huge target\r\n")
	eventually(t, "it moves", func() bool { return h.moved() > 0 })
	p.send("ABOR\r\n")
	p.want(426)
	p.want(226)
	same(t, "the target", h.read("alice", "target"), []byte("old"))
	p.text(213, "SIZE target", "3")
	p.cmd(550, "SITE PART target")
}

func TestHabits(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	p := h.dial()
	p.script(`
		200 CLNT program %s%n%d
		501 CLNT
		200 CSID Name=program; Version=1;
		501 CSID program
		220 HOST ftp.example.com
		220 HOST [2001:db8::1]
		501 HOST
		501 HOST ftp.example.com:21
		501 HOST a b
		501 HOST %s%n
		502 ADAT x
		502 MIC x
		502 CONF x
		502 ENC x
		503 CCC`)
	p.login("alice")
	p.script(`
		503 HOST ftp.example.com
		502 SMNT x
		200 OPTS UTF8 ON
		501 OPTS XYZZY`)
	s := h.dial()
	s.startTLS(clientTLS(t)) // its name is localhost
	s.script(`
		504 HOST ftp.example.com
		220 HOST LocalHost`)
	s.login("alice")
	s.cmd(534, "CCC")
	s.cmd(257, "PWD") // still there, still encrypted
}

func TestWhoAndKick(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	h.add("bob", -1, nil)
	h.add("op", -1, nil)
	yes := true
	if _, err := h.book.Update(context.Background(), "op", account.Change{Operator: &yes}); err != nil {
		t.Fatal(err)
	}
	a, b1, b2, op := h.login("alice"), h.login("bob"), h.login("bob"), h.login("op")
	a.cmd(550, "SITE WHO")
	a.cmd(550, "SITE KICK bob")
	h.dial().cmd(530, "SITE WHO")
	lines := op.cmd(211, "SITE WHO").Lines
	if all := strings.Join(lines, "\n"); len(lines) != 7 || !strings.Contains(all, " alice ftp 127.0.0.1:") || strings.Count(all, " bob ftp ") != 2 {
		t.Errorf("%q", lines)
	}
	op.text(200, "SITE KICK bob", "Sessions that are ended: 2")
	for _, p := range []*peer{b1, b2} {
		p.want(421)
		p.gone()
	}
	var own, alices string
	for _, line := range op.cmd(211, "SITE WHO").Lines {
		id, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case strings.HasPrefix(rest, "op "):
			own = id
		case strings.HasPrefix(rest, "alice "):
			alices = id
		}
	}
	op.cmd(504, "SITE KICK "+own)
	op.cmd(550, "SITE KICK nobody")
	op.cmd(550, "SITE KICK 99999999999999999999")
	op.cmd(550, "SITE KICK %s%n")
	op.text(200, "SITE KICK "+alices, "Sessions that are ended: 1")
	a.want(421)
	op.cmd(550, "SITE KICK op") // only others
}

// TestRevokedOperator: who is no operator any more may not, in the same session.
func TestRevokedOperator(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("op", -1, nil)
	h.add("other", -1, nil)
	set := func(name string, on bool) {
		t.Helper()
		if _, err := h.book.Update(context.Background(), name, account.Change{Operator: &on}); err != nil {
			t.Fatal(err)
		}
	}
	set("op", true)
	set("other", true)
	p := h.login("op")
	p.cmd(211, "SITE WHO")
	set("op", false)
	p.cmd(550, "SITE WHO")
}

// TestFeatIsTheTruth: every line of FEAT is a verb that answers something else than "unknown".
func TestFeatIsTheTruth(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	p := h.loginTLS("alice")
	lines := p.cmd(211, "FEAT").Lines
	for _, line := range lines[1 : len(lines)-1] {
		line = strings.TrimSpace(line)
		verb, _, _ := strings.Cut(line, " ")
		switch verb {
		case "UTF8", "TVFS", "PIPELINE": // no verbs
			continue
		case "AUTH", "SITE":
			verb = line
		}
		p.send(verb + "\r\n")
		r := p.any()
		for r.Preliminary() {
			r = p.any()
		}
		if r.Code == 500 || r.Code == 502 || r.Code == 504 {
			t.Errorf("%s: %d %q", line, r.Code, r.Lines)
		}
	}
}

// TestTimesBeyondReach: what no system keeps is refused and not turned into something else.
func TestTimesBeyondReach(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	h.put("alice", "f", nil)
	p := h.login("alice")
	p.cmd(213, "MFMT 20010203040506 f")
	for _, year := range []string{"0000", "0001", "1600", "2300", "9999"} {
		p.cmd(504, "MFMT "+year+"0203040506 f")
		p.cmd(504, "MFF modify="+year+"0203040506; f")
		p.cmd(504, "SITE UTIME "+year+"0203040506 f")
	}
	p.text(213, "MDTM f", "20010203040506")
}

package ftpd

import (
	"strings"
	"testing"
	"unicode"

	"sampan/ftp"
)

func han(r ftp.Reply) bool {
	return strings.ContainsFunc(strings.Join(r.Lines, ""), func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", 100, nil)
	h.put("alice", "f", []byte("content"))
	p := h.dial()
	feature := func(want string) {
		t.Helper()
		if feat := strings.Join(p.cmd(211, "FEAT").Lines, "\n"); !strings.Contains(feat, want) {
			t.Errorf("%s is not in %s", want, feat)
		}
	}
	chinese := func(want bool, code int, line string) {
		t.Helper()
		if r := p.cmd(code, line); han(r) != want {
			t.Errorf("%s: %q", line, r.Lines)
		}
	}
	feature("LANG EN*;ZH-CN")
	chinese(false, 530, "PWD")
	p.text(200, "LANG zh-CN", "回复使用简体中文")
	feature("LANG EN;ZH-CN*")
	chinese(true, 530, "PWD")
	chinese(true, 500, "XYZZY")
	chinese(true, 501, "NOOP x")
	chinese(true, 214, "HELP")
	p.script(`
		504 LANG de
		504 LANG zh-TW
		504 LANG zh-Hant
		504 LANG C
		501 LANG en-
		501 LANG zh_CN
		501 LANG %s%n
		501 LANG en fr`)
	feature("LANG EN;ZH-CN*")
	chinese(true, 331, "USER alice") // a log-in keeps it
	chinese(true, 530, "PASS wrong")
	chinese(true, 331, "USER alice")
	chinese(true, 230, "PASS "+password)
	chinese(true, 200, "TYPE I")
	chinese(true, 550, "SIZE none") // an error of the store
	chinese(false, 213, "SIZE f")   // what programs read
	chinese(true, 211, "STAT")
	if r := p.store(552, "STOR big", noise(1000)); !han(r) {
		t.Errorf("%q", r.Lines)
	}
}

// TestLanguageEnds: REIN and AUTH begin anew, and what clients read out of replies is the same in every language.
func TestLanguageEnds(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	content := noise(1234)
	h.put("alice", "f", content)
	p := h.dial()
	p.cmd(200, "LANG ZH")
	p.login("alice")
	nc := p.passive()
	p.send("RETR f\r\n")
	if got := p.want(150).Text(); !strings.Contains(got, "(1234 bytes)") || !strings.Contains(got, "正在发送") {
		t.Error(got)
	}
	got := make([]byte, len(content))
	if n, _ := nc.Read(got); n == 0 {
		t.Error("nothing came")
	}
	if !han(p.want(226)) {
		t.Error("226 is not Chinese")
	}
	if _, ok := ftp.UnquotePath(p.cmd(257, "PWD").Text()); !ok {
		t.Error("257 without a path")
	}
	if _, ok := ftp.ParsePASV(p.cmd(227, "PASV").Text()); !ok {
		t.Error("227 without an address")
	}
	if !han(p.cmd(200, "NOOP")) {
		t.Error("NOOP is not Chinese")
	}
	if han(p.cmd(220, "REIN")) || han(p.cmd(200, "NOOP")) {
		t.Error("REIN keeps the language")
	}
	p.cmd(200, "LANG zh-Hans-CN")
	p.startTLS(clientTLS(t))
	if han(p.cmd(200, "NOOP")) {
		t.Error("AUTH keeps the language")
	}
	p.cmd(200, "LANG zh-CN")
	p.cmd(200, "LANG en-GB")
	if han(p.cmd(200, "NOOP")) {
		t.Error("LANG en does not go back")
	}
	p.cmd(200, "LANG zh-CN")
	if han(p.cmd(200, "LANG")) {
		t.Error("LANG alone does not go back")
	}
}

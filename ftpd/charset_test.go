package ftpd

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/traditionalchinese"

	"sampan/account"
	"sampan/files"
)

// TestExplorerGBK plays what a file manager of Chinese Windows sends that knows no UTF-8, byte for byte.
func TestExplorerGBK(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	h.put("alice", "旧文件.txt", []byte("old"))
	h.put("alice", "smile 😀.txt", []byte("face"))
	p := h.dial()
	for _, step := range []struct{ send, want, up, down string }{
		{send: "USER alice", want: "331 "},
		{send: "PASS " + password, want: "230 "},
		{send: "SYST", want: "215 UNIX"},
		{send: "PWD", want: `257 "/" `},
		{send: "TYPE A", want: "200 "},
		{send: "NLST", want: "226 ", down: "旧文件.txt\r\nsmile 😀.txt\r\n"}, // nothing is known yet
		{send: "MKD \xd0\xc2\xbd\xa8\xce\xc4\xbc\xfe\xbc\xd0", want: "257 \"/\xd0\xc2\xbd\xa8\xce\xc4\xbc\xfe\xbc\xd0\" "},
		{send: "NLST", want: "226 ", down: "\xbe\xc9\xce\xc4\xbc\xfe.txt\r\nsmile &#128512;.txt\r\n\xd0\xc2\xbd\xa8\xce\xc4\xbc\xfe\xbc\xd0\r\n"},
		{send: "RNFR \xd0\xc2\xbd\xa8\xce\xc4\xbc\xfe\xbc\xd0", want: "350 "},
		{send: "RNTO \xcd\xbc\xc6\xac", want: "250 "},
		{send: "CWD /\xcd\xbc\xc6\xac/", want: "250 Now in /\xcd\xbc\xc6\xac"},
		{send: "PWD", want: "257 \"/\xcd\xbc\xc6\xac\" "},
		{send: "TYPE I", want: "200 "},
		{send: "STOR \xb1\xa8\xb8\xe6.txt", want: "226 Safe: /\xcd\xbc\xc6\xac/\xb1\xa8\xb8\xe6.txt (6 bytes)", up: "report"},
		{send: "SIZE \xb1\xa8\xb8\xe6.txt", want: "213 6"},
		{send: "STOR \xc4\xa3", want: "226 Safe: /\xcd\xbc\xc6\xac/\xc4\xa3 ", up: "this is UTF-8 too"},
		{send: "RNFR \xb1\xa8\xb8\xe6.txt", want: "350 "},
		{send: "RNTO \xc4\xea\xd6\xd5\xb1\xa8\xb8\xe6.txt", want: "250 "},
		{send: "RETR /\xcd\xbc\xc6\xac/\xc4\xea\xd6\xd5\xb1\xa8\xb8\xe6.txt", want: "226 ", down: "report"},
		{send: "NLST -a /\xcd\xbc\xc6\xac", want: "226 ", down: "/\xcd\xbc\xc6\xac/\xc4\xea\xd6\xd5\xb1\xa8\xb8\xe6.txt\r\n/\xcd\xbc\xc6\xac/\xc4\xa3\r\n"},
		{send: "NLST *\xb1\xa8*", want: "226 ", down: "\xc4\xea\xd6\xd5\xb1\xa8\xb8\xe6.txt\r\n"},
		{send: "RETR \xb1\xa8\xb8\xe6.txt", want: "550 /\xcd\xbc\xc6\xac/\xb1\xa8\xb8\xe6.txt: no such file"},
		{send: "DELE \xc4\xa3", want: "250 "},
		{send: "CWD ..", want: "250 "},
		{send: "RETR smile &#128512;.txt", want: "226 ", down: "face"},
		{send: "RETR 旧文件.txt", want: "226 ", down: "old"}, // as it was shown in the beginning
		{send: "DELE \xbe\xc9\xce\xc4\xbc\xfe.txt", want: "250 "},
		{send: "MKD ..\xd0", want: "553 "}, // half a character
	} {
		p.step(step.send, step.want, step.up, step.down)
	}
	if got := names(t, h.home("alice")); got != "smile 😀.txt, 图片, 图片/年终报告.txt" {
		t.Errorf("on the disk there is %q", got)
	}
	if got := p.list("LIST 图片"); len(got) != 1 || !strings.HasSuffix(got[0], " \xc4\xea\xd6\xd5\xb1\xa8\xb8\xe6.txt") {
		t.Errorf("listed: %q", got)
	}
	if got := p.list("MLSD"); len(got) != 2 || !strings.HasSuffix(got[0]+got[1], " \xcd\xbc\xc6\xac") && !strings.HasSuffix(got[1]+got[0], " \xcd\xbc\xc6\xac") {
		t.Errorf("listed: %q", got)
	}
}

// step sends a line and checks how its last reply begins, and what came over the data connection, in any order.
func (p *peer) step(send, want, up, down string) {
	p.t.Helper()
	verb, _, _ := strings.Cut(send, " ")
	var data io.ReadWriteCloser
	if verb == "STOR" || verb == "RETR" || verb == "NLST" {
		data = p.passive()
		defer data.Close()
	}
	p.send(send + "\r\n")
	r := p.any()
	if r.Preliminary() {
		if verb == "STOR" {
			io.WriteString(data, up)
			data.Close()
		} else {
			b, err := io.ReadAll(data)
			if err != nil {
				p.t.Fatalf("%s: %v", send, err)
			}
			if got := string(b); sorted(got) != sorted(down) {
				p.t.Fatalf("%s: %q came, want %q", send, got, down)
			}
		}
		r = p.any()
	}
	if got := string(appendReply(r.Code, r.Lines...)); !strings.HasPrefix(got, want) {
		p.t.Fatalf("%s: %q, want %q", send, got, want)
	}
}

// list returns the lines of a listing.
func (p *peer) list(command string) []string {
	p.t.Helper()
	return strings.Split(strings.TrimSuffix(string(p.fetch(command)), "\r\n"), "\r\n")
}

// names lists what is in a directory of the disk and below, but for what is ours.
func names(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == ".sampan" {
			return filepath.SkipDir
		}
		if rel, _ := filepath.Rel(dir, path); rel != "." {
			all = append(all, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, ", ")
}

// TestLegacyCharsets: names go to the disk as UTF-8 and come back as the client writes them, those of its listing lead to
// their files, and other clients see them in UTF-8.
func TestLegacyCharsets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		charset      encoding.Encoding
		dir, file    string
		foreign, has string // a file of another client, and how it is shown
	}{
		{"Big5", traditionalchinese.Big5, "我的圖片", "會議記錄 功能.txt", "简体.txt", "&#31616;体.txt"},        // 功 ends with a backslash
		{"Shift_JIS", japanese.ShiftJIS, "新しいフォルダ", "一覧表 ソ.txt", "한글.txt", "&#54620;&#44544;.txt"}, // ソ too
		{"EUC-KR", korean.EUCKR, "새 폴더", "회의록 똠.txt", "😀.txt", "&#128512;.txt"},                    // 똠 is of the extension
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			wire := func(s string) string {
				b, err := c.charset.NewEncoder().String(s)
				if err != nil {
					t.Fatalf("%q: %v", s, err)
				}
				return b
			}
			h := newHouse(t)
			h.add("alice", -1, nil)
			p := h.login("alice")
			p.cmd(257, "MKD "+wire(c.dir))
			if got := p.cmd(250, "CWD "+wire(c.dir)).Text(); got != "Now in /"+wire(c.dir) {
				t.Errorf("%q", got)
			}
			p.store(226, "STOR "+wire(c.file), []byte("mine"))
			same(t, "on the disk", h.read("alice", c.dir+"/"+c.file), []byte("mine"))
			q := h.login("alice")
			q.cmd(250, "CWD "+c.dir)
			if got := q.list("NLST"); len(got) != 1 || got[0] != c.file {
				t.Errorf("in UTF-8: %q", got)
			}
			q.store(226, "STOR "+c.foreign, []byte("theirs"))
			want := map[string]string{wire(c.file): "mine", wire(c.has): "theirs"}
			for _, name := range p.list("NLST") {
				same(t, name, p.fetch("RETR "+name), []byte(want[name]))
				p.cmd(213, "MDTM "+name)
				delete(want, name)
			}
			if len(want) > 0 {
				t.Errorf("not listed: %q", want)
			}
			p.cmd(350, "RNFR "+wire(c.has))
			p.cmd(250, "RNTO "+wire(c.file))
			same(t, "renamed", h.read("alice", c.dir+"/"+c.file), []byte("theirs"))
			p.cmd(200, "OPTS UTF8 ON")
			same(t, "in UTF-8 at last", p.fetch("RETR "+c.file), []byte("theirs"))
		})
	}
}

// TestNamesOfNoCharset: names of old that are not UTF-8 can be seen, read and removed by who never says what it writes, by
// UTF-8 clients and by others; none are made.
func TestNamesOfNoCharset(t *testing.T) {
	t.Parallel()
	const raw = "\xd6\xd0\xce\xc4.txt"
	for name, shown := range map[string]string{"": raw, "OPTS UTF8 ON": raw, "CLNT Some Commander (UTF-8)": raw, "SIZE \xc1\xf9\xd4\xc2": "&#xD6;&#xD0;&#xCE;&#xC4;.txt"} {
		h := newHouse(t)
		h.add("alice", -1, nil)
		h.put("alice", raw, []byte("x"))
		p := h.login("alice")
		if name != "" {
			p.send(name + "\r\n")
			p.any()
		}
		if got := p.list("NLST"); len(got) != 1 || got[0] != shown {
			t.Fatalf("%s: listed %q, want %q", name, got, shown)
		}
		same(t, name, p.fetch("RETR "+shown), []byte("x"))
		p.refused(553, "STOR caf\xe9.txt")
		p.cmd(250, "DELE "+shown)
		if got := names(t, h.home("alice")); got != "" {
			t.Errorf("on the disk there is %q", got)
		}
	}
}

// TestWhoMayBeHeardInGBK: account names are UTF-8 too.
func TestWhoMayBeHeardInGBK(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("张三", -1, nil)
	p := h.dial()
	p.cmd(331, "USER \xd5\xc5\xc8\xfd")
	p.cmd(230, "PASS "+password)
	p.cmd(257, "MKD \xcd\xbc\xc6\xac")
	if got := names(t, h.home("张三")); got != "图片" {
		t.Errorf("on the disk there is %q", got)
	}
}

// TestTwins: a name is found however its accents are written, and no grant is passed by writing them in another way.
func TestTwins(t *testing.T) {
	t.Parallel()
	const nfc, nfd = "Am\u00e9lie", "Ame\u0301lie"
	under := func(name string) files.Path {
		p, err := files.Parse(files.Root, name)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, c := range []struct{ made, asked string }{{nfc, nfd}, {nfd, nfc}} {
		for _, granted := range []string{nfc, nfd} {
			h := newHouse(t)
			h.add("alice", -1, []account.Grant{{May: account.Full}, {Under: under(granted + "/secret"), May: account.List}})
			h.put("alice", c.made+"/plain", []byte("x"))
			h.put("alice", c.made+"/secret/plain", []byte("x"))
			p := h.login("alice")
			p.cmd(250, "CWD "+c.asked)
			same(t, "by its twin", p.fetch("RETR plain"), []byte("x"))
			p.store(226, "STOR "+c.made, []byte("1"))
			p.store(226, "STOR /"+c.asked+"/"+c.asked, []byte("2"))
			same(t, "replaced", h.read("alice", c.made+"/"+c.made), []byte("2"))
			for _, name := range []string{c.made, c.asked} {
				p.refused(550, "RETR /"+name+"/secret/plain")
				p.refused(550, "STOR /"+name+"/secret/new")
				p.cmd(550, "DELE /"+name+"/secret/plain")
				p.cmd(550, "RNFR /"+name+"/secret/plain")
				p.cmd(350, "RNFR /"+name)
				p.cmd(550, "RNTO /elsewhere") // what is granted below would be lost
			}
			if got, want := names(t, h.home("alice")), strings.Join([]string{
				c.made, c.made + "/" + c.made, c.made + "/plain", c.made + "/secret", c.made + "/secret/plain",
			}, ", "); got != want {
				t.Errorf("on the disk there is %q, want %q", got, want)
			}
		}
	}
}

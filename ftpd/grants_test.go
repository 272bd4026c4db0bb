package ftpd

import (
	"io"
	"strings"
	"testing"

	"sampan/account"
	"sampan/files"
	"sampan/ftp"
)

// TestGrants: every letter allows what it names, and nothing else does.
func TestGrants(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	transfer := func(command, content string) func(p *peer) int {
		return func(p *peer) int {
			nc := p.passive()
			p.send(command + "\r\n")
			r, err := ftp.ReadReply(p.r)
			if err == nil && r.Preliminary() {
				if content == "" {
					io.Copy(io.Discard, nc)
				}
				io.WriteString(nc, content)
				nc.Close()
				r, err = ftp.ReadReply(p.r)
			}
			if err != nil {
				p.t.Fatal(command, err)
			}
			return r.Code
		}
	}
	command := func(lines ...string) func(p *peer) int {
		return func(p *peer) int {
			for _, line := range lines {
				p.send(line + "\r\n")
				if r, err := ftp.ReadReply(p.r); err != nil {
					p.t.Fatal(line, err)
				} else if r.Code >= 400 || line == lines[len(lines)-1] {
					return r.Code
				}
			}
			return 0
		}
	}
	acts := []struct {
		name    string
		letters account.Perm // that it needs
		act     func(p *peer) int
	}{
		{"CWD", account.ChangeDir, command("CWD /d", "CDUP")},
		{"LIST", account.List, transfer("LIST /d", "")},
		{"NLST", account.List, transfer("NLST /d", "")},
		{"MLSD", account.List, transfer("MLSD /d", "")},
		{"MLST", account.List, command("MLST /d/f")},
		{"STAT", account.List, command("STAT /d")},
		{"SIZE", account.List, command("SIZE /d/f")},
		{"MDTM", account.List, command("MDTM /d/f")},
		{"RETR", account.Read, transfer("RETR /d/f", "")},
		{"HASH", account.Read, command("HASH /d/f")},
		{"APPE", account.Append, transfer("APPE /d/f", "more")},
		{"REST STOR", account.Append, func(p *peer) int {
			p.cmd(350, "REST 1")
			return transfer("STOR /d/f", "more")(p)
		}},
		{"STOR", account.Write, transfer("STOR /d/new", "new")},
		{"STOR over", account.Write, transfer("STOR /d/f", "over")},
		{"STOU", account.Write, transfer("STOU /d/u", "new")},
		{"DELE", account.Delete, command("DELE /d/del")},
		{"RMD", account.Delete, command("RMD /d/empty")},
		{"MKD", account.MakeDir, command("MKD /d/made")},
		{"RNFR", account.Rename, command("RNFR /d/ren", "RNTO /d/ren2")},
		{"RNTO over", account.Rename | account.Delete, command("RNFR /d/over1", "RNTO /d/over2")},
		{"CHMOD", account.Chmod, command("SITE CHMOD 600 /d/f")},
		{"MFMT", account.SetTime, command("MFMT 20260101000000 /d/f")},
	}
	for i, a := range acts {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			for j, deny := range []bool{false, true} {
				may := a.letters
				if deny {
					may = account.Full
					for bit := account.Perm(1); bit <= account.Full; bit <<= 1 {
						if a.letters&bit != 0 {
							may &^= bit // the first letter that it needs
							break
						}
					}
				}
				name := strings.ToLower(string(rune('a'+i))) + string(rune('0'+j))
				h.add(name, -1, []account.Grant{{Under: files.Root, May: may}})
				for _, f := range []string{"f", "del", "ren", "over1", "over2"} {
					h.put(name, "d/"+f, []byte(f))
				}
				h.mkdir(name, "d/empty")
				p := h.login(name)
				code := a.act(p)
				if deny && code != 550 || !deny && code >= 300 {
					t.Errorf("with %s: %d", may, code)
				}
				p.cmd(200, "NOOP")
				if deny {
					same(t, "d/f", h.read(name, "d/f"), []byte("f"))
					same(t, "d/over2", h.read(name, "d/over2"), []byte("over2"))
					same(t, "d/del", h.read(name, "d/del"), []byte("del"))
				}
			}
		})
	}
}

// TestLongestGrantWins: what is said of a deeper path counts there alone.
func TestLongestGrantWins(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, []account.Grant{
		{Under: files.Root, May: account.ReadOnly},
		{Under: pathOf(t, "/in"), May: account.DropBox},
		{Under: pathOf(t, "/in/mine"), May: account.Full},
		{Under: pathOf(t, "/none"), May: 0},
	})
	for _, f := range []string{"f", "in/f", "in/mine/f", "none/f"} {
		h.put("alice", f, []byte(f))
	}
	p := h.login("alice")
	same(t, "f", p.fetch("RETR f"), []byte("f"))
	p.refused(550, "STOR f")
	p.store(226, "STOR in/new", []byte("x"))
	p.refused(550, "RETR in/f")
	p.refused(550, "LIST in")
	p.cmd(250, "CWD in")
	p.cmd(550, "DELE f")
	p.store(226, "STOR mine/f", []byte("mine"))
	same(t, "in/mine/f", p.fetch("RETR /in/mine/f"), []byte("mine"))
	p.cmd(550, "CWD /none")
	p.refused(550, "RETR /none/f")
	if got := string(p.fetch("NLST /")); strings.Contains(got, "none") {
		t.Errorf("%q", got)
	}
	p.cmd(350, "RNFR /in/mine/f")
	p.cmd(550, "RNTO /f2")
	// What is given or taken counts at once.
	grants := []account.Grant{{Under: files.Root, May: account.Full}}
	if _, err := h.book.Update(t.Context(), "alice", account.Change{Grants: &grants}); err != nil {
		t.Fatal(err)
	}
	p.store(226, "STOR /f", []byte("now"))
}

package ftpd

import (
	"crypto/sha256"
	"fmt"
	"net"
	"strings"
	"testing"
)

// park leaves a part of content under name.
func (h *house) park(p *peer, name string, content []byte) {
	h.t.Helper()
	nc := p.begin("STOR " + name)
	if _, err := nc.Write(content); err != nil {
		h.t.Fatal(err)
	}
	eventually(h.t, "all is received", func() bool { return h.moved() == int64(len(content)) })
	if p.prot {
		p.closeBeneath(nc)
	} else {
		nc.(*net.TCPConn).SetLinger(0)
		nc.Close()
	}
	p.want(426)
}

// TestPartWithoutFile: clients that know nothing of parts resume as they do elsewhere.
func TestPartWithoutFile(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		content := noise(5000)
		p := login("alice")
		begin := func() {
			t.Helper()
			h.park(p, "f", content[:2000])
			if got := p.cmd(213, "SIZE f").Text(); got != "2000" {
				t.Fatal(got)
			}
			if got := p.cmd(250, "MLST f").Lines[1]; !strings.Contains(got, "size=2000;") || !strings.Contains(got, "X.part=2000;") {
				t.Fatal(got)
			}
			want := fmt.Sprintf("2000 SHA-256 %x /f", sha256.Sum256(content[:2000]))
			if got := p.cmd(213, "SITE PART f").Text(); got != want {
				t.Fatalf("%s, want %s", got, want)
			}
			p.refused(550, "RETR f") // nobody reads it as a file
			p.refused(550, "LIST f")
			p.cmd(550, "HASH f")
			if got := p.fetch("MLSD"); len(got) != 0 {
				t.Fatalf("%q", got)
			}
		}
		begin()
		p.store(226, "APPE f", content[2000:])
		same(t, "by APPE", h.read("alice", "f"), content)
		p.cmd(550, "SITE PART f")
		p.cmd(250, "DELE f")

		begin()
		p.cmd(350, "REST 1999")
		p.refused(554, "STOR f")
		p.cmd(350, "REST 2001")
		p.refused(554, "STOR f")
		p.cmd(350, "REST 2000")
		p.store(226, "STOR f", content[2000:])
		same(t, "by REST", h.read("alice", "f"), content)
		p.cmd(250, "DELE f")

		begin()
		p.cmd(550, "RNFR f")
		p.cmd(250, "DELE f") // the part goes
		p.cmd(550, "SIZE f")
		p.cmd(550, "SITE PART f")

		begin()
		p.store(226, "STOR f", content) // from 0 begins anew
		same(t, "anew", h.read("alice", "f"), content)
		p.cmd(550, "SITE PART f")
	})
}

// TestPartBesideFile: an old head is never joined to a new tail.
func TestPartBesideFile(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		content := noise(5000)
		p := login("alice")
		p.store(226, "STOR f", []byte("the old one"))
		h.park(p, "f", content[:2000])
		same(t, "still", p.fetch("RETR f"), []byte("the old one"))
		if got := p.cmd(213, "SIZE f").Text(); got != "11" {
			t.Fatal(got)
		}
		if got := p.cmd(250, "MLST f").Lines[1]; !strings.Contains(got, "size=11;") || !strings.Contains(got, "X.part=2000;") {
			t.Fatal(got)
		}
		if text := p.refused(450, "APPE f").Text(); !strings.Contains(text, "2000") {
			t.Error(text)
		}
		p.cmd(350, "REST 11")
		if text := p.refused(450, "STOR f").Text(); !strings.Contains(text, "2000") {
			t.Error(text)
		}
		p.cmd(350, "REST 2000")
		p.store(226, "STOR f", content[2000:])
		same(t, "f", h.read("alice", "f"), content)
	})
}

// TestPartIsOnesOwn: only its sender sees a part.
func TestPartIsOnesOwn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	h.addAt("bob", h.home("alice"), nil)
	a, b := h.login("alice"), h.login("bob")
	h.park(a, "f", []byte("secret"))
	b.cmd(550, "SIZE f")
	b.cmd(550, "MLST f")
	b.cmd(550, "SITE PART f")
	b.cmd(350, "REST 6")
	b.refused(550, "STOR f")
	b.store(226, "STOR f", []byte("bob's"))
	same(t, "f", h.read("alice", "f"), []byte("bob's"))
}

func TestALLO(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", 10_000, nil)
	p := h.login("alice")
	p.cmd(200, "ALLO 100")
	if text := p.store(426, "STOR f", noise(99)).Text(); !strings.Contains(text, "100") || !strings.Contains(text, "99") {
		t.Error(text)
	}
	if got := p.cmd(213, "SIZE f").Text(); got != "99" {
		t.Error(got)
	}
	p.cmd(200, "ALLO 100")
	p.cmd(350, "REST 99")
	p.store(226, "STOR f", noise(1))  // the offset counts
	p.store(226, "STOR f", noise(99)) // it held for one upload
	p.cmd(200, "ALLO 100")
	p.store(226, "STOR f", noise(101))
	p.cmd(200, "ALLO 100 R 10")
	p.store(226, "STOR f", noise(9))
	p.cmd(200, "TYPE A")
	p.cmd(200, "ALLO 100")
	p.store(226, "STOR f", noise(9))
	p.cmd(200, "TYPE I")
	p.cmd(200, "ALLO 20000")
	p.refused(552, "STOR g") // before a byte is sent
	p.store(226, "STOR g", noise(9))
	p.cmd(200, "ALLO 5")
	p.store(426, "STOU", []byte("1234"))
}

func TestSTOU(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	p := h.login("alice")
	seen := map[string]bool{}
	for i, arg := range []string{"STOU", "STOU", "STOU name", "STOU name", "STOU name"} {
		nc := p.passive()
		first := p.cmd(150, arg).Text()
		fmt.Fprintf(nc, "content %d", i)
		nc.Close()
		last := p.want(226).Text()
		name, ok := strings.CutPrefix(first, "FILE: ")
		if !ok || last != first || seen[name] {
			t.Fatal(first, last)
		}
		seen[name] = true
		same(t, name, h.read("alice", name), fmt.Appendf(nil, "content %d", i))
	}
	if !seen["name"] {
		t.Error("a free name was not taken")
	}
}

// TestSTOUOtherNameKeepsALLO: the size that was announced holds for the upload, not for the first name that is tried.
func TestSTOUOtherNameKeepsALLO(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice", -1, nil)
	p := h.login("alice")
	p.store(226, "STOR name", []byte("taken"))
	p.cmd(200, "ALLO 100")
	p.store(426, "STOU name", noise(99))
	p.store(226, "STOU name", noise(99)) // it held for one upload
}

func TestOverQuota(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, h *house, login func(string) *peer) {
		h.add("bob", 100_000, nil)
		p := login("bob")
		p.store(226, "STOR f", noise(60_000))
		old := h.read("bob", "f")
		p.store(552, "STOR f", noise(60_000)) // both versions do not fit
		same(t, "f", h.read("bob", "f"), old)
		p.cmd(250, "DELE f")
		if r := p.cmd(550, "SITE PART f"); r.Code != 550 {
			t.Error(r.Lines)
		}
		p.store(552, "STOR g", noise(5_000_000))
		p.cmd(200, "NOOP")
		if got := p.cmd(200, "SITE QUOTA").Text(); !strings.Contains(got, " of 100000, ") {
			t.Error(got)
		}
		p.store(226, "STOR g", noise(100_000)) // exactly full
		p.refused(552, "APPE g")
	})
}

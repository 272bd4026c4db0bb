package files

import (
	"bytes"
	"fmt"
	"testing"
)

func sampleLedger() []byte {
	s := &state{boot: "b o\"ot", strict: true, published: 4711, next: 9, entries: map[uint64]*entry{
		3: {id: 3, owner: "alice", path: mustPath("/d/x"), random: true, whole: 70, synced: 77},
	}}
	text := s.encode()
	text = sealStage(text, 4, &entry{id: 4, owner: "李 \xff", path: mustPath("/with space\"")})
	text = sealKept(text, 3, &kept{n: 70, state: []byte("state"), file: node{id: nodeID{ino: 1<<64 - 1}, size: 77, mtime: -1}})
	text = sealKept(text, 5, &kept{n: 1, state: []byte("of nothing"), file: node{size: 1}})
	text = sealIntent(text, intent{seq: 1, verb: verbPut, stage: 4, to: mustPath("/y"), delta: 10})
	text = sealOutcome(text, 1, true)
	text = sealIntent(text, intent{seq: 2, verb: verbMov, from: mustPath("/d"), to: mustPath("/e"), ino: 1<<64 - 1, delta: -5, dir: true})
	text = sealOutcome(text, 2, true)
	text = sealIntent(text, intent{seq: 3, verb: verbDel, from: mustPath("/y"), ino: 12, delta: -10})
	text = sealOutcome(text, 3, false)
	return sealIntent(text, intent{seq: 4, verb: verbDel, from: mustPath("/y"), ino: 12, delta: -10})
}

func TestLedgerReplay(t *testing.T) {
	t.Parallel()
	s := replay(sampleLedger())
	e := s.entries[3]
	switch {
	case !s.ok || s.hole || s.boot != "b o\"ot" || !s.strict || s.clean || s.next != 9:
		t.Errorf("state is %+v", s)
	case s.published != 4711+10-5:
		t.Errorf("published is %d", s.published)
	case len(s.entries) != 1 || e == nil || e.path != mustPath("/e/x") || !e.random || e.whole != 70 || e.synced != 77 || e.owner != "alice":
		t.Errorf("entries are %v, %+v", s.entries, e)
	case e.kept == nil || e.kept.n != 70 || string(e.kept.state) != "state" || e.kept.file != node{id: nodeID{ino: 1<<64 - 1}, size: 77, mtime: -1}:
		t.Errorf("kept is %+v", e.kept)
	case len(s.open) != 1 || s.open[0].seq != 4 || s.open[0].ino != 12 || s.open[0].verb != verbDel:
		t.Errorf("open intents are %+v", s.open)
	}
}

// TestLedgerTorn: at whatever byte a crash tears the ledger, what stands before is taken and nothing else.
func TestLedgerTorn(t *testing.T) {
	t.Parallel()
	text := sampleLedger()
	for n := range text {
		s := replay(text[:n])
		lines := bytes.Count(text[:n], []byte("\n"))
		if s.hole || s.ok != (lines > 0) {
			t.Fatalf("torn at %d: %+v", n, s)
		}
		if want := int64(4711); lines >= 1 && lines < 8 && s.published != want {
			t.Fatalf("torn at %d: published is %d", n, s.published)
		}
	}
}

// TestLedgerHole: a damaged record before good ones is noticed, and the good ones still count.
func TestLedgerHole(t *testing.T) {
	t.Parallel()
	text := sampleLedger()
	for n := range bytes.LastIndexByte(text[:len(text)-1], '\n') {
		bad := bytes.Clone(text)
		bad[n] ^= 0x20
		if s := replay(bad); !s.hole {
			t.Fatalf("byte %d of %q is damaged and it is not noticed", n, fmt.Sprintf("%.20s", text))
		}
	}
}

// seal makes a record of any body.
func seal(buf []byte, body string) []byte {
	return line{append(append(buf, "00000000 "...), body...), len(buf)}.seal()
}

// FuzzLedger: no ledger crashes its reader, and what is read can be written and read again.
func FuzzLedger(f *testing.F) {
	f.Add(sampleLedger())
	f.Add([]byte("00000000 C\n"))
	f.Add(seal(nil, "I 1 mov 1 \"/\" \"/\" 0 0 true"))
	f.Add(seal(seal(nil, "C 1 \"\" true true 0 0"), "S 18446744073709551615 \"\" \"/../x\""))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := replay(data)
		s.published = max(s.published, 0)
		if again := replay(s.encode()); !again.ok || again.hole || again.published != s.published || len(again.entries) != len(s.entries) {
			t.Fatalf("%+v reads again as %+v", s, again)
		}
		var sealed []byte // the same with checksums that fit, so that the fields are reached
		for line := range bytes.SplitSeq(data, []byte("\n")) {
			sealed = seal(sealed, string(line))
		}
		replay(sealed)
	})
}

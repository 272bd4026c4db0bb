package files

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"os"
	"strconv"
	"strings"
	"sync"
)

// The ledger, HOME/.sampan/ledger, is a text of records, one a line: eight hex digits of CRC-32C over the rest of the
// line, a letter, fields. Strings are quoted as Go quotes them.
//
//	C version "boot" strict clean published next    checkpoint: the first line, and only there
//	S id "owner" "path" from                        a stage begins; also what a stage or part was in a checkpoint
//	W id bytes                                      the stage is written out of order: behind so many bytes its gaps are not known
//	Y id bytes                                      so many bytes of it are on stable storage
//	H id bytes state inode size mtime               so many bytes of part id are hashed, as long as its file is that one
//	I seq verb id "from" "to" inode delta dir       intent: what is about to happen to names
//	K seq                                           it happened
//	X seq                                           it did not
//
// Where a file of ours lies tells what it is: stage/ID is an upload under way, part/ID a parked one; size and time
// are the file's own. The bytes published are the checkpoint's plus the delta of each intent that happened. An intent
// with neither K nor X is decided by a look at the disk. After a crash the last record may be torn; it is left out.
const ledgerVersion = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// verb says what an intent is about to do.
type verb string

const (
	verbPut verb = "put" // stage id becomes to
	verbDel verb = "del" // from goes
	verbMov verb = "mov" // from becomes to
)

// intent is a change of names that changes the published bytes or the names of parts.
type intent struct {
	seq      uint64
	verb     verb
	stage    uint64
	from, to Path
	ino      uint64 // of what is removed or moved, 0 if unknown
	delta    int64  // of the published bytes, once it happened
	dir      bool   // a directory is moved, with what lies below it
}

// state is what a ledger says.
type state struct {
	boot          string
	strict, clean bool
	published     int64
	next          uint64
	entries       map[uint64]*entry
	open          []intent // neither done nor undone, in order
	ok            bool     // there is a checkpoint
	hole          bool     // a bad record stands before good ones
}

// A line is a record that is being appended to buf. It is made without fmt, for each upload takes three.
type line struct {
	buf []byte
	at  int // where it begins in buf
}

// record begins a line with its letter, behind the room for its check.
func record(buf []byte, letter byte) line {
	return line{append(append(buf, "00000000 "...), letter), len(buf)}
}

func (l line) word(w string) line { return line{append(append(l.buf, ' '), w...), l.at} }
func (l line) str(s string) line  { return line{strconv.AppendQuote(append(l.buf, ' '), s), l.at} }
func (l line) uint(n uint64) line { return line{strconv.AppendUint(append(l.buf, ' '), n, 10), l.at} }
func (l line) bool(b bool) line   { return line{strconv.AppendBool(append(l.buf, ' '), b), l.at} }
func (l line) hex(b []byte) line  { return line{hex.AppendEncode(append(l.buf, ' '), b), l.at} }

func (l line) int(n int64) line {
	return line{strconv.AppendInt(append(l.buf, ' '), n, 10), l.at}
}

// seal ends the line, and returns all of buf.
func (l line) seal() []byte {
	var check [4]byte
	binary.BigEndian.PutUint32(check[:], crc32.Checksum(l.buf[l.at+9:], castagnoli))
	hex.Encode(l.buf[l.at:], check[:])
	return append(l.buf, '\n')
}

func (s *state) encode() []byte {
	buf := record(nil, 'C').int(ledgerVersion).str(s.boot).bool(s.strict).bool(s.clean).int(max(s.published, 0)).uint(s.next).seal()
	for id, e := range s.entries {
		buf = sealEntry(buf, id, e)
	}
	return buf
}

func sealEntry(buf []byte, id uint64, e *entry) []byte {
	buf = sealStage(buf, id, e)
	if e.random {
		buf = sealRandom(buf, id, e.whole)
	}
	if e.synced > 0 {
		buf = sealSynced(buf, id, e.synced)
	}
	if e.kept != nil {
		buf = sealKept(buf, id, e.kept)
	}
	return buf
}

func sealStage(buf []byte, id uint64, e *entry) []byte {
	return record(buf, 'S').uint(id).str(e.owner).str(e.path.String()).int(e.from).seal()
}

func sealRandom(buf []byte, id uint64, whole int64) []byte {
	return record(buf, 'W').uint(id).int(whole).seal()
}

func sealSynced(buf []byte, id uint64, n int64) []byte {
	return record(buf, 'Y').uint(id).int(n).seal()
}

func sealKept(buf []byte, id uint64, k *kept) []byte {
	return record(buf, 'H').uint(id).int(k.n).hex(k.state).uint(k.file.id.ino).int(k.file.size).int(k.file.mtime).seal()
}

func sealIntent(buf []byte, i intent) []byte {
	return record(buf, 'I').uint(i.seq).word(string(i.verb)).uint(i.stage).str(i.from.String()).str(i.to.String()).
		uint(i.ino).int(i.delta).bool(i.dir).seal()
}

func sealOutcome(buf []byte, seq uint64, happened bool) []byte {
	if happened {
		return record(buf, 'K').uint(seq).seal()
	}
	return record(buf, 'X').uint(seq).seal()
}

// replay reads a ledger. A bad record is left out; only at the end, where a crash tore it, is that nothing unusual.
func replay(data []byte) *state {
	s := &state{entries: map[uint64]*entry{}}
	bad := false
	for len(data) > 0 {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		body, good := unseal(line)
		if whole && good && s.apply(body) {
			s.hole = s.hole || bad
		} else {
			bad = true
		}
		data = rest
	}
	return s
}

func unseal(line []byte) (body string, good bool) {
	if len(line) < 10 || line[8] != ' ' {
		return "", false
	}
	body = string(line[9:])
	return body, fmt.Sprintf("%08x", crc32.Checksum([]byte(body), castagnoli)) == string(line[:8])
}

// apply takes in one record; false if it makes no sense here.
func (s *state) apply(body string) bool {
	letter, rest, _ := strings.Cut(body, " ")
	f := &fields{rest: rest, good: true}
	switch letter {
	case "C":
		if s.ok {
			return false
		}
		version := f.int()
		s.boot, s.strict, s.clean = f.str(), f.word() == "true", f.word() == "true"
		s.published, s.next = f.int(), uint64(f.int())
		s.ok = f.good && version == ledgerVersion && s.published >= 0
		return s.ok
	case "S":
		id, owner, path, from := uint64(f.int()), f.str(), f.path(), int64(0)
		if f.rest != "" { // older ledgers do not tell
			from = f.int()
		}
		if f.good {
			s.entries[id] = &entry{id: id, owner: owner, path: path, from: from}
			s.next = max(s.next, id+1)
		}
	case "W":
		id, n := uint64(f.int()), int64(0)
		if f.rest != "" { // older ledgers do not tell
			n = f.int()
		}
		if e := s.entries[id]; e != nil && f.good {
			e.random, e.whole = true, n
		}
	case "Y":
		id, n := uint64(f.int()), f.int()
		if e := s.entries[id]; e != nil {
			e.synced = n
		}
	case "H":
		e, k := s.entries[uint64(f.int())], &kept{n: f.int(), state: f.hex()}
		k.file = node{id: nodeID{ino: uint64(f.int())}, size: f.int(), mtime: f.int()}
		if e != nil && f.good && k.n > 0 && k.n <= k.file.size {
			e.kept = k
		}
	case "I":
		i := intent{
			seq: uint64(f.int()), verb: verb(f.word()), stage: uint64(f.int()), from: f.path(), to: f.path(),
			ino: uint64(f.int()), delta: f.int(), dir: f.word() == "true",
		}
		if f.good {
			s.open = append(s.open, i)
		}
	case "K", "X":
		seq := uint64(f.int())
		for n, i := range s.open {
			if i.seq == seq {
				s.open = append(s.open[:n:n], s.open[n+1:]...)
				if letter == "K" {
					s.happened(i)
				}
				break
			}
		}
	default:
		return false
	}
	return f.good
}

// happened takes an intent as done.
func (s *state) happened(i intent) {
	s.published += i.delta
	switch {
	case i.verb == verbPut:
		delete(s.entries, i.stage)
	case i.verb == verbMov && i.dir:
		for _, e := range s.entries {
			e.path = e.path.moved(i.from, i.to)
		}
	}
}

// fields takes a record apart; good stays true while everything was as expected.
type fields struct {
	rest string
	good bool
}

func (f *fields) word() string {
	w, rest, _ := strings.Cut(f.rest, " ")
	f.rest = rest
	f.good = f.good && w != ""
	return w
}

func (f *fields) int() int64 {
	w := f.word()
	n, err := strconv.ParseInt(w, 10, 64)
	if err != nil {
		u, uerr := strconv.ParseUint(w, 10, 64) // an inode number may have all bits
		n, err = int64(u), uerr
	}
	f.good = f.good && err == nil
	return n
}

func (f *fields) hex() []byte {
	b, err := hex.DecodeString(f.word())
	f.good = f.good && err == nil
	return b
}

func (f *fields) str() string {
	q, err := strconv.QuotedPrefix(f.rest)
	if err != nil {
		f.good = false
		return ""
	}
	f.rest = strings.TrimPrefix(f.rest[len(q):], " ")
	s, err := strconv.Unquote(q)
	f.good = f.good && err == nil
	return s
}

func (f *fields) path() Path {
	p, err := parse(Root, f.str())
	f.good = f.good && err == nil
	return p
}

// ledger appends to the file; the Home knows what is in it.
type ledger struct {
	dir  *dir // HOME/.sampan
	step func(string) error

	mu      sync.Mutex
	f       *os.File
	size    int64 // bytes that are whole
	start   int64 // of size: what the last rewrite wrote
	room    int64 // so far the disk's room is taken already
	written int64 // as size, but never back: counts over rewrites
	broken  error // an append or sync failed: only a rewrite helps

	syncing sync.Mutex
	synced  int64 // of written; guarded by syncing
}

// headroom is how much of the disk's room the ledger takes ahead of its records, and as much again for the next rewrite:
// nothing can be removed without a record, so a full disk could else never be emptied, nor its homes be opened.
const headroom = 64 << 10

// append adds records. When it fails nothing was added.
func (l *ledger) append(records []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return l.broken
	}
	if err := l.step("ledger"); err != nil {
		return err
	}
	if end := l.size + int64(len(records)); end > l.room-headroom/2 && allocate(l.f, end+headroom) == nil {
		l.room = end + headroom
	}
	if _, err := l.f.WriteAt(records, l.size); err != nil {
		if terr := l.f.Truncate(l.size); terr != nil {
			l.broken = err
		}
		return err
	}
	l.size += int64(len(records))
	l.written += int64(len(records))
	return nil
}

// sync makes all that was appended before the call durable. Callers at the same time share one sync.
func (l *ledger) sync() error {
	l.mu.Lock()
	want := l.written
	l.mu.Unlock()
	l.syncing.Lock()
	defer l.syncing.Unlock()
	if l.synced >= want {
		return nil
	}
	l.mu.Lock()
	f, upto, broken := l.f, l.written, l.broken
	l.mu.Unlock()
	if broken != nil {
		return broken
	}
	err := l.step("sync ledger")
	if err == nil {
		err = datasync(f)
	}
	if err != nil { // its pages are undefined now
		l.mu.Lock()
		l.broken = err
		l.mu.Unlock()
		return err
	}
	l.synced = upto
	return nil
}

// rewrite replaces the ledger by what snapshot says; nothing is appended meanwhile.
func (l *ledger) rewrite(snapshot func() []byte, durable bool) error {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.step("rewrite ledger"); err != nil {
		return err
	}
	f, err := l.openSpare()
	if err != nil {
		return err
	}
	text := snapshot()
	_, err = f.WriteAt(text, 0)
	if err == nil && durable {
		err = datasync(f)
	}
	if err == nil {
		err = l.step("rename ledger")
	}
	if err == nil {
		err = l.dir.own.Rename("ledger.new", "ledger")
	}
	if err != nil {
		f.Close()
		return err
	}
	if l.f != nil {
		l.f.Close()
	}
	l.f, l.size, l.start, l.room, l.broken = f, int64(len(text)), int64(len(text)), headroom, nil
	l.written += int64(len(text))
	l.synced = l.written
	if spare, err := l.openSpare(); err == nil {
		spare.Close()
	}
	if durable {
		l.broken = l.dir.sync()
	}
	return l.broken
}

// openSpare opens the file that the next rewrite goes to, empty and with its room taken.
func (l *ledger) openSpare() (*os.File, error) {
	f, err := l.dir.own.OpenFile("ledger.new", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil && fi.Size() > 0 { // of a rewrite that was cut; an empty one would lose its room
		err = f.Truncate(0)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	_ = allocate(f, headroom) // as long as the disk is not full that goes well
	return f, nil
}

// fail marks the ledger as one that must be written anew.
func (l *ledger) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = err
}

// bad reports whether the ledger must be written anew.
func (l *ledger) bad() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken != nil
}

// long reports whether the ledger should be written anew because of its length.
func (l *ledger) long() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size > 1<<20 && l.size > 4*l.start
}

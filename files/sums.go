package files

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"strings"
	"sync"
	"time"
)

// sums remembers hashes of whole files, each under what it would not be known by if the content had changed.
//
// Every change of a file sets its ctime, which nobody can set back; but the clock that ctime is read from may tick so
// seldom (every 10 ms, or every 2 s on some disks) that two changes have the same. So a hash is kept only if a change
// behind the look at the file shows all the same:
//
//   - the ctime that was seen lay back by more than a tick, or
//   - the last change was Sampan's own, of a file that nobody else had to write to till then, and its mtime is another
//     than its ctime: whoever writes now sets both to the same. What does not show is somebody who may write to the file
//     on the disk, does so within the tick, and sets mtime back within it. Linux from 6.13 on has no such tick on ext4, XFS,
//     Btrfs and tmpfs: behind a look at the file the clock is read to the nanosecond.
//
// A clean end of the server writes them to HOME/.sampan/sums, as lines sealed like those of the ledger:
//
//	B "boot"
//	F algo hash device inode size mtime ctime
//
// The next start takes them from there if the machine still is in the same boot: a power cut may take bytes that were
// hashed, and leave times that were not.
type sums struct {
	least int64         // what is smaller is read and hashed in no time
	tick  time.Duration // of ctime, with room to spare

	mu         sync.Mutex
	young, old map[sumKey][]byte // young becomes old when it is full; what is asked for is young again
}

// sumKey changes whenever the content may have.
type sumKey struct {
	id           nodeID
	size         int64
	mtime, ctime int64
	algo         string
}

// ours in the place of algo keeps no hash: it says that the change before was Sampan's own.
const ours = ""

const (
	maxSums  = 8192 // of young and of old
	leastSum = 64 << 10
	tick     = 2 * time.Second
)

func keyOf(n node, algo string) sumKey { return sumKey{n.id, n.size, n.mtime, n.ctime, algo} }

// get returns what is known under k, nil if nothing.
func (s *sums) get(k sumKey) []byte {
	if k.size < s.least {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if sum := s.young[k]; sum != nil {
		return sum
	}
	sum := s.old[k]
	if sum != nil {
		s.putLocked(k, sum)
	}
	return sum
}

func (s *sums) put(k sumKey, sum []byte) {
	if k.size < s.least || k.id == (nodeID{}) || !changeTimes {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.putLocked(k, sum)
}

func (s *sums) putLocked(k sumKey, sum []byte) {
	if s.young == nil || len(s.young) >= maxSums {
		s.young, s.old = map[sumKey][]byte{}, s.young
	}
	s.young[k] = sum
}

// moved keeps what is known of a file whose mode, name or time Sampan itself changed, from before to after. timed says that
// it set mtime; else a write in between shows there.
func (s *sums) moved(before, after node, timed bool) {
	if before.id != after.id || before.size != after.size || after.mtime == after.ctime || !timed && before.mtime != after.mtime {
		return
	}
	move := func(algo string) {
		if sum := s.get(keyOf(before, algo)); sum != nil {
			s.put(keyOf(after, algo), sum)
		}
	}
	move(ours)
	for algo := range algorithms {
		move(algo)
	}
}

// sure reports whether every change of a file that looks like n would show, though its ctime is that of just now.
func (s *sums) sure(n node) bool {
	return s.get(keyOf(n, ours)) != nil || s.get(keyOf(n, sha256Name)) != nil
}

// learn remembers the hash that was taken of an upload while it came, or that the file is Sampan's own. n is the file
// behind the rename; if it is not what Sampan wrote, somebody was there already.
func (u *upload) learn(n node) {
	sum, ok := u.tally.sum(u.end)
	if ok {
		u.sum = sum[:]
	}
	switch {
	case n.size != u.end || n.mtime != u.mtime || n.mtime == n.ctime:
	case ok:
		u.h.sums.put(keyOf(n, sha256Name), u.sum)
	default:
		u.h.sums.put(keyOf(n, ours), []byte{})
	}
}

// mark sets the mtime of a stage back a little, so that it is another than the ctime of a rename in the same tick. u.mu is held.
func (u *upload) mark() {
	if u.attr.ModTime != nil || u.end < u.h.sums.least {
		return
	}
	if u.h.stage.setTime(u.e.name(), time.Unix(0, u.mtime-1)) != nil {
		return
	}
	if n, err := fileNode(u.f); err == nil {
		u.mtime = n.mtime
	}
}

// encode writes what is known.
func (s *sums) encode(boot string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := record(nil, 'B').str(boot).seal()
	for _, known := range []map[sumKey][]byte{s.old, s.young} {
		for k, sum := range known {
			if k.algo != ours {
				text = record(text, 'F').word(k.algo).hex(sum).uint(k.id.dev).uint(k.id.ino).int(k.size).int(k.mtime).int(k.ctime).seal()
			}
		}
	}
	return text
}

// decode takes in what encode wrote in the same boot. What is damaged is left out.
func (s *sums) decode(text []byte, boot string) {
	same := false
	for line := range bytes.Lines(text) {
		body, good := unseal(bytes.TrimSuffix(line, []byte("\n")))
		letter, rest, _ := strings.Cut(body, " ")
		f := &fields{rest: rest, good: good}
		switch letter {
		case "B":
			same = f.str() == boot && f.good && boot != ""
		case "F":
			k := sumKey{algo: f.word()}
			sum := f.hex()
			k.id.dev, k.id.ino = uint64(f.int()), uint64(f.int())
			k.size, k.mtime, k.ctime = f.int(), f.int(), f.int()
			if h := algorithms[k.algo]; same && f.good && h != nil && h().Size() == len(sum) {
				s.put(k, sum)
			}
		}
	}
}

// maxSavedSums bounds what is read of the file.
const maxSavedSums = 2 * maxSums * 300

func (h *Home) saveSums() error {
	if h.boot == "" || !changeTimes {
		return nil
	}
	return h.ledger.dir.own.WriteFile("sums", h.sums.encode(h.boot), 0o600)
}

func (h *Home) loadSums() error {
	f, err := h.ledger.dir.own.Open("sums")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSavedSums))
	if err == nil {
		h.sums.decode(text, h.boot)
	}
	return err
}

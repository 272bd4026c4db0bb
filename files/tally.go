package files

import (
	"crypto/sha256"
	"encoding"
	"hash"
	"io"
	"sync"
	"sync/atomic"
)

// A tally is the SHA-256 of the first n bytes of an upload, taken while they are in hand; what comes out of order is not
// in it. Large pieces are hashed on another goroutine while the next one is received. That pays where a processor is free
// for it. Where none is, which shows when a piece is not hashed by the time the next one was received and written, the
// upload must not wait: the tally is given up, and whoever asks for the hash pays for it then.
type tally struct {
	must  bool        // never given up: somebody waits for the hash
	least int64       // the hash of less is asked for so seldom that it is not taken, unless it must
	again io.ReaderAt // the upload, for its first bytes when it grows to be more

	mu   sync.Mutex // held while a piece is hashed, then by the goroutine that does it
	h    hash.Hash  // nil before the first byte
	n    int64
	owed int64        // of n: so many bytes from 0 on are not hashed yet, as there are less than least
	shut bool         // no more is hashed
	late atomic.Int32 // how often, of late, a piece was not hashed in time
}

const (
	largePiece = 64 << 10 // hashed by another goroutine; smaller ones cost less than waking it
	patient    = 8 << 20  // so many bytes are hashed whether there is a processor for it or not
	tooLate    = 16
)

// add hashes b, which goes to off.
func (t *tally) add(off int64, b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.follows(off, len(b)) {
		t.h.Write(b)
	}
}

// follows notes that n bytes come that are those behind what came before, and reports whether they are to be hashed. t.mu
// is held.
func (t *tally) follows(off int64, n int) bool {
	if off != t.n || t.shut {
		return false
	}
	t.n += int64(n)
	if t.h == nil && t.n < t.least && !t.must {
		t.owed = t.n
		return false
	}
	if t.h == nil {
		t.h = sha256.New()
	}
	if t.owed > 0 {
		if _, err := io.Copy(t.h, io.NewSectionReader(t.again, 0, t.owed)); err != nil {
			t.n, t.shut = 0, true
			return false
		}
		t.owed = 0
	}
	return true
}

// hand is add for the first n bytes of buf, which it may keep: it returns the buffer to go on with.
func (t *tally) hand(off int64, buf *buffer, n int) *buffer {
	if n < largePiece {
		t.add(off, buf[:n])
		return buf
	}
	if t.mu.TryLock() {
		t.late.Store(max(t.late.Load()-1, 0))
	} else {
		if t.late.Add(4) > tooLate && off > patient && !t.must {
			return buf // a piece that is left out ends it
		}
		t.mu.Lock()
	}
	if !t.follows(off, n) {
		t.mu.Unlock()
		return buf
	}
	go func() {
		defer t.mu.Unlock()
		t.h.Write(buf[:n])
		buffers.Put(buf)
	}()
	return buffers.Get().(*buffer)
}

// offer is hand for bytes that somebody else needs back.
func (t *tally) offer(off int64, b []byte) {
	if len(b) < largePiece {
		t.add(off, b)
		return
	}
	buf := buffers.Get().(*buffer)
	for len(b) > 0 {
		n := copy(buf[:], b)
		buf = t.hand(off, buf, n)
		off, b = off+int64(n), b[n:]
	}
	buffers.Put(buf)
}

// spoil notes that bytes from off on change by other ways than add. Nothing more is hashed; what was before off remains.
func (t *tally) spoil(off int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shut = true
	if off < t.n {
		t.n = 0
	}
}

// sum returns the hash of all size bytes, if it was taken.
func (t *tally) sum(size int64) (sum [sha256.Size]byte, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.owed > 0 || !t.follows(size, 0) {
		return sum, false
	}
	t.h.Sum(sum[:0])
	return sum, true
}

// state returns what restore goes on from, for a file of size bytes.
func (t *tally) state(size int64) (state []byte, n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == 0 || t.n > size || t.owed > 0 {
		return nil, 0
	}
	state, err := t.h.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return nil, 0
	}
	return state, t.n
}

// restore goes on from a state; one that makes no sense is none.
func (t *tally) restore(state []byte, n int64) {
	h := sha256.New()
	if h.(encoding.BinaryUnmarshaler).UnmarshalBinary(state) == nil {
		t.h, t.n = h, n
	}
}

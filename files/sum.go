package files

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"sampan/fault"
)

// algorithms are the hashes that Sum offers, by their IANA names.
var algorithms = map[string]func() hash.Hash{
	"SHA-256": sha256.New,
	"SHA-512": sha512.New,
	"SHA-1":   sha1.New,
	"MD5":     md5.New,
	"CRC32":   func() hash.Hash { return crc32.NewIEEE() },
}

// newHash returns the hash of that name.
func newHash(algo string) (hash.Hash, error) {
	if fn := algorithms[strings.ToUpper(algo)]; fn != nil {
		return fn(), nil
	}
	return nil, fault.New(fault.Unsupported, "%s: this hash is not known here", algo)
}

// sums remembers hashes of whole files.
type sums struct {
	mu    sync.Mutex
	known map[sumKey][]byte
}

// sumKey changes whenever the content may have.
type sumKey struct {
	id           nodeID
	size         int64
	mtime, ctime int64
	algo         string
}

// maxSums bounds the memory of sums.
const maxSums = 4096

// tick is the span in which a file can change without a change of its ctime, with room to spare.
const tick = 2 * time.Second

func keyOf(n node, algo string) sumKey { return sumKey{n.id, n.size, n.mtime, n.ctime, algo} }

// of hashes n bytes of f from off, to the end if n is -1.
func (s *sums) of(ctx context.Context, f *os.File, algo string, off, n int64) ([]byte, error) {
	h, err := newHash(algo)
	if err != nil {
		return nil, err
	}
	before, err := fileNode(f)
	if err != nil {
		return nil, err
	}
	if n < 0 {
		n = max(0, before.size-off)
	}
	if off < 0 || off > before.size || n > before.size-off {
		return nil, fault.New(fault.BadOffset, "bytes %d to %d are not within the file's %d", off, off+n, before.size)
	}
	key := keyOf(before, strings.ToUpper(algo))
	whole := off == 0 && n == before.size && key.id != (nodeID{})
	if whole {
		if sum, ok := s.get(key); ok {
			return sum, nil
		}
	}
	if err := hashRange(ctx, h, f, off, n); err != nil {
		return nil, err
	}
	sum := h.Sum(nil)
	after, err := fileNode(f)
	if err == nil && whole && keyOf(after, key.algo) == key && time.Since(time.Unix(0, key.ctime)) > tick {
		s.put(key, sum)
	}
	return sum, nil
}

func hashRange(ctx context.Context, h io.Writer, f io.ReaderAt, off, n int64) error {
	buf := buffers.Get().(*[256 << 10]byte)
	defer buffers.Put(buf)
	for n > 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		m, err := f.ReadAt(buf[:min(n, int64(len(buf)))], off)
		h.Write(buf[:m])
		off, n = off+int64(m), n-int64(m)
		if err != nil && n > 0 {
			return err
		}
	}
	return nil
}

func (s *sums) get(k sumKey) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum, ok := s.known[k]
	return sum, ok
}

func (s *sums) put(k sumKey, sum []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= maxSums {
		s.known = map[sumKey][]byte{}
	}
	s.known[k] = sum
}

// moved keeps what is known of a file whose times or mode Sampan itself changed.
func (s *sums) moved(before, after node) {
	if before.id != after.id || before.size != after.size {
		return
	}
	for algo := range algorithms {
		if sum, ok := s.get(keyOf(before, algo)); ok {
			s.put(keyOf(after, algo), sum)
		}
	}
}

// Sum implements Summer.
func (l *Local) Sum(ctx context.Context, p Path, algo string, off, n int64) ([]byte, error) {
	p, err := l.begin(ctx, p)
	if err != nil {
		return nil, err
	}
	f, _, err := l.openFile(p)
	l.home.leave() // hashing may take long; the open file is enough
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sum, err := l.home.sums.of(ctx, f, algo, off, n)
	return sum, classify(err, p)
}

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
	"time"

	"sampan/fault"
)

const sha256Name = "SHA-256"

// algorithms are the hashes that Sum offers, by their IANA names.
var algorithms = map[string]func() hash.Hash{
	sha256Name: sha256.New,
	"SHA-512":  sha512.New,
	"SHA-1":    sha1.New,
	"MD5":      md5.New,
	"CRC32":    func() hash.Hash { return crc32.NewIEEE() },
}

// newHash returns the hash of that name.
func newHash(algo string) (hash.Hash, error) {
	if fn := algorithms[strings.ToUpper(algo)]; fn != nil {
		return fn(), nil
	}
	return nil, fault.New(fault.Unsupported, "%s: this hash is not known here", algo)
}

// Sum implements Summer.
func (l *Local) Sum(ctx context.Context, p Path, algo string, off, n int64) ([]byte, error) {
	p, err := l.begin(ctx, p)
	if err != nil {
		return nil, err
	}
	f, was, err := l.openFile(p)
	l.home.leave() // hashing may take long; the open file is enough
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sum, err := l.home.sum(ctx, f, was, algo, off, n)
	return sum, classify(err, p)
}

// Known returns the SHA-256 of all of the file that Open opened as r, nil if it is not known without reading.
func (l *Local) Known(r io.Reader) []byte {
	f, ok := r.(*os.File)
	if !ok {
		return nil
	}
	n, err := fileNode(f)
	if err != nil {
		return nil
	}
	return l.home.sums.get(keyOf(n, sha256Name))
}

// sum hashes n bytes of f, which looks like was, from off, to the end if n is -1.
func (h *Home) sum(ctx context.Context, f *os.File, was node, algo string, off, n int64) ([]byte, error) {
	x, err := newHash(algo)
	if err != nil {
		return nil, err
	}
	if n < 0 {
		n = max(0, was.size-off)
	}
	if off < 0 || off > was.size || n > was.size-off {
		return nil, fault.New(fault.BadOffset, "bytes %d to %d are not within the file's %d", off, off+n, was.size)
	}
	whole := off == 0 && n == was.size
	key := keyOf(was, strings.ToUpper(algo))
	if whole {
		if sum := h.sums.get(key); sum != nil {
			return sum, nil
		}
	}
	settled := time.Since(time.Unix(0, was.ctime)) > h.sums.tick || h.sums.sure(was)
	if err := h.hashRange(ctx, x, f, off, n); err != nil {
		return nil, err
	}
	sum := x.Sum(nil)
	if whole && settled { // if it changed since it was looked at, nobody will ask for this key again
		h.sums.put(key, sum)
	}
	return sum, nil
}

func (h *Home) hashRange(ctx context.Context, w io.Writer, f io.ReaderAt, off, n int64) error {
	buf := buffers.Get().(*buffer)
	defer buffers.Put(buf)
	for n > 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := h.step("read to hash"); err != nil {
			return err
		}
		m, err := f.ReadAt(buf[:min(n, int64(len(buf)))], off)
		w.Write(buf[:m])
		off, n = off+int64(m), n-int64(m)
		if err != nil && n > 0 {
			return err
		}
	}
	return nil
}

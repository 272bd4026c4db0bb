package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"hash"
	"sync"

	"sampan/fault"
	"sampan/files"
	"sampan/words"
)

// bigFile is from where on it is worth asking for a part that a Stat did not show, because the server may still
// think that the broken upload goes on.
const bigFile = 1 << 20

// beginning is where a copy starts.
type beginning struct {
	from int64
	part bool      // from is of a part, else of the file (servers that know no parts keep a cut upload under its name)
	size int64     // of the part, of which what is behind from may have gaps; 0 if it is all kept
	hash hash.Hash // of what is kept; nil if only both ends know it
}

// resume finds a part and proves, by SHA-256, that it is the head of the source. A part that cannot be proved is not
// continued: the copy begins from zero and says so.
func (c *copying) resume(ctx context.Context, source, target files.Info, there bool) (beginning, error) {
	zero := beginning{hash: sha256.New()}
	if c.converts() {
		return zero, nil
	}
	// Where a look told of the part, both ends hash at the same time.
	var early struct {
		hash hash.Hash
		sum  []byte
		err  error
	}
	var hashing sync.WaitGroup
	ahead := target.Part > 0 && target.Part <= source.Size
	if ahead {
		both, stop := context.WithCancel(ctx)
		hashing.Go(func() { early.hash, early.sum, early.err = c.head(both, target.Part) })
		defer hashing.Wait()
		defer stop()
	}
	size, theirs, part, err := c.kept(ctx, source, target, there)
	if err != nil || size <= 0 {
		return zero, err
	}
	if size <= source.Size {
		hashing.Wait()
		h, ours, err := early.hash, early.sum, early.err
		if !ahead || size != target.Part {
			h, ours, err = c.head(ctx, size)
		}
		if err != nil {
			return zero, err
		}
		if ours != nil && bytes.Equal(ours, theirs) {
			return beginning{from: size, part: part, hash: h}, nil
		}
		if r, ok := c.dst.(*sshRemote); ok && part && ours != nil {
			if b, err := c.headOf(ctx, r, size); b.from > 0 || err != nil {
				return b, err
			}
		}
		if ours == nil {
			c.say(words.M("%s: the server cannot prove the %d bytes that are here already; starting over", c.r.From.String(), size))
			c.r.Restarted = true
			return zero, nil
		}
	}
	if part {
		c.say(words.M("%s: the %d bytes that are there already belong to another version; starting over", c.r.To.String(), size))
		c.r.Restarted = true
	}
	return zero, nil
}

// headOf finds a beginning in a part of which the last bytes may have gaps; from is 0 if there is none.
func (c *copying) headOf(ctx context.Context, r *sshRemote, size int64) (beginning, error) {
	n, theirs, err := r.beforeGaps(ctx, c.r.To, size)
	if err != nil || n == 0 {
		return beginning{}, err
	}
	h, ours, err := c.head(ctx, n)
	if err != nil || ours == nil || !bytes.Equal(ours, theirs) {
		return beginning{}, err
	}
	return beginning{from: n, part: true, size: size, hash: h}, nil
}

// kept returns size and SHA-256 of what an earlier try left at the target; size 0 if nothing.
func (c *copying) kept(ctx context.Context, source, target files.Info, there bool) (size int64, sha []byte, part bool, err error) {
	parter, ok := c.dst.(files.Parter)
	if ok && (target.Part > 0 || c.again || source.Size >= bigFile) {
		p, err := parter.Part(ctx, c.r.To)
		switch {
		case err == nil:
			return p.Size, p.Sum, true, nil
		case fault.KindOf(err) == fault.NotExist, fault.KindOf(err) == fault.Denied:
			return 0, nil, false, nil
		case fault.KindOf(err) != fault.Unsupported:
			return 0, nil, false, err
		}
		ok = false
	}
	if ok || !there || target.Size == 0 || target.Size >= source.Size || source.Size < bigFile {
		return 0, nil, false, nil
	}
	sha, err = sum(ctx, c.dst, c.r.To, target.Size)
	if err != nil || sha == nil {
		return 0, nil, false, err
	}
	return target.Size, sha, false, nil
}

// head hashes the first n bytes of the source. Bytes of this machine's disk are hashed here, and the state goes on with
// what follows; in a download they are those of the part, which the source's own hash must equal.
func (c *copying) head(ctx context.Context, n int64) (hash.Hash, []byte, error) {
	if d, ok := c.src.(*disk); ok {
		h := sha256.New()
		_, _, err := d.feed(ctx, c.r.From, false, 0, n, h)
		return h, h.Sum(nil), err
	}
	ours, err := sum(ctx, c.src, c.r.From, n)
	if err != nil || ours == nil {
		return nil, nil, err
	}
	if d, ok := c.dst.(*disk); ok {
		h := sha256.New()
		_, _, err := d.feed(ctx, c.r.To, true, 0, n, h)
		return h, ours, err
	}
	return nil, ours, nil
}

package account

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"
)

const (
	verifiedFor = 5 * time.Minute
	maxVerified = 10_000
)

// verified remembers for some minutes which passwords were right, as keyed hashes: clients that log in again and again
// (many connections, WebDAV) do not pay for argon2id each time. The key lives and dies with the process. What is
// remembered is bound to the stored form of the password, so that a changed one is forgotten by its nature.
type verified struct {
	key [32]byte
	mu  sync.Mutex
	m   map[string]proof // by folded name
}

type proof struct {
	sum   [sha256.Size]byte
	until time.Time
}

func newVerified() *verified {
	v := &verified{m: map[string]proof{}}
	rand.Read(v.key[:])
	return v
}

func (v *verified) sum(stored, pw string) (out [sha256.Size]byte) {
	m := hmac.New(sha256.New, v.key[:])
	m.Write([]byte(stored))
	m.Write([]byte{0})
	m.Write([]byte(pw))
	m.Sum(out[:0])
	return out
}

func (v *verified) has(folded, stored, pw string) bool {
	sum := v.sum(stored, pw)
	v.mu.Lock()
	defer v.mu.Unlock()
	p, ok := v.m[folded]
	return ok && time.Now().Before(p.until) && hmac.Equal(p.sum[:], sum[:])
}

func (v *verified) add(folded, stored, pw string) {
	p := proof{v.sum(stored, pw), time.Now().Add(verifiedFor)}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.m) >= maxVerified {
		clear(v.m)
	}
	v.m[folded] = p
}

func (v *verified) drop(folded string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.m, folded)
}

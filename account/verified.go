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
	r     row    // the account that it proved
	asOf  uint64 // the Book's version at that time
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

// lookup returns the account that pw proves, if nothing in the book changed since: then nobody need ask it.
func (v *verified) lookup(folded, pw string, version uint64) (row, bool) {
	v.mu.Lock()
	p, ok := v.m[folded]
	v.mu.Unlock()
	return p.r, ok && p.asOf == version && v.matches(p, p.r.password, pw)
}

// has reports whether pw was right for the stored form.
func (v *verified) has(folded, stored, pw string) bool {
	v.mu.Lock()
	p, ok := v.m[folded]
	v.mu.Unlock()
	return ok && v.matches(p, stored, pw)
}

func (v *verified) matches(p proof, stored, pw string) bool {
	sum := v.sum(stored, pw)
	return time.Now().Before(p.until) && hmac.Equal(p.sum[:], sum[:])
}

// add remembers that pw proved r, as the book said in that version. How long that holds counts from the last time that
// argon2id was asked.
func (v *verified) add(r row, pw string, version uint64) {
	p := proof{v.sum(r.password, pw), time.Now().Add(verifiedFor), r, version}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.m) >= maxVerified {
		clear(v.m)
	}
	if old, ok := v.m[r.folded]; ok && old.sum == p.sum && time.Now().Before(old.until) {
		p.until = old.until
	}
	v.m[r.folded] = p
}

func (v *verified) drop(folded string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.m, folded)
}

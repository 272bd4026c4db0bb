package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"sampan/fault"
)

const (
	minPassword = 8    // characters
	maxPassword = 1024 // bytes
)

// CheckPassword says with Syntax what keeps a new password from being taken.
func CheckPassword(pw string) error {
	switch {
	case !utf8.ValidString(pw):
		return fault.New(fault.Syntax, "the password must be UTF-8 text")
	case utf8.RuneCountInString(pw) < minPassword:
		return fault.New(fault.Syntax, "the password must have at least %d characters", minPassword)
	case len(pw) > maxPassword:
		return fault.New(fault.Syntax, "the password must have at most %d bytes", maxPassword)
	case strings.ContainsFunc(pw, unicode.IsControl):
		return fault.New(fault.Syntax, "the password must not hold control characters")
	}
	return nil
}

// phc is a stored password: argon2id (RFC 9106) as a PHC string, $argon2id$v=19$m=19456,t=2,p=1$salt$key.
type phc struct {
	memory uint32 // KiB
	time   uint32
	lanes  uint8
	salt   []byte
	key    []byte
}

// The parameters of new hashes, and the most that a stored one may ask for: a book that somebody tampered with must
// not be able to exhaust memory or time.
const (
	newMemory, newTime, newLanes = 19 << 10, 2, 1
	newSalt, newKey              = 16, 32
	maxMemory, maxTime, maxLanes = 64 << 10, 8, 4
)

// newPHC returns current parameters with a fresh salt and a random key, which no password matches: the dummy that
// unknown names are checked against.
func newPHC() phc {
	h := phc{memory: newMemory, time: newTime, lanes: newLanes, salt: make([]byte, newSalt), key: make([]byte, newKey)}
	rand.Read(h.salt) // never fails
	rand.Read(h.key)
	return h
}

func (h phc) String() string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.time, h.lanes, b64(h.salt), b64(h.key))
}

// parsePHC reads what String writes, within the bounds.
func parsePHC(s string) (phc, error) {
	bad := func(why string) (phc, error) {
		return phc{}, tampered(fmt.Errorf("stored password: %s", why))
	}
	if len(s) > 512 {
		return bad("too long")
	}
	f := strings.Split(s, "$")
	if len(f) != 6 || f[0] != "" || f[1] != "argon2id" || f[2] != "v="+strconv.Itoa(argon2.Version) {
		return bad("not argon2id, version 19")
	}
	var h phc
	params := strings.Split(f[3], ",")
	if len(params) != 3 {
		return bad("parameters")
	}
	var n [3]uint64
	for i, lim := range []struct {
		key      string
		min, max uint64
	}{{"m=", 8, maxMemory}, {"t=", 1, maxTime}, {"p=", 1, maxLanes}} {
		digits, ok := strings.CutPrefix(params[i], lim.key)
		v, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil || strconv.FormatUint(v, 10) != digits || v < lim.min || v > lim.max {
			return bad("parameter " + lim.key)
		}
		n[i] = v
	}
	h.memory, h.time, h.lanes = uint32(n[0]), uint32(n[1]), uint8(n[2])
	var err error
	b64 := base64.RawStdEncoding.Strict()
	if h.salt, err = b64.DecodeString(f[4]); err != nil || len(h.salt) < 8 || len(h.salt) > 64 || strings.ContainsAny(f[4], "\r\n") {
		return bad("salt")
	}
	if h.key, err = b64.DecodeString(f[5]); err != nil || len(h.key) < 16 || len(h.key) > 64 || strings.ContainsAny(f[5], "\r\n") {
		return bad("key")
	}
	return h, nil
}

// derive computes the key of a password; it takes h.memory KiB and some 60 ms. Passwords are compared in NFC, since
// systems type the same accents differently.
func (h phc) derive(pw string) []byte {
	return argon2.IDKey([]byte(norm.NFC.String(pw)), h.salt, h.time, h.memory, h.lanes, uint32(len(h.key)))
}

// A hasher computes password hashes, no more at once than there are processors, so that a storm of log-ins costs
// bounded memory. Those who wait are bounded by their contexts.
type hasher chan struct{}

func newHasher() hasher { return make(hasher, runtime.GOMAXPROCS(0)) }

func (s hasher) enter(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return busy(ctx)
	}
}

func (s hasher) leave() { <-s }

// hash returns a new stored form of pw.
func (s hasher) hash(ctx context.Context, pw string) (string, error) {
	if err := s.enter(ctx); err != nil {
		return "", err
	}
	defer s.leave()
	h := newPHC()
	h.key = h.derive(pw)
	return h.String(), nil
}

// verify reports whether pw is h's password. It looks at known once it has its turn, and skips the work when that
// says yes: of many who bring the same right password at once, the first works for all.
func (s hasher) verify(ctx context.Context, h phc, pw string, known func() bool) (bool, error) {
	if err := s.enter(ctx); err != nil {
		return false, err
	}
	defer s.leave()
	if known() {
		return true, nil
	}
	return subtle.ConstantTimeCompare(h.derive(pw), h.key) == 1, nil
}

package ftp

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// A Proof is what a server that pipelines block mode says of a file at the end of its transfer, in the form of facts
// (RFC 3659 section 7.2): "size=…;modify=…;unique=…;X.sha256=…; path".
type Proof struct {
	Size    int64     // of the whole file
	ModTime time.Time // UTC; zero if unknown
	Unique  string    // as the fact of that name says it; "" if unknown
	Sum     []byte    // SHA-256 of the file that an upload made, or of the bytes that a download sent; nil if unknown
}

const sumFact = "X.sha256="

// AppendProof writes p for the file path.
func AppendProof(dst []byte, p Proof, path string) []byte {
	dst = strconv.AppendInt(append(dst, "size="...), p.Size, 10)
	if !p.ModTime.IsZero() {
		dst = AppendTime(append(dst, ";modify="...), p.ModTime)
	}
	if p.Unique != "" {
		dst = append(append(dst, ";unique="...), p.Unique...)
	}
	if p.Sum != nil {
		dst = hex.AppendEncode(append(append(dst, ';'), sumFact...), p.Sum)
	}
	return AppendName(append(dst, "; "...), path)
}

// ParseProof reads what AppendProof wrote. It is false if size or hash are missing or make no sense.
func ParseProof(text string) (p Proof, path string, ok bool) {
	facts, path, found := strings.Cut(text, " ")
	if !found || !strings.HasSuffix(facts, ";") {
		return Proof{}, "", false
	}
	p.Size = -1
	for fact := range strings.SplitSeq(facts, ";") {
		key, value, _ := strings.Cut(fact, "=")
		switch {
		case strings.EqualFold(key, "size"):
			p.Size = number(value)
		case strings.EqualFold(key, "modify"):
			p.ModTime, _ = ParseTime(value)
		case strings.EqualFold(key, "unique"):
			p.Unique = value
		case strings.EqualFold(key+"=", sumFact):
			p.Sum, _ = hex.DecodeString(value)
		}
	}
	return p, path, p.Size >= 0 && len(p.Sum) == sha256.Size
}

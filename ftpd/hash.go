package ftpd

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"sampan/fault"
	"sampan/ftp"
)

// hashNames are the algorithms of HASH, by the names of the IANA registry "Hash Function Textual Names" (and CRC32, which
// is not in it). The first is what a session begins with.
var hashNames = []string{sha256Name, "SHA-512", "SHA-1", "MD5", "CRC32"}

const sha256Name = "SHA-256"

// hashFeature lists them as FEAT does, with a star behind the one that is chosen (draft-bryan-ftpext-hash section 3.2).
func hashFeature(chosen string) string {
	names := slices.Clone(hashNames)
	names[slices.Index(names, chosen)] += "*"
	return strings.Join(names, ";")
}

// optsHash chooses the algorithm of HASH, or tells which one is chosen (draft-bryan-ftpext-hash section 3.3).
func (c *conn) optsHash(arg string) error {
	name := strings.TrimSpace(arg)
	for _, known := range hashNames {
		if strings.EqualFold(name, known) {
			c.algo = known
		}
	}
	if name != "" && !strings.EqualFold(name, c.algo) {
		return refuse(504, "These are the hashes that there are here: %s", strings.Join(hashNames, ", "))
	}
	return c.lines(200, c.algo)
}

// hash answers the hash of a file, or of the bytes that RANG chose. Both ends of the range are included; of an empty file
// there is no last byte, and 0-0 stands for it.
func (c *conn) hash(arg string) error {
	off, last := c.takeRange()
	p, err := c.at(arg)
	if err != nil {
		return err
	}
	n := int64(-1)
	if last >= 0 {
		n = last - off + 1
	} else {
		i, err := c.sess.Stat(p)
		if err != nil && fault.KindOf(err) != fault.Denied {
			return err
		}
		last = max(i.Size-1, 0)
	}
	sum, err := c.sess.Sum(c.ctx, p, c.algo, off, n)
	if err != nil {
		return err
	}
	return c.lines(213, fmt.Sprintf("%s %d-%d %s %s", c.algo, off, last, hex.EncodeToString(sum), arg))
}

// sumWith returns the command of the habit before HASH: the hash alone, of a file or of the bytes from start up to end. A
// path that ends like a span is a path if it names something.
func sumWith(algo string) func(*conn, string) error {
	return func(c *conn, arg string) error {
		path, off, n := arg, int64(0), int64(-1)
		p, err := c.at(arg)
		if err == nil {
			_, err = c.sess.Stat(p)
		}
		if name, start, end, ok := ftp.CutSpan(arg); ok && err != nil {
			if path, off = name, start; end >= 0 {
				n = end - start
			}
		} else if names, ok := ftp.SplitPaths(arg); ok && err != nil && len(names) == 1 {
			path = names[0]
		}
		if p, err = c.at(path); err != nil {
			return err
		}
		sum, err := c.sess.Sum(c.ctx, p, algo, off, n)
		if err != nil {
			return err
		}
		return c.lines(250, strings.ToUpper(hex.EncodeToString(sum)))
	}
}

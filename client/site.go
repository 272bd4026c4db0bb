package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sampan/fault"
	"sampan/files"
	"sampan/ftp"
)

// Part asks SITE PART. While the server still holds the broken upload it answers 450; that ends within seconds.
func (r *remote) Part(ctx context.Context, p files.Path) (part files.PartInfo, err error) {
	err = r.do(ctx, func(c *control) error {
		if !c.ours {
			return fault.New(fault.Unsupported, "%s keeps no parts", r.url.Address())
		}
		for tries := 0; ; tries++ {
			reply, err := c.slowCmd(ctx, longWait, "SITE PART "+p.String())
			switch {
			case err != nil:
				return err
			case reply.Code == 450 && tries < 16:
				if err := pause(ctx, 500*time.Millisecond); err != nil {
					return err
				}
				continue
			case reply.Code == 550:
				return fault.New(fault.NotExist, "%s: no part is kept there", p.String())
			case !reply.Done():
				return refused(reply, p.String())
			}
			size, sum, ok := parsePart(reply.Text())
			if !ok {
				return fault.New(fault.Unsupported, "%s: the server's answer cannot be read", p.String())
			}
			part = files.PartInfo{Size: size, Sum: sum}
			return nil
		}
	})
	return part, err
}

// parsePart reads "<size> SHA-256 <hex> <path>".
func parsePart(text string) (size int64, sum []byte, ok bool) {
	f := strings.SplitN(text, " ", 4)
	if len(f) < 3 || f[1] != "SHA-256" {
		return 0, nil, false
	}
	n, err := strconv.ParseUint(f[0], 10, 63)
	sum, bad := hex.DecodeString(f[2])
	return int64(n), sum, err == nil && bad == nil && len(sum) == sha256.Size
}

// DropPart removes a part that is alone, with DELE. There is no command for one beside a file; the next upload from
// zero drops it.
func (r *remote) DropPart(ctx context.Context, p files.Path) error {
	i, err := r.Stat(ctx, p)
	switch {
	case err != nil:
		return err
	case i.Part < 0:
		return fault.New(fault.NotExist, "%s: no part is kept there", p.String())
	case i.PartOnly():
		return r.Remove(ctx, p)
	}
	return fault.New(fault.Unsupported, "%s: the part beside the file goes with the next upload", p.String())
}

// Sum asks HASH, behind RANG for a range (draft-bryan-ftpext-hash, draft-bryan-ftp-range).
func (r *remote) Sum(ctx context.Context, p files.Path, algo string, off, n int64) (sum []byte, err error) {
	err = r.do(ctx, func(c *control) error {
		if algo != "SHA-256" || !c.feats.Has("HASH", algo) || off < 0 {
			return fault.New(fault.Unsupported, "%s does not compute %s", r.url.Address(), algo)
		}
		whole := off == 0 && n < 0
		if !whole {
			i, err := c.stat(ctx, p)
			if err != nil {
				return err
			}
			if n < 0 {
				n = i.Size - off
			}
			if off > i.Size || n < 0 || n > i.Size-off {
				return fault.New(fault.BadOffset, "%s: there are only %d bytes", p.String(), i.Size)
			}
			if n == 0 {
				empty := sha256.Sum256(nil)
				sum = empty[:]
				return nil
			}
		}
		sum, err = c.hash(ctx, p, off, n, whole)
		return err
	})
	return sum, err
}

func (c *control) hash(ctx context.Context, p files.Path, off, n int64, whole bool) ([]byte, error) {
	if err := c.setType(ctx, "I"); err != nil {
		return nil, err
	}
	if algo := c.feats["HASH"]; !strings.Contains(strings.ToUpper(algo), "SHA-256*") {
		if r, err := c.cmd(ctx, "OPTS HASH SHA-256"); err != nil || !r.Done() {
			return nil, orRefused(err, r, p)
		}
		c.feats["HASH"] = "SHA-256*"
	}
	if !whole {
		if !c.feats.Has("RANG") {
			return nil, fault.New(fault.Unsupported, "%s does not compute %s", c.remote.url.Address(), "SHA-256")
		}
		if r, err := c.cmd(ctx, fmt.Sprintf("RANG %d %d", off, off+n-1)); err != nil || r.Failed() {
			return nil, orRefused(err, r, p)
		}
	}
	r, err := c.slowCmd(ctx, longWait, "HASH "+p.String())
	if err == nil && !whole && !c.ours { // some (ProFTPD) keep the range for the next transfer
		_, err = c.cmd(ctx, "RANG 1 0")
	}
	if err != nil {
		return nil, err
	}
	if !r.Done() {
		return nil, c.explain(ctx, r, p)
	}
	start, end, sum, ok := parseHash(r.Text())
	if !ok || !whole && (start != off || end != off+n-1 && end != off+n) {
		return nil, fault.New(fault.Unsupported, "%s: the server's answer cannot be read", p.String())
	}
	return sum, nil
}

func orRefused(err error, r ftp.Reply, p files.Path) error {
	if err != nil {
		return err
	}
	return refused(r, p.String())
}

// parseHash reads "SHA-256 <start>-<end> <hex> <path>".
func parseHash(text string) (start, end int64, sum []byte, ok bool) {
	f := strings.SplitN(text, " ", 4)
	if len(f) < 3 || !strings.EqualFold(f[0], "SHA-256") {
		return 0, 0, nil, false
	}
	a, b, dash := strings.Cut(f[1], "-")
	from, err1 := strconv.ParseInt(a, 10, 64)
	to, err2 := strconv.ParseInt(b, 10, 64)
	sum, err3 := hex.DecodeString(f[2])
	return from, to, sum, dash && err1 == nil && err2 == nil && err3 == nil && len(sum) == sha256.Size
}

// Space asks SITE QUOTA.
func (r *remote) Space(ctx context.Context) (s files.Space, err error) {
	err = r.do(ctx, func(c *control) error {
		if !c.ours {
			return fault.New(fault.Unsupported, "%s tells no quota", r.url.Address())
		}
		reply, err := c.cmd(ctx, "SITE QUOTA")
		if err != nil {
			return err
		}
		if !reply.Done() {
			return refused(reply, "")
		}
		var ok bool
		if s, ok = parseQuota(reply.Text()); !ok {
			return fault.New(fault.Unsupported, "the server's answer cannot be read: %s", printable(reply.Text()))
		}
		return nil
	})
	return s, err
}

// parseQuota reads "used <bytes> of <bytes|none>, free <bytes|unknown>".
func parseQuota(text string) (s files.Space, ok bool) {
	f := strings.Fields(text)
	if len(f) != 6 || f[0] != "used" || f[2] != "of" || f[4] != "free" || !strings.HasSuffix(f[3], ",") {
		return s, false
	}
	number := func(word, none string) int64 {
		if word == none {
			return -1
		}
		n, err := strconv.ParseUint(word, 10, 63)
		ok = ok && err == nil
		return int64(n)
	}
	ok = true
	s = files.Space{Used: number(f[1], ""), Quota: number(strings.TrimSuffix(f[3], ","), "none"), Free: number(f[5], "unknown")}
	return s, ok
}

// Passwd sends SITE PASSWD and both passwords, each behind PASS.
func (r *remote) Passwd(ctx context.Context, old, new string) error {
	return r.do(ctx, func(c *control) error {
		reply, err := c.cmd(ctx, "SITE PASSWD")
		for _, word := range []string{old, new} {
			if err != nil || !reply.More() {
				break
			}
			reply, err = c.cmd(ctx, "PASS "+word)
		}
		if err != nil {
			return err
		}
		if !reply.Done() {
			return refused(reply, "")
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.password, r.known = new, true
		return nil
	})
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

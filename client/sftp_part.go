package client

import (
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"io/fs"
	"math"
	"time"

	"sampan/fault"
	"sampan/files"
	"sampan/sftp"
	"sampan/words"
)

// Part describes what a cut upload left: Sampan's own part, else the stage beside the name.
func (r *sshRemote) Part(ctx context.Context, p files.Path) (part files.PartInfo, err error) {
	err = r.do(ctx, func(w *wire) error {
		if w.ours() {
			var t sftp.Part
			if err := w.extended(ctx, sftp.Request{Extension: sftp.ExtPart, Path: p.String()}, &t); err != nil {
				return noPart(err, p)
			}
			part = files.PartInfo{Size: int64(t.Size), Sum: t.Sum, Time: time.Unix(int64(t.Time), 0)}
			return nil
		}
		part, err = r.foreignPart(ctx, w, p)
		return err
	})
	return part, err
}

func noPart(err error, p files.Path) error {
	if err = named(err, p); fault.KindOf(err) == fault.NotExist {
		return fault.New(fault.NotExist, "%s: no part is kept there", p.String())
	}
	return err
}

func (r *sshRemote) foreignPart(ctx context.Context, w *wire, p files.Path) (files.PartInfo, error) {
	q := stage(p, "")
	a, err := w.start(sftp.Request{Type: sftp.TypeLstat, Path: q.String()}).attrs(ctx)
	if err != nil {
		return files.PartInfo{}, noPart(err, p)
	}
	if a.FileMode()&fs.ModeType != 0 || a.Size == 0 {
		return files.PartInfo{}, fault.New(fault.NotExist, "%s: no part is kept there", p.String())
	}
	part := files.PartInfo{Size: int64(a.Size), Time: a.ModTime()}
	part.Sum, err = r.prove(ctx, w, p, part.Size)
	return part, err
}

// prove hashes the first n bytes of the stage of p.
func (r *sshRemote) prove(ctx context.Context, w *wire, p files.Path, n int64) ([]byte, error) {
	q := stage(p, "")
	sum, err := r.sum(ctx, w, q, 0, n)
	if fault.KindOf(err) != fault.Unsupported || err == nil {
		return sum, err
	}
	r.say(words.M("%s: the server computes no hashes; the %d bytes that it has are read back to be compared", p.String(), n))
	h := sha256.New()
	got, err := r.readBack(ctx, q, n, h)
	if err == nil && got != n {
		err = fault.New(fault.Busy, "%s: another copy is writing it just now", p.String())
	}
	return h.Sum(nil), err
}

// mostGap is how far from the end of a stage bytes may be missing, when an upload over several sessions was cut.
const mostGap = mostFlow + 1<<20

// beforeGaps returns how much of a part of that size has no gaps for sure, and its SHA-256; 0 if nothing, and where the server is
// Sampan, whose parts never have any.
func (r *sshRemote) beforeGaps(ctx context.Context, p files.Path, size int64) (n int64, sum []byte, err error) {
	if n = size - mostGap; n <= 0 {
		return 0, nil, nil
	}
	err = r.do(ctx, func(w *wire) error {
		if w.ours() {
			n = 0
			return nil
		}
		sum, err = r.prove(ctx, w, p, n)
		return err
	})
	return n, sum, err
}

// readBack hashes the first n bytes.
func (r *sshRemote) readBack(ctx context.Context, p files.Path, n int64, h hash.Hash) (int64, error) {
	f, _, err := r.Open(ctx, p, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return io.CopyBuffer(struct{ io.Writer }{h}, io.LimitReader(f, n), make([]byte, 256<<10))
}

// DropPart removes a part.
func (r *sshRemote) DropPart(ctx context.Context, p files.Path) error {
	return r.do(ctx, func(w *wire) error {
		drop := sftp.Request{Type: sftp.TypeRemove, Path: stage(p, "").String()}
		if w.ours() {
			drop = sftp.Request{Type: sftp.TypeExtended, Extension: sftp.ExtDropPart, Path: p.String()}
		}
		return noPart(w.do(ctx, drop), p)
	})
}

// Sum asks check-file-name (draft-ietf-secsh-filexfer-extensions-00 section 3).
func (r *sshRemote) Sum(ctx context.Context, p files.Path, algo string, off, n int64) (sum []byte, err error) {
	err = r.do(ctx, func(w *wire) error {
		if algo != "SHA-256" || off < 0 {
			return fault.New(fault.Unsupported, "%s does not compute %s", r.url.Address(), algo)
		}
		sum, err = r.sum(ctx, w, p, off, n)
		return err
	})
	return sum, err
}

func (r *sshRemote) sum(ctx context.Context, w *wire, p files.Path, off, n int64) ([]byte, error) {
	if !w.hashes {
		return nil, fault.New(fault.Unsupported, "%s does not compute %s", r.url.Address(), "SHA-256")
	}
	if off > 0 || n >= 0 {
		i, err := w.stat(ctx, p)
		if err != nil {
			return nil, err
		}
		if off > i.Size || n > i.Size-off {
			return nil, fault.New(fault.BadOffset, "%s: there are only %d bytes", p.String(), i.Size)
		}
		if n < 0 {
			n = i.Size - off
		}
		if n == 0 { // 0 stands for all that follows
			empty := sha256.Sum256(nil)
			return empty[:], nil
		}
	}
	ask := sftp.Request{Extension: sftp.ExtCheckName, Path: p.String(), Algorithms: "sha256", Offset: uint64(off), Size: uint64(max(n, 0))}
	var sums sftp.Sums
	if err := w.extended(ctx, ask, &sums); err != nil {
		return nil, named(err, p)
	}
	if sums.Algorithm != "sha256" || len(sums.Hashes) != sha256.Size {
		return nil, fault.New(fault.Unsupported, "%s: the server's answer cannot be read", p.String())
	}
	return sums.Hashes, nil
}

// Space asks space-available, where Sampan tells the quota: there is none where all of the device is the user's.
func (r *sshRemote) Space(ctx context.Context) (s files.Space, err error) {
	err = r.do(ctx, func(w *wire) error {
		if !w.ours() {
			return fault.New(fault.Unsupported, "%s tells no quota", r.url.Address())
		}
		var a sftp.Space
		if err := w.extended(ctx, sftp.Request{Extension: sftp.ExtSpace, Path: "/"}, &a); err != nil {
			return named(err, files.Root)
		}
		s = files.Space{Used: int64(a.Device - a.DeviceFree), Quota: -1, Free: -1}
		if a.User != a.Device {
			s.Quota = int64(a.User)
		}
		if a.Device != math.MaxInt64 {
			s.Free = int64(a.DeviceFree)
		}
		return nil
	})
	return s, err
}

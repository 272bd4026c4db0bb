package files

import (
	"io"
	"io/fs"
	"os"
)

// A Draft is an Upload that is worked on like a file, as SFTP does: read, written anywhere, cut and described before it is
// published. Uploads of Local are Drafts. Like an Upload it is used by one goroutine at a time, but for ReadAt and WriteAt.
type Draft interface {
	Upload
	io.ReaderAt

	// Truncate makes the content n bytes long. What is put behind the end is zeros, and counts.
	Truncate(n int64) error

	// Set changes what a says when the Draft is published; Stat tells it at once.
	Set(a Attr) error

	// Stat describes what Commit would publish.
	Stat() (Info, error)

	// Sync makes what was written durable. If it fails the Draft is lost.
	Sync() error

	// Reopen returns another reader of the content, an *os.File, which also sees what is written later and goes on
	// behind Commit.
	Reopen() (io.ReadCloser, error)

	// MoveTo gives the Draft another name. Exist if somebody else wants that one new.
	MoveTo(p Path) error
}

// ReadAt implements Draft.
func (u *upload) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 {
		return 0, badOffset(off)
	}
	n, err := u.f.ReadAt(b, off)
	if err == io.EOF {
		return n, err
	}
	return n, u.classify(err)
}

// Truncate implements Draft.
func (u *upload) Truncate(n int64) error {
	if n < 0 {
		return badOffset(n)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	grow := max(0, n-u.end)
	if _, err := u.grant(grow, grow); err != nil || n == u.end {
		return err
	}
	u.tally.spoil(n)
	err := u.changes(n)
	if err == nil {
		err = u.h.stepped("truncate", true, func() error { return u.f.Truncate(n) })
	}
	if err != nil {
		u.unsure = true
		return u.classify(err)
	}
	if grow > 0 {
		if u.end == 0 {
			u.dropPart()
		}
		u.h.wrote(grow)
		u.granted -= grow
	} else {
		u.h.release(u.end - n)
		u.filled.cut(n)
	}
	u.end = n
	if u.told > n {
		err = u.tell()
	}
	return u.classify(err)
}

// changes notes that the content changes from off on. Where that leaves a gap, the ledger hears that after a crash nobody will
// know what the stage holds behind it; where it is within what was kept of a file, that nothing is the head of anything. u.mu is held.
func (u *upload) changes(off int64) error {
	if err := u.h.unsync(u.e, off); err != nil {
		return err
	}
	was := u.altered
	u.altered = was || off < u.want.From && !u.want.Part
	if u.altered == was && (u.random || !u.altered && off <= u.filled.whole()) {
		return nil
	}
	return u.tell()
}

// unsync notes, on stable storage itself, that what is on stable storage of e ends at off: what is behind is about to change.
func (h *Home) unsync(e *entry, off int64) error {
	h.mu.Lock()
	less := off < e.synced
	e.synced = min(e.synced, off)
	h.mu.Unlock()
	if !less {
		return nil
	}
	if err := h.record(sealSynced(nil, e.id, off)); err != nil {
		return err
	}
	return h.ledger.sync()
}

// tellEvery is how many bytes of a stage that is written out of order may come before the ledger hears of them.
const tellEvery = 8 << 20

// tell tells the ledger how many bytes stand before the first gap. u.mu is held.
func (u *upload) tell() error {
	whole := u.filled.whole()
	if u.altered {
		whole = 0
	}
	err := u.h.setRandom(u.e, whole)
	if err == nil {
		u.random, u.told = true, whole
	}
	return err
}

// Set implements Draft. The mode waits too: a stage must be readable for whoever goes on with it after a crash.
func (u *upload) Set(a Attr) error {
	u.h.mu.Lock()
	p := u.e.path
	u.h.mu.Unlock()
	if err := a.check(p); err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over || u.sealed {
		return ended()
	}
	if a.Mode != nil {
		m := a.mode(false)
		u.attr.Mode = &m
	}
	if a.ModTime != nil {
		t := *a.ModTime
		u.attr.ModTime = &t
	}
	return nil
}

// dress gives the stage the mode and the time that were asked for. u.mu is held.
func (u *upload) dress() error {
	if m := u.wanted(); m != 0 {
		if err := u.f.Chmod(m); err != nil {
			return err
		}
	}
	if u.attr.ModTime != nil {
		return u.h.stage.setTime(u.e.name(), *u.attr.ModTime)
	}
	return nil
}

// wanted returns the mode that was asked for, 0 if none was. u.mu is held.
func (u *upload) wanted() fs.FileMode {
	if u.attr.Mode != nil {
		return *u.attr.Mode
	}
	return u.want.Mode & 0o777
}

// Stat implements Draft.
func (u *upload) Stat() (Info, error) {
	n, err := fileNode(u.f)
	if err != nil {
		return Info{}, u.classify(err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.h.mu.Lock()
	i := n.info(u.e.path)
	u.h.mu.Unlock()
	if m := u.wanted(); m != 0 {
		i.Mode = m
	}
	if u.attr.ModTime != nil {
		i.ModTime = *u.attr.ModTime
	}
	return i, nil
}

// Sync implements Draft.
func (u *upload) Sync() error {
	u.mu.Lock()
	over := u.over || u.sealed
	u.mu.Unlock()
	if over {
		return ended()
	}
	err := u.h.stepped("sync data", true, func() error { return datasync(u.f) })
	if err != nil {
		u.mu.Lock()
		u.measure()
		u.mu.Unlock()
		return u.lost(err)
	}
	return nil
}

// Reopen implements Draft.
func (u *upload) Reopen() (io.ReadCloser, error) {
	if err := u.h.enter(); err != nil {
		return nil, err
	}
	defer u.h.leave()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over {
		return nil, ended()
	}
	f, err := u.h.stage.open(u.e.name(), os.O_RDONLY)
	if err != nil {
		return nil, u.classify(err)
	}
	return f, nil
}

// MoveTo implements Draft.
func (u *upload) MoveTo(p Path) error {
	if err := p.CheckNew(); err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over || u.sealed {
		return ended()
	}
	h := u.h
	h.mu.Lock()
	if other := h.fresh[p]; other != nil && other != u.e {
		h.mu.Unlock()
		return taken(p)
	}
	if h.fresh[u.e.path] == u.e {
		delete(h.fresh, u.e.path)
	}
	u.want.New, u.vacant = false, false // the name was free when the upload began, and it is not the name any more
	u.e.path = p
	records := sealEntry(nil, u.e.id, u.e)
	h.mu.Unlock()
	return u.classify(h.record(records))
}

// cut forgets what is at n and behind it.
func (s *spans) cut(n int64) {
	for i, span := range *s {
		if span.b > n {
			if span.a < n {
				(*s)[i].b = n
				i++
			}
			*s = (*s)[:i]
			return
		}
	}
}

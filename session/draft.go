package session

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"sampan/account"
	"sampan/fault"
	"sampan/files"
)

// SFTP works on files that are open: it reads and writes anywhere, in any order. What it writes to is a draft, a put like
// any other, which nobody else sees before Commit. The session that has it open sees it: Stat, Set, Get, Resize, Remove
// and Rename of its name mean the draft where there is one.

// Edit says how a draft begins.
type Edit struct {
	Create   bool        // it may be a new file
	New      bool        // it must be one, and holds the name from now on
	Truncate bool        // it begins empty, whatever is there
	Append   bool        // it only grows: Append suffices for the file, and WriteAt is refused
	Mode     fs.FileMode // permission bits of a new file, for who may set them; 0 is the usual ones
}

// Edit starts a draft of p. Without New and Truncate it begins as what is there: the file, else the account's own part.
// Busy where both are, for nobody could tell what is meant.
func (s *Session) Edit(p files.Path, e Edit) (*Transfer, error) {
	need := account.Write
	if e.Append && !e.New && !e.Truncate {
		need = 0 // Resume and Put tell
	}
	v, err := s.at(p, need)
	if err != nil {
		return nil, err
	}
	defer v.done()
	w := files.Want{Size: -1, New: e.New}
	if v.may(p, account.Chmod) {
		w.Mode = e.Mode
	}
	if !e.New && !(e.Truncate && e.Create) {
		i, err := s.ownPart(p)
		switch {
		case fault.KindOf(err) == fault.NotExist && e.Create:
			w.All = e.Append
		case err != nil:
			return nil, err
		case i.Mode.IsDir():
			return nil, fault.New(fault.IsDir, "%s: is a directory", p)
		case i.PartOnly() && e.Truncate:
			return nil, fault.New(fault.NotExist, "%s: no such file or directory", p)
		case e.Truncate:
		case i.Part >= 0 && !i.PartOnly():
			return nil, parkedToo(p, i.Part)
		default:
			w.From, w.Part = i.Size, i.PartOnly()
			w.All = !w.Part && (w.From > 0 || e.Append)
		}
	}
	t, err := s.Put(p, w)
	if err != nil {
		return nil, err
	}
	t.need |= need
	t.appends = e.Append
	return t.Draft(), nil
}

// parkedToo refuses to choose between a file and the part beside it.
func parkedToo(p files.Path, part int64) error {
	return fault.New(fault.Busy, "%s: a part of %d bytes is parked under that name; continue it at that offset, or start again from 0", p, part)
}

// Draft makes an upload that Put or Resume began one that is worked on like a file.
func (t *Transfer) Draft() *Transfer {
	t.draft, _ = t.up.(files.Draft)
	t.at.Store(&t.path)
	return t
}

// Where returns the name that a draft has now, which others may have changed.
func (t *Transfer) Where() files.Path { return t.where() }

// where returns the name that t has now.
func (t *Transfer) where() files.Path {
	if at := t.at.Load(); at != nil {
		return *at
	}
	return t.path
}

// own returns the session's newest draft of p, nil if there is none.
func (s *Session) own(p files.Path) *Transfer {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	for _, t := range slices.Backward(s.transfers) {
		if at := t.at.Load(); at != nil && !t.dropped.Load() && at.NFC() == p.NFC() {
			return t
		}
	}
	return nil
}

// open returns what t works on, if that can go on. t.mu is held.
func (t *Transfer) open() (files.Draft, error) {
	if err := t.usable(t.draft != nil); err != nil {
		return nil, err
	}
	return t.draft, t.allowed()
}

// mayChange tells whether bytes from off on may be changed: what was kept of a file needs Write, as Put says.
func (t *Transfer) mayChange(off int64) error {
	if off >= t.base || t.need&account.Write != 0 || t.s.May(t.path, account.Write) {
		return nil
	}
	return denied(t.path)
}

// ReadAt reads from the file of a download, or from a draft. io.EOF tells the end, wherever it is by now.
func (t *Transfer) ReadAt(b []byte, off int64) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, err := t.readAt(b, off)
	if err := t.admit(int64(n), false); err != nil {
		return 0, err
	}
	t.count(time.Now(), t.moved.Load()+int64(n))
	return n, err
}

// Peek is ReadAt for what stays on the server: no limit holds for it, and it is not counted.
func (t *Transfer) Peek(b []byte, off int64) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.readAt(b, off)
}

func (t *Transfer) readAt(b []byte, off int64) (int, error) {
	from, ok := t.src.(io.ReaderAt)
	if !ok {
		from, ok = t.draft, t.draft != nil
	}
	if err := t.usable(ok); err != nil {
		return 0, err
	}
	if err := t.allowed(); err != nil {
		return 0, err
	}
	n, err := from.ReadAt(b, off)
	if err != nil && err != io.EOF {
		err = t.fail(fault.From(err, t.path.String()))
	}
	return n, err
}

// WriteAt writes to a draft; one that appends is written behind its end, wherever off is. After a failure the draft is
// never published: its writer may have sent more already, and what is missing would be a hole.
func (t *Transfer) WriteAt(b []byte, off int64) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(t.draft != nil); err != nil {
		return 0, err
	}
	if err := t.admit(int64(len(b)), true); err != nil {
		return 0, t.fail(err)
	}
	return t.writeAt(b, off)
}

func (t *Transfer) writeAt(b []byte, off int64) (n int, err error) {
	d, err := t.open()
	if err != nil {
		return 0, err
	}
	if t.appends {
		n, err = d.Write(b)
	} else if err = t.mayChange(off); err == nil {
		n, err = d.WriteAt(b, off)
	}
	t.count(time.Now(), t.moved.Load()+int64(n))
	if err != nil {
		err = t.fail(err)
	}
	return n, err
}

// Truncate makes a draft n bytes long.
func (t *Transfer) Truncate(n int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	d, err := t.open()
	if err == nil && t.appends {
		err = denied(t.path)
	}
	if err == nil {
		err = t.mayChange(n)
	}
	if err == nil {
		err = d.Truncate(n)
	}
	return err
}

// Stat describes a draft as it would be published, or the file of a download as it is.
func (t *Transfer) Stat() (files.Info, error) {
	if t.draft == nil {
		return t.Now(), nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	d, err := t.open()
	if err != nil {
		return files.Info{}, err
	}
	return d.Stat()
}

// Sync makes durable what a draft holds.
func (t *Transfer) Sync() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	d, err := t.open()
	if err == nil {
		if err = d.Sync(); err != nil {
			t.fail(err)
		}
	}
	return err
}

// Set changes the mode or the time of a draft, or of the file of a download.
func (t *Transfer) Set(a files.Attr) error {
	if t.draft == nil {
		return t.s.Set(t.path, a)
	}
	v, err := t.s.maySet(t.where(), a)
	if err != nil {
		return err
	}
	defer v.done()
	return t.set(a)
}

func (t *Transfer) set(a files.Attr) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	d, err := t.open()
	if err == nil {
		err = d.Set(a)
	}
	return err
}

// Whole says that the peer has told the end: it has sent, or got, all that it wanted. Commit of a draft needs it.
func (t *Transfer) Whole() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(true); err != nil {
		return err
	}
	if t.up != nil {
		t.arrived()
	}
	t.whole = true
	return nil
}

// Here notes that the peer answers, so that drafts which are open and idle are not taken for half dead.
func (s *Session) Here() {
	now := time.Now().UnixNano()
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	for _, t := range s.transfers {
		t.heard.Store(now)
	}
}

// Resize makes the file p, or the session's own draft of it, n bytes long. The file is replaced, as by an upload.
func (s *Session) Resize(p files.Path, n int64) error {
	if t := s.own(p); t != nil {
		return t.Truncate(n)
	}
	v, err := s.at(p, account.Write)
	if err != nil {
		return err
	}
	defer v.done()
	i, err := v.store.Stat(s.ctx, p)
	switch {
	case err != nil:
		return err
	case i.PartOnly():
		return fault.New(fault.NotExist, "%s: no such file or directory", p)
	case i.Mode.IsDir():
		return fault.New(fault.IsDir, "%s: is a directory", p)
	case n == i.Size:
		return nil
	case n > 0 && i.Part >= 0:
		return parkedToo(p, i.Part)
	}
	t, err := s.Put(p, files.Want{From: min(n, i.Size), All: n > i.Size, Size: -1})
	if err != nil {
		return err
	}
	defer t.Close()
	t.Draft()
	if err := errors.Join(t.Truncate(n), t.Whole()); err != nil {
		return err
	}
	_, err = t.Commit(nil)
	return err
}

// reader opens the session's own draft as a download.
func (t *Transfer) reader() (io.ReadCloser, files.Info, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d, err := t.open()
	if err != nil {
		return nil, files.Info{}, err
	}
	i, err := d.Stat()
	if err != nil {
		return nil, files.Info{}, err
	}
	r, err := d.Reopen()
	return r, i, err
}

// Dropped reports whether the name of a draft was removed while it was open: what it holds goes with Close.
func (t *Transfer) Dropped() bool { return t.dropped.Load() }

// moveTo gives a draft another name.
func (t *Transfer) moveTo(p files.Path) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	d, err := t.open()
	if err == nil {
		err = d.MoveTo(p)
	}
	if err == nil {
		t.at.Store(&p)
	}
	return err
}

// renameDrafts lets the session's drafts go with a name that was renamed, or with its directory; err is what became of
// that. Where nothing but a draft has the name it is the draft alone that is renamed.
func (v visit) renameDrafts(from, to files.Path, replace bool, err error) error {
	t := v.s.own(from)
	if err != nil && (t == nil || fault.KindOf(err) != fault.NotExist) {
		return err
	}
	if err != nil && !replace {
		if _, err := v.store.Stat(v.s.ctx, to); err == nil {
			return fault.New(fault.Exist, "%s: that name is taken", to)
		}
	}
	if t != nil {
		return t.moveTo(to)
	}
	v.s.hub.mu.Lock()
	defer v.s.hub.mu.Unlock()
	for _, t := range v.s.transfers {
		if at := t.at.Load(); at != nil && from.Holds(*at) {
			// The store has moved its stage already.
			if moved, err := files.Parse(to, "./"+at.Rel()[len(from.Rel()):]); err == nil {
				t.at.Store(&moved)
			}
		}
	}
	return nil
}

// CopyAt copies n bytes of from, from off on, to a draft at to; all that follows if n is -1. Where they go behind the end
// the kernel moves them, or shares the blocks. It ends early when ctx does.
func (t *Transfer) CopyAt(ctx context.Context, from *Transfer, off, n, to int64) error {
	src, done, err := from.reading()
	if err != nil {
		return err
	}
	defer done()
	if n < 0 { // what it grows by while it is copied, perhaps by that, is not meant
		i, err := src.Stat()
		if err != nil {
			return t.fail(fault.From(err, from.path.String()))
		}
		n = max(i.Size()-off, 0)
	}
	for n > 0 && err == nil {
		var m int64
		if m, err = t.copyStep(from, src, off, min(n, mostStep), to); m == 0 && err == nil {
			return nil // that was the end
		}
		off, to, n = off+m, to+m, n-m
		if err == nil && ctx.Err() != nil {
			err = why(ctx)
		}
	}
	return err
}

// copyStep copies up to n bytes. The file of a download has one offset for all who copy from it.
func (t *Transfer) copyStep(from *Transfer, src *os.File, off, n, to int64) (int64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if from.draft == nil {
		from.mu.Lock()
		defer from.mu.Unlock()
	}
	d, err := t.open()
	if err != nil {
		return 0, err
	}
	i, err := d.Stat()
	if err != nil {
		return 0, err
	}
	appender, ok := d.(io.ReaderFrom)
	if !ok || to != i.Size || t.appends {
		buf := make([]byte, min(n, firstStep))
		m, err := src.ReadAt(buf, off)
		if m > 0 {
			m, err = t.writeAt(buf[:m], to)
		}
		if err == io.EOF {
			err = nil
		}
		return int64(m), err
	}
	if _, err := src.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	m, err := appender.ReadFrom(&io.LimitedReader{R: src, N: n})
	t.count(time.Now(), t.moved.Load()+m)
	if err != nil {
		err = t.fail(err)
	}
	return m, err
}

// reading returns what t reads, and what to do with it in the end: a draft is opened once more.
func (t *Transfer) reading() (f *os.File, done func(), err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(true); err != nil {
		return nil, nil, err
	}
	var r io.Reader = t.src
	done = func() {}
	if t.draft != nil {
		again, err := t.draft.Reopen()
		if err != nil {
			return nil, nil, err
		}
		r, done = again, func() { again.Close() }
	}
	f, ok := r.(*os.File)
	if !ok {
		done()
		return nil, nil, fault.New(fault.Unsupported, "%s: it cannot be copied", t.path)
	}
	return f, done, nil
}

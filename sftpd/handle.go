package sftpd

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"io/fs"
	"iter"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"sampan/account"
	"sampan/fault"
	"sampan/files"
	"sampan/session"
	"sampan/sftp"
)

// A handle is an open file or directory.
type handle struct {
	conn   *conn
	path   files.Path
	file   *session.Transfer // nil of a directory
	draft  bool
	joined bool // the draft is another handle's, of this session or another one
	reads  bool
	writes bool
	fresh  bool           // it holds nothing but what came by it
	busy   sync.WaitGroup // requests that run apart on it
	users  atomic.Int32   // how many they are
	shared *sftp.Token    // what others join it by; nil if nobody may

	// of a directory: the listing, with what was taken out of it and not sent yet
	next  func() (files.Info, error, bool)
	stop  func()
	ahead struct {
		info files.Info
		err  error
		ok   bool
	}
}

// close ends what is open; a draft that was not published is parked.
func (h *handle) close() {
	h.busy.Wait()
	switch {
	case h.file == nil:
		h.stop()
		return
	case h.joined:
		return
	case h.shared != nil:
		h.conn.srv.shared.Delete(*h.shared)
	}
	h.file.Close()
	if h.draft {
		h.conn.closed()
	}
}

// keep gives h a name, which is the reply; if it could not be opened its room is free again.
func (s *subsystem) keep(a *ask, h *handle, err error) (*sftp.Packet, error) {
	if err != nil {
		s.handles.Add(-1)
		return nil, err
	}
	h.conn = s.conn
	if h.draft {
		s.opened()
	}
	s.opens.Lock()
	defer s.opens.Unlock()
	s.lastID++
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], s.lastID)
	s.open[string(b[:])] = h
	return sftp.HandlePacket(a.ID, string(b[:])), nil
}

// room makes sure that another handle may be opened.
func (s *subsystem) room() error {
	if s.handles.Add(1) > int32(s.srv.limits.handles) {
		s.handles.Add(-1)
		return fault.New(fault.TooMany, "a connection may have %d files and directories open at once; close some", s.srv.limits.handles)
	}
	return nil
}

// opening calls open, and keeps the handle that it returns.
func (s *subsystem) opening(a *ask, open func() (*handle, error)) (*sftp.Packet, error) {
	if err := s.room(); err != nil {
		return nil, err
	}
	h, err := open()
	if session.Crowded(err) {
		s.running.Go(func() {
			h, err := s.openLater(open)
			p, err := s.keep(a, h, err)
			s.reply(a, p, err)
		})
		return nil, errLater
	}
	return s.keep(a, h, err)
}

// openLater calls open where the account has as many transfers as it may: behind the loop's back, which goes on with what ends
// some.
func (s *subsystem) openLater(open func() (*handle, error)) (h *handle, err error) {
	ctx, cancel := context.WithTimeout(s.loop, s.srv.limits.crowded)
	defer cancel()
	err = s.sess.WhenRoom(ctx, func() (err error) {
		h, err = open()
		return err
	})
	return h, err
}

func (s *subsystem) find(name []byte) (*handle, error) {
	s.opens.Lock()
	defer s.opens.Unlock()
	if h := s.open[string(name)]; h != nil {
		return h, nil
	}
	return nil, fault.New(fault.BadOffset, "there is no such handle")
}

// forget takes a handle out of those that requests find.
func (s *subsystem) forget(name string) {
	s.opens.Lock()
	defer s.opens.Unlock()
	delete(s.open, name)
	s.handles.Add(-1)
}

// open is OPEN (draft section 6.3). What only reads sees a file, or the session's own draft of it; what writes is a draft.
func (a *ask) open() (*sftp.Packet, error) {
	f := a.Flags
	writes := f&(sftp.OpenWrite|sftp.OpenAppend) != 0
	reads := f&sftp.OpenRead != 0 || !writes
	return a.sub.opening(a, func() (*handle, error) {
		if !writes {
			return a.openToRead(f)
		}
		e := session.Edit{
			Create: f&sftp.OpenCreate != 0, Truncate: f&sftp.OpenTruncate != 0, Append: f&sftp.OpenAppend != 0,
			New: f&sftp.OpenCreate != 0 && f&sftp.OpenExclusive != 0, // alone EXCL says nothing
		}
		if a.Attrs.Has&sftp.HasMode != 0 {
			e.Mode = a.Attrs.FileMode().Perm()
		}
		if reads && !e.New && !e.Truncate && !a.sub.sess.May(a.path, account.Read) {
			return nil, fault.New(fault.Denied, "%s: your account may not do this here", a.path)
		}
		t, err := a.sub.sess.Edit(a.path, e)
		if err != nil {
			return nil, err
		}
		return &handle{path: a.path, file: t, draft: true, reads: reads, writes: true, fresh: e.New || e.Truncate}, nil
	})
}

// openToRead opens a file for reading. CREAT makes an empty one where there is none.
func (a *ask) openToRead(f sftp.Open) (*handle, error) {
	sess := a.sub.sess
	if f&sftp.OpenTruncate != 0 {
		return nil, fault.New(fault.Denied, "to truncate needs a file that is opened for writing")
	}
	if f&sftp.OpenCreate != 0 {
		t, err := sess.Edit(a.path, session.Edit{Create: true, New: true})
		if err == nil {
			err = t.Whole()
			if err == nil {
				_, err = t.Commit(nil)
			}
			t.Close()
		}
		if err != nil && (fault.KindOf(err) != fault.Exist || f&sftp.OpenExclusive != 0) {
			return nil, err
		}
	}
	t, err := sess.Get(a.path, 0, -1)
	if err != nil {
		return nil, err
	}
	return &handle{path: a.path, file: t, reads: true}, nil
}

// resume is resume@sampan: OPEN for an upload that goes on behind Offset bytes of what is there, the file or one's own part
// as the offset tells.
func (a *ask) resume() (*sftp.Packet, error) {
	off, err := offset(a.Offset)
	if a.Offset == sftp.Unknown {
		off, err = -1, nil
	}
	if err != nil {
		return nil, err
	}
	size := int64(-1)
	if a.Size <= math.MaxInt64 {
		size = int64(a.Size)
	}
	return a.sub.opening(a, func() (*handle, error) {
		t, err := a.sub.sess.Resume(a.path, files.Want{From: off, Size: size})
		if err != nil {
			return nil, err
		}
		return &handle{path: a.path, file: t.Draft(), draft: true, writes: true}, nil
	})
}

// close is CLOSE, and close@sampan: what was written is published. It is answered when it is on stable storage.
func (a *ask) close() (*sftp.Packet, error) {
	s, h := a.sub, a.h
	s.forget(string(a.Handle))
	if !h.draft || h.file.Dropped() {
		a.prove()
		if h.file != nil && !h.draft && !h.joined {
			h.file.Whole()
		}
		return a.end()
	}
	idle := h.users.Load() == 0
	if idle && !s.srv.cfg.Hub.Strict() && !s.ready() {
		a.prove()
		return nil, h.publish()
	}
	s.closings.room <- struct{}{}
	c := &closing{a, h, s.changes.begin(h.file.Where())} // it may have been renamed while it was open
	if idle {
		s.publish(c)
	} else {
		s.running.Go(func() {
			h.busy.Wait()
			s.publish(c)
		})
	}
	return nil, errLater
}

// prove hashes what is about to be closed, if that is asked for and it is small: what may be read, or an upload. Who wrote all of that
// learns nothing by it, so no permission to read is needed.
func (a *ask) prove() {
	known := !a.h.draft && a.h.reads || a.h.fresh && a.h.shared == nil
	if a.Extension != sftp.ExtClose || a.h.file == nil || !known {
		return
	}
	h, buf := sha256.New(), make([]byte, 2*sip)
	for off := int64(0); off < hashStep; {
		n, err := a.h.file.Peek(buf, off)
		h.Write(buf[:n])
		if off += int64(n); err == io.EOF {
			a.proof = h.Sum(nil)
		}
		if err != nil {
			return
		}
	}
}

// publish commits a draft at once. Where nothing waits, neither for a disk nor to be asked, that takes no longer than to have it
// done apart.
func (h *handle) publish() error {
	defer h.close()
	if err := h.file.Whole(); err != nil {
		return err
	}
	_, err := h.file.Commit(nil)
	return err
}

// abandon is abandon@sampan: CLOSE for an upload that is not to be published; what came is parked.
func (a *ask) abandon() (*sftp.Packet, error) {
	a.sub.forget(string(a.Handle))
	return a.end()
}

// share is share@sampan: who shows the token, over this connection or another one of the account, may join in writing.
func (a *ask) share() (*sftp.Packet, error) {
	h := a.h
	if !h.draft {
		return nil, fault.New(fault.Denied, "the handle is not open for writing")
	}
	if h.shared == nil {
		h.shared = new(sftp.Token)
		rand.Read(h.shared[:])
		a.sub.srv.shared.Store(*h.shared, h)
	}
	return sftp.ExtendedPacket(a.ID, *h.shared), nil
}

// join is join@sampan: OPEN for what is shared. CLOSE of the handle only ends the joining; what is not written by the CLOSE of the
// one that was shared is refused.
func (a *ask) join() (*sftp.Packet, error) {
	return a.sub.opening(a, func() (*handle, error) {
		found, ok := a.sub.srv.shared.Load(a.Token)
		if ok {
			if h := found.(*handle); h.conn.acct.Name == a.sub.acct.Name {
				return &handle{path: h.path, file: h.file, joined: true, writes: true}, nil
			}
		}
		return nil, fault.New(fault.NotExist, "nothing is shared by that token")
	})
}

// end closes a handle without publishing, behind what still runs on it.
func (a *ask) end() (*sftp.Packet, error) {
	done := func() {}
	if !a.h.draft && a.h.users.Load() == 0 { // nothing to wait for
		a.h.close()
		return nil, nil
	}
	if a.h.draft {
		done = a.sub.changes.begin(a.h.file.Where())
	}
	a.sub.running.Go(func() {
		a.h.close()
		done()
		a.sub.reply(a, nil, nil)
	})
	return nil, errLater
}

// offset returns an offset or a size as files have it.
func offset(n uint64) (int64, error) {
	if n > math.MaxInt64 {
		return 0, fault.New(fault.BadOffset, "%d is no offset that a file can have", n)
	}
	return int64(n), nil
}

// read is READ (draft section 6.4). It may return less than was asked for.
func (a *ask) read() (*sftp.Packet, error) {
	if a.h.file == nil || !a.h.reads {
		return nil, fault.New(fault.Denied, "the handle is not open for reading")
	}
	off, err := offset(a.Offset)
	if err != nil {
		return nil, io.EOF // no file reaches there
	}
	p, place := sftp.DataPacket(a.ID, int(min(a.Size, sftp.MaxData)))
	n, err := a.h.file.ReadAt(place, off)
	if n == 0 && len(place) > 0 || err != nil && err != io.EOF {
		p.Free()
		if err == nil {
			err = io.EOF
		}
		return nil, err
	}
	p.Cut(len(place), n)
	return p, nil
}

// write is WRITE (draft section 6.4).
func (a *ask) write() (*sftp.Packet, error) {
	if !a.h.writes {
		return nil, fault.New(fault.Denied, "the handle is not open for writing")
	}
	off, err := offset(a.Offset)
	if err != nil {
		return nil, err
	}
	_, err = a.h.file.WriteAt(a.Data, off)
	return nil, err
}

// fsync makes durable what a draft has got (OpenSSH PROTOCOL section 4.6).
func (a *ask) fsync() (*sftp.Packet, error) {
	if !a.h.writes {
		return nil, fault.New(fault.Denied, "the handle is not open for writing")
	}
	return nil, a.h.file.Sync()
}

// copyData copies on the server (draft-ietf-secsh-filexfer-extensions-00 section 7). What is read and what is written must
// not be the same file.
func (a *ask) copyData() (*sftp.Packet, error) {
	switch {
	case a.h.file == nil || !a.h.reads:
		return nil, fault.New(fault.Denied, "the handle is not open for reading")
	case !a.toH.writes:
		return nil, fault.New(fault.Denied, "the handle is not open for writing")
	case a.h.file == a.toH.file:
		return nil, fault.New(fault.BadName, "%s: cannot be copied onto itself", a.h.path)
	}
	off, err := offset(a.Offset)
	if err != nil {
		return nil, err
	}
	to, err := offset(a.ToOffset)
	if err != nil {
		return nil, err
	}
	n := int64(-1) // 0 is to the end
	if a.Size > 0 && a.Size <= math.MaxInt64 {
		n = int64(a.Size)
	}
	return nil, a.toH.file.CopyAt(a.sub.sess.Context(), a.h.file, off, n, to)
}

// opendir is OPENDIR (draft section 6.7).
func (a *ask) opendir() (*sftp.Packet, error) {
	return a.sub.opening(a, func() (*handle, error) {
		h := &handle{path: a.path}
		h.next, h.stop = iter.Pull2(a.sub.sess.List(a.path))
		h.ahead.info, h.ahead.err, h.ahead.ok = h.next()
		if err := h.ahead.err; h.ahead.ok && err != nil {
			h.stop()
			return nil, err
		}
		return h, nil
	})
}

// readdir is READDIR (draft section 6.7): the next entries, or EOF.
func (a *ask) readdir() (*sftp.Packet, error) {
	h := a.h
	if h.file != nil {
		return nil, fault.New(fault.NotDir, "%s: not a directory", h.path)
	}
	if !h.ahead.ok {
		return nil, io.EOF
	}
	now := time.Now()
	names := sftp.NamesPacket(a.ID)
	var long []byte
	for more := true; more && h.ahead.ok; {
		if err := h.ahead.err; err != nil {
			if names.Len() > 0 {
				break // it is told next time
			}
			h.ahead.ok = false
			names.Packet().Free()
			return nil, err
		}
		attrs := attrsOf(h.ahead.info)
		name := h.ahead.info.Path.Base()
		long = sftp.AppendLong(long[:0], name, a.sub.acct.Name, attrs, now)
		more = names.Add(name, long, attrs)
		h.ahead.info, h.ahead.err, h.ahead.ok = h.next()
	}
	return names.Packet(), nil
}

// ownerID is the number of whom everything in a home belongs to, as far as SFTP shows.
const ownerID = 1000

// attrsOf tells what is known of an entry. A part is shown as the file that it wants to become.
func attrsOf(i files.Info) sftp.Attrs {
	a := sftp.Attrs{Has: sftp.HasSize | sftp.HasOwner, Size: uint64(i.Size), UID: ownerID, GID: ownerID}
	mode := i.Mode
	if i.PartOnly() {
		mode = 0o600
	}
	a.SetMode(mode & (fs.ModeDir | fs.ModePerm))
	a.SetTime(i.ModTime)
	return a
}

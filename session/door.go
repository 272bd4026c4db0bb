package session

import (
	"context"
	"io"
	"io/fs"
	"iter"
	"math"
	"time"

	"sampan/account"
	"sampan/fault"
	"sampan/files"
)

// A visit is one request of a logged-in session: who asks, and their Store.
type visit struct {
	s     *Session
	login *login
	acct  account.Account
	store *files.Local
	since time.Time
	done  func() // to be called once
}

// visit begins a request. It fails with Unauth if nobody is logged in.
func (s *Session) visit() (visit, error) {
	done, err := s.request()
	if err != nil {
		return visit{}, err
	}
	l := s.login.Load()
	a, store, err := s.admitted(l)
	if err != nil {
		done()
		return visit{}, err
	}
	return visit{s, l, a, store, time.Now(), done}, nil
}

// at is visit with all of need required at p.
func (s *Session) at(p files.Path, need account.Perm) (visit, error) {
	v, err := s.visit()
	if err == nil && !v.may(p, need) {
		v.done()
		return visit{}, denied(p)
	}
	return v, err
}

func (v visit) may(p files.Path, need account.Perm) bool { return v.acct.May(p)&need == need }

// mayAny reports whether the account has any of need at p.
func (v visit) mayAny(p files.Path, need account.Perm) bool { return v.acct.May(p)&need != 0 }

// mayBelow is may for p and for every grant below it: what is moved with a directory keeps no grant of its own.
func (v visit) mayBelow(p files.Path, need account.Perm) bool {
	for _, g := range v.acct.Grants {
		if p.Fold().Holds(g.Under.Fold()) && g.May&need != need {
			return false
		}
	}
	return v.may(p, need)
}

func denied(p files.Path) error {
	return fault.New(fault.Denied, "%s: your account may not do this here", p)
}

// record writes the transfer record of a request that moved no bytes.
func (v visit) record(verb string, p, to files.Path, err error) {
	t := account.Transfer{
		When: time.Now(), Account: v.acct.Name, Remote: v.s.address().String(), Proto: v.s.via.Proto,
		Verb: verb, Path: p.String(), Took: time.Since(v.since), Result: result(err),
	}
	if verb == "rename" {
		t.To = to.String()
	}
	v.s.hub.book.Record(t)
	v.s.hub.log.Info(verb, "session", v.s.id, "account", t.Account, "path", t.Path, "to", t.To, "remote", v.s.via.Remote.String(), "reason", t.Result)
}

func result(err error) string {
	if err == nil {
		return "ok"
	}
	return fault.KindOf(err).String()
}

// May reports whether the account has all of need at p; for CWD and for facts in listings.
func (s *Session) May(p files.Path, need account.Perm) bool {
	a, _, err := s.who()
	return err == nil && a.May(p)&need == need
}

// Enter checks that p is a directory that the account may change into.
func (s *Session) Enter(p files.Path) error {
	v, err := s.at(p, account.ChangeDir)
	if err != nil {
		return err
	}
	defer v.done()
	i, err := v.store.Stat(s.ctx, p)
	if err == nil && !i.Mode.IsDir() {
		err = fault.New(fault.NotDir, "%s: not a directory", p)
	}
	return err
}

// Stat describes p. An upload of p by another session of the account that received nothing for 5 s is parked first,
// so that its part is seen. A draft of the session's own (see Edit) is seen as it would be published.
func (s *Session) Stat(p files.Path) (files.Info, error) {
	v, err := s.visit()
	if err != nil {
		return files.Info{}, err
	}
	defer v.done()
	if t := s.own(p); t != nil {
		return t.Stat()
	}
	sees, puts := v.may(p, account.List), v.mayAny(p, account.Write|account.Append)
	if !sees && !puts {
		return files.Info{}, denied(p)
	}
	s.hub.takeOver(s, v.target(p), false)
	i, err := v.store.Stat(s.ctx, p)
	if !sees && (err != nil || !i.PartOnly()) {
		return files.Info{}, denied(p)
	}
	return i, err
}

// List yields the entries of p; those at which the account may do nothing at all are left out. Busy where the account reads as
// many directories at once as it may.
func (s *Session) List(p files.Path) iter.Seq2[files.Info, error] {
	return func(yield func(files.Info, error) bool) {
		v, err := s.at(p, account.List)
		if err != nil {
			yield(files.Info{}, err)
			return
		}
		defer v.done()
		if err := s.hub.countList(v.login); err != nil {
			yield(files.Info{}, err)
			return
		}
		defer s.hub.uncountList(v.login)
		for i, err := range v.store.List(s.ctx, p) {
			if err == nil && v.acct.May(i.Path) == 0 {
				continue
			}
			if !yield(i, err) {
				return
			}
		}
	}
}

// Mkdir makes a directory.
func (s *Session) Mkdir(p files.Path) error {
	v, err := s.at(p, account.MakeDir)
	if err != nil {
		return err
	}
	defer v.done()
	err = v.store.Mkdir(s.ctx, p)
	v.record("mkdir", p, p, err)
	return err
}

// Remove removes a file, a link, an empty directory, or the account's own part where there is no file.
func (s *Session) Remove(p files.Path) error {
	v, err := s.at(p, account.Delete)
	if err != nil {
		return err
	}
	defer v.done()
	err = v.store.Remove(s.ctx, p)
	if t := s.own(p); t != nil && (err == nil || fault.KindOf(err) == fault.NotExist) {
		t.dropped.Store(true)
		err = nil
	}
	v.record("delete", p, p, err)
	return err
}

// RemoveRead is Remove for a file that Transfer.Read tells of; Busy if it is another one by now.
func (s *Session) RemoveRead(i files.Info) error {
	v, err := s.at(i.Path, account.Delete)
	if err != nil {
		return err
	}
	defer v.done()
	err = v.store.RemoveSame(s.ctx, i)
	v.record("delete", i.Path, i.Path, err)
	return err
}

// Rename moves an entry. To replace something needs Delete at to as well: without it replace is refused where to is taken.
func (s *Session) Rename(from, to files.Path, replace bool) error {
	v, err := s.visit()
	if err != nil {
		return err
	}
	defer v.done()
	if !v.mayBelow(from, account.Rename) {
		return denied(from)
	}
	if !v.mayBelow(to, account.Rename) {
		return denied(to)
	}
	mayReplace := v.may(to, account.Delete)
	err = v.store.Rename(s.ctx, from, to, replace && mayReplace)
	if replace && !mayReplace && fault.KindOf(err) == fault.Exist {
		err = denied(to)
	}
	err = v.renameDrafts(from, to, replace && mayReplace, err)
	v.record("rename", from, to, err)
	return err
}

// What systems keep of a time, in nanoseconds.
var (
	firstTime = time.Unix(0, math.MinInt64)
	lastTime  = time.Unix(0, math.MaxInt64)
)

// Set changes the mode or the time of p. A time that no system keeps (before 1678, after 2262) is Unsupported.
func (s *Session) Set(p files.Path, a files.Attr) error {
	v, err := s.maySet(p, a)
	if err != nil {
		return err
	}
	defer v.done()
	if t := s.own(p); t != nil {
		return t.set(a)
	}
	return v.store.Set(s.ctx, p, a)
}

// maySet is at with what a needs.
func (s *Session) maySet(p files.Path, a files.Attr) (visit, error) {
	if t := a.ModTime; t != nil && (t.Before(firstTime) || t.After(lastTime)) {
		return visit{}, fault.New(fault.Unsupported, "the year %d cannot be kept", t.Year())
	}
	var need account.Perm
	if a.Mode != nil {
		need |= account.Chmod
	}
	if a.ModTime != nil {
		need |= account.SetTime
	}
	return s.at(p, need)
}

// Part describes the account's own part of p. An upload of p by another session of the account that received nothing
// for 5 s is parked first (up to 6 s go by until that is known); Busy if that one is alive. It ends early when ctx or
// the session does: to hash a large part takes its time.
func (s *Session) Part(ctx context.Context, p files.Path) (files.PartInfo, error) {
	v, err := s.visit()
	if err != nil {
		return files.PartInfo{}, err
	}
	defer v.done()
	if !v.mayAny(p, account.Write|account.Append) {
		return files.PartInfo{}, denied(p)
	}
	if s.hub.takeOver(s, v.target(p), true) {
		return files.PartInfo{}, fault.New(fault.Busy, "%s: another of your sessions is uploading it", p)
	}
	ctx, stop := s.within(ctx)
	defer stop()
	return v.store.Part(ctx, p)
}

// DropPart removes the account's own part of p.
func (s *Session) DropPart(p files.Path) error {
	v, err := s.visit()
	if err != nil {
		return err
	}
	defer v.done()
	if !v.mayAny(p, account.Write|account.Append) {
		return denied(p)
	}
	return v.store.DropPart(s.ctx, p)
}

// Space tells how full the account's home is.
func (s *Session) Space() (files.Space, error) {
	v, err := s.visit()
	if err != nil {
		return files.Space{}, err
	}
	defer v.done()
	return v.store.Space(s.ctx)
}

// Sum hashes n bytes of p from off, see files.Summer. It ends early when ctx or the session does.
func (s *Session) Sum(ctx context.Context, p files.Path, algo string, off, n int64) ([]byte, error) {
	v, err := s.at(p, account.Read)
	if err != nil {
		return nil, err
	}
	defer v.done()
	ctx, stop := s.within(ctx)
	defer stop()
	return v.store.Sum(ctx, p, algo, off, n)
}

// within returns a context that ends with ctx and with the session; stop releases it.
func (s *Session) within(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	forget := context.AfterFunc(s.ctx, func() { cancel(s.gone()) })
	return ctx, func() {
		forget()
		cancel(nil)
	}
}

// Get starts a download of n bytes of p from byte off, of all that follows if n is -1. BadOffset beyond the end.
func (s *Session) Get(p files.Path, off, n int64) (*Transfer, error) {
	v, err := s.at(p, account.Read)
	if err != nil {
		return nil, err
	}
	defer v.done()
	t, err := v.transfer("get", p, account.Read)
	if err != nil {
		return nil, err
	}
	src, info, err := v.open(p, off)
	if err == nil && n > info.Size-off {
		src.Close()
		err = fault.New(fault.BadOffset, "%s: %d is not within its %d bytes", p, off+n, info.Size)
	}
	if err != nil {
		s.hub.strike(t)
		return nil, err
	}
	if n < 0 {
		n = info.Size - off
	}
	t.src, t.info, t.base, t.size = src, info, off, off+n
	return s.hub.enlist(t)
}

// open opens p, or the session's own draft of it.
func (v visit) open(p files.Path, off int64) (io.ReadCloser, files.Info, error) {
	if t := v.s.own(p); t != nil && off == 0 {
		return t.reader()
	}
	return v.store.Open(v.s.ctx, p, off)
}

// Put starts an upload of p. Going on behind the file's end (From > 0) needs Append, inside it Append and Write; the
// account's own part is gone on with by Write or Append; all else needs Write, which also suffices to replace a file.
// If another session of the same account is uploading p and received nothing for 5 s, that upload is parked first (up
// to 6 s go by until that is known); of two that are alive the last commit wins whole.
func (s *Session) Put(p files.Path, w files.Want) (*Transfer, error) { return s.put(p, w, nil) }

// Copy starts a copy of files of the home: an upload of to that brings from, one behind the other, and before them, if
// behind says so, what to holds. Fill takes the place of ReadFrom; what is not committed is not parked. It needs Read at
// all of from, and at to what Put needs. NotExist and IsDir are about any of them; what is to itself is refused
// (BadName).
func (s *Session) Copy(to files.Path, behind bool, from ...files.Path) (*Transfer, error) {
	v, err := s.visit()
	if err != nil {
		return nil, err
	}
	defer v.done()
	for _, p := range from {
		if !v.may(p, account.Read) {
			return nil, denied(p)
		}
	}
	old, err := v.store.Stat(s.ctx, to)
	w := files.Want{All: behind}
	if behind && err == nil && !old.PartOnly() {
		w.From, w.Size = old.Size, old.Size
	}
	if _, err := v.needs(to, w); err != nil {
		return nil, err
	}
	for _, p := range from {
		i, err := v.store.Stat(s.ctx, p)
		switch {
		case err != nil:
			return nil, err
		case i.PartOnly():
			return nil, fault.New(fault.NotExist, "%s: no such file or directory", p)
		case i.Mode.IsDir():
			return nil, fault.New(fault.IsDir, "%s: is a directory", p)
		case p == to, i.Tag == old.Tag && i.Tag != "":
			return nil, fault.New(fault.BadName, "%s: cannot be copied onto itself", p)
		}
		w.Size += i.Size
	}
	return s.put(to, w, from)
}

func (s *Session) put(p files.Path, w files.Want, from []files.Path) (*Transfer, error) {
	v, err := s.visit()
	if err != nil {
		return nil, err
	}
	defer v.done()
	need, err := v.needs(p, w)
	if err != nil {
		return nil, err
	}
	if need&account.Write == 0 && !w.Part && !v.may(p, account.Write) { // it was looked at, but not in one go
		w.All = true
	}
	s.hub.takeOver(s, v.target(p), true)
	t, err := v.transfer("put", p, need)
	if err != nil {
		return nil, err
	}
	up, err := v.store.Create(s.ctx, p, w)
	if err != nil {
		s.hub.strike(t)
		return nil, err
	}
	t.up, t.base, t.size, t.from = up, w.From, w.Size, from
	t.info = files.Info{Path: p, Size: w.From, ModTime: t.started, Mode: fs.FileMode(0), Part: -1}
	return s.hub.enlist(t)
}

// needs returns what the account must have at p to upload as w says, Denied if it has not.
func (v visit) needs(p files.Path, w files.Want) (account.Perm, error) {
	need := account.Write
	switch {
	case w.From > 0 && w.Part:
		if !v.may(p, account.Write) {
			need = account.Append
		}
	case w.From > 0:
		need = account.Append
	}
	if !v.may(p, need) {
		return 0, denied(p)
	}
	if need == account.Append && !w.Part && !v.may(p, account.Write) {
		i, err := v.store.Stat(v.s.ctx, p)
		if err == nil && !i.PartOnly() && w.From < i.Size {
			return 0, denied(p)
		}
	}
	return need, nil
}

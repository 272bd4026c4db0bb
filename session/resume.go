package session

import (
	"sampan/account"
	"sampan/fault"
	"sampan/files"
)

// Resume starts an upload that goes on behind the first off bytes (want.From) of what is there, or behind all of it where off is
// -1; where nothing is there the latter begins a new file. want.Size is the final size if it was announced, else -1; one
// that is less than off says nothing. want.Part is found.
//
// With a part of the account's own and no file it is the part that is gone on with, and off must be its size
// (BadOffset). With both, off must be the part's size, and -1 is refused (Busy): an old head would be joined to a new
// tail. With a file alone off is at most its size (BadOffset). Permissions are those of Put; that of listing is not
// needed. Transfer.Info tells what is kept.
func (s *Session) Resume(p files.Path, want files.Want) (*Transfer, error) {
	i, err := s.ownPart(p)
	w, off := want, want.From
	switch {
	case fault.KindOf(err) == fault.NotExist && off < 0:
		w.From, w.All = 0, true
	case err != nil:
		return nil, err
	case i.PartOnly() && off < 0, i.Part >= 0 && off == i.Part:
		w.From, w.Part = i.Part, true
	case i.PartOnly():
		return nil, fault.New(fault.BadOffset, "the part has %d bytes: only that offset goes on with it", i.Part)
	case i.Part >= 0:
		return nil, fault.New(fault.Busy, "%s: a part of %d bytes is parked under that name; continue it at that offset, or start again from 0", p, i.Part)
	case off < 0 || off == i.Size:
		w.From, w.All = i.Size, true
	}
	if w.Size < w.From {
		w.Size = -1
	}
	return s.Put(p, w)
}

// ownPart is Stat for who may upload. Another session's upload of p that received nothing for 5 s is parked first.
func (s *Session) ownPart(p files.Path) (files.Info, error) {
	v, err := s.visit()
	if err != nil {
		return files.Info{}, err
	}
	defer v.done()
	if !v.mayAny(p, account.Write|account.Append) {
		return files.Info{}, denied(p)
	}
	s.hub.takeOver(s, v.target(p), true)
	return v.store.Stat(s.ctx, p)
}

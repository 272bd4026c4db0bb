// Package files is Sampan's one interface for trees of files, used at both ends: a home on the server's disk, a
// tree in memory, and every remote that the client dials are Stores. What a Store must do is held by the suite in
// files/filestest.
package files

import (
	"context"
	"io"
	"io/fs"
	"iter"
	"time"

	"sampan/fault"
)

// Info describes one entry.
type Info struct {
	Path    Path
	Size    int64 // bytes; of the asker's part where there is a part and no file
	ModTime time.Time
	Mode    fs.FileMode // type and permission bits; ModeIrregular where there is only a part
	Part    int64       // bytes of the asker's parked part under this name, -1 if none
	Tag     string      // changes whenever the content may have; "" if unknown
}

// PartOnly reports whether nothing is published under the name: only the asker's part is there.
func (i Info) PartOnly() bool { return i.Mode&fs.ModeIrregular != 0 && i.Part >= 0 }

// A Store is one tree of files, safe for concurrent use. Its errors are *fault.Error (or have one in the chain).
// Links never lead out of the tree; what is neither a regular file, a directory nor a link is not listed and not opened.
type Store interface {
	// Stat describes p, following links. With a part of the asker and no file it describes the part (see
	// Info.PartOnly). NotExist if there is neither.
	Stat(ctx context.Context, p Path) (Info, error)

	// List yields the entries of directory p in no order, one by one as the medium gives them; it stops at the
	// first error. Parts without a file are not listed; files have their Part set. NotDir for a file.
	List(ctx context.Context, p Path) iter.Seq2[Info, error]

	// Open returns the content of file p from byte off; off equal to the size gives an empty reader, beyond it
	// BadOffset. Local returns the bare *os.File (also an io.ReaderAt and Seeker), so that Pump can hand it to
	// the kernel. IsDir for a directory. A part is not readable: NotExist.
	Open(ctx context.Context, p Path, off int64) (io.ReadCloser, Info, error)

	// Create starts an upload of p; nobody reads it under p before Commit. See Want. Refused are a directory (IsDir),
	// a missing parent (NotExist), a Want.From above 0 of the file while the asker has a part of p (Busy, naming
	// its size: an old head would be joined to a new tail), and a Want.Size that has no room (OverQuota). An
	// upload from 0 gives up the asker's part of p when its first byte comes, or earlier if it needs the room.
	Create(ctx context.Context, p Path, w Want) (Upload, error)

	// Mkdir makes one directory; NotExist if its parent is missing, Exist if the name is taken.
	Mkdir(ctx context.Context, p Path) error

	// Remove removes a file, a link (never its target), an empty directory, or the asker's part where there is
	// no file. With a file its parts go too.
	Remove(ctx context.Context, p Path) error

	// Rename moves an entry. Exist if to is taken and replace is false; a directory never replaces anything and is
	// never replaced. To rename to itself does nothing. Parts of both names go; those below a directory, and uploads
	// under way below it, move with it.
	Rename(ctx context.Context, from, to Path, replace bool) error

	// Set changes what a says of p. Syntax for a time that cannot be kept.
	Set(ctx context.Context, p Path, a Attr) error
}

// Attr says what Set changes; nil leaves a thing alone.
type Attr struct {
	ModTime *time.Time
	Mode    *fs.FileMode // permission bits, masked to 0777; a directory keeps those of its owner, or it could not be entered any more
}

// mode returns the bits to be set.
func (a Attr) mode(isDir bool) fs.FileMode {
	bits := *a.Mode & 0o777
	if isDir {
		bits |= 0o700
	}
	return bits
}

// check refuses a time that the system's calls would turn into another one.
func (a Attr) check(p Path) error {
	if a.ModTime != nil && !time.Unix(0, a.ModTime.UnixNano()).Equal(*a.ModTime) {
		return fault.New(fault.Syntax, "%s: no file can have that time here", p)
	}
	return nil
}

// Want says how an upload begins.
type Want struct {
	From int64       // bytes kept from what is there; writing goes on behind them
	Size int64       // final size announced by the sender (From included), -1 if unknown
	Part bool        // From is of the asker's parked part (and must be its exact size, else BadOffset); else of the file (0 ≤ From ≤ size, else BadOffset)
	All  bool        // From is all of the file, 0 if there is none: Busy, from Create or Commit, where it is not, or not any more
	Mode fs.FileMode // permission bits of a file that is not there yet; 0 is the usual ones
	New  bool        // fail with Exist if p is taken, at Create or by Commit; a second such upload of p is refused meanwhile
	Sum  bool        // its SHA-256 will be asked for at once: see Hashed
}

// An Upload is content on its way to a name. It is used by one goroutine at a time, but for WriteAt.
type Upload interface {
	io.Writer // appends behind what was kept and written; OverQuota when the home has no room for all of it: then nothing is written
	io.WriterAt

	// Room asks to write want more bytes behind Size and returns how many may be: fewer near the quota. When it is
	// full it returns 0 and an OverQuota that says how many bytes are missing, as Pump wants it; it may wait a
	// moment for what other uploads were granted and do not need. What is granted is reserved until it is written, a
	// ReadFrom ends or the upload does. A Store without a quota grants all.
	Room(want int64) (int64, error)

	// Size returns how many bytes are there without a gap from 0: what Close would park.
	Size() int64

	// Commit makes the content durable and publishes it under the name; then it is visible whole to everybody.
	// After the data sync and before the rename ctx is looked at and sure is called (unless nil): if either has an
	// error, or anything else fails before the rename, nothing is published and Close parks. A Durability error
	// means that the name may be in place. Busy if it went on behind a file that is another one by now: then Close
	// parks nothing.
	Commit(ctx context.Context, sure func() error) (Info, error)

	// Close ends the upload. Without Commit it parks what is contiguous from 0 for a later Want{Part: true}
	// (replacing an older part; an empty one is not kept). An upload that the quota or a full disk cut short, and for which Commit was
	// not called, goes back to the part that it began with, if any: it would only keep the home full. One that went on
	// behind the file and got nothing parks nothing, nor does one that was changed within what it kept of the file: it
	// is no head of anything. After Commit went well Close does nothing.
	Close() error
}

// A Hashed is an Upload that may know the hash of what it published.
type Hashed interface {
	// Sum returns the SHA-256 of the file after Commit, nil if it is not known yet: it is taken while bytes are written in order from 0
	// or behind a part. Without Want.Sum it may be given up where it would slow the upload down, or is not worth it.
	Sum() []byte
}

// PartInfo describes a parked part.
type PartInfo struct {
	Size int64
	Sum  []byte // SHA-256 of all of it
	Time time.Time
}

// A Parter knows its parts. Local, Mem and Sampan's own remotes are Parters.
type Parter interface {
	// Part describes the asker's part of p; NotExist if there is none.
	Part(ctx context.Context, p Path) (PartInfo, error)
	// DropPart removes it; NotExist if there is none.
	DropPart(ctx context.Context, p Path) error
}

// A Summer computes hashes where the bytes are.
type Summer interface {
	// Sum hashes n bytes of file p from off, to the end if n is -1. BadOffset beyond the end, Unsupported for an
	// algorithm that is not known. algo is an IANA name: "SHA-256".
	Sum(ctx context.Context, p Path, algo string, off, n int64) ([]byte, error)
}

// Space tells how full a home is, in bytes by st_size: files, stages and parts.
type Space struct {
	Used  int64
	Quota int64 // -1 if unlimited
	Free  int64 // on the disk beneath, -1 if unknown
}

// A Spacer knows its space.
type Spacer interface {
	Space(ctx context.Context) (Space, error)
}

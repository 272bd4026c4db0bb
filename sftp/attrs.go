package sftp

import (
	"io/fs"
	"time"
)

// Has says which attributes are there (section 5).
type Has uint32

// The attributes that there are.
const (
	HasSize     Has = 1
	HasOwner    Has = 2
	HasMode     Has = 4
	HasTimes    Has = 8
	hasExtended Has = 1 << 31
	known           = HasSize | HasOwner | HasMode | HasTimes | hasExtended
)

// Attrs are the attributes of a file. Extended ones are read over, and not kept.
type Attrs struct {
	Has          Has
	Size         uint64
	UID, GID     uint32
	Mode         uint32 // as POSIX has st_mode: the kind of file and the permission bits
	Atime, Mtime uint32 // seconds since 1970
}

// The kinds of file in a Mode.
const (
	modeKind    = 0o170000
	modeFIFO    = 0o010000
	modeChar    = 0o020000
	modeDir     = 0o040000
	modeBlock   = 0o060000
	modeRegular = 0o100000
	modeLink    = 0o120000
	modeSocket  = 0o140000
)

// SetMode sets Mode: the kind of file and the permission bits.
func (a *Attrs) SetMode(m fs.FileMode) {
	a.Has |= HasMode
	a.Mode = uint32(m.Perm())
	switch {
	case m.IsDir():
		a.Mode |= modeDir
	case m&fs.ModeSymlink != 0:
		a.Mode |= modeLink
	default:
		a.Mode |= modeRegular
	}
}

// FileMode returns Mode as Go has it. What is neither a file, a directory nor a link is fs.ModeIrregular; a Mode without a
// kind, as in requests, is that of a file.
func (a Attrs) FileMode() fs.FileMode {
	m := fs.FileMode(a.Mode & 0o777)
	switch a.Mode & modeKind {
	case modeDir:
		return m | fs.ModeDir
	case modeLink:
		return m | fs.ModeSymlink
	case modeRegular, 0:
		return m
	}
	return m | fs.ModeIrregular
}

// SetTime sets both times. What 32 bits do not hold is set to the nearest that they do.
func (a *Attrs) SetTime(t time.Time) {
	a.Has |= HasTimes
	a.Mtime = uint32(min(max(t.Unix(), 0), 1<<32-1))
	a.Atime = a.Mtime
}

// ModTime returns the time of the last change.
func (a Attrs) ModTime() time.Time { return time.Unix(int64(a.Mtime), 0) }

// attrsLen is the most that attrs take.
const attrsLen = 4 + 8 + 8 + 4 + 8

func (p *Packet) attrs(a Attrs) {
	has := a.Has & (known &^ hasExtended)
	p.uint32(uint32(has))
	if has&HasSize != 0 {
		p.uint64(a.Size)
	}
	if has&HasOwner != 0 {
		p.uint32(a.UID)
		p.uint32(a.GID)
	}
	if has&HasMode != 0 {
		p.uint32(a.Mode)
	}
	if has&HasTimes != 0 {
		p.uint32(a.Atime)
		p.uint32(a.Mtime)
	}
}

// attrs reads attributes. A flag that is not known means fields of unknown length: nothing behind it can be read.
func (f *fields) attrs() (a Attrs) {
	has := Has(f.uint32())
	if has&^known != 0 {
		f.bad = true
	}
	if has&HasSize != 0 {
		a.Size = f.uint64()
	}
	if has&HasOwner != 0 {
		a.UID, a.GID = f.uint32(), f.uint32()
	}
	if has&HasMode != 0 {
		a.Mode = f.uint32()
	}
	if has&HasTimes != 0 {
		a.Atime, a.Mtime = f.uint32(), f.uint32()
	}
	if has&hasExtended != 0 {
		for n := f.uint32(); n > 0 && !f.bad; n-- {
			f.bytes()
			f.bytes()
		}
	}
	a.Has = has &^ hasExtended
	return a
}

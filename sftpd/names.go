package sftpd

import (
	"errors"
	"io/fs"
	"time"

	"sampan/account"
	"sampan/fault"
	"sampan/files"
	"sampan/sftp"
)

// stat is STAT and LSTAT (draft section 6.8): links are seen as what they lead to. Who may enter a directory and not list it
// learns that it is one.
func (a *ask) stat() (*sftp.Packet, error) {
	i, err := a.sub.sess.Stat(a.path)
	if fault.KindOf(err) == fault.Denied && err != nil && a.sub.sess.Enter(a.path) == nil {
		i, err = files.Info{Path: a.path, Mode: fs.ModeDir | 0o755, ModTime: time.Unix(0, 0)}, nil
	}
	if err != nil {
		return nil, err
	}
	return sftp.AttrsPacket(a.ID, attrsOf(i)), nil
}

// fstat is FSTAT.
func (a *ask) fstat() (*sftp.Packet, error) {
	if a.h.file == nil {
		a.path = a.h.path
		return a.stat()
	}
	i, err := a.h.file.Stat()
	if err != nil {
		return nil, err
	}
	return sftp.AttrsPacket(a.ID, attrsOf(i)), nil
}

// mayOwn refuses to give a file to somebody else.
func (a *ask) mayOwn() error {
	if a.Attrs.Has&sftp.HasOwner != 0 && (a.Attrs.UID != ownerID || a.Attrs.GID != ownerID) {
		return fault.New(fault.Denied, "everything here belongs to the account, and to nobody else")
	}
	return nil
}

// changed returns what is asked for beside the size, nil if nothing is.
func (a *ask) changed() *files.Attr {
	var attr files.Attr
	if a.Attrs.Has&sftp.HasMode != 0 {
		m := a.Attrs.FileMode().Perm()
		attr.Mode = &m
	}
	if a.Attrs.Has&sftp.HasTimes != 0 {
		t := a.Attrs.ModTime()
		attr.ModTime = &t
	}
	if attr == (files.Attr{}) {
		return nil
	}
	return &attr
}

// setstat is SETSTAT (draft section 6.9) and lsetstat@openssh.com. The size comes first, for it changes the time.
func (a *ask) setstat() (*sftp.Packet, error) {
	err := a.mayOwn()
	if err == nil && a.Attrs.Has&sftp.HasSize != 0 {
		var n int64
		if n, err = offset(a.Attrs.Size); err == nil {
			err = a.sub.sess.Resize(a.path, n)
		}
	}
	if attr := a.changed(); attr != nil && err == nil {
		err = a.sub.sess.Set(a.path, *attr)
	}
	return nil, err
}

// fsetstat is FSETSTAT: of a draft it is what it will have when it is published.
func (a *ask) fsetstat() (*sftp.Packet, error) {
	if a.h.file == nil {
		a.path = a.h.path
		return a.setstat()
	}
	err := a.mayOwn()
	if err == nil && a.Attrs.Has&sftp.HasSize != 0 {
		var n int64
		if n, err = offset(a.Attrs.Size); err == nil && !a.h.writes {
			err = fault.New(fault.Denied, "the handle is not open for writing")
		}
		if err == nil {
			err = a.h.file.Truncate(n)
		}
	}
	if attr := a.changed(); attr != nil && err == nil {
		err = a.h.file.Set(*attr)
	}
	return nil, err
}

// mkdir is MKDIR (draft section 6.6).
func (a *ask) mkdir() (*sftp.Packet, error) {
	err := a.sub.sess.Mkdir(a.path)
	if attr := a.changed(); attr != nil && err == nil && attr.Mode != nil && a.sub.sess.May(a.path, account.Chmod) {
		err = a.sub.sess.Set(a.path, files.Attr{Mode: attr.Mode})
	}
	return nil, err
}

// rmdir is RMDIR (draft section 6.6).
func (a *ask) rmdir() (*sftp.Packet, error) {
	if i, err := a.sub.sess.Stat(a.path); err == nil && !i.Mode.IsDir() {
		return nil, fault.New(fault.NotDir, "%s: not a directory", a.path)
	}
	return nil, a.sub.sess.Remove(a.path)
}

// remove is REMOVE (draft section 6.5), which is not for directories.
func (a *ask) remove() (*sftp.Packet, error) {
	if i, err := a.sub.sess.Stat(a.path); err == nil && i.Mode.IsDir() {
		return nil, fault.New(fault.IsDir, "%s: is a directory", a.path)
	}
	return nil, a.sub.sess.Remove(a.path)
}

// rename is RENAME (draft section 6.5), which never overwrites.
func (a *ask) rename() (*sftp.Packet, error) { return nil, a.sub.sess.Rename(a.path, a.to, false) }

// posixRename overwrites, as rename(2) does (OpenSSH PROTOCOL section 4.3).
func (a *ask) posixRename() (*sftp.Packet, error) { return nil, a.sub.sess.Rename(a.path, a.to, true) }

// realpath is REALPATH (draft section 6.11). Names are relative to the home, which is the root.
func (a *ask) realpath() (*sftp.Packet, error) { return a.oneName(a.path) }

func (a *ask) oneName(p files.Path) (*sftp.Packet, error) {
	names := sftp.NamesPacket(a.ID)
	names.Add(p.String(), []byte(p.String()), sftp.Attrs{})
	return names.Packet(), nil
}

// readlink is READLINK (draft section 6.10). Links are seen as what they lead to, so nothing here is one.
func (a *ask) readlink() (*sftp.Packet, error) {
	_, err := a.sub.sess.Stat(a.path)
	return nil, errors.Join(err, fault.New(fault.BadName, "%s: is no link", a.path))
}

func (a *ask) symlink() (*sftp.Packet, error) {
	return nil, fault.New(fault.Unsupported, "links are not made here")
}

// hardlink is refused: each name is a file of its own, so that the quota is the number on disk.
func (a *ask) hardlink() (*sftp.Packet, error) { return a.symlink() }

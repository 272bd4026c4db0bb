package client

import (
	"fmt"

	"sampan/sftp"
)

// typeNames are the names of packets in the trace (draft-ietf-secsh-filexfer-02 section 3).
var typeNames = map[sftp.Type]string{
	sftp.TypeOpen: "OPEN", sftp.TypeClose: "CLOSE", sftp.TypeRead: "READ", sftp.TypeWrite: "WRITE", sftp.TypeLstat: "LSTAT",
	sftp.TypeFstat: "FSTAT", sftp.TypeSetstat: "SETSTAT", sftp.TypeFsetstat: "FSETSTAT", sftp.TypeOpendir: "OPENDIR",
	sftp.TypeReaddir: "READDIR", sftp.TypeRemove: "REMOVE", sftp.TypeMkdir: "MKDIR", sftp.TypeRmdir: "RMDIR",
	sftp.TypeRealpath: "REALPATH", sftp.TypeStat: "STAT", sftp.TypeRename: "RENAME", sftp.TypeReadlink: "READLINK",
	sftp.TypeSymlink: "SYMLINK", sftp.TypeStatus: "STATUS", sftp.TypeHandle: "HANDLE", sftp.TypeData: "DATA",
	sftp.TypeName: "NAME", sftp.TypeAttrs: "ATTRS", sftp.TypeExtendedReply: "EXTENDED_REPLY",
}

// slow reports whether a server may need its time for a request: it syncs, hashes or copies.
func slow(r *sftp.Request) bool {
	switch r.Type {
	case sftp.TypeClose, sftp.TypeRename, sftp.TypeExtended:
		return true
	}
	return false
}

// traceRequest shows a request. No password travels in one.
func (w *wire) traceRequest(r *sftp.Request) {
	show := w.trace()
	if show == nil {
		return
	}
	line := "> " + typeNames[r.Type]
	if r.Type == sftp.TypeExtended {
		line = "> " + r.Extension
	}
	if r.Path != "" {
		line += " " + r.Path
	}
	if r.To != "" {
		line += " " + r.To
	}
	if r.Type == sftp.TypeRead {
		line += fmt.Sprintf(" %d bytes from %d", r.Size, r.Offset)
	}
	w.show(show, line)
}

func (w *wire) traceReply(r *sftp.Reply) {
	show := w.trace()
	if show == nil {
		return
	}
	line := "< " + typeNames[r.Type]
	switch r.Type {
	case sftp.TypeStatus:
		line += fmt.Sprintf(" %d %s", r.Code, r.Message)
	case sftp.TypeData:
		line += fmt.Sprintf(" %d bytes", len(r.Data))
	case sftp.TypeName:
		line += fmt.Sprintf(" %d entries", len(r.Names))
	}
	w.show(show, line)
}

// show shows a line, one at a time.
func (w *wire) show(show func(string), line string) {
	w.showing.Lock()
	defer w.showing.Unlock()
	show(printable(line))
}

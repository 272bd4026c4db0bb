package sftpd

import (
	"sampan/sftp"
)

// how says what a row's request is about, and how it runs.
type how uint8

const (
	named    how = 1 << iota // it has a path, and waits for what changes there
	both                     // it has two
	handled                  // it has a handle
	twice                    // it has two
	apart                    // it may take long, and runs beside the others
	changing                 // it changes its names, apart: what comes behind and names them waits
)

// A row is one request and the only place that lists it: dispatch, VERSION and the page of the protocol come from it.
type row struct {
	key
	run   func(*ask) (*sftp.Packet, error) // nil and nil is OK
	how   how
	says  string // what VERSION tells about an extension; "-" leaves it out
	where string // where it is written
}

// key finds a row: the type, and of TypeExtended the name.
type key struct {
	typ sftp.Type
	ext string
}

func keyOf(r *sftp.Request) key { return key{r.Type, r.Extension} }

func packet(t sftp.Type) key    { return key{typ: t} }
func extension(name string) key { return key{sftp.TypeExtended, name} }

const (
	draft      = "draft-ietf-secsh-filexfer-02 "
	extensions = "draft-ietf-secsh-filexfer-extensions-00 "
	openssh    = "OpenSSH PROTOCOL "
	ours       = "docs/sftp.md"
)

// rows is the table.
func rows() []row {
	return []row{
		{packet(sftp.TypeOpen), (*ask).open, named, "", draft + "6.3"},
		{packet(sftp.TypeClose), (*ask).close, handled, "", draft + "6.3"},
		{packet(sftp.TypeRead), (*ask).read, handled, "", draft + "6.4"},
		{packet(sftp.TypeWrite), (*ask).write, handled, "", draft + "6.4"},
		{packet(sftp.TypeRemove), (*ask).remove, named | changing, "", draft + "6.5"},
		{packet(sftp.TypeRename), (*ask).rename, both | changing, "", draft + "6.5"},
		{packet(sftp.TypeMkdir), (*ask).mkdir, named | changing, "", draft + "6.6"},
		{packet(sftp.TypeRmdir), (*ask).rmdir, named | changing, "", draft + "6.6"},
		{packet(sftp.TypeOpendir), (*ask).opendir, named, "", draft + "6.7"},
		{packet(sftp.TypeReaddir), (*ask).readdir, handled, "", draft + "6.7"},
		{packet(sftp.TypeStat), (*ask).stat, named, "", draft + "6.8"},
		{packet(sftp.TypeLstat), (*ask).stat, named, "", draft + "6.8"},
		{packet(sftp.TypeFstat), (*ask).fstat, handled, "", draft + "6.8"},
		{packet(sftp.TypeSetstat), (*ask).setstat, named | changing, "", draft + "6.9"},
		{packet(sftp.TypeFsetstat), (*ask).fsetstat, handled, "", draft + "6.9"},
		{packet(sftp.TypeReadlink), (*ask).readlink, named, "", draft + "6.10"},
		{packet(sftp.TypeSymlink), (*ask).symlink, 0, "", draft + "6.10"},
		{packet(sftp.TypeRealpath), (*ask).realpath, named, "", draft + "6.11"},

		{extension(sftp.ExtPosixRename), (*ask).posixRename, both | changing, "1", openssh + "4.3"},
		{extension(sftp.ExtStatvfs), (*ask).statvfs, named, "2", openssh + "4.4"},
		{extension(sftp.ExtFstatvfs), (*ask).statvfs, handled, "2", openssh + "4.4"},
		{extension(sftp.ExtHardlink), (*ask).hardlink, 0, "-", openssh + "4.5"},
		{extension(sftp.ExtFsync), (*ask).fsync, handled | apart, "1", openssh + "4.6"},
		{extension(sftp.ExtLsetstat), (*ask).setstat, named | changing, "1", openssh + "4.7"},
		{extension(sftp.ExtLimits), (*ask).limits, 0, "1", openssh + "4.8"},
		{extension(sftp.ExtExpandPath), (*ask).expandPath, 0, "1", openssh + "4.9"},
		{extension(sftp.ExtCopyData), (*ask).copyData, handled | twice | apart, "1", extensions + "7, " + openssh + "4.10"},
		{extension(sftp.ExtHome), (*ask).home, 0, "1", extensions + "5, " + openssh + "4.11"},
		{extension(sftp.ExtUsersGroups), (*ask).owners, 0, "1", openssh + "4.12"},
		{extension(sftp.ExtCheckFile), (*ask).checkHandle, handled | apart, hashesHere, "as paramiko has it"},
		{extension(sftp.ExtCheckHandle), (*ask).checkHandle, handled | apart, hashesHere, extensions + "3"},
		{extension(sftp.ExtCheckName), (*ask).checkName, named | apart, hashesHere, extensions + "3"},
		{extension(sftp.ExtSpace), (*ask).space, named, "", extensions + "4"},
		{extension(sftp.ExtVendor), (*ask).vendor, 0, vendorHere, extensions + "2"},

		{extension(sftp.ExtPart), (*ask).part, named | apart, "1", ours},
		{extension(sftp.ExtDropPart), (*ask).dropPart, named | changing, "1", ours},
		{extension(sftp.ExtResume), (*ask).resume, named, "1", ours},
		{extension(sftp.ExtAbandon), (*ask).abandon, handled, "1", ours},
		{extension(sftp.ExtClose), (*ask).close, handled, "1", ours},
		{extension(sftp.ExtShare), (*ask).share, handled, "1", ours},
		{extension(sftp.ExtJoin), (*ask).join, 0, "1", ours},
	}
}

// What stands in a says column for what is put together.
const (
	hashesHere = "{hashes}"
	vendorHere = "{vendor}"
)

func index() map[key]*row {
	list := rows()
	m := make(map[key]*row, len(list))
	for i := range list {
		m[list[i].key] = &list[i]
	}
	return m
}

// offered is what VERSION tells.
func offered() []sftp.Extension {
	var list []sftp.Extension
	for _, r := range rows() {
		says := r.says
		switch {
		case r.typ != sftp.TypeExtended || says == "-":
			continue
		case says == hashesHere:
			says = hashList()
		case says == vendorHere:
			says = sftp.Vendor{Vendor: "Sampan", Product: "Sampan"}.Data()
		}
		list = append(list, sftp.Extension{Name: r.ext, Data: says})
	}
	return list
}

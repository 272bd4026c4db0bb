// Package sftp is the grammar of SFTP version 3 (draft-ietf-secsh-filexfer-02) for both ends, with the extensions of
// OpenSSH's PROTOCOL, of draft-ietf-secsh-filexfer-extensions-00 and our own. It is pure (no sockets, no files), every
// parser has a fuzz target, and what a peer says of lengths is checked before memory is taken.
//
// A packet is its length, its type, the id that joins a reply to its request, and the fields that shapes tells.
package sftp

import "fmt"

// Version is the one that both ends speak. A peer that offers a higher one is answered with it.
const Version = 3

const (
	// MaxPacket bounds the length of a packet, which counts what is behind the length itself. It is OpenSSH's.
	MaxPacket = 256 << 10
	// MaxData bounds what one READ or WRITE moves, so that its packet stays within MaxPacket.
	MaxData = MaxPacket - 1024
	// MaxHandle bounds a handle (section 6.2).
	MaxHandle = 256
)

// Type is the type of a packet (section 3).
type Type byte

// The types of packets.
const (
	TypeInit          Type = 1
	TypeVersion       Type = 2
	TypeOpen          Type = 3
	TypeClose         Type = 4
	TypeRead          Type = 5
	TypeWrite         Type = 6
	TypeLstat         Type = 7
	TypeFstat         Type = 8
	TypeSetstat       Type = 9
	TypeFsetstat      Type = 10
	TypeOpendir       Type = 11
	TypeReaddir       Type = 12
	TypeRemove        Type = 13
	TypeMkdir         Type = 14
	TypeRmdir         Type = 15
	TypeRealpath      Type = 16
	TypeStat          Type = 17
	TypeRename        Type = 18
	TypeReadlink      Type = 19
	TypeSymlink       Type = 20
	TypeStatus        Type = 101
	TypeHandle        Type = 102
	TypeData          Type = 103
	TypeName          Type = 104
	TypeAttrs         Type = 105
	TypeExtended      Type = 200
	TypeExtendedReply Type = 201
)

// Code is what a STATUS says (section 7).
type Code uint32

// The codes of STATUS. NoConnection and ConnectionLost never travel.
const (
	OK Code = iota
	EOF
	NoSuchFile
	PermissionDenied
	Failure
	BadMessage
	NoConnection
	ConnectionLost
	OpUnsupported
)

// Open is how OPEN opens (section 6.3).
type Open uint32

// The flags of OPEN.
const (
	OpenRead Open = 1 << iota
	OpenWrite
	OpenAppend
	OpenCreate
	OpenTruncate
	OpenExclusive
)

// The extensions, by the names that travel.
const (
	ExtPosixRename = "posix-rename@openssh.com"
	ExtHardlink    = "hardlink@openssh.com"
	ExtFsync       = "fsync@openssh.com"
	ExtStatvfs     = "statvfs@openssh.com"
	ExtFstatvfs    = "fstatvfs@openssh.com"
	ExtLsetstat    = "lsetstat@openssh.com"
	ExtLimits      = "limits@openssh.com"
	ExtExpandPath  = "expand-path@openssh.com"
	ExtUsersGroups = "users-groups-by-id@openssh.com"
	ExtCopyData    = "copy-data"
	ExtHome        = "home-directory"
	ExtSpace       = "space-available"
	ExtCheckFile   = "check-file" // as paramiko has it: by handle, and the reply begins with the name
	ExtCheckHandle = "check-file-handle"
	ExtCheckName   = "check-file-name"
	ExtVendor      = "vendor-id"
	ExtPart        = "part@sampan"      // what is parked under a name: Part
	ExtDropPart    = "drop-part@sampan" // removes it
	ExtResume      = "resume@sampan"    // opens an upload that goes on behind Offset bytes of what is there
	ExtAbandon     = "abandon@sampan"   // closes the handle of an upload that is not to be published
	ExtClose       = "close@sampan"     // CLOSE that tells what was read, or is published, if it is small: Sums
	ExtShare       = "share@sampan"     // lets other sessions of the account write to what is open for writing: Token
	ExtJoin        = "join@sampan"      // opens what was shared
)

// Unknown stands for a size that is not known, and for the offset of whatever is the end.
const Unknown uint64 = 1<<64 - 1

// An Error is a packet that makes no sense. The connection is of no more use: what follows cannot be trusted.
type Error struct{ What string }

func (e *Error) Error() string { return "sftp: " + e.What }

func broken(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

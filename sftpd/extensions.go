package sftpd

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"strings"

	"sampan/fault"
	"sampan/files"
	"sampan/session"
	"sampan/sftp"
)

// limits is limits@openssh.com.
func (a *ask) limits() (*sftp.Packet, error) {
	return sftp.ExtendedPacket(a.ID, sftp.Limits{
		Packet: sftp.MaxPacket, Read: sftp.MaxData, Write: sftp.MaxData, Handles: uint64(a.sub.srv.limits.handles),
	}), nil
}

// expandPath is expand-path@openssh.com: "~" and "~name" are the home of the account; nobody sees another's.
func (a *ask) expandPath() (*sftp.Packet, error) {
	name := a.Path
	if rest, ok := strings.CutPrefix(name, "~"); ok {
		user, below, _ := strings.Cut(rest, "/")
		if user != "" && !strings.EqualFold(user, a.sub.acct.Name) {
			return nil, fault.New(fault.NotExist, "%s: no such file or directory", a.Path)
		}
		name = "/" + below
	}
	p, err := files.Parse(files.Root, name)
	if err != nil {
		return nil, err
	}
	return a.oneName(p)
}

// home is home-directory.
func (a *ask) home() (*sftp.Packet, error) {
	if a.Path != "" && !strings.EqualFold(a.Path, a.sub.acct.Name) {
		return nil, fault.New(fault.NotExist, "there is no account named %q", a.Path)
	}
	return a.oneName(files.Root)
}

// owners is users-groups-by-id@openssh.com: there is one owner of everything.
func (a *ask) owners() (*sftp.Packet, error) {
	names := func(ids []uint32) []string {
		list := make([]string, len(ids))
		for i, id := range ids {
			if id == ownerID {
				list[i] = a.sub.acct.Name
			}
		}
		return list
	}
	return sftp.ExtendedPacket(a.ID, sftp.Owners{Users: names(a.UIDs), Groups: names(a.GIDs)}), nil
}

// vendor hears of the client's program, and tells nothing more than VERSION did.
func (a *ask) vendor() (*sftp.Packet, error) { return nil, nil }

// room returns what an account may still write, of its quota and of the disk.
func room(sp files.Space) int64 {
	left := int64(math.MaxInt64) - sp.Used // not known
	if sp.Free >= 0 {
		left = sp.Free
	}
	if sp.Quota >= 0 {
		left = min(left, max(sp.Quota-sp.Used, 0))
	}
	return left
}

// statvfs is statvfs@openssh.com and fstatvfs@openssh.com: the home as if it were a disk, as large as the quota.
func (a *ask) statvfs() (*sftp.Packet, error) {
	sp, err := a.sub.sess.Space()
	if err != nil {
		return nil, err
	}
	free := room(sp)
	total := sp.Used + free
	if sp.Quota >= 0 {
		total = max(sp.Quota, sp.Used)
	}
	const block, many, noSetuid = 4096, 1 << 30, 2
	return sftp.ExtendedPacket(a.ID, sftp.StatVFS{
		BlockSize: block, FragmentSize: block, Blocks: uint64(total) / block, Free: uint64(free) / block, Available: uint64(free) / block,
		Files: many, FreeFiles: many, Usable: many, Flags: noSetuid, LongestName: 255,
	}), nil
}

// space is space-available. The device is what the home holds and what is free on the disk; the user's part of it is the
// quota, or all of it where there is none. So used bytes, quota and disk can be told from each other.
func (a *ask) space() (*sftp.Packet, error) {
	sp, err := a.sub.sess.Space()
	if err != nil {
		return nil, err
	}
	free := sp.Free
	if free < 0 { // not known
		free = math.MaxInt64 - sp.Used
	}
	all := sftp.Space{Device: uint64(sp.Used + free), DeviceFree: uint64(free), UserFree: uint64(room(sp))}
	if all.User = all.Device; sp.Quota >= 0 {
		all.User = uint64(sp.Quota)
	}
	return sftp.ExtendedPacket(a.ID, all), nil
}

// part is part@sampan: what is parked under a name.
func (a *ask) part() (*sftp.Packet, error) {
	i, err := a.sub.sess.Part(a.sub.sess.Context(), a.path)
	if err != nil {
		return nil, err
	}
	return sftp.ExtendedPacket(a.ID, sftp.Part{Size: uint64(i.Size), Time: uint64(max(i.Time.Unix(), 0)), Sum: i.Sum}), nil
}

// dropPart is drop-part@sampan.
func (a *ask) dropPart() (*sftp.Packet, error) { return nil, a.sub.sess.DropPart(a.path) }

// An algorithm has a name in check-file, and one by which the store knows it.
type algorithm struct {
	name, iana string
	make       func() hash.Hash
}

// hashes are the algorithms of check-file.
var hashes = []algorithm{
	{"sha256", "SHA-256", sha256.New},
	{"sha512", "SHA-512", sha512.New},
	{"sha1", "SHA-1", sha1.New},
	{"md5", "MD5", md5.New},
	{"crc32", "CRC32", func() hash.Hash { return crc32.NewIEEE() }},
}

func hashList() string {
	var list []string
	for _, h := range hashes {
		list = append(list, h.name)
	}
	return strings.Join(list, ",")
}

const (
	leastBlock = 256     // of the hashes of blocks
	mostHashes = 1 << 10 // in one reply
)

// checkName is check-file-name (draft-ietf-secsh-filexfer-extensions-00 section 3). The hash of a whole file that did not
// change is known.
func (a *ask) checkName() (*sftp.Packet, error) {
	if a.Block == 0 {
		return a.whole(a.path)
	}
	t, err := a.sub.sess.Get(a.path, 0, -1)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	p, err := a.blocks(t, hashStep)
	t.Whole()
	return p, err
}

// hashStep is how much is hashed at a time.
const hashStep = 64 << 10

// checkHandle is check-file-handle, and check-file.
func (a *ask) checkHandle() (*sftp.Packet, error) {
	if a.h.file == nil || !a.h.reads {
		return nil, fault.New(fault.Denied, "the handle is not open for reading")
	}
	if a.h.draft {
		return a.blocks(a.h.file, hashStep)
	}
	is := a.h.file.Now()
	if a.Block == 0 && is.Size >= hashStep { // of smaller ones the store remembers nothing
		if now, err := a.sub.sess.Stat(a.h.path); err == nil && now.Tag != "" && now.Tag == is.Tag {
			return a.whole(a.h.path)
		}
	}
	return a.blocks(a.h.file, is.Size+1)
}

// whole answers one hash, which the store makes or knows.
func (a *ask) whole(p files.Path) (*sftp.Packet, error) {
	i, off, n, err := a.span()
	if err != nil {
		return nil, err
	}
	sum, err := a.sub.sess.Sum(a.sub.sess.Context(), p, hashes[i].iana, off, n)
	if err != nil {
		return nil, err
	}
	return a.sums(i, sum), nil
}

func (a *ask) sums(i int, all []byte) *sftp.Packet {
	return sftp.ExtendedPacket(a.ID, sftp.Sums{Algorithm: hashes[i].name, Hashes: all, Echo: a.Extension == sftp.ExtCheckFile})
}

// span returns which hash is wanted, and of what; n is -1 to the end.
func (a *ask) span() (i int, off, n int64, err error) {
	i = -1
	for _, name := range strings.Split(a.Algorithms, ",") {
		if i < 0 {
			i = slices.IndexFunc(hashes, func(h algorithm) bool { return strings.EqualFold(h.name, strings.TrimSpace(name)) })
		}
	}
	if i < 0 {
		return 0, 0, 0, fault.New(fault.BadName, "these are the hashes that there are here: %s", hashList())
	}
	if off, err = offset(a.Offset); err != nil {
		return 0, 0, 0, err
	}
	if n = -1; a.Size > 0 {
		n, err = offset(a.Size)
	}
	return i, off, n, err
}

// blocks answers the hash of each block, or of all where there are none. Up to so many bytes are read at a time.
func (a *ask) blocks(t *session.Transfer, most int64) (*sftp.Packet, error) {
	i, off, n, err := a.span()
	if err != nil {
		return nil, err
	}
	if a.Block != 0 && a.Block < leastBlock {
		return nil, fault.New(fault.BadOffset, "a block has at least %d bytes", leastBlock)
	}
	if n < 0 {
		n = math.MaxInt64 - off
	}
	var all []byte
	h := hashes[i].make()
	buf := make([]byte, min(most, hashStep))
	inBlock := int64(0)
	for n > 0 {
		if err := a.sub.sess.Context().Err(); err != nil {
			return nil, err
		}
		want := min(n, int64(len(buf)))
		if a.Block != 0 {
			want = min(want, int64(a.Block)-inBlock)
		}
		m, err := t.Peek(buf[:want], off)
		h.Write(buf[:m])
		off, n, inBlock = off+int64(m), n-int64(m), inBlock+int64(m)
		if a.Block != 0 && inBlock == int64(a.Block) {
			all, inBlock = h.Sum(all), 0
			h.Reset()
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if len(all) > mostHashes*h.Size() {
			return nil, fault.New(fault.TooMany, "too many blocks; ask for larger ones, or for fewer")
		}
	}
	if inBlock > 0 || a.Block == 0 {
		all = h.Sum(all)
	}
	return a.sums(i, all), nil
}

package client

import (
	"golang.org/x/sys/unix"
)

// fewFiles is up to how many files are synced one by one.
const fewFiles = 4

// syncTogether makes the content of many uploads durable at once; false if each is to be synced by itself. Linux tells
// the errors of a whole file system since 5.8; on those that are not listed it may not.
func syncTogether(us []*diskUpload) bool {
	if len(us) <= fewFiles {
		return false
	}
	fd := int(us[0].file.Fd())
	var fs unix.Statfs_t
	if unix.Fstatfs(fd, &fs) != nil {
		return false
	}
	switch uint32(fs.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC:
		return kernelTellsErrors() && unix.Syncfs(fd) == nil
	}
	return false
}

// kernelTellsErrors reports whether syncfs does.
func kernelTellsErrors() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	var major, minor int
	for part, at := &major, 0; at < len(u.Release); at++ {
		b := u.Release[at]
		switch {
		case b >= '0' && b <= '9':
			*part = *part*10 + int(b-'0')
		case b == '.' && part == &major:
			part = &minor
		default:
			at = len(u.Release)
		}
	}
	return major > 5 || major == 5 && minor >= 8
}

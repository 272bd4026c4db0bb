package sftp

import (
	"io/fs"
	"strconv"
	"time"
)

// AppendLong writes an entry as "ls -l" shows it, which some clients read (section 7): mode, links, owner, group, size,
// time, name. Times are UTC; those older than half a year, or in the future, show the year.
func AppendLong(dst []byte, name, owner string, a Attrs, now time.Time) []byte {
	m := a.FileMode()
	kind := byte('-')
	switch {
	case m.IsDir():
		kind = 'd'
	case m&fs.ModeSymlink != 0:
		kind = 'l'
	}
	dst = append(dst, kind)
	for i := range 9 {
		bit := byte('-')
		if m&(1<<(8-i)) != 0 {
			bit = "rwxrwxrwx"[i]
		}
		dst = append(dst, bit)
	}
	dst = append(dst, "    1 "...)
	dst = pad(append(dst, owner...), 8-len(owner))
	dst = append(dst, ' ')
	dst = pad(append(dst, owner...), 8-len(owner))
	var num [20]byte
	size := strconv.AppendUint(num[:0], a.Size, 10)
	dst = append(pad(dst, 13-len(size)), size...)
	layout := " Jan _2 15:04 "
	if t := a.ModTime(); now.Sub(t) > 182*24*time.Hour || t.Sub(now) > time.Hour {
		layout = " Jan _2  2006 "
	}
	return append(a.ModTime().UTC().AppendFormat(dst, layout), name...)
}

func pad(dst []byte, n int) []byte {
	for range n {
		dst = append(dst, ' ')
	}
	return dst
}

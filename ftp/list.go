package ftp

import (
	"strconv"
	"time"
)

// AppendList writes e as a line of "ls -l" without its end. There is no standard for LIST; this is the shape that
// every client reads. Times are UTC; those older than half a year, or in the future, show the year.
func AppendList(dst []byte, e Entry, now time.Time) []byte {
	switch e.Type {
	case DirEntry, SelfEntry:
		dst = append(dst, 'd')
	case LinkEntry:
		dst = append(dst, 'l')
	case FileEntry, OtherEntry:
		dst = append(dst, '-')
	}
	dst = append(appendMode(dst, e.Mode), "   1 ftp      ftp      "...)
	var num [20]byte
	size := strconv.AppendInt(num[:0], max(e.Size, 0), 10)
	for range 13 - len(size) {
		dst = append(dst, ' ')
	}
	dst = append(append(dst, size...), ' ')
	layout := "Jan _2 15:04"
	if t := e.ModTime; now.Sub(t) > 182*24*time.Hour || t.Sub(now) > time.Hour {
		layout = "Jan _2  2006"
	}
	dst = append(e.ModTime.UTC().AppendFormat(dst, layout), ' ')
	return AppendName(dst, e.Name)
}

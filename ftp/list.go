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
	old := now.Sub(e.ModTime) > 182*24*time.Hour || e.ModTime.Sub(now) > time.Hour
	dst = append(appendDate(dst, e.ModTime.UTC(), old), ' ')
	return AppendName(dst, e.Name)
}

// appendDate writes "Jan _2 15:04", or "Jan _2  2006" for what is old. A layout of package time costs several times as much,
// and large directories have many dates.
func appendDate(dst []byte, t time.Time, old bool) []byte {
	const months = "JanFebMarAprMayJunJulAugSepOctNovDec"
	year, month, day := t.Date()
	dst = append(dst, months[3*(month-1):3*month]...)
	dst = append(dst, ' ', ' ')
	if day >= 10 {
		dst[len(dst)-1] = byte('0' + day/10)
	}
	dst = append(dst, byte('0'+day%10), ' ')
	if old {
		return appendPadded(append(dst, ' '), year)
	}
	hour, minute, _ := t.Clock()
	dst = append(dst, byte('0'+hour/10), byte('0'+hour%10), ':')
	return append(dst, byte('0'+minute/10), byte('0'+minute%10))
}

// appendPadded writes n, a year, with four digits at least.
func appendPadded(dst []byte, n int) []byte {
	for limit := 1000; limit > max(n, 1); limit /= 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, int64(n), 10)
}

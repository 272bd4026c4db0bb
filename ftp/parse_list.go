package ftp

import (
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// ParseList reads one line of LIST as Unix and Windows servers write it (there is no standard; this is the shape
// that "ls -l" and "dir" have). now dates lines without a year. false for lines that describe nothing ("total 12").
func ParseList(line string, now time.Time) (Entry, bool) {
	if line == "" {
		return Entry{}, false
	}
	if line[0] >= '0' && line[0] <= '9' {
		return windowsLine(line)
	}
	return unixLine(line, now)
}

// unixLine reads "-rw-r--r--   1 owner group   1234 Jan  2 15:04 name", with or without a group.
func unixLine(line string, now time.Time) (Entry, bool) {
	if len(line) < 10 || !strings.ContainsRune("-dlbcpsD", rune(line[0])) {
		return Entry{}, false
	}
	mode, ok := unixMode(line[1:10])
	if !ok {
		return Entry{}, false
	}
	e := Entry{Size: -1, Part: -1, Mode: mode, HasMode: true}
	switch line[0] {
	case '-':
		e.Type = FileEntry
	case 'd':
		e.Type = DirEntry
	case 'l':
		e.Type = LinkEntry
	}
	rest := line
	var words []string // size is the word before the date
	for range 10 {
		var word string
		if word, rest = cutWord(rest); word == "" {
			return Entry{}, false
		}
		words = append(words, word)
		if len(words) < 3 || number(word) < 0 {
			continue
		}
		if when, name, ok := unixDate(rest, now); ok {
			e.Size, e.ModTime, e.Name = number(word), when, name
			break
		}
	}
	if e.Name == "" {
		return Entry{}, false
	}
	if e.Type == LinkEntry {
		e.Name, e.Target, _ = strings.Cut(e.Name, " -> ")
	}
	if e.Name == "." || e.Name == ".." {
		e.Type = SelfEntry
	}
	return e, e.Name != ""
}

// cutWord takes the next word off s.
func cutWord(s string) (word, rest string) {
	s = strings.TrimLeft(s, " \t")
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

func unixMode(s string) (fs.FileMode, bool) {
	var m fs.FileMode
	for i := range 9 {
		m <<= 1
		switch c := s[i]; {
		case c == '-' || c == 'S' || c == 'T':
		case c == "rwxrwxrwx"[i] || i%3 == 2 && (c == 's' || c == 't'):
			m |= 1
		default:
			return 0, false
		}
	}
	return m, true
}

// unixDate reads "Jan  2 15:04 name", "Jan  2  2006 name", "2 Jan 15:04 name" and "2006-01-02 15:04 name".
func unixDate(s string, now time.Time) (time.Time, string, bool) {
	a, s := cutWord(s)
	if t, err := time.Parse("2006-01-02", a); err == nil {
		b, name := cutWord(s)
		clock, err := time.Parse("15:04", b)
		return t.Add(sinceMidnight(clock)), afterSpace(name), err == nil && name != ""
	}
	b, s := cutWord(s)
	c, name := cutWord(s)
	if len(a) > 0 && a[0] >= '0' && a[0] <= '9' {
		a, b = b, a
	}
	if name == "" || c == "" {
		return time.Time{}, "", false
	}
	if t, err := time.Parse("Jan 2 2006", a+" "+b+" "+c); err == nil {
		return t, afterSpace(name), true
	}
	t, err := time.Parse("Jan 2 15:04 2006", a+" "+b+" "+c+" "+strconv.Itoa(now.Year()))
	if err != nil { // 29 February, seen in another year
		t, err = time.Parse("Jan 2 15:04 2006", a+" "+b+" "+c+" "+strconv.Itoa(now.Year()-1))
	} else if t.After(now.Add(24 * time.Hour)) { // half a year back, not in the future
		t = t.AddDate(-1, 0, 0)
	}
	return t, afterSpace(name), err == nil
}

func sinceMidnight(t time.Time) time.Duration {
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
}

// afterSpace takes the one space off that separates a name: more of them belong to the name.
func afterSpace(s string) string { return strings.TrimPrefix(s, " ") }

// windowsLine reads "01-02-06  03:04PM       <DIR>          name" and "01-02-2006  15:04   1,234 name".
func windowsLine(line string) (Entry, bool) {
	day, s := cutWord(line)
	clock, s := cutWord(s)
	var when time.Time
	for _, layout := range []string{"01-02-06 03:04PM", "01-02-2006 03:04PM", "01-02-06 15:04", "01-02-2006 15:04", "2006-01-02 15:04"} {
		if t, err := time.Parse(layout, day+" "+clock); err == nil {
			when = t
			break
		}
	}
	size, name := cutWord(s)
	e := Entry{Size: -1, Part: -1, ModTime: when, Name: strings.TrimLeft(name, " ")}
	switch {
	case when.IsZero() || e.Name == "":
		return Entry{}, false
	case size == "<DIR>":
		e.Type = DirEntry
	case size == "<JUNCTION>" || size == "<SYMLINKD>" || size == "<SYMLINK>":
		e.Type = LinkEntry
		e.Name, e.Target, _ = strings.Cut(e.Name, " [")
		e.Target = strings.TrimSuffix(e.Target, "]")
	default:
		e.Type, e.Size = FileEntry, number(strings.ReplaceAll(size, ",", ""))
		if e.Size < 0 {
			return Entry{}, false
		}
	}
	if e.Name == "." || e.Name == ".." {
		e.Type = SelfEntry
	}
	return e, e.Name != ""
}

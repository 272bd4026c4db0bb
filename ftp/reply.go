package ftp

import (
	"bufio"
	"errors"
	"strings"
)

// Reply is one reply of a server (RFC 959 section 4.2).
type Reply struct {
	Code  int      // 100 to 659
	Lines []string // the text without codes and line ends; one line or more
}

// Text is the text of the last line: what a person should read of a reply of one line.
func (r Reply) Text() string { return r.Lines[len(r.Lines)-1] }

// Preliminary, Done, More and Failed class the code by its first digit.
func (r Reply) Preliminary() bool { return r.Code/100 == 1 }
func (r Reply) Done() bool        { return r.Code/100 == 2 }
func (r Reply) More() bool        { return r.Code/100 == 3 }
func (r Reply) Failed() bool      { return r.Code >= 400 }

// Limits of what a server may send as one reply.
const (
	MaxReplyLine  = 8 << 10
	MaxReplyLines = 4096
	MaxReplyBytes = 256 << 10
)

// Errors of ReadReply about what was sent; others are those of the connection.
var (
	ErrBadReply  = errors.New("the reply is not FTP")
	ErrLongReply = errors.New("the reply is too long")
)

// ReadReply reads one reply, which may have many lines: it begins with "ddd-" and ends with the first line that
// begins with the same code and a space. Lines between may look like anything. A bare LF ends a line too.
func ReadReply(r *bufio.Reader) (Reply, error) {
	first, err := readLine(r)
	if err != nil {
		return Reply{}, err
	}
	code, more, text, ok := cutCode(first)
	if !ok {
		return Reply{}, ErrBadReply
	}
	reply := Reply{Code: code, Lines: []string{text}}
	for size := len(first); more; {
		line, err := readLine(r)
		if err != nil {
			return Reply{}, err
		}
		if size += len(line); size > MaxReplyBytes || len(reply.Lines) >= MaxReplyLines {
			return Reply{}, ErrLongReply
		}
		if c, again, t, ok := cutCode(line); ok && c == code {
			line, more = t, again
		}
		reply.Lines = append(reply.Lines, line)
	}
	return reply, nil
}

// cutCode splits "220-text" and "220 text"; "220" alone is a last line too.
func cutCode(line string) (code int, more bool, text string, ok bool) {
	if len(line) < 3 || line[0] < '1' || line[0] > '6' || line[1] < '0' || line[1] > '5' || line[2] < '0' || line[2] > '9' {
		return 0, false, "", false
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	if len(line) == 3 {
		return code, false, "", true
	}
	if line[3] != ' ' && line[3] != '-' {
		return 0, false, "", false
	}
	return code, line[3] == '-', line[4:], true
}

// readLine reads to LF and takes CR LF off. It never holds more than MaxReplyLine.
func readLine(r *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > MaxReplyLine {
			return "", ErrLongReply
		}
		line = append(line, part...)
		if err == nil {
			return strings.TrimSuffix(string(line[:len(line)-1]), "\r"), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", err
		}
	}
}

// UnquotePath reads the path of a 257 reply, whose quotes are doubled inside (RFC 959 appendix II).
func UnquotePath(text string) (string, bool) {
	_, rest, ok := strings.Cut(text, `"`)
	if !ok {
		return "", false
	}
	var b strings.Builder
	for {
		head, tail, ok := strings.Cut(rest, `"`)
		if !ok {
			return "", false
		}
		b.WriteString(head)
		if !strings.HasPrefix(tail, `"`) {
			return b.String(), true
		}
		b.WriteByte('"')
		rest = tail[1:]
	}
}

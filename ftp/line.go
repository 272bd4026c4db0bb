package ftp

import (
	"bytes"
	"errors"
	"io"
)

// MaxLine is the longest command line that a server reads, its end included.
const MaxLine = 4 << 10

// Errors of LineReader about what was sent; others are those of the connection.
var (
	ErrLongLine = errors.New("the line is too long")
	ErrNUL      = errors.New("the line holds a NUL")
)

// Telnet commands that may stand in a control connection (RFC 854).
const (
	telnetSE   = 240
	telnetDM   = 242
	telnetSB   = 250
	telnetWill = 251
	telnetDont = 254
	telnetIAC  = 255
)

// A LineReader reads command lines. A line ends with LF, and one CR before it goes too; a CR elsewhere is part of
// the line. Where a line ends never depends on how the bytes were cut into packets. Telnet commands are removed
// (RFC 1123 section 4.1.2.12).
type LineReader struct {
	r       io.Reader
	in      []byte    // read and not looked at yet
	buf     [256]byte // a session keeps it while it waits
	line    []byte
	telnet  telnetState
	tooLong bool
}

// telnetState says what the byte before leaves to come.
type telnetState uint8

const (
	telnetText   telnetState = iota
	telnetEscape             // after IAC
	telnetOption             // after IAC WILL, WONT, DO or DONT
	telnetSub                // in a subnegotiation
	telnetSubEnd             // after IAC in one
)

// NewLineReader reads lines from r.
func NewLineReader(r io.Reader) *LineReader { return &LineReader{r: r} }

// Buffered returns how many bytes were read from the connection and belong to no line yet.
func (l *LineReader) Buffered() int { return len(l.in) + len(l.line) }

// ReadLine returns the next line without its end. ErrNUL is about that line alone: the next call reads on behind
// it. After ErrLongLine nothing more can be read. A line that the connection's end cuts off is not returned.
func (l *LineReader) ReadLine() (string, error) {
	for {
		if l.tooLong {
			return "", ErrLongLine
		}
		for i, b := range l.in {
			if l.feed(b) {
				l.in = l.in[i+1:]
				return l.take()
			}
			if len(l.line) >= MaxLine {
				l.tooLong, l.in = true, nil
				return "", ErrLongLine
			}
		}
		n, err := l.r.Read(l.buf[:])
		l.in = l.buf[:n]
		if n == 0 && err != nil {
			return "", err
		}
	}
}

// take returns the line that is complete.
func (l *LineReader) take() (string, error) {
	line := bytes.TrimSuffix(l.line, []byte("\r"))
	l.line = l.line[:0]
	if bytes.IndexByte(line, 0) >= 0 {
		return "", ErrNUL
	}
	return string(line), nil
}

// feed takes one byte and reports whether it ended the line.
func (l *LineReader) feed(b byte) bool {
	switch l.telnet {
	case telnetEscape:
		l.telnet = telnetText
		switch {
		case b == telnetIAC:
			l.line = append(l.line, b)
			return false
		case b == telnetSB:
			l.telnet = telnetSub
			return false
		case b >= telnetWill && b <= telnetDont:
			l.telnet = telnetOption
			return false
		case b >= telnetSE:
			return false
		}
		// IAC before no Telnet command: the DM behind it went as urgent data.
	case telnetOption:
		l.telnet = telnetText
		return false
	case telnetSub:
		if b == telnetIAC {
			l.telnet = telnetSubEnd
		}
		return b == '\n' && l.endSub()
	case telnetSubEnd:
		l.telnet = telnetSub
		if b == telnetSE {
			l.telnet = telnetText
		}
		return b == '\n' && l.endSub()
	case telnetText:
	}
	switch {
	case b == telnetIAC:
		l.telnet = telnetEscape
	case b == telnetDM && len(l.line) == 0: // its IAC went as urgent data
	case b == '\n':
		return true
	default:
		l.line = append(l.line, b)
	}
	return false
}

// endSub ends a subnegotiation at a line's end, so that one without an end cannot swallow all that follows.
func (l *LineReader) endSub() bool {
	l.telnet = telnetText
	return true
}

package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"sampan/fault"
	"sampan/ftp"
)

// control is one control connection, logged in. It is used by one goroutine at a time.
type control struct {
	remote *remote
	raw    *net.TCPConn // below TLS
	conn   net.Conn     // what commands go over
	in     *bufio.Reader
	secure *tls.Config // for data connections; nil in clear text
	feats  ftp.Features
	ours   bool // the server is Sampan: commands may be pipelined, ALLO is a promise that it holds us to
	typ    string
	noEPSV bool
	mode   string    // "S" or "B", "" if it is not known
	link   *link     // the data connection of block mode, nil if there is none
	broken bool      // out of step or gone: never used again
	idle   time.Time // when it was put back
}

// longWait is how long a command may take that hashes or syncs a big file.
const longWait = 10 * time.Minute

// send writes command lines in one packet.
func (c *control) send(ctx context.Context, lines ...string) error {
	var packet strings.Builder
	for _, line := range lines {
		line, err := c.packet(line)
		if err != nil {
			return err
		}
		packet.WriteString(line)
	}
	c.conn.SetWriteDeadline(time.Now().Add(c.remote.timeout()))
	stop := context.AfterFunc(ctx, func() { c.conn.SetWriteDeadline(longAgo) })
	defer stop()
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := c.conn.Write([]byte(packet.String())); err != nil {
		return c.lost(ctx, err)
	}
	return nil
}

// packet returns a command line as it goes over the wire.
func (c *control) packet(line string) (string, error) {
	if strings.ContainsAny(line, "\x00\r\n") {
		return "", fault.New(fault.BadName, "the name holds a character that no name may have")
	}
	if t := c.remote.options().Trace; t != nil {
		t("> " + printable(mask(line)))
	}
	if c.ours { // RFC 854: IAC is doubled; other servers take the byte of an old charset as it is
		line = strings.ReplaceAll(line, "\xff", "\xff\xff")
	}
	return line + "\r\n", nil
}

// longAgo as a deadline ends what blocks.
var longAgo = time.Unix(1, 0)

// mask hides passwords: PASS and ACCT are the only commands that carry one.
func mask(line string) string {
	verb, _, more := strings.Cut(line, " ")
	if more && (strings.EqualFold(verb, "PASS") || strings.EqualFold(verb, "ACCT")) {
		return verb + " ****"
	}
	return line
}

// reply reads one reply, which must have come whole within d.
func (c *control) reply(ctx context.Context, d time.Duration) (ftp.Reply, error) {
	c.conn.SetReadDeadline(time.Now().Add(d))
	stop := context.AfterFunc(ctx, func() { c.conn.SetReadDeadline(longAgo) })
	defer stop()
	if err := ctx.Err(); err != nil {
		c.broken = true // an answer is on its way that nobody will read
		return ftp.Reply{}, err
	}
	r, err := ftp.ReadReply(c.in)
	if err != nil {
		return r, c.lost(ctx, err)
	}
	for i, line := range r.Lines {
		sep := "-"
		if i == len(r.Lines)-1 {
			sep = " "
		}
		c.trace("< " + strconv.Itoa(r.Code) + sep + printable(line))
	}
	if r.Code == 421 { // RFC 959: the server closes the control connection
		c.broken = true
		return r, fault.New(fault.Cut, "the server ended the connection: %s", printable(r.Text()))
	}
	return r, nil
}

// lost notes that the connection is of no more use and says why.
func (c *control) lost(ctx context.Context, err error) error {
	c.broken = true
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, io.EOF) { // must not pass for the end of a file
		err = io.ErrUnexpectedEOF
	}
	host := c.remote.url.Address()
	switch {
	case errors.Is(err, ftp.ErrBadReply):
		return fault.Wrap(fault.Unsupported, err, "%s does not speak FTP", host)
	case errors.Is(err, ftp.ErrLongReply):
		return fault.Wrap(fault.Unsupported, err, "%s sent a reply without end", host)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fault.Wrap(fault.Cut, err, "%s did not answer in time", host)
	}
	return fault.Wrap(fault.Cut, err, "the connection to %s was lost", host)
}

// cmd sends one command and reads its reply.
func (c *control) cmd(ctx context.Context, line string) (ftp.Reply, error) {
	return c.slowCmd(ctx, c.remote.timeout(), line)
}

// slowCmd is cmd for what may take d.
func (c *control) slowCmd(ctx context.Context, d time.Duration, line string) (ftp.Reply, error) {
	if err := c.send(ctx, line); err != nil {
		return ftp.Reply{}, err
	}
	return c.reply(ctx, d)
}

// cmds sends several commands, in one packet if quick, and returns as many replies; those that came before an error.
func (c *control) cmds(ctx context.Context, quick bool, lines ...string) ([]ftp.Reply, error) {
	replies := make([]ftp.Reply, 0, len(lines))
	if quick {
		if err := c.send(ctx, lines...); err != nil {
			return nil, err
		}
	}
	for _, line := range lines {
		if !quick {
			if err := c.send(ctx, line); err != nil {
				return nil, err
			}
		}
		r, err := c.reply(ctx, c.remote.timeout())
		if err != nil {
			c.broken = true // replies of what was sent are still on their way
			return replies, err
		}
		replies = append(replies, r)
	}
	return replies, nil
}

// setType switches between TYPE I and TYPE A.
func (c *control) setType(ctx context.Context, typ string) error {
	if c.typ == typ {
		return nil
	}
	r, err := c.cmd(ctx, "TYPE "+typ)
	if err != nil {
		return err
	}
	if !r.Done() {
		return refused(r, "")
	}
	c.typ = typ
	return nil
}

// alive reports whether a connection that lay idle may be used: nothing came meanwhile, neither an end nor a 421. The
// look at the socket costs a millisecond, so right after the last command it is left out.
func (c *control) alive() bool {
	if c.broken || c.in.Buffered() > 0 {
		return false
	}
	if time.Since(c.idle) < time.Second {
		return true
	}
	c.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := c.in.Peek(1)
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// quit leaves politely, without waiting.
func (c *control) quit() {
	if !c.broken {
		c.conn.SetWriteDeadline(time.Now().Add(time.Second))
		c.trace("> QUIT")
		c.conn.Write([]byte("QUIT\r\n"))
	}
	c.conn.Close()
	c.dropLink()
}

func (c *control) trace(line string) {
	if t := c.remote.options().Trace; t != nil {
		t(line)
	}
}

// printable makes text of a server fit for a terminal: no control characters, not without end.
func printable(s string) string {
	n := 0
	s = strings.Map(func(r rune) rune {
		n++
		switch {
		case n > 500:
			return -1
		case r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return '\uFFFD'
		}
		return r
	}, s)
	return strings.ToValidUTF8(s, "\uFFFD")
}

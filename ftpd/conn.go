package ftpd

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"sampan/fault"
	"sampan/files"
	"sampan/ftp"
	"sampan/session"
	"sampan/words"
)

// A conn is one control connection. One goroutine reads its lines and runs the commands, one after another; while it
// waits for the client there is nothing else. While a command moves bytes another one, the ear, reads on: it answers NOOP
// and STAT, sees ABOR and the end of the connection (RFC 959 section 4.1.3), and holds back every other command. In block
// mode the goroutine that runs a command goes on with what was held back; see block.go.
type conn struct {
	srv  *Server
	sess *session.Session
	tcp  net.Conn // the socket
	id   []byte   // names this control connection in TLS tickets
	done func()   // tells the server that it is over

	in      *ftp.LineReader // of whoever reads
	sawQuit atomic.Bool     // a QUIT was read: the end of the connection is no accident
	eof     atomic.Bool     // nothing more comes

	write   sync.Mutex // guards what follows; held while writing to out
	out     net.Conn   // tcp or TLS over it
	replies replies

	state
	secured
	lang   words.Lang  // of replies
	link   *link       // of block mode, nil if there is none
	leases []*lease    // of passive ports, the last one behind
	ending atomic.Bool // the last reply was sent

	heard    time.Time // when the client did something last
	stranger time.Time // since when nobody is logged in
	wakes    time.Time // when reading ends without a line; zero if that is not set
	awake    time.Time // when it last heard a line, or was woken by something less
	dozes    bool

	queue
	charset charset
	moving  atomic.Pointer[session.Transfer]
}

// state is what commands set and other commands find. A new log-in (USER, REIN, AUTH) begins with a fresh one, but
// for what was agreed about TLS.
type state struct {
	asked     func(*conn, string) error // what the next PASS is for, nil if for nothing
	asker     bool                      // a session for asking for an account
	loggedIn  bool
	failures  int // wrong passwords
	cwd       files.Path
	from      *files.Path // of RNFR
	source    *files.Path // of SITE CPFR
	algo      string      // of HASH
	ascii     bool        // TYPE A
	rest      int64
	restSaid  bool
	allo      int64 // bytes announced, -1 if none
	rangeFrom int64
	rangeEnd  int64 // included; -1 without RANG
	facts     ftp.FactSet
	way       way // of the next data connection, nil if none is agreed
	onlyEPSV  bool
	blocks    bool // MODE B
	ahead     bool // uploads come ahead of the replies: one that is refused is read to its end
}

// secured is what was agreed about TLS (RFC 4217).
type secured struct {
	encrypted bool   // the control connection
	name      string // that the client asked for
	tickets
	holder  *holder // nil before TLS
	pbsz    bool    // PBSZ was sent
	private bool    // PROT P
}

type line struct {
	cmd     ftp.Command
	err     error
	dropped bool // an ABOR stands behind it
}

func newConn(s *Server, nc net.Conn, sess *session.Session) *conn {
	c := &conn{
		srv: s, sess: sess, tcp: nc, out: nc, id: make([]byte, 16), in: ftp.NewLineReader(nc),
		state: freshState(), stranger: time.Now(),
	}
	c.heard, c.awake = c.stranger, c.stranger
	c.replies.decided.L = &c.write
	rand.Read(c.id)
	keepUrgentInline(nc)
	sess.Wake(c.wake)
	return c
}

func freshState() state {
	// The default TYPE is A (RFC 959 section 5.1).
	return state{ascii: true, allo: -1, rangeEnd: -1, facts: ftp.AllFacts, algo: hashNames[0]}
}

// forget returns to the state of a new connection.
func (c *conn) forget() {
	c.agree(nil)
	c.drop()
	c.srv.holders.sit(c.holder, seat{})
	c.sess.Logout()
	if c.loggedIn || c.asker {
		c.stranger, c.wakes = time.Now(), time.Time{}
	}
	failures := c.failures
	c.state = freshState()
	c.failures = failures
}

// serve serves the connection, on one goroutine after another: what commands need makes a stack grow. An idle session waits
// on none, or on a fresh one where the system has no lot.
func (c *conn) serve() {
	if c.dozes {
		c.wakeAt(c.until())
		awaitInput(c.tcp)
		c.dozes, c.awake = false, time.Now()
	}
	switch {
	case !c.loop():
		c.end()
	case !c.park():
		go c.serve()
	}
}

// end ends the session.
func (c *conn) end() {
	defer c.done()
	c.goodbye()
	c.decide()
	c.drop()
	c.agree(nil)
	c.sess.End()
	c.closeTLS()
	hangUp(c.tcp, c.srv.limits.linger)
}

// loop runs the commands in the order in which they came, until the session is over, or is to doze.
func (c *conn) loop() (dozes bool) {
	for !c.ending.Load() {
		if ctx := c.sess.Context(); ctx.Err() != nil {
			c.decide()
			if !c.ending.Load() { // an upload that was cut has not told it
				c.lines(421, fault.Say(context.Cause(ctx)).In(c.lang))
			}
			return false
		}
		l, _, ok := c.next()
		if !ok {
			var err error
			if l, err = c.read(); errors.Is(err, os.ErrDeadlineExceeded) {
				if c.silent() {
					return true
				}
				continue
			} else if err != nil {
				return false
			}
		}
		c.do(l)
		c.heard = time.Now()
		c.awake = c.heard
	}
	return false
}

// read reads a line, and waits no longer than wakes.
func (c *conn) read() (line, error) {
	if c.eof.Load() {
		return line{}, io.EOF
	}
	until := c.until()
	if doze := c.awake.Add(c.srv.limits.doze); mayDoze && doze.Before(until) {
		until = doze
	}
	if c.wakes.IsZero() || until.Before(c.wakes) {
		c.wakeAt(until)
	}
	l, err := c.readLine()
	if err == nil {
		c.heard = time.Now()
		c.awake = c.heard
	}
	return l, err
}

// silent does what is due when nothing was heard up to wakes, and tells whether the session begins to doze.
func (c *conn) silent() (dozes bool) {
	c.wakes = time.Time{}
	now := time.Now()
	switch {
	case c.sess.Context().Err() != nil: // which woke us
	case !now.Before(c.until()):
		c.ending.Store(true)
		c.reply(421, "Nothing was heard from you for too long; good-bye")
	case mayDoze && now.Sub(c.awake) >= c.srv.limits.doze:
		c.dozes = true
	}
	return c.dozes
}

// until is how long the next command may take to come.
func (c *conn) until() time.Time {
	until := c.heard.Add(c.srv.limits.idle)
	if login := c.stranger.Add(c.srv.limits.login); !c.loggedIn && !c.asker && login.Before(until) {
		return login
	}
	return until
}

// readLine reads a line for whoever's turn it is.
func (c *conn) readLine() (line, error) {
	text, err := c.in.ReadLine()
	l := line{err: err}
	switch {
	case err == nil:
		l.cmd, l.err = ftp.ParseCommand(text)
	case errors.Is(err, ftp.ErrLongLine):
		c.deaf(true)
	case !errors.Is(err, ftp.ErrNUL):
		return l, err
	}
	switch {
	case l.cmd.Verb == "AUTH": // what follows may be TLS
		c.deaf(true)
	case l.cmd.Verb == "QUIT" && blank(l.cmd.Arg):
		c.sawQuit.Store(true)
	}
	c.sess.Touch()
	return l, nil
}

// do runs one line: exactly one reply ends it, whatever was sent.
func (c *conn) do(l line) {
	if c.blocks {
		c.move(func() { c.runHeld(l) })
		return
	}
	switch row, arg, ok := c.check(l); {
	case !ok:
	case row.need&moves != 0:
		c.move(func() { c.run(row, arg) })
	case row.need&deep != 0:
		aside(func() { c.run(row, arg) })
	default:
		c.run(row, arg)
	}
}

// aside runs f on a stack of its own: what is deep makes the stack grow, and the goroutine of a session keeps its own while
// it waits for the next command.
func aside(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

// check finds the row of a line and whether it may run now; what may not is answered.
func (c *conn) check(l line) (row *command, arg string, ok bool) {
	switch {
	case errors.Is(l.err, ftp.ErrLongLine):
		c.ending.Store(true)
		c.reply(500, "The line is too long; good-bye")
		return nil, "", false
	case errors.Is(l.err, ftp.ErrNUL):
		c.reply(501, "A line must not hold a NUL")
		return nil, "", false
	case l.err != nil:
		c.reply(500, "That is no command; HELP lists them")
		return nil, "", false
	}
	// The password belongs to the command before it, the new name to RNFR (RFC 959 section 5.4).
	if l.cmd.Verb != "PASS" {
		c.asked = nil
	}
	if l.cmd.Verb != "RNTO" {
		c.from = nil
	}
	l.cmd.Arg = c.charset.hear(l.cmd.Arg)
	row, arg = c.find(l.cmd)
	err := c.mayRun(row, arg)
	if err == nil && l.dropped && (row.need&moves != 0 || c.blocks) { // sent ahead, and an ABOR behind it
		err = refuse(426, "Aborted before it began")
	}
	if err != nil {
		c.refuseRow(row, err)
		switch l.cmd.Verb {
		case "AUTH":
			c.deaf(false)
		case "QUIT": // the client stays, and may still be cut
			c.sawQuit.Store(false)
		}
	}
	return row, arg, err == nil
}

// run runs a command and answers its error.
func (c *conn) run(row *command, arg string) {
	if row.verb == "AUTH" {
		defer c.deaf(false)
	}
	defer func() {
		if p := recover(); p != nil {
			c.srv.log.Error("panic in a command", "verb", row.verb, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			c.refuse(refuse(421, "Something went wrong inside; the log says what"))
			c.tcp.Close()
		}
	}()
	if err := row.run(c, arg); err != nil {
		c.refuseRow(row, err)
	}
}

// lines writes one reply as it is. It always returns nil, so that a command can end with it: a client that does not take
// its replies is hung up on, which ends the loop.
func (c *conn) lines(code int, lines ...string) error {
	c.write.Lock()
	defer c.write.Unlock()
	c.replies.add(code, lines...)
	if !c.replies.gather || len(c.replies.ready) > maxGathered {
		c.flushLocked()
	}
	return nil
}

func appendReply(code int, lines ...string) []byte {
	return ftp.AppendReply(make([]byte, 0, 128), code, lines...)
}

// closeTLS ends TLS in order.
func (c *conn) closeTLS() {
	c.srv.holders.leave(c.holder)
	if t, ok := c.out.(*tls.Conn); ok {
		c.write.Lock()
		defer c.write.Unlock()
		t.CloseWrite()
	}
}

// hangUp closes nc so that the client can still read the last reply: what it sent and nobody read would else become a
// reset.
func hangUp(nc net.Conn, linger time.Duration) {
	if t, ok := nc.(*net.TCPConn); ok {
		t.CloseWrite()
		t.SetReadDeadline(time.Now().Add(linger))
		io.Copy(io.Discard, io.LimitReader(t, 1<<20))
	}
	nc.Close()
}

// sure tells, between the data sync and the rename of an upload, whether the client is still there: one that was
// killed ends both its connections alike, and then the end of the data says nothing.
func (c *conn) sure() error {
	if !c.eof.Load() && !hungUp(c.tcp) {
		return nil
	}
	if ear := c.overhear(); ear != nil { // a QUIT may stand before the end
		select {
		case <-ear:
		case <-time.After(time.Second):
		}
	}
	if c.sawQuit.Load() {
		return nil
	}
	return errGone()
}

func errGone() error {
	return fault.New(fault.Cut, "the control connection ended during the transfer")
}

package ftpd

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
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

// A conn is one control connection. Three kinds of goroutine touch it: the reader turns bytes into lines; the loop runs
// commands one after another; and a command that moves bytes runs on its own, so that the loop stays free to answer
// ABOR, STAT and NOOP (RFC 959 section 4.1.3). While one moves, the loop holds back every other command. In block mode
// every command runs there, and goes on with what was held back; see block.go.
type conn struct {
	srv  *Server
	sess *session.Session
	tcp  net.Conn // the socket
	id   []byte   // names this control connection in TLS tickets
	born time.Time

	// The reader's; the loop changes in while the reader waits behind AUTH.
	in      *ftp.LineReader
	read    chan []line
	resume  chan struct{} // AUTH was handled
	readEnd chan struct{} // closed when the reader ended
	sawQuit atomic.Bool   // a QUIT was read: the end of the connection is no accident

	ended chan struct{} // closed when the loop ended

	write   sync.Mutex // guards what follows; held while writing to out
	out     net.Conn   // tcp or TLS over it
	replies replies

	// The loop's, handed to the goroutine of a moving command while there is one.
	state
	secured
	lang   words.Lang  // of replies
	link   *link       // of block mode, nil if there is none
	leases []*lease    // of passive ports, the last one behind
	ending atomic.Bool // the last reply was sent

	// The loop's alone.
	busy    chan struct{} // closed when the moving command ends; nil when there is none
	inOrder bool          // what moves goes on with what is held
	eof     bool          // the reader ended

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
	encrypted bool // the control connection
	pbsz      bool // PBSZ was sent
	private   bool // PROT P
}

type line struct {
	cmd     ftp.Command
	err     error
	dropped bool // an ABOR stands behind it
}

func newConn(s *Server, nc net.Conn, sess *session.Session) *conn {
	c := &conn{
		srv: s, sess: sess, tcp: nc, out: nc, born: time.Now(),
		id:      make([]byte, 16),
		in:      ftp.NewLineReader(nc),
		read:    make(chan []line),
		resume:  make(chan struct{}),
		readEnd: make(chan struct{}),
		ended:   make(chan struct{}),
		state:   freshState(),
		queue:   queue{room: make(chan struct{}, 1)},
	}
	c.replies.decided.L = &c.write
	rand.Read(c.id)
	keepUrgentInline(nc)
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
	c.sess.Logout()
	failures := c.failures
	c.state = freshState()
	c.failures = failures
}

func (c *conn) serve() {
	defer hangUp(c.tcp, c.srv.limits.linger)
	defer c.closeTLS()
	defer c.sess.End()
	go c.readLines()
	defer close(c.ended)
	defer c.agree(nil)
	defer c.drop()
	defer c.settle()
	c.reply(220, "Sampan at your service")
	c.loop()
}

// settle waits for a command that still moves, and for uploads that are all there.
func (c *conn) settle() {
	if c.busy != nil {
		c.abort(errGone())
		<-c.busy
	}
	c.decide()
}

// readLines is the reader.
func (c *conn) readLines() {
	defer close(c.readEnd)
	defer close(c.read)
	var some []line
	for {
		text, err := c.in.ReadLine()
		l := line{err: err}
		if err == nil {
			l.cmd, l.err = ftp.ParseCommand(text)
		}
		if l.cmd.Verb == "QUIT" && blank(l.cmd.Arg) {
			c.sawQuit.Store(true)
		}
		fatal := err != nil && !errors.Is(err, ftp.ErrNUL)
		if fatal && !errors.Is(err, ftp.ErrLongLine) {
			return
		}
		if some = append(some, l); err == nil && len(some) < maxHeld && l.cmd.Verb != "AUTH" && c.in.More() {
			continue
		}
		select {
		case c.read <- some:
			some = nil
		case <-c.ended:
			return
		}
		if fatal {
			<-c.ended
			return
		}
		if l.cmd.Verb == "AUTH" { // what follows may be TLS
			select {
			case <-c.resume:
			case <-c.ended:
				return
			}
		}
	}
}

// loop runs the commands in the order in which they came.
func (c *conn) loop() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	heard := time.Now()
	for !c.ending.Load() {
		if c.busy == nil {
			if l, _, ok := c.next(); ok {
				c.do(l)
				heard = time.Now()
				continue
			}
			if c.eof {
				return
			}
		}
		lines := c.read
		if c.eof || c.full(c.inOrder) {
			lines = nil
		}
		timer.Reset(c.patience(heard))
		select {
		case some, ok := <-lines:
			heard = time.Now()
			c.hear(some, ok)
		case <-c.room:
		case <-c.busy:
			c.busy = nil
			heard = time.Now()
		case <-timer.C:
			if c.busy == nil {
				c.reply(421, "Nothing was heard from you for too long; good-bye")
				return
			}
		case <-c.sess.Context().Done():
			if c.busy != nil {
				<-c.busy
				c.busy = nil
			}
			c.decide()
			if !c.ending.Load() { // the transfer that was cut has not told it yet
				c.lines(421, fault.Say(context.Cause(c.sess.Context())).In(c.lang))
			}
			return
		}
	}
}

// patience is how long the loop waits for the next command.
func (c *conn) patience(heard time.Time) time.Duration {
	d := c.srv.limits.idle
	if c.busy != nil {
		return d
	}
	if !c.loggedIn && !c.asker {
		return min(time.Until(c.born.Add(c.srv.limits.login)), d)
	}
	return max(d-time.Since(heard), 0)
}

// hear takes lines from the reader: they are run one after another, or held back while a command moves.
func (c *conn) hear(some []line, ok bool) {
	if !ok {
		c.eof = true
		// A control connection that ends without QUIT aborts what it began (RFC 959 section 4.1.1, QUIT).
		if c.busy != nil && !c.sawQuit.Load() {
			c.abort(errGone())
		}
		return
	}
	c.sess.Touch()
	for _, l := range some {
		if c.ending.Load() {
			return
		}
		if !c.nothingHeld() {
			c.hold(l)
			continue
		}
		if c.busy == nil {
			c.do(l)
			continue
		}
		if row, arg := c.find(l.cmd); l.err == nil && !c.inOrder && row != nil && row.need&during != 0 && arg == "" {
			c.run(row, arg)
			continue
		}
		c.hold(l)
	}
}

// do runs one line: exactly one reply ends it, whatever was sent.
func (c *conn) do(l line) {
	if c.blocks {
		c.start(func() { c.runHeld(l) })
		return
	}
	switch row, arg, ok := c.check(l); {
	case !ok:
	case row.need&moves == 0:
		c.run(row, arg)
	default:
		c.start(func() { c.run(row, arg) })
	}
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
			c.goOn()
		case "QUIT": // the client stays, and may still be cut
			c.sawQuit.Store(false)
		}
	}
	return row, arg, err == nil
}

// goOn lets the reader read behind AUTH.
func (c *conn) goOn() {
	select {
	case c.resume <- struct{}{}:
	case <-c.readEnd:
	}
}

// start runs a command, or many, on a goroutine of its own.
func (c *conn) start(run func()) {
	c.fresh(c.sess.Context())
	busy := make(chan struct{})
	c.busy, c.inOrder = busy, c.blocks
	go func() {
		defer close(busy)
		defer c.abort(nil)
		run()
	}()
}

// run runs a command and answers its error.
func (c *conn) run(row *command, arg string) {
	if row.verb == "AUTH" {
		defer c.goOn()
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
	select {
	case <-c.readEnd:
	default:
		if !hungUp(c.tcp) {
			return nil
		}
		select { // a QUIT may stand before the end
		case <-c.readEnd:
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

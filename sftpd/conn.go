package sftpd

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"sampan/account"
	"sampan/fault"
	"sampan/session"
	"sampan/words"
)

// A conn is one SSH connection. Each of its channels may be one of SFTP; all of them work on one session.
type conn struct {
	srv   *Server
	sess  *session.Session
	nc    *wire
	ssh   *ssh.ServerConn
	asker bool // a connection for asking for an account

	acct    account.Account // at log-in
	handles atomic.Int32    // open in all channels
	heard   atomic.Int64    // time of the last request, Unix ns

	mu       sync.Mutex
	channels map[*channel]struct{}
	drafts   int         // open in all channels
	asks     bool        // ask runs
	alone    *time.Timer // ends a connection without a channel
	serving  sync.WaitGroup
}

func newConn(s *Server, nc net.Conn, sess *session.Session) *conn {
	return &conn{srv: s, sess: sess, nc: newWire(nc, s.limits.unread), channels: map[*channel]struct{}{}}
}

// serve logs in, which loggedIn hears of, and serves the channels.
func (c *conn) serve(loggedIn func()) {
	grace := time.AfterFunc(c.srv.limits.grace, func() { c.nc.Close() })
	stop := context.AfterFunc(c.sess.Context(), func() { c.nc.Close() })
	sc, opened, requests, err := ssh.NewServerConn(c.nc, c.config())
	if !grace.Stop() && err == nil {
		sc.Close()
	}
	stop()
	loggedIn()
	if err != nil {
		c.srv.log.Info("no log-in", "remote", remote(c.nc).String(), "reason", err.Error())
		return
	}
	c.ssh = sc
	if !c.asker {
		if c.acct, err = c.sess.Account(); err != nil {
			sc.Close()
		}
	}
	defer context.AfterFunc(c.sess.Context(), c.leave)()
	c.alone = time.AfterFunc(c.srv.limits.alone, func() { sc.Close() })
	defer c.alone.Stop()
	go c.refuse(requests)
	for nch := range opened {
		c.open(nch)
	}
	c.serving.Wait()
}

// refuse answers global requests: there is no forwarding here (RFC 4254 section 7.1).
func (c *conn) refuse(requests <-chan *ssh.Request) {
	for r := range requests {
		r.Reply(false, nil)
	}
}

// open begins a channel.
func (c *conn) open(nch ssh.NewChannel) {
	if nch.ChannelType() != "session" {
		nch.Reject(ssh.Prohibited, words.M("nothing is forwarded here").String())
		return
	}
	c.mu.Lock()
	full := len(c.channels) >= c.srv.limits.channels
	c.mu.Unlock()
	if full {
		nch.Reject(ssh.ResourceShortage, words.M("a connection may have %d channels at once", c.srv.limits.channels).String())
		return
	}
	sc, requests, err := nch.Accept()
	if err != nil {
		return
	}
	ch := &channel{conn: c, Channel: sc}
	c.mu.Lock()
	c.channels[ch] = struct{}{}
	c.alone.Stop()
	c.mu.Unlock()
	c.serving.Go(func() {
		ch.serve(requests)
		c.mu.Lock()
		defer c.mu.Unlock()
		if delete(c.channels, ch); len(c.channels) == 0 {
			c.alone.Reset(c.srv.limits.alone)
		}
	})
}

// leave ends a connection whose session has ended: what is answered already is sent, and people are told why.
func (c *conn) leave() {
	c.mu.Lock()
	list := make([]*channel, 0, len(c.channels))
	for ch := range c.channels {
		list = append(list, ch)
	}
	c.mu.Unlock()
	last := time.AfterFunc(c.srv.limits.linger, func() { c.nc.Close() })
	defer last.Stop()
	for _, ch := range list {
		ch.settle()
		ch.tell(fault.Say(context.Cause(c.sess.Context())))
	}
	c.ssh.Close()
}

// opened notes that a draft was opened; the peer is asked now and then whether it is still there.
func (c *conn) opened() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drafts++; !c.asks {
		c.asks = true
		go c.ask()
	}
}

// closed notes that a draft is closed.
func (c *conn) closed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drafts--
}

// needless reports whether ask may end, for no draft is open any more.
func (c *conn) needless() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asks = c.drafts > 0
	return !c.asks
}

// ask tells the session that the peer is there, as long as it asks for something or answers. Who sends many small files has
// a draft open again at the next look.
func (c *conn) ask() {
	tick := time.NewTicker(c.srv.limits.here)
	defer tick.Stop()
	for {
		select {
		case <-c.sess.Context().Done():
			return
		case <-tick.C:
		}
		if c.needless() {
			return
		}
		if time.Since(time.Unix(0, c.heard.Load())) > c.srv.limits.here {
			if _, _, err := c.ssh.SendRequest("keepalive@openssh.com", true, nil); err != nil {
				return
			}
		}
		c.sess.Here()
	}
}

// touch notes that a request came.
func (c *conn) touch() {
	c.heard.Store(time.Now().UnixNano())
	c.sess.Touch()
}

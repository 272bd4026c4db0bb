package client

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"sampan/fault"
	"sampan/words"
)

// sshDialer makes SSH connections as the user's settings of ssh say.
type sshDialer struct {
	home *sshHome
	keys *hostKeys
	ring *keyring
}

func newSSHDialer(o Options) (*sshDialer, error) {
	say := o.Say
	if say == nil {
		say = func(words.Message) {}
	}
	home, err := openSSHHome(o.SSH, say)
	if err != nil {
		return nil, err
	}
	return &sshDialer{
		home: home,
		keys: &hostKeys{home: home, accepted: map[string]string{}},
		ring: &keyring{dir: home.own(), opened: map[string]ssh.Signer{}},
	}, nil
}

// An sshHop is one SSH server: the one that was dialed, or one to jump over.
type sshHop struct {
	*sshDialer
	d      *dialed
	target sshTarget
	jumps  int  // that lead to it at least
	quiet  bool // nobody is asked anything, nor to touch a key
}

// hop looks up the server of d, and tells d the name to log in with.
func (s *sshDialer) hop(d *dialed) (*sshHop, error) {
	target, err := s.home.target(d.url)
	if err != nil {
		return nil, err
	}
	d.url.User, d.user = target.user, target.user
	return &sshHop{sshDialer: s, d: d, target: target}, nil
}

// address is where the server is, by the settings: what host keys are known for.
func (h *sshHop) address() string {
	return net.JoinHostPort(h.target.host, strconv.Itoa(h.target.port))
}

// An sshConn is an SSH connection, with the one below it that leads there.
type sshConn struct {
	*ssh.Client
	below *sshConn
	over  atomic.Bool // it is of no more use
}

func (c *sshConn) close() {
	if c != nil {
		c.Client.Close()
		c.below.close()
	}
}

// dial connects and logs in. Trust is asked between two connections, so that none waits for a person.
func (h *sshHop) dial(ctx context.Context) (*sshConn, error) {
	conn, err := h.attempt(ctx)
	var unknown *unknownKey
	if errors.As(err, &unknown) {
		if err = h.keys.ask(ctx, unknown, h.d.options().Trust); err != nil {
			return nil, err
		}
		conn, err = h.attempt(ctx)
		if errors.As(err, &unknown) { // another one than a moment ago
			return nil, unknown.refusal()
		}
	}
	return conn, err
}

// again makes another connection beside one that is there. It asks nobody anything and says nothing.
func (h *sshHop) again(ctx context.Context) (*sshConn, error) {
	if len(h.target.jump) > 0 || h.target.proxy != "" { // who leads there may ask
		return nil, errNoExtra
	}
	o := h.d.options()
	o.Ask, o.Password, o.Trust, o.Say = nil, nil, nil, nil
	h.d.mu.Lock()
	d := &dialed{url: h.d.url, opts: o, user: h.d.user, password: h.d.password, known: h.d.known}
	h.d.mu.Unlock()
	beside := &sshHop{sshDialer: h.sshDialer, d: d, target: h.target, quiet: true}
	return beside.attempt(ctx)
}

// attempt goes over the servers on the way, and to the one that is meant.
func (h *sshHop) attempt(ctx context.Context) (*sshConn, error) {
	below, err := h.before(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := h.connect(ctx, below)
	if err == nil {
		var client *ssh.Client
		if client, err = h.handshake(ctx, conn); err == nil {
			c := &sshConn{Client: client, below: below}
			go func() {
				client.Wait()
				c.over.Store(true)
			}()
			return c, nil
		}
	}
	below.close()
	return nil, err
}

// maxJumps is how many servers may lie on the way.
const maxJumps = 8

// before returns the connection to the last server on the way, nil if there is none (ProxyJump).
func (h *sshHop) before(ctx context.Context) (*sshConn, error) {
	last := len(h.target.jump) - 1
	if last < 0 {
		return nil, nil
	}
	u, err := ParseURL("sftp://" + strings.TrimPrefix(h.target.jump[last], "ssh://"))
	if err != nil {
		return nil, err
	}
	o := h.d.options()
	o.Pin = "" // it is of the server that was meant
	jump, err := h.hop(&dialed{url: u, opts: o, jump: true})
	if err != nil {
		return nil, err
	}
	if jump.jumps = h.jumps + 1; jump.jumps > maxJumps {
		return nil, fault.New(fault.Stopped, "the settings of ssh lead over too many servers to %s", h.d.url.Host)
	}
	if last > 0 { // what is said of the way counts, not what each says of its own
		jump.target.jump = h.target.jump[:last]
	}
	return jump.dial(ctx)
}

// connect opens the connection that SSH goes over.
func (h *sshHop) connect(ctx context.Context, below *sshConn) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, h.d.timeout())
	defer cancel()
	dial := (&net.Dialer{}).DialContext
	switch {
	case below != nil:
		dial = below.DialContext
	case h.target.proxy != "":
		dial = func(context.Context, string, string) (net.Conn, error) { return dialProxy(h.target.proxy) }
	}
	conn, err := dial(ctx, "tcp", h.address())
	switch {
	case err == nil:
		return conn, nil
	case context.Cause(ctx) == context.Canceled:
		return nil, ctx.Err()
	}
	return nil, fault.Wrap(fault.Unreachable, err, "cannot connect to %s: %s", h.address(), cause(err))
}

// handshake has keys exchanged, the server's checked, and the user logged in. It ends when ctx does, or when nothing went on
// for as long as the time-out; a person who is asked may take longer.
func (h *sshHop) handshake(ctx context.Context, conn net.Conn) (*ssh.Client, error) {
	db, err := h.keys.database()
	if err != nil {
		conn.Close()
		return nil, err
	}
	wait := h.d.timeout()
	var late, checked atomic.Bool
	patience := time.AfterFunc(wait, func() { late.Store(true); conn.Close() })
	defer patience.Stop()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	a := &authentication{ctx: ctx, d: h.d, target: h.target, ring: h.ring, quiet: h.quiet}
	defer a.closeAgent()
	a.pause = func(ask func() error) error {
		patience.Stop()
		defer patience.Reset(wait)
		return ask()
	}
	var distrust error
	conf := &ssh.ClientConfig{
		User: h.target.user, Auth: a.methods(), ClientVersion: "SSH-2.0-Sampan", HostKeyAlgorithms: algorithms(db, h.address()),
		HostKeyCallback: func(_ string, remote net.Addr, key ssh.PublicKey) error {
			if o := h.d.options(); o.Pin != "" {
				if distrust = pinned(o.Pin, h.address(), key); distrust == nil && o.Keep {
					h.keys.note(db, h.address(), remote, key)
				}
			} else {
				distrust = h.keys.check(db, h.address(), remote, key)
			}
			checked.Store(distrust == nil)
			patience.Reset(wait)
			return distrust
		},
		BannerCallback: a.banner,
	}
	c, channels, requests, err := ssh.NewClientConn(conn, h.address(), conf)
	switch {
	case err == nil:
		return ssh.NewClient(c, channels, requests), nil
	case distrust != nil:
		return nil, distrust
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case late.Load():
		return nil, fault.Wrap(fault.Unreachable, err, "%s did not answer in time", h.address())
	case !checked.Load():
		return nil, fault.Wrap(fault.Unreachable, err, "no SSH connection with %s: %s", h.address(), cause(err))
	case a.own != nil && !a.said:
		return nil, a.own
	case dropped(err):
		return nil, fault.Wrap(fault.Unreachable, err, "%s ended the connection before the log-in", h.address())
	}
	h.d.forget()
	if strings.Contains(err.Error(), "unable to authenticate") { // x/crypto has no type for it
		return nil, fault.Wrap(fault.Unauth, err, "%s did not let %s in: it took neither a key nor a password", h.address(), h.target.user)
	}
	return nil, fault.Wrap(fault.Unauth, err, "%s did not let %s in: %s", h.address(), h.target.user, strings.TrimPrefix(cause(err), "ssh: handshake failed: "))
}

// dropped reports whether an error is the end of a connection, not a word of the peer.
func dropped(err error) bool {
	var op net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &op)
}

package session

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// An Acceptor is the door to the street that every server has: it accepts from any number of listeners, and knows when the
// last connection ended.
type Acceptor struct {
	hub  *Hub
	log  *slog.Logger
	ctx  context.Context
	stop context.CancelFunc

	mu        sync.Mutex
	closing   bool
	listeners map[net.Listener]struct{}
	conns     sync.WaitGroup
}

// NewAcceptor returns the Acceptor of a server whose sessions are hub's.
func NewAcceptor(hub *Hub, log *slog.Logger) *Acceptor {
	a := &Acceptor{hub: hub, log: log, listeners: map[net.Listener]struct{}{}}
	a.ctx, a.stop = context.WithCancel(context.Background())
	return a
}

// Context is done when Shutdown waits no longer for what is under way.
func (a *Acceptor) Context() context.Context { return a.ctx }

// Serve accepts until l is closed, by Shutdown or past us. Each connection has a goroutine of its own, which runs handle;
// done is to be called once, when the connection is over.
func (a *Acceptor) Serve(l net.Listener, handle func(nc net.Conn, done func())) {
	a.mu.Lock()
	if a.closing {
		a.mu.Unlock()
		l.Close()
		return
	}
	a.listeners[l] = struct{}{}
	a.mu.Unlock()
	a.All(l, func(nc net.Conn) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.closing {
			nc.Close()
			return
		}
		a.conns.Add(1)
		go handle(nc, a.conns.Done)
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.listeners, l)
}

// All hands on what comes to l, until l is closed.
func (a *Acceptor) All(l net.Listener, hand func(net.Conn)) {
	for wait := time.Duration(0); ; {
		nc, err := l.Accept()
		switch {
		case err == nil:
			wait = 0
			hand(nc)
		case errors.Is(err, net.ErrClosed):
			return
		default: // no descriptor left, or the connection was gone at once
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			a.Warn(err)
			select {
			case <-time.After(wait):
			case <-a.ctx.Done():
				return
			}
		}
	}
}

// Warn tells the log why nothing could be accepted.
func (a *Acceptor) Warn(err error) {
	a.log.Warn("a connection could not be accepted", "reason", err.Error())
}

// Shutdown closes the listeners and returns when all connections ended, or soon after ctx is done; the Hub's Drain decides
// about the transfers.
func (a *Acceptor) Shutdown(ctx context.Context) {
	a.mu.Lock()
	a.closing = true
	for l := range a.listeners {
		l.Close()
	}
	a.mu.Unlock()
	a.hub.Drain(ctx)
	ended := make(chan struct{})
	go func() {
		a.conns.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	a.stop()
	<-ended
}

package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sampan/admin"
	"sampan/fault"
)

// answers reports whether a server listens on a socket.
func answers(socket string) bool {
	c, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// socketPath is where a running server listens for operators.
func socketPath(dir string) string {
	if b, err := os.ReadFile(filepath.Join(dir, socketRecord)); err == nil {
		return strings.TrimSpace(string(b))
	}
	return filepath.Join(dir, socketFile)
}

// maxSocketPath is the longest name that every system takes for a socket.
const maxSocketPath = 100

// listenAdmin listens on the operator's socket. Where its name in DATA is too long for a socket, a short one in a
// directory that only its owner can enter is taken and recorded in DATA. stop removes what it made.
func listenAdmin(dir, runtimeDir string) (l net.Listener, stop func(), err error) {
	forgetSocket(dir) // of a server that was killed
	path := filepath.Join(dir, socketFile)
	if len(path) > maxSocketPath {
		if runtimeDir == "" {
			runtimeDir = os.TempDir()
		}
		short, err := os.MkdirTemp(runtimeDir, "sampan-")
		if err != nil {
			return nil, nil, fault.Wrap(fault.Local, err, "the operator's socket cannot be made")
		}
		path = filepath.Join(short, socketFile)
		if err := os.WriteFile(filepath.Join(dir, socketRecord), []byte(path+"\n"), 0o600); err != nil {
			os.Remove(short)
			return nil, nil, fault.Wrap(fault.Local, err, "the operator's socket cannot be made")
		}
	}
	privately(func() { l, err = net.Listen("unix", path) })
	if err != nil {
		forgetSocket(dir)
		return nil, nil, fault.Wrap(fault.Local, err, "the operator's socket cannot be made")
	}
	return l, func() { l.Close(); forgetSocket(dir) }, nil
}

func forgetSocket(dir string) {
	if b, err := os.ReadFile(filepath.Join(dir, socketRecord)); err == nil {
		short := filepath.Dir(strings.TrimSpace(string(b)))
		if strings.HasPrefix(filepath.Base(short), "sampan-") {
			os.Remove(filepath.Join(short, socketFile))
			os.Remove(filepath.Join(short, socketAside))
			os.Remove(short)
		}
		os.Remove(filepath.Join(dir, socketRecord))
	}
	os.Remove(filepath.Join(dir, socketFile))
	os.Remove(filepath.Join(dir, socketAside))
}

// operators serves the operators' API on its socket.
type operators struct {
	http   http.Server
	socket net.Listener
	open   sync.WaitGroup // connections
}

// serveOperators begins to answer on a socket.
func serveOperators(socket net.Listener, api http.Handler, log *slog.Logger) *operators {
	o := &operators{socket: socket}
	o.http.Handler = api
	o.http.ReadHeaderTimeout = 10 * time.Second
	o.http.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	o.http.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			o.open.Add(1)
		case http.StateClosed:
			o.open.Done()
		}
	}
	go o.http.Serve(socket)
	return o
}

// end ends it once every request that reached the socket is answered. The socket is moved aside, so that nobody new
// comes; the answer to one more request tells that all connections before it were accepted. (Server.Shutdown would
// drop a request that it has read and not begun.)
func (o *operators) end() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	path := o.socket.Addr().String()
	aside := filepath.Join(filepath.Dir(path), socketAside)
	if os.Rename(path, aside) == nil {
		_, _ = admin.NewClient(aside).Who(ctx)
		os.Remove(aside)
	}
	answered := make(chan struct{})
	go func() {
		o.open.Wait()
		close(answered)
	}()
	select {
	case <-answered:
	case <-ctx.Done():
	}
	o.http.Close()
}

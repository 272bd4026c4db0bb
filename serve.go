package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/term"

	"sampan/admin"
	"sampan/console"
	"sampan/fault"
	"sampan/ftpd"
	"sampan/sftpd"
	"sampan/words"
)

// drainTime is how long transfers may go on after SIGTERM.
const drainTime = 30 * time.Second

// serveCommand is the row of `sampan serve`.
func serveCommand(e *env) command {
	src := sources{flags: map[string]string{}, getenv: e.getenv}
	row := command{
		name: "serve", group: serverGroup, signals: true,
		short: words.M("serve files to everybody who has an account"),
		long: words.M("Every flag is also a key of the settings file and a variable (max-sessions, SAMPAN_MAX_SESSIONS). Flags win over variables, and these over the file.\n" +
			"SIGTERM lets transfers finish for 30 s, a second one ends them; SIGHUP reads the settings and the certificate again."),
		flags: []flag{{name: "config", arg: "FILE", to: &src.config, usage: words.M("settings file in TOML (SAMPAN_CONFIG)")}},
		run:   func(ctx context.Context, _ []string) error { return serve(ctx, e, src) },
	}
	for _, s := range settingRows() {
		row.flags = append(row.flags, flag{name: s.key, arg: s.arg, to: &givenFlag{src.flags, s.key}, usage: s.usage})
	}
	return row
}

// givenFlag notes what the command line says, so that it can be laid over the other sources.
type givenFlag struct {
	flags map[string]string
	key   string
}

func (g *givenFlag) UnmarshalText(b []byte) error {
	g.flags[g.key] = string(b)
	return nil
}

// serve runs a server until it is told to end. On a terminal it shows what goes on, elsewhere it only logs.
func serve(ctx context.Context, e *env, src sources) error {
	s, err := src.resolve()
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, append([]os.Signal{os.Interrupt, syscall.SIGTERM}, reloadSignals...)...)
	defer signal.Stop(signals)

	level := s.logLevel()
	screen, log := e.screenAndLog(level)
	srv, err := start(ctx, s, log, e)
	if err != nil {
		return err
	}
	srv.level = level
	if srv.password != "" {
		e.say(words.M("The first operator is %q with the password %s\nKeep it: it is shown this once. `sampan user passwd %[1]s` sets another.", operatorName, srv.password))
	}
	if screen == nil {
		log.Info("serving", "version", versionLine(), "data", srv.dir, "addresses", srv.addresses, "pin", srv.certs.pin(), "host_keys", srv.fingerprints(), "join", srv.joinCommand())
	}
	left, clear := srv.show(ctx, screen)
	defer clear()
	for {
		select {
		case sig := <-signals:
			if sig == os.Interrupt || sig == syscall.SIGTERM || screen != nil { // a terminal that is closed hangs up
				clear()
				return srv.drain(signals)
			}
			srv.reload(src)
		case err := <-left:
			clear()
			if n := srv.moving(); n > 0 {
				e.say(words.M("transfers under way: %d. They may finish within %s; ^C again ends them now, and what came is kept.", n, drainTime))
			}
			return errors.Join(err, srv.drain(signals))
		case <-ctx.Done():
			clear()
			return srv.stop(ctx)
		}
	}
}

// screenAndLog are the live screen, nil where there is no terminal, and the log: for people on a terminal, above the
// live screen where there is one, and for programs elsewhere.
func (e *env) screenAndLog(level slog.Leveler) (screen *console.Screen, log *slog.Logger) {
	how := &slog.HandlerOptions{Level: level}
	if isTerminal(e.in) && isTerminal(e.out) && inForeground(e.in.(*os.File)) {
		screen = console.New(e.in.(*os.File), e.out.(*os.File), e.lang)
	}
	switch {
	case !isTerminal(e.err):
		return screen, slog.New(slog.NewJSONHandler(e.err, how))
	case screen != nil:
		how.ReplaceAttr = brief
		return screen, slog.New(slog.NewTextHandler(screen, how))
	}
	return nil, slog.New(slog.NewTextHandler(e.err, how))
}

// brief leaves out what a person who looks on need not read: the date, and that nothing is wrong.
func brief(groups []string, a slog.Attr) slog.Attr {
	switch {
	case len(groups) > 0:
	case a.Key == slog.TimeKey:
		return slog.String(slog.TimeKey, a.Value.Time().Format(time.TimeOnly))
	case a.Key == slog.LevelKey && a.Value.Any() == slog.LevelInfo:
		return slog.Attr{}
	}
	return a
}

func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// show runs the live screen, if there is one. left tells that the operator left it; clear takes it off and gives the
// terminal back.
func (srv *server) show(ctx context.Context, screen *console.Screen) (left <-chan error, clear func()) {
	if screen == nil {
		return nil, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ended <- screen.Run(ctx, console.Config{
			Client: admin.InProcess(srv.operators.http.Handler), Join: srv.joinCommand(), JoinSSH: srv.joinSSH(), Addresses: srv.urls(),
			DefaultQuota: int64(srv.settings.DefaultQuota.size),
		})
	}()
	return ended, func() { cancel(); <-done }
}

// server is a running server.
type server struct {
	*data
	settings    settings
	log         *slog.Logger
	level       *slog.LevelVar // of log
	certs       certificates
	doors       []door
	socket      net.Listener // of operators
	ftp         *ftpd.Server
	sftp        *sftpd.Server
	hostKeys    []ssh.Signer // of SFTP, none where it is off
	authorities authorities
	addresses   map[string]string // by protocol: where each listener is
	password    string            // of the first operator, when it was made just now and has to be shown
	operators   *operators
	undo        []func() // what stop does, last first
}

// start makes DATA if it is missing, takes its lock and listens. What it began is undone if it fails.
func start(ctx context.Context, s settings, log *slog.Logger, e *env) (*server, error) {
	dir := string(s.Data)
	if err := makeData(dir); err != nil {
		return nil, err
	}
	l, err := lockForServer(ctx, dir)
	if err != nil {
		return nil, err
	}
	os.Remove(filepath.Join(dir, addressesFile))
	d, err := openData(ctx, l, dir, s, log)
	if err != nil {
		return nil, err
	}
	srv := &server{data: d, settings: s, log: log, addresses: map[string]string{}}
	srv.undo = append(srv.undo, func() { d.close() })
	if err := srv.begin(ctx, e); err != nil {
		srv.undoAll()
		return nil, err
	}
	return srv, nil
}

// begin listens before it makes the operator, for a password that a failed start has swallowed would be lost.
func (srv *server) begin(ctx context.Context, e *env) (err error) {
	if err := srv.certs.load(srv.dir, srv.settings, srv.log); err != nil {
		return err
	}
	if err := srv.loadKeys(); err != nil {
		return err
	}
	if err := srv.listen(e.getenv("XDG_RUNTIME_DIR")); err != nil {
		return err
	}
	srv.password, err = firstOperator(ctx, srv.data, e.getenv("SAMPAN_OPERATOR_PASSWORD_FILE"), isTerminal(e.out), srv.log)
	if err != nil {
		return err
	}
	srv.accept()
	srv.undo = append(srv.undo, func() { os.Remove(filepath.Join(srv.dir, addressesFile)) })
	return writeAddresses(srv.dir, srv.addresses)
}

// lockForServer takes the lock. A command that has it is waited for; another server is named.
func lockForServer(ctx context.Context, dir string) (*lock, error) {
	for deadline := time.Now().Add(patience); ; {
		l, err := takeLock(dir)
		if !errors.Is(err, errLocked) {
			return l, err
		}
		if answers(socketPath(dir)) || time.Now().After(deadline) {
			return nil, fault.New(fault.Busy, "a server with process id %s already has %s; stop it, or give this one another place with --data DIR", lockHolder(dir), dir)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// door is one listener.
type door struct {
	net.Listener
	implicit bool // TLS from the first byte
	name     string
}

// listen opens every listener.
func (srv *server) listen(runtimeDir string) error {
	for _, d := range []struct {
		name     string
		at       address
		implicit bool
	}{{"ftp", srv.settings.FTP, false}, {"ftps", srv.settings.FTPS, true}, {"sftp", srv.settings.SFTP, false}} {
		if d.at == off {
			continue
		}
		l, err := net.Listen("tcp", string(d.at))
		if err != nil {
			return cannotListen(err, d.name, d.at)
		}
		srv.undo = append(srv.undo, func() { l.Close() })
		srv.doors = append(srv.doors, door{l, d.implicit, d.name})
		srv.addresses[d.name] = reachable(l.Addr())
	}
	if srv.settings.ACMEDomain != "" {
		l, err := net.Listen("tcp", string(srv.settings.ACMEHTTP))
		if err != nil {
			return cannotListen(err, "acme-http", srv.settings.ACMEHTTP)
		}
		srv.certs.authority = newAuthority(srv.dir, srv.settings, l, srv.log)
		srv.undo = append(srv.undo, srv.certs.authority.stop)
		srv.addresses["acme-http"] = reachable(l.Addr())
	}
	socket, stop, err := listenAdmin(srv.dir, runtimeDir)
	if err != nil {
		return err
	}
	srv.socket = socket
	srv.undo = append(srv.undo, stop)
	return nil
}

// accept lets sessions and operators in.
func (srv *server) accept() {
	srv.ftp = ftpd.New(ftpd.Config{
		Hub: srv.hub, TLS: srv.certs.config(), Log: srv.log,
		PassiveLow: srv.settings.PassivePorts.low, PassiveHigh: srv.settings.PassivePorts.high,
		PublicAddress: string(srv.settings.PublicAddress), PlainLogins: srv.settings.PlainLogins.is,
		TLSData: srv.settings.TLSData.is,
	})
	srv.sftp = sftpd.New(sftpd.Config{Hub: srv.hub, HostKeys: srv.hostKeys, UserCA: srv.authorities.keys, Log: srv.log})
	for _, d := range srv.doors {
		if d.name == "sftp" {
			go srv.sftp.Serve(d.Listener)
		} else {
			go srv.ftp.Serve(d.Listener, d.implicit)
		}
	}
	srv.operators = serveOperators(srv.socket, admin.Handler(srv.book, srv.hub), srv.log)
	srv.undo = append(srv.undo, srv.operators.end, tidy())
}

// cannotListen says why, and what to try.
func cannotListen(err error, name string, at address) error {
	switch {
	case errors.Is(err, errAddrInUse):
		return fault.New(fault.Unreachable, "cannot listen on %s: another program does; stop that one, or choose another port with --%s :PORT (0 takes a free one)", string(at), name)
	case errors.Is(err, os.ErrPermission):
		return fault.New(fault.Unreachable, "cannot listen on %s: this system keeps ports below 1024 for the administrator; choose a higher one with --%s :PORT", string(at), name)
	}
	return fault.Wrap(fault.Unreachable, err, "cannot listen on %s; choose another address with --%s ADDR", string(at), name)
}

// reload reads the settings and the certificate again and takes what can change in a running server. If anything is
// wrong with them, all stays as it was.
func (srv *server) reload(src sources) {
	s, err := src.resolve()
	if err == nil {
		err = srv.certs.load(srv.dir, s, srv.log)
	}
	if err == nil {
		err = srv.authorities.load(string(s.SSHUserCA))
	}
	if err != nil {
		srv.log.Error("settings not reloaded; the old ones stay", "err", err)
		return
	}
	for _, row := range settingRows() {
		if !row.live && !reflect.DeepEqual(row.field(&s), row.field(&srv.settings)) {
			srv.log.Warn("this setting changes only with a new start", "setting", row.key)
		}
	}
	srv.hub.SetLimits(s.limits())
	srv.level.Set(s.logLevel().Level())
	srv.log.Info("settings reloaded", "pin", srv.certs.pin())
}

// moving counts the transfers under way.
func (srv *server) moving() (n int) {
	for _, one := range srv.hub.Live() {
		if one.Doing != nil {
			n++
		}
	}
	return n
}

// drain ends the server in order: no new sessions, idle ones end, transfers may finish. One more signal ends at once.
func (srv *server) drain(signals <-chan os.Signal) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	go func() {
		for {
			select {
			case sig := <-signals:
				if sig == os.Interrupt || sig == syscall.SIGTERM {
					srv.log.Info("ending at once")
					cancel()
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	srv.log.Info("draining: transfers may finish", "within", drainTime)
	return srv.stop(ctx)
}

// stop ends the server: sessions may go on until ctx is done.
func (srv *server) stop(ctx context.Context) error {
	os.Remove(filepath.Join(srv.dir, addressesFile))
	var ends sync.WaitGroup
	ends.Go(func() { srv.ftp.Shutdown(ctx) })
	ends.Go(func() { srv.sftp.Shutdown(ctx) })
	ends.Go(func() { srv.hub.Drain(ctx) })
	ends.Wait()
	srv.undoAll()
	srv.log.Info("ended")
	return nil
}

func (srv *server) undoAll() {
	for i := len(srv.undo) - 1; i >= 0; i-- {
		srv.undo[i]()
	}
	srv.undo = nil
}

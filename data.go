package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"sampan/account"
	"sampan/admin"
	"sampan/fault"
	"sampan/session"
)

// Names below DATA. The lock is in lock.go, the certificate in cert.go.
const (
	bookFile      = "book.db"
	homesDir      = "homes"
	addressesFile = "addresses.json"
	socketFile    = "admin.sock"
	socketAside   = "admin.end"
	socketRecord  = "admin.path" // names the socket where its own place is too long for one
	passwordFile  = "operator-password"
)

// patience is how long a command waits for another one that has the lock.
const patience = 10 * time.Second

// data is an open DATA directory: its lock is held, nobody else writes.
type data struct {
	dir  string
	lock *lock
	book *account.Book
	hub  *session.Hub
}

// makeData makes a DATA directory unless it is there.
func makeData(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.Wrap(fault.Local, err, "%s cannot be made; name another place with --data DIR", dir)
	}
	return nil
}

// needData refuses a directory that is no DATA.
func needData(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, bookFile)); errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.NotExist, "there is no Sampan data in %s; name the place with --data DIR or SAMPAN_DATA", dir)
	}
	return nil
}

// openData opens the book and the hub of a DATA directory whose lock is held; the lock is released if that fails.
func openData(ctx context.Context, l *lock, dir string, s settings, log *slog.Logger) (*data, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		l.release()
		return nil, fault.Wrap(fault.Local, err, "%s cannot be used", dir)
	}
	book, err := account.Open(ctx, filepath.Join(abs, bookFile), account.Options{
		Homes:        filepath.Join(abs, homesDir),
		DefaultQuota: int64(s.DefaultQuota.size),
		RecordAge:    time.Duration(s.RecordAge),
		MaxRecords:   int64(s.MaxRecords.n),
		Log:          log,
		PasswordSet:  forgetPassword(abs, log),
	})
	if err != nil {
		l.release()
		return nil, err
	}
	hub := session.NewHub(session.Config{
		Book:    book,
		Strict:  s.Durability.is == "strict",
		PartAge: time.Duration(s.PartAge),
		Limits:  s.limits(),
		Log:     log,
	})
	return &data{dir: abs, lock: l, book: book, hub: hub}, nil
}

func (d *data) close() error {
	err := errors.Join(d.hub.Close(), d.book.Close())
	d.lock.release()
	return err
}

// withClient calls f with a client of the operator's API: of the running server if there is one, else of this process,
// with the book opened under its lock. A command that has the lock is waited for. f is called again when the server
// ended before it heard the request.
func withClient(ctx context.Context, dir string, s settings, f func(*admin.Client) error) error {
	for deadline := time.Now().Add(patience); ; {
		l, err := takeLock(dir)
		if err == nil {
			return inProcess(ctx, l, dir, s, f)
		}
		if !errors.Is(err, errLocked) {
			return err
		}
		if err := f(admin.NewClient(socketPath(dir))); !notDialed(err) {
			return err
		}
		if time.Now().After(deadline) {
			return fault.New(fault.Busy, "the process with id %s has %s and does not answer", lockHolder(dir), dir)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// notDialed reports whether err means that nobody listened, so that nothing was done.
func notDialed(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

func inProcess(ctx context.Context, l *lock, dir string, s settings, f func(*admin.Client) error) error {
	d, err := openData(ctx, l, dir, s, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return errors.Join(f(admin.InProcess(admin.Handler(d.book, d.hub))), d.close())
}

// writeAddresses publishes where the listeners are, by rename, so that a reader sees all of them or none.
func writeAddresses(dir string, addresses map[string]string) error {
	b, err := json.Marshal(addresses)
	if err == nil {
		err = replaceFile(filepath.Join(dir, addressesFile), append(b, '\n'), 0o600)
	}
	if err != nil {
		return fault.Wrap(fault.Local, err, "%s cannot be written", addressesFile)
	}
	return nil
}

// replaceFile writes a small file whole, durably and by rename.
func replaceFile(name string, content []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	if dir, err := os.Open(filepath.Dir(name)); err == nil { // not every system syncs a directory
		_ = dir.Sync()
		dir.Close()
	}
	return nil
}

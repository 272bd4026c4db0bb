package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sampan/fault"
)

// errLocked says that another process holds the lock.
var errLocked = errors.New("locked")

// lock is the lock on DATA: whoever holds it may open the book. The system lets go of it when the process ends,
// however it ends. The file holds the process id of the holder.
type lock struct{ f *os.File }

// takeLock takes the lock of a DATA directory; errLocked when somebody has it.
func takeLock(dir string) (*lock, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fault.Wrap(fault.Local, err, "%s cannot be used", dir)
	}
	if err := lockFile(f); err != nil {
		f.Close()
		if errors.Is(err, errLocked) {
			return nil, errLocked
		}
		return nil, fault.Wrap(fault.Local, err, "%s cannot be locked", dir)
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		f.Close()
		return nil, fault.Wrap(fault.Local, err, "%s cannot be locked", dir)
	}
	return &lock{f}, nil
}

// release lets go of the lock. The file stays: removing it could take a lock away from under somebody else.
func (l *lock) release() {
	l.f.Truncate(0)
	l.f.Close()
}

// lockHolder returns the process id in a DATA directory's lock file, "?" if it cannot be told.
func lockHolder(dir string) string {
	f, err := os.Open(filepath.Join(dir, "lock"))
	if err != nil {
		return "?"
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, 20))
	pid := strings.TrimSpace(string(b))
	if _, err := strconv.ParseUint(pid, 10, 32); err != nil {
		return "?"
	}
	return pid
}

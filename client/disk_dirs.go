package client

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// nearDirs are directories of a Disk that are open: their files are reached at once. From the top an os.Root opens every directory on the
// way, for each look at each file. What is open may have been moved away or replaced meanwhile, as it may have been a moment before
// any other call; for no longer than that it is trusted.
type nearDirs struct {
	mu    sync.Mutex
	open  map[string]nearDir // by name, as filepath.Split has it
	sweep *time.Timer        // closes those that nobody came for; nil when none is open
}

type nearDir struct {
	root *os.Root
	self *os.File  // the same
	at   time.Time // when it was where its name says
}

func (n nearDir) close() {
	n.root.Close()
	n.self.Close()
}

const (
	trusted  = 100 * time.Millisecond
	mostNear = 32
)

// nearDir returns a directory, as filepath.Split has it; ok is false where there is no shorter way than from the top.
func (d *disk) nearDir(dir string) (_ nearDir, ok bool) {
	if dir == "" {
		return nearDir{}, false
	}
	n := &d.dirs
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	if is, ok := n.open[dir]; ok && now.Sub(is.at) < trusted {
		return is, true
	}
	n.drop(func(is nearDir) bool { return len(n.open) >= mostNear || now.Sub(is.at) >= trusted })
	root, err := d.root.OpenRoot(dir)
	if err != nil { // whoever goes there from the top hears why
		return nearDir{}, false
	}
	self, err := root.Open(".")
	if err != nil {
		root.Close()
		return nearDir{}, false
	}
	if n.open == nil {
		n.open = map[string]nearDir{}
	}
	is := nearDir{root, self, now}
	n.open[dir] = is
	if n.sweep == nil {
		n.sweep = time.AfterFunc(trusted, n.tidy)
	}
	return is, true
}

// tidy closes those that are not trusted any more.
func (n *nearDirs) tidy() {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	n.drop(func(is nearDir) bool { return now.Sub(is.at) >= trusted })
	if n.sweep = nil; len(n.open) > 0 {
		n.sweep = time.AfterFunc(trusted, n.tidy)
	}
}

// near returns the directory of a name, and what the name is called there; the top and the name itself where there is no shorter way.
func (d *disk) near(name string) (*os.Root, string) {
	dir, base := filepath.Split(name)
	if is, ok := d.nearDir(dir); ok && base != "" {
		return is.root, base
	}
	return d.root, name
}

// drop closes those of which over is true. Who is just using one does so to the end; who comes too late goes from the top.
func (n *nearDirs) drop(over func(nearDir) bool) {
	for dir, is := range n.open {
		if over(is) {
			delete(n.open, dir)
			is.close()
		}
	}
}

// forget closes all, for a name may lead elsewhere now.
func (n *nearDirs) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.drop(func(nearDir) bool { return true })
}

// do has f do something in the directory of a name. What fails there is tried from the top, where links are followed that lead
// to another directory of the Disk, and none that leads out.
func (d *disk) do(name string, f func(r *os.Root, name string) error) error {
	r, base := d.near(name)
	err := f(r, base)
	if err == nil || r == d.root {
		return err
	}
	if err = f(d.root, name); err == nil {
		d.dirs.forget() // what is open may have been removed
	}
	return err
}

// look is do for what only looks: there, nothing is an answer.
func (d *disk) look(name string, f func(r *os.Root, name string) (fs.FileInfo, error)) (fs.FileInfo, error) {
	r, base := d.near(name)
	i, err := f(r, base)
	if err != nil && r != d.root && !errors.Is(err, fs.ErrNotExist) {
		i, err = f(d.root, name)
	}
	return i, err
}

// openFile opens a file in the directory of its name.
func (d *disk) openFile(name string, flags int, mode fs.FileMode) (f *os.File, err error) {
	err = d.do(name, func(r *os.Root, name string) (err error) {
		f, err = r.OpenFile(name, flags, mode)
		return err
	})
	return f, err
}

package client

import (
	"sync"
	"time"

	"sampan/files"
	"sampan/words"
)

// dialed is what every remote keeps of how it was dialed, whatever it speaks.
type dialed struct {
	url URL

	mu       sync.Mutex
	opts     Options
	user     string
	password string
	known    bool // password was found or asked for
	home     files.Path
	closed   bool
	jump     bool // a server on the way to another: what the environment says of passwords is not meant for it
}

// say passes on a remark.
func (d *dialed) say(m words.Message) {
	if say := d.options().Say; say != nil {
		say(m)
	}
}

func (d *dialed) options() Options {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.opts
}

func (d *dialed) trace() func(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.opts.Trace
}

func (d *dialed) timeout() time.Duration {
	if t := d.options().Timeout; t > 0 {
		return t
	}
	return 30 * time.Second
}

// URL returns what was dialed, without the password.
func (d *dialed) URL() URL {
	u := d.url
	u.Pass = ""
	return u
}

// Home returns the directory that the server put us in.
func (d *dialed) Home() files.Path {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.home
}

// Tune changes options from the next command on.
func (d *dialed) Tune(change func(*Options)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.opts)
}

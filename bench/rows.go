//go:build linux

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// A row is one line of the table: what every server is asked to do, and how that is counted.
type row struct {
	name   string
	title  string
	unit   string
	less   bool    // the smaller figure is the better one
	goal   float64 // how many times better than the best peer it is to be; 0 if a row has no such goal
	most   float64 // what the figure itself is to be at most; 0 if there is no such goal
	per    string  // what processor time is told for
	secure bool
	sftp   bool   // over SSH
	than   string // the row whose best peer the ratio is to; "" for this one
	strict bool   // our strict server takes part, with its files on the disk
	mlsd   bool
	ours   bool                          // nobody else is asked
	fresh  bool                          // nobody logged in before
	before func(*site, *sizes) error     // before the server starts; may be nil
	run    func(*trial) (measure, error) // what is measured
}

// sizes is how much every row moves.
type sizes struct {
	big      int64 // bytes of the big file
	files    int   // small files in a row
	entries  int   // of the directory that is listed
	sessions int   // idle ones
	logins   int
	accounts int // for cold log-ins
	settle   time.Duration
}

// smallSize is what a small file has.
const smallSize = 4 << 10

// A trial is one server, freshly started for one row.
type trial struct {
	*site
	sizes *sizes
	at    netip.AddrPort
	dial  func() (*client, error) // connects, and begins TLS in a row of TLS
	proc  *process
}

// A measure is the figure of one run.
type measure struct {
	Value float64
	CPU   float64 // seconds of processor for each unit of row.per
}

// rows returns the table.
func rows(z *sizes) []row {
	var t []row
	for _, secure := range []bool{false, true} {
		for _, up := range []bool{false, true} {
			for _, streams := range []int{1, 4} {
				t = append(t, bigRow(secure, up, streams))
			}
		}
	}
	for _, c := range []struct {
		up, secure bool
		streams    int
		goal       float64
	}{
		{false, false, 1, 1.3},
		{false, false, 8, 1.1},
		{true, false, 1, 1.3},
		{true, false, 8, 1.1},
		{false, true, 8, 1.05},
		{true, true, 8, 1.25},
	} {
		t = append(t, smallRow(c.up, c.secure, c.streams, c.goal))
	}
	t = append(t, blockRow(false, false, 3), blockRow(true, false, 3), blockRow(false, true, 20), blockRow(true, true, 20))
	t = append(t,
		row{
			name: "list", title: fmt.Sprintf("LIST of %d entries", z.entries), unit: "ms", less: true, goal: 1.5,
			per: "listing", run: func(t *trial) (measure, error) { return t.listing("LIST many") },
		},
		row{
			name: "mlsd", title: fmt.Sprintf("MLSD of %d entries", z.entries), unit: "ms", less: true, goal: 1.5,
			per: "listing", mlsd: true, run: func(t *trial) (measure, error) { return t.listing("MLSD many") },
		},
		row{
			name: "idle", title: fmt.Sprintf("%d idle sessions, plain", z.sessions), unit: "KiB each", less: true,
			most: 8, fresh: true, run: (*trial).idleFTP,
		},
		row{
			name: "idle-tls", title: fmt.Sprintf("%d idle sessions, TLS", z.sessions), unit: "KiB each", less: true,
			most: 40, secure: true, fresh: true, run: (*trial).idleFTP,
		},
		row{
			name: "login", title: "connect, log in, quit, 8 at a time, plain", unit: "/s", goal: 1.5, per: "1000 log-ins",
			run: func(t *trial) (measure, error) { return t.logins(t.sizes.logins) },
		},
		row{
			name: "login-tls", title: "connect, log in, quit, 8 at a time, TLS", unit: "/s", goal: 1.5, per: "1000 log-ins",
			secure: true, run: func(t *trial) (measure, error) { return t.logins(t.sizes.logins / 2) },
		},
		row{
			name: "login-cold", title: "the same, passwords not seen before (argon2id)", unit: "/s", per: "1000 log-ins",
			ours: true, before: addAccounts, run: (*trial).coldLogins,
		},
	)
	return append(t, sftpRows(z)...)
}

func direction(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

func cover(secure bool) (short, long string) {
	if secure {
		return "-tls", "TLS 1.3"
	}
	return "", "plain"
}

func bigRow(secure, up bool, streams int) row {
	goals := map[string]float64{
		"big-down-1": 1.2, "big-down-4": 1.1, "big-up-1": 1.0, "big-up-4": 1.05,
		"big-down-tls-1": 1.25, "big-down-tls-4": 1.15, "big-up-tls-1": 1.05, "big-up-tls-4": 1.05,
	}
	short, long := cover(secure)
	name := fmt.Sprintf("big-%s%s-%d", direction(up), short, streams)
	r := row{
		name: name, title: fmt.Sprintf("big file %s, %s, %d×", direction(up), long, streams),
		unit: "MB/s", goal: goals[name], per: "GiB", secure: secure,
		run: func(t *trial) (measure, error) { return t.big(up, streams) },
	}
	if up { // a host takes back soon what nobody uses
		r.before = func(_ *site, z *sizes) error { return touchMemory(int64(streams+1) * z.big) }
	}
	return r
}

func smallRow(up, secure bool, streams int, goal float64) row {
	short, long := cover(secure)
	return row{
		name:  fmt.Sprintf("small-%s%s-%d", direction(up), short, streams),
		title: fmt.Sprintf("4 KiB files %s, %s, %d×", direction(up), long, streams),
		unit:  "files/s", goal: goal, per: "1000 files", secure: secure, strict: up,
		run: func(t *trial) (measure, error) { return t.small(up, streams) },
	}
}

// side runs work n times at once, each with a session of its own that is logged in before and quits after, and returns
// the time from the first beginning to the last end and the server's processor time in between.
func (t *trial) side(n int, work func(c *client, i int) error) (elapsed, cpu time.Duration, err error) {
	clients := make([]*client, n)
	defer func() {
		for _, c := range clients {
			if c != nil {
				c.close()
			}
		}
	}()
	for i := range clients {
		c, err := t.dial()
		if err != nil {
			return 0, 0, err
		}
		clients[i] = c
		if err := c.login(t.user, password); err != nil {
			return 0, 0, err
		}
		c.room()
	}
	used := t.proc.cpu()
	begun := time.Now()
	err = together(n, func(i int) error { return work(clients[i], i) })
	elapsed = time.Since(begun)
	return elapsed, t.proc.cpu() - used, err
}

// together runs work(0) to work(n-1) at once and returns the first error.
func together(n int, work func(int) error) error {
	var (
		all   sync.WaitGroup
		once  sync.Once
		first error
	)
	for i := range n {
		all.Go(func() {
			if err := work(i); err != nil {
				once.Do(func() { first = err })
			}
		})
	}
	all.Wait()
	return first
}

// big moves the big file over each of so many connections.
func (t *trial) big(up bool, streams int) (measure, error) {
	size := t.sizes.big
	content := random(chunk)
	elapsed, cpu, err := t.side(streams, func(c *client, i int) error {
		if up {
			return c.store(fmt.Sprintf("STOR up/big%d", i), content, size)
		}
		n, err := c.skip("RETR big", size)
		if err == nil && n < size-chunk {
			err = fmt.Errorf("RETR big: %d bytes came of %d", n, size)
		}
		return err
	})
	if err == nil && up {
		err = t.arrived(streams, size)
	}
	total := float64(size) * float64(streams)
	return measure{total / 1e6 / elapsed.Seconds(), cpu.Seconds() / (total / (1 << 30))}, err
}

// arrived checks on the disk that so many files of that size were published.
func (t *trial) arrived(count int, size int64) error {
	list, err := os.ReadDir(filepath.Join(t.home, "up"))
	if err != nil {
		return err
	}
	whole := 0
	for _, e := range list {
		if i, err := e.Info(); err == nil && i.Size() == size {
			whole++
		}
	}
	if whole != count {
		return fmt.Errorf("%d files of %d are there", whole, count)
	}
	return nil
}

func smallName(i int) string { return fmt.Sprintf("f%05d", i) }

// small moves many small files, shared out among so many connections.
func (t *trial) small(up bool, streams int) (measure, error) {
	files := t.sizes.files
	content := random(smallSize)
	elapsed, cpu, err := t.side(streams, func(c *client, i int) error {
		for ; i < files; i += streams {
			if up {
				if err := c.store("STOR up/"+smallName(i), content, smallSize); err != nil {
					return err
				}
				continue
			}
			n, err := c.fetch("RETR small/"+smallName(i), nil)
			if err == nil && n != smallSize {
				err = fmt.Errorf("RETR: %d bytes came of %d", n, smallSize)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && up {
		err = t.arrived(files, smallSize)
	}
	return measure{float64(files) / elapsed.Seconds(), cpu.Seconds() / float64(files) * 1000}, err
}

// listing takes a listing some times; the first one, which is counted, warms up.
func (t *trial) listing(command string) (measure, error) {
	const times = 5
	if _, _, err := t.side(1, func(c *client, _ int) error { return t.count(c, command) }); err != nil {
		return measure{}, err
	}
	elapsed, cpu, err := t.side(1, func(c *client, _ int) error {
		for range times {
			if _, err := c.skip(command, 0); err != nil {
				return err
			}
		}
		return nil
	})
	return measure{elapsed.Seconds() * 1000 / times, cpu.Seconds() / times}, err
}

// count checks that every entry is listed.
func (t *trial) count(c *client, command string) error {
	lines := 0
	_, err := c.fetch(command, func(b []byte) { lines += bytes.Count(b, []byte("\n")) })
	if err == nil && lines < t.sizes.entries {
		err = fmt.Errorf("%s: %d lines came of %d", command, lines, t.sizes.entries)
	}
	return err
}

// idle measures what a session that does nothing costs: what the server grew by since nobody had logged in. enter makes one.
func (t *trial) idle(enter func() (end func(), err error)) (measure, error) {
	n := t.sizes.sessions
	before, err := t.proc.memory()
	if err != nil {
		return measure{}, err
	}
	ends := make([]func(), n)
	defer func() {
		for _, end := range ends {
			if end != nil {
				end()
			}
		}
	}()
	err = together(workers, func(w int) (err error) {
		for i := w; i < n && err == nil; i += workers {
			ends[i], err = enter()
		}
		return err
	})
	if err != nil {
		return measure{}, err
	}
	time.Sleep(t.sizes.settle)
	after, err := t.proc.memory()
	return measure{Value: float64(after-before) / 1024 / float64(n)}, err
}

// idleFTP is idle with control connections of FTP.
func (t *trial) idleFTP() (measure, error) {
	return t.idle(func() (func(), error) {
		c, err := t.dial()
		if err != nil {
			return nil, err
		}
		return c.close, c.enter(t.user, password)
	})
}

// workers is how many log in at a time.
const workers = 8

// enough is when a row of log-ins ends that did not come to its number.
const enough = 5 * time.Second

// logins connects, logs in and quits, n times.
func (t *trial) logins(n int) (measure, error) {
	return t.enter(n, func(int) string { return t.user })
}

func (t *trial) enter(n int, user func(int) string) (measure, error) {
	used := t.proc.cpu()
	begun := time.Now()
	var done atomic.Int64
	err := together(workers, func(w int) error {
		for i := w; i < n && time.Since(begun) < enough; i += workers {
			c, err := t.dial()
			if err != nil {
				return err
			}
			if err := c.enter(user(i), password); err != nil {
				c.close()
				return err
			}
			if err := c.quit(); err != nil {
				return err
			}
			done.Add(1)
		}
		return nil
	})
	elapsed := time.Since(begun)
	cpu := t.proc.cpu() - used
	count := float64(done.Load())
	return measure{count / elapsed.Seconds(), cpu.Seconds() / count * 1000}, err
}

func coldName(i int) string { return fmt.Sprintf("cold%03d", i) }

// addAccounts makes accounts that nobody logged in to yet.
func addAccounts(s *site, z *sizes) error {
	for i := range z.accounts {
		if _, err := os.Stat(s.path(coldName(i))); err == nil {
			continue
		}
		other := *s
		other.home = s.path(coldName(i))
		if err := addUser(&other, coldName(i)); err != nil {
			return err
		}
	}
	return nil
}

func (t *trial) coldLogins() (measure, error) { return t.enter(t.sizes.accounts, coldName) }

// random returns n bytes that no server can make smaller.
func random(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b)
	return b
}

//go:build linux

// Command bench measures Sampan's server beside others, on loopback: vsftpd, ProFTPD, Pure-FTPd and pyftpdlib over FTP,
// OpenSSH and ProFTPD over SFTP. It starts each of them itself, freshly for every measurement, one after the other in
// turns, checks first that each moves bytes as they are, and prints medians as a table in Markdown, with the ratio to the
// best peer of each row. docs/performance.md tells what the figures mean. Run it as root from the top of the module:
//
//	go run ./bench -root "$(scripts/bench-peers)"
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

type options struct {
	sizes            sizes
	runs             int
	rows, peers      string
	root, sampan     string
	memory, disk     string
	svg, keep        string
	profiles         string
	patience         int
	limits, listOnly bool
	long             bool
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse() *options {
	o := &options{}
	flag.IntVar(&o.runs, "runs", 5, "measurements of each row and server; the median counts")
	flag.StringVar(&o.rows, "rows", "", "rows to measure, by name or beginning of the name, with commas (all)")
	flag.StringVar(&o.peers, "peers", "", "servers to measure, with commas (all)")
	flag.StringVar(&o.root, "root", "", "where the peers' packages are unpacked; without it only Sampan is measured")
	flag.StringVar(&o.sampan, "sampan", "", "the sampan program; without it it is built")
	flag.StringVar(&o.memory, "memory", "/dev/shm", "a directory in memory, for the files")
	flag.StringVar(&o.disk, "disk", os.TempDir(), "a directory on a disk, for durable uploads")
	flag.StringVar(&o.svg, "svg", "", "write a chart to this file")
	flag.StringVar(&o.keep, "keep", "", "keep the figures in this file: rows that are measured replace those in it, the others stay in the tables")
	flag.StringVar(&o.profiles, "perf", "", "record every measurement of Sampan with perf(1) to a file in this directory")
	flag.IntVar(&o.patience, "patience", 10, "how often a measurement that others disturbed is made again")
	flag.BoolVar(&o.limits, "limits", false, "measure what bounds every server on this machine, and nothing else")
	flag.BoolVar(&o.long, "long", false, "measure clients over a long link, and nothing else; rows long-tree-… and long-big-…")
	flag.BoolVar(&o.listOnly, "list", false, "name the rows and servers, and do nothing")
	flag.Int64Var(&o.sizes.big, "big", 1<<30, "bytes of the big file")
	flag.IntVar(&o.sizes.files, "files", 5000, "small files of a row")
	flag.IntVar(&o.sizes.entries, "entries", 50_000, "entries of the directory that is listed")
	flag.IntVar(&o.sizes.sessions, "sessions", 1000, "idle sessions")
	flag.IntVar(&o.sizes.logins, "logins", 2000, "log-ins of a row; half of it over TLS")
	flag.IntVar(&o.sizes.accounts, "accounts", 64, "accounts for log-ins with passwords not seen before")
	flag.DurationVar(&o.sizes.settle, "settle", 5*time.Second, "how long sessions are idle before memory is read")
	flag.Parse()
	return o
}

func run() error {
	o := parse()
	// Each blocking socket may hold one.
	runtime.GOMAXPROCS(4 * workers)
	if o.limits {
		return limits(os.Stdout, o.memory, o.disk, o.runs)
	}
	if o.long {
		return o.withBinary(func() error { return long(os.Stdout, o) })
	}
	table, chosen, err := o.choose()
	if err != nil {
		return err
	}
	if o.listOnly {
		for _, r := range table {
			fmt.Printf("%-16s %s\n", r.name, r.title)
		}
		for _, s := range chosen {
			fmt.Println(s.name)
		}
		return nil
	}
	if os.Getuid() != 0 {
		return errors.New("the peers serve accounts of their own only as root")
	}
	return o.withBinary(func() error { return o.servers(table, chosen) })
}

// withBinary builds the sampan program, if none was given, for as long as f runs.
func (o *options) withBinary(f func() error) error {
	if o.sampan == "" {
		build, err := os.MkdirTemp("", "sampan-bench-build-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(build)
		o.sampan = filepath.Join(build, "sampan")
		cmd := exec.Command("go", "build", "-trimpath", "-o", o.sampan, ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building sampan: %w\n%s", err, out)
		}
	}
	return f()
}

// servers measures the rows, and prints what was measured.
func (o *options) servers(table []row, chosen []*server) error {
	l := &lab{sizes: &o.sizes, env: environment{sampan: o.sampan, peers: o.root}, profiles: o.profiles}
	defer l.cleanOnSignal()()
	defer l.close()
	if err := l.open(o.memory, o.disk, chosen); err != nil {
		return err
	}
	if err := l.verifyAll(); err != nil {
		return err
	}
	results, err := o.measureAll(l, table)
	results.print(os.Stdout) // also what was measured before a failure
	if err == nil && o.svg != "" {
		err = os.WriteFile(o.svg, results.chart(), 0o644)
	}
	return err
}

// choose picks the rows and servers that were asked for.
func (o *options) choose() ([]row, []*server, error) {
	table := rows(&o.sizes)
	if o.rows != "" {
		wanted := strings.Split(o.rows, ",")
		table = slices.DeleteFunc(table, func(r row) bool {
			return !slices.ContainsFunc(wanted, func(w string) bool { return strings.HasPrefix(r.name, w) })
		})
	}
	chosen := servers()
	wanted := strings.Split(o.peers, ",")
	chosen = slices.DeleteFunc(chosen, func(s *server) bool {
		return o.peers != "" && !slices.Contains(wanted, s.name) || o.root == "" && !s.ours
	})
	if len(table) == 0 || len(chosen) == 0 {
		return nil, nil, errors.New("nothing is left to measure; -list names the rows and servers")
	}
	return table, chosen, nil
}

// asked reports whether s takes part in r.
func (r *row) asked(s *server) bool {
	switch {
	case s.strict:
		return r.strict
	case r.ours:
		return s.ours
	case r.sftp:
		return s.sftp != nil
	case s.start == nil:
		return false
	}
	return !r.mlsd || !s.noMLSD
}

// measureAll measures row after row, the servers in turns within each.
func (o *options) measureAll(l *lab, table []row) (*report, error) {
	rep, err := newReport(o, l)
	if err != nil {
		return rep, err
	}
	for _, r := range table {
		rep.begin(&r)
		for i := range o.runs {
			for _, s := range l.sites {
				if !r.asked(s.server) {
					continue
				}
				m, calm, err := o.calmly(l, &r, s)
				if err != nil {
					return rep, err
				}
				fmt.Fprintf(os.Stderr, "%s %s %d: %.4g %s, cpu %.4g\n", r.name, s.name, i+1, m.Value, r.unit, m.CPU)
				rep.add(&r, s.name, m, calm)
			}
		}
		if err := rep.save(o.keep); err != nil {
			return rep, err
		}
	}
	return rep, nil
}

// calmly measures until nobody else disturbs it, or patience is at its end.
func (o *options) calmly(l *lab, r *row, s *site) (m measure, calm bool, err error) {
	const tolerable = 0.1
	least := 1e9
	for i := 0; ; i++ {
		now, share, err := l.measure(r, s)
		if err != nil {
			return m, false, err
		}
		if share < least {
			m, least = now, share
		}
		if least < tolerable || i >= o.patience {
			return m, least < tolerable, nil
		}
		time.Sleep(2 * time.Second)
	}
}

// measure makes one measurement, and tells what share of the machine others used meanwhile.
func (l *lab) measure(r *row, s *site) (measure, float64, error) {
	if r.before != nil {
		if err := r.before(s, l.sizes); err != nil {
			return measure{}, 0, err
		}
	}
	t, err := l.start(s, r.secure, r.sftp)
	if err != nil {
		return measure{}, 0, err
	}
	defer t.end()
	if !r.fresh {
		if err := t.warm(r.sftp); err != nil {
			return measure{}, 0, err
		}
	}
	runtime.GC()
	w := observe(t.proc)
	stop, err := l.profile(r, t)
	if err != nil {
		return measure{}, 0, err
	}
	m, err := r.run(t)
	stop()
	return m, w.disturbed(), t.failed(err)
}

// profile records where our server spends its time, if that is asked for.
func (l *lab) profile(r *row, t *trial) (stop func(), err error) {
	if l.profiles == "" || !t.ours {
		return func() {}, nil
	}
	// cpu-clock is there on virtual machines too.
	cmd := exec.Command("perf", "record", "-q", "-g", "-e", "cpu-clock", "-F", "1999",
		"-o", filepath.Join(l.profiles, r.name+"."+t.name+".data"), "-p", fmt.Sprint(t.proc.cmd.Process.Pid))
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	time.Sleep(time.Second) // until it is attached
	return func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	}, nil
}

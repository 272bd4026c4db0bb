//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is a server that the benchmark started, with all that it started itself.
type process struct {
	cmd  *exec.Cmd
	log  string // a file: what it says
	gone chan struct{}
}

// launch starts a server in dir, with enough file descriptors for thousands of sessions.
func launch(dir string, env []string, name string, args ...string) (*process, error) {
	args = append([]string{"-c", `ulimit -n "$(ulimit -Hn)"; exec "$@"`, "sh", name}, args...)
	p := &process{cmd: exec.Command("/bin/sh", args...), log: filepath.Join(dir, "log"), gone: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.cmd.Wait()
		close(p.gone)
	}()
	return p, nil
}

// stop ends the server and whatever it started.
func (p *process) stop() {
	all := p.tree()
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.gone:
	case <-time.After(3 * time.Second):
	}
	for _, s := range all { // sessions outlive some servers
		if now, err := readStat(s.pid); err == nil && now.started == s.started {
			syscall.Kill(s.pid, syscall.SIGKILL)
		}
	}
	<-p.gone
}

// stat is one process: what /proc/PID/stat says (proc(5)).
type stat struct {
	pid, parent int
	started     uint64
	children    time.Duration // processor time of children that ended
}

// tick is what /proc counts in: USER_HZ, which is 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

func readStat(pid int) (stat, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	_, rest, ok := strings.Cut(string(b), ") ") // the name may hold spaces
	f := strings.Fields(rest)
	if !ok || len(f) < 20 {
		return stat{}, errors.New("/proc/PID/stat is not as it should be")
	}
	number := func(field int) uint64 { // counted from 1, as in proc(5)
		n, _ := strconv.ParseUint(f[field-3], 10, 64)
		return n
	}
	return stat{
		pid: pid, parent: int(number(4)), started: number(22),
		children: time.Duration(number(16)+number(17)) * tick,
	}, nil
}

// tree returns the server and all processes below it.
func (p *process) tree() []stat {
	names, _ := filepath.Glob("/proc/[0-9]*")
	below := map[int][]stat{}
	var all []stat
	for _, name := range names {
		pid, _ := strconv.Atoi(filepath.Base(name))
		s, err := readStat(pid)
		if err != nil {
			continue // it ended
		}
		if pid == p.cmd.Process.Pid {
			all = append(all, s)
		}
		below[s.parent] = append(below[s.parent], s)
	}
	for i := 0; i < len(all); i++ {
		all = append(all, below[all[i].pid]...)
	}
	return all
}

// cpu returns the processor time that the server used so far: of what runs to the nanosecond, for /proc/PID/stat counts
// in ticks, which are too long for a process that serves a few files.
func (p *process) cpu() time.Duration {
	total := time.Duration(0)
	for _, s := range p.tree() {
		total += s.children
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.pid))
		for _, name := range threads {
			var ns int64
			b, _ := os.ReadFile(name)
			fmt.Sscan(string(b), &ns) // 0 if it ended
			total += time.Duration(ns)
		}
	}
	return total
}

// memory returns the proportional set size of the server, in bytes: pages that processes share count once.
func (p *process) memory() (int64, error) {
	total := int64(0)
	for _, s := range p.tree() {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", s.pid))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it ended
		}
		if err != nil {
			return 0, err
		}
		_, rest, ok := strings.Cut(string(b), "\nPss:")
		f := strings.Fields(rest)
		if !ok || len(f) == 0 {
			return 0, errors.New("/proc/PID/smaps_rollup is not as it should be")
		}
		kib, err := strconv.ParseInt(f[0], 10, 64)
		if err != nil {
			return 0, err
		}
		total += kib << 10
	}
	return total, nil
}

//go:build linux

package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// The long link: as far as another continent, over a good line.
const (
	longDelay = 25 * time.Millisecond // each way
	longRate  = 125e6                 // bytes a second
	longFiles = 1000
	longBig   = 200_000_000
)

// A voyage is what one client is asked to do over the long link.
type voyage struct {
	name, title, unit string
	up, tree          bool
	goal              float64 // how many times better than the peer ours is to be
	clients           []traveller
}

// A traveller is a client with its server.
type traveller struct {
	name string
	less int // it takes so many times fewer files, for it would take minutes
	args func(l *longLab, up, tree bool) []string
	ours bool // the server is
}

// voyages returns what is measured. The last of the clients is the one to beat.
func voyages() []voyage {
	sampan := traveller{name: "sampan", args: (*longLab).sampan}
	own := traveller{name: "sampan with sampan", args: (*longLab).sampan, ours: true}
	rsync := traveller{name: "rsync -a", args: (*longLab).rsync}
	sftp := traveller{name: "sftp", args: (*longLab).sftp}
	slow := sftp
	slow.less = 20
	var all []voyage
	for _, up := range []bool{false, true} {
		all = append(
			all,
			voyage{
				"long-tree-" + direction(up), fmt.Sprintf("a tree of %d × 4 KiB %s", longFiles, direction(up)), "files/s",
				up, true, 1,
				[]traveller{sampan, own, slow, rsync},
			},
			voyage{
				"long-big-" + direction(up), fmt.Sprintf("one file of %d MB %s", longBig/1_000_000, direction(up)), "MB/s",
				up, false, 1.5,
				[]traveller{sampan, own, sftp},
			},
		)
	}
	return all
}

// A longLab is a server of OpenSSH and one of ours at the far end of the link, and what the clients need at the near end.
type longLab struct {
	dir    string
	link   *link
	binary string
	me     string
	at     netip.AddrPort // where the server listens that is measured
	ends   []func()
}

// long measures over the long link and prints a table.
func long(w io.Writer, o *options) error {
	for program, from := range map[string]string{"/usr/sbin/sshd": "openssh-server", "sftp": "openssh-client", "rsync": "rsync"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w (Debian: %s)", err, from)
		}
	}
	l := &longLab{binary: o.sampan}
	defer l.close()
	told := make(chan os.Signal, 1)
	signal.Notify(told, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-told
		l.close()
		os.Exit(130)
	}()
	if err := l.open(o.memory); err != nil {
		return err
	}
	fmt.Fprintf(w, "%s, %d processors, Linux %s, %s; %s there and back, %.0f Mbit/s; files in memory; median of %d.\n\n",
		processor(), runtime.NumCPU(), release(), runtime.Version(), 2*longDelay, longRate*8/1e6, o.runs)
	fmt.Fprintf(w, "| over a long link | sampan | sampan with sampan | sftp | rsync -a | sampan / the one to beat | goal |\n|---|---:|---:|---:|---:|---:|---:|\n")
	for _, v := range voyages() {
		if o.rows != "" && !slices.ContainsFunc(strings.Split(o.rows, ","), func(w string) bool { return strings.HasPrefix(v.name, w) }) {
			continue
		}
		f := figures{All: map[string][]measure{}}
		for i := range o.runs {
			for _, t := range v.clients {
				rate, err := l.run(&v, &t)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", v.name, t.name, err)
				}
				fmt.Fprintf(os.Stderr, "%s %s %d: %.4g %s\n", v.name, t.name, i+1, rate, v.unit)
				f.All[t.name] = append(f.All[t.name], measure{Value: rate})
			}
		}
		v.print(w, &line{figures: f})
	}
	return nil
}

func (v *voyage) print(w io.Writer, of *line) {
	fmt.Fprintf(w, "| %s, %s |", v.title, v.unit)
	for _, name := range []string{"sampan", "sampan with sampan", "sftp", "rsync -a"} {
		if m, ok := of.median(name, value); ok {
			fmt.Fprintf(w, " %s |", figure(m))
		} else {
			fmt.Fprint(w, " – |")
		}
	}
	ours, _ := of.median("sampan", value)
	theirs, _ := of.median(v.clients[len(v.clients)-1].name, value)
	fmt.Fprintf(w, " **%.2f** | %.2f |\n", ours/theirs, v.goal)
}

// run copies once, and returns the rate from the start of the client to its end, log-in included.
func (l *longLab) run(v *voyage, t *traveller) (float64, error) {
	l.at = netip.AddrPortFrom(l.link.far.addr, 2222)
	if t.ours {
		l.at = netip.AddrPortFrom(l.link.far.addr, 2022)
	}
	source, amount, size := l.path("home/big"), float64(longBig)/1e6, int64(longBig)
	if v.tree {
		source, amount, size = l.path("home/tree"), longFiles, longFiles*smallSize
		if t.less > 0 {
			source, amount, size = l.path("home/few"), amount/float64(t.less), size/int64(t.less)
		}
	}
	target := l.path("home/out")
	if err := os.RemoveAll(target); err != nil {
		return 0, err
	}
	if err := os.Mkdir(target, 0o755); err != nil {
		return 0, err
	}
	args := t.args(l, v.up, v.tree)
	for i := range args {
		args[i] = strings.NewReplacer("SOURCE", source, "TARGET", target, "NAME", filepath.Base(source)).Replace(args[i])
	}
	begun := time.Now()
	if err := l.command(args...); err != nil {
		return 0, err
	}
	took := time.Since(begun)
	if got, err := weigh(target); err != nil || got != size {
		return 0, fmt.Errorf("%d bytes are there of %d: %w", got, size, err)
	}
	return amount / took.Seconds(), nil
}

// weigh adds up the files below a directory.
func weigh(dir string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		i, err := e.Info()
		total += i.Size()
		return err
	})
	return total, err
}

func (l *longLab) path(name string) string { return filepath.Join(l.dir, name) }

// command runs a client at the near end.
func (l *longLab) command(args ...string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "HOME="+l.dir)
	if l.at.Port() == 2022 { // a password that is given is tried before keys
		cmd.Env = append(cmd.Env, "SAMPAN_PASSWORD="+password)
	}
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := l.link.near.start(cmd); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, said.String())
	}
	return nil
}

// far is the URL of a file at the server; ours has the directory for its home.
func (l *longLab) far(name string) string {
	if l.at.Port() == 2022 {
		return fmt.Sprintf("sftp://%s@%s/%s", userName, l.at, strings.TrimPrefix(name, l.path("home")+"/"))
	}
	return fmt.Sprintf("sftp://%s@%s/%s", l.me, l.at, name)
}

func (l *longLab) sampan(up, tree bool) []string {
	args := []string{l.binary, "get", "--yes"}
	from, to := l.far(l.path("home/NAME")), "TARGET/NAME"
	if up {
		args[1] = "put"
		from, to = "SOURCE", l.far(l.path("home/out/NAME"))
	}
	if tree {
		args = append(args, "-r")
	}
	return append(args, from, to)
}

func (l *longLab) rsync(up, _ bool) []string {
	there := l.me + "@" + l.at.Addr().String() + ":"
	args := []string{"rsync", "-a", "-e", "ssh -F " + l.path(".ssh/config")}
	if up {
		return append(args, "SOURCE", there+"TARGET/")
	}
	return append(args, there+"SOURCE", "TARGET/")
}

func (l *longLab) sftp(up, _ bool) []string {
	verb := "get"
	if up {
		verb = "put"
	}
	script := fmt.Sprintf("echo %s -r SOURCE TARGET/ | sftp -q -b - -F %s %s@%s", verb, l.path(".ssh/config"), l.me, l.at.Addr())
	return []string{"sh", "-c", script}
}

func (l *longLab) close() {
	for _, end := range slices.Backward(l.ends) {
		end()
	}
}

// open makes the link, the files, the servers and the client's settings.
func (l *longLab) open(memory string) (err error) {
	if l.dir, err = os.MkdirTemp(memory, "sampan-bench-"); err != nil {
		return err
	}
	l.ends = append(l.ends, func() { os.RemoveAll(l.dir) })
	me, err := user.Current()
	if err != nil {
		return err
	}
	l.me = me.Username
	if err := os.Mkdir(l.path("home"), 0o755); err != nil {
		return err
	}
	if l.link, err = openLink(longDelay, longRate); err != nil {
		return err
	}
	l.ends = append(l.ends, l.link.close)
	if err := makeBig(l.path("home/big"), longBig); err != nil {
		return err
	}
	for name, n := range map[string]int{"tree": longFiles, "few": longFiles / 20} {
		if err := os.Mkdir(filepath.Join(l.path("home"), name), 0o755); err != nil {
			return err
		}
		for i := range n {
			if err := os.WriteFile(filepath.Join(l.path("home"), name, smallName(i)), random(smallSize), 0o644); err != nil {
				return err
			}
		}
	}
	for _, dir := range []string{".ssh", "server"} {
		if err := os.Mkdir(l.path(dir), 0o700); err != nil {
			return err
		}
	}
	return errors.Join(l.openSSH(), l.openOurs())
}

// openSSH starts sshd, which takes one key, and writes what a client needs.
func (l *longLab) openSSH() error {
	host, err := makeKey(l.path("server/host"))
	if err != nil {
		return err
	}
	key, err := makeKey(l.path(".ssh/id_ed25519"))
	if err != nil {
		return err
	}
	at := netip.AddrPortFrom(l.link.far.addr, 2222)
	for name, text := range map[string]string{
		"server/conf": fmt.Sprintf("ListenAddress %s\nHostKey %s\nPidFile none\nAuthorizedKeysFile %s\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"+
			"UseDNS no\nSubsystem sftp internal-sftp\n", at, l.path("server/host"), l.path("server/keys")),
		"server/keys":      string(key),
		".ssh/known_hosts": fmt.Sprintf("[%s]:2222 %s", at.Addr(), host),
		".ssh/config": fmt.Sprintf("Host %s\nPort 2222\nUser %s\nIdentityFile %s\nIdentitiesOnly yes\nUserKnownHostsFile %s\n",
			at.Addr(), l.me, l.path(".ssh/id_ed25519"), l.path(".ssh/known_hosts")),
	} {
		if err := os.WriteFile(l.path(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // where sshd goes before it knows who comes
		return err
	}
	return l.serve(at, "/usr/sbin/sshd", "-D", "-e", "-f", l.path("server/conf"))
}

func (l *longLab) openOurs() error {
	s := &site{dir: l.dir, home: l.path("home"), env: &environment{sampan: l.binary}}
	if err := addUser(s, userName); err != nil {
		return err
	}
	at := netip.AddrPortFrom(l.link.far.addr, 2022)
	return l.serve(at, l.binary, "serve", "--data", l.path("data"), "--ftp", "127.0.0.1:2121", "--sftp", at.String(),
		"--durability", "fast", "--log-level", "warn")
}

// serve starts a server at the far end and waits until it can be reached from the near one.
func (l *longLab) serve(at netip.AddrPort, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	log, err := os.Create(l.path(filepath.Base(name) + ".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, l.path("server")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := l.link.far.start(cmd); err != nil {
		return err
	}
	l.ends = append(l.ends, func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for range 100 {
		reached := make(chan error)
		l.link.near.tasks <- func() {
			c, err := net.DialTimeout("tcp", at.String(), 5*time.Second)
			if err == nil {
				c.Close()
			}
			reached <- err
		}
		if err = <-reached; err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	said, _ := os.ReadFile(log.Name())
	return fmt.Errorf("%s does not listen: %w\n%s", name, err, said)
}

// makeKey makes a key and returns the public half as files of ssh have it.
func makeKey(name string) ([]byte, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return nil, err
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	return ssh.MarshalAuthorizedKey(key), os.WriteFile(name, pem.EncodeToMemory(block), 0o600)
}

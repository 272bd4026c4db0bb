package stories

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// watch is a process of its own that sums st_size of a home and its stages every 5 ms, and prints the most that it
// saw when its input ends. TestMain runs it instead of the tests where the variable names a home.
const watchVariable = "STORIES_WATCH"

// entity is one file as long as it lives: the same inode number is used again, but not with the same birth.
type entity struct {
	ino   uint64
	birth unix.StatxTimestamp
}

func watch(home string) {
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	fmt.Println("watching")
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	most, looks := int64(0), 0
	for before := sizes(home); ; looks++ {
		now := sizes(home)
		most = max(most, together(before, now))
		before = now
		select {
		case <-tick.C:
		case <-ended:
			fmt.Println(most, looks)
			return
		}
	}
}

// together is how much there surely was at the moment between two looks: files that both saw were there then, and
// no smaller than the smaller of the two. (One look alone is not taken at one moment: what it saw at its begin may be
// gone when it sees the end.)
func together(before, now map[entity]int64) (n int64) {
	for e, size := range before {
		if later, ok := now[e]; ok {
			n += min(size, later)
		}
	}
	return n
}

func sizes(home string) map[entity]int64 {
	all := map[entity]int64{}
	_ = filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // it went meanwhile
			}
			return err
		}
		if !d.Type().IsRegular() || !counts(home, path) {
			return nil
		}
		var st unix.Statx_t
		if unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st) == nil {
			all[entity{st.Ino, st.Btime}] = int64(st.Size)
		}
		return nil
	})
	return all
}

// startWatch returns what ends the watcher and tells the most that it saw.
func startWatch(t *testing.T, home string) (end func() int64) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), watchVariable+"="+home)
	cmd.Stderr, cmd.SysProcAttr = os.Stderr, dieWithParent()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return func() (most int64) {
		t.Helper()
		in.Close()
		var looks int
		if _, err := fmt.Fscan(lines, &most, &looks); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if looks < 10 {
			t.Errorf("the watcher looked only %d times", looks)
		}
		t.Logf("the watcher looked %d times and saw %d bytes at most", looks, most)
		return most
	}
}

// TestQuotaRace: 16 at once, without ALLO, mixed STOR, APPE, REST, overwrites and renames, while another process sums
// what is on the disk: never above the quota, also after kill -9 and restart; a refused overwrite leaves the old file;
// and the quota can be filled to its last byte.
func TestQuotaRace(t *testing.T) {
	t.Parallel()
	raceForQuota(t, startServer(t), func(r *racer, stop <-chan struct{}) { r.run(stop) })
}

// TestQuotaRaceSFTP is the same over SFTP, with writes in the middle of files, sizes that are set, and two of the 16 over
// FTP in the same home.
func TestQuotaRaceSFTP(t *testing.T) {
	t.Parallel()
	raceForQuota(t, startServer(t, "--sftp", "127.0.0.1:0"), func(r *racer, stop <-chan struct{}) {
		if r.id < 2 {
			r.run(stop)
		} else {
			r.runSFTP(stop)
		}
	})
}

func raceForQuota(t *testing.T, s *server, run func(r *racer, stop <-chan struct{})) {
	const quota = 24 << 20
	seed := seedOf(t)
	s.addUser("alice", "--quota", fmt.Sprint(quota))
	home := s.home("alice")
	end := startWatch(t, home)
	total := &raceCount{}
	for round := range 4 {
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				run(&racer{t: t, s: s, home: home, id: i, rand: rand.New(rand.NewPCG(seed, uint64(round<<8|i))), count: total}, stop)
			})
		}
		time.Sleep(1500 * time.Millisecond)
		if round%2 == 0 {
			s.kill() // in full flight
			close(stop)
			wg.Wait()
			if n := diskUsed(t, home); n > quota {
				t.Errorf("after kill -9 the disk holds %d of %d bytes", n, quota)
			}
			s.start()
		} else {
			close(stop)
			wg.Wait()
		}
		verifyUsed(t, s, "alice")
	}
	if most := end(); most > quota {
		t.Errorf("%d bytes on the disk, where the quota is %d", most, quota)
	} else if most < quota*3/4 {
		t.Errorf("the race came to %d of %d bytes only: it proves little", most, quota)
	}
	t.Logf("%d done, %d over the quota, %d otherwise refused", total.done, total.over, total.refused)
	if total.over < 20 || total.done < 20 {
		t.Errorf("%d done and %d over the quota: the race proves little", total.done, total.over)
	}
}

type raceCount struct {
	mu                  sync.Mutex
	done, over, refused int
}

func (c *raceCount) add(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var r *sftpRefusal
	switch code := codeOf(err); {
	case err == nil:
		c.done++
	case code == 552, overQuota(err):
		c.over++
	case code != 0, errors.As(err, &r):
		c.refused++
	}
}

type racer struct {
	t     *testing.T
	s     *server
	home  string
	id    int
	rand  *rand.Rand
	count *raceCount
}

func (r *racer) run(stop <-chan struct{}) {
	w, err := dialWire(r.s.addr, "")
	if err != nil {
		return
	}
	defer w.close()
	if r.id%4 == 0 {
		c, err := trust(r.s.data)
		if err != nil || w.secure(c) != nil {
			return
		}
	}
	if w.login("alice", "pw-of-alice") != nil {
		return
	}
	for {
		select {
		case <-stop:
			return
		default:
		}
		err := r.step(w)
		r.count.add(err)
		if err != nil && codeOf(err) == 0 {
			return
		}
	}
}

func (r *racer) step(w *wire) error {
	file := func() string { return fmt.Sprintf("r%d-%d", r.id, r.rand.IntN(3)) }
	p := piece{r.rand.Uint64(), r.rand.Int64N(4 << 20)}
	name := file()
	switch r.rand.IntN(10) {
	case 0, 1, 2, 3:
		old, err := look(filepath.Join(r.home, name))
		if err != nil {
			return err
		}
		err = w.put("STOR "+name, 0, p.reader())
		if codeOf(err) == 552 {
			if now, err := look(filepath.Join(r.home, name)); err != nil || now != old {
				r.t.Errorf("a refused overwrite changed %s: %+v, was %+v; %v", name, now, old, err)
			}
		}
		return err
	case 4, 5:
		return w.put("APPE "+name, 0, p.reader())
	case 6:
		old, err := look(filepath.Join(r.home, name))
		if err != nil || old.missing || old.size == 0 {
			return err
		}
		return w.put("STOR "+name, r.rand.Int64N(old.size)+1, p.reader())
	case 7:
		if _, err := w.cmd(350, "RNFR "+name); err != nil {
			return err
		}
		_, err := w.cmd(250, "RNTO "+file())
		return err
	default:
		_, err := w.cmd(250, "DELE "+name)
		return err
	}
}

// overQuota reports whether SFTP refused something for the quota.
func overQuota(err error) bool {
	var r *sftpRefusal
	return errors.As(err, &r) && strings.Contains(r.text, "quota")
}

func (r *racer) runSFTP(stop <-chan struct{}) {
	w, err := dialSFTP(r.s.sftp, "alice", "pw-of-alice")
	if err != nil {
		return
	}
	defer w.close()
	for {
		select {
		case <-stop:
			return
		default:
		}
		err := r.stepSFTP(w)
		r.count.add(err)
		var refused *sftpRefusal
		if err != nil && !errors.As(err, &refused) {
			return
		}
	}
}

func (r *racer) stepSFTP(w *sftpWire) error {
	file := func() string { return fmt.Sprintf("r%d-%d", r.id, r.rand.IntN(3)) }
	p := piece{r.rand.Uint64(), r.rand.Int64N(4 << 20)}
	name := file()
	switch r.rand.IntN(10) {
	case 0, 1, 2, 3:
		old, err := look(filepath.Join(r.home, name))
		if err != nil {
			return err
		}
		err = w.put(name, fxfWrite|fxfCreate|fxfTruncate, 0, p.reader())
		if overQuota(err) {
			if now, err := look(filepath.Join(r.home, name)); err != nil || now != old {
				r.t.Errorf("a refused overwrite changed %s: %+v, was %+v; %v", name, now, old, err)
			}
		}
		return err
	case 4, 5, 6: // in the middle, or behind a gap
		return w.put(name, fxfWrite|fxfCreate, uint64(r.rand.Int64N(2<<20)), p.reader())
	case 7:
		const hasSize = 1
		_, err := w.ask(fxpSetstat, name, uint32(hasSize), uint64(r.rand.Int64N(4<<20)))
		return err
	case 8:
		_, err := w.ask(fxpRename, name, file())
		return err
	default:
		_, err := w.ask(fxpRemove, name)
		return err
	}
}

// TestQuotaToTheLastByte: a home can be filled to its last byte, and not by one more.
func TestQuotaToTheLastByte(t *testing.T) {
	t.Parallel()
	const quota = 3_000_000
	s := startServer(t)
	s.addUser("alice", "--quota", fmt.Sprint(quota))
	h := s.as(t, "alice")
	zeros := func(n int64) io.Reader { return io.LimitReader(zeroReader{}, n) }
	h.check(h.put("STOR a", 0, zeros(2_000_000)))
	h.refused(552, h.put("STOR b", 0, zeros(1_000_001)))
	h.check(dropPart(h, "b"))
	h.check(h.put("STOR b", 0, zeros(999_999)))
	h.refused(552, h.put("APPE b", 0, zeros(2)))
	if n := diskUsed(t, s.home("alice")); n > quota {
		t.Errorf("%d bytes of %d", n, quota)
	}
	h.check(h.put("STOR c", 0, zeros(1)))
	h.refused(552, h.put("STOR d", 0, zeros(1)))
	h.check(h.put("STOR empty", 0, zeros(0)))
	// ALLO is believed where it is honest, and refused early where it cannot be.
	if err := h.put("STOR a", 0, zeros(1)); codeOf(err) != 552 {
		t.Errorf("an overwrite needs room for both versions: %v", err)
	}
	if n := len(read(t, filepath.Join(s.home("alice"), "a"))); n != 2_000_000 {
		t.Errorf("after the refused overwrite the old file has %d bytes", n)
	}
	if used, of, err := parseQuota(h.want(200, "SITE QUOTA")); err != nil || used != quota || of != quota {
		t.Errorf("SITE QUOTA: %d of %d, %v", used, of, err)
	}
	verifyUsed(t, s, "alice")
	s.restart()
	verifyUsed(t, s, "alice")
	r := s.sampan("", "quota", "check", "alice")
	if r.code != 0 {
		t.Errorf("quota check: exit %d\n%s%s", r.code, r.out, r.err)
	}
	// A bigger quota counts at once; so does a smaller one.
	if r := s.sampan("", "quota", "set", "alice", "4M"); r.code != 0 {
		t.Fatalf("quota set: %s%s", r.out, r.err)
	}
	h = s.as(t, "alice")
	h.check(h.put("STOR d", 0, zeros(1000)))
	if r := s.sampan("", "quota", "set", "alice", "1M"); r.code != 0 {
		t.Fatalf("quota set: %s%s", r.out, r.err)
	}
	h.refused(552, h.put("STOR e", 0, zeros(1)))
	h.want(250, "DELE a")
	h.want(250, "DELE b")
	_ = dropPart(h, "e")
	h.check(h.put("STOR e", 0, zeros(1)))
}

// dropPart removes a part that a refused upload may have left.
func dropPart(h hand, name string) error {
	_, err := h.cmd(250, "DELE "+name)
	if code := codeOf(err); code == 550 {
		return nil
	}
	return err
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestTogether guards the judge of the race: what was not there at the same time is not added up.
func TestTogether(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, sub := range []string{".sampan/stage", ".sampan/part"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "a"), make([]byte, 100))
	write(t, filepath.Join(dir, ".sampan/stage/s"), make([]byte, 30))
	write(t, filepath.Join(dir, ".sampan/part/p"), make([]byte, 5))
	write(t, filepath.Join(dir, ".sampan/ledger"), make([]byte, 1000))
	before := sizes(dir)
	if n := together(before, before); n != 135 {
		t.Errorf("at rest: %d", n)
	}
	if err := os.Rename(filepath.Join(dir, ".sampan/stage/s"), filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "c"), make([]byte, 1<<20))
	if n := together(before, sizes(dir)); n != 35 {
		t.Errorf("after a rename, a removal and a new file: %d", n)
	}
	if n := diskUsed(t, dir); n != 35+1<<20 {
		t.Errorf("on the disk: %d", n)
	}
}

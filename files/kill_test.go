package files

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The test binary is also the process that is killed: with killDir set it works on that home until then.
const killDir, killSeed = "SAMPAN_TEST_KILL_DIR", "SAMPAN_TEST_KILL_SEED"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killDir); dir != "" {
		seed, _ := strconv.ParseUint(os.Getenv(killSeed), 10, 64)
		workUntilKilled(dir, seed)
		return
	}
	os.Exit(m.Run())
}

// versionOf is what version v of name holds.
func versionOf(name string, v int) string {
	r := rand.New(rand.NewPCG(uint64(v), 5))
	return strings.Repeat(fmt.Sprintf("%s %d,", name, v), r.IntN(20000))
}

const killers, killNames = 4, 3

// workUntilKilled writes version after version of a few names, by put, append, cut and resume, rename and remove, and
// tells on stdout what it begins ("- name version") and what it was told is done ("+ name version"). Version 0 is
// no file.
func workUntilKilled(dir string, seed uint64) {
	h, err := OpenHome(dir, Options{Strict: true, Quota: 8 << 20})
	if err != nil {
		fmt.Println("! OpenHome:", err)
		return
	}
	var out sync.Mutex
	say := func(mark, name string, v int) {
		out.Lock()
		defer out.Unlock()
		fmt.Println(mark, name, v)
	}
	var all sync.WaitGroup
	for w := range killers {
		all.Go(func() {
			l := h.As("a")
			r := rand.New(rand.NewPCG(seed, uint64(w)))
			for v := 1; ; v++ {
				name := fmt.Sprintf("w%d-%d", w, r.IntN(killNames))
				told := v
				if r.IntN(8) == 0 {
					told = 0
				}
				say("-", name, told)
				if err := bringAbout(l, name, told, r); err != nil {
					fmt.Println("!", name, told, err)
					return
				}
				say("+", name, told)
			}
		})
	}
	all.Wait()
}

// bringAbout makes name hold version v, one way or another.
func bringAbout(l *Local, name string, v int, r *rand.Rand) error {
	ctx := context.Background()
	if v == 0 {
		if err := l.Remove(ctx, mustPath(name)); err != nil && !missing(err) && !strings.Contains(err.Error(), "no such") {
			return err
		}
		return nil
	}
	data := versionOf(name, v)
	half := data[:len(data)/2]
	switch r.IntN(3) {
	case 0: // cut, then resumed
		if half != "" {
			if err := cut(name, half).run(ctx, l); err != nil {
				return err
			}
			return more(name, half, data[len(half):], true, true).run(ctx, l)
		}
		return put(name, data).run(ctx, l)
	case 1: // under another name, then renamed over it
		if err := put(name+".new", data).run(ctx, l); err != nil {
			return err
		}
		return l.Rename(ctx, mustPath(name+".new"), mustPath(name), true)
	default:
		return put(name, data).run(ctx, l)
	}
}

// TestKill9 kills a process in the middle of its work, again and again.
func TestKill9(t *testing.T) {
	t.Parallel()
	k := &killing{dir: filepath.Join(tempHome(t), "h"), boot: bootID(), cut: func(p *os.Process) error { return p.Kill() }}
	k.rounds(t, killRounds)
}

// killing is a row of rounds of work that is cut. What the worker was told is done must be there, every file is some
// whole version, the books are exact, and no part is anything but the head of a version.
type killing struct {
	dir    string
	boot   string                    // in which the home is opened afterwards
	cut    func(p *os.Process) error // ends the work
	mended func()                    // called when the process is gone; may be nil

	begun, done map[string]int
}

func (k *killing) rounds(t *testing.T, n int) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for round := range n {
		k.begun, k.done = map[string]int{}, map[string]int{}
		k.once(t, seed+uint64(round))
		if k.mended != nil {
			k.mended()
		}
		h, err := openHome(k.dir, Options{Strict: true, Quota: 8 << 20}, k.boot, nil)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		t.Cleanup(h.shut) // for a check that fails
		k.check(t, h)
		names, _ := onDisk(t, k.dir)
		for name := range names { // the next round starts from nothing, but for the parts
			if name == "lost+found/" {
				continue
			}
			if err := h.As("a").Remove(context.Background(), mustPath(name)); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
}

func (k *killing) check(t *testing.T, h *Home) {
	t.Helper()
	checkUsed(t, h, k.dir)
	names, _ := onDisk(t, k.dir)
	for name, v := range k.begun {
		if got, there := names[name]; !isVersion(name, v, got, there) && !isVersion(name, k.done[name], got, there) {
			t.Errorf("%s is there: %t, %.40q…; want version %d or %d", name, there, got, k.done[name], v)
		}
	}
	for name, data := range h.partsOf(t, "a") {
		if name = strings.TrimSuffix(name, ".new"); !isHead(name, data) {
			t.Errorf("the part of %s is %.40q…", name, data)
		}
	}
}

// isHead reports whether data is the head of the version of name that it says to be.
func isHead(name, data string) bool {
	text, ok := strings.CutPrefix(data, name+" ")
	number, _, whole := strings.Cut(text, ",")
	v, err := strconv.Atoi(number)
	if !ok || !whole || err != nil {
		return len(data) < len(name)+8 && strings.HasPrefix(name+" 0000000", data[:min(len(data), len(name)+1)])
	}
	return strings.HasPrefix(versionOf(name, v), data)
}

// isVersion reports whether got is version v of name; version 0 is not there.
func isVersion(name string, v int, got string, there bool) bool {
	if v == 0 {
		return !there
	}
	return there && got == versionOf(name, v)
}

// once lets the process work until it said some lines, cuts it, and notes what it said until then.
func (k *killing) once(t *testing.T, seed uint64) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), killDir+"="+k.dir, killSeed+"="+strconv.FormatUint(seed, 10))
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	left := rand.New(rand.NewPCG(seed, 99)).IntN(120) + 2
	for lines.Scan() {
		var mark, name string
		var v int
		if n, err := fmt.Sscan(lines.Text(), &mark, &name, &v); n != 3 || err != nil || mark == "!" {
			if left > 0 {
				t.Errorf("it said %q", lines.Text())
			}
			continue
		}
		if mark == "-" {
			k.begun[name] = v
		} else {
			k.done[name] = v
		}
		if left--; left == 0 {
			if err := k.cut(cmd.Process); err != nil {
				t.Error(err)
			}
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

//go:build long

package stories

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	ext4IocShutdown       = 0x8004587d // _IOR('X', 125, __u32)
	ext4ShutdownNoFlush   = 2          // EXT4_GOING_FLAGS_NOLOGFLUSH: what the journal has not written is lost
	powerCuts, powerImage = 20, 3 << 30
)

// TestPowerCut: the file system under the server is cut off as by a power cut, 20 times, with 8 writers at work.
// After the journal's replay nothing acknowledged is missing or torn, and the quota is the disk's.
func TestPowerCut(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("a loop device needs root")
	}
	dir := t.TempDir()
	image, mount := filepath.Join(dir, "image"), filepath.Join(dir, "mount")
	f, err := os.Create(image)
	if err == nil {
		err = f.Truncate(powerImage)
		f.Close()
	}
	if err == nil {
		err = os.Mkdir(mount, 0o777)
	}
	if err != nil {
		t.Fatal(err)
	}
	root := func(argv ...string) {
		t.Helper()
		if r := runIn(t, dir, "", argv...); r.code != 0 {
			t.Fatalf("%v: exit %d\n%s%s", argv, r.code, r.out, r.err)
		}
	}
	root("mkfs.ext4", "-q", "-F", image)
	root("mount", "-o", "loop", image, mount)
	t.Cleanup(func() { _ = unix.Unmount(mount, unix.MNT_DETACH) })

	seed := seedOf(t)
	random := rand.New(rand.NewPCG(seed, 77))
	s := newServerIn(t, mount)
	// Behind a power cut the system has another boot id; the server sees one of the test's making.
	boot := filepath.Join(dir, "boot_id")
	s.wrap = []string{"unshare", "-m", "sh", "-c", `mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"`, boot}
	write(t, boot, []byte("00000000-0000-4000-8000-000000000000\n"))
	s.start()
	s.addUser("alice", "--quota", "1G")
	fleet := newFleet(t, s, seed, 8, 20<<20)
	for i := range powerCuts {
		fleet.round(func() {
			time.Sleep(time.Duration(100+random.IntN(1000)) * time.Millisecond)
			shutdown(t, mount)
			s.kill()
		})
		root("umount", mount)
		root("mount", "-o", "loop", image, mount)
		write(t, boot, fmt.Appendf(nil, "00000000-0000-4000-8000-%012d\n", i+1))
		s.start()
		fleet.verify(s.home("alice"))
		verifyUsed(t, s, "alice")
		if t.Failed() {
			break
		}
	}
	t.Logf("%d power cuts, %d acknowledged, %d parts proved", fleet.cuts, fleet.acked, fleet.parts)
	if fleet.acked < fleet.cuts {
		t.Errorf("only %d commands were acknowledged", fleet.acked)
	}
	s.stop()
	root("umount", mount)
}

// shutdown cuts the file system off: nothing reaches the disk from here on.
func shutdown(t *testing.T, mount string) {
	t.Helper()
	d, err := os.Open(mount)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := unix.IoctlSetPointerInt(int(d.Fd()), ext4IocShutdown, ext4ShutdownNoFlush); err != nil {
		t.Fatalf("the shutdown ioctl: %v", err)
	}
}

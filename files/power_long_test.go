//go:build long && linux

package files

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPowerCut works on an ext4 of its own, which is shut down as a power cut would: what was not synced is gone. It
// needs root and a loop device.
func TestPowerCut(t *testing.T) {
	base := t.TempDir()
	image, mnt := filepath.Join(base, "disk"), filepath.Join(base, "mnt")
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v: %s", name, args, err, out)
		}
	}
	if err := os.Mkdir(mnt, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 128<<20); err != nil {
		t.Fatal(err)
	}
	run("mkfs.ext4", "-q", "-F", image)
	run("mount", "-o", "loop", image, mnt)
	t.Cleanup(func() { run("umount", mnt) })
	k := &killing{
		dir: filepath.Join(mnt, "h"), boot: "another boot",
		cut: func(*os.Process) error { return shutDown(mnt) },
		mended: func() {
			run("umount", mnt)
			run("mount", "-o", "loop", image, mnt)
		},
	}
	k.rounds(t, 30)
}

// shutDown stops the file system without a flush of its journal (EXT4_GOING_FLAGS_NOLOGFLUSH).
func shutDown(mnt string) error {
	f, err := os.Open(mnt)
	if err != nil {
		return err
	}
	defer f.Close()
	const ext4Shutdown, noLogFlush = 0x8004587d, 2
	return unix.IoctlSetPointerInt(int(f.Fd()), ext4Shutdown, noLogFlush)
}

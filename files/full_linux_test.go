package files

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sampan/fault"
)

// smallDisk is a disk of 1 MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	disk := t.TempDir()
	if err := unix.Mount("none", disk, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("needs to mount a file system: ", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	return disk
}

// TestFullDiskIsNoCut: what an upload finds is told as a full disk, however its bytes come, for who takes it for a broken
// connection sends them again and again. Nothing of it stays, or the disk would stay full.
func TestFullDiskIsNoCut(t *testing.T) {
	for _, how := range []string{"spliced", "by hand", "written"} {
		t.Run(how, func(t *testing.T) {
			h, err := OpenHome(filepath.Join(smallDisk(t), "home"), Options{Strict: true, Quota: -1})
			if err != nil {
				t.Fatal(err)
			}
			s, p := h.As("a"), mustPath("big")
			u, err := s.Create(t.Context(), p, Want{Size: -1})
			if err != nil {
				t.Fatal(err)
			}
			near, far := pair(t)
			go func() {
				_, _ = far.Write(make([]byte, 4<<20))
				far.Close()
			}()
			switch how {
			case "spliced":
				_, err = u.(io.ReaderFrom).ReadFrom(near)
			case "by hand":
				_, err = u.(io.ReaderFrom).ReadFrom(struct{ io.Reader }{near})
			case "written":
				_, err = io.Copy(struct{ io.Writer }{u}, near)
			}
			near.Close()
			if fault.KindOf(err) != fault.NoSpace {
				t.Errorf("it says %v", err)
			}
			if err := u.Close(); err != nil {
				t.Error(err)
			}
			if i, err := s.Stat(t.Context(), p); fault.KindOf(err) != fault.NotExist {
				t.Errorf("%+v stays, %v", i, err)
			}
			u, err = s.Create(t.Context(), mustPath("small"), Want{Size: -1})
			if err == nil {
				_, err = u.Write(make([]byte, 256<<10))
			}
			if err == nil {
				_, err = u.Commit(t.Context(), nil)
			}
			if err != nil {
				t.Error("a file that fits: ", err)
			}
			if err := h.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// pair returns both ends of a TCP connection.
func pair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err == nil {
		b, err = l.Accept()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// TestFullDiskCanBeEmptied: each removal needs a record in the ledger, and each opening of a home a new one. Both must
// go on a disk without one free byte, else nobody could make room any more.
func TestFullDiskCanBeEmptied(t *testing.T) {
	disk := smallDisk(t)
	dir := filepath.Join(disk, "home")
	h, err := OpenHome(dir, Options{Strict: true, Quota: -1})
	if err != nil {
		t.Fatal(err)
	}
	const n = 100
	name := func(i int) Path { return mustPath(fmt.Sprintf("%s-%d", strings.Repeat("x", 150), i)) }
	for i := range n {
		u, err := h.As("a").Create(t.Context(), name(i), Want{Size: -1})
		if err == nil {
			_, err = u.Write([]byte("x"))
		}
		if err == nil {
			_, err = u.Commit(t.Context(), nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	fill := func() {
		t.Helper()
		f, err := os.OpenFile(filepath.Join(disk, "other"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
		}
	}
	for i := range n {
		fill()
		if i%10 == 9 { // also behind a kill
			h.shut()
			if h, err = OpenHome(dir, Options{Strict: true, Quota: -1}); err != nil {
				t.Fatal(err)
			}
			fill()
		}
		if err := h.As("a").Remove(t.Context(), name(i)); err != nil {
			t.Fatalf("removal %d: %v", i, err)
		}
	}
	fill()
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}

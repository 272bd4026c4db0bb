package ftpd

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// TestZeroCopy counts system calls: a plain upload goes from the socket to the file by splice, a plain download from the
// file to the socket by sendfile, and no byte of either comes through this process, but for the beginning of an upload, which
// may be all of it.
func TestZeroCopy(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		run, call string
		times     int64 // how often each byte goes through the call: splice has a pipe in between
	}{
		{"^TestLargeUpload$", "splice", 2},
		{"^TestLargeDownload$", "sendfile", 1},
	} {
		t.Run(test.call, func(t *testing.T) {
			t.Parallel()
			moved := count(t, test.run)
			if got, want := moved[test.call], test.times*(large-256<<10); got < want {
				t.Errorf("%s moved %d bytes of %d: %v", test.call, got, want, moved)
			}
		})
	}
}

// count runs a test of this binary under strace and returns how many bytes each system call moved.
func count(t *testing.T, run string) map[string]int64 {
	t.Helper()
	out := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command("strace", "-f", "-qq", "-e", "trace=splice,sendfile", "-e", "signal=none", "-o", out,
		os.Args[0], "-test.run="+run, "-test.count=1")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	call := regexp.MustCompile(`(?:^\d+ +|<\.\.\. )(splice|sendfile).*= (\d+)$`)
	moved := map[string]int64{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if m := call.FindStringSubmatch(lines.Text()); m != nil {
			n, err := strconv.ParseInt(m[2], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			moved[m[1]] += n
		}
	}
	return moved
}

package stories

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// trace attaches strace to a running server and returns what ends it and gives the calls, in order.
func trace(t *testing.T, s *server, calls string) (end func() []string) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatal("strace is not installed; scripts/install-test-deps installs it")
	}
	out := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command("strace", "-f", "-y", "-s", "64", "-o", out, "-e", "trace="+calls, "-e", "signal=none", "-p", fmt.Sprint(s.cmd.Process.Pid))
	cmd.SysProcAttr = dieWithParent()
	notes, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(notes)
	line, err := lines.ReadString('\n')
	if err != nil || !strings.Contains(line, "attached") {
		t.Fatalf("strace: %q, %v", line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	return func() []string {
		t.Helper()
		_ = cmd.Process.Signal(os.Interrupt)
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(patience):
			t.Fatal("strace did not end")
		}
		return strings.Split(string(read(t, out)), "\n")
	}
}

// find returns the index of the first call at or behind from that matches and was finished there; -1 if none does.
// A call that strace shows in two halves counts where its second half stands.
func find(calls []string, from int, pattern string) int {
	re := regexp.MustCompile(pattern)
	open := map[string]bool{} // threads that are inside a matching call
	for i := max(from, 0); i < len(calls); i++ {
		thread, call, ok := strings.Cut(calls[i], " ")
		if !ok {
			continue
		}
		call = strings.TrimSpace(call)
		switch {
		case strings.HasPrefix(call, "<...") && open[thread]:
			return i
		case strings.HasPrefix(call, "<..."):
		case re.MatchString(call):
			if !strings.Contains(call, "<unfinished") {
				return i
			}
			open[thread] = true
		default:
			delete(open, thread)
		}
	}
	return -1
}

// inOrder fails unless each pattern is found behind the one before it.
func inOrder(t *testing.T, calls []string, patterns ...string) {
	t.Helper()
	at := -1
	for _, p := range patterns {
		next := find(calls, at+1, p)
		if next < 0 {
			t.Fatalf("no call %s behind line %d:\n%s", p, at+1, tail(strings.Join(calls, "\n"), 12_000))
		}
		at = next
	}
}

// TestDurabilityOrder: a trace of system calls shows data sync, ledger sync, rename, directory sync, reply, in that
// order; and of a removal and a new directory the directory's sync before the reply.
func TestDurabilityOrder(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.addUser("alice")
	for _, mode := range []string{"plain", "tls"} {
		h := s.as(t, "alice")
		if mode == "tls" {
			h = s.secureAs(t, "alice")
		}
		// The first upload opens the home; what is traced is one like any other.
		h.check(h.put("STOR warm", 0, strings.NewReader("up")))
		h.want(2, "MKD dir-"+mode)
		reply := `^(write|sendto|writev|sendmsg)\(\d+<.*(socket|TCP)`
		code := ""
		if mode == "plain" {
			code = `.*"226`
		}
		name := "dir-" + mode + "/file"
		dir := regexp.QuoteMeta(filepath.Join(s.home("alice"), "dir-"+mode))
		stage := regexp.QuoteMeta(filepath.Join(s.home("alice"), ".sampan", "stage")) + `/[^>]*>`
		ledger := regexp.QuoteMeta(filepath.Join(s.home("alice"), ".sampan", "ledger")) + `[^>]*>`

		end := trace(t, s, "fsync,fdatasync,syncfs,rename,renameat,renameat2,unlinkat,mkdirat,write,writev,sendto,sendmsg,pwrite64")
		h.check(h.put("STOR "+name, 0, strings.NewReader("what is to last")))
		inOrder(t, end(),
			`^(fsync|fdatasync)\(\d+<`+stage,
			`^(fsync|fdatasync)\(\d+<`+ledger,
			`^rename(at|at2)?\(.*"file"`,
			`^(fsync|fdatasync)\(\d+<`+dir+`>`,
			reply+code)

		end = trace(t, s, "fsync,fdatasync,rename,renameat,renameat2,unlinkat,mkdirat,write,writev,sendto,sendmsg,pwrite64")
		h.want(250, "DELE "+name)
		h.want(257, "MKD dir-"+mode+"/sub")
		calls := end()
		inOrder(t, calls, `^(fsync|fdatasync)\(\d+<`+ledger, `^unlinkat\(.*"file"`, `^(fsync|fdatasync)\(\d+<`+dir+`>`, reply)
		inOrder(t, calls, `^mkdirat\(.*"sub"`, `^(fsync|fdatasync)\(\d+<`+dir+`>`, reply)
	}
}

// TestSpliced: a plain upload goes from the socket to the file inside the kernel, as the number of calls shows, but for its
// beginning, which may be all of a small one.
func TestSpliced(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.addUser("alice")
	h := s.as(t, "alice")
	const size = 64 << 20
	end := trace(t, s, "splice,write,pwrite64,read,recvfrom")
	h.check(h.put("STOR big", 0, piece{1, size}.reader()))
	var spliced, copied int
	for _, line := range end() {
		_, call, _ := strings.Cut(line, " ")
		switch call = strings.TrimSpace(call); {
		case strings.HasPrefix(call, "splice("):
			spliced++
		case strings.HasPrefix(call, "write(") && strings.Contains(call, ".sampan/stage"), strings.HasPrefix(call, "pwrite64(") && strings.Contains(call, ".sampan/stage"):
			copied++
		}
	}
	t.Logf("%d calls of splice and %d writes for %d MiB", spliced, copied, size>>20)
	if spliced < 2 || copied > 4 {
		t.Errorf("%d calls of splice and %d writes to the stage: the bytes were copied", spliced, copied)
	}
}

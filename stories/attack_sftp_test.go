//go:build linux

package stories

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMalloryGuessesOverSFTP: wrong passwords over SFTP count as those over FTP do. Who guessed is refused by either, and the
// owner comes in from elsewhere.
func TestMalloryGuessesOverSFTP(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--sftp", "127.0.0.1:0")
	s.addUser("alice")
	began := time.Now()
	// As many as the address may, and two more; one is forgiven a minute.
	for n := 0; n < 14+int(time.Since(began)/time.Minute); n++ {
		if w, err := dialSFTPFrom(s.sftp, "127.0.0.6", "alice", "guess"); err == nil {
			w.close()
			t.Fatal("a wrong password was taken")
		}
	}
	t.Logf("the guesses took %v", time.Since(began).Round(time.Millisecond))
	if w, err := dialSFTPFrom(s.sftp, "127.0.0.6", "alice", "pw-of-alice"); err == nil {
		w.close()
		t.Error("who guessed may go on over SFTP")
	}
	if w, err := dialWire(s.addr, "127.0.0.6"); err == nil {
		if err := w.login("alice", "pw-of-alice"); err == nil {
			t.Error("who guessed over SFTP may go on over FTP")
		}
		w.close()
	}
	w, err := dialSFTPFrom(s.sftp, "127.0.0.8", "alice", "pw-of-alice")
	if err != nil {
		t.Fatalf("the owner, from elsewhere: %v", err)
	}
	defer w.close()
	if err := w.put("f", fxfWrite|fxfCreate, 0, strings.NewReader("the owner's")); err != nil {
		t.Error(err)
	}
}

// TestMalloryOpensAll: directories and files are opened until the server has no descriptor left. Who did it is told; who is in
// goes on behind it, and others come in again when the flood has gone.
func TestMalloryOpensAll(t *testing.T) {
	t.Parallel()
	s := newServer(t, "--sftp", "127.0.0.1:0")
	s.wrap = []string{"prlimit", "--nofile=150:150"}
	s.start()
	s.addUser("alice")
	s.addUser("mallory")
	write(t, filepath.Join(s.home("mallory"), "f"), []byte("content"))
	in := s.as(t, "alice")
	w, err := dialSFTP(s.sftp, "mallory", "pw-of-mallory")
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	refused := 0
	for i := range 400 {
		var err error
		if i%2 == 0 {
			_, err = w.ask(fxpOpendir, "/")
		} else {
			_, err = w.ask(fxpOpen, "f", uint32(fxfRead), uint32(0))
		}
		var no *sftpRefusal
		if errors.As(err, &no) {
			refused++
		} else if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
	}
	if refused == 0 {
		t.Error("nothing was refused: there was no flood")
	}
	in.want(200, "NOOP")
	in.want(257, "PWD")
	w.close()
	eventually(t, "the descriptors are given back", func() bool {
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
		return err == nil && len(fds) < 60
	})
	in.check(in.put("STOR f", 0, strings.NewReader("alice's")))
	again, err := dialSFTP(s.sftp, "alice", "pw-of-alice")
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	if err := again.put("g", fxfWrite|fxfCreate, 0, strings.NewReader("alice's too")); err != nil {
		t.Error(err)
	}
}

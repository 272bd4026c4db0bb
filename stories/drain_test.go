//go:build linux

package stories

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestDrain: at SIGTERM nobody new is let in, who is idle is told with 421, and an upload under way may finish and is
// acknowledged; at a second SIGTERM what is still under way is cut and parked, and goes on after the next start.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.addUser("alice")
	idle, busy := s.as(t, "alice"), s.secureAs(t, "alice")
	content := awkward(3, 200_000)
	conn, err := busy.begin("STOR f")
	busy.check(err)
	_, err = conn.Write(content[:100_000])
	busy.check(err)
	eventually(t, "half of it arrives", func() bool { return stageBytes(t, s.home("alice"), 100_000) })
	busy.check(s.cmd.Process.Signal(syscall.SIGTERM))
	idle.wantReply(421, "SIGTERM")
	idle.wantClosed("421")
	if w, err := dialWire(s.addr, ""); err == nil {
		w.close()
		t.Error("somebody was let in while the server drains")
	}
	_, err = conn.Write(content[100_000:])
	busy.check(err)
	busy.check(conn.Close())
	busy.wantReply(226, "STOR")
	s.stop()
	if _, err := os.Stat(filepath.Join(s.data, "addresses.json")); err == nil {
		t.Error("addresses.json stays")
	}

	s.start()
	if got, err := s.as(t, "alice").get("RETR f", 0); err != nil || !bytes.Equal(got, content) {
		t.Errorf("after the drain the file has %d bytes, %v", len(got), err)
	}
	other, late := s.as(t, "alice"), s.as(t, "alice")
	conn, err = late.begin("STOR g")
	late.check(err)
	defer conn.Close() // what nobody refers to any more is closed by the garbage collector
	_, err = conn.Write(content[:150_000])
	late.check(err)
	eventually(t, "most of it arrives", func() bool { return stageBytes(t, s.home("alice"), 150_000) })
	late.check(s.cmd.Process.Signal(syscall.SIGTERM))
	other.wantReply(421, "the first SIGTERM") // two signals at once would be one
	s.stop()
	s.start()
	again := s.as(t, "alice")
	again.want(213, "SITE PART g")
	again.check(again.put("STOR g", 150_000, bytes.NewReader(content[150_000:])))
	if got := read(t, filepath.Join(s.home("alice"), "g")); !bytes.Equal(got, content) {
		t.Errorf("what was cut and resumed has %d bytes", len(got))
	}
}

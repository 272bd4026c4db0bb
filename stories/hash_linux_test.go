package stories

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// readBytes returns how many bytes the server's process has read since it was started, from wherever.
func (s *server) readBytes() (n int64) {
	s.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", s.cmd.Process.Pid))
	if err == nil {
		_, err = fmt.Sscanf(string(b), "rchar: %d", &n)
	}
	if err != nil {
		s.t.Fatalf("%s: %v", b, err)
	}
	return n
}

// TestHashReadsNothing: the hash of what came over TLS or in block mode is told without reading the file, also behind
// what the server did to it and behind its restart; that of a part too.
func TestHashReadsNothing(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.addUser("alice")
	const size = 6 << 20 // always hashed while it comes
	c := content{{7, size}}
	sum := c.sum(size)
	free := func(h hand, line string) {
		t.Helper()
		before := s.readBytes()
		said := h.want(2, line)
		if read := s.readBytes() - before; read > size/4 || !strings.Contains(strings.ToLower(said), sum) {
			t.Errorf("%s: %d bytes were read; %s, want %s", line, read, said, sum)
		}
	}
	h := s.secureAs(t, "alice")
	h.check(h.put("STOR f", 0, c.reader()))
	free(h, "HASH f")
	free(h, "XSHA256 f")
	h.want(2, "MFMT 20200229010203 f")
	h.want(2, "SITE CHMOD 600 f")
	h.want(3, "RNFR f")
	h.want(2, "RNTO g")
	free(h, "HASH g")
	h.want(3, "RANG 0 5")
	if said, part := h.want(2, "HASH g"), (content{{7, size}}).sum(6); !strings.Contains(said, part) {
		t.Errorf("the hash of 6 bytes: %s, want %s", said, part)
	}

	conn, err := h.begin("STOR part")
	h.check(err)
	_, err = conn.Write(read(t, filepath.Join(s.home("alice"), "g"))[:size/2])
	h.check(err)
	defer conn.Close()
	h.check(conn.(*tls.Conn).NetConn().(*net.TCPConn).CloseWrite()) // without close_notify
	_, err = h.await(2, "STOR part")
	if codeOf(err) != 426 {
		t.Fatal(err)
	}
	before := s.readBytes()
	said := h.want(2, "SITE PART part")
	if read := s.readBytes() - before; read > size/4 || !strings.Contains(said, c.sum(size/2)) {
		t.Errorf("SITE PART: %d bytes were read; %s, want %s", read, said, c.sum(size/2))
	}

	local := filepath.Join(t.TempDir(), "local")
	create(t, local, c)
	r := runIn(t, t.TempDir(), "", "env", "SAMPAN_PASSWORD=pw-of-alice", binary, "put", local, "ftp://alice@"+s.addr+"/block", "--pin", s.pin())
	if r.code != 0 || !strings.Contains(r.out+r.err, sum) {
		t.Fatalf("%+v", r)
	}
	free(h, "HASH block")
	s.stop()
	s.start()
	h = s.secureAs(t, "alice")
	free(h, "HASH g")
	free(h, "HASH block")
	if bytes.Contains(read(t, filepath.Join(s.home("alice"), ".sampan", "sums")), []byte("alice")) {
		t.Error("what is kept names somebody")
	}
}

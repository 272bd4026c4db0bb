package ftpd

import (
	"io"
	"strings"
	"testing"
	"time"
)

// TestSmallFileIsAnsweredAtOnce: what the kernel takes without waiting is sent before it is told, and told with one write.
func TestSmallFileIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, hurried(func(l *limits) { l.beat = time.Hour })) // nobody listens meanwhile
	h.add("alice", -1, nil)
	content := noise(atOnce)
	h.put("alice", "small", content)
	p := h.login("alice")
	nc := p.passive()
	p.send("RETR small\r\n")
	got, err := io.ReadAll(nc)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "small", got, content)
	b := make([]byte, 512)
	n, err := p.tcp.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(string(b[:n]), "\r\n"); len(lines) != 3 || lines[0][:4] != "150 " || lines[1][:4] != "226 " {
		t.Errorf("%q", b[:n])
	}
}

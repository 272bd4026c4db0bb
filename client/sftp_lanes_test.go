//go:build unix

package client_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sampan/client"
	"sampan/sftp"
	"sampan/words"
)

// A longWay leads to a server as a long link does: what goes in comes out later.
type longWay struct {
	address string
	came    atomic.Int32  // connections
	ended   chan struct{} // told of the end of each
}

const (
	oneWay  = 8 * time.Millisecond
	forever = int64(1 << 62)
)

// newLongWay makes one. The n-th connection carries back[n] bytes from the server, then it is reset; those that have no
// number there carry all.
func newLongWay(t testing.TB, to string, back ...int64) *longWay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	w := &longWay{address: l.Addr().String(), ended: make(chan struct{}, 64)}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			most := forever
			if n := int(w.came.Add(1)) - 1; n < len(back) {
				most = back[n]
			}
			end := sync.OnceFunc(func() {
				for _, c := range []net.Conn{near, far} {
					c.(*net.TCPConn).SetLinger(0)
					c.Close()
				}
				w.ended <- struct{}{}
			})
			stop := context.AfterFunc(t.Context(), end)
			ferry := func(to, from net.Conn, most int64) {
				defer stop()
				defer end()
				late(to, io.LimitReader(from, most))
			}
			all.Go(func() { ferry(far, near, forever) })
			all.Go(func() { ferry(near, far, most) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return w
}

// late copies, each piece when its time has come.
func late(to io.Writer, from io.Reader) {
	type piece struct {
		due  time.Time
		data []byte
	}
	pieces := make(chan piece, 4096)
	var writing sync.WaitGroup
	writing.Go(func() {
		failed := false
		for p := range pieces {
			if !failed {
				<-time.After(time.Until(p.due))
				_, err := to.Write(p.data)
				failed = err != nil
			}
		}
	})
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			pieces <- piece{time.Now().Add(oneWay), bytes.Clone(buf[:n])}
		}
		if err != nil {
			break
		}
	}
	close(pieces)
	writing.Wait()
}

// TestSFTPBigFileGoesOverSeveralSessionsOnALongLink, as many as the server lets it have, and goes on when one of them breaks.
func TestSFTPBigFileGoesOverSeveralSessionsOnALongLink(t *testing.T) {
	t.Parallel()
	far := t.TempDir()
	content := bytesOf(5, 66<<20)
	write(t, filepath.Join(far, "f"), content)
	for _, c := range []struct {
		name  string
		set   []string // of sshd
		back  []int64
		conns int32
	}{
		{"as many as there are", nil, nil, 2},
		{"one for each connection", []string{"MaxSessions 1"}, nil, 2},
		{"the second connection is refused", nil, []int64{forever, 0}, 2},
		{"the second connection breaks", nil, []int64{forever, 6 << 20}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSSHServer(t, c.set...)
			way := newLongWay(t, s.address, c.back...)
			s.address = way.address
			s.know(s.host)
			near := t.TempDir()
			res, err := client.Copy(t.Context(), s.dial(), path(t, far+"/f"), disk(t, near), path(t, "f"), client.CopyOptions{
				Tries: -1, Say: func(m words.Message) { t.Errorf("it says %s", m) },
			})
			must(t, err)
			if !bytes.Equal(read(t, filepath.Join(near, "f")), content) || res.Bytes != int64(len(content)) {
				t.Errorf("others arrived; %+v", res)
			}
			if got := way.came.Load(); got != c.conns {
				t.Errorf("%d connections, want %d", got, c.conns)
			}
		})
	}
}

// TestSFTPFurtherSessionsEndWhenNothingGoesOverThem, and come again when something does.
func TestSFTPFurtherSessionsEndWhenNothingGoesOverThem(t *testing.T) {
	t.Parallel()
	far, near := t.TempDir(), t.TempDir()
	content := bytesOf(7, 66<<20)
	write(t, filepath.Join(far, "f"), content)
	s := newSSHServer(t)
	way := newLongWay(t, s.address)
	s.address = way.address
	s.know(s.host)
	r := s.dial()
	client.RestSoon(r)
	for n := range 2 {
		_, err := client.Copy(t.Context(), r, path(t, far+"/f"), disk(t, near), path(t, fmt.Sprint(n)), client.CopyOptions{Tries: -1})
		must(t, err)
		if !bytes.Equal(read(t, filepath.Join(near, fmt.Sprint(n))), content) {
			t.Error("others arrived")
		}
		<-way.ended
	}
	if got := way.came.Load(); got != 3 {
		t.Errorf("%d connections, want 3", got)
	}
}

// TestSFTPLaneToAnotherFileIsNotTaken: what another session has under the name since a moment ago is not what is copied.
func TestSFTPLaneToAnotherFileIsNotTaken(t *testing.T) {
	t.Parallel()
	content := bytesOf(6, 20<<20)
	var sessions, strange atomic.Int32
	s := newStrangeSSH(t, openDoor(), func(ch io.ReadWriteCloser) {
		n := sessions.Add(1)
		is := sftp.Attrs{Has: sftp.HasSize | sftp.HasMode, Mode: 0o100644, Size: uint64(len(content))}
		is.SetTime(time.Unix(int64(n), 0))
		scripted(t, func(r *sftp.Request, send func(*sftp.Packet)) bool {
			switch r.Type {
			case sftp.TypeStat, sftp.TypeFstat:
				send(sftp.AttrsPacket(r.ID, is))
			case sftp.TypeRead:
				if n > 1 {
					strange.Add(1)
				}
				p, place := sftp.DataPacket(r.ID, int(r.Size))
				copy(place, content[r.Offset:])
				send(p)
			default:
				return false
			}
			return true
		})(ch)
	})
	way := newLongWay(t, s.address)
	s.address = way.address
	r, err := client.Dial(t.Context(), s.url("u"), s.options())
	must(t, err)
	defer r.Close()
	near := t.TempDir()
	_, err = client.Copy(t.Context(), r, path(t, "f"), disk(t, near), path(t, "f"), client.CopyOptions{})
	must(t, err)
	if !bytes.Equal(read(t, filepath.Join(near, "f")), content) || strange.Load() > 0 {
		t.Errorf("%d pieces of the other file", strange.Load())
	}
	if sessions.Load() < 2 {
		t.Error("no further session was opened: nothing is tested")
	}
}

// TestSFTPTreeGoesOverSeveralSessionsOnALongLink, either way.
func TestSFTPTreeGoesOverSeveralSessionsOnALongLink(t *testing.T) {
	t.Parallel()
	tree := map[string][]byte{}
	for i := range 60 {
		tree[fmt.Sprintf("d%d/f%d", i%4, i)] = bytesOf(uint64(i), 3<<19+i)
	}
	s := newSSHServer(t)
	near, far, back := t.TempDir(), t.TempDir(), t.TempDir()
	plant(t, near, tree)
	address := s.address
	for _, c := range []struct {
		name string
		copy func(client.Remote) (client.TreeResult, error)
		in   string
	}{
		{"up", func(r client.Remote) (client.TreeResult, error) {
			return client.CopyTree(t.Context(), disk(t, near), path(t, "/"), r, path(t, far+"/t"), client.CopyOptions{Tries: -1}, nil)
		}, far + "/t"},
		{"down", func(r client.Remote) (client.TreeResult, error) {
			return client.CopyTree(t.Context(), r, path(t, far+"/t"), disk(t, back), path(t, "/"), client.CopyOptions{Tries: -1}, nil)
		}, back},
	} {
		way := newLongWay(t, address)
		s.address = way.address
		s.know(s.host)
		res, err := c.copy(s.dial())
		must(t, err)
		if res.Files != len(tree) {
			t.Errorf("%s: %+v", c.name, res)
		}
		grown(t, c.in, tree)
		if got := way.came.Load(); got != 2 {
			t.Errorf("%s: %d connections", c.name, got)
		}
	}
}

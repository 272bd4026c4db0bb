//go:build unix

package client_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
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
	forth   atomic.Int64  // bytes to the server, of all of them
	ended   chan struct{} // told of the end of each
}

const (
	oneWay  = 8 * time.Millisecond
	forever = int64(1 << 62)
)

// A load is what a connection carries, then it is reset; not before all together carried so much to the server.
type load struct{ forth, back, all int64 }

var endless = load{forth: forever, back: forever}

// laden reads what goes to the server.
type laden struct {
	io.Reader
	way *longWay
	load
}

func (l *laden) Read(p []byte) (int, error) {
	if l.forth <= 0 && l.way.forth.Load() >= l.all {
		return 0, io.EOF
	}
	n, err := l.Reader.Read(p)
	l.forth -= int64(n)
	l.way.forth.Add(int64(n))
	return n, err
}

// newLongWay makes one. The n-th connection carries loads[n]; those that have no number there carry all.
func newLongWay(t testing.TB, to string, loads ...load) *longWay {
	t.Helper()
	return newWay(t, to, late, loads...)
}

// newWay makes one, on which carry brings the bytes.
func newWay(t testing.TB, to string, carry func(to io.Writer, from io.Reader), loads ...load) *longWay {
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
			most := endless
			if n := int(w.came.Add(1)) - 1; n < len(loads) {
				most = loads[n]
			}
			end := sync.OnceFunc(func() {
				for _, c := range []net.Conn{near, far} {
					c.(*net.TCPConn).SetLinger(0)
					c.Close()
				}
				w.ended <- struct{}{}
			})
			stop := context.AfterFunc(t.Context(), end)
			ferry := func(to io.Writer, from io.Reader) {
				defer stop()
				defer end()
				carry(to, from)
			}
			all.Go(func() { ferry(far, &laden{near, w, most}) })
			all.Go(func() { ferry(near, io.LimitReader(far, most.back)) })
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

// TestSFTPBigDownloadGoesOverSeveralSessionsOnALongLink, as many as the server lets it have, and goes on when one of them breaks.
func TestSFTPBigDownloadGoesOverSeveralSessionsOnALongLink(t *testing.T) {
	t.Parallel()
	far := t.TempDir()
	content := bytesOf(5, 66<<20)
	write(t, filepath.Join(far, "f"), content)
	for _, c := range []struct {
		name  string
		set   []string // of sshd
		loads []load
		conns int32
	}{
		{"as many as there are", nil, nil, 2},
		{"one for each connection", []string{"MaxSessions 1"}, nil, 2},
		{"the second connection is refused", nil, []load{endless, {}}, 2},
		{"the second connection breaks", nil, []load{endless, {forth: forever, back: 6 << 20}}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSSHServer(t, c.set...)
			way := newLongWay(t, s.address, c.loads...)
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

// fromAfar is a session at the end of a long way.
func (s *strangeSSH) fromAfar() client.Remote {
	s.t.Helper()
	s.address = newLongWay(s.t, s.address).address
	r, err := client.Dial(s.t.Context(), s.url("u"), s.options())
	must(s.t, err)
	s.t.Cleanup(func() { r.Close() })
	return r
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
	r, near := s.fromAfar(), t.TempDir()
	_, err := client.Copy(t.Context(), r, path(t, "f"), disk(t, near), path(t, "f"), client.CopyOptions{})
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
	near := t.TempDir()
	plant(t, near, tree)
	for name, at := range map[string]far{"OpenSSH": farOpenSSH, "ProFTPD": farProFTPD} {
		t.Run(name, func(t *testing.T) {
			back := t.TempDir()
			r, way, dir, name := at(t, nil, nil)
			p := path(t, name)
			res, err := client.CopyTree(t.Context(), disk(t, near), path(t, "/"), r, p, client.CopyOptions{Tries: -1}, nil)
			must(t, err)
			if res.Files != len(tree) {
				t.Errorf("up: %+v", res)
			}
			grown(t, filepath.Join(dir, "f"), tree)
			res, err = client.CopyTree(t.Context(), r, p, disk(t, back), path(t, "/"), client.CopyOptions{Tries: -1}, nil)
			must(t, err)
			if res.Files != len(tree) {
				t.Errorf("down: %+v", res)
			}
			grown(t, back, tree)
			if got := way.came.Load(); got != 2 {
				t.Errorf("%d connections", got)
			}
		})
	}
}

// TestSFTPBigUploadGoesOverSeveralSessionsOnALongLink, as many as the server lets it have. When one of them breaks the upload is cut; it
// goes on behind a proof, and over one session.
func TestSFTPBigUploadGoesOverSeveralSessionsOnALongLink(t *testing.T) {
	t.Parallel()
	near := t.TempDir()
	content := bytesOf(5, 66<<20)
	write(t, filepath.Join(near, "f"), content)
	must(t, os.Chtimes(filepath.Join(near, "f"), time.Unix(1e9, 0), time.Unix(1e9, 0)))
	for _, c := range []bigUpload{
		{"as many as there are", farOpenSSH, nil, nil, 2, false},
		{"one for each connection", farOpenSSH, []string{"MaxSessions 1"}, nil, 2, false},
		{"the second connection is refused", farOpenSSH, nil, []load{endless, {}}, 2, false},
		{"the second connection breaks", farOpenSSH, nil, []load{endless, {1 << 20, forever, 44 << 20}}, 2, true},
		{"ProFTPD", farProFTPD, nil, nil, 2, false},
		{"Sampan", farSampan, nil, nil, 2, false},
		{"Sampan, the second connection breaks", farSampan, nil, []load{endless, {1 << 20, forever, 44 << 20}}, 2, true},
		{"Sampan, all of it breaks", farSampan, nil, []load{{20 << 20, forever, 0}}, 3, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for try := 0; ; try++ {
				res := c.upload(t, near, content)
				switch {
				case !c.cut && res.Resumed == 0, c.cut && res.Resumed > 0:
					return
				case !c.cut || try == 5: // it may be over before the second connection carries enough
					t.Fatalf("%+v", res)
				}
			}
		})
	}
}

// A bigUpload goes to a server at the end of a long way.
type bigUpload struct {
	name  string
	at    far
	set   []string // of sshd
	loads []load
	conns int32
	cut   bool
}

func (c *bigUpload) upload(t *testing.T, near string, content []byte) client.Result {
	r, way, dir, name := c.at(t, c.set, c.loads)
	res, err := client.Copy(t.Context(), disk(t, near), path(t, "f"), r, path(t, name), client.CopyOptions{})
	must(t, err)
	if !bytes.Equal(read(t, filepath.Join(dir, "f")), content) || res.Restarted || strings.HasPrefix(c.name, "Sampan") && !res.Verified {
		t.Errorf("others arrived, or anew; %+v", res)
	}
	if i, err := os.Stat(filepath.Join(dir, "f")); err != nil || !i.ModTime().Equal(time.Unix(1e9, 0)) {
		t.Errorf("%v, %v", i.ModTime(), err)
	}
	if got := way.came.Load(); got != c.conns {
		t.Errorf("%d connections, want %d", got, c.conns)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".f*")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	return res
}

// A far is a server at the end of a long way: a session there, and the file f in a directory with its name in the session.
type far func(t *testing.T, set []string, loads []load) (r client.Remote, way *longWay, dir, name string)

func farOpenSSH(t *testing.T, set []string, loads []load) (client.Remote, *longWay, string, string) {
	s, dir := newSSHServer(t, set...), t.TempDir()
	way := newLongWay(t, s.address, loads...)
	s.address = way.address
	s.know(s.host)
	return s.dial(), way, dir, dir + "/f"
}

func farProFTPD(t *testing.T, _ []string, loads []load) (client.Remote, *longWay, string, string) {
	p := newProFTPD(t)
	way := newLongWay(t, p.address, loads...)
	p.address = way.address
	p.know(p.host)
	return p.login(), way, p.home, "f"
}

func farSampan(t *testing.T, _ []string, loads []load) (client.Remote, *longWay, string, string) {
	q := newQuay(t)
	way := newLongWay(t, q.address, loads...)
	q.address = way.address
	return q.dial("alice"), way, q.h.home("alice"), "f"
}

// TestSFTPLaneToAnotherStageIsNotTaken: what another session has under the name of the stage is not written to, for it may be that of
// somebody else's upload.
func TestSFTPLaneToAnotherStageIsNotTaken(t *testing.T) {
	t.Parallel()
	content := bytesOf(6, 20<<20)
	var sessions, strange atomic.Int32
	var mu sync.Mutex
	got, mark := make([]byte, len(content)), sftp.Attrs{}
	s := newStrangeSSH(t, openDoor(), func(ch io.ReadWriteCloser) {
		n := sessions.Add(1)
		scripted(t, func(r *sftp.Request, send func(*sftp.Packet)) bool {
			mu.Lock()
			defer mu.Unlock()
			switch r.Type {
			case sftp.TypeStat:
				send(sftp.StatusPacket(r.ID, sftp.NoSuchFile, "", ""))
			case sftp.TypeFsetstat:
				mark = r.Attrs
				send(sftp.StatusPacket(r.ID, sftp.OK, "", ""))
			case sftp.TypeLstat, sftp.TypeFstat:
				is := sftp.Attrs{Has: sftp.HasSize | sftp.HasTimes, Size: uint64(len(got)), Atime: mark.Atime, Mtime: mark.Mtime}
				if n > 1 {
					is.Atime++
				}
				send(sftp.AttrsPacket(r.ID, is))
			case sftp.TypeWrite:
				if n > 1 {
					strange.Add(1)
				}
				copy(got[r.Offset:], r.Data)
				send(sftp.StatusPacket(r.ID, sftp.OK, "", ""))
			default:
				return false
			}
			return true
		})(ch)
	})
	r, near := s.fromAfar(), t.TempDir()
	write(t, filepath.Join(near, "f"), content)
	_, err := client.Copy(t.Context(), disk(t, near), path(t, "f"), r, path(t, "f"), client.CopyOptions{Tries: -1})
	must(t, err)
	mu.Lock()
	defer mu.Unlock()
	if !bytes.Equal(got, content) || strange.Load() > 0 {
		t.Errorf("%d pieces went to the other stage", strange.Load())
	}
	if sessions.Load() < 2 {
		t.Error("no further session was opened: nothing is tested")
	}
}

// TestSFTPPartWithGapsIsResumedBeforeThem: of an upload that went over several sessions and was cut with its client, the last bytes may
// lack some.
func TestSFTPPartWithGapsIsResumedBeforeThem(t *testing.T) {
	t.Parallel()
	s := newSSHServer(t)
	near, far := t.TempDir(), t.TempDir()
	content := bytesOf(8, 44<<20)
	write(t, filepath.Join(near, "f"), content)
	p := path(t, far+"/f")
	for _, c := range []struct {
		gap, resumed int
	}{{30 << 20, 23 << 20}, {20 << 20, 0}} {
		left := bytes.Clone(content[:40<<20])
		clear(left[c.gap : c.gap+1<<20])
		q, _ := client.Stage(p)
		write(t, q.String(), left)
		res, err := client.Copy(t.Context(), disk(t, near), path(t, "f"), s.dial(), p, client.CopyOptions{Tries: -1})
		must(t, err)
		if res.Resumed != int64(c.resumed) || res.Restarted != (c.resumed == 0) || !bytes.Equal(read(t, filepath.Join(far, "f")), content) {
			t.Errorf("a gap at %d: %+v", c.gap, res)
		}
		must(t, os.Remove(filepath.Join(far, "f")))
	}
}

package client_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sampan/client"
	"sampan/fault"
	"sampan/files"
	"sampan/ftpd"
)

// wire stands between client and harbour, on another loopback address with the same ports, and cuts.
type wire struct {
	t       *testing.T
	address string // of the control connection
	reset   bool   // cut with a reset, else with an end as if all were well
	over    chan struct{}

	mu     sync.Mutex
	hidden bool    // the client hears nothing of a cut
	cuts   []int64 // of the data connections to come, one each: bytes to let through; -1 is all
	live   map[net.Conn]bool
	done   atomic.Int32 // cuts made

	delay          time.Duration // each way
	client, server int           // how many rounds each end knows of, as what it received tells
	most           int
}

// far makes all that goes by take its time.
func (w *wire) far(delay time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.delay = delay
}

// rounds returns how many round trips were made one after another since it was called last.
func (w *wire) rounds() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.most
	w.client, w.server, w.most = 0, 0, 0
	return n
}

// ferry copies one way, late, and notes who could know of what.
func (w *wire) ferry(to io.Writer, from io.Reader, delay time.Duration, fromClient bool) {
	type parcel struct {
		b    []byte
		due  time.Time
		knew int
	}
	under := make(chan parcel, 10_000)
	defer close(under)
	go func() {
		for p := range under {
			time.Sleep(time.Until(p.due))
			w.mu.Lock()
			if fromClient {
				w.server = max(w.server, p.knew)
			} else {
				w.client = max(w.client, p.knew)
			}
			w.mu.Unlock()
			to.Write(p.b)
		}
		if c, ok := to.(*net.TCPConn); ok {
			c.CloseWrite()
		}
	}()
	for buf := make([]byte, 64<<10); ; {
		n, err := from.Read(buf)
		if n > 0 {
			w.mu.Lock()
			knew := w.server
			if fromClient {
				knew = w.client + 1
				w.most = max(w.most, knew)
			}
			w.mu.Unlock()
			under <- parcel{bytes.Clone(buf[:n]), time.Now().Add(delay), knew}
		}
		if err != nil {
			return
		}
	}
}

// consecutive listens on n ports in a row of an address that nobody else uses.
func consecutive(t *testing.T, address string, n int) (low int, listeners []net.Listener) {
	t.Helper()
	for low = 40_000; low < 60_000; low += n {
		listeners = nil
		for port := low; port < low+n; port++ {
			l, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
			if err != nil {
				break
			}
			listeners = append(listeners, l)
		}
		if len(listeners) == n {
			return low, listeners
		}
		for _, l := range listeners {
			l.Close()
		}
	}
	t.Fatal("no free range of ports")
	return 0, nil
}

// wires counts the wires, so that each has an address of its own.
var wires atomic.Int32

// newWire builds a harbour behind a wire.
func newWire(t *testing.T, reset bool) (*harbour, *wire) {
	t.Helper()
	w := &wire{t: t, reset: reset, live: map[net.Conn]bool{}, over: make(chan struct{})}
	n := wires.Add(1)
	address, behind := fmt.Sprintf("127.0.77.%d", n), fmt.Sprintf("127.0.78.%d", n)
	low, data := consecutive(t, address, 8)
	h := newHarbourOn(t, behind, func(c *ftpd.Config) { c.PassiveLow, c.PassiveHigh = low, low+len(data)-1 })
	control, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	must(t, err)
	w.address = control.Addr().String()
	var running sync.WaitGroup
	for i, l := range append(data, control) {
		to, isData := net.JoinHostPort(behind, strconv.Itoa(low+i)), i < len(data)
		if !isData {
			to = h.ftp
		}
		running.Go(func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				running.Go(func() { w.carry(conn, to, isData) })
			}
		})
		t.Cleanup(func() { l.Close() })
	}
	t.Cleanup(func() {
		close(w.over)
		control.Close()
		for _, l := range data {
			l.Close()
		}
		w.dropAll()
		running.Wait()
	})
	return h, w
}

// carry copies both ways; a data connection ends when as many bytes went by, in both directions together, as its cut says.
func (w *wire) carry(a net.Conn, to string, isData bool) {
	defer a.Close()
	b, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer b.Close()
	left := int64(-1)
	w.mu.Lock()
	hidden := w.hidden && isData
	w.live[a], w.live[b] = isData, isData
	delay := w.delay
	if isData && len(w.cuts) > 0 {
		left, w.cuts = w.cuts[0], w.cuts[1:]
	}
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		delete(w.live, a)
		delete(w.live, b)
		w.mu.Unlock()
	}()
	var budget atomic.Int64
	budget.Store(left)
	cut := sync.OnceFunc(func() { w.cut(a, b) })
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			if delay > 0 {
				w.ferry(way[1], way[0], delay, way[0] == a)
				return
			}
			if left < 0 {
				io.Copy(way[1], way[0])
				way[1].(*net.TCPConn).CloseWrite()
				return
			}
			buf := make([]byte, 32<<10)
			for {
				n, err := way[0].Read(buf)
				if rest := budget.Add(-int64(n)); rest < 0 {
					way[1].Write(buf[:max(0, int64(n)+rest)])
					cut()
					return
				}
				way[1].Write(buf[:n])
				if err != nil {
					way[1].(*net.TCPConn).CloseWrite()
					return
				}
			}
		})
	}
	both.Wait()
	if hidden {
		<-w.over
	}
}

// plan says where the data connections to come are cut.
func (w *wire) plan(cuts ...int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cuts = cuts
}

// hide keeps cuts from the client: it hears nothing of them on the data connection.
func (w *wire) hide() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hidden = true
}

func (w *wire) cut(a, b net.Conn) {
	w.done.Add(1)
	w.mu.Lock()
	hidden := w.hidden
	w.mu.Unlock()
	for _, c := range []net.Conn{a, b} {
		if hidden && c == a {
			continue
		}
		if w.reset {
			c.(*net.TCPConn).SetLinger(0)
		}
		c.Close()
	}
}

// dropAll ends everything that goes through the wire just now.
func (w *wire) dropAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.live {
		c.Close()
	}
}

// TestMovedInVain: where nothing of what moved is kept, another try is no progress, and trying ends.
func TestMovedInVain(t *testing.T) {
	t.Parallel()
	h, w := newWire(t, true)
	r := h.dialURL(h.url("ftp", w.address, "alice"), func(o *client.Options) { o.ASCII = true })
	local := t.TempDir()
	write(t, filepath.Join(local, "f"), bytes.Repeat([]byte("a line\n"), 100_000))
	w.plan(5000, 5000, 5000, 5000, 5000, 5000)
	_, err := client.Copy(t.Context(), disk(t, local), path(t, "f"), r, path(t, "f"), client.CopyOptions{Tries: 3})
	wantKind(t, err, fault.GaveUp)
	if n := w.done.Load(); n != 3 {
		t.Errorf("%d tries", n)
	}
}

func TestCutAndResumed(t *testing.T) {
	t.Parallel()
	const size = 3<<20 + 123
	content := bytesOf(7, size)
	for _, plain := range []bool{true, false} {
		for _, reset := range []bool{true, false} {
			for _, put := range []bool{true, false} {
				t.Run(fmt.Sprintf("plain=%v reset=%v put=%v", plain, reset, put), func(t *testing.T) {
					t.Parallel()
					h, w := newWire(t, reset)
					r := h.dialURL(h.url("ftp", w.address, "alice"), func(o *client.Options) { o.Plain = plain })
					local := t.TempDir()
					src, dst := disk(t, local), files.Store(r)
					dirs := []string{local, h.home("alice")}
					if !put {
						src, dst = dst, src
						dirs[0], dirs[1] = dirs[1], dirs[0]
					}
					write(t, filepath.Join(dirs[0], "f"), content)
					write(t, filepath.Join(dirs[1], "f"), []byte("the old version"))
					cuts := []int64{0, 1, 5000, 1 << 20, 1, size / 3}
					if plain {
						cuts = append(cuts, size-1-1<<20-size/3-5002+2) // about where the end is
					}
					w.plan(cuts...)
					said := &traced{}
					res, err := client.Copy(t.Context(), src, path(t, "f"), dst, path(t, "f"), client.CopyOptions{Say: said.say})
					if err != nil {
						t.Fatalf("%v\n%s", err, said)
					}
					if !res.Verified || !bytes.Equal(read(t, filepath.Join(dirs[1], "f")), content) {
						t.Errorf("%+v\n%s", res, said)
					}
					if int(w.done.Load()) < 5 {
						t.Errorf("only %d cuts were made", w.done.Load())
					}
					if res.Restarted {
						t.Errorf("it started over: %+v\n%s", res, said)
					}
				})
			}
		}
	}
}

// TestCutOneByteBeforeTheEnd: the old version stays, nobody reads the part, and one byte is enough to finish.
func TestCutOneByteBeforeTheEnd(t *testing.T) { // in stream mode, where bytes on the wire are those of the file
	t.Parallel()
	const size = 200_000
	content := bytesOf(8, size)
	for _, reset := range []bool{true, false} {
		for _, put := range []bool{true, false} {
			t.Run(fmt.Sprintf("reset=%v put=%v", reset, put), func(t *testing.T) {
				t.Parallel()
				h, w := newWire(t, reset)
				r := h.dialURL(h.url("ftp", w.address, "alice"), func(o *client.Options) { o.Plain, o.Stream = true, true })
				local := t.TempDir()
				src, dst := disk(t, local), files.Store(r)
				dirs := []string{local, h.home("alice")}
				if !put {
					src, dst = dst, src
					dirs[0], dirs[1] = dirs[1], dirs[0]
				}
				write(t, filepath.Join(dirs[0], "f"), content)
				write(t, filepath.Join(dirs[1], "f"), []byte("the old version"))
				w.plan(size - 1)
				_, err := client.Copy(t.Context(), src, path(t, "f"), dst, path(t, "f"), client.CopyOptions{Tries: -1})
				if err == nil || w.done.Load() != 1 {
					t.Fatalf("the cut was not noticed: %v", err)
				}
				if got := read(t, filepath.Join(dirs[1], "f")); string(got) != "the old version" {
					t.Errorf("the old version is gone: %d bytes are there", len(got))
				}
				res, err := client.Copy(t.Context(), src, path(t, "f"), dst, path(t, "f"), client.CopyOptions{})
				must(t, err)
				if !res.Verified || res.Resumed+res.Bytes != size || res.Resumed == 0 && !reset || !reset && res.Bytes != 1 {
					t.Errorf("%+v", res)
				}
				if !bytes.Equal(read(t, filepath.Join(dirs[1], "f")), content) {
					t.Error("other bytes arrived")
				}
			})
		}
	}
}

// TestControlConnectionsDrop: all connections end at once, again and again, at random places.
func TestControlConnectionsDrop(t *testing.T) {
	t.Parallel()
	h, w := newWire(t, true)
	r := h.dialURL(h.url("ftp", w.address, "alice"))
	local := t.TempDir()
	d := disk(t, local)
	content := bytesOf(9, 24<<20)
	write(t, filepath.Join(local, "f"), content)
	for _, put := range []bool{true, false} {
		src, dst, to := d, files.Store(r), path(t, "f")
		if !put {
			src, dst, to = r, d, path(t, "back")
		}
		drops, last := 0, int64(0)
		said := &traced{}
		res, err := client.Copy(t.Context(), src, path(t, "f"), dst, to, client.CopyOptions{Say: said.say, Progress: func(p client.Progress) {
			if p.Phase == client.Moving && p.Done > last+4<<20 && drops < 3 {
				drops, last = drops+1, p.Done
				w.dropAll()
			}
		}})
		if err != nil {
			t.Fatalf("put=%v: %v\n%s", put, err, said)
		}
		if !res.Verified {
			t.Errorf("put=%v after %d drops: %+v\n%s", put, drops, res, said)
		}
	}
	if !bytes.Equal(read(t, filepath.Join(local, "back")), content) {
		t.Error("other bytes came back")
	}
}

// TestIdleConnectionIsLookedAt: what lay idle for long is used if it lives and replaced if it does not, also below TLS.
func TestIdleConnectionIsLookedAt(t *testing.T) {
	t.Parallel()
	h, w := newWire(t, true)
	tr := &traced{}
	r := h.dialURL(h.url("ftp", w.address, "alice"), func(o *client.Options) { o.Trace = tr.add })
	for _, dropped := range []bool{false, false, true, false} {
		if dropped {
			w.dropAll()
		}
		if client.Age(r) != 1 {
			t.Fatal("no connection lies idle")
		}
		_, err := r.Stat(t.Context(), files.Root)
		must(t, err)
	}
	if n := bytes.Count([]byte(tr.String()), []byte("> USER")); n != 2 {
		t.Errorf("%d log-ins, want 2:\n%s", n, tr)
	}
}

// TestNobodyTrustsALinkBehindACut: an upload that was all on its way when the data connection was cut left a link that only
// the client believed in, and the next tree failed on it.
func TestNobodyTrustsALinkBehindACut(t *testing.T) {
	t.Parallel()
	for _, plain := range []bool{true, false} {
		t.Run(fmt.Sprintf("plain=%v", plain), func(t *testing.T) {
			t.Parallel()
			h, w := newWire(t, false)
			w.hide()
			local := t.TempDir()
			content := bytesOf(7, 20_000)
			plant(t, local, map[string][]byte{"one": content, "tree/two": content})
			for i := range 3 {
				r := h.dialURL(h.url("ftp", w.address, "alice"), func(o *client.Options) { o.Plain = plain })
				w.plan(15_000)
				_, err := client.Copy(t.Context(), disk(t, local), path(t, "/one"), r, path(t, fmt.Sprint("/one", i)), client.CopyOptions{Tries: -1})
				if err == nil {
					t.Fatal("the cut went by")
				}
				res, err := client.CopyTree(t.Context(), disk(t, local), path(t, "/tree"), r, path(t, fmt.Sprint("/tree", i)), client.CopyOptions{Tries: -1}, nil)
				must(t, err)
				if res.Files != 1 {
					t.Errorf("%+v", res)
				}
			}
		})
	}
}

package files

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sampan/fault"
)

// model holds a home against a Mem: the same acts must end the same way and leave the same tree.
type model struct {
	dir   string
	home  *Home
	mem   *Mem
	quota int64
	ups   [][2]Upload // under way: Local's and Mem's
	n     byte
}

var modelNames = []string{"a", "b", "d", "d/a", "d/b", "d/d", "d/d/a", "e", "e/a"}

func (m *model) both(t *rapid.T) (local, mem Store, who string) {
	who = rapid.SampledFrom([]string{"alice", "bob"}).Draw(t, "who")
	return m.home.As(who), m.mem.As(who), who
}

func drawPath(t *rapid.T, label string) Path {
	return mustPath(rapid.SampledFrom(modelNames).Draw(t, label))
}

// same checks that both ended alike.
func same(t *rapid.T, what string, a, b error) bool {
	if (a == nil) != (b == nil) || a != nil && fault.KindOf(a) != fault.KindOf(b) {
		t.Fatalf("%s: Local says %v, Mem says %v", what, a, b)
	}
	return a == nil
}

func (m *model) create(t *rapid.T) {
	a, b, _ := m.both(t)
	p := drawPath(t, "path")
	w := Want{
		From: rapid.SampledFrom([]int64{0, 0, 0, 1, 100, 300}).Draw(t, "from"), Size: -1,
		Part: rapid.Bool().Draw(t, "part"), New: rapid.IntRange(0, 5).Draw(t, "new") == 0,
	}
	if i, err := b.Stat(context.Background(), p); err == nil && rapid.Bool().Draw(t, "fit") {
		if w.From = i.Size; w.Part && i.Part >= 0 {
			w.From = i.Part
		}
	}
	if w.From == 0 {
		w.Part = false
	}
	w.All = !w.Part && rapid.IntRange(0, 3).Draw(t, "all") == 0
	if rapid.IntRange(0, 3).Draw(t, "sized") == 0 {
		w.Size = w.From + rapid.Int64Range(0, 1200).Draw(t, "size")
	}
	u, aerr := a.Create(context.Background(), p, w)
	v, berr := b.Create(context.Background(), p, w)
	if same(t, fmt.Sprintf("Create %s %+v", p, w), aerr, berr) {
		m.ups = append(m.ups, [2]Upload{u, v})
	}
}

// upload picks one that is under way.
func (m *model) upload(t *rapid.T) (i int, local, mem Upload) {
	if len(m.ups) == 0 {
		t.Skip("no upload is under way")
	}
	i = rapid.IntRange(0, len(m.ups)-1).Draw(t, "upload")
	return i, m.ups[i][0], m.ups[i][1]
}

func (m *model) data(t *rapid.T) []byte {
	m.n++
	return bytes.Repeat([]byte{m.n}, rapid.IntRange(0, 400).Draw(t, "len"))
}

func (m *model) write(t *rapid.T) {
	_, u, v := m.upload(t)
	data := m.data(t)
	n, aerr := u.Write(data)
	k, berr := v.Write(data)
	if same(t, "Write", aerr, berr); n != k || u.Size() != v.Size() {
		t.Fatalf("Write: %d and %d, sizes %d and %d", n, k, u.Size(), v.Size())
	}
}

func (m *model) writeAt(t *rapid.T) {
	_, u, v := m.upload(t)
	data, off := m.data(t), rapid.Int64Range(0, 900).Draw(t, "off")
	n, aerr := u.WriteAt(data, off)
	k, berr := v.WriteAt(data, off)
	if same(t, "WriteAt", aerr, berr); n != k || u.Size() != v.Size() {
		t.Fatalf("WriteAt: %d and %d, sizes %d and %d", n, k, u.Size(), v.Size())
	}
}

func (m *model) pump(t *rapid.T) {
	_, u, v := m.upload(t)
	data := m.data(t)
	var n [2]int64
	var errs [2]error
	for i, w := range []Upload{u, v} {
		n[i], errs[i] = Pump(w, bytes.NewReader(data), 100, func(_, want int64) (int64, error) { return w.Room(want) })
	}
	if same(t, "Pump", errs[0], errs[1]); n[0] != n[1] {
		t.Fatalf("Pump: %d and %d", n[0], n[1])
	}
}

func (m *model) end(t *rapid.T) {
	i, u, v := m.upload(t)
	if rapid.Bool().Draw(t, "commit") {
		a, aerr := u.Commit(context.Background(), nil)
		b, berr := v.Commit(context.Background(), nil)
		if same(t, "Commit", aerr, berr) && (a.Path != b.Path || a.Size != b.Size || a.Part != b.Part) {
			t.Fatalf("Commit: %+v and %+v", a, b)
		}
	}
	same(t, "Close", u.Close(), v.Close())
	m.ups = slices.Delete(m.ups, i, i+1)
}

func (m *model) mkdir(t *rapid.T) {
	a, b, _ := m.both(t)
	p := drawPath(t, "path")
	same(t, "Mkdir "+p.String(), a.Mkdir(context.Background(), p), b.Mkdir(context.Background(), p))
}

func (m *model) remove(t *rapid.T) {
	a, b, _ := m.both(t)
	p := drawPath(t, "path")
	same(t, "Remove "+p.String(), a.Remove(context.Background(), p), b.Remove(context.Background(), p))
}

func (m *model) rename(t *rapid.T) {
	a, b, _ := m.both(t)
	p, q, replace := drawPath(t, "from"), drawPath(t, "to"), rapid.Bool().Draw(t, "replace")
	same(t, fmt.Sprintf("Rename %s %s", p, q),
		a.Rename(context.Background(), p, q, replace), b.Rename(context.Background(), p, q, replace))
}

func (m *model) dropPart(t *rapid.T) {
	_, _, who := m.both(t)
	p := drawPath(t, "path")
	same(t, "DropPart "+p.String(), m.home.As(who).DropPart(context.Background(), p), m.mem.As(who).DropPart(context.Background(), p))
}

func (m *model) setQuota(t *rapid.T) {
	m.quota = rapid.SampledFrom([]int64{-1, 1000, 3000}).Draw(t, "quota")
	m.home.SetQuota(m.quota)
	m.mem.SetQuota(m.quota)
}

func (m *model) set(t *rapid.T) {
	a, b, _ := m.both(t)
	p := drawPath(t, "path")
	var set Attr
	if rapid.Bool().Draw(t, "mode") {
		mode := rapid.SampledFrom([]os.FileMode{0o600, 0o644}).Draw(t, "bits")
		set.Mode = &mode
	}
	if rapid.Bool().Draw(t, "time") {
		now := time.Unix(rapid.Int64Range(0, 3).Draw(t, "seconds"), 0)
		set.ModTime = &now
	}
	same(t, "Set "+p.String(), a.Set(context.Background(), p, set), b.Set(context.Background(), p, set))
}

// outside changes a byte of a file past Sampan.
func (m *model) outside(t *rapid.T) {
	p := drawPath(t, "path")
	m.mem.tree.mu.Lock()
	defer m.mem.tree.mu.Unlock()
	n, err := m.mem.tree.get(p)
	if err != nil || len(n.data) == 0 {
		t.Skip("nothing is there")
	}
	for u := range m.mem.tree.live {
		if u.head == n {
			t.Skip("Local would look at its time, which may be that of before: clocks tick")
		}
	}
	at := rapid.IntRange(0, len(n.data)-1).Draw(t, "at")
	n.data = bytes.Clone(n.data)
	n.data[at] ^= 0xff
	f, err := os.OpenFile(filepath.Join(m.dir, p.Rel()), os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt(n.data[at:at+1], int64(at))
	}
	if err != nil || f.Close() != nil {
		t.Fatal(err)
	}
}

// reopen ends all uploads and opens the home anew: nothing may change by that.
func (m *model) reopen(t *rapid.T) {
	for _, u := range m.ups {
		same(t, "Close", u[0].Close(), u[1].Close())
	}
	m.ups = nil
	kill := rapid.Bool().Draw(t, "kill")
	if kill {
		m.home.abandon()
	} else if err := m.home.Close(); err != nil {
		t.Fatal(err)
	}
	h, err := OpenHome(m.dir, Options{Quota: m.quota})
	if err != nil {
		t.Fatal(err)
	}
	m.home = h
	h.sums.least = 1
}

// check compares everything that can be seen.
func (m *model) check(t *rapid.T) {
	ctx := context.Background()
	a, _ := m.home.Space(ctx)
	b, _ := m.mem.Space(ctx)
	if a.Used != b.Used {
		t.Fatalf("used: Local says %d, Mem says %d", a.Used, b.Used)
	}
	for _, who := range []string{"alice", "bob"} {
		local, mem := m.home.As(who), m.mem.As(who)
		for _, name := range append([]string{"/"}, modelNames...) {
			p := mustPath(name)
			i, aerr := local.Stat(ctx, p)
			j, berr := mem.Stat(ctx, p)
			if same(t, "Stat "+name, aerr, berr) && (i.Size != j.Size || i.Part != j.Part || i.Mode.Type() != j.Mode.Type()) {
				t.Fatalf("Stat %s as %s: %+v and %+v", name, who, i, j)
			}
			x, aerr := local.Part(ctx, p)
			y, berr := mem.Part(ctx, p)
			if same(t, "Part "+name, aerr, berr) && (x.Size != y.Size || !bytes.Equal(x.Sum, y.Sum)) {
				t.Fatalf("Part %s of %s: %d and %d bytes", name, who, x.Size, y.Size)
			}
			sum, aerr := local.Sum(ctx, p, sha256Name, 0, -1)
			sum2, berr := mem.Sum(ctx, p, sha256Name, 0, -1)
			if same(t, "Sum "+name, aerr, berr) && !bytes.Equal(sum, sum2) {
				t.Fatalf("Sum %s: %x and %x", name, sum, sum2)
			}
			if !maps.Equal(listed(local, p), listed(mem, p)) {
				t.Fatalf("List %s as %s: %v and %v", name, who, listed(local, p), listed(mem, p))
			}
			same(t, "Open "+name, sameContent(t, local, mem, p), nil)
		}
	}
}

func listed(s Store, p Path) map[string]string {
	found := map[string]string{}
	for i, err := range s.List(context.Background(), p) {
		if err != nil {
			found["error"] = fmt.Sprint(fault.KindOf(err))
			continue
		}
		found[i.Path.String()] = fmt.Sprint(i.Size, i.Part, i.Mode.Type())
	}
	return found
}

func sameContent(t *rapid.T, a, b Store, p Path) error {
	f, _, aerr := a.Open(context.Background(), p, 0)
	g, _, berr := b.Open(context.Background(), p, 0)
	if !same(t, "Open "+p.String(), aerr, berr) {
		return nil
	}
	x, aerr := io.ReadAll(f)
	y, berr := io.ReadAll(g)
	f.Close()
	g.Close()
	if aerr != nil || berr != nil || !bytes.Equal(x, y) {
		return fmt.Errorf("%s reads as %d and %d bytes", p, len(x), len(y))
	}
	return nil
}

func TestLocalIsAsMem(t *testing.T) {
	t.Parallel()
	base := tempHome(t)
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(base, "home")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		dir = filepath.Join(dir, "h")
		h, err := OpenHome(dir, Options{Quota: -1})
		if err != nil {
			t.Fatal(err)
		}
		h.sums.least = 1
		m := &model{dir: dir, home: h, mem: NewMem(-1), quota: -1}
		defer func() { m.home.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"create": m.create, "write": m.write, "writeAt": m.writeAt, "pump": m.pump, "end": m.end, "mkdir": m.mkdir,
			"remove": m.remove, "rename": m.rename, "dropPart": m.dropPart, "quota": m.setQuota, "set": m.set, "outside": m.outside, "reopen": m.reopen, "": m.check,
		})
		checkDisk(t, m)
	})
}

// checkDisk ends the uploads and holds the books against the disk.
func checkDisk(t *rapid.T, m *model) {
	m.reopen(t)
	sp, err := m.home.Space(context.Background())
	if disk := sizesOnce(m.dir); err != nil || sp.Used != disk {
		t.Fatalf("used is %d, the disk has %d (%v)", sp.Used, disk, err)
	}
}

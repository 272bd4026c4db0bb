package files

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sampan/fault"
)

// TestQuotaRace lets 16 uploads, overwrites, appends, parks, renames and removals run at once under a small quota. A
// watcher sums the sizes on the disk every few milliseconds: while it holds the lock of the books, no byte may be
// there that is not reserved, and no more may be reserved than the quota.
func TestQuotaRace(t *testing.T) {
	t.Parallel()
	const quota = 3 << 20
	dir := filepath.Join(tempHome(t), "home")
	h, err := OpenHome(dir, Options{Strict: true, Quota: quota})
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var refused, went atomic.Int64
	stop := make(chan struct{})
	for i := range 16 {
		running.Go(func() {
			l := h.As(fmt.Sprint("owner", i%3))
			r := rand.New(rand.NewPCG(uint64(i), 77))
			for range 60 {
				switch err := randomAct(l, r); fault.KindOf(err) {
				case fault.OverQuota:
					refused.Add(1)
				case fault.Internal:
					if err != nil {
						t.Errorf("%v", err)
					}
					went.Add(1)
				}
			}
		})
	}
	watched := make(chan int)
	go func() {
		n := 0
		defer func() { watched <- n }()
		for tick := time.NewTicker(2 * time.Millisecond); ; n++ {
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
			}
			h.mu.Lock()
			used, disk := h.used, sizesOnce(dir)
			h.mu.Unlock()
			if disk > used || used > quota {
				t.Errorf("the disk has %d bytes, %d are reserved, the quota is %d", disk, used, quota)
			}
		}
	}()
	running.Wait()
	close(stop)
	t.Logf("%d went well, %d were over the quota, looked %d times", went.Load(), refused.Load(), <-watched)
	if refused.Load() == 0 || went.Load() == 0 {
		t.Error("the quota was not tried")
	}
	checkUsed(t, h, dir)
	sp, _ := h.Space(t.Context())
	if err := put("last", bytesOf(int(quota-sp.Used), 9)).run(t.Context(), h.As("x")); err != nil {
		t.Errorf("the last %d bytes: %v", quota-sp.Used, err)
	}
	if err := put("more", "x").run(t.Context(), h.As("x")); fault.KindOf(err) != fault.OverQuota {
		t.Errorf("one byte more: %v", err)
	}
	checkUsed(t, h, dir)
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if h, err = OpenHome(dir, Options{Quota: quota}); err != nil {
		t.Fatal(err)
	}
	checkUsed(t, h, dir)
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}

// sizesOnce sums the sizes of regular files but what Sampan notes for itself, each file once though it may be met under two names while it
// is renamed.
func sizesOnce(dir string) (total int64) {
	seen := map[nodeID]bool{}
	_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(filepath.Dir(name)) == Hidden {
			return nil
		}
		if fi, err := d.Info(); err == nil {
			if n := infoNode(fi); !seen[n.id] {
				seen[n.id] = true
				total += n.size
			}
		}
		return nil
	})
	return total
}

// randomAct does one thing to one of a few names.
func randomAct(l *Local, r *rand.Rand) error {
	ctx := context.Background()
	name := func() Path { return mustPath(fmt.Sprint("f", r.IntN(12))) }
	p, data := name(), strings.Repeat("x", r.IntN(400<<10))
	switch n := r.IntN(20); {
	case n == 0:
		return l.Remove(ctx, p)
	case n == 1:
		return l.Rename(ctx, p, name(), true)
	case n == 2:
		return l.DropPart(ctx, p)
	default:
		w := Want{Size: -1}
		if i, err := l.Stat(ctx, p); err == nil && n > 12 {
			w.From, w.Part = i.Size, i.PartOnly()
			if i.Part >= 0 {
				w.From, w.Part = i.Part, true
			}
		}
		if n == 12 {
			w.Size = int64(len(data))
		}
		return sendRandom(ctx, l, p, w, data, n%4 == 0)
	}
}

func sendRandom(ctx context.Context, l *Local, p Path, w Want, data string, cut bool) error {
	u, err := l.Create(ctx, p, w)
	if err != nil {
		return err
	}
	defer u.Close()
	_, err = Pump(u, io.MultiReader(strings.NewReader(data)), 100<<10, func(_, want int64) (int64, error) { return u.Room(want) })
	if err == nil && !cut {
		_, err = u.Commit(ctx, nil)
	}
	return err
}

// TestAllOfTheFile: who goes on behind all that is there is told when it is not all any more, in the beginning and in the end.
func TestAllOfTheFile(t *testing.T) {
	t.Parallel()
	h, _ := steppedHome(t, Options{Quota: -1})
	publish(t, h, "x", "0123456789")
	publish(t, h, "empty", "")
	for name, from := range map[string]int64{"x": 5, "none": 0, "empty": 0} {
		create := func() (Upload, error) {
			return h.As("a").Create(t.Context(), mustPath(name), Want{From: from, All: true, Size: -1})
		}
		u, err := create()
		if name == "x" {
			if fault.KindOf(err) != fault.Busy {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		publish(t, h, name, "somebody else's")
		if _, err := io.WriteString(u, "tail"); err != nil {
			t.Fatal(err)
		}
		if _, err := u.Commit(t.Context(), nil); fault.KindOf(err) != fault.Busy {
			t.Errorf("%s: %v", name, err)
		}
		if err := u.Close(); err != nil {
			t.Error(err)
		}
		if got := read(t, h, name); got != "somebody else's" {
			t.Errorf("%s: %q", name, got)
		}
		if _, err := create(); fault.KindOf(err) != fault.Busy {
			t.Errorf("%s, again: %v", name, err)
		}
	}
	if got := h.partsOf(t, "a"); len(got) != 0 {
		t.Errorf("parts: %q", got)
	}
}

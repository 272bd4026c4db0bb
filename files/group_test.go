package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"sampan/fault"
)

func groupHome(t *testing.T, strict bool) (*Home, *Local) {
	t.Helper()
	h, err := OpenHome(t.TempDir(), Options{Strict: strict, Quota: 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h, h.As("alice")
}

func grouped(t *testing.T, l *Local, name string, content []byte) Upload {
	t.Helper()
	p, err := Parse(Root, name)
	if err != nil {
		t.Fatal(err)
	}
	u, err := l.Create(context.Background(), p, Want{Size: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write(content); err != nil {
		t.Fatal(err)
	}
	return u
}

func TestCommitAll(t *testing.T) {
	t.Parallel()
	for _, strict := range []bool{true, false} {
		t.Run(fmt.Sprintf("strict=%v", strict), func(t *testing.T) {
			t.Parallel()
			_, l := groupHome(t, strict)
			ctx := context.Background()
			dir, _ := Parse(Root, "dir")
			var ups []Upload
			for i := range 150 {
				ups = append(ups, grouped(t, l, fmt.Sprintf("f%d", i), []byte(fmt.Sprint(i))))
			}
			same := grouped(t, l, "f7", []byte("later"))
			closed := grouped(t, l, "closed", []byte("x"))
			taken := grouped(t, l, "dir", []byte("x"))
			closed.Close()
			if err := l.Mkdir(ctx, dir); err != nil {
				t.Fatal(err)
			}
			ups = append(ups, same, closed, taken)
			told := map[int]error{}
			CommitAll(ctx, ups, func(n int, i Info, err error) {
				if _, twice := told[n]; twice {
					t.Errorf("%d was told twice", n)
				}
				if told[n] = err; err == nil && n < 150 && (i.Path.Base() != fmt.Sprintf("f%d", n) || i.Size != int64(len(fmt.Sprint(n)))) {
					t.Errorf("%d: %+v", n, i)
				}
			})
			for n := range ups {
				err, ok := told[n]
				if !ok || n <= 150 && err != nil || n == 151 && fault.KindOf(err) != fault.Stopped || n == 152 && fault.KindOf(err) != fault.IsDir {
					t.Errorf("%d: told %v, %v", n, ok, err)
				}
			}
			for i := range 150 {
				p, _ := Parse(Root, fmt.Sprintf("f%d", i))
				r, _, err := l.Open(ctx, p, 0)
				if err != nil {
					t.Fatal(err)
				}
				got, _ := io.ReadAll(r)
				r.Close()
				want := fmt.Sprint(i)
				if i == 7 {
					want = "later"
				}
				if string(got) != want {
					t.Errorf("f%d: %q", i, got)
				}
			}
			taken.Close()
			if p, err := l.Part(ctx, dir); err != nil || p.Size != 1 {
				t.Errorf("what was not published: %+v %v", p, err)
			}
		})
	}
}

// TestCommitAllWhenTheSyncFails: nobody knows which of them was lost, so none is published, and none is kept.
func TestCommitAllWhenTheSyncFails(t *testing.T) {
	t.Parallel()
	h, l := groupHome(t, true)
	broken := errors.New("the disk is broken")
	var ups []Upload
	for i := range 20 {
		ups = append(ups, grouped(t, l, fmt.Sprintf("f%d", i), bytes.Repeat([]byte("x"), 1000)))
	}
	h.hook = func(step string) error {
		if step == "sync data" {
			return broken
		}
		return nil
	}
	CommitAll(context.Background(), ups, func(n int, _ Info, err error) {
		if !errors.Is(err, broken) {
			t.Errorf("%d: %v", n, err)
		}
	})
	h.hook = nil
	for _, u := range ups {
		u.Close()
	}
	for i, err := range l.List(context.Background(), Root) {
		t.Errorf("there is %v (%v)", i.Path, err)
	}
	if s, _ := l.Space(context.Background()); s.Used != 0 {
		t.Errorf("%d bytes are used", s.Used)
	}
}

func TestCommitAllCancelled(t *testing.T) {
	t.Parallel()
	_, l := groupHome(t, true)
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(fault.New(fault.Stopped, "the server is stopping"))
	ups := []Upload{grouped(t, l, "a", []byte("a")), grouped(t, l, "b", []byte("bb"))}
	CommitAll(ctx, ups, func(n int, _ Info, err error) {
		if fault.KindOf(err) != fault.Stopped {
			t.Errorf("%d: %v", n, err)
		}
	})
	for _, u := range ups {
		if err := u.Close(); err != nil {
			t.Error(err)
		}
	}
	p, _ := Parse(Root, "b")
	if part, err := l.Part(context.Background(), p); err != nil || part.Size != 2 {
		t.Errorf("%+v %v", part, err)
	}
}

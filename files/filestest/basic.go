package filestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"sampan/fault"
	"sampan/files"
)

var basicCases = []testCase{
	{"put and get", 0, putAndGet},
	{"unseen before commit", 0, unseenBeforeCommit},
	{"a reader keeps the old version", 0, readerKeepsOld},
	{"offsets", 0, offsets},
	{"append and cut short", 0, appendAndCutShort},
	{"new names only", 0, newOnly},
	{"not sure", 0, notSure},
	{"cancelled", 0, cancelled},
	{"closed for good", 0, closedForGood},
	{"many writers of one name", 0, manyWriters},
	{"create refuses", 0, createRefuses},
	{"a name held new", Fresh, heldNew},
}

func putAndGet(s *suite) {
	for _, n := range []int{0, 1, 4095, 64 << 10, 1<<20 + 3} {
		name := fmt.Sprintf("f%d", n)
		data := content(n)
		i := s.put(name, data)
		if i.Size != int64(n) || i.Path != s.path(name) || i.Part >= 0 || !i.Mode.IsRegular() {
			s.Errorf("Commit of %d bytes says %+v", n, i)
		}
		s.holds(name, data)
	}
	s.put("f1", content(5000))
	s.holds("f1", content(5000))
}

func unseenBeforeCommit(s *suite) {
	u := s.create("a", whole, content(3000))
	if u.Size() != 3000 {
		s.Errorf("Size is %d after 3000 bytes", u.Size())
	}
	if found := s.list("/"); len(found) != 0 {
		s.Errorf("listed before Commit: %v", found)
	}
	s.commit(u)
	s.holds("a", content(3000))
}

func readerKeepsOld(s *suite) {
	old, fresh := content(300<<10), content(200<<10)
	s.put("a", old)
	r, i, err := s.Store.Open(s.ctx, s.path("a"), 0)
	s.ok("Open", err)
	if i.Size != int64(len(old)) {
		s.Errorf("Open says %d bytes", i.Size)
	}
	u := s.create("a", whole, fresh)
	if s.Can&Apart != 0 {
		s.holds("a", old)
	}
	s.commit(u)
	b, err := io.ReadAll(r)
	s.ok("read on", err)
	s.ok("Close", r.Close())
	if !bytes.Equal(b, old) {
		s.Error("the reader did not get the version that it opened")
	}
	s.holds("a", fresh)
}

func offsets(s *suite) {
	data := content(10000)
	s.put("a", data)
	for _, off := range []int64{1, 9999, 10000} {
		if got := s.get("a", off); !bytes.Equal(got, data[off:]) {
			s.Errorf("from %d: %d bytes that differ", off, len(got))
		}
	}
	_, _, err := s.Store.Open(s.ctx, s.path("a"), 10001)
	s.refused("Open beyond the end", err, fault.BadOffset)
}

func appendAndCutShort(s *suite) {
	data := content(150 << 10)
	s.put("a", data[:100<<10])
	s.commit(s.create("a", files.Want{From: 100 << 10, Size: -1}, data[100<<10:]))
	s.holds("a", data)
	s.commit(s.create("a", files.Want{From: 777, Size: -1}, []byte("tail")))
	s.holds("a", append(bytes.Clone(data[:777]), "tail"...))
	for name, from := range map[string]int64{"a": 782, "nothing there": 1} {
		u, err := s.Store.Create(s.ctx, s.path(name), files.Want{From: from, Size: -1})
		if err == nil { // a protocol may tell only at the end
			_, err = u.Commit(s.ctx, nil)
			_ = u.Close()
		}
		s.refused("Create beyond the end of "+name, err, fault.BadOffset)
	}
	s.holds("a", append(bytes.Clone(data[:777]), "tail"...))
}

func newOnly(s *suite) {
	fresh := files.Want{Size: -1, New: true}
	s.commit(s.create("a", fresh, []byte("one")))
	u, err := s.Store.Create(s.ctx, s.path("a"), fresh)
	if err == nil {
		_, err = u.Commit(s.ctx, nil)
		_ = u.Close()
	}
	s.refused("Create of a taken name", err, fault.Exist)
	s.holds("a", []byte("one"))
}

func heldNew(s *suite) {
	fresh := files.Want{Size: -1, New: true}
	u := s.create("a", fresh, []byte("one"))
	_, err := s.Store.Create(s.ctx, s.path("a"), fresh)
	s.refused("Create of a name that is held", err, fault.Exist)
	s.put("a", []byte("two"))
	_, err = u.Commit(s.ctx, nil)
	s.refused("Commit of a name taken meanwhile", err, fault.Exist)
	s.ok("Close", u.Close())
	s.holds("a", []byte("two"))
	s.ok("Remove", s.Store.Remove(s.ctx, s.path("a")))
	s.commit(s.create("a", fresh, []byte("three")))
	s.holds("a", []byte("three"))
}

func notSure(s *suite) {
	s.put("a", []byte("old"))
	u := s.create("a", whole, []byte("new"))
	doubt := fault.New(fault.Cut, "interrupted")
	_, err := u.Commit(s.ctx, func() error { return doubt })
	if err == nil {
		s.Fatal("Commit went well though sure had an error")
	}
	s.ok("Close", u.Close())
	s.holds("a", []byte("old"))
}

func cancelled(s *suite) {
	s.put("a", []byte("old"))
	u := s.create("a", whole, []byte("new"))
	ctx, cancel := context.WithCancelCause(s.ctx)
	why := errors.New("kicked")
	cancel(why)
	if _, err := u.Commit(ctx, nil); err == nil {
		s.Fatal("Commit went well though its context was done")
	}
	_ = u.Close()
	s.holds("a", []byte("old"))
}

func closedForGood(s *suite) {
	u := s.create("a", whole, []byte("x"))
	s.commit(u)
	s.ok("a second Close", u.Close())
	if _, err := u.Commit(s.ctx, nil); err == nil {
		s.Error("a second Commit went well")
	}
	if _, err := u.Write([]byte("y")); err == nil {
		s.Error("Write after Commit went well")
	}
	s.holds("a", []byte("x"))
}

func manyWriters(s *suite) {
	var all [][]byte
	var running sync.WaitGroup
	for i := range 6 {
		data := content(50000 + i)
		all = append(all, data)
		running.Go(func() {
			u, err := s.Store.Create(s.ctx, s.path("a"), whole)
			if err == nil {
				if _, err = u.Write(data); err == nil {
					_, err = u.Commit(s.ctx, nil)
				}
				_ = u.Close()
			}
			if err != nil {
				s.Errorf("writer: %v", err)
			}
		})
	}
	running.Wait()
	got := s.get("a", 0)
	for _, data := range all {
		if bytes.Equal(got, data) {
			return
		}
	}
	s.Errorf("the file holds %d bytes that nobody sent so", len(got))
}

func createRefuses(s *suite) {
	s.mkdir("d")
	s.put("f", []byte("x"))
	for name, kinds := range map[string][]fault.Kind{
		"d":            {fault.IsDir},
		"/":            {fault.BadName},
		"missing/f":    {fault.NotExist},
		"f/below":      {fault.NotDir, fault.NotExist},
		"bell\a":       {fault.BadName},
		"d/escape\x1b": {fault.BadName},
	} {
		u, err := s.Store.Create(s.ctx, s.path(name), whole)
		if err == nil {
			_, err = u.Commit(s.ctx, nil)
			_ = u.Close()
		}
		s.refused(fmt.Sprintf("Create %q", name), err, kinds...)
	}
}

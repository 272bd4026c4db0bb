// Package filestest is the suite that every files.Store passes: on disk, in memory, and through each protocol, where it
// proves server and client together.
package filestest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"sampan/fault"
	"sampan/files"
)

// Can says what a kind of Store has beyond the least. The suite runs exactly the cases that the kind has everything for.
type Can uint

const (
	Kinds  Can = 1 << iota // errors carry the exact fault.Kind; without it any *fault.Error will do
	Parts                  // Store is a files.Parter: cut uploads are parked and can be continued
	Owners                 // Rig.Other is the same tree as another owner sees it
	Quota                  // Rig.SetQuota works and Store is a files.Spacer
	Sums                   // Store is a files.Summer that knows SHA-256
	Random                 // Upload.WriteAt may write out of order
	Modes                  // Set keeps permission bits
	Fresh                  // Want.New holds the name against everybody
	Disk                   // Rig.Dir is the tree's directory on this machine, where links work
	Listed                 // a listing tells of the parts beside files
	Apart                  // the Store itself does not see what it uploads before Commit
	Twins                  // two spellings of a name, NFC and NFD, are one name
)

// Rig is a fresh, empty tree.
type Rig struct {
	Store    files.Store
	Can      Can
	Other    files.Store       // with Owners
	SetQuota func(bytes int64) // with Quota; -1 is unlimited
	Dir      string            // with Disk
}

// Maker makes a Rig and cleans it up at the end of the test. All Rigs of one Maker can the same.
type Maker = func(t *testing.T) Rig

// Run holds the kind of Store that mk makes against the contracts of package files.
func Run(t *testing.T, mk Maker) {
	can := mk(t).Can
	for _, c := range slices.Concat(basicCases, nameCases, twinCases, partCases, extraCases) {
		if can&c.needs != c.needs {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(&suite{T: t, Rig: mk(t), ctx: t.Context()})
		})
	}
}

type testCase struct {
	name  string
	needs Can
	run   func(s *suite)
}

// suite is one case with its Rig and what is done again and again.
type suite struct {
	*testing.T
	Rig
	ctx context.Context
}

func (s *suite) path(name string) files.Path {
	s.Helper()
	p, err := files.Parse(files.Root, name)
	if err != nil {
		s.Fatalf("Parse(%q): %v", name, err)
	}
	return p
}

func (s *suite) ok(what string, err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("%s: %v", what, err)
	}
}

// refused checks that err is of one of the kinds.
func (s *suite) refused(what string, err error, kinds ...fault.Kind) {
	s.Helper()
	var f *fault.Error
	switch {
	case err == nil:
		s.Fatalf("%s: it went well", what)
	case !errors.As(err, &f):
		s.Fatalf("%s: %v is no *fault.Error", what, err)
	case s.Can&Kinds != 0 && !slices.Contains(kinds, f.Kind):
		s.Fatalf("%s: kind %v (%v), want %v", what, f.Kind, err, kinds)
	}
}

// content returns n bytes that are not like others.
func content(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16), 7})
	_, _ = r.Read(b)
	return b
}

var whole = files.Want{Size: -1}

// create starts an upload and sends data.
func (s *suite) create(name string, w files.Want, data []byte) files.Upload {
	s.Helper()
	u, err := s.Store.Create(s.ctx, s.path(name), w)
	s.ok("Create "+name, err)
	s.send(u, data)
	return u
}

func (s *suite) send(u files.Upload, data []byte) {
	s.Helper()
	n, err := files.Pump(u, bytes.NewReader(data), 64<<10, func(_, want int64) (int64, error) { return u.Room(want) })
	if err != nil || n != int64(len(data)) {
		s.Fatalf("sent %d of %d bytes: %v", n, len(data), err)
	}
}

func (s *suite) commit(u files.Upload) files.Info {
	s.Helper()
	i, err := u.Commit(s.ctx, nil)
	s.ok("Commit", err)
	s.ok("Close after Commit", u.Close())
	return i
}

// put uploads a file whole.
func (s *suite) put(name string, data []byte) files.Info {
	s.Helper()
	return s.commit(s.create(name, whole, data))
}

// cut uploads data and ends without Commit. One byte more is announced than comes: then also a protocol that streams
// can tell that what it got before the end is whole so far.
func (s *suite) cut(name string, w files.Want, data []byte) {
	s.Helper()
	w.Size = w.From + int64(len(data)) + 1
	s.ok("Close", s.create(name, w, data).Close())
}

func (s *suite) get(name string, off int64) []byte {
	s.Helper()
	r, _, err := s.Store.Open(s.ctx, s.path(name), off)
	s.ok("Open "+name, err)
	b, err := io.ReadAll(r)
	s.ok("read "+name, err)
	s.ok("Close "+name, r.Close())
	return b
}

// holds checks that name reads as data.
func (s *suite) holds(name string, data []byte) {
	s.Helper()
	if b := s.get(name, 0); !bytes.Equal(b, data) {
		s.Fatalf("%s holds %d bytes that differ from the %d wanted", name, len(b), len(data))
	}
	if i := s.stat(name); i.Size != int64(len(data)) {
		s.Fatalf("%s: Stat says %d bytes, it has %d", name, i.Size, len(data))
	}
}

func (s *suite) stat(name string) files.Info {
	s.Helper()
	i, err := s.Store.Stat(s.ctx, s.path(name))
	s.ok("Stat "+name, err)
	return i
}

// absent checks that there is nothing to see under name.
func (s *suite) absent(name string) {
	s.Helper()
	_, err := s.Store.Stat(s.ctx, s.path(name))
	s.refused("Stat "+name, err, fault.NotExist)
	_, _, err = s.Store.Open(s.ctx, s.path(name), 0)
	s.refused("Open "+name, err, fault.NotExist)
}

func (s *suite) list(name string) map[string]files.Info {
	s.Helper()
	found := map[string]files.Info{}
	for i, err := range s.Store.List(s.ctx, s.path(name)) {
		s.ok("List "+name, err)
		if _, twice := found[i.Path.Base()]; twice {
			s.Fatalf("List %s: %s comes twice", name, i.Path)
		}
		if i.Path.Dir().NFC() != s.path(name).NFC() {
			s.Fatalf("List %s: %s does not lie there", name, i.Path)
		}
		found[i.Path.Base()] = i
	}
	return found
}

func (s *suite) mkdir(name string) {
	s.Helper()
	s.ok("Mkdir "+name, s.Store.Mkdir(s.ctx, s.path(name)))
}

// parter is the Store as a Parter.
func (s *suite) parter() files.Parter {
	s.Helper()
	p, ok := s.Store.(files.Parter)
	if !ok {
		s.Fatal("the Rig says Parts, but the Store is no Parter")
	}
	return p
}

// part checks that data is parked under name.
func (s *suite) part(name string, data []byte) {
	s.Helper()
	p, err := s.parter().Part(s.ctx, s.path(name))
	s.ok("Part "+name, err)
	sum := sha256.Sum256(data)
	if p.Size != int64(len(data)) || !bytes.Equal(p.Sum, sum[:]) {
		s.Fatalf("part of %s: %d bytes %x, want %d bytes %x", name, p.Size, p.Sum, len(data), sum)
	}
}

func (s *suite) noPart(name string) {
	s.Helper()
	_, err := s.parter().Part(s.ctx, s.path(name))
	s.refused("Part "+name, err, fault.NotExist)
}

// resume says how to continue a part of n bytes.
func resume(n int) files.Want { return files.Want{From: int64(n), Size: -1, Part: true} }

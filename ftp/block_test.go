package ftp

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func blockBytes(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), 3}).Read(b)
	return b
}

// TestBlocksOnTheWire pins the bytes of RFC 959 section 3.4.2.
func TestBlocksOnTheWire(t *testing.T) {
	t.Parallel()
	var wire bytes.Buffer
	w := NewBlockWriter(&wire)
	w.Write([]byte("abc"))
	w.End(false)
	w.End(false)
	w.Write([]byte("d"))
	w.Mark("7")
	w.Write([]byte("e"))
	w.End(true)
	if wire.Len() != 0 {
		t.Errorf("%d bytes were sent before Flush", wire.Len())
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	want := "\x40\x00\x03abc" + "\x40\x00\x00" + "\x00\x00\x01d" + "\x10\x00\x017" + "\x00\x00\x01e" + "\x60\x00\x00"
	if wire.String() != want {
		t.Errorf("got  %q\nwant %q", wire.String(), want)
	}
	var marks []string
	r := NewBlockReader(&wire, func(m string) { marks = append(marks, m) })
	for i, want := range []struct {
		text string
		err  error
	}{{"abc", nil}, {"", nil}, {"de", ErrGivenUp}} {
		if err := r.Next(); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if string(got) != want.text || !errors.Is(err, want.err) || !r.Ended() {
			t.Errorf("file %d: %q %v", i, got, err)
		}
	}
	if strings.Join(marks, " ") != "7" {
		t.Errorf("marks %q", marks)
	}
	r.Next()
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("behind the last file: %v", err)
	}
}

func TestBlocksRoundTrip(t *testing.T) {
	t.Parallel()
	sizes := []int{0, 1, 4096, maxBlock - 1, maxBlock, maxBlock + 1, blockBuffer - 3, blockBuffer, blockBuffer + 1, 3*blockBuffer + 77, 0, 5}
	cut := map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r },
		"bytes": iotest.OneByteReader,
		"half":  iotest.HalfReader,
		"error": iotest.DataErrReader,
	}
	for name, cut := range cut {
		for _, direct := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				var wire bytes.Buffer
				w := NewBlockWriter(&wire)
				for _, n := range sizes {
					sum := sha256.New()
					w.Tee(sum)
					if direct {
						m, err := w.ReadFrom(&io.LimitedReader{R: bytes.NewReader(blockBytes(n)), N: 1 << 30})
						if err != nil || m != int64(n) {
							t.Fatal(m, err)
						}
					} else if m, err := w.Write(blockBytes(n)); err != nil || m != n {
						t.Fatal(m, err)
					}
					if err := w.End(false); err != nil {
						t.Fatal(err)
					}
					if want := sha256.Sum256(blockBytes(n)); !bytes.Equal(sum.Sum(nil), want[:]) {
						t.Errorf("%d bytes: the tee saw others", n)
					}
				}
				if err := w.Flush(); err != nil {
					t.Fatal(err)
				}
				w.Rest()
				r := NewBlockReader(cut(&wire), nil)
				for _, n := range sizes {
					r.Next()
					got, err := io.ReadAll(r)
					if err != nil || !bytes.Equal(got, blockBytes(n)) {
						t.Fatalf("%d bytes: %d came, %v", n, len(got), err)
					}
				}
				r.Rest()
			})
		}
	}
}

func TestBlocksThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wire string
		err  error
	}{
		"unknown bits":              {"\x41\x00\x00", ErrBlock},
		"records":                   {"\x80\x00\x01a", ErrBlock},
		"an empty marker":           {"\x10\x00\x00", ErrBlock},
		"a marker that ends":        {"\x50\x00\x01m", ErrBlock},
		"a long marker":             {"\x10\x01\x00", ErrBlock},
		"a marker with a line":      {"\x10\x00\x03a\r\n", ErrBlock},
		"a marker with a space":     {"\x10\x00\x01 ", ErrBlock},
		"cut in the header":         {"\x00\x00", io.ErrUnexpectedEOF},
		"cut in the payload":        {"\x40\x00\x05abcd", io.ErrUnexpectedEOF},
		"cut between blocks":        {"\x00\x00\x01a", io.ErrUnexpectedEOF},
		"nothing":                   {"", io.ErrUnexpectedEOF},
		"given up":                  {"\x00\x00\x01a\x60\x00\x01b", ErrGivenUp},
		"given up before the end":   {"\x20\x00\x01a\x00\x00\x01c\x40\x00\x01b", ErrGivenUp},
		"whole, with empty blocks":  {"\x00\x00\x00\x00\x00\x00\x00\x00\x01a\x40\x00\x00", nil},
		"whole, the end behind all": {"\x00\x00\x01a\x40\x00\x00", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := NewBlockReader(strings.NewReader(c.wire), nil)
			r.Next()
			got, err := io.ReadAll(r)
			if !errors.Is(err, c.err) {
				t.Errorf("%v, want %v", err, c.err)
			}
			if c.err == nil && string(got) != "a" || strings.ContainsAny(string(got), "bc") && c.err == ErrGivenUp {
				t.Errorf("read %q", got)
			}
			if _, again := r.Read(make([]byte, 1)); c.err != nil && !errors.Is(again, c.err) {
				t.Errorf("then %v", again)
			}
		})
	}
}

// TestSkipKeepsInStep skips files of all kinds, some of them read in part.
func TestSkipKeepsInStep(t *testing.T) {
	t.Parallel()
	var wire bytes.Buffer
	w := NewBlockWriter(&wire)
	for i := range 50 {
		w.Write(blockBytes(i * 3000))
		w.Mark("m")
		w.End(i%3 == 0)
		w.Write([]byte{byte(i)})
		w.End(false)
	}
	w.Flush()
	r := NewBlockReader(&wire, nil)
	for i := range 50 {
		r.Next()
		io.ReadFull(r, make([]byte, i*1000))
		if i%2 == 0 {
			if err := r.Skip(); err != nil || !r.Ended() {
				t.Fatal(err)
			}
		}
		if err := r.Next(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || len(got) != 1 || got[0] != byte(i) {
			t.Fatalf("file %d: %v %v", i, got, err)
		}
	}
}

type stutter struct {
	r    io.Reader
	turn bool
}

func (s *stutter) Read(p []byte) (int, error) {
	if s.turn = !s.turn; s.turn {
		return 0, os.ErrDeadlineExceeded
	}
	return s.r.Read(p[:min(len(p), 2)])
}

// TestReadingGoesOnAfterADeadline stops at every second byte.
func TestReadingGoesOnAfterADeadline(t *testing.T) {
	t.Parallel()
	r := NewBlockReader(&stutter{r: strings.NewReader("\x00\x00\x03abc\x10\x00\x05marks\x40\x00\x02de")}, nil)
	r.Next()
	var got []byte
	for p := make([]byte, 8); ; {
		n, err := r.Read(p)
		got = append(got, p[:n]...)
		if err == io.EOF {
			break
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	if string(got) != "abcde" {
		t.Errorf("%q", got)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestAWriteErrorStays(t *testing.T) {
	t.Parallel()
	w := NewBlockWriter(broken{})
	if _, err := w.Write(make([]byte, 2*blockBuffer)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Write: %v", err)
	}
	if err := w.End(false); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("End: %v", err)
	}
	if _, err := w.ReadFrom(strings.NewReader("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("ReadFrom: %v", err)
	}
	if err := w.Flush(); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Flush: %v", err)
	}
}

// TestBlocksCostNoMemory is about small files, which come by the thousand.
func TestBlocksCostNoMemory(t *testing.T) {
	var wire bytes.Buffer
	w, r := NewBlockWriter(&wire), NewBlockReader(&wire, nil)
	content, got := blockBytes(4096), make([]byte, 8192)
	src := bytes.NewReader(content)
	run := func() {
		wire.Reset()
		for range 10 {
			src.Reset(content)
			w.ReadFrom(src)
			w.End(false)
		}
		w.Flush()
		for range 10 {
			r.Next()
			n := 0
			for {
				m, err := r.Read(got[n:])
				if n += m; err != nil {
					break
				}
			}
			if n != 4096 {
				t.Fatalf("%d bytes", n)
			}
		}
	}
	run()
	if n := testing.AllocsPerRun(20, run); n > 0 {
		t.Errorf("%v allocations for ten files", n)
	}
}

func TestProof(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte("x"))
	p := Proof{Size: 12, ModTime: time.Date(2020, 2, 29, 1, 2, 3, 0, time.UTC), Unique: "ab-c", Sum: sum[:]}
	text := string(AppendProof(nil, p, "/a b;c/ d"))
	const want = "size=12;modify=20200229010203;unique=ab-c;X.sha256=2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881; /a b;c/ d"
	if text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	got, path, ok := ParseProof(text)
	if !ok || !reflect.DeepEqual(got, p) || path != "/a b;c/ d" {
		t.Errorf("%+v %q %v", got, path, ok)
	}
	p.Sum = nil
	unknown := string(AppendProof(nil, p, "/a"))
	if strings.Contains(unknown, "sha256") {
		t.Error(unknown)
	}
	for _, bad := range []string{"", unknown, "Safe: /a (12 bytes)", "size=1; x", strings.Replace(want, "size=12", "size=-1", 1), strings.Replace(want, "2d71", "2d7", 1), strings.Replace(want, "2d71", "2d7g", 1), strings.ReplaceAll(want, " ", "")} {
		if p, _, ok := ParseProof(bad); ok {
			t.Errorf("%q: %+v", bad, p)
		}
	}
}

func FuzzBlockReader(f *testing.F) {
	f.Add([]byte("\x40\x00\x03abc\x40\x00\x00\x00\x00\x01d\x10\x00\x017\x00\x00\x01e\x60\x00\x00"), uint8(7))
	f.Add([]byte("\x20\x00\x01a\x00\x00\x01c\x40\x00\x01b\x40\x00\x01z"), uint8(1))
	f.Fuzz(func(t *testing.T, wire []byte, step uint8) {
		marks := 0
		r := NewBlockReader(bytes.NewReader(wire), func(m string) {
			if marks++; m == "" || len(m) > maxMarker || strings.ContainsAny(m, " \r\n") {
				t.Fatalf("mark %q", m)
			}
		})
		total := 0
		for p := make([]byte, int(step)+1); ; {
			if err := r.Next(); err != nil {
				break
			}
			var err error
			for n := 0; err == nil; {
				n, err = r.Read(p)
				total += n
				if n == 0 && err == nil {
					t.Fatal("nothing was read")
				}
			}
			if r.Ended() != (err == io.EOF || errors.Is(err, ErrGivenUp)) {
				t.Fatalf("ended %v, but %v", r.Ended(), err)
			}
			if !r.Ended() {
				break
			}
		}
		if total > len(wire) {
			t.Fatalf("%d bytes of %d", total, len(wire))
		}
		r.Rest()
	})
}

// FuzzBlocks writes whatever and reads it back.
func FuzzBlocks(f *testing.F) {
	f.Add([]byte("hello"), uint16(3), true)
	f.Fuzz(func(t *testing.T, data []byte, cut uint16, givenUp bool) {
		n := min(int(cut), len(data))
		var wire bytes.Buffer
		w := NewBlockWriter(&wire)
		w.Write(data[:n])
		w.Mark("here")
		w.ReadFrom(bytes.NewReader(data[n:]))
		w.End(givenUp)
		w.Write(data)
		w.End(false)
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		w.Rest()
		r := NewBlockReader(&wire, nil)
		for i := range 2 {
			r.Next()
			got, err := io.ReadAll(r)
			if !bytes.Equal(got, data) || errors.Is(err, ErrGivenUp) != (givenUp && i == 0) {
				t.Fatalf("file %d: %q %v", i, got, err)
			}
		}
		r.Rest()
	})
}

func FuzzProof(f *testing.F) {
	f.Add("size=12;modify=20200229010203;unique=ab-c;X.sha256=2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881; /a b")
	f.Fuzz(func(t *testing.T, text string) {
		p, path, ok := ParseProof(text)
		if !ok {
			return
		}
		if p.Size < 0 {
			t.Fatalf("%+v", p)
		}
		again, samePath, ok := ParseProof(string(AppendProof(nil, p, path)))
		if strings.ContainsAny(path, "\r\n") {
			return
		}
		if !ok || samePath != path || again.Size != p.Size || !bytes.Equal(again.Sum, p.Sum) || again.Unique != p.Unique {
			t.Fatalf("%+v %q became %+v %q", p, path, again, samePath)
		}
	})
}

func BenchmarkBlocks(b *testing.B) {
	content := blockBytes(4096)
	var wire bytes.Buffer
	w, r := NewBlockWriter(&wire), NewBlockReader(&wire, nil)
	got := make([]byte, 8192)
	b.SetBytes(4096)
	for range b.N {
		wire.Reset()
		w.Write(content)
		w.End(false)
		w.Flush()
		r.Next()
		for {
			if _, err := r.Read(got); err != nil {
				break
			}
		}
	}
}

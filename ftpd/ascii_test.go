package ftpd

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestFromASCII(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "a\r\nb": "a\nb", "\r": "\r", "\r\r\n": "\r\n", "a\rb\n": "a\rb\n", "\n\r": "\n\r", "\r\n\r\n": "\n\n",
	} {
		for _, cut := range []func(io.Reader) io.Reader{
			func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.DataErrReader,
		} {
			got, err := io.ReadAll(iotest.OneByteReader(&fromASCII{src: cut(strings.NewReader(in))}))
			if err != nil || string(got) != want {
				t.Errorf("%q: %q %v, want %q", in, got, err, want)
			}
		}
	}
	f := &fromASCII{src: iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("a\r\nb")))}
	got, err := io.ReadAll(f)
	if string(got) != "a" || err != iotest.ErrTimeout {
		t.Fatalf("%q %v", got, err)
	}
	if got, err = io.ReadAll(f); string(got) != "\nb" || err != nil { // it goes on where it was
		t.Fatalf("%q %v", got, err)
	}
}

func FuzzASCII(f *testing.F) {
	f.Add([]byte("a\r\nb\n\r"), uint8(2))
	f.Fuzz(func(t *testing.T, in []byte, cut uint8) {
		got, err := io.ReadAll(&fromASCII{src: io.MultiReader(bytes.NewReader(in[:min(int(cut), len(in))]), bytes.NewReader(in[min(int(cut), len(in)):]))})
		if want := bytes.ReplaceAll(in, []byte("\r\n"), []byte("\n")); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%q: %q %v, want %q", in, got, err, want)
		}
		var sent bytes.Buffer
		to := &toASCII{dst: &sent}
		for piece := range pieces(in, int(cut)%5+1) {
			if n, err := to.Write(piece); n != len(piece) || err != nil {
				t.Fatal(n, err)
			}
		}
		back, err := io.ReadAll(&fromASCII{src: &sent})
		if want := bytes.ReplaceAll(in, []byte("\r\n"), []byte("\n")); err != nil || !bytes.Equal(back, want) {
			t.Fatalf("%q comes back as %q %v", in, back, err)
		}
	})
}

func pieces(in []byte, n int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(in) > 0 {
			k := min(n, len(in))
			if !yield(in[:k]) {
				return
			}
			in = in[k:]
		}
	}
}

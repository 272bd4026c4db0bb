package ftp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadLine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ in, want string }{
		{"NOOP\r\n", "NOOP"},
		{"NOOP\n", "NOOP"},
		{"A\rB\r\n", "A\rB"},
		{"A\r\r\n", "A\r"},
		{"\r\n", ""},
		{"RETR \xff\xffx\r\n", "RETR \xffx"},                   // IAC IAC is a byte
		{"\xff\xf4\xff\xf2ABOR\r\n", "ABOR"},                   // IAC IP IAC DM
		{"\xff\xf4\xf2ABOR\r\n", "ABOR"},                       // the second IAC went as urgent data
		{"\xff\xf4\xffABOR\r\n", "ABOR"},                       // the DM did
		{"NO\xff\xfb\x01OP\r\n", "NOOP"},                       // IAC WILL ECHO
		{"NO\xff\xfa\x18\x00x\xff\xf0OP\r\n", "NOOP"},          // a subnegotiation
		{"NO\xff\xfa\x18\xff\xff\xff\xf0OP\r\n", "NOOP"},       // IAC IAC inside one
		{"NO\xff\xfa never ended\r\n", "NO"},                   // ends with the line
		{"STOR caf\xc3\xa9 \xf2\r\n", "STOR caf\xc3\xa9 \xf2"}, // DM inside a name is a byte
	} {
		for _, cut := range []func(io.Reader) io.Reader{
			func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader,
		} {
			l := NewLineReader(cut(strings.NewReader(test.in + "QUIT\r\n")))
			if got, err := l.ReadLine(); got != test.want || err != nil {
				t.Errorf("%q: %q, %v", test.in, got, err)
			}
			if got, err := l.ReadLine(); got != "QUIT" || err != nil {
				t.Errorf("behind %q: %q, %v", test.in, got, err)
			}
			if _, err := l.ReadLine(); err != io.EOF {
				t.Errorf("at the end: %v", err)
			}
		}
	}
}

func TestReadLineLimits(t *testing.T) {
	t.Parallel()
	l := NewLineReader(strings.NewReader(strings.Repeat("x", MaxLine-2) + "\r\n" + strings.Repeat("x", MaxLine) + "\r\nNOOP\r\n"))
	if s, err := l.ReadLine(); len(s) != MaxLine-2 || err != nil {
		t.Fatal(len(s), err)
	}
	for range 2 {
		if _, err := l.ReadLine(); !errors.Is(err, ErrLongLine) {
			t.Fatal(err)
		}
	}
	l = NewLineReader(strings.NewReader("A\x00B\r\nNOOP\r\ncut off"))
	if _, err := l.ReadLine(); !errors.Is(err, ErrNUL) {
		t.Fatal(err)
	}
	if s, err := l.ReadLine(); s != "NOOP" || err != nil {
		t.Fatal(s, err)
	}
	if _, err := l.ReadLine(); err != io.EOF {
		t.Fatal(err)
	}
}

func TestParseCommand(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Command{
		"NOOP":            {"NOOP", ""},
		"noop ":           {"NOOP", ""},
		"RETR  a b ":      {"RETR", " a b "},
		"Stor \xc3\xa4\r": {"STOR", "\xc3\xa4\r"},
		"XSHA256 f":       {"XSHA256", "f"},
	} {
		if got, err := ParseCommand(in); got != want || err != nil {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", " NOOP", "NO-OP", "1NOOP", "N\tOOP", "\x16\x03\x01", "GET/HTTP", strings.Repeat("A", 13)} {
		if got, err := ParseCommand(in); err == nil {
			t.Errorf("%q is %q", in, got)
		}
	}
}

func TestAppendReply(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		want  string
		lines []string
	}{
		{"200 Fine\r\n", []string{"Fine"}},
		{"211-Features:\r\n SIZE\r\n211 End\r\n", []string{"Features:", "SIZE", "End"}},
		{"550 a\\x0d\\x0a226 done\\x1b[2J: no\r\n", []string{"a\r\n226 done\x1b[2J: no"}},
	} {
		if got := string(AppendReply(nil, atoi(test.want[:3]), test.lines...)); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
	if got := QuotePath(`/a "b"`); got != `"/a ""b"""` {
		t.Error(got)
	}
}

func atoi(s string) int { return int(number(s)) }

func TestParseOffsetAndRange(t *testing.T) {
	t.Parallel()
	if n, ok := ParseOffset("9223372036854775807"); n != 1<<63-1 || !ok {
		t.Error(n, ok)
	}
	for _, bad := range []string{"", "-1", "+1", " 1", "1 ", "0x10", "9223372036854775808", strings.Repeat("9", 26), "1e3", "１"} {
		if n, ok := ParseOffset(bad); ok {
			t.Errorf("%q is %d", bad, n)
		}
	}
	for _, test := range []struct {
		in         string
		start, end int64
		ok         bool
	}{
		{"0 9", 0, 9, true},
		{"5 5", 5, 5, true},
		{"1 0", 0, -1, true},
		{"2 1", 0, -1, false},
		{"0 9223372036854775806", 0, 1<<63 - 2, true},
		{"0 9223372036854775807", 0, -1, false},
		{"1", 0, -1, false},
		{"1 2 3", 0, -1, false},
		{"", 0, -1, false},
	} {
		if s, e, ok := ParseRange(test.in); s != test.start || e != test.end || ok != test.ok {
			t.Errorf("%q: %d %d %v", test.in, s, e, ok)
		}
	}
}

func TestCutSwitches(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "-a": "", "-la": "", "-1": "", "-la dir": "dir", "-l -a a b": "a b", "dir": "dir",
		"./-la": "./-la", "-- -la": "-la", "--": "", "-la -- -x": "-x", "-file.txt": "-file.txt", "-l  x": "x",
		"-R": "", "-alR x": "x", "-a -R x": "x",
	} {
		if got, below := CutSwitches(in); got != want || below != strings.Contains(in, "R") {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzReadLine(f *testing.F) {
	f.Add([]byte("USER a\r\nPASS b\r\n\xff\xf4\xff\xf2ABOR\r\n"), uint8(3))
	f.Add([]byte("\xff\xfa\xff\xff\n\x00\n"), uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, cut uint8) {
		read := func(r io.Reader) (lines []string) {
			l := NewLineReader(r)
			for {
				line, err := l.ReadLine()
				switch {
				case errors.Is(err, ErrNUL):
					line = "NUL"
				case err != nil:
					return append(lines, err.Error())
				case strings.ContainsAny(line, "\n\x00"):
					t.Fatalf("%q", line)
				case len(line) > MaxLine:
					t.Fatalf("%d bytes", len(line))
				}
				lines = append(lines, line)
			}
		}
		whole, pieces := read(bytes.NewReader(in)), read(&cutter{in, int(cut)%7 + 1})
		if strings.Join(whole, "\n") != strings.Join(pieces, "\n") {
			t.Fatalf("%q, in pieces %q", whole, pieces)
		}
		if n := bytes.Count(in, []byte("\n")); len(whole)-1 > n {
			t.Fatalf("%d lines of %d", len(whole)-1, n)
		}
	})
}

// A cutter hands on n bytes at a time.
type cutter struct {
	in []byte
	n  int
}

func (c *cutter) Read(p []byte) (int, error) {
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.in[:min(c.n, len(c.in))])
	c.in = c.in[n:]
	return n, nil
}

func FuzzCommand(f *testing.F) {
	for _, s := range []string{"RETR a", "SITE PART x", "REST -1", "RANG 1 0", "LIST -la --", "\x16\x03\x01"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c, err := ParseCommand(line)
		if err != nil {
			return
		}
		if c.Verb == "" || len(c.Verb) > maxVerb || c.Verb != strings.ToUpper(c.Verb) || !strings.HasSuffix(line, c.Arg) {
			t.Fatalf("%q: %q", line, c)
		}
		if n, ok := ParseOffset(c.Arg); ok && n < 0 {
			t.Fatal(n)
		}
		if s, e, ok := ParseRange(c.Arg); ok && (s < 0 || e >= 0 && s > e) {
			t.Fatal(s, e)
		}
		if got, _ := CutSwitches(c.Arg); !strings.HasSuffix(c.Arg, got) {
			t.Fatalf("%q: %q", c.Arg, got)
		}
	})
}

// FuzzAppendReply: whatever is said, a client reads exactly one reply with that code.
func FuzzAppendReply(f *testing.F) {
	f.Add("ok", "a\r\n226 done", "226 x")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		if len(a)+len(b)+len(c) > 1000 {
			return
		}
		r := bufio.NewReader(bytes.NewReader(AppendReply(nil, 550, a, b, c)))
		reply, err := ReadReply(r)
		if err != nil || reply.Code != 550 || len(reply.Lines) != 3 {
			t.Fatalf("%d %q %v", reply.Code, reply.Lines, err)
		}
		if _, err := r.ReadByte(); err != io.EOF {
			t.Fatal("there is more")
		}
	})
}

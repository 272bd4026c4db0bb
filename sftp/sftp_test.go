package sftp

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// requests are one of each, every field set.
func requests() []Request {
	a := Attrs{HasSize | HasOwner | HasMode | HasTimes, 1 << 40, 1, 2, 0o100644, 3, 4}
	h, h2 := []byte("h"), []byte("h2")
	list := []Request{
		{Type: TypeOpen, Path: "/a b", Flags: OpenWrite | OpenCreate, Attrs: a},
		{Type: TypeClose, Handle: h},
		{Type: TypeRead, Handle: h, Offset: 1 << 40, Size: MaxData},
		{Type: TypeWrite, Handle: h, Offset: math.MaxUint64, Data: []byte("some\x00data")},
		{Type: TypeLstat, Path: "/文件"},
		{Type: TypeFstat, Handle: h},
		{Type: TypeSetstat, Path: "x", Attrs: Attrs{Has: HasMode, Mode: 0o600}},
		{Type: TypeFsetstat, Handle: h, Attrs: Attrs{Has: HasTimes, Atime: 5, Mtime: 6}},
		{Type: TypeOpendir, Path: "."},
		{Type: TypeReaddir, Handle: h},
		{Type: TypeRemove, Path: "\xff"},
		{Type: TypeMkdir, Path: "d", Attrs: Attrs{}},
		{Type: TypeRmdir, Path: "d"},
		{Type: TypeRealpath, Path: ""},
		{Type: TypeStat, Path: strings.Repeat("x", 5000)},
		{Type: TypeRename, Path: "a", To: "b"},
		{Type: TypeReadlink, Path: "a"},
		{Type: TypeSymlink, Path: "a", To: "b"},
	}
	for _, r := range []Request{
		{Extension: ExtPosixRename, Path: "a", To: "b"},
		{Extension: ExtHardlink, Path: "a", To: "b"},
		{Extension: ExtFsync, Handle: h},
		{Extension: ExtStatvfs, Path: "/"},
		{Extension: ExtFstatvfs, Handle: h},
		{Extension: ExtLsetstat, Path: "a", Attrs: a},
		{Extension: ExtLimits},
		{Extension: ExtExpandPath, Path: "~"},
		{Extension: ExtUsersGroups, UIDs: []uint32{1, 2}, GIDs: []uint32{3}},
		{Extension: ExtCopyData, Handle: h, Offset: 1, Size: 2, ToHandle: h2, ToOffset: 3},
		{Extension: ExtHome, Path: "alice"},
		{Extension: ExtSpace, Path: "/"},
		{Extension: ExtCheckFile, Handle: h, Algorithms: "sha256,md5", Offset: 1, Size: 2, Block: 256},
		{Extension: ExtCheckHandle, Handle: h, Algorithms: "sha256"},
		{Extension: ExtCheckName, Path: "a", Algorithms: "sha256", Offset: 1, Size: 2, Block: 256},
		{Extension: ExtVendor},
		{Extension: ExtPart, Path: "a"},
		{Extension: ExtDropPart, Path: "a"},
		{Extension: ExtResume, Path: "a", Offset: 1, Size: Unknown},
		{Extension: ExtAbandon, Handle: h},
		{Extension: ExtClose, Handle: h},
		{Extension: ExtShare, Handle: h},
		{Extension: ExtJoin, Token: Token{1, 2, 15: 16}},
	} {
		r.Type = TypeExtended
		list = append(list, r)
	}
	for i := range list {
		list[i].ID = uint32(i) * 0x01010101
	}
	return list
}

// sent is what comes of a packet that goes over a stream.
func sent(t *testing.T, p *Packet) *Packet {
	t.Helper()
	wire := bytes.Clone(p.Wire())
	p.Free()
	got, err := ReadPacket(bytes.NewReader(wire))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRequestsTravel(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, want := range requests() {
		if !want.Known() {
			t.Errorf("%v %s has no shape", want.Type, want.Extension)
		}
		seen[string(rune(want.Type))+want.Extension] = true
		var got Request
		if err := got.Parse(sent(t, want.Packet())); err != nil {
			t.Errorf("%v %s: %v", want.Type, want.Extension, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%v %s: %s", want.Type, want.Extension, d)
		}
	}
	for typ := range shapes {
		if !seen[string(rune(typ))] {
			t.Errorf("type %d is not tried", typ)
		}
	}
	for name := range extended {
		if !seen[string(rune(TypeExtended))+name] {
			t.Errorf("%s is not tried", name)
		}
	}
}

func TestUnknownRequestsCanBeAnswered(t *testing.T) {
	t.Parallel()
	for _, r := range []Request{
		{Type: TypeExtended, ID: 7, Extension: "magic@example.com"},
		{Type: 77, ID: 7},
		{Type: TypeStatus, ID: 7},
	} {
		var got Request
		if err := got.Parse(sent(t, r.Packet())); err != nil || got.ID != 7 || got.Known() || got.Extension != r.Extension {
			t.Errorf("%+v: %+v, %v", r, got, err)
		}
	}
}

// TestWritePacketIsWrite: the two ways to make a WRITE make the same.
func TestWritePacketIsWrite(t *testing.T) {
	t.Parallel()
	r := Request{Type: TypeWrite, ID: 3, Handle: []byte("hh"), Offset: 9, Data: []byte("content")}
	p, place := WritePacket(3, r.Handle, 9, 100)
	p.Cut(len(place), copy(place, r.Data))
	if got, want := p.Wire(), r.Packet().Wire(); !bytes.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func replies() map[*Packet]Reply {
	data, place := DataPacket(3, 100)
	data.Cut(len(place), copy(place, "content"))
	a := Attrs{HasSize | HasMode, 5, 0, 0, 0o40755, 0, 0}
	names := NamesPacket(4)
	names.Add("a", []byte("long a"), a)
	names.Add("", nil, Attrs{})
	return map[*Packet]Reply{
		StatusPacket(1, NoSuchFile, "没有", "zh-CN"): {Type: TypeStatus, ID: 1, Code: NoSuchFile, Message: "没有", Language: "zh-CN"},
		HandlePacket(2, "h"):                       {Type: TypeHandle, ID: 2, Handle: []byte("h")},
		data:                                       {Type: TypeData, ID: 3, Data: []byte("content")},
		names.Packet():                             {Type: TypeName, ID: 4, Names: []Name{{"a", "long a", a}, {}}},
		AttrsPacket(5, a):                          {Type: TypeAttrs, ID: 5, Attrs: a},
		ExtendedPacket(6, Limits{1, 2, 3, 4}):      {Type: TypeExtendedReply, ID: 6, Payload: []byte("\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x04")},
	}
}

func TestRepliesTravel(t *testing.T) {
	t.Parallel()
	for p, want := range replies() {
		var got Reply
		if err := got.Parse(sent(t, p)); err != nil {
			t.Errorf("%d: %v", want.Type, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	// OpenSSH before 2.9 and some since send a bare code.
	var r Reply
	if err := r.Parse(&Packet{b: []byte("\x00\x00\x00\x09\x65\x00\x00\x00\x01\x00\x00\x00\x02")}); err != nil || r.Code != NoSuchFile {
		t.Errorf("a bare status: %+v, %v", r, err)
	}
}

func TestPayloadsTravel(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want payload
		got  parsed
	}{
		{StatVFS{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, &StatVFS{}},
		{Limits{1, 2, 3, 4}, &Limits{}},
		{Space{1, 2, 3, 4, 5}, &Space{}},
		{Sums{"sha256", []byte("hashes"), true}, &Sums{}},
		{Sums{"sha256", []byte("hashes"), false}, &Sums{}},
		{Owners{[]string{"alice", ""}, []string{"用户"}}, &Owners{}},
		{Part{1, 2, []byte("sum")}, &Part{}},
	} {
		var r Reply
		if err := r.Parse(sent(t, ExtendedPacket(1, c.want))); err != nil {
			t.Fatal(err)
		}
		err := c.got.Parse(r.Payload)
		if d := cmp.Diff(c.want, reflect.ValueOf(c.got).Elem().Interface()); d != "" || err != nil {
			t.Errorf("%v %s", err, d)
		}
		if len(r.Payload) > 4 && c.got.Parse(r.Payload[:3]) == nil {
			t.Errorf("%T takes three bytes", c.want)
		}
	}
}

// parsed is a payload as it is read.
type parsed interface{ Parse(payload []byte) error }

func TestHelloTravels(t *testing.T) {
	t.Parallel()
	v := Vendor{"Sampan", "Sampan", "1.2", 1 << 40}
	want := Hello{3, []Extension{{ExtFsync, "1"}, {ExtVendor, v.Data()}, {"x", ""}}}
	got, err := ParseHello(sent(t, want.Packet(TypeVersion)), TypeVersion)
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	var v2 Vendor
	if err := v2.Parse(got.Extensions[1].Data); err != nil || v2 != v {
		t.Errorf("%+v, %v", v2, err)
	}
	for name, p := range map[string]*Packet{
		"another type":    Hello{Version: 3}.Packet(TypeInit),
		"no version":      {b: []byte("\x00\x00\x00\x03\x02\x00\x00")},
		"half a name":     {b: []byte("\x00\x00\x00\x0b\x02\x00\x00\x00\x03\x00\x00\x00\x05ab")},
		"a name, no data": {b: []byte("\x00\x00\x00\x0b\x02\x00\x00\x00\x03\x00\x00\x00\x02ab")},
	} {
		if _, err := ParseHello(p, TypeVersion); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// TestHostileLengths: what a length says is not believed, and takes no memory.
func TestHostileLengths(t *testing.T) {
	t.Parallel()
	for _, wire := range []string{
		"\x00\x00\x00\x00", "\xff\xff\xff\xff", "\x00\x04\x00\x01", "\x80\x00\x00\x00\x01",
	} {
		var e *Error
		if _, err := ReadPacket(strings.NewReader(wire)); !errors.As(err, &e) {
			t.Errorf("%q: %v", wire, err)
		}
	}
	for wire, want := range map[string]error{"": io.EOF, "\x00\x00": io.ErrUnexpectedEOF, "\x00\x00\x00\x05": io.ErrUnexpectedEOF, "\x00\x00\x00\x05abc": io.ErrUnexpectedEOF} {
		if _, err := ReadPacket(strings.NewReader(wire)); err != want {
			t.Errorf("%q: %v, want %v", wire, err, want)
		}
	}
	for name, body := range map[string]string{
		"names that cannot all be there": "\x68\x00\x00\x00\x01\xff\xff\xff\xff",
		"a string beyond the end":        "\x66\x00\x00\x00\x01\xff\xff\xff\xff",
		"a handle too long":              "\x66\x00\x00\x00\x01\x00\x00\x01\x01" + strings.Repeat("h", 257),
		"extended attributes":            "\x69\x00\x00\x00\x01\x80\x00\x00\x00\xff\xff\xff\xff",
		"attributes unheard of":          "\x69\x00\x00\x00\x01\x00\x00\x00\x10\x00\x00\x00\x00",
		"no reply at all":                "\x03\x00\x00\x00\x01",
	} {
		var r Reply
		var e *Error
		if err := r.Parse(&Packet{b: append(make([]byte, 4), body...)}); !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode fs.FileMode
		wire uint32
	}{{0o644, 0o100644}, {fs.ModeDir | 0o755, 0o40755}, {fs.ModeSymlink | 0o777, 0o120777}, {fs.ModeIrregular | 0o600, 0o100600}} {
		var a Attrs
		if a.SetMode(c.mode); a.Mode != c.wire {
			t.Errorf("%v is %o, want %o", c.mode, a.Mode, c.wire)
		}
	}
	for wire, want := range map[uint32]fs.FileMode{
		0o644: 0o644, 0o104755: 0o755, 0o40700: fs.ModeDir | 0o700, 0o10600: fs.ModeIrregular | 0o600, 0o60600: fs.ModeIrregular | 0o600,
	} {
		if got := (Attrs{Mode: wire}).FileMode(); got != want {
			t.Errorf("%o is %v, want %v", wire, got, want)
		}
	}
	for _, c := range []struct {
		at   time.Time
		want uint32
	}{{time.Unix(5, 9), 5}, {time.Unix(-5, 0), 0}, {time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), math.MaxUint32}} {
		var a Attrs
		if a.SetTime(c.at); a.Mtime != c.want {
			t.Errorf("%v is %d, want %d", c.at, a.Mtime, c.want)
		}
	}
}

func TestLongNames(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	a := Attrs{Size: 1234}
	a.SetMode(0o640)
	a.SetTime(now.Add(-time.Hour))
	d := Attrs{}
	d.SetMode(fs.ModeDir | 0o755)
	d.SetTime(now.AddDate(-1, 0, 0))
	for _, c := range []struct {
		name string
		a    Attrs
		want string
	}{
		{"a b", a, "-rw-r-----    1 alice    alice            1234 Nov 23 11:00 a b"},
		{"目录", d, "drwxr-xr-x    1 alice    alice               0 Nov 23  2025 目录"},
	} {
		if got := string(AppendLong(nil, c.name, "alice", c.a, now)); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestNamesStaySmall: a NAME takes entries until it is as long as every client takes.
func TestNamesStaySmall(t *testing.T) {
	t.Parallel()
	l := NamesPacket(1)
	for l.Add(strings.Repeat("n", 255), []byte(strings.Repeat("l", 320)), Attrs{}) {
	}
	if l.Len() < 30 || l.Packet().Len() > 34000 {
		t.Errorf("%d entries in %d bytes", l.Len(), l.Packet().Len())
	}
}

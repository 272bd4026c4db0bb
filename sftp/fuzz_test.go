package sftp

import (
	"bytes"
	"testing"
)

// again reads back what was written, which must be the same when it is written once more.
func again(t *testing.T, first *Packet) *Packet {
	t.Helper()
	second, err := ReadPacket(bytes.NewReader(first.Wire()))
	if err != nil {
		t.Fatalf("what was written cannot be read: %v", err)
	}
	return second
}

func FuzzRequest(f *testing.F) {
	for _, r := range requests() {
		f.Add(bytes.Clone(r.Packet().Wire()[4:]))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) == 0 || len(body) > 4096 {
			return
		}
		var r, r2 Request
		if r.Parse(&Packet{b: append(make([]byte, 4), body...)}) != nil {
			return
		}
		first := bytes.Clone(r.Packet().Wire())
		if err := r2.Parse(again(t, &Packet{b: first})); err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
		if second := r2.Packet().Wire(); !bytes.Equal(first, second) {
			t.Fatalf("%q became %q", first, second)
		}
	})
}

func FuzzReply(f *testing.F) {
	for p := range replies() {
		f.Add(bytes.Clone(p.Wire()[4:]))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var r Reply
		if len(body) == 0 || r.Parse(&Packet{b: append(make([]byte, 4), body...)}) != nil {
			return
		}
		for _, p := range []parsed{&StatVFS{}, &Limits{}, &Space{}, &Sums{}, &Owners{}, &Part{}, &Token{}} {
			_ = p.Parse(r.Payload)
		}
		names := NamesPacket(r.ID)
		for _, n := range r.Names {
			names.Add(n.Name, []byte(n.Long), n.Attrs)
		}
		if r.Type != TypeName || names.Packet().Len() > 4+MaxPacket {
			return
		}
		var r2 Reply
		if err := r2.Parse(again(t, names.Packet())); err != nil || len(r2.Names) != len(r.Names) {
			t.Fatalf("%d names became %d: %v", len(r.Names), len(r2.Names), err)
		}
	})
}

func FuzzHello(f *testing.F) {
	f.Add(bytes.Clone(Hello{3, []Extension{{ExtVendor, Vendor{"a", "b", "c", 1}.Data()}, {"", "x"}}}.Packet(TypeVersion).Wire()[4:]))
	f.Add([]byte("\x02\x00\x00\x00\x03"))
	f.Fuzz(func(t *testing.T, body []byte) {
		h, err := ParseHello(&Packet{b: append(make([]byte, 4), body...)}, TypeVersion)
		if err != nil || len(body) > 4096 {
			return
		}
		for _, e := range h.Extensions {
			var v Vendor
			_ = v.Parse(e.Data)
		}
		if got := h.Packet(TypeVersion).Wire()[4:]; !bytes.Equal(got, body) {
			t.Fatalf("%q became %q", body, got)
		}
	})
}

// FuzzStream: whatever comes, every packet that is read is within the bounds, and the reading ends.
func FuzzStream(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x05\x01\x00\x00\x00\x03\x00\x00\x00\x01\x02"))
	f.Add([]byte("\x00\x04\x00\x01\x01"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := bytes.NewReader(stream)
		read := 0
		for {
			p, err := ReadPacket(r)
			if err != nil {
				return
			}
			if n := p.Len(); n < 5 || n > 4+MaxPacket {
				t.Fatalf("a packet of %d bytes", n)
			} else if read += n; read > len(stream) {
				t.Fatalf("%d bytes of %d", read, len(stream))
			}
			p.Free()
		}
	})
}

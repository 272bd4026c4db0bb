package sftp

import (
	"encoding/binary"
	"io"
	"sync"
)

// A Packet is one packet while it is made or read. Packets come from a pool; who is done with one calls Free, and then
// nothing of it may be used any more.
type Packet struct {
	b    []byte // the length, the type, and what is behind them
	from *packets
}

// packets is a pool of packets with room for size bytes.
type packets struct {
	sync.Pool
	size int
}

// pools are by size: most packets fit the first, small files the second, those of clients that move 32 KiB at a time the third.
var pools = [...]packets{{size: 512}, {size: 4<<10 + 512}, {size: 32<<10 + 512}, {size: 4 + MaxPacket}}

// take returns an empty packet with room for n bytes.
func take(n int) *Packet {
	for i := range pools {
		if from := &pools[i]; n <= from.size {
			if p, ok := from.Get().(*Packet); ok {
				return p
			}
			return &Packet{make([]byte, 0, from.size), from}
		}
	}
	return &Packet{b: make([]byte, 0, n)} // too large to travel: only tests make one
}

// Free gives the packet back to its pool.
func (p *Packet) Free() {
	if p.from != nil && cap(p.b) == p.from.size {
		p.b = p.b[:0]
		p.from.Put(p)
	}
}

// head is what stands before the fields: the length, the type and the id.
const head = 4 + 1 + 4

// begin returns a packet of that type and id with room for n bytes of fields.
func begin(t Type, id uint32, n int) *Packet {
	p := take(head + n)
	p.b = append(p.b, 0, 0, 0, 0, byte(t))
	p.b = binary.BigEndian.AppendUint32(p.b, id)
	return p
}

// Wire returns the packet as it travels.
func (p *Packet) Wire() []byte {
	binary.BigEndian.PutUint32(p.b, uint32(len(p.b)-4))
	return p.b
}

// SetID gives another id to a packet that has one.
func (p *Packet) SetID(id uint32) { binary.BigEndian.PutUint32(p.b[head-4:], id) }

// Len returns how many bytes travel.
func (p *Packet) Len() int { return len(p.b) }

func (p *Packet) uint32(n uint32) { p.b = binary.BigEndian.AppendUint32(p.b, n) }
func (p *Packet) uint64(n uint64) { p.b = binary.BigEndian.AppendUint64(p.b, n) }
func (p *Packet) raw(s []byte)    { p.b = append(p.b, s...) }

func putString[S string | []byte](p *Packet, s S) {
	p.uint32(uint32(len(s)))
	p.b = append(p.b, s...)
}

// ReadPacket reads the next packet. The error is io.EOF where the stream ends between two packets, an *Error where the
// length is none that a packet can have.
func ReadPacket(r io.Reader) (*Packet, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n < 1 || n > MaxPacket {
		return nil, broken("a packet of %d bytes", n)
	}
	p := take(4 + int(n))
	p.b = append(p.b, length[:]...)
	p.b = p.b[:4+int(n)]
	if _, err := io.ReadFull(r, p.b[4:]); err != nil {
		p.Free()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return p, nil
}

// fields reads what a packet holds, one after another. Once something was not there, all that follows is empty.
type fields struct {
	b   []byte
	bad bool
}

// take returns the next n bytes, nil if there are not so many.
func (f *fields) take(n uint64) []byte {
	if f.bad || n > uint64(len(f.b)) {
		f.bad = true
		return nil
	}
	s := f.b[:n:n]
	f.b = f.b[n:]
	return s
}

func (f *fields) byte() byte {
	if b := f.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (f *fields) uint32() uint32 {
	if b := f.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (f *fields) uint64() uint64 {
	if b := f.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// bytes returns a string as part of the packet.
func (f *fields) bytes() []byte { return f.take(uint64(f.uint32())) }

func (f *fields) string() string { return string(f.bytes()) }

// rest returns all that is left.
func (f *fields) rest() []byte { return f.take(uint64(len(f.b))) }

// err tells whether something was not there.
func (f *fields) err(what string) error {
	if f.bad {
		return broken("%s ends too early", what)
	}
	return nil
}

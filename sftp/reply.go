package sftp

// A Name is one entry of NAME (section 7).
type Name struct {
	Name  string
	Long  string // as "ls -l" shows it
	Attrs Attrs
}

// A Reply is any reply. Which fields mean something depends on Type; slices are parts of the packet.
type Reply struct {
	Type     Type
	ID       uint32
	Code     Code
	Message  string // for people, in Language
	Language string // RFC 3066
	Handle   []byte
	Data     []byte
	Names    []Name
	Attrs    Attrs
	Payload  []byte // of EXTENDED_REPLY: what it holds depends on the request
}

// Parse reads a reply. Its error is an *Error.
func (r *Reply) Parse(p *Packet) error {
	f := fields{b: p.b[4:]}
	*r = Reply{Type: Type(f.byte()), ID: f.uint32()}
	switch r.Type {
	case TypeStatus:
		r.Code = Code(f.uint32())
		if len(f.b) > 0 { // some servers leave the rest out
			r.Message, r.Language = f.string(), f.string()
		}
	case TypeHandle:
		if r.Handle = f.bytes(); len(r.Handle) > MaxHandle {
			return broken("a handle of %d bytes", len(r.Handle))
		}
	case TypeData:
		r.Data = f.bytes()
	case TypeName:
		r.Names = f.names()
	case TypeAttrs:
		r.Attrs = f.attrs()
	case TypeExtendedReply:
		r.Payload = f.rest()
	default:
		return broken("a reply of type %d", r.Type)
	}
	return f.err("a reply")
}

// leastName is what an entry of NAME takes at least: two lengths, and the flags of its attributes.
const leastName = 4 + 4 + 4

func (f *fields) names() []Name {
	n := f.uint32()
	if uint64(n)*leastName > uint64(len(f.b)) {
		f.bad = true
		return nil
	}
	list := make([]Name, 0, n)
	for ; n > 0 && !f.bad; n-- {
		list = append(list, Name{f.string(), f.string(), f.attrs()})
	}
	return list
}

// StatusPacket returns a STATUS. OK and EOF need no words.
func StatusPacket(id uint32, c Code, message, language string) *Packet {
	p := begin(TypeStatus, id, 12+len(message)+len(language))
	p.uint32(uint32(c))
	putString(p, message)
	putString(p, language)
	return p
}

// HandlePacket returns a HANDLE.
func HandlePacket(id uint32, handle string) *Packet {
	p := begin(TypeHandle, id, 4+len(handle))
	putString(p, handle)
	return p
}

// AttrsPacket returns an ATTRS.
func AttrsPacket(id uint32, a Attrs) *Packet {
	p := begin(TypeAttrs, id, attrsLen)
	p.attrs(a)
	return p
}

// DataPacket returns a DATA of up to n bytes and the place where they belong. Who has fewer calls Cut.
func DataPacket(id uint32, n int) (p *Packet, place []byte) {
	p = begin(TypeData, id, 4+n)
	return p, p.place(n)
}

// Cut shortens the place of a DATA or WRITE, which has n bytes, to m.
func (p *Packet) Cut(n, m int) {
	at := len(p.b) - n
	p.b = p.b[:at+m]
	copy(p.b[at-4:], []byte{byte(m >> 24), byte(m >> 16), byte(m >> 8), byte(m)})
}

// A Names is a NAME that entries are added to.
type Names struct {
	p *Packet
	n uint32
}

// NamesPacket returns an empty NAME.
func NamesPacket(id uint32) *Names {
	p := begin(TypeName, id, mostNames)
	p.uint32(0)
	return &Names{p: p}
}

// mostNames is how long a NAME grows: every client takes packets of 34,000 bytes (section 3).
const mostNames = 32 << 10

// Add adds an entry, and reports whether another one should find its place.
func (l *Names) Add(name string, long []byte, a Attrs) bool {
	l.n++
	putString(l.p, name)
	putString(l.p, long)
	l.p.attrs(a)
	return len(l.p.b) < mostNames-1024
}

// Len returns how many entries there are.
func (l *Names) Len() int { return int(l.n) }

// Packet returns the NAME.
func (l *Names) Packet() *Packet {
	n := l.n
	copy(l.p.b[head:], []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	return l.p
}

// A payload is what an EXTENDED_REPLY holds.
type payload interface{ put(p *Packet) }

// ExtendedPacket returns an EXTENDED_REPLY.
func ExtendedPacket(id uint32, body payload) *Packet {
	p := begin(TypeExtendedReply, id, 128)
	body.put(p)
	return p
}

// StatVFS answers statvfs@openssh.com and fstatvfs@openssh.com, as statvfs(3) does.
type StatVFS struct {
	BlockSize, FragmentSize  uint64
	Blocks, Free, Available  uint64 // of FragmentSize
	Files, FreeFiles, Usable uint64
	ID, Flags, LongestName   uint64
}

func (s *StatVFS) all() []*uint64 {
	return []*uint64{
		&s.BlockSize, &s.FragmentSize, &s.Blocks, &s.Free, &s.Available, &s.Files, &s.FreeFiles, &s.Usable, &s.ID, &s.Flags,
		&s.LongestName,
	}
}

func (s StatVFS) put(p *Packet) { putAll(p, s.all()) }

// Parse reads what put wrote.
func (s *StatVFS) Parse(payload []byte) error { return readAll(payload, s.all()) }

// Limits answers limits@openssh.com; 0 is no limit that is known.
type Limits struct{ Packet, Read, Write, Handles uint64 }

func (l *Limits) all() []*uint64 { return []*uint64{&l.Packet, &l.Read, &l.Write, &l.Handles} }

func (l Limits) put(p *Packet) { putAll(p, l.all()) }

// Parse reads what put wrote.
func (l *Limits) Parse(payload []byte) error { return readAll(payload, l.all()) }

func putAll(p *Packet, all []*uint64) {
	for _, n := range all {
		p.uint64(*n)
	}
}

func readAll(payload []byte, all []*uint64) error {
	f := fields{b: payload}
	for _, n := range all {
		*n = f.uint64()
	}
	return f.err("a reply")
}

// Space answers space-available, in bytes.
type Space struct {
	Device, DeviceFree uint64
	User, UserFree     uint64
	Unit               uint32
}

func (s Space) put(p *Packet) {
	putAll(p, []*uint64{&s.Device, &s.DeviceFree, &s.User, &s.UserFree})
	p.uint32(s.Unit)
}

// Parse reads what put wrote.
func (s *Space) Parse(payload []byte) error {
	f := fields{b: payload}
	*s = Space{f.uint64(), f.uint64(), f.uint64(), f.uint64(), f.uint32()}
	return f.err("a reply")
}

// Sums answers check-file-handle and check-file-name: a hash of each block, or one of all. For close@sampan there may be none.
type Sums struct {
	Algorithm string
	Hashes    []byte // one behind the other
	Echo      bool   // the reply to check-file begins with its name
}

func (s Sums) put(p *Packet) {
	if s.Echo {
		putString(p, ExtCheckFile)
	}
	putString(p, s.Algorithm)
	p.raw(s.Hashes)
}

// Parse reads what put wrote, with the name before it or without.
func (s *Sums) Parse(payload []byte) error {
	f := fields{b: payload}
	*s = Sums{Algorithm: f.string()}
	if s.Algorithm == ExtCheckFile {
		s.Echo, s.Algorithm = true, f.string()
	}
	s.Hashes = f.rest()
	return f.err("a reply")
}

// Owners answers users-groups-by-id@openssh.com; "" is a name that is not known.
type Owners struct{ Users, Groups []string }

func (o Owners) put(p *Packet) {
	for _, list := range [][]string{o.Users, o.Groups} {
		n := 0
		for _, name := range list {
			n += 4 + len(name)
		}
		p.uint32(uint32(n))
		for _, name := range list {
			putString(p, name)
		}
	}
}

// Parse reads what put wrote.
func (o *Owners) Parse(payload []byte) error {
	f := fields{b: payload}
	*o = Owners{}
	for _, list := range []*[]string{&o.Users, &o.Groups} {
		inner := fields{b: f.bytes()}
		for len(inner.b) > 0 && !inner.bad {
			*list = append(*list, inner.string())
		}
		f.bad = f.bad || inner.bad
	}
	return f.err("a reply")
}

// Part answers part@sampan: what is parked under a name.
type Part struct {
	Size uint64
	Time uint64 // when it was parked, seconds since 1970
	Sum  []byte // SHA-256 of all of it
}

func (t Part) put(p *Packet) {
	p.uint64(t.Size)
	p.uint64(t.Time)
	putString(p, t.Sum)
}

// Parse reads what put wrote.
func (t *Part) Parse(payload []byte) error {
	f := fields{b: payload}
	*t = Part{f.uint64(), f.uint64(), f.bytes()}
	return f.err("a reply")
}

// A Token answers share@sampan: who knows it may join.
type Token [16]byte

func (t Token) put(p *Packet) { putString(p, t[:]) }

// Parse reads what put wrote.
func (t *Token) Parse(payload []byte) error {
	f := fields{b: payload}
	*t = f.token()
	return f.err("a reply")
}

func (f *fields) token() (t Token) {
	b := f.bytes()
	f.bad = f.bad || len(b) != len(t)
	copy(t[:], b)
	return t
}

// Vendor is what vendor-id tells about a program, in VERSION.
type Vendor struct {
	Vendor, Product, Version string
	Build                    uint64
}

// Data returns v as it stands in an Extension.
func (v Vendor) Data() string {
	p := take(64 + len(v.Vendor) + len(v.Product) + len(v.Version))
	defer p.Free()
	putString(p, v.Vendor)
	putString(p, v.Product)
	putString(p, v.Version)
	p.uint64(v.Build)
	return string(p.b)
}

// Parse reads what Data wrote.
func (v *Vendor) Parse(data string) error {
	f := fields{b: []byte(data)}
	*v = Vendor{f.string(), f.string(), f.string(), f.uint64()}
	return f.err("vendor-id")
}

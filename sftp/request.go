package sftp

// A field is one thing in a packet.
type field byte

const (
	path     field = iota + 1 // Request.Path
	to                        // Request.To
	handle                    // Request.Handle
	toHandle                  // Request.ToHandle
	flags                     // Request.Flags
	attrs                     // Request.Attrs
	offset                    // Request.Offset
	toOffset                  // Request.ToOffset
	size                      // Request.Size, 64 bits
	length                    // Request.Size, 32 bits
	data                      // Request.Data
	algos                     // Request.Algorithms
	block                     // Request.Block
	ids                       // Request.IDs, two lists
	token                     // Request.Token
)

// shapes tells which fields a request has, in which order. Both ends read and write by it.
var shapes = map[Type][]field{
	TypeOpen:     {path, flags, attrs},
	TypeClose:    {handle},
	TypeRead:     {handle, offset, length},
	TypeWrite:    {handle, offset, data},
	TypeLstat:    {path},
	TypeFstat:    {handle},
	TypeSetstat:  {path, attrs},
	TypeFsetstat: {handle, attrs},
	TypeOpendir:  {path},
	TypeReaddir:  {handle},
	TypeRemove:   {path},
	TypeMkdir:    {path, attrs},
	TypeRmdir:    {path},
	TypeRealpath: {path},
	TypeStat:     {path},
	TypeRename:   {path, to},
	TypeReadlink: {path},
	TypeSymlink:  {path, to}, // as OpenSSH has it, and everybody after it: what the link says, then its name
}

// extended is shapes for the requests of TypeExtended, behind the name.
var extended = map[string][]field{
	ExtPosixRename: {path, to},
	ExtHardlink:    {path, to},
	ExtFsync:       {handle},
	ExtStatvfs:     {path},
	ExtFstatvfs:    {handle},
	ExtLsetstat:    {path, attrs},
	ExtLimits:      {},
	ExtExpandPath:  {path},
	ExtUsersGroups: {ids},
	ExtCopyData:    {handle, offset, size, toHandle, toOffset},
	ExtHome:        {path}, // a user's name
	ExtSpace:       {path},
	ExtCheckFile:   {handle, algos, offset, size, block},
	ExtCheckHandle: {handle, algos, offset, size, block},
	ExtCheckName:   {path, algos, offset, size, block},
	ExtVendor:      {},
	ExtPart:        {path},
	ExtDropPart:    {path},
	ExtResume:      {path, offset, size},
	ExtAbandon:     {handle},
	ExtClose:       {handle},
	ExtShare:       {handle},
	ExtJoin:        {token},
}

// A Request is any request. Which fields mean something is told by shapes; slices are parts of the packet.
type Request struct {
	Type       Type
	ID         uint32
	Extension  string // the name, of TypeExtended
	Path, To   string
	Handle     []byte
	ToHandle   []byte
	Flags      Open
	Attrs      Attrs
	Offset     uint64
	ToOffset   uint64
	Size       uint64
	Data       []byte
	Algorithms string // by commas, the preferred one first
	Block      uint32
	UIDs, GIDs []uint32
	Token      Token
}

// Known reports whether the request is one that shapes knows; of others only the type, the id and the name are read.
func (r *Request) Known() bool { return r.shape() != nil }

func (r *Request) shape() []field {
	if r.Type == TypeExtended {
		return extended[r.Extension]
	}
	return shapes[r.Type]
}

// Parse reads a request. Its error is an *Error; the id is set where it was there, so that it can be answered.
func (r *Request) Parse(p *Packet) error {
	f := fields{b: p.b[4:]}
	*r = Request{Type: Type(f.byte()), ID: f.uint32()}
	if r.Type == TypeExtended {
		r.Extension = f.string()
	}
	for _, what := range r.shape() {
		r.read(&f, what)
	}
	return f.err("a request")
}

func (r *Request) read(f *fields, what field) {
	switch what {
	case path:
		r.Path = f.string()
	case to:
		r.To = f.string()
	case handle:
		r.Handle = f.bytes()
	case toHandle:
		r.ToHandle = f.bytes()
	case flags:
		r.Flags = Open(f.uint32())
	case attrs:
		r.Attrs = f.attrs()
	case offset:
		r.Offset = f.uint64()
	case toOffset:
		r.ToOffset = f.uint64()
	case size:
		r.Size = f.uint64()
	case length:
		r.Size = uint64(f.uint32())
	case data:
		r.Data = f.bytes()
	case algos:
		r.Algorithms = f.string()
	case block:
		r.Block = f.uint32()
	case ids:
		r.UIDs, r.GIDs = numbers(f.bytes()), numbers(f.bytes())
	case token:
		r.Token = f.token()
	}
}

func numbers(b []byte) []uint32 {
	f := fields{b: b}
	n := make([]uint32, 0, len(b)/4)
	for len(f.b) >= 4 {
		n = append(n, f.uint32())
	}
	return n
}

// Packet returns the request as a packet.
func (r *Request) Packet() *Packet {
	p := begin(r.Type, r.ID, 64+attrsLen+len(r.Extension)+len(r.Path)+len(r.To)+len(r.Data)+len(r.Algorithms)+4*(len(r.UIDs)+len(r.GIDs)))
	if r.Type == TypeExtended {
		putString(p, r.Extension)
	}
	for _, what := range r.shape() {
		r.write(p, what)
	}
	return p
}

func (r *Request) write(p *Packet, what field) {
	switch what {
	case path:
		putString(p, r.Path)
	case to:
		putString(p, r.To)
	case handle:
		putString(p, r.Handle)
	case toHandle:
		putString(p, r.ToHandle)
	case flags:
		p.uint32(uint32(r.Flags))
	case attrs:
		p.attrs(r.Attrs)
	case offset:
		p.uint64(r.Offset)
	case toOffset:
		p.uint64(r.ToOffset)
	case size:
		p.uint64(r.Size)
	case length:
		p.uint32(uint32(r.Size))
	case data:
		putString(p, r.Data)
	case algos:
		putString(p, r.Algorithms)
	case block:
		p.uint32(r.Block)
	case ids:
		for _, list := range [][]uint32{r.UIDs, r.GIDs} {
			p.uint32(uint32(4 * len(list)))
			for _, id := range list {
				p.uint32(id)
			}
		}
	case token:
		putString(p, r.Token[:])
	}
}

// WritePacket returns a WRITE of n bytes and the place where they belong, so that they need not be copied.
func WritePacket(id uint32, handle []byte, offset uint64, n int) (p *Packet, place []byte) {
	p = begin(TypeWrite, id, 4+len(handle)+8+4+n)
	putString(p, handle)
	p.uint64(offset)
	return p, p.place(n)
}

// place appends a string of n bytes and returns it.
func (p *Packet) place(n int) []byte {
	p.uint32(uint32(n))
	at := len(p.b)
	p.b = p.b[:at+n]
	return p.b[at:]
}

// A Hello is INIT or VERSION: the version, and the extensions that are offered with what is told about them (section 4).
type Hello struct {
	Version    uint32
	Extensions []Extension
}

// An Extension is what VERSION tells about one.
type Extension struct{ Name, Data string }

// ParseHello reads INIT or VERSION.
func ParseHello(p *Packet, t Type) (h Hello, err error) {
	f := fields{b: p.b[4:]}
	if got := Type(f.byte()); got != t {
		return h, broken("a packet of type %d where %d should be", got, t)
	}
	h.Version = f.uint32()
	for len(f.b) > 0 && !f.bad {
		h.Extensions = append(h.Extensions, Extension{f.string(), f.string()})
	}
	return h, f.err("the first packet")
}

// Packet returns h as INIT or VERSION.
func (h Hello) Packet(t Type) *Packet {
	n := 0
	for _, e := range h.Extensions {
		n += 8 + len(e.Name) + len(e.Data)
	}
	p := begin(t, h.Version, n)
	for _, e := range h.Extensions {
		putString(p, e.Name)
		putString(p, e.Data)
	}
	return p
}

package ftp

import (
	"errors"
	"io"
	"sync"
)

// Block mode (RFC 959 section 3.4.2): a file is a row of blocks, each with a header of three bytes, the descriptor and
// the count of bytes behind it, high byte first. The last block of a file says so, so one connection carries any number
// of files, and a file that ends early cannot be taken for a whole one.
const (
	blockEOR     = 128 // end of a record: there are none in STRU F
	blockEOF     = 64  // the last block of the file
	blockSuspect = 32  // the data is not to be trusted: the sender gave the file up
	blockMarker  = 16  // the block is a restart marker, no data

	blockHead = 3
	maxBlock  = 1<<16 - 1
	maxMarker = 255
)

// Errors of BlockReader about what was sent; others are those of the connection.
var (
	ErrBlock   = errors.New("the block header makes no sense")
	ErrGivenUp = errors.New("the sender gave the file up")
)

const blockBuffer = 256 << 10

// blockBuffers are shared by readers and writers; they hold one only while there is something in it.
var blockBuffers = sync.Pool{New: func() any { return new([blockBuffer]byte) }}

// A BlockReader reads files from a connection in block mode, one after another. It is not safe for concurrent use.
type BlockReader struct {
	r    io.Reader
	buf  *[blockBuffer]byte
	in   []byte // of buf, not looked at yet
	mark func(string)

	left    int  // payload of the current block that was not handed on yet
	desc    byte // of the current block
	suspect bool // a block of the current file is not to be trusted
	ended   bool // the end of the current file was read
	err     error
	marker  []byte // what came of the current restart marker
}

// NewBlockReader reads files from r. mark, which may be nil, hears each restart marker.
func NewBlockReader(r io.Reader, mark func(text string)) *BlockReader {
	return &BlockReader{r: r, mark: mark, ended: true}
}

// Next begins the next file; what is left of the one before is read first.
func (b *BlockReader) Next() error {
	err := b.Skip()
	b.ended, b.suspect = false, false
	return err
}

// Skip reads the current file to its end and throws it away. Who gave the file up makes no difference.
func (b *BlockReader) Skip() error {
	for !b.ended {
		if err := b.more(); err != nil {
			if errors.Is(err, ErrGivenUp) || b.ended {
				break
			}
			return err
		}
		b.take(b.left)
	}
	return nil
}

// Ended reports whether the current file's end was read.
func (b *BlockReader) Ended() bool { return b.ended }

// Buffered returns how many bytes were read from the connection and not handed on.
func (b *BlockReader) Buffered() int { return len(b.in) }

// Read returns what the current file holds. Behind its last block it returns io.EOF, or ErrGivenUp where a block was not
// to be trusted; what such a block holds is left out. A connection that ends within the file is io.ErrUnexpectedEOF.
// Reading can go on after a deadline; after any other error the connection is of no more use.
func (b *BlockReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if err := b.more(); err != nil {
			return 0, err
		}
		data := b.take(min(b.left, len(p)))
		if len(data) == 0 || b.suspect {
			continue
		}
		return copy(p, data), nil
	}
}

// take returns up to n bytes of payload that are buffered.
func (b *BlockReader) take(n int) []byte {
	data := b.in[:min(n, len(b.in))]
	b.in = b.in[len(data):]
	b.left -= len(data)
	return data
}

// more reads until there is payload in hand. At the end of the file it is io.EOF or ErrGivenUp.
func (b *BlockReader) more() error {
	for {
		switch {
		case b.err != nil:
			return b.err
		case b.ended:
			return b.end()
		case b.left > 0 && b.desc&blockMarker != 0:
			if err := b.readMarker(); err != nil {
				return err
			}
			continue
		case b.left > 0:
			return b.fill(1)
		case b.desc&blockEOF != 0:
			b.desc, b.ended = 0, true
			continue
		}
		if err := b.header(); err != nil {
			return err
		}
	}
}

func (b *BlockReader) end() error {
	if b.suspect {
		return ErrGivenUp
	}
	return io.EOF
}

// header reads the next header.
func (b *BlockReader) header() error {
	if err := b.fill(blockHead); err != nil {
		return err
	}
	b.desc, b.left = b.in[0], int(b.in[1])<<8|int(b.in[2])
	b.in = b.in[blockHead:]
	switch {
	case b.desc&^(blockEOF|blockSuspect|blockMarker) != 0,
		b.desc&blockMarker != 0 && (b.desc != blockMarker || b.left == 0 || b.left > maxMarker):
		b.err = ErrBlock
		return b.err
	case b.desc&blockSuspect != 0:
		b.suspect = true
	}
	return nil
}

// readMarker reads the rest of a restart marker: printable characters (RFC 959 section 3.5).
func (b *BlockReader) readMarker() error {
	if err := b.fill(1); err != nil {
		return err
	}
	b.marker = append(b.marker, b.take(b.left)...)
	if b.left > 0 {
		return nil
	}
	text := string(b.marker)
	b.marker = b.marker[:0]
	for i := range len(text) {
		if text[i] < '!' || text[i] > '~' {
			b.err = ErrBlock
			return b.err
		}
	}
	if b.mark != nil {
		b.mark(text)
	}
	return nil
}

// fill makes sure that n bytes are in hand.
func (b *BlockReader) fill(n int) error {
	for len(b.in) < n {
		if b.buf == nil {
			b.buf = blockBuffers.Get().(*[blockBuffer]byte)
		}
		have := copy(b.buf[:], b.in)
		m, err := b.r.Read(b.buf[have:])
		b.in = b.buf[:have+m]
		if m == 0 && err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// Rest gives the buffer back if there is nothing in it.
func (b *BlockReader) Rest() {
	if len(b.in) == 0 && b.buf != nil {
		blockBuffers.Put(b.buf)
		b.buf, b.in = nil, nil
	}
}

// Close throws away what was read and not handed on; it does not close the connection.
func (b *BlockReader) Close() {
	b.in, b.err = nil, io.ErrClosedPipe
	b.Rest()
}

// A BlockWriter writes files to a connection in block mode, one after another. What it is given is gathered until its
// buffer is full or Flush is called, so that many small files go in one packet. After an error the connection is of no
// more use. It is not safe for concurrent use.
type BlockWriter struct {
	w    io.Writer
	buf  *[blockBuffer]byte
	n    int // bytes in buf
	head int // where the header of the block that is not closed stands, -1 if there is none
	tee  io.Writer
	err  error
}

// NewBlockWriter writes files to w.
func NewBlockWriter(w io.Writer) *BlockWriter { return &BlockWriter{w: w, head: -1} }

// Tee makes w see what is written to files; nil ends that.
func (b *BlockWriter) Tee(w io.Writer) { b.tee = w }

// least is how much room for payload is worth a block.
const least = 8 << 10

// room opens a block if none is open and returns where its payload goes on.
func (b *BlockWriter) room() ([]byte, error) {
	if b.head >= 0 && b.n-b.head-blockHead == maxBlock {
		b.seal(0)
	}
	if blockBuffer-b.n < blockHead+least {
		if err := b.Flush(); err != nil {
			return nil, err
		}
	}
	if b.err != nil {
		return nil, b.err
	}
	if b.buf == nil {
		b.buf = blockBuffers.Get().(*[blockBuffer]byte)
	}
	if b.head < 0 {
		b.head = b.n
		b.n += blockHead
	}
	return b.buf[b.n:min(blockBuffer, b.head+blockHead+maxBlock)], nil
}

// seal writes the header of the open block. An empty one that says nothing is taken back.
func (b *BlockWriter) seal(desc byte) {
	if b.head < 0 {
		return
	}
	n := b.n - b.head - blockHead
	if n == 0 && desc == 0 {
		b.n = b.head
	} else {
		b.buf[b.head], b.buf[b.head+1], b.buf[b.head+2] = desc, byte(n>>8), byte(n)
	}
	b.head = -1
}

// Write adds p to the current file.
func (b *BlockWriter) Write(p []byte) (int, error) {
	for done := 0; ; {
		if done == len(p) {
			return done, b.err
		}
		to, err := b.room()
		if err != nil {
			return done, err
		}
		n := copy(to, p[done:])
		b.grew(n)
		done += n
	}
}

// grew notes n more bytes of payload.
func (b *BlockWriter) grew(n int) {
	if b.tee != nil {
		b.tee.Write(b.buf[b.n : b.n+n])
	}
	b.n += n
}

// ReadFrom adds what src has until EOF to the current file, without a copy in between.
func (b *BlockWriter) ReadFrom(src io.Reader) (done int64, err error) {
	for {
		to, err := b.room()
		if err != nil {
			return done, err
		}
		n, err := src.Read(to)
		b.grew(n)
		done += int64(n)
		if errors.Is(err, io.EOF) {
			return done, nil
		}
		if err != nil {
			return done, err
		}
	}
}

// End ends the current file; one that is given up must not be taken for whole by who reads it.
func (b *BlockWriter) End(givenUp bool) error {
	if givenUp {
		b.seal(0)
	}
	if _, err := b.room(); err != nil { // an empty block where none is open
		return err
	}
	if givenUp {
		b.seal(blockEOF | blockSuspect)
	} else {
		b.seal(blockEOF)
	}
	return nil
}

// Mark adds a restart marker to the current file: 1 to 255 printable characters other than space.
func (b *BlockWriter) Mark(text string) error {
	b.seal(0)
	if _, err := b.room(); err != nil {
		return err
	}
	b.n += copy(b.buf[b.n:], text[:min(len(text), maxMarker)])
	b.seal(blockMarker)
	return nil
}

// Buffered returns how many bytes wait for Flush.
func (b *BlockWriter) Buffered() int { return b.n }

// Flush sends what was gathered.
func (b *BlockWriter) Flush() error {
	b.seal(0)
	if b.err == nil && b.n > 0 {
		_, b.err = b.w.Write(b.buf[:b.n])
	}
	b.n = 0
	return b.err
}

// Rest gives the buffer back if there is nothing in it.
func (b *BlockWriter) Rest() {
	if b.n == 0 && b.buf != nil {
		blockBuffers.Put(b.buf)
		b.buf = nil
	}
}

// Close throws away what was gathered; it does not close the connection.
func (b *BlockWriter) Close() {
	b.n, b.head, b.err = 0, -1, io.ErrClosedPipe
	b.Rest()
}

package client

import (
	"hash"
	"math"
	"sync"
)

// A hashing lends the buffers of a copy and hashes what they hold. Of a big file that happens on another processor, while the
// copy writes the same bytes and reads the next ones: SHA-256 takes longer than either.
type hashing struct {
	h     hash.Hash // nil if nobody wants it
	buf   []byte    // the only one, where that does not pay
	page  *page     // that it is, if it comes from the pool
	given chan []byte
	back  chan []byte // which can be filled again
	ended chan struct{}
}

const (
	copyBuffer = 256 << 10
	hashAhead  = 4       // buffers that go round
	hashApart  = 4 << 20 // bytes from which on it pays
)

// A page is a buffer for small files, of which many are copied at a time.
type page [4 << 10]byte

var pages = sync.Pool{New: func() any { return new(page) }}

func newHashing(h hash.Hash, size int64) *hashing {
	if size < 0 {
		size = math.MaxInt64
	}
	if size <= int64(len(page{})) {
		p := pages.Get().(*page)
		return &hashing{h: h, buf: p[:], page: p}
	}
	if h == nil || size < hashApart {
		return &hashing{h: h, buf: make([]byte, min(size, copyBuffer))}
	}
	x := &hashing{h: h, given: make(chan []byte, hashAhead), back: make(chan []byte, hashAhead), ended: make(chan struct{})}
	for range hashAhead {
		x.back <- make([]byte, copyBuffer)
	}
	go func() {
		defer close(x.ended)
		for b := range x.given {
			h.Write(b)
			x.back <- b[:copyBuffer]
		}
	}()
	return x
}

// buffer returns one to fill.
func (x *hashing) buffer() []byte {
	if x.buf != nil {
		return x.buf
	}
	return <-x.back
}

// take hashes b, the head of what buffer returned. It may be read until buffer is called again, and not changed.
func (x *hashing) take(b []byte) {
	switch {
	case x.given != nil:
		x.given <- b
	case x.h != nil:
		x.h.Write(b)
	}
}

// end returns when all of it is hashed.
func (x *hashing) end() {
	if x.page != nil {
		pages.Put(x.page)
	}
	if x.given != nil {
		close(x.given)
		<-x.ended
	}
}

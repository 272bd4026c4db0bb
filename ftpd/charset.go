package ftpd

import (
	"sync/atomic"
	"unicode/utf8"

	"sampan/ftp"
)

// A charset is how the client of one connection writes names, which are UTF-8 everywhere else. It is kept when the user
// changes. Arguments are heard by one goroutine at a time; replies and listings may be written meanwhile.
type charset struct{ now atomic.Uint32 }

func (s *charset) is() ftp.Charset { return ftp.Charset(s.now.Load()) }

func (s *charset) set(c ftp.Charset) { s.now.Store(uint32(c)) }

// hear returns an argument as UTF-8.
func (s *charset) hear(arg string) string {
	c := s.is().After(arg)
	s.set(c)
	return c.Decode(arg)
}

// tell returns text for the client.
func (s *charset) tell(text []byte) []byte { return s.is().Encode(text) }

// show is tell for a line of a listing. Who was shown a name that is not UTF-8 byte for byte, which somebody put on the
// disk past us, may ask for it in the same way: from then on all names are taken so.
func (s *charset) show(line []byte) []byte {
	if s.is() == ftp.Undecided && !utf8.Valid(line) {
		s.set(ftp.UTF8)
	}
	return s.tell(line)
}

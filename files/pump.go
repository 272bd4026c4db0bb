package files

import (
	"errors"
	"io"
	"sync"

	"sampan/fault"
)

// Pump copies from src to dst until EOF and returns how much. Before each step it calls ask with what was copied and
// what it would like next (step bytes); ask says how much may be copied (quota, rate, deadline and counters live
// there) or fails. When ask allows 0 one byte is read and thrown away: EOF then ends the copy well, and a byte is
// OverQuota, with the error of ask if it gave one of that kind. Any other error of ask ends the copy at once.
//
// Pump wraps neither end. A dst that is an io.ReaderFrom is handed an *io.LimitedReader around src itself, so that
// a Local upload fed by a *net.TCPConn is spliced by the kernel, and a *net.TCPConn fed by an *os.File uses sendfile.
func Pump(dst io.Writer, src io.Reader, step int64, ask func(done, want int64) (allow int64, err error)) (int64, error) {
	var done int64
	for {
		allow, err := ask(done, step)
		if allow > 0 && err != nil || err != nil && fault.KindOf(err) != fault.OverQuota {
			return done, err
		}
		if allow <= 0 {
			return done, drained(src, err)
		}
		if v, ok := src.(Veiled); ok {
			src = v.Bare()
		}
		n, eof, err := copyStep(dst, src, min(allow, step))
		done += n
		if err != nil || eof {
			return done, err
		}
	}
}

// Veiled is a source that is dear to hand to the kernel. Pump asks it before each step what to read from: itself while it
// may end soon, and later what the kernel knows.
type Veiled interface{ Bare() io.Reader }

// copyStep copies n bytes, or fewer when src ends.
func copyStep(dst io.Writer, src io.Reader, n int64) (done int64, eof bool, err error) {
	limited := &io.LimitedReader{R: src, N: n}
	if to, ok := dst.(io.ReaderFrom); ok {
		done, err = to.ReadFrom(limited)
	} else {
		done, err = copyBuffered(dst, limited, nil)
	}
	return done, err == nil && done < n, err
}

// drained tells EOF from a byte more than there is room for; full is what to say in the second case.
func drained(src io.Reader, full error) error {
	var one [1]byte
	for {
		n, err := src.Read(one[:])
		switch {
		case n > 0 && full != nil:
			return full
		case n > 0:
			return fault.New(fault.OverQuota, "the quota leaves no room for more")
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// A buffer holds what is copied between ends that the kernel cannot join.
type buffer [256 << 10]byte

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// copyBuffered copies until EOF, filling a large buffer before each write. see, unless nil, is given the buffer with what
// was written of it, and returns the one to go on with.
func copyBuffered(dst io.Writer, src io.Reader, see func(*buffer, int) *buffer) (done int64, err error) {
	buf := buffers.Get().(*buffer)
	defer func() { buffers.Put(buf) }()
	for {
		n, rerr := fill(src, buf[:])
		if n > 0 {
			w, werr := dst.Write(buf[:n])
			done += int64(w)
			if see != nil {
				buf = see(buf, w)
			}
			if werr != nil {
				return done, werr
			}
		}
		if rerr == io.EOF {
			return done, nil
		}
		if rerr != nil {
			return done, rerr
		}
	}
}

// fill reads until buf is full or src fails, and passes the error of src on as it is: an io.ErrUnexpectedEOF of a
// broken TLS stream must not look like an end.
func fill(src io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = src.Read(buf[n:])
		n += m
	}
	return n, err
}

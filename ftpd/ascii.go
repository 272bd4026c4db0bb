package ftpd

import (
	"io"
	"time"
)

// A fromASCII turns the CR LF of TYPE A into LF (RFC 959 section 3.1.1.1), also where they fall into two reads. A CR
// alone stays.
type fromASCII struct {
	src io.Reader
	buf [16 << 10]byte
	in  []byte // of buf, not looked at yet
	cr  bool   // a CR came and waits for what follows
	err error
}

func (f *fromASCII) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n := 0
	for {
		for len(f.in) > 0 && n < len(p) {
			switch b := f.in[0]; {
			case f.cr && b != '\n':
				p[n], f.cr = '\r', false // and b is looked at again
				n++
				continue
			case b == '\r':
				f.cr = true
			default:
				p[n], f.cr = b, false
				n++
			}
			f.in = f.in[1:]
		}
		if n > 0 {
			return n, nil
		}
		if f.err == io.EOF && f.cr {
			p[0], f.cr = '\r', false
			return 1, nil
		}
		if err := f.err; err != nil {
			if err != io.EOF {
				f.err = nil // a deadline: reading may go on
			}
			return 0, err
		}
		var got int
		got, f.err = f.src.Read(f.buf[:])
		f.in = f.buf[:got]
	}
}

// SetReadDeadline is that of the connection.
func (f *fromASCII) SetReadDeadline(t time.Time) error {
	if d, ok := f.src.(interface{ SetReadDeadline(time.Time) error }); ok {
		return d.SetReadDeadline(t)
	}
	return nil
}

// A toASCII turns LF into the CR LF of TYPE A. A CR LF that is there already gets no second CR.
type toASCII struct {
	dst io.Writer
	cr  bool // the byte before was a CR
	out []byte
}

func (a *toASCII) Write(p []byte) (int, error) {
	const some = 32 << 10
	for done := 0; done < len(p); done += some {
		a.out = a.out[:0]
		for _, b := range p[done:min(done+some, len(p))] {
			if b == '\n' && !a.cr {
				a.out = append(a.out, '\r')
			}
			a.out = append(a.out, b)
			a.cr = b == '\r'
		}
		if _, err := a.dst.Write(a.out); err != nil {
			return done, err
		}
	}
	return len(p), nil
}

// SetWriteDeadline is that of the connection.
func (a *toASCII) SetWriteDeadline(t time.Time) error {
	if d, ok := a.dst.(interface{ SetWriteDeadline(time.Time) error }); ok {
		return d.SetWriteDeadline(t)
	}
	return nil
}

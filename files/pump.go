package files

import "io"

// Pump copies from src to dst until EOF and returns how much. Before each step it calls ask with what was copied and
// what it would like next (step bytes); ask says how much may be copied (quota, rate, deadline and counters live
// there) or fails. When ask allows 0 one byte is read and thrown away: EOF then ends the copy well, and a byte is
// OverQuota with the error of ask if it gave one.
//
// Pump wraps neither end. A dst that is an io.ReaderFrom is handed an *io.LimitedReader around src itself, so that
// a Local upload fed by a *net.TCPConn is spliced by the kernel, and a *net.TCPConn fed by an *os.File uses sendfile.
func Pump(dst io.Writer, src io.Reader, step int64, ask func(done, want int64) (allow int64, err error)) (int64, error) {
	panic("not built")
}

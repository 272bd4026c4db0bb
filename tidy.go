package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// When memory is given back: much was allocated since the last time, or many goroutines ended, whose stacks only a
// collection gives back; and next to nothing was allocated in the last second.
const (
	tidyEvery = time.Second
	much      = 8 << 20
	many      = 100
	nothing   = 1 << 20
)

// ballast counts as memory in use and is never touched, so it takes none. The runtime collects when as much was allocated as
// is in use, and of a server with few sessions that is so little that it collected hundreds of times for each GiB of
// packets: a third of what SFTP cost. With a client that uploads many small files it was a tenth.
func ballast() []byte { return make([]byte, 16<<20) }

// tidy gives memory back whenever the server comes to rest, until stop is called. The runtime collects when as much was
// allocated as is in use, and where nobody works that may be never: then the 19 MiB of each password that was hashed, and
// what the sessions needed to log in, would stay.
func tidy() (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		defer runtime.KeepAlive(ballast())
		tick := time.NewTicker(tidyEvery)
		defer tick.Stop()
		last, tidied, most := allocated(), uint64(0), 0
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			now, running := allocated(), runtime.NumGoroutine()
			most = max(most, running)
			if now-last < nothing && (now-tidied >= much || most-running >= many) {
				debug.FreeOSMemory()
				tidied, most = now, running
			}
			last = now
		}
	}()
	return func() { close(quit); <-done }
}

// allocated returns how many bytes were allocated so far.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

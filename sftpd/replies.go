package sftpd

import (
	"sync"
	"time"

	"sampan/sftp"
)

// replies sends packets, in whatever order they come. They are gathered until somebody flushes: who reads requests does
// before it waits for the next one, so that what was asked in one go is answered in one go.
type replies struct {
	ch     *channel
	unread time.Duration
	give   func() // gives the connection up

	mu       sync.Mutex
	changed  sync.Cond
	queue    []*sftp.Packet
	spare    []*sftp.Packet // the room of an earlier queue
	bytes    int            // of queue
	owed     int            // requests that are not answered, and replies that are not sent
	writing  bool           // somebody sends the queue
	broken   bool           // nobody takes them
	patience *time.Timer
	late     *time.Timer
	lingers  bool // late runs
}

// burst is how much is gathered, and mostQueued how much waits behind what is being sent before the reading of requests
// stops.
const (
	burst      = 128 << 10
	mostQueued = 1 << 20
)

func (r *replies) init(ch *channel, unread time.Duration, give func()) {
	r.ch, r.unread, r.give = ch, unread, give
	r.changed.L = &r.mu
	r.patience = time.AfterFunc(time.Hour, give)
	r.patience.Stop()
	r.late = time.AfterFunc(time.Hour, r.flush)
	r.late.Stop()
}

// expect notes that a reply is owed.
func (r *replies) expect() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owed++
}

// send takes a reply, to be sent by the next flush or when much is gathered.
func (r *replies) send(p *sftp.Packet) {
	r.mu.Lock()
	for r.bytes > mostQueued && !r.broken {
		r.changed.Wait()
	}
	r.queue = append(r.queue, p)
	r.bytes += p.Len()
	full := r.bytes >= burst
	r.mu.Unlock()
	if full {
		r.flush()
	}
}

// linger lets what is gathered wait for the reply to another request, which may take longer than its reader thinks: for
// lateness at most.
func (r *replies) linger() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) > 0 && !r.writing && !r.lingers {
		r.lingers = true
		r.late.Reset(lateness)
	}
}

// settle waits until nothing is owed.
func (r *replies) settle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.owed > 0 && !r.broken {
		r.changed.Wait()
	}
}

// close sends what is left; no more come.
func (r *replies) close() {
	r.flush()
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.writing {
		r.changed.Wait()
	}
}

// flush sends what is gathered, unless somebody is at it, who then sends that too.
func (r *replies) flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.writing || len(r.queue) == 0 {
		return
	}
	if r.lingers {
		r.late.Stop()
		r.lingers = false
	}
	r.writing = true
	for len(r.queue) > 0 {
		some := r.queue
		r.queue, r.spare, r.bytes = r.spare[:0], nil, 0
		r.changed.Broadcast()
		r.mu.Unlock()
		r.patience.Reset(r.unread)
		err := r.write(some)
		r.patience.Stop()
		r.mu.Lock()
		r.owed -= len(some)
		r.broken = r.broken || err != nil
		clear(some)
		r.spare = some
	}
	r.writing = false
	r.changed.Broadcast()
}

// write sends packets: small ones together, as one packet of SSH, and much in one go.
func (r *replies) write(some []*sftp.Packet) (err error) {
	if len(some) == 1 {
		defer some[0].Free()
		return r.put(some[0].Wire())
	}
	buf := gathers.Get().(*[]byte)
	defer letGo(buf)
	for _, p := range some {
		*buf = append(*buf, p.Wire()...)
		p.Free()
		if len(*buf) >= burst && err == nil {
			err = r.put(*buf)
			*buf = (*buf)[:0]
		}
	}
	if err == nil {
		err = r.put(*buf)
	}
	return err
}

// put writes to the channel. What fits one packet needs no gathering.
func (r *replies) put(b []byte) error {
	if len(b) < sip-64 {
		_, err := r.ch.Write(b)
		return err
	}
	r.ch.nc.hold()
	_, err := r.ch.Write(b)
	if late := r.ch.nc.release(); err == nil {
		err = late
	}
	return err
}

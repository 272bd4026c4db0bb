//go:build linux

package stories

import (
	be "encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/crypto/ssh"
)

// sftpWire is an SFTP session driven by hand (draft-ietf-secsh-filexfer-02), with nothing of Sampan in it.
type sftpWire struct {
	ssh *ssh.Client
	ch  ssh.Channel
	id  uint32
}

// The packets that it knows.
const (
	fxpInit    = 1
	fxpVersion = 2
	fxpOpen    = 3
	fxpClose   = 4
	fxpWrite   = 6
	fxpSetstat = 9
	fxpOpendir = 11
	fxpRemove  = 13
	fxpRename  = 18
	fxpStatus  = 101
	fxpHandle  = 102

	fxfRead, fxfWrite, fxfCreate, fxfTruncate = 0x01, 0x02, 0x08, 0x10
)

// sftpRefusal is a status that is not OK.
type sftpRefusal struct {
	code uint32
	text string
}

func (r *sftpRefusal) Error() string { return fmt.Sprintf("%d: %s", r.code, r.text) }

// dialSFTP logs in by password. Who the server is does not matter: it was started by the test.
func dialSFTP(addr, user, password string) (*sftpWire, error) {
	return dialSFTPFrom(addr, "127.0.0.1", user, password)
}

// dialSFTPFrom comes from a local address.
func dialSFTPFrom(addr, from, user, password string) (w *sftpWire, err error) {
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(patience)) // of the log-in
	c, channels, requests, err := ssh.NewClientConn(conn, addr, &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.Password(password)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	w = &sftpWire{ssh: ssh.NewClient(c, channels, requests)}
	ch, more, err := w.ssh.OpenChannel("session", nil)
	if err != nil {
		w.close()
		return nil, err
	}
	go ssh.DiscardRequests(more)
	w.ch = ch
	if ok, err := ch.SendRequest("subsystem", true, packed("sftp")); err != nil || !ok {
		w.close()
		return nil, errors.Join(err, errors.New("no subsystem"))
	}
	if _, err := w.ch.Write(packed(packet{fxpInit, 0, 0, 0, 3})); err != nil {
		w.close()
		return nil, err
	}
	if kind, _, err := w.receive(); err != nil || kind != fxpVersion {
		w.close()
		return nil, errors.Join(err, fmt.Errorf("packet %d where a version was wanted", kind))
	}
	return w, nil
}

func (w *sftpWire) close() { _ = w.ssh.Close() }

// packet is bytes with their length before them, as a string is.
type packet []byte

// packed puts fields one behind the other: strings, numbers of 32 and 64 bits, and bytes as they are.
func packed(fields ...any) (b []byte) {
	for _, f := range fields {
		switch f := f.(type) {
		case string:
			b = append(be.BigEndian.AppendUint32(b, uint32(len(f))), f...)
		case packet:
			b = append(be.BigEndian.AppendUint32(b, uint32(len(f))), f...)
		case uint32:
			b = be.BigEndian.AppendUint32(b, f)
		case uint64:
			b = be.BigEndian.AppendUint64(b, f)
		case []byte:
			b = append(b, f...)
		default:
			panic(fmt.Sprintf("%T", f))
		}
	}
	return b
}

// send sends a request without waiting for its reply.
func (w *sftpWire) send(kind byte, fields ...any) error {
	w.id++
	_, err := w.ch.Write(packed(packet(packed([]byte{kind}, w.id, packed(fields...)))))
	return err
}

// receive returns the next packet.
func (w *sftpWire) receive() (kind byte, rest []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(w.ch, head[:]); err != nil {
		return 0, nil, err
	}
	n := be.BigEndian.Uint32(head[:])
	if n == 0 || n > 1<<20 {
		return 0, nil, fmt.Errorf("a packet of %d bytes", n)
	}
	rest = make([]byte, n-1)
	_, err = io.ReadFull(w.ch, rest)
	return head[4], rest, err
}

// reply takes the reply to one request: a status that is not OK is an error, a handle is returned.
func (w *sftpWire) reply() (string, error) {
	stop := time.AfterFunc(patience, w.close)
	defer stop.Stop()
	kind, rest, err := w.receive()
	switch {
	case err != nil:
		return "", err
	case kind == fxpHandle && len(rest) >= 8:
		return string(rest[8:]), nil
	case kind != fxpStatus || len(rest) < 12:
		return "", fmt.Errorf("packet %d of %d bytes", kind, len(rest))
	}
	if code := be.BigEndian.Uint32(rest[4:]); code != 0 {
		text := rest[12:]
		return "", &sftpRefusal{code, string(text[:min(int(be.BigEndian.Uint32(rest[8:])), len(text))])}
	}
	return "", nil
}

// ask sends a request and waits for its reply.
func (w *sftpWire) ask(kind byte, fields ...any) (string, error) {
	if err := w.send(kind, fields...); err != nil {
		return "", err
	}
	return w.reply()
}

// put writes what src has into a file, from off on, and closes it; 16 requests are on their way at once. The first refusal
// is returned.
func (w *sftpWire) put(name string, flags uint32, off uint64, src io.Reader) error {
	h, err := w.ask(fxpOpen, name, flags, uint32(0))
	if err != nil {
		return err
	}
	var refused *sftpRefusal
	for buf, more := make([]byte, 32<<10), true; more; {
		sent := 0
		for sent < 16 && more {
			n, err := io.ReadFull(src, buf)
			more = err == nil
			if n > 0 {
				if err := w.send(fxpWrite, h, off, string(buf[:n])); err != nil {
					return err
				}
				off += uint64(n)
				sent++
			}
		}
		if !more {
			if err := w.send(fxpClose, h); err != nil {
				return err
			}
			sent++
		}
		for ; sent > 0; sent-- {
			var r *sftpRefusal
			if _, err := w.reply(); errors.As(err, &r) {
				if refused == nil {
					refused = r
				}
			} else if err != nil {
				return err
			}
		}
	}
	if refused != nil {
		return refused
	}
	return nil
}

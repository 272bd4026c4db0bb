//go:build !linux

package ftpd

import (
	"io"
	"net"
	"net/netip"
)

// A door is the listening socket of a passive port. It hands on by itself whoever comes.
type door struct{ ln net.Listener }

// openDoor takes a listener over, and gives those who come to hand.
func openDoor(ln net.Listener, s *Server, hand func(*visitor)) (*door, error) {
	go s.street.All(ln, func(nc net.Conn) { hand(&visitor{nc.(*net.TCPConn), remote(nc).Addr().WithZone("")}) })
	return &door{ln}, nil
}

// look has nothing to do.
func (d *door) look(func() bool) error { return nil }

// watch has nothing to do.
func (d *door) watch() (stop func()) { return func() {} }

func (d *door) close() { d.ln.Close() }

// A visitor is a connection that came to a door.
type visitor struct {
	*net.TCPConn
	from netip.Addr
}

func (v *visitor) conn() (*net.TCPConn, error) { return v.TCPConn, nil }

// finish ends in order what was sent.
func (v *visitor) finish() error { return finish(v.TCPConn, 0) }

// cutOff ends the connection so that the other end cannot take it for the end of the data.
func (v *visitor) cutOff() { cutOff(v.TCPConn) }

// Bare implements files.Veiled.
func (v *visitor) Bare() io.Reader { return v.TCPConn }

package ftpd

import (
	"net"
	"syscall"
)

// hungUp knows nothing here; the reader sees the end of the connection a moment later.
func hungUp(net.Conn) bool { return false }

// someoneWaits cannot tell here, and no port is kept.
func someoneWaits(syscall.Conn) bool { return true }

func keepUrgentInline(net.Conn) {}

func discardUnread(net.Conn) {}

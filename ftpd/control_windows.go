package ftpd

import "net"

// hungUp knows nothing here; the reader sees the end of the connection a moment later.
func hungUp(net.Conn) bool { return false }

func keepUrgentInline(net.Conn) {}

func discardUnread(net.Conn) {}

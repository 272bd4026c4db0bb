package ftpd

import (
	"errors"
	"net"

	"golang.org/x/sys/windows"
)

// seesEnd says that hungUp needs somebody who reads.
const seesEnd = false

// hungUp knows nothing here; the reader sees the end of the connection a moment later.
func hungUp(net.Conn) bool { return false }

// ackAtOnce cannot be asked for here.
func ackAtOnce(net.Conn) {}

func keepUrgentInline(net.Conn) {}

// discardUnread cannot tell.
func discardUnread(net.Conn) (some bool, err error) { return true, nil }

// portTaken reports that a port cannot be opened because another program, or the system, has it.
func portTaken(err error) bool {
	return errors.Is(err, windows.WSAEADDRINUSE) || errors.Is(err, windows.WSAEACCES)
}

// mayDoze says that awaitInput leaves the waiting to the reading.
const mayDoze = false

func awaitInput(net.Conn) {}

//go:build linux

package main

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// A link joins two network namespaces by a line that is long: what goes in at one end comes out at the other after the
// delay, no faster than the rate. It loses nothing. Both namespaces end with it; the machine's own network is left alone.
type link struct{ near, far *end }

// An end is a network namespace with its end of the line, a TUN device. A thread of its own is in there.
type end struct {
	addr  netip.Addr
	tun   int
	tasks chan func()
}

const (
	mtu = 1500
	// segmentHead is what each segment of a packet that the kernel left whole (TSO) carries besides its bytes, on Ethernet.
	segmentHead = 38 + 52
	// most packets on their way: far more than the buffers of all connections hold. A full line makes the sender wait.
	onTheWay = 1 << 16
	// vnetHeader is the length of struct virtio_net_hdr, which stands before each packet.
	vnetHeader = 10
)

// openLink makes a line with that delay each way and that many bytes a second.
func openLink(delay time.Duration, rate float64) (*link, error) {
	near, err := openEnd(netip.MustParseAddr("10.77.0.1"))
	if err != nil {
		return nil, err
	}
	far, err := openEnd(netip.MustParseAddr("10.77.0.2"))
	if err != nil {
		near.close()
		return nil, err
	}
	go carry(far.tun, near.tun, delay, rate)
	go carry(near.tun, far.tun, delay, rate)
	return &link{near, far}, nil
}

func (l *link) close() {
	l.near.close()
	l.far.close()
}

// openEnd makes a namespace and its device.
func openEnd(addr netip.Addr) (*end, error) {
	e := &end{addr: addr, tasks: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its namespace
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = e.setUp()
		}
		ready <- err
		if err == nil {
			for task := range e.tasks {
				task()
			}
		}
	}()
	if err := <-ready; err != nil {
		return nil, fmt.Errorf("a network namespace with a TUN device: %w", err)
	}
	return e, nil
}

func (e *end) close() { close(e.tasks) }

// start starts a command in the namespace.
func (e *end) start(cmd *exec.Cmd) error {
	started := make(chan error)
	e.tasks <- func() { started <- cmd.Start() }
	return <-started
}

// setUp makes the device, with packets as long as TCP would hand them to a card, and brings it up.
func (e *end) setUp() (err error) {
	if e.tun, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
		return os.NewSyscallError("open /dev/net/tun", err)
	}
	device, err := unix.NewIfreq("line")
	if err != nil {
		return err
	}
	device.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(e.tun, unix.TUNSETIFF, device); err != nil {
		return os.NewSyscallError("TUNSETIFF", err)
	}
	if err := unix.IoctlSetInt(e.tun, unix.TUNSETOFFLOAD, unix.TUN_F_CSUM|unix.TUN_F_TSO4); err != nil {
		return os.NewSyscallError("TUNSETOFFLOAD", err)
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(s)
	for _, name := range []string{"lo", "line"} {
		if err := up(s, name, e.addr); err != nil {
			return os.NewSyscallError("setting up "+name, err)
		}
	}
	return nil
}

// up gives a device its address and brings it up (netdevice(7)).
func up(s int, name string, addr netip.Addr) error {
	set := func(what uint, value func(*unix.Ifreq)) error {
		r, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		value(r)
		return unix.IoctlIfreq(s, what, r)
	}
	inet := func(b ...byte) func(*unix.Ifreq) { return func(r *unix.Ifreq) { r.SetInet4Addr(b) } }
	number := func(n uint32) func(*unix.Ifreq) { return func(r *unix.Ifreq) { r.SetUint32(n) } }
	if name != "lo" {
		b := addr.As4()
		for _, err := range []error{
			set(unix.SIOCSIFADDR, inet(b[:]...)),
			set(unix.SIOCSIFNETMASK, inet(255, 255, 255, 0)),
			set(unix.SIOCSIFMTU, number(mtu)),
			set(unix.SIOCSIFTXQLEN, number(onTheWay)),
		} {
			if err != nil {
				return err
			}
		}
	}
	return set(unix.SIOCSIFFLAGS, func(r *unix.Ifreq) { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING) })
}

// A parcel is a packet on its way.
type parcel struct {
	due  time.Time
	data []byte
}

// carry takes packets from one device to the other until either is gone. The line is busy with one packet at a time.
func carry(to, from int, delay time.Duration, rate float64) {
	line := make(chan parcel, onTheWay)
	go deliver(to, line)
	defer close(line)
	buf := make([]byte, vnetHeader+64<<10)
	free := time.Now()
	for {
		n, err := unix.Read(from, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n < vnetHeader {
			return
		}
		now := time.Now()
		if free.Before(now) {
			free = now
		}
		length := n - vnetHeader
		segments := (length + mtu - 1) / mtu
		free = free.Add(time.Duration(float64(length+segments*segmentHead) / rate * float64(time.Second)))
		line <- parcel{free.Add(delay), append([]byte(nil), buf[:n]...)}
	}
}

// deliver hands over packets when they are due. It sleeps in the kernel: Go's timers may be late by a millisecond.
func deliver(to int, line <-chan parcel) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for p := range line {
		for wait := time.Until(p.due); wait > 0; wait = time.Until(p.due) {
			t := unix.NsecToTimespec(int64(wait))
			unix.Nanosleep(&t, nil)
		}
		unix.Write(to, p.data)
	}
}

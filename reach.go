package main

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// reachable writes a listener's address so that a program on this machine can dial it: a wildcard as loopback.
func reachable(a net.Addr) string {
	at, ok := listenPort(a)
	if !ok {
		return a.String()
	}
	if at.Addr().IsUnspecified() {
		ip := netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if !hasAddress(ip) {
			ip = netip.IPv6Loopback()
		}
		at = netip.AddrPortFrom(ip, at.Port())
	}
	return at.String()
}

func listenPort(a net.Addr) (netip.AddrPort, bool) {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, false
	}
	at := tcp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), true
}

func hasAddress(ip netip.Addr) bool {
	all, _ := net.InterfaceAddrs()
	return slices.ContainsFunc(all, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr() == ip
	})
}

// urls are the listeners as people write them, with an address that is reached from outside, if there is one.
func (srv *server) urls() (list []string) {
	for _, scheme := range []string{"ftp", "ftps", "sftp"} {
		at, found := srv.addresses[scheme]
		if !found {
			continue
		}
		host, port, _ := net.SplitHostPort(at)
		if public := string(srv.settings.PublicAddress); public != "" {
			host = public
		} else if srv.wildcard(scheme) {
			host = lanAddress(host)
		}
		if port == map[string]string{"ftp": "21", "ftps": "990", "sftp": "22"}[scheme] {
			host = bracket(host)
		} else {
			host = net.JoinHostPort(host, port)
		}
		list = append(list, scheme+"://"+host)
	}
	return list
}

// joinCommand is what the second person types, with the pin of the generated certificate or the operator's. That of an
// authority needs none. Where there is only SFTP it is joinSSH.
func (srv *server) joinCommand() string {
	first := srv.urls()[0]
	if strings.HasPrefix(first, "sftp://") {
		return srv.joinSSH()
	}
	join := "sampan join " + first
	if d := srv.settings.ACMEDomain; d != "" && string(d) == string(srv.settings.PublicAddress) {
		return join
	}
	return join + " --pin " + srv.certs.pin()
}

// joinSSH is what somebody types who has OpenSSH and not this program; "" where SFTP is off.
func (srv *server) joinSSH() string {
	for _, u := range srv.urls() {
		if at, ok := strings.CutPrefix(u, "sftp://"); ok {
			return "ssh ssh://register@" + at
		}
	}
	return ""
}

func bracket(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		return "[" + host + "]"
	}
	return host
}

// wildcard reports whether the listener of a scheme takes all addresses.
func (srv *server) wildcard(scheme string) bool {
	at := map[string]address{"ftp": srv.settings.FTP, "ftps": srv.settings.FTPS, "sftp": srv.settings.SFTP}[scheme]
	host, _, _ := net.SplitHostPort(string(at))
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

// lanAddress is the address of this machine that others most likely reach it by, else fallback. Dialing UDP sends
// nothing: it only asks the system which way it would go.
func lanAddress(fallback string) string {
	for _, outside := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} {
		if c, err := net.Dial("udp", outside); err == nil {
			at := c.LocalAddr().(*net.UDPAddr).AddrPort()
			c.Close()
			if ip := at.Addr().Unmap(); ip.IsGlobalUnicast() {
				return ip.String()
			}
		}
	}
	for _, ip := range localAddresses() {
		if ip.Is4() {
			return ip.String()
		}
	}
	return fallback
}

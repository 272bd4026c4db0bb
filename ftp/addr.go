package ftp

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// Errors of address arguments; the first is answered 522, the other 501.
var (
	ErrFamily  = errors.New("the address family is not known")
	ErrAddress = errors.New("no address")
)

// ParsePORT reads the argument of PORT: exactly six numbers with commas (RFC 959 section 5.3.2).
func ParsePORT(arg string) (netip.AddrPort, error) {
	fields := strings.Split(arg, ",")
	if len(fields) != 6 {
		return netip.AddrPort{}, ErrAddress
	}
	var n [6]byte
	for i, f := range fields {
		if f == "" || len(f) > 3 || strings.Trim(f, "0123456789") != "" {
			return netip.AddrPort{}, ErrAddress
		}
		v, err := strconv.ParseUint(f, 10, 8)
		if err != nil {
			return netip.AddrPort{}, ErrAddress
		}
		n[i] = byte(v)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(n[:4])), uint16(n[4])<<8|uint16(n[5])), nil
}

// FormatPORT writes six numbers with commas, for PORT and in a 227 reply. a is IPv4 (mapped or not).
func FormatPORT(a netip.AddrPort) string {
	b := a.Addr().Unmap().As4()
	n := [6]byte{b[0], b[1], b[2], b[3], byte(a.Port() >> 8), byte(a.Port())}
	var s []byte
	for i, v := range n {
		if i > 0 {
			s = append(s, ',')
		}
		s = strconv.AppendUint(s, uint64(v), 10)
	}
	return string(s)
}

// ParseEPRT reads the argument of EPRT, "|1|132.235.1.2|6275|" (RFC 2428 section 2): ErrFamily for a family that is
// neither 1 (IPv4) nor 2 (IPv6), ErrAddress for all else that is wrong.
func ParseEPRT(arg string) (netip.AddrPort, error) {
	none := netip.AddrPort{}
	if len(arg) < 7 || arg[0] < 33 || arg[0] > 126 {
		return none, ErrAddress
	}
	fields := strings.Split(arg, arg[:1])
	if len(fields) != 5 || fields[0] != "" || fields[4] != "" {
		return none, ErrAddress
	}
	family, ok := ParseOffset(fields[1])
	if !ok {
		return none, ErrAddress
	}
	if family != 1 && family != 2 {
		return none, ErrFamily
	}
	addr, err := netip.ParseAddr(fields[2])
	if err != nil || addr.Is4() != (family == 1) || addr.Zone() != "" {
		return none, ErrAddress
	}
	if strings.Trim(fields[3], "0123456789") != "" {
		return none, ErrAddress
	}
	port, err := strconv.ParseUint(fields[3], 10, 16)
	if err != nil {
		return none, ErrAddress
	}
	return netip.AddrPortFrom(addr, uint16(port)), nil
}

// FormatEPRT writes the argument of EPRT.
func FormatEPRT(a netip.AddrPort) string {
	addr, family := a.Addr().Unmap().WithZone(""), "|1|"
	if addr.Is6() {
		family = "|2|"
	}
	return family + addr.String() + "|" + strconv.Itoa(int(a.Port())) + "|"
}

// FormatEPSV writes the port as a 229 reply has it (RFC 2428 section 3).
func FormatEPSV(port uint16) string { return "(|||" + strconv.Itoa(int(port)) + "|)" }

// ParseEPSVArg reads the argument of EPSV: nothing is family 0, a number names the family, ALL sets all.
func ParseEPSVArg(arg string) (family int, all bool, err error) {
	arg = strings.TrimSpace(arg)
	switch {
	case arg == "":
		return 0, false, nil
	case strings.EqualFold(arg, "ALL"):
		return 0, true, nil
	case arg == "1":
		return 1, false, nil
	case arg == "2":
		return 2, false, nil
	}
	if _, ok := ParseOffset(arg); ok {
		return 0, false, ErrFamily
	}
	return 0, false, ErrAddress
}

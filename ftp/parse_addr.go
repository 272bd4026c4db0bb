package ftp

import (
	"net/netip"
	"strconv"
	"strings"
)

// ParsePASV reads the address of a 227 reply: six numbers with commas, with or without brackets (RFC 1123 section
// 4.1.2.6). A client uses the port only and connects to the control connection's peer.
func ParsePASV(text string) (netip.AddrPort, bool) {
	for i := 0; i < len(text); i++ {
		if text[i] >= '0' && text[i] <= '9' && (i == 0 || text[i-1] < '0' || text[i-1] > '9') {
			if a, ok := sixNumbers(text[i:]); ok {
				return a, true
			}
		}
	}
	return netip.AddrPort{}, false
}

func sixNumbers(s string) (netip.AddrPort, bool) {
	var n [6]byte
	for i := range n {
		digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
		v, err := strconv.ParseUint(s[:digits], 10, 8)
		if err != nil {
			return netip.AddrPort{}, false
		}
		n[i], s = byte(v), s[digits:]
		if i < 5 {
			if !strings.HasPrefix(s, ",") {
				return netip.AddrPort{}, false
			}
			s = s[1:]
		}
	}
	port := uint16(n[4])<<8 | uint16(n[5])
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(n[:4])), port), port != 0
}

// ParseEPSV reads the port of a 229 reply: "(|||port|)" with any delimiter (RFC 2428 section 3).
func ParseEPSV(text string) (port uint16, ok bool) {
	_, s, ok := strings.Cut(text, "(")
	if !ok || len(s) < 6 {
		return 0, false
	}
	d := s[0]
	if d < 33 || d > 126 || d >= '0' && d <= '9' || s[1] != d || s[2] != d {
		return 0, false
	}
	digits, rest, ok := strings.Cut(s[3:], string(d))
	if !ok || !strings.HasPrefix(rest, ")") {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	return uint16(n), err == nil && n != 0
}

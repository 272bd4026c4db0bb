package main

import (
	"math"
	"strconv"
	"strings"

	"sampan/account"
	"sampan/fault"
	"sampan/words"
)

// size is a number of bytes on the command line: digits are bytes, K M G T (also KB, KiB, …) are powers of 1024,
// "none" is account.Unlimited.
type size int64

func parseSize(text string) (size, error) {
	s := strings.ToUpper(strings.TrimSpace(text))
	if s == "NONE" {
		return size(account.Unlimited), nil
	}
	digits := strings.TrimRight(s, "BIKMGT ")
	unit := strings.TrimSpace(s[len(digits):])
	shift := uint(0)
	switch unit {
	case "", "B":
	case "K", "KB", "KIB":
		shift = 10
	case "M", "MB", "MIB":
		shift = 20
	case "G", "GB", "GIB":
		shift = 30
	case "T", "TB", "TIB":
		shift = 40
	default:
		return 0, badSize(text)
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || n > math.MaxInt64>>shift {
		return 0, badSize(text)
	}
	return size(n << shift), nil
}

// rate is a size in a second; one of 0 would end all.
type rate struct{ size }

func parseRate(text string) (rate, error) {
	n, err := parseSize(strings.TrimSuffix(strings.TrimSpace(text), "/s"))
	if err != nil || n == 0 {
		return rate{}, fault.New(fault.Syntax, "%q is no rate; write 500K, 10M, a number of bytes a second, or none", text)
	}
	return rate{n}, nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *rate) UnmarshalText(text []byte) (err error) {
	n, err := parseRate(string(text))
	if err == nil {
		*r = n
	}
	return err
}

// String writes the rate so that parseRate reads the same one.
func (r rate) String() string {
	if r.size < 0 {
		return r.size.String()
	}
	return r.size.String() + "/s"
}

func badSize(text string) error {
	return fault.New(fault.Syntax, "%q is no size; write 500M, 10G, a number of bytes, or none", text)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *size) UnmarshalText(text []byte) (err error) {
	n, err := parseSize(string(text))
	if err == nil {
		*s = n
	}
	return err
}

// String writes the size so that parseSize reads the same one.
func (s size) String() string {
	n, unit := int64(s), 0
	if n < 0 {
		return "none"
	}
	for unit < 4 && n > 0 && n%1024 == 0 {
		n, unit = n/1024, unit+1
	}
	return strconv.FormatInt(n, 10) + []string{"", "K", "M", "G", "T"}[unit]
}

// short writes the size for the eye.
func (s size) short() string {
	if s < 0 {
		return "none"
	}
	return words.Bytes(int64(s))
}

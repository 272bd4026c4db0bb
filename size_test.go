package main

import (
	"math"
	"testing"
)

func TestSize(t *testing.T) {
	t.Parallel()
	good := map[string]int64{
		"0": 0, "17": 17, "17B": 17, "1k": 1 << 10, "1K": 1 << 10, "3KB": 3 << 10, "3KiB": 3 << 10, "500M": 500 << 20, "10G": 10 << 30,
		"10 GB": 10 << 30, "2TiB": 2 << 40, " 5m ": 5 << 20, "none": -1, "None": -1, "9223372036854775807": math.MaxInt64, "8388607T": 8388607 << 40,
	}
	for in, want := range good {
		if n, err := parseSize(in); err != nil || int64(n) != want {
			t.Errorf("%q: %d, %v, want %d", in, n, err, want)
		}
	}
	for _, in := range []string{"", "-1", "+1", "1.5G", "G", "B", "1P", "1KK", "1GK", "1BK", "1 2", "9223372036854775808", "8388608T", "1e3", "0x10", "ten", "１０", "1_000"} {
		if n, err := parseSize(in); err == nil {
			t.Errorf("%q is taken as %d", in, n)
		}
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{"1": 1, "500K": 500 << 10, "10M/s": 10 << 20, " 3 KiB/s ": 3 << 10, "none": -1} {
		if r, err := parseRate(in); err != nil || int64(r.size) != want {
			t.Errorf("%q: %d, %v, want %d", in, r.size, err, want)
		}
	}
	for _, in := range []string{"", "0", "0K", "-1", "1.5M", "/s", "10M/h", "10M/s/s", "10Mbit"} {
		if r, err := parseRate(in); err == nil {
			t.Errorf("%q is taken as %d", in, r.size)
		}
	}
}

func FuzzSize(f *testing.F) {
	for _, s := range []string{"10G", "none", "5 KiB", "-1", "9223372036854775807", "1TT"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		n, err := parseSize(in)
		if err != nil {
			return
		}
		if n < -1 {
			t.Fatalf("%q is %d", in, n)
		}
		if back, err := parseSize(n.String()); err != nil || back != n {
			t.Fatalf("%q is %d, written %s, read back as %d, %v", in, n, n, back, err)
		}
		if r, err := parseRate(in); err == nil {
			if back, err := parseRate(r.String()); err != nil || back != r || r.size == 0 {
				t.Fatalf("%q is %d a second, written %s, read back as %d, %v", in, r.size, r, back.size, err)
			}
		}
	})
}

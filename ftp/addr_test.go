package ftp

import (
	"errors"
	"net/netip"
	"testing"
)

func TestParsePORT(t *testing.T) {
	t.Parallel()
	if a, err := ParsePORT("127,0,0,1,4,1"); err != nil || a != netip.MustParseAddrPort("127.0.0.1:1025") {
		t.Error(a, err)
	}
	for _, bad := range []string{
		"", "1,2,3,4,5", "1,2,3,4,5,6,7", "256,0,0,1,4,1", "127,0,0,1,4,256", "127,0,0,1,,1", "127, 0,0,1,4,1",
		"-1,0,0,1,4,1", "127,0,0,1,4,1 ", "+1,0,0,1,4,1", "127.0.0.1:1025", "0127,0,0,1,4,1",
	} {
		if a, err := ParsePORT(bad); !errors.Is(err, ErrAddress) {
			t.Errorf("%q: %v %v", bad, a, err)
		}
	}
}

func TestParseEPRT(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"|1|132.235.1.2|6275|":        "132.235.1.2:6275",
		"|2|1080::8:800:200C:417A|1|": "[1080::8:800:200c:417a]:1",
		"!1!127.0.0.1!65535!":         "127.0.0.1:65535",
	} {
		if a, err := ParseEPRT(in); err != nil || a != netip.MustParseAddrPort(want) {
			t.Errorf("%q: %v %v", in, a, err)
		}
	}
	for in, want := range map[string]error{
		"|3|127.0.0.1|1025|":   ErrFamily,
		"|0|x|1025|":           ErrFamily,
		"":                     ErrAddress,
		"|||||||":              ErrAddress,
		"|1|127.0.0.1|70000|":  ErrAddress,
		"|1|127.0.0.1|-1|":     ErrAddress,
		"|1|127.0.0.1||":       ErrAddress,
		"|1|::1|1025|":         ErrAddress,
		"|2|127.0.0.1|1025|":   ErrAddress,
		"|2|fe80::1%lo|1025|":  ErrAddress,
		"|1|127.0.0.1|1025":    ErrAddress,
		"|1|127.0.0.1|1025|x|": ErrAddress,
		"|x|127.0.0.1|1025|":   ErrAddress,
		" 1 127.0.0.1 1025 ":   ErrAddress,
	} {
		if a, err := ParseEPRT(in); !errors.Is(err, want) {
			t.Errorf("%q: %v %v, want %v", in, a, err, want)
		}
	}
}

func TestParseEPSVArg(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]struct {
		family int
		all    bool
		err    error
	}{
		"": {}, "1": {family: 1}, "2": {family: 2}, "ALL": {all: true}, "all ": {all: true},
		"3": {err: ErrFamily}, "x": {err: ErrAddress}, "-1": {err: ErrAddress},
	} {
		if family, all, err := ParseEPSVArg(in); family != want.family || all != want.all || !errors.Is(err, want.err) {
			t.Errorf("%q: %d %v %v", in, family, all, err)
		}
	}
}

func FuzzAddressArguments(f *testing.F) {
	f.Add("127,0,0,1,4,1")
	f.Add("|1|127.0.0.1|1025|")
	f.Add("|2|::1|1025|")
	f.Fuzz(func(t *testing.T, arg string) {
		if a, err := ParsePORT(arg); err == nil {
			if back, err := ParsePORT(FormatPORT(a)); err != nil || back != a {
				t.Fatal(a, back, err)
			}
			if got, ok := ParsePASV("(" + FormatPORT(a) + ")"); a.Port() != 0 && (!ok || got != a) {
				t.Fatal(a, got)
			}
		}
		if a, err := ParseEPRT(arg); err == nil {
			if back, err := ParseEPRT(FormatEPRT(a)); err != nil || back.Addr().Unmap() != a.Addr().Unmap() || back.Port() != a.Port() {
				t.Fatal(a, back, err)
			}
			if got, ok := ParseEPSV(FormatEPSV(a.Port())); a.Port() != 0 && (!ok || got != a.Port()) {
				t.Fatal(a, got)
			}
		}
		if family, all, err := ParseEPSVArg(arg); err == nil && (family < 0 || family > 2 || all && family != 0) {
			t.Fatal(family, all)
		}
	})
}

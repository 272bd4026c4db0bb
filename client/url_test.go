package client_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sampan/client"
	"sampan/fault"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want client.URL
		out  string // "" is in itself
	}{
		{"ftp://localhost:2121", client.URL{Scheme: "ftp", Host: "localhost", Port: 2121}, "ftp://localhost:2121/"},
		{"FTP://h/a/b", client.URL{Scheme: "ftp", Host: "h", Port: 21, Path: "a/b"}, "ftp://h/a/b"},
		{"ftps://h/", client.URL{Scheme: "ftps", Host: "h", Port: 990}, ""},
		{"ftp://h/%2Fetc/x", client.URL{Scheme: "ftp", Host: "h", Port: 21, Path: "/etc/x"}, ""},
		{"ftp://h/%2fetc", client.URL{Scheme: "ftp", Host: "h", Port: 21, Path: "/etc"}, "ftp://h/%2Fetc"},
		{"ftp://h//etc", client.URL{Scheme: "ftp", Host: "h", Port: 21, Path: "/etc"}, "ftp://h/%2Fetc"},
		{"ftp://al%40x:s%3Ac%2F@h/", client.URL{Scheme: "ftp", User: "al@x", Pass: "s:c/", Host: "h", Port: 21}, "ftp://al%40x@h/"},
		{"ftp://a@b@h/", client.URL{Scheme: "ftp", User: "a@b", Host: "h", Port: 21}, "ftp://a%40b@h/"},
		{"ftp://[::1]:2121/x", client.URL{Scheme: "ftp", Host: "::1", Port: 2121, Path: "x"}, ""},
		{"ftp://[fe80::1%eth0]/x", client.URL{Scheme: "ftp", Host: "fe80::1%eth0", Port: 21, Path: "x"}, ""},
		{"ftp://h/名字 %25?#x", client.URL{Scheme: "ftp", Host: "h", Port: 21, Path: "名字 %?#x"}, "ftp://h/名字%20%25%3F%23x"},
		{"ftp://名.example/", client.URL{Scheme: "ftp", Host: "名.example", Port: 21}, ""},
	} {
		got, err := client.ParseURL(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.in, diff)
		}
		if want := c.out; got.String() != want && (want != "" || got.String() != c.in) {
			t.Errorf("%s is written %s, want %s", c.in, got, want)
		}
	}
	for _, bad := range []string{
		"", "h", "h/x", "http://h/", "ftp:/h", "ftp://", "ftp:///x", "ftp://:21/", "ftp://h:0/", "ftp://h:65536/", "ftp://h:x/",
		"ftp://::1/", "ftp://[::1/", "ftp://[1.2.3.4]/", "ftp://[::1]x/", "ftp://h/%", "ftp://h/%zz", "ftp://h/a%0d%0ab", "ftp://h/%00",
		"ftp://a%0aPASS@h/", "ftp://h /", "ftp://h\x00/", "ftp://a:secret@h:x/",
	} {
		u, err := client.ParseURL(bad)
		if err == nil || fault.KindOf(err) != fault.Syntax {
			t.Errorf("%q is %+v, %v", bad, u, err)
		} else if s := fault.Say(err).String(); strings.Contains(s, "secret") {
			t.Errorf("%q: the sentence tells the password: %s", bad, s)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"ftp://localhost:2121", "ftps://a:b@[::1]:990/%2Fx", "ftp://h/名字%20%25", "ftp://a@b@c:21//x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := client.ParseURL(s)
		if err != nil {
			if fault.KindOf(err) != fault.Syntax {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if u.Host == "" || u.Port < 1 || u.Port > 65535 || strings.ContainsAny(u.User+u.Pass+u.Path, "\x00\r\n") {
			t.Fatalf("%q became %+v", s, u)
		}
		again, err := client.ParseURL(u.String())
		if err != nil {
			t.Fatalf("%q was written %q: %v", s, u, err)
		}
		u.Pass = ""
		if diff := cmp.Diff(u, again); diff != "" {
			t.Fatalf("%q was written %q (-want +got):\n%s", s, u, diff)
		}
	})
}

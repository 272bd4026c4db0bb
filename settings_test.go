package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"sampan/fault"
)

func environment(pairs ...string) func(string) string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(k string) string { return m[k] }
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestSettingsOrder: flags win over the environment, that over the file, that over the defaults, for every setting.
func TestSettingsOrder(t *testing.T) {
	t.Parallel()
	// Two values that differ from the default and from each other.
	values := map[string][2]string{
		"data": {"one", "two"}, "ftp": {":1001", ":1002"}, "ftps": {":1003", ":1004"},
		"passive-ports": {"1000-1001", "2000-2001"}, "public-address": {"a.example", "b.example"},
		"durability": {"fast", "strict"}, "plain-logins": {"always", "never"}, "tls-data": {"required", "off"},
		"tls-cert": {"a.pem", "b.pem"}, "tls-key": {"a.key", "b.key"},
		"acme-domain": {"a.example", "b.example"}, "acme-email": {"a@a.example", "b@b.example"},
		"acme-directory": {"https://a.example/", "https://b.example/"}, "acme-http": {":8001", ":8002"},
		"default-quota": {"1G", "2G"}, "max-sessions": {"7", "8"}, "max-sessions-per-address": {"5", "6"},
		"max-sessions-per-account": {"3", "4"}, "max-transfers-per-account": {"1", "2"},
		"down-limit": {"5M", "6M"}, "up-limit": {"500K/s", "1000"},
		"part-age": {"1h", "2d"}, "record-age": {"30d", "365d"}, "max-records": {"10", "20"},
		"log-level": {"warn", "debug"},
		"sftp":      {":2022", "127.0.0.1:0"}, "ssh-user-ca": {"a.pub", "b.pub"},
	}
	for _, row := range settingRows() {
		v, ok := values[row.key]
		if !ok {
			if row.key != "https" {
				t.Errorf("no test for %s", row.key)
			}
			continue
		}
		want := func(name string, src sources, value string) {
			t.Helper()
			for _, pair := range []string{"tls-cert", "tls-key"} { // these go together
				if strings.HasPrefix(row.key, "tls-") && src.flags[pair] == "" {
					src.flags[pair] = value
				}
			}
			got, err := src.resolve()
			if err != nil {
				t.Errorf("%s from the %s: %v", row.key, name, err)
				return
			}
			expect := defaults()
			if err := row.field(&expect).UnmarshalText([]byte(value)); err != nil {
				t.Fatal(err)
			}
			if a, b := show(row, got), show(row, expect); a != b {
				t.Errorf("%s from the %s is %s, want %s", row.key, name, a, b)
			}
		}
		file := write(t, "sampan.toml", row.key+" = '"+v[0]+"'\n")
		want("file", sources{flags: map[string]string{}, config: file, getenv: environment()}, v[0])
		want("environment", sources{flags: map[string]string{}, config: file, getenv: environment(variable(row.key), v[1])}, v[1])
		want("flags", sources{flags: map[string]string{row.key: v[0]}, config: file, getenv: environment(variable(row.key), v[1])}, v[0])
	}
}

func show(row setting, s settings) string {
	switch f := row.field(&s).(type) {
	case *text:
		return string(*f)
	case *host:
		return string(*f)
	case *domain:
		return string(*f)
	case *directory:
		return string(*f)
	case *address:
		return string(*f)
	case *choice:
		return f.is
	case *quota:
		return f.String()
	case *rate:
		return f.String()
	case *age:
		return f.String()
	case *count:
		return strconv.Itoa(f.n)
	case *portRange:
		return fmt.Sprint(f.low, f.high)
	}
	return "?"
}

func TestSettingsRefused(t *testing.T) {
	t.Parallel()
	rows := []struct {
		flags map[string]string
		file  string
		env   []string
		kind  fault.Kind
		says  string
	}{
		{file: "ftp = ':2121'\nftpx = ':1'\n", kind: fault.Syntax, says: `sampan.toml:2:1: there is no setting "ftpx"`},
		{file: "ftp = ':2121'\n[limits]\nsessions = 1\n", kind: fault.Syntax, says: `sampan.toml:2:2: there is no setting "limits"`},
		{file: "max-sessions = -4\n", kind: fault.Syntax, says: `sampan.toml: max-sessions: "-4" is no number from 1`},
		{file: "ftp = nonsense\n", kind: fault.Syntax, says: "sampan.toml:1:7: "},
		{file: "\n\n= 4", kind: fault.Syntax, says: "sampan.toml:3:1: "},
		{flags: map[string]string{"https": ":8443"}, kind: fault.Unsupported, says: "HTTPS is not built yet"},
		{flags: map[string]string{"ftp": "off", "sftp": "off"}, kind: fault.Syntax, says: "nothing to serve"},
		{flags: map[string]string{"ftp": "2121"}, kind: fault.Syntax, says: "--ftp: \"2121\" is no address"},
		{flags: map[string]string{"ftp": ":70000"}, kind: fault.Syntax, says: "is no address"},
		{flags: map[string]string{"passive-ports": "5-4"}, kind: fault.Syntax, says: "is no range"},
		{flags: map[string]string{"passive-ports": "0-4"}, kind: fault.Syntax, says: "is no range"},
		{flags: map[string]string{"data": ""}, kind: fault.Syntax, says: "needs a directory"},
		{flags: map[string]string{"public-address": "a b"}, kind: fault.Syntax, says: "neither the name nor the address"},
		{flags: map[string]string{"public-address": "ftp://a"}, kind: fault.Syntax, says: "neither the name nor the address"},
		{flags: map[string]string{"tls-cert": "x"}, kind: fault.Syntax, says: "go together"},
		{flags: map[string]string{"tls-data": "maybe"}, kind: fault.Syntax, says: "none of auto, required, off"},
		{flags: map[string]string{"acme-domain": "192.0.2.1"}, kind: fault.Syntax, says: "is no name of a machine"},
		{flags: map[string]string{"acme-domain": "a b"}, kind: fault.Syntax, says: "is no name of a machine"},
		{flags: map[string]string{"acme-directory": "http://a.example"}, kind: fault.Syntax, says: "is no directory"},
		{flags: map[string]string{"acme-domain": "a.example", "acme-http": "off"}, kind: fault.Syntax, says: "needs --acme-http"},
		{flags: map[string]string{"acme-domain": "a.example", "tls-cert": "c", "tls-key": "k"}, kind: fault.Syntax, says: "two ways"},
		{flags: map[string]string{"durability": "lax"}, kind: fault.Syntax, says: "none of strict, fast"},
		{flags: map[string]string{"down-limit": "0"}, kind: fault.Syntax, says: "--down-limit: \"0\" is no rate"},
		{file: "up-limit = -5", kind: fault.Syntax, says: "up-limit: \"-5\" is no rate"},
		{env: []string{"SAMPAN_DEFAULT_QUOTA", "lots"}, kind: fault.Syntax, says: "SAMPAN_DEFAULT_QUOTA: \"lots\" is no size"},
		{env: []string{"SAMPAN_CONFIG", "/nowhere/sampan.toml"}, kind: fault.Local, says: "cannot be read"},
	}
	for _, row := range rows {
		src := sources{flags: row.flags, getenv: environment(row.env...)}
		if row.file != "" {
			src.config = write(t, "sampan.toml", row.file)
		}
		_, err := src.resolve()
		if err == nil || fault.KindOf(err) != row.kind || !strings.Contains(fault.Say(err).String(), row.says) {
			t.Errorf("%v %q %v: %v, want a sentence with %q", row.flags, row.file, row.env, err, row.says)
		}
	}
}

// TestSettingsIntegers: numbers in the file may stand without quotes.
func TestSettingsIntegers(t *testing.T) {
	t.Parallel()
	s, err := sources{config: write(t, "sampan.toml", "max-sessions = 9\ndefault-quota = 1048576\npassive-ports = 0\n"), getenv: environment()}.resolve()
	if err != nil {
		t.Fatal(err)
	}
	if s.MaxSessions.n != 9 || s.DefaultQuota.size != 1<<20 || s.PassivePorts != (portRange{}) {
		t.Errorf("%+v", s)
	}
}

func TestPassivePortsDefault(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]portRange{":0": {}, "127.0.0.1:0": {}, ":2121": {50000, 50100}} {
		s, err := sources{flags: map[string]string{"ftp": at}, getenv: environment()}.resolve()
		if err != nil || s.PassivePorts != want {
			t.Errorf("--ftp %s: passive ports %v, %v", at, s.PassivePorts, err)
		}
	}
}

// TestSFTPDefault: without --sftp it listens where FTP does, so that who asks for loopback or a free port has that alone.
func TestSFTPDefault(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ ftp, ftps, want address }{
		{":2121", off, ":2022"},
		{"127.0.0.1:2121", off, "127.0.0.1:2022"},
		{"[::1]:21", off, "[::1]:2022"},
		{"127.0.0.1:0", ":990", "127.0.0.1:0"},
		{":0", off, ":0"},
		{off, "192.0.2.1:990", "192.0.2.1:2022"},
		{off, off, ":2022"},
	} {
		s, err := sources{flags: map[string]string{"ftp": string(row.ftp), "ftps": string(row.ftps)}, getenv: environment()}.resolve()
		if err != nil || s.SFTP != row.want {
			t.Errorf("--ftp %s --ftps %s: SFTP on %s, want %s (%v)", row.ftp, row.ftps, s.SFTP, row.want, err)
		}
	}
}

// TestPublicName: who has a certificate for a public name is reached by it.
func TestPublicName(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]host{"": "files.example.org", "192.0.2.7": "192.0.2.7"} {
		s, err := sources{flags: map[string]string{"acme-domain": "Files.Example.org", "public-address": given}, getenv: environment()}.resolve()
		if err != nil || s.PublicAddress != want {
			t.Errorf("%q: %q, %v", given, s.PublicAddress, err)
		}
	}
}

func FuzzSettings(f *testing.F) {
	for _, row := range settingRows() {
		f.Add(row.key + " = 1\n" + row.key + "x = '2'")
	}
	f.Add("= [[")
	f.Fuzz(func(t *testing.T, content string) {
		file := write(t, "s.toml", content)
		_, err := sources{config: file, getenv: environment()}.resolve()
		var said *fault.Error
		if err != nil && !errors.As(err, &said) {
			t.Errorf("%q: %v has no sentence", content, err)
		}
	})
}

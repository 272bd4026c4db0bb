package main

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"sampan/account"
	"sampan/fault"
	"sampan/session"
	"sampan/words"
)

// settings is what a server is told. Every field is a flag, a key of the TOML file and a variable SAMPAN_… of the
// same name; what the flags say wins over the environment, that over the file, that over the defaults.
type settings struct {
	Data          text      `toml:"data"`
	FTP           address   `toml:"ftp"`
	FTPS          address   `toml:"ftps"`
	SFTP          address   `toml:"sftp"`
	SSHUserCA     text      `toml:"ssh-user-ca"`
	HTTPS         address   `toml:"https"`
	PassivePorts  portRange `toml:"passive-ports"`
	PublicAddress host      `toml:"public-address"`
	Durability    choice    `toml:"durability"`
	PlainLogins   choice    `toml:"plain-logins"`
	TLSData       choice    `toml:"tls-data"`
	TLSCert       text      `toml:"tls-cert"`
	TLSKey        text      `toml:"tls-key"`
	ACMEDomain    domain    `toml:"acme-domain"`
	ACMEEmail     text      `toml:"acme-email"`
	ACMEDirectory directory `toml:"acme-directory"`
	ACMEHTTP      address   `toml:"acme-http"`
	DefaultQuota  quota     `toml:"default-quota"`
	MaxSessions   count     `toml:"max-sessions"`
	MaxPerAddress count     `toml:"max-sessions-per-address"`
	MaxPerAccount count     `toml:"max-sessions-per-account"`
	MaxTransfers  count     `toml:"max-transfers-per-account"`
	DownLimit     rate      `toml:"down-limit"`
	UpLimit       rate      `toml:"up-limit"`
	PartAge       age       `toml:"part-age"`
	RecordAge     age       `toml:"record-age"`
	MaxRecords    count     `toml:"max-records"`
	LogLevel      choice    `toml:"log-level"`
}

func defaults() settings {
	return settings{
		Data: "data",
		FTP:  ":2121", FTPS: off, HTTPS: off, // SFTP depends on these
		PassivePorts:  portRange{low: -1},
		Durability:    choice{is: "strict", of: []string{"strict", "fast"}},
		PlainLogins:   choice{is: "loopback", of: []string{"loopback", "always", "never"}},
		TLSData:       choice{is: "auto", of: []string{"auto", "required", "off"}},
		ACMEDirectory: "https://acme-v02.api.letsencrypt.org/directory",
		ACMEHTTP:      ":80",
		DefaultQuota:  quota{size(account.Unlimited)},
		MaxSessions:   count{1000},
		MaxPerAddress: count{50},
		MaxPerAccount: count{200},
		MaxTransfers:  count{1000},
		DownLimit:     rate{size(account.Unlimited)},
		UpLimit:       rate{size(account.Unlimited)},
		PartAge:       age(24 * time.Hour),
		RecordAge:     age(90 * 24 * time.Hour),
		MaxRecords:    count{1_000_000},
		LogLevel:      choice{is: "info", of: []string{"debug", "info", "warn", "error"}},
	}
}

// setting is one row of the table of settings.
type setting struct {
	key   string // the flag, and the TOML key
	arg   string
	field func(*settings) encoding.TextUnmarshaler
	live  bool // a HUP changes it; the others need a new start
	usage words.Message
}

// settingRows is the table of settings.
func settingRows() []setting {
	type field = encoding.TextUnmarshaler
	return []setting{
		{
			"data", "DIR", func(s *settings) field { return &s.Data }, false,
			words.M("where everything is kept (./data)"),
		},
		{
			"ftp", "ADDR", func(s *settings) field { return &s.FTP }, false,
			words.M("listen for FTP, with TLS at the client's wish; port 0 takes a free one, off does not listen (:2121)"),
		},
		{
			"ftps", "ADDR", func(s *settings) field { return &s.FTPS }, false,
			words.M("listen for FTP inside TLS from the first byte, as on port 990 (off)"),
		},
		{
			"sftp", "ADDR", func(s *settings) field { return &s.SFTP }, false,
			words.M("listen for SFTP; port 0 takes a free one, off does not listen (port 2022, at the address of FTP)"),
		},
		{
			"ssh-user-ca", "FILE", func(s *settings) field { return &s.SSHUserCA }, true,
			words.M("public keys of authorities whose certificates let accounts in over SFTP"),
		},
		{
			"https", "ADDR", func(s *settings) field { return &s.HTTPS }, false,
			words.M("not built yet (off)"),
		},
		{
			"passive-ports", "A-B", func(s *settings) field { return &s.PassivePorts }, false,
			words.M("ports of passive data connections; 0 takes free ones (50000-50100)"),
		},
		{
			"public-address", "HOST", func(s *settings) field { return &s.PublicAddress }, false,
			words.M("the address that clients from outside reach this server by"),
		},
		{
			"durability", "strict|fast", func(s *settings) field { return &s.Durability }, false,
			words.M("strict: a success is told when data and name are on stable storage (strict)"),
		},
		{
			"plain-logins", "loopback|always|never", func(s *settings) field { return &s.PlainLogins }, false,
			words.M("from where passwords and data are taken without TLS (loopback)"),
		},
		{
			"tls-data", "auto|required|off", func(s *settings) field { return &s.TLSData }, false,
			words.M("whether TLS data connections must resume the session of their control connection; auto: if the client can (auto)"),
		},
		{
			"tls-cert", "FILE", func(s *settings) field { return &s.TLSCert }, true,
			words.M("certificate in PEM, with its chain; without it one is generated"),
		},
		{
			"tls-key", "FILE", func(s *settings) field { return &s.TLSKey }, true,
			words.M("the certificate's key in PEM"),
		},
		{
			"acme-domain", "NAME", func(s *settings) field { return &s.ACMEDomain }, false,
			words.M("the public name of this server: an authority gives a certificate for it, and renews it; you agree to its terms"),
		},
		{
			"acme-email", "ADDRESS", func(s *settings) field { return &s.ACMEEmail }, false,
			words.M("where the authority can write to"),
		},
		{
			"acme-directory", "URL", func(s *settings) field { return &s.ACMEDirectory }, false,
			words.M("the authority (that of Let's Encrypt)"),
		},
		{
			"acme-http", "ADDR", func(s *settings) field { return &s.ACMEHTTP }, false,
			words.M("listen for the authority, which comes to port 80 of the public name (:80)"),
		},
		{
			"default-quota", "SIZE", func(s *settings) field { return &s.DefaultQuota }, false,
			words.M("quota of new accounts: 10G, 500M, … (none)"),
		},
		{
			"max-sessions", "N", func(s *settings) field { return &s.MaxSessions }, true,
			words.M("sessions at once (1000)"),
		},
		{
			"max-sessions-per-address", "N", func(s *settings) field { return &s.MaxPerAddress }, true,
			words.M("sessions at once from one address (50)"),
		},
		{
			"max-sessions-per-account", "N", func(s *settings) field { return &s.MaxPerAccount }, true,
			words.M("sessions at once of one account (200)"),
		},
		{
			"max-transfers-per-account", "N", func(s *settings) field { return &s.MaxTransfers }, true,
			words.M("files that one account moves at once (1000)"),
		},
		{
			"down-limit", "RATE", func(s *settings) field { return &s.DownLimit }, true,
			words.M("limit of all downloads together: 500K, 10M, bytes a second (none)"),
		},
		{
			"up-limit", "RATE", func(s *settings) field { return &s.UpLimit }, true,
			words.M("limit of all uploads together (none)"),
		},
		{
			"part-age", "TIME", func(s *settings) field { return &s.PartAge }, false,
			words.M("how long a cut upload can be resumed (24h)"),
		},
		{
			"record-age", "TIME", func(s *settings) field { return &s.RecordAge }, false,
			words.M("how long the record keeps a transfer (90d)"),
		},
		{
			"max-records", "N", func(s *settings) field { return &s.MaxRecords }, false,
			words.M("how many transfers the record keeps, the newest (1000000)"),
		},
		{
			"log-level", "debug|info|warn|error", func(s *settings) field { return &s.LogLevel }, true,
			words.M("what is logged: info tells of each log-in and transfer, warn of what went wrong (info)"),
		},
	}
}

// variable is the name of a setting's environment variable.
func variable(key string) string {
	return "SAMPAN_" + strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
}

// sources is where settings come from.
type sources struct {
	flags  map[string]string // what the command line gave
	config string            // --config
	getenv func(string) string
}

// resolve puts the settings together and checks them.
func (src sources) resolve() (settings, error) {
	s := defaults()
	config := src.config
	if config == "" {
		config = src.getenv("SAMPAN_CONFIG")
	}
	if config != "" {
		if err := s.readFile(config); err != nil {
			return s, err
		}
	}
	for _, row := range settingRows() {
		if v := src.getenv(variable(row.key)); v != "" {
			if err := row.field(&s).UnmarshalText([]byte(v)); err != nil {
				return s, fault.Wrap(fault.Syntax, err, "%s: %s", variable(row.key), fault.Say(err))
			}
		}
		if v, given := src.flags[row.key]; given {
			if err := row.field(&s).UnmarshalText([]byte(v)); err != nil {
				return s, fault.Wrap(fault.Syntax, err, "%s: %s", "--"+row.key, fault.Say(err))
			}
		}
	}
	return s, s.check()
}

// readFile lays the TOML file over s. A key that is none of ours is an error that names its line and column.
func (s *settings) readFile(name string) error {
	content, err := os.ReadFile(name)
	if err != nil {
		return fault.Wrap(fault.Local, err, "the settings file %s cannot be read", name)
	}
	err = toml.NewDecoder(bytes.NewReader(content)).DisallowUnknownFields().Decode(s)
	var (
		strict *toml.StrictMissingError
		bad    *toml.DecodeError
		why    *fault.Error
	)
	switch {
	case errors.As(err, &strict) && len(strict.Errors) > 0:
		row, col := strict.Errors[0].Position()
		return fault.New(fault.Syntax, "%s:%d:%d: there is no setting %q; sampan serve --help lists them",
			name, row, col, strings.Join(strict.Errors[0].Key(), "."))
	case errors.As(err, &bad):
		row, col := bad.Position()
		return fault.New(fault.Syntax, "%s:%d:%d: %s", name, row, col, strings.TrimPrefix(bad.Error(), "toml: "))
	case errors.As(err, &why):
		return fault.New(fault.Syntax, "%s: %s: %s", name, badKey(content), why.Say)
	case err != nil:
		return fault.Wrap(fault.Syntax, err, "%s: this is not a settings file in TOML", name)
	}
	return nil
}

// badKey is the key whose value its setting refuses, for the decoder does not tell.
func badKey(content []byte) string {
	var values map[string]any
	if toml.Unmarshal(content, &values) == nil {
		for _, row := range settingRows() {
			scratch := defaults()
			if v, given := values[row.key]; given && row.field(&scratch).UnmarshalText([]byte(fmt.Sprint(v))) != nil {
				return row.key
			}
		}
	}
	return "?"
}

// limits are those that a running server can change.
func (s settings) limits() session.Limits {
	return session.Limits{
		MaxSessions: s.MaxSessions.n, MaxPerAddress: s.MaxPerAddress.n, MaxPerAccount: s.MaxPerAccount.n,
		MaxTransfers: s.MaxTransfers.n, Down: int64(s.DownLimit.size), Up: int64(s.UpLimit.size),
	}
}

// check refuses settings that do not go together, and settles what depends on others.
func (s *settings) check() error {
	if s.SFTP == "" { // not set
		s.SFTP = s.besideFTP()
	}
	switch {
	case s.Data == "":
		return fault.New(fault.Syntax, "--data needs a directory")
	case s.HTTPS != off:
		return fault.New(fault.Unsupported, "%s is not built yet: leave --%s out, or say --%s off", "HTTPS", "https", "https")
	case s.FTP == off && s.FTPS == off && s.SFTP == off:
		return fault.New(fault.Syntax, "there is nothing to serve: --ftp, --ftps and --sftp are all off")
	case (s.TLSCert == "") != (s.TLSKey == ""):
		return fault.New(fault.Syntax, "--tls-cert and --tls-key go together: give both or neither")
	}
	if s.ACMEDomain != "" {
		switch {
		case s.TLSCert != "":
			return fault.New(fault.Syntax, "--acme-domain and --tls-cert are two ways to the same thing: give one of them")
		case s.ACMEHTTP == off:
			return fault.New(fault.Syntax, "--acme-domain needs --acme-http: the authority asks there for a proof")
		case s.PublicAddress == "":
			s.PublicAddress = host(s.ACMEDomain)
		}
	}
	if s.PassivePorts.low < 0 { // not set
		s.PassivePorts = portRange{50000, 50100}
		if s.FTP.port() == "0" || s.FTPS.port() == "0" {
			s.PassivePorts = portRange{}
		}
	}
	return nil
}

// besideFTP is where SFTP listens unless it is told: at the address of FTP, so that a server that was made for loopback
// alone stays there, and on a free port where that takes one.
func (s *settings) besideFTP() address {
	at := s.FTP
	if at == off {
		at = s.FTPS
	}
	if at == off {
		return ":2022"
	}
	host, port, _ := net.SplitHostPort(string(at))
	if port != "0" {
		port = "2022"
	}
	return address(net.JoinHostPort(host, port))
}

// text is a setting that can be any string.
type text string

func (t *text) UnmarshalText(b []byte) error { *t = text(b); return nil }

// host is a name or an address of a machine, or nothing.
type host string

func (h *host) UnmarshalText(b []byte) error {
	s := strings.TrimSpace(string(b))
	if _, err := netip.ParseAddr(s); err != nil && s != "" && !hostName.MatchString(s) {
		return fault.New(fault.Syntax, "%q is neither the name nor the address of a machine", s)
	}
	*h = host(s)
	return nil
}

// domain is a name of the public DNS, or nothing.
type domain string

func (d *domain) UnmarshalText(b []byte) error {
	s := strings.ToLower(strings.TrimSpace(string(b)))
	if _, err := netip.ParseAddr(s); s != "" && (err == nil || !hostName.MatchString(s)) {
		return fault.New(fault.Syntax, "%q is no name of a machine; write files.example.org", s)
	}
	*d = domain(s)
	return nil
}

// directory is where an authority of ACME is found (RFC 8555 section 7.1.1).
type directory string

func (d *directory) UnmarshalText(b []byte) error {
	s := strings.TrimSpace(string(b))
	if u, err := url.Parse(s); err != nil || u.Scheme != "https" || u.Host == "" {
		return fault.New(fault.Syntax, "%q is no directory of an authority; write https://acme.example.org/directory", s)
	}
	*d = directory(s)
	return nil
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)

// address is where to listen: "HOST:PORT", ":PORT", or off.
type address string

const off address = "off"

func (a *address) UnmarshalText(b []byte) error {
	s := strings.TrimSpace(string(b))
	if strings.EqualFold(s, string(off)) {
		*a = off
		return nil
	}
	_, port, err := net.SplitHostPort(s)
	n, bad := strconv.ParseUint(port, 10, 16)
	if err != nil || bad != nil || n > 65535 {
		return fault.New(fault.Syntax, "%q is no address to listen on; write :2121, 127.0.0.1:2121, [::1]:2121 or off", s)
	}
	*a = address(s)
	return nil
}

func (a address) port() string {
	_, port, _ := net.SplitHostPort(string(a))
	return port
}

// portRange is a range of ports, both ends included; zero takes free ports of the system.
type portRange struct{ low, high int }

func (r *portRange) UnmarshalText(b []byte) error {
	s := strings.TrimSpace(string(b))
	if s == "0" {
		*r = portRange{}
		return nil
	}
	a, z, isRange := strings.Cut(s, "-")
	if !isRange {
		z = a
	}
	low, err1 := strconv.ParseUint(strings.TrimSpace(a), 10, 16)
	high, err2 := strconv.ParseUint(strings.TrimSpace(z), 10, 16)
	if err1 != nil || err2 != nil || low == 0 || low > high {
		return fault.New(fault.Syntax, "%q is no range of ports; write 50000-50100, or 0 for free ones", s)
	}
	*r = portRange{int(low), int(high)}
	return nil
}

// choice is one word of a few.
type choice struct {
	is string
	of []string
}

func (c *choice) UnmarshalText(b []byte) error {
	for _, word := range c.of {
		if strings.EqualFold(word, strings.TrimSpace(string(b))) {
			c.is = word
			return nil
		}
	}
	return fault.New(fault.Syntax, "%q is none of %s", string(b), strings.Join(c.of, ", "))
}

// quota is a size in the settings: a struct, so that a bare number in the file is checked by UnmarshalText too.
type quota struct{ size }

// count is a positive number.
type count struct{ n int }

func (c *count) UnmarshalText(b []byte) error {
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 32)
	if err != nil || n < 1 {
		return fault.New(fault.Syntax, "%q is no number from 1", string(b))
	}
	c.n = int(n)
	return nil
}

// age is a stretch of time, as Go writes it, or in days: "24h", "90m", "7d".
type age time.Duration

func (a *age) UnmarshalText(b []byte) error {
	s := strings.TrimSpace(string(b))
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 15)
		d = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || d <= 0 {
		return fault.New(fault.Syntax, "%q is no time; write 24h, 90m or 7d", s)
	}
	*a = age(d)
	return nil
}

func (a age) String() string { return fmt.Sprint(time.Duration(a)) }

// logLevel is the least level that is logged.
func (s *settings) logLevel() *slog.LevelVar {
	level := &slog.LevelVar{}
	_ = level.UnmarshalText([]byte(s.LogLevel.is)) // one of the choices
	return level
}

package client

import (
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"sampan/fault"
)

// URL names a place on a remote: ftp:// (explicit TLS, required), ftps:// (implicit, port 990), sftp:// (over SSH).
type URL struct {
	Scheme string
	User   string // "" means anonymous; of sftp, whoever the settings of ssh or this machine name
	Pass   string // discouraged; from netrc, environment or prompt instead
	Host   string // without brackets
	Port   int
	Path   string // as the server takes it: relative to the log-in directory, or absolute when it starts with "/"
}

// ports are the schemes with their default ports.
var ports = map[string]int{"ftp": 21, "ftps": 990, "sftp": 22}

// ParseURL reads a URL; Syntax with a sentence if it is none. RFC 1738 section 3.2.2: what follows the slash behind
// the host is relative to the log-in directory, "%2F" at its start makes it absolute.
func ParseURL(s string) (URL, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	u := URL{Scheme: strings.ToLower(scheme)}
	if !ok || ports[u.Scheme] == 0 {
		return URL{}, fault.New(fault.Syntax, "%s: not a URL; it should look like ftp://name@host/path or sftp://name@host/path", strip(s))
	}
	authority, path, _ := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, pass, _ := strings.Cut(authority[:at], ":")
		authority = authority[at+1:]
		var err1, err2 error
		u.User, err1 = unescape(user)
		u.Pass, err2 = unescape(pass)
		if err1 != nil || err2 != nil {
			return URL{}, fault.New(fault.Syntax, "%s: the name or password in the URL is not well encoded", strip(s))
		}
	}
	var err error
	if u.Host, u.Port, err = hostPort(authority, ports[u.Scheme]); err != nil {
		return URL{}, fault.Wrap(fault.Syntax, err, "%s: the host or port in the URL is not well formed", strip(s))
	}
	if u.Path, err = unescape(path); err != nil {
		if errors.Is(err, errLineEnd) {
			return URL{}, fault.New(fault.Syntax, "%s: a name in a URL holds no line end", strip(s))
		}
		return URL{}, fault.New(fault.Syntax, "%s: the path in the URL is not well encoded", strip(s))
	}
	return u, nil
}

// hostPort splits "host", "host:port", "[v6]" and "[v6]:port".
func hostPort(s string, port int) (string, int, error) {
	host, digits := s, ""
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 || end+1 < len(s) && s[end+1] != ':' {
			return "", 0, strconv.ErrSyntax
		}
		host, digits = s[1:end], strings.TrimPrefix(s[end+1:], ":")
		address, _, _ := strings.Cut(host, "%")
		if ip := net.ParseIP(address); ip == nil || ip.To4() != nil && !strings.Contains(address, ":") {
			return "", 0, strconv.ErrSyntax
		}
	} else if i := strings.LastIndexByte(s, ':'); i >= 0 {
		host, digits = s[:i], s[i+1:]
	}
	if digits != "" {
		n, err := strconv.ParseUint(digits, 10, 16)
		if err != nil || n == 0 {
			return "", 0, strconv.ErrRange
		}
		port = int(n)
	}
	if host == "" || !strings.HasPrefix(s, "[") && strings.ContainsAny(host, ":%") {
		return "", 0, strconv.ErrSyntax
	}
	for _, r := range host {
		if r <= ' ' || r == 0x7f || r == utf8.RuneError || strings.ContainsRune(`/\?#[]@<>"`, r) {
			return "", 0, strconv.ErrSyntax
		}
	}
	return host, port, nil
}

// unescape decodes percent signs and refuses what could end a command line.
func unescape(s string) (string, error) {
	s, err := url.PathUnescape(s)
	if err == nil && strings.ContainsAny(s, "\x00\r\n") {
		err = errLineEnd
	}
	return s, err
}

var errLineEnd = errors.New("a line end")

// strip hides the password of something that may be a URL.
func strip(s string) string {
	start := strings.Index(s, "://")
	at := strings.LastIndexByte(s, '@')
	if start < 0 || at < start {
		return s
	}
	if colon := strings.IndexByte(s[start+3:at], ':'); colon >= 0 {
		return s[:start+3+colon] + s[at:]
	}
	return s
}

// Address is host:port, with brackets around IPv6.
func (u URL) Address() string { return net.JoinHostPort(u.Host, strconv.Itoa(u.Port)) }

// String writes the URL without the password.
func (u URL) String() string {
	var b strings.Builder
	b.WriteString(u.Scheme + "://")
	if u.User != "" {
		b.WriteString(escape(u.User, "") + "@")
	}
	host := u.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	b.WriteString(host)
	if u.Port != ports[u.Scheme] {
		b.WriteString(":" + strconv.Itoa(u.Port))
	}
	if strings.HasPrefix(u.Path, "/") {
		b.WriteString("/%2F" + escape(u.Path[1:], "/"))
	} else {
		b.WriteString("/" + escape(u.Path, "/"))
	}
	return b.String()
}

// escape encodes all that a URL cannot hold; letters of other scripts stay readable.
func escape(s, keep string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		plain := r >= 0xa1 && r != utf8.RuneError || r < 0x80 &&
			(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
				strings.ContainsRune("-._~!$&'()*+,;="+keep, r))
		for ; n > 0; n-- {
			if plain {
				b.WriteByte(s[i])
			} else {
				b.Write([]byte{'%', hex[s[i]>>4], hex[s[i]&15]})
			}
			i++
		}
	}
	return b.String()
}

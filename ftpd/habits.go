package ftpd

import (
	"crypto/tls"
	"runtime"
	"strconv"
	"strings"

	"sampan/fault"
	"sampan/ftp"
	"sampan/words"
)

// avbl tells how many bytes there is room for: what the quota and the disk leave, whichever is less
// (draft-peterson-streamlined-ftp-command-extensions). It is the same for all of a home.
func (c *conn) avbl(arg string) error {
	p, err := c.at(arg)
	if err != nil {
		return err
	}
	i, err := c.sess.Stat(p)
	switch {
	case err != nil:
		return err
	case !i.Mode.IsDir():
		return refuse(550, "%s: not a directory", p)
	}
	s, err := c.sess.Space()
	if err != nil {
		return err
	}
	room := s.Free
	if left := max(s.Quota-s.Used, 0); s.Quota >= 0 && (room < 0 || left < room) {
		room = left
	}
	if room < 0 {
		return refuse(504, "It is not known how much room there is")
	}
	return c.lines(213, strconv.FormatInt(room, 10))
}

// clnt notes the name of the client's program, for the log. Some tell in it what they write.
func (c *conn) clnt(arg string) error {
	if program := strings.ToUpper(arg); strings.Contains(program, "UTF-8") || strings.Contains(program, "UTF8") {
		c.charset.set(ftp.UTF8)
	}
	c.srv.log.Debug("client", "session", c.sess.ID(), "program", arg)
	return c.reply(200, "Noted")
}

// csid tells what a client may want to know of this end (draft-peterson-streamlined-ftp-command-extensions).
func (c *conn) csid(arg string) error {
	if !strings.Contains(arg, "=") {
		return badSyntax("CSID Name=<program>; Version=<version>;")
	}
	c.srv.log.Debug("client", "session", c.sess.ID(), "program", arg)
	sensitive := "1"
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		sensitive = "0"
	}
	return c.lines(200, "Name=Sampan; CaseSensitive="+sensitive+"; DirSep=/;")
}

// host names the host that the client wants to talk to (RFC 7151). There is one, whatever its name, so that every name is
// taken; but behind TLS it must be the one that TLS was begun with (section 3.2.2).
func (c *conn) host(arg string) error {
	name, ok := ftp.ParseHost(arg)
	switch {
	case !ok:
		return badSyntax("HOST <name>")
	case c.loggedIn || c.asker || c.asked != nil:
		return refuse(503, "HOST comes before USER")
	}
	if t, ok := c.out.(*tls.Conn); ok {
		if sni := t.ConnectionState().ServerName; sni != "" && !strings.EqualFold(strings.TrimSuffix(sni, "."), name) {
			return refuse(504, "TLS was begun with another host")
		}
	}
	return c.reply(220, "Sampan at your service")
}

// languages are those of LANG, by the first groups of a tag; a longer one that begins so is taken as well (RFC 2640
// section 4.1). Chinese in traditional characters is another language to who reads it.
var languages = []struct {
	tag  string // as FEAT and the reply tell it
	fits []string
	lang words.Lang
}{
	{"EN", []string{"en"}, words.English},
	{"ZH-CN", []string{"zh-cn", "zh-hans", "zh-sg", "zh"}, words.Chinese},
}

// langFeature lists them, with a star behind the one that is chosen (RFC 2640 section 4.3).
func langFeature(chosen words.Lang) string {
	var tags []string
	for _, l := range languages {
		if l.lang == chosen {
			l.tag += "*"
		}
		tags = append(tags, l.tag)
	}
	return strings.Join(tags, ";")
}

// langCommand chooses the language of replies; without an argument that which a session begins with.
func (c *conn) langCommand(arg string) error {
	if arg == "" {
		c.lang = words.English
		return c.reply(200, "Replies are in English")
	}
	groups, ok := ftp.ParseLanguage(arg)
	if !ok {
		return badSyntax("LANG EN | ZH-CN")
	}
	tag := strings.Join(groups, "-")
	for _, l := range languages {
		for _, fit := range l.fits {
			if tag == fit || fit != "zh" && strings.HasPrefix(tag, fit+"-") {
				c.lang = l.lang
				return c.reply(200, "Replies are in English")
			}
		}
	}
	return refuse(504, "LANG EN and LANG ZH-CN are what there is")
}

// ccc would end TLS on the control connection and leave the session logged in: from there on anybody on the way could
// give commands in the user's name (RFC 4217 section 12.3 allows to refuse).
func (c *conn) ccc(string) error {
	return refuse(534, "TLS stays on: without it anybody on the way could give commands in your name")
}

// absent is for the verbs of RFC 2228 that TLS has no use for, and SMNT.
func absent(*conn, string) error { return refuse(502, "There is no use for that here") }

// siteWho lists the sessions for operators.
func (c *conn) siteWho(string) error {
	hub, err := c.sess.Operate()
	if err != nil {
		return err
	}
	lines := []string{c.say("Sessions:")}
	for _, v := range hub.Live() {
		doing := "-"
		if v.Doing != nil {
			doing = v.Doing.Verb + " " + v.Doing.Path.String()
		}
		name := v.Account
		if name == "" {
			name = "-"
		}
		lines = append(lines, strings.Join([]string{
			strconv.FormatInt(v.ID, 10), name, v.Via.Proto, v.Via.Remote.String(),
			v.Idle.Truncate(1e9).String(), doing,
		}, " "))
	}
	return c.lines(211, append(lines, c.say("End"))...)
}

// siteKick ends a session, or all of an account, for operators.
func (c *conn) siteKick(arg string) error {
	hub, err := c.sess.Operate()
	if err != nil {
		return err
	}
	who := strings.TrimSpace(arg)
	id, err := strconv.ParseInt(who, 10, 64)
	if err == nil && id == c.sess.ID() {
		return refuse(504, "That is this session; QUIT ends it")
	}
	why := fault.New(fault.Stopped, "the operator ended the session")
	if err == nil && hub.Kick(id, why) {
		return c.reply(200, "Sessions that are ended: %d", 1)
	}
	n := 0
	for _, v := range hub.Live() {
		if strings.EqualFold(v.Account, who) && v.ID != c.sess.ID() && hub.Kick(v.ID, why) {
			n++
		}
	}
	if n == 0 {
		return refuse(550, "%s: no such session or account is there", who)
	}
	return c.reply(200, "Sessions that are ended: %d", n)
}

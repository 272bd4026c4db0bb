package ftpd

import (
	"slices"
	"strings"

	"sampan/ftp"
)

// A command is one verb and the only place that lists it: dispatch, HELP, FEAT, fuzz seeds and the protocol page come
// from it.
type command struct {
	verb   string
	run    func(*conn, string) error // ends with a reply of its own, or fails and is answered by the error
	need   need
	syntax string // of the argument: "" takes none, "<x>" must be there, "[x]" may be
	feat   string // its line of FEAT
	rfc    string // where it is written
}

// need says when a command may run, and how.
type need uint16

const (
	login     need = 1 << iota // somebody is logged in, else 530
	asker                      // only in a session for asking for an account, else 530
	secure                     // after AUTH TLS, else 503
	operator                   // only operators, else 550: Session.Operate sees to it
	moves                      // takes its time: others are held back meanwhile, and ABOR can end it
	deep                       // needs a deep stack
	during                     // is answered while another one moves, when it has no argument
	uploads                    // in block mode a file follows, also where the command is refused
	unrelated                  // need not wait for uploads that are not decided yet, unless its path, which the syntax tells, is related to theirs
)

// commands returns the table of verbs. It is a function because HELP and FEAT read it.
func commands() []command {
	return []command{
		{"USER", (*conn).user, 0, "<name>", "", "RFC 959 4.1.1"},
		{"PASS", (*conn).pass, deep, "[<password>]", "", "RFC 959 4.1.1"},
		{"ACCT", superfluous, login, "<account>", "", "RFC 959 4.1.1"},
		{"QUIT", (*conn).quit, 0, "", "", "RFC 959 4.1.1"},
		{"HOST", (*conn).host, 0, "<name>", "HOST", "RFC 7151 3"},
		{"LANG", (*conn).langCommand, 0, "[<tag>]", "LANG " + languagesHere, "RFC 2640 4.1"},
		{"CLNT", (*conn).clnt, 0, "<program>", "CLNT", habit},
		{"CSID", (*conn).csid, 0, "Name=<program>; Version=<version>;", "CSID", streamlined},
		{"REIN", (*conn).rein, 0, "", "", "RFC 959 4.1.1"},
		{"NOOP", (*conn).noop, during | unrelated, "", "", "RFC 959 4.1.3"},
		{"SYST", (*conn).syst, 0, "", "", "RFC 959 4.1.3"},
		{"STAT", (*conn).stat, during, "[<path>]", "", "RFC 959 4.1.3"},
		{"HELP", (*conn).help, 0, "[<verb>]", "", "RFC 959 4.1.3"},
		{"FEAT", (*conn).feat, 0, "", "", "RFC 2389 3"},
		{"OPTS", (*conn).opts, 0, "<verb> [<options>]", "UTF8", "RFC 2389 4, RFC 2640"},

		{"AUTH", (*conn).auth, deep, "TLS", "AUTH TLS", "RFC 4217 4"},
		{"PBSZ", (*conn).pbszCommand, secure, "<size>", "PBSZ", "RFC 4217 8"},
		{"PROT", (*conn).prot, secure, "C | P", "PROT", "RFC 4217 9"},
		{"CCC", (*conn).ccc, secure, "", "", "RFC 4217 6, 12.3"},
		{"ADAT", absent, 0, "[<data>]", "", "RFC 2228 3"},
		{"MIC", absent, 0, "[<data>]", "", "RFC 2228 3"},
		{"CONF", absent, 0, "[<data>]", "", "RFC 2228 3"},
		{"ENC", absent, 0, "[<data>]", "", "RFC 2228 3"},

		{"PWD", (*conn).pwd, login, "", "TVFS", "RFC 959 4.1.3, RFC 3659 6"},
		{"XPWD", (*conn).pwd, login, "", "", "RFC 775"},
		{"SMNT", absent, login, "<path>", "", "RFC 959 4.1.1"},
		{"CWD", (*conn).cwdCommand, login, "<path>", "", "RFC 959 4.1.1"},
		{"XCWD", (*conn).cwdCommand, login, "<path>", "", "RFC 775"},
		{"CDUP", (*conn).cdup, login, "", "", "RFC 959 4.1.1"},
		{"XCUP", (*conn).cdup, login, "", "", "RFC 775"},
		{"MKD", (*conn).mkd, login | unrelated, "<path>", "", "RFC 959 4.1.3"},
		{"XMKD", (*conn).mkd, login, "<path>", "", "RFC 775"},
		{"RMD", (*conn).rmd, login | unrelated, "<path>", "", "RFC 959 4.1.3"},
		{"XRMD", (*conn).rmd, login, "<path>", "", "RFC 775"},
		{"DELE", (*conn).dele, login | unrelated, "<path>", "", "RFC 959 4.1.3"},
		{"RNFR", (*conn).rnfr, login | unrelated, "<path>", "", "RFC 959 4.1.3"},
		{"RNTO", (*conn).rnto, login | unrelated, "<path>", "", "RFC 959 4.1.3"},
		{"SIZE", (*conn).size, login | unrelated, "<path>", "SIZE", "RFC 3659 4"},
		{"MDTM", (*conn).mdtm, login, "[<time>] <path>", "MDTM", "RFC 3659 3"},
		{"MFMT", (*conn).mfmt, login | unrelated, "<time> <path>", "MFMT", "draft-somers-ftp-mfxx 3"},
		{"MFCT", (*conn).mfct, login | unrelated, "<time> <path>", "", "draft-somers-ftp-mfxx 4"},
		{"MFF", (*conn).mff, login, "<fact>=<value>;… <path>", "MFF modify;UNIX.mode;", "draft-somers-ftp-mfxx 5"},
		{"AVBL", (*conn).avbl, login, "[<path>]", "AVBL", streamlined},
		{"COMB", (*conn).comb, login | moves, "<target> <file> …", "COMB", streamlined},

		{"HASH", (*conn).hash, login | moves | unrelated, "<path>", "HASH " + hashesHere, "draft-bryan-ftpext-hash"},
		{"RANG", (*conn).rang, login | unrelated, "<first> <last>", "RANG STREAM", "draft-bryan-ftp-range"},
		{"XCRC", sumWith("CRC32"), login | moves, spanned, "XCRC", habit},
		{"XMD5", sumWith("MD5"), login | moves, spanned, "XMD5", habit},
		{"XSHA", sumWith("SHA-1"), login | moves, spanned, "XSHA", habit},
		{"XSHA1", sumWith("SHA-1"), login | moves, spanned, "XSHA1", habit},
		{"XSHA256", sumWith(sha256Name), login | moves, spanned, "XSHA256", habit},
		{"XSHA512", sumWith("SHA-512"), login | moves, spanned, "XSHA512", habit},

		{"TYPE", (*conn).typeCommand, login | unrelated, "A | I", "", "RFC 959 4.1.2"},
		{"STRU", (*conn).stru, login, "F", "", "RFC 959 4.1.2"},
		{"MODE", (*conn).mode, login, "S | B", "MODE B", "RFC 959 4.1.2"},
		{"REST", (*conn).restCommand, login | unrelated, "<offset>", "REST STREAM", "RFC 3659 5"},
		{"ALLO", (*conn).alloCommand, login | unrelated, "<size>", "", "RFC 959 4.1.3"},

		{"PORT", (*conn).port, login, "<h1,h2,h3,h4,p1,p2>", "", "RFC 959 4.1.2"},
		{"EPRT", (*conn).eprt, login, "|<family>|<address>|<port>|", "EPRT", "RFC 2428 2"},
		{"PASV", (*conn).pasv, login, "", "", "RFC 959 4.1.2"},
		{"EPSV", (*conn).epsv, login, "[1 | 2 | ALL]", "EPSV", "RFC 2428 3"},
		{"ABOR", (*conn).abor, unrelated, "", "", "RFC 959 4.1.3"},

		{"RETR", (*conn).retr, login | moves | unrelated, "<path>", "", "RFC 959 4.1.3"},
		{"STOR", (*conn).stor, login | moves | uploads | unrelated, "<path>", pipelineFeature, "RFC 959 4.1.3"},
		{"STOU", (*conn).stou, login | moves | uploads, "[<name>]", "", "RFC 1123 4.1.2.9"},
		{"APPE", (*conn).appe, login | moves | uploads | unrelated, "<path>", "", "RFC 959 4.1.3"},
		{"LIST", (*conn).list, login | moves, "[<path>]", "", "RFC 959 4.1.3"},
		{"NLST", (*conn).nlst, login | moves, "[<path>]", "", "RFC 959 4.1.3, RFC 1123 4.1.2.7"},
		{"MLSD", (*conn).mlsd, login | moves | unrelated, "[<path>]", "", "RFC 3659 7"},
		{"MLST", (*conn).mlst, login | unrelated, "[<path>]", "MLST " + factsHere, "RFC 3659 7"},

		{"SITE", nil, 0, "<verb> …", "", "RFC 959 4.1.3"}, // see siteCommands
	}
}

// What stands in a feat column for what the session chose.
const (
	factsHere     = "{facts}"
	hashesHere    = "{hashes}"
	languagesHere = "{languages}"
)

// Where verbs are written that no RFC has.
const (
	habit       = "in use, without a document"
	streamlined = "draft-peterson-streamlined-ftp-command-extensions"
)

// spanned is the syntax of XCRC and its like.
const spanned = "<path> [<start> [<end>]]"

func index(table []command) map[string]*command {
	m := make(map[string]*command, len(table))
	for i := range table {
		m[table[i].verb] = &table[i]
	}
	return m
}

// find returns the row of a command, that of the subcommand for SITE, and its argument; nil if there is none.
func (c *conn) find(cmd ftp.Command) (*command, string) {
	row := c.srv.verbs[cmd.Verb]
	if row == nil || row.run != nil {
		return row, cmd.Arg
	}
	sub, err := ftp.ParseCommand(cmd.Arg)
	if err != nil {
		return row, cmd.Arg
	}
	if found := c.srv.subverbs[sub.Verb]; found != nil {
		return found, sub.Arg
	}
	return row, cmd.Arg
}

// mayRun refuses what is unknown (500), not for this session (530), too early (503) or badly written (501).
func (c *conn) mayRun(row *command, arg string) error {
	switch {
	case row == nil:
		return refuse(500, "Unknown command; HELP lists those that there are")
	case row.need&login != 0 && c.asker:
		return refuse(530, "This session is for asking for an account: SITE REGISTER <name> [<email>]")
	case row.need&login != 0 && !c.loggedIn:
		return refuse(530, "Log in with USER and PASS first")
	case row.need&asker != 0 && !c.asker:
		return refuse(530, "Log in as \"register\" to ask for an account")
	case row.need&secure != 0 && !c.encrypted:
		return refuse(503, "AUTH TLS comes first")
	case row.run == nil && arg == "":
		return refuse(501, "Syntax: SITE <verb> …; SITE HELP lists them")
	case row.run == nil:
		return refuse(504, "Unknown SITE command; SITE HELP lists those that there are")
	}
	switch {
	case row.syntax == "" && !blank(arg):
		return refuse(501, "%s takes no argument", row.verb)
	case row.syntax != "" && row.syntax[0] != '[' && arg == "":
		return badSyntax(row.usage())
	}
	return nil
}

func blank(arg string) bool { return strings.TrimLeft(arg, " ") == "" }

func (r *command) usage() string {
	if r.syntax == "" {
		return r.verb
	}
	return r.verb + " " + r.syntax
}

// help lists the verbs, or tells about one.
func (c *conn) help(arg string) error {
	verb := strings.ToUpper(strings.TrimSpace(arg))
	if verb == "" {
		return c.lines(214, append(tableHelp(c.say("Commands (HELP <verb> tells more):"), c.srv.commands), c.say("End"))...)
	}
	row := c.srv.verbs[verb]
	switch {
	case row == nil:
		return refuse(504, "There is no command %q", verb)
	case row.run == nil:
		return c.siteHelp("")
	}
	return c.reply(214, "Syntax: %s  (%s)", row.usage(), row.rfc)
}

// tableHelp lists the verbs of a table, eight to a line.
func tableHelp(title string, table []command) []string {
	lines := []string{title}
	for some := range slices.Chunk(table, 8) {
		var b strings.Builder
		for _, row := range some {
			b.WriteString(row.verb + strings.Repeat(" ", max(1, 10-len(row.verb))))
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	return lines
}

// chosen puts into a feat column what the session chose.
func (c *conn) chosen() *strings.Replacer {
	return strings.NewReplacer(factsHere, c.facts.Feature(), hashesHere, hashFeature(c.algo), languagesHere, langFeature(c.lang))
}

// feat lists what is offered beyond RFC 959 (RFC 2389 section 3).
func (c *conn) feat(string) error {
	lines := []string{"Features:"}
	chosen := c.chosen()
	for _, row := range c.srv.commands {
		if row.feat != "" {
			lines = append(lines, chosen.Replace(row.feat))
		}
	}
	for _, row := range c.srv.site {
		if row.feat != "" {
			lines = append(lines, row.feat)
		}
	}
	return c.lines(211, append(lines, "End")...)
}

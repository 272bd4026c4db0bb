package ftpd

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/ftp.md anew")

const pageFile = "../docs/ftp.md"

// TestPage: docs/ftp.md says what the tables say. "go test ./ftpd -run TestPage -update" writes it.
func TestPage(t *testing.T) {
	want := page(t)
	if *update {
		if err := os.WriteFile(pageFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(pageFile)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("docs/ftp.md is not what the tables say (%v): go test ./ftpd -run TestPage -update", err)
	}
}

// needs are the words of the page for the bits of need that people should know of.
var needs = []struct {
	bit  need
	text string
}{
	{login, "a log-in"},
	{asker, "a log-in as `register`"},
	{secure, "TLS"},
	{operator, "an operator"},
}

func page(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(pageHead)
	rest := map[string]string{}
	for verb, text := range notes {
		rest[verb] = text
	}
	table := func(prefix string, rows []command) {
		b.WriteString("\n| Command | Needs | FEAT | Where it is written |\n|---|---|---|---|\n")
		for _, row := range rows {
			var need []string
			for _, n := range needs {
				if row.need&n.bit != 0 {
					need = append(need, n.text)
				}
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", code(prefix+row.usage()), orDash(strings.Join(need, ", ")), orDash(code(fresh(row.feat))), row.rfc)
		}
	}
	table("", commands())
	b.WriteString("\n## SITE\n")
	table("SITE ", siteCommands())
	b.WriteString("\n## What they do here\n\nOnly what a document leaves open, or this server does in its own way.\n")
	tell := func(prefix string, rows []command) {
		for _, row := range rows {
			if text, ok := rest[prefix+row.verb]; ok {
				fmt.Fprintf(&b, "\n**%s** %s\n", prefix+row.verb, strings.TrimSpace(text))
				delete(rest, prefix+row.verb)
			}
		}
	}
	tell("", commands())
	tell("SITE ", siteCommands())
	for verb := range rest {
		t.Errorf("a note tells about %s, which is not there", verb)
	}
	return b.Bytes()
}

// fresh is a line of FEAT in a session that chose nothing.
func fresh(feat string) string {
	c := &conn{state: freshState()}
	return c.chosen().Replace(feat)
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(s, "|", "\\|") + "`"
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

const pageHead = `# FTP

Every command that the server knows. This page is written from the table that the server itself runs by; a test fails when
they differ.

Replies are in English, and in 简体中文 after ` + "`LANG zh-CN`" + `. Numbers and names that programs read out of replies are the
same in both. What a command may do to a file is decided by the account's permissions, whatever this page says.

"FEAT" is the line that the command has in the reply to FEAT, in a session that chose nothing yet: a star is what is chosen.

## Commands
`

// notes tell what a document leaves open.
var notes = map[string]string{
	"HOST": `takes every name that can be one, for there is one server behind all of them; it must come before USER (503). A
port, or what is no name, is 501. Behind TLS the name must be that which TLS was begun with (504).`,
	"LANG": `knows English and 简体中文 (zh, zh-CN, zh-SG, zh-Hans). Without an argument it goes back to English, and so do REIN and
AUTH; USER keeps it. Traditional Chinese is 504.`,
	"CSID": `is answered with facts of this end; CLNT and CSID are noted in the log and change nothing.`,
	"CCC":  `is refused on purpose (534): behind it anybody on the way could give commands in the user's name.`,
	"MDTM": `with a time before the path sets it, as MFMT does, unless there is a file of that whole name.`,
	"MFCT": `is always 504: no system lets anybody set the time of creation.`,
	"MFF":  `sets all facts or none. Facts that cannot be set are 504, as are times before 1678 and after 2262.`,
	"AVBL": `answers what the quota and the disk leave, whichever is less. It is the same in all directories of a home.`,
	"COMB": `puts files behind one another into the target, behind what it holds if it is there. Paths with spaces stand in
quotes, and quotes inside those are doubled. The new content is staged and appears whole or not at all; then, and only then,
the files are removed. So for a moment both need room: the quota must have it (552, and nothing is changed). No path may be
named twice; at most 255 files; all must be files that the account may remove.`,
	"HASH": `tells "algorithm first-last hash path"; OPTS HASH chooses the algorithm. A file that came over TLS or in
block mode is not read for it where the server had time to hash it then, and none is read again while it stays as it is.
ABOR ends a long one.`,
	"RANG": `holds for one HASH or RETR; both ends are included, "RANG 1 0" takes it back. Beyond the end of the file is 554.`,
	"XCRC": `and the other commands that begin with X and a hash answer the hash alone, in capitals: of the whole file, of what
follows byte <start>, or of the bytes from <start> up to <end>, which is the first that does not count. A path with spaces may
stand in quotes; one that ends in numbers and is there is a path. XSHA is XSHA1.`,
	"SIZE": `is 550 in TYPE A: how long a file is there takes reading it.`,
	"STAT": `with a path lists it in the reply, at most 2,000 entries.`,
	"LIST": `and NLST take the switches of ls. All but -R say nothing: everything is always listed. -R goes down 64 directories
and up to 100,000 entries; more than that is 550, and the data connection is cut, so that nobody takes a part for the whole.
Links that lead back up are listed and not followed. In the last element *, ? and [ ] are a pattern where no such file is
there.`,
	"MLST": `and MLSD have no create fact: every upload is a new file on the disk, whose birth says nothing about when the
name came to be. X.part is how many bytes of an upload of one's own that was cut are kept under the name.`,
	"MODE":       `B and OPTS PIPELINE are told in PROTOCOL.md.`,
	"SITE UTIME": `also takes the older form "<path> <access> <change> <creation> UTC", of which the second time is set.`,
	"SITE COPY": `copies a file on the server, as an upload would: whole or not at all, within the quota. Where the file system can
share blocks it does. Directories are not copied. SITE CPFR and SITE CPTO do the same with one path each, which needs no
quotes.`,
	"SITE WHO":  `has one line for each session: number, account, protocol, address, time since it was heard, what it moves.`,
	"SITE KICK": `ends one session, or all other sessions of an account.`,
	"SITE PART": `and the commands for asking for an account are told in PROTOCOL.md.`,
}

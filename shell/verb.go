package shell

import (
	"context"
	"strings"

	"sampan/fault"
	"sampan/words"
)

// flagset says which flags a verb takes besides those of the connection.
type flagset uint8

const (
	flagRecursive flagset = 1 << iota
	flagNoClobber
	flagUpdate
	flagListing // -l and -a: what ls shows anyway

	flagCopy = flagRecursive | flagNoClobber | flagUpdate
)

// kind is what an argument names, for completion.
type kind uint8

const (
	noName kind = iota
	remoteName
	remoteDir
	localName
	localDir
	verbName
)

// A verb is one row of the table: what a person can ask for, at the prompt or as a command.
type verb struct {
	name    string
	args    string // what it takes at the prompt: [X] may be left out, X... may be many
	command string // what it takes as `sampan VERB`; "-" where it is none
	short   words.Message
	flags   flagset
	names   []kind // of the arguments; the last goes for all further ones
	run     func(context.Context, *task, []word) error
}

func (v *verb) has(f flagset) bool { return v.flags&f != 0 }

// verbs returns the table, in the order of help.
func verbs() []verb {
	return []verb{
		{"ls", "[NAME]", "URL", words.M("list a directory"), flagListing, []kind{remoteDir}, list},
		{"cd", "[DIR]", "-", words.M("change the directory; without one, back home"), 0, []kind{remoteDir}, changeDir},
		{"pwd", "", "-", words.M("show the directory"), 0, nil, printDir},
		{"get", "NAME [LOCAL]", "URL [LOCAL]", words.M("download a file, or to - show it; -r a directory"), flagCopy, []kind{remoteName, localName}, get},
		{"put", "LOCAL [NAME]", "LOCAL URL", words.M("upload a file, or from - a pipe; -r a directory"), flagCopy, []kind{localName, remoteName}, put},
		{"mget", "NAME...", "URL...", words.M("download several files; * ? [ ] are patterns"), flagCopy, []kind{remoteName}, getMany},
		{"mput", "LOCAL...", "LOCAL... URL", words.M("upload several files; * ? [ ] are patterns"), flagCopy, []kind{localName}, putMany},
		{"cp", "FROM TO", "FROM TO", words.M("copy, also between two servers; -r a directory"), flagCopy, []kind{remoteName}, copyAny},
		{"mv", "FROM TO", "FROM TO", words.M("move or rename on the server"), flagNoClobber, []kind{remoteName}, move},
		{"rm", "NAME...", "URL...", words.M("remove files; -r a directory with everything in it"), flagRecursive, []kind{remoteName}, remove},
		{"mkdir", "DIR...", "URL...", words.M("make directories"), 0, []kind{remoteDir}, makeDir},
		{"rmdir", "DIR...", "URL...", words.M("remove empty directories"), 0, []kind{remoteDir}, removeDir},
		{"cat", "NAME...", "URL...", words.M("show what is in files"), 0, []kind{remoteName}, concatenate},
		{"stat", "NAME...", "URL...", words.M("show what is known of files"), 0, []kind{remoteName}, status},
		{"sum", "NAME...", "URL...", words.M("show the SHA-256 that the server computes"), 0, []kind{remoteName}, sum},
		{"du", "[NAME...]", "URL...", words.M("add up what directories hold"), 0, []kind{remoteName}, diskUse},
		{"quota", "", "URL", words.M("show how full your home is"), 0, nil, quota},
		{"passwd", "", "URL", words.M("change your password"), 0, nil, passwd},
		{"chmod", "MODE NAME...", "-", words.M("change permission bits, as in chmod 640 NAME"), 0, []kind{noName, remoteName}, chmod},
		{"open", "[URL]", "URL", words.M("log in and open the shell"), 0, nil, open},
		{"passive", "", "-", words.M("the server opens ports for data (the default)"), 0, nil, passive},
		{"active", "", "-", words.M("this machine opens ports for data"), 0, nil, active},
		{"type", "[ascii|binary]", "-", words.M("convert line ends of text, or keep every byte (default)"), 0, nil, transferType},
		{"trace", "[on|off]", "-", words.M("show the protocol, passwords masked"), 0, nil, trace},
		{"lcd", "[DIR]", "-", words.M("change the local directory"), 0, []kind{localDir}, localChangeDir},
		{"lls", "[NAME]", "-", words.M("list a local directory"), flagListing, []kind{localDir}, localList},
		{"lpwd", "", "-", words.M("show the local directory"), 0, nil, localPrintDir},
		{"!", "[COMMAND]", "-", words.M("run a command of this machine"), 0, nil, runLocal},
		{"help", "[COMMAND]", "-", words.M("show the commands, or how to use one"), 0, []kind{verbName}, help},
		{"quit", "", "-", words.M("leave; also Q, exit and bye"), 0, nil, quit},
	}
}

// aliases are what hands know from other clients: other names of verbs of the shell, some with the argument that they mean.
var aliases = map[string]string{
	"q": "quit", "exit": "quit", "bye": "quit", "?": "help", "dir": "ls", "ll": "ls", "delete": "rm", "del": "rm", "mdelete": "rm", "mrm": "rm",
	"rename": "mv", "md": "mkdir", "rd": "rmdir", "cdup": "cd ..", "reget": "get", "reput": "put", "pget": "get", "more": "cat", "less": "cat",
	"binary": "type binary", "bin": "type binary", "ascii": "type ascii", "df": "quota", "login": "open", "size": "stat",
}

// unalias writes the first word of a line as the verb that it means.
func unalias(list []word) []word {
	verb, argument, more := strings.Cut(aliases[strings.ToLower(list[0].text)], " ")
	if verb == "" {
		return list
	}
	out := []word{{text: verb, at: list[0].at}}
	if more {
		out = append(out, word{text: argument, at: list[0].at})
	}
	return append(out, list[1:]...)
}

// find returns the row of a verb of the shell; unknown ones are Syntax, with the nearest name.
func find(name string) (*verb, error) {
	lower := strings.ToLower(name)
	if a, ok := aliases[lower]; ok {
		lower, _, _ = strings.Cut(a, " ")
	}
	for _, v := range verbs() {
		if v.name == lower {
			return &v, nil
		}
	}
	switch lower {
	case "mirror", "sync":
		return nil, fault.New(fault.Syntax, "there is no command %s; get -r and put -r copy directories, and leave out what is equal already; -u goes by size and time", name)
	case "clear", "cls":
		return nil, fault.New(fault.Syntax, "there is no command %s; ^L clears the screen", name)
	}
	if near := nearest(lower); near != "" {
		return nil, fault.New(fault.Syntax, "there is no command %s; did you mean %s? help shows them all", name, near)
	}
	return nil, fault.New(fault.Syntax, "there is no command %s; help shows them all", name)
}

// nearest returns the verb that takes the fewest changes from name, "" if none is near.
func nearest(name string) string {
	best, least := "", 3
	if len(name) < 4 {
		least = 2
	}
	for _, v := range verbs() {
		if d := distance(name, v.name); d < min(least, len(v.name)) {
			best, least = v.name, d
		}
	}
	return best
}

// distance is the number of letters to insert, remove, change or swap with their neighbour (Damerau, restricted) that
// makes b of a.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	if len(s) > 64 || len(t) > 64 {
		return 64
	}
	rows := make([][]int, len(s)+1)
	for i := range rows {
		rows[i] = make([]int, len(t)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(s); i++ {
		for j := 1; j <= len(t); j++ {
			change := 1
			if s[i-1] == t[j-1] {
				change = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(s)][len(t)]
}

// check refuses a wrong number of arguments with the usage.
func (v *verb) check(n int) error {
	least, most := 0, 0
	for w := range strings.FieldsSeq(v.args) {
		if !strings.HasPrefix(w, "[") {
			least++
		}
		if most++; strings.Contains(w, "...") {
			most = 1 << 30
		}
	}
	if n < least || n > most {
		return fault.New(fault.Syntax, "use it like this: %s", strings.TrimSpace(v.name+" "+v.args))
	}
	return nil
}

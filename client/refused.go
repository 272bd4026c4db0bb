package client

import (
	"context"
	"strings"

	"sampan/fault"
	"sampan/files"
	"sampan/ftp"
)

// kinds is what the code of a failed reply means (RFC 959 section 4.2.2, RFC 2428, 3659, 4217). 550 and 553 say too
// little; see phrases.
var kinds = map[int]fault.Kind{
	421: fault.Cut, 425: fault.Cut, 426: fault.Cut, 430: fault.Unauth, 450: fault.Busy, 451: fault.Cut, 452: fault.NoSpace,
	500: fault.Unsupported, 501: fault.Syntax, 502: fault.Unsupported, 503: fault.Unsupported, 504: fault.Unsupported,
	522: fault.Unsupported, 530: fault.Unauth, 532: fault.Denied, 534: fault.Denied, 550: fault.Denied, 551: fault.BadOffset,
	552: fault.OverQuota, 553: fault.BadName, 554: fault.BadOffset,
}

// phrases are what servers write behind 450, 550 and 553, in small letters; the first that is found decides.
var phrases = []struct {
	text string
	kind fault.Kind
}{
	{"no such", fault.NotExist},
	{"not found", fault.NotExist},
	{"does not exist", fault.NotExist},
	{"doesn't exist", fault.NotExist},
	{"cannot find", fault.NotExist},
	{"can't find", fault.NotExist},
	{"not empty", fault.NotEmpty},
	{"not a directory", fault.NotDir},
	{"is a directory", fault.IsDir},
	{"not a regular file", fault.IsDir},
	{"not a plain file", fault.IsDir},
	{"already exists", fault.Exist},
	{"file exists", fault.Exist},
	{"name is taken", fault.Exist},
	{"into itself", fault.BadName},
	{"is not within", fault.BadOffset},
	{"no space", fault.NoSpace},
	{"quota", fault.OverQuota},
	{"permission", fault.Denied},
	{"not allowed", fault.Denied},
	{"denied", fault.Denied},
	{"does not allow", fault.Denied},
	{"may not", fault.Denied},
}

// kindOf classes a failed reply; sure is false where a look at the name may tell more.
func kindOf(r ftp.Reply) (k fault.Kind, sure bool) {
	k, ok := kinds[r.Code]
	if !ok {
		if k = fault.Unsupported; r.Code/100 == 4 {
			k = fault.Busy
		}
	}
	if r.Code != 550 && r.Code != 553 && r.Code != 450 {
		return k, true
	}
	text := strings.ToLower(strings.Join(r.Lines, " "))
	for _, p := range phrases {
		if strings.Contains(text, p.text) {
			return p.kind, true
		}
	}
	return k, r.Code == 450
}

// refused is the error of a failed reply about a name, which may be "".
func refused(r ftp.Reply, name string) error {
	k, _ := kindOf(r)
	return refusedAs(k, r, name)
}

func refusedAs(k fault.Kind, r ftp.Reply, name string) error { return refusedWith(k, r.Text(), name) }

// refusedWith is the error of a refusal for which the server wrote text.
func refusedWith(k fault.Kind, text, name string) error {
	text = strings.TrimPrefix(printable(text), name+": ") // told already
	if name == "" {
		return fault.New(k, "the server refused: %s", text)
	}
	switch k {
	case fault.NotExist:
		return fault.New(k, "%s: no such file or directory", name)
	case fault.Exist:
		return fault.New(k, "%s: that name is taken", name)
	case fault.NotDir:
		return fault.New(k, "%s: not a directory", name)
	case fault.IsDir:
		return fault.New(k, "%s: is a directory", name)
	case fault.NotEmpty:
		return fault.New(k, "%s: the directory is not empty", name)
	case fault.Cut:
		return fault.New(k, "%s: the transfer ended early: %s", name, text)
	}
	return fault.New(k, "%s: the server refused: %s", name, text)
}

// explain is refused where the reply may leave open why: then a look at the name tells NotExist from Denied.
func (c *control) explain(ctx context.Context, r ftp.Reply, p files.Path) error {
	k, sure := kindOf(r)
	if !sure && !c.broken {
		if _, err := c.stat(ctx, p); fault.KindOf(err) == fault.NotExist {
			k = fault.NotExist
		}
	}
	return refusedAs(k, r, p.String())
}

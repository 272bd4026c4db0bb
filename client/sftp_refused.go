package client

import (
	"strings"

	"sampan/fault"
	"sampan/sftp"
)

// codes is what the code of a STATUS means (draft-ietf-secsh-filexfer-02 section 7). FAILURE says too little; see phrases.
var codes = map[sftp.Code]fault.Kind{
	sftp.EOF: fault.Cut, sftp.NoSuchFile: fault.NotExist, sftp.PermissionDenied: fault.Denied, sftp.Failure: fault.Denied,
	sftp.BadMessage: fault.BadName, sftp.NoConnection: fault.Cut, sftp.ConnectionLost: fault.Cut, sftp.OpUnsupported: fault.Unsupported,
}

// kindOfAnswer classes a failure; sure is false where a look at the name may tell more.
func kindOfAnswer(a *answer) (k fault.Kind, sure bool) {
	k, ok := codes[a.code]
	if !ok {
		k = fault.Unsupported
	}
	if a.code != sftp.Failure && a.code != sftp.PermissionDenied {
		return k, true
	}
	text := strings.ToLower(a.text)
	for _, p := range phrases {
		if strings.Contains(text, p.text) {
			return p.kind, true
		}
	}
	return k, a.code == sftp.PermissionDenied
}

// refusedAnswer is the error of a failure about a name, which may be "".
func refusedAnswer(a *answer, name string) error {
	k, _ := kindOfAnswer(a)
	return refusedWith(k, a.text, name)
}

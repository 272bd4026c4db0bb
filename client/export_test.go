package client

import (
	"context"
	"io"
	"time"

	"sampan/files"
)

// Age makes the idle connections look as if they had lain idle for long.
func Age(r Remote) int {
	x := r.(*remote)
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range x.idle {
		c.idle = time.Now().Add(-time.Hour)
	}
	return len(x.idle)
}

var (
	LocalName  = localName
	CaseTwin   = caseTwin
	Distinct   = distinct
	FromNetrc  = fromNetrc
	ParsePins  = parsePins
	ParsePart  = parsePart
	ParseHash  = parseHash
	ParseQuota = parseQuota
	ParseTick  = parseTicket
	ParseStand = parseStanding
	Printable  = printable
	ParseTalk  = parseDialogue
	FirstLine  = firstLine
)

// SFTPSession is a Remote that speaks SFTP over what a test makes up.
func SFTPSession(ctx context.Context, conn io.ReadWriteCloser) (Remote, error) {
	r := newSSHRemote(URL{Scheme: "sftp", Host: "h", User: "u"}, Options{Timeout: 10 * time.Second})
	r.hop = &sshHop{d: &r.dialed, target: sshTarget{host: "127.0.0.1", port: 1}} // where nobody listens: a new one is not had
	w := newWire(conn, "h", 10*time.Second, func() func(string) { return nil })
	err := w.hello()
	if err == nil {
		r.wire = w
		err = r.learn(ctx, w)
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Stage is the name that an upload of p has on servers that stage nothing, and whether it is known for one.
func Stage(p files.Path) (files.Path, bool) {
	q := stage(p, "")
	return q, isStage(q.Base())
}

// ProxyCommand fills in a ProxyCommand.
func ProxyCommand(command, host, user string) (string, error) {
	return proxyCommand(command, host, sshTarget{host: host, port: 22, user: user})
}

// RestSoon has further sessions end as soon as nothing goes over them.
func RestSoon(r Remote) { r.(*sshRemote).extras.rest = time.Millisecond }

// TrustNoDirectory has a Disk go to every directory from the top, as it does a moment later by itself.
func TrustNoDirectory(s files.Store) { s.(*disk).dirs.forget() }

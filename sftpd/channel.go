package sftpd

import (
	"io"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"

	"sampan/words"
)

// A channel is one channel of the type "session" (RFC 4254 section 6). It runs SFTP, or the dialogue of who asks for an
// account; who wants anything else is told so.
type channel struct {
	*conn
	ssh.Channel
	lang words.Lang
	pty  bool

	mu  sync.Mutex
	sub *subsystem // nil until it runs
}

// serve answers the requests of the channel until it is closed.
func (ch *channel) serve(requests <-chan *ssh.Request) {
	var running sync.WaitGroup
	started := false
	for r := range requests {
		var run func() uint32
		switch r.Type {
		case "env":
			r.Reply(ch.setenv(r.Payload), nil)
			continue
		case "pty-req":
			ch.pty = true
			r.Reply(true, nil)
			continue
		case "subsystem":
			run = ch.subsystem(r.Payload)
		case "shell", "exec":
			run = ch.shell
		}
		if run == nil || started {
			r.Reply(false, nil)
			continue
		}
		started = true
		r.Reply(true, nil)
		running.Go(func() {
			status := run()
			ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
			ch.Close()
		})
	}
	running.Wait()
}

// setenv takes the language of the user's terminal (RFC 4254 section 6.4).
func (ch *channel) setenv(payload []byte) bool {
	var v struct{ Name, Value string }
	if ssh.Unmarshal(payload, &v) != nil {
		return false
	}
	switch v.Name {
	case "LC_ALL", "LC_MESSAGES", "LANG":
		if l, ok := words.Parse(v.Value); ok && l != words.English {
			ch.lang = l
		}
		return true
	}
	return false
}

// subsystem returns what a request for a subsystem starts, nil if there is no such thing.
func (ch *channel) subsystem(payload []byte) func() uint32 {
	var v struct{ Name string }
	if ssh.Unmarshal(payload, &v) != nil || v.Name != "sftp" {
		return nil
	}
	if ch.asker {
		return func() uint32 {
			ch.tell(words.M("this log-in is for asking for an account: ssh %s@HOST", asking))
			return 1
		}
	}
	return ch.sftp
}

// shell answers who wants a shell or a command.
func (ch *channel) shell() uint32 {
	if ch.asker {
		return ch.dialogue()
	}
	ch.tell(words.M("no shell and no commands here, only SFTP: use sftp, or scp without -O"))
	return 1
}

// tell writes a sentence for people, which programs do not take for data.
func (ch *channel) tell(m words.Message) {
	io.WriteString(ch.Stderr(), strings.ReplaceAll(m.In(ch.lang), "\n", "\r\n")+"\r\n")
}

// settle waits until what is being answered is sent.
func (ch *channel) settle() {
	ch.mu.Lock()
	sub := ch.sub
	ch.mu.Unlock()
	if sub != nil {
		sub.settle()
	}
}

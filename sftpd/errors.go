package sftpd

import (
	"errors"
	"io"

	"sampan/fault"
	"sampan/sftp"
	"sampan/words"
)

// errLater says that the reply comes later.
var errLater = errors.New("later")

// codes are the replies for the kinds of failure (draft section 7). What is not here is a Failure, and the sentence tells.
var codes = map[fault.Kind]sftp.Code{
	fault.NotExist:    sftp.NoSuchFile,
	fault.Denied:      sftp.PermissionDenied,
	fault.Unauth:      sftp.PermissionDenied,
	fault.Unsupported: sftp.OpUnsupported,
	fault.Syntax:      sftp.BadMessage,
}

// status is the reply to an error, in the user's language.
func (s *subsystem) status(id uint32, err error) *sftp.Packet {
	if err == io.EOF {
		return sftp.StatusPacket(id, sftp.EOF, "", "")
	}
	kind := fault.KindOf(err)
	if kind == fault.Internal {
		s.srv.log.Error("a request failed", "reason", err.Error(), "session", s.sess.ID())
	}
	code, ok := codes[kind]
	if !ok {
		code = sftp.Failure
	}
	tag := "en"
	if s.lang == words.Chinese {
		tag = "zh-CN"
	}
	return sftp.StatusPacket(id, code, fault.Say(err).In(s.lang), tag)
}

package sftpd

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"sampan/sftp"
)

var update = flag.Bool("update", false, "write docs/sftp.md anew")

const pageFile = "../docs/sftp.md"

// TestPage: docs/sftp.md says what the table says. "go test ./sftpd -run TestPage -update" writes it.
func TestPage(t *testing.T) {
	want := page(t)
	if *update {
		if err := os.WriteFile(pageFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(pageFile)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("docs/sftp.md is not what the table says (%v): go test ./sftpd -run TestPage -update", err)
	}
}

// requestNames are the names of the draft.
var requestNames = map[sftp.Type]string{
	sftp.TypeOpen: "OPEN", sftp.TypeClose: "CLOSE", sftp.TypeRead: "READ", sftp.TypeWrite: "WRITE", sftp.TypeLstat: "LSTAT",
	sftp.TypeFstat: "FSTAT", sftp.TypeSetstat: "SETSTAT", sftp.TypeFsetstat: "FSETSTAT", sftp.TypeOpendir: "OPENDIR",
	sftp.TypeReaddir: "READDIR", sftp.TypeRemove: "REMOVE", sftp.TypeMkdir: "MKDIR", sftp.TypeRmdir: "RMDIR",
	sftp.TypeRealpath: "REALPATH", sftp.TypeStat: "STAT", sftp.TypeRename: "RENAME", sftp.TypeReadlink: "READLINK",
	sftp.TypeSymlink: "SYMLINK",
}

func page(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(pageHead)
	rest := map[string]string{}
	for name, text := range notes {
		rest[name] = text
	}
	name := func(r row) string {
		if r.typ == sftp.TypeExtended {
			return r.ext
		}
		if requestNames[r.typ] == "" {
			t.Errorf("type %d has no name", r.typ)
		}
		return requestNames[r.typ]
	}
	fmt.Fprintf(&b, "\n| Request | Where it is written |\n|---|---|\n")
	for _, r := range rows() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", name(r), strings.ReplaceAll(r.where, ours, "below"))
	}
	b.WriteString("\n## What they do here\n\nOnly what a document leaves open, or this server does in its own way.\n")
	for _, r := range rows() {
		if text, ok := rest[name(r)]; ok {
			fmt.Fprintf(&b, "\n**%s** %s\n", name(r), strings.TrimSpace(text))
			delete(rest, name(r))
		}
	}
	for name := range rest {
		t.Errorf("a note tells about %s, which is not there", name)
	}
	return b.Bytes()
}

const pageHead = `# SFTP

Every request that the server knows. This page is written from the table that the server itself runs by; a test fails when
they differ. The version is 3 (draft-ietf-secsh-filexfer-02), which is what everybody speaks.

The server listens on port 2022 at the address of FTP, or where --sftp says; --sftp off does not. Host keys (Ed25519, and
RSA for old clients) are made at the first start and kept in DATA/ssh. Log-in is by password, keyboard-interactive, public key (` + "`sampan user key add NAME FILE`" + `), or a certificate that
names the account and is signed by an authority in ` + "`--ssh-user-ca FILE`" + `. ` + "`ssh -p 2022 register@HOST`" + ` asks for an account,
and tells how a request stands. There is no shell, no command and no forwarding. Key exchange: the ML-KEM and X25519 hybrid,
X25519, NIST curves, and finite fields of 2048 bits and more; AES in GCM or counter mode; SHA-2 alone.

What is promised:

- CLOSE publishes, and is answered when data and name are on stable storage. From OPEN to CLOSE only the session itself sees
  what it writes, by STAT, LSTAT and FSTAT, and by opening it for reading.
- An upload that is cut leaves the old file alone. What came without a gap from byte 0 is kept as a part for 24 hours. STAT of
  a name with a part and no file tells the part's size, and OPEN without TRUNC, or with APPEND, goes on with it: so
  ` + "`reput`" + ` and its like work, and an upload that was begun over FTP can be finished here.
- With a file and a part of one's own beside it, OPEN for writing without TRUNC is refused and the sentence tells why: nobody
  could know what is meant.
- After a WRITE that was refused (the quota, a full disk) the upload is never published, also where the client closes it as if all were well.
- Requests run in the order in which they came, as far as anybody can see: one that names something waits for what is being
  changed there. Replies may come in another order.

What cannot be told: OpenSSH's ` + "`sftp`" + ` sends CLOSE when an upload is stopped with ^C, as if it were whole.

Limits of a connection: 6 tries to log in within two minutes, 10 channels, 512 open handles, packets of 256 KiB. An
account has 1,000 directories open at once. A peer that does not take for five minutes what it asked for is cut off.

## Requests
`

// notes tell what a document leaves open.
var notes = map[string]string{
	"OPEN": `for writing begins empty with TRUNC, else with a copy of the file, which shares its blocks where the file system
can. EXCL (with CREAT) holds the name against everybody. APPEND ignores offsets, and needs no more than the permission to
append. The mode counts where a new file is made by who may set modes. READ with CREAT makes an empty file.`,
	"CLOSE": `of a file whose name was removed meanwhile throws away what was written.`,
	"READ":  `returns at most 261,120 bytes.`,
	"STAT": `and LSTAT are the same: a link is seen as what it leads to, inside the home, and not at all if that is nowhere.
Who may enter a directory and not list it is told that it is one, and no more. Everything has the owner and group 1000.`,
	"SETSTAT": `with a size replaces the file, as an upload does, within the quota. Another owner than 1000 is refused. Times
are those of the last change; that of the last access is not kept.`,
	"FSETSTAT": `of what is being written holds when it is published.`,
	"RENAME":   `never overwrites. What is open under the old name goes with it.`,
	"READLINK": `finds no links, and SYMLINK makes none (OP_UNSUPPORTED): so no link shows where the home is, or leads out of it.`,
	"READDIR":  `leaves out "." and "..".`,
	"hardlink@openssh.com": `is not offered and is refused: every name is a file of its own, so that the quota is the number
on disk. copy-data copies, and shares blocks where the file system can.`,
	"fsync@openssh.com":   `makes durable what is written so far; it is published by CLOSE.`,
	"statvfs@openssh.com": `tells of the home: its quota is the size. Without one it is the disk.`,
	"space-available": `tells two things. The device is what the home holds and what is free on the disk; the user has the
quota of it, or all of it where there is none.`,
	"users-groups-by-id@openssh.com": `knows one owner, by the name of the account.`,
	"copy-data":                      `refuses to read and write by one handle. A length of 0 is to the end.`,
	"check-file-handle": `and check-file-name know sha256, sha512, sha1, md5 and crc32; the first of the list that is known is
taken. The hash of a whole file that did not change is not computed again. Blocks have at least 256 bytes, and a reply holds
1,024 hashes.`,
	"check-file": `is check-file-handle with the name before the reply, as paramiko wants it.`,
	"part@sampan": `(string path) tells what is kept of one's own cut upload of that name, for the proof before it is gone on with:
uint64 size, uint64 time (seconds since 1970), string SHA-256 of all of it (32 bytes).`,
	"drop-part@sampan": `(string path) removes it.`,
	"resume@sampan": `(string path, uint64 offset, uint64 size) is OPEN for writing that goes on behind offset bytes of what is
there: of the part if that is its exact size, else of the file. An offset of 2^64-1 is the end; a size of 2^64-1 is not known.
The reply is a HANDLE; WRITE still tells offsets from the first byte.`,
	"abandon@sampan": `(string handle) closes an upload that is not to be published: what came is kept as a part.`,
	"close@sampan": `(string handle) is CLOSE that tells what it published, or what the file that was open for reading holds. The EXTENDED_REPLY
is that of check-file-handle, with the SHA-256 of all of it; with none where there are 64 KiB or more, or the upload began as a copy of
what was there.`,
	"share@sampan": `(string handle) lets other sessions of the account write to what the handle has open for writing. The EXTENDED_REPLY
holds a string of 16 bytes, the token.`,
	"join@sampan": `(string token) opens what was shared, on this connection or another one; the reply is a HANDLE to write by. CLOSE of it
publishes nothing. A WRITE that is not answered when the handle that was shared is closed may be refused, so a client waits for all answers first.`,
}

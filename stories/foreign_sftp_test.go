//go:build linux

package stories

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"
)

// The ways to log in over SFTP.
const (
	byKey      = "key"
	byPassword = "password"
)

var anyLogin = []string{byKey, byPassword}

// sftpForeigners are the rows of SFTP's table.
var sftpForeigners = []foreign{
	{
		name: "OpenSSH sftp", account: "openssh", version: "9.2p1", needs: []string{"ssh", "sftp"},
		security: anyLogin, v6: true, run: openSSH,
		own:    []job{{name: "put -pR and get -pR", run: openSSHTree}},
		cannot: map[string]string{"abort, go on": "a batch gives nothing up"},
		met: []string{
			`sends CLOSE when a user stops an upload with ^C, as if it were whole, so what came is published.`,
		},
	},
	{
		name: "OpenSSH scp", account: "scp", version: "9.2p1", needs: []string{"ssh", "scp"},
		security: anyLogin, v6: true, copies: true, run: scp,
		own:    []job{{name: "-pr, both ways", run: copiedTree(scpSays, "-q", "-p", "-r")}},
		cannot: onlyCopies("1,000 entries", "it lists nothing"),
		met:    []string{`with -O, or before version 9.0, runs a program on the server; ours has none and says so.`},
	},
	{
		name: "PuTTY psftp", account: "psftp", version: "0.78", needs: []string{"psftp", "puttygen"},
		security: anyLogin, v6: true, run: psftp,
		own:    []job{{name: "put -r and get -r", run: psftpTree}},
		cannot: map[string]string{"abort, go on": "it gives nothing up"},
	},
	{
		name: "PuTTY pscp", account: "pscp", version: "0.78", needs: []string{"pscp", "puttygen"},
		security: anyLogin, v6: true, copies: true, run: pscp,
		own:    []job{{name: "-p -r, both ways", run: copiedTree(pscpSays, "-p", "-r")}},
		cannot: onlyCopies(),
	},
	{
		name: "lftp", account: "lftp", version: "4.9.2", needs: []string{"lftp", "ssh"},
		security: anyLogin, v6: true, run: lftp,
		own: []job{{name: "mirror, both ways", run: lftpMirror}, {name: "pget", run: lftpSegments}},
	},
	{
		name: "rclone", account: "rclone", version: "1.60.1", needs: []string{"rclone"},
		security: anyLogin, v6: true, run: rclone,
		own: []job{{name: "copy, check, sync", run: rcloneTrees}, {name: "cat --head", run: rcloneHeads}},
		cannot: map[string]string{
			"abort, go on": "each of its commands is a session of its own, but see below",
			"resume up":    "it begins anew", "resume down": "it begins anew", "resume over 4 GiB": "it begins anew",
		},
		met: []string{`runs md5sum or sha1sum on a server to have its hashes. Ours runs no commands, so check compares sizes, and with --download the bytes.`},
	},
	{
		name: "sshfs", account: "sshfs", version: "3.7.3", needs: []string{"sshfs", "fusermount3", "ssh"}, absent: noFUSE,
		security: anyLogin, v6: true, run: sshfs,
		own: []job{{name: "mv, truncate, dd conv=notrunc", run: sshfsInPlace}, {name: "git clone", run: sshfsGit}},
		met: []string{
			`hears of a close behind the back of whoever closes, and of none any more once it is unmounted: what was written just before is then kept as a part, for nobody said that it is whole.`,
			`is tried where the system lets a program mount FUSE; elsewhere the log of the test tells why not.`,
		},
	},
	{
		name: "Python paramiko", account: "paramiko", version: "2.12.0", needs: []string{"/usr/bin/python3", "/usr/lib/python3/dist-packages/paramiko/__init__.py"},
		security: anyLogin, v6: true, run: script("/usr/bin/python3", "paramiko_client.py"),
		own: []job{{name: "check", run: paramikoCheck}},
	},
	{
		name: "curl", account: "curl", version: "7.88.1 with libssh2 1.10.0", needs: []string{"curl"},
		security: anyLogin, v6: true, run: curlSFTP,
	},
}

// onlyCopies tells why columns of a client that copies and does nothing else stay empty, with one more, or none.
func onlyCopies(more ...string) map[string]string {
	why := map[string]string{
		"directories": "it makes them with -r only, see below", "abort, go on": "it gives nothing up",
		"resume up": "it begins anew", "resume down": "it begins anew", "resume over 4 GiB": "it begins anew",
	}
	for i := 0; i < len(more); i += 2 {
		why[more[i]] = more[i+1]
	}
	return why
}

// sftpJobs are the columns of SFTP's table: those of FTP's, but what is FTP's alone.
func sftpJobs() (list []job) {
	for _, j := range jobs {
		if !j.tls && j.name != "TYPE A" {
			list = append(list, j)
		}
	}
	return append(list, job{name: "host key", run: hostKey})
}

// TestForeignSFTPClients is TestForeignClients over SFTP.
func TestForeignSFTPClients(t *testing.T) {
	t.Parallel()
	servers := startFamilies(t, "--sftp")
	for _, s := range servers {
		s.knownHosts()
	}
	x := &fixtures{dir: t.TempDir(), sums: map[string]string{}}
	x.visits(t, sftpForeigners, sftpJobs(), servers, func(s *server, f foreign) {
		if r := s.sampan("", "user", "key", "add", f.account, userKey()+".pub"); r.code != 0 {
			t.Fatalf("user key add: %s%s", r.out, r.err)
		}
	})
}

// userKey is the file of the private key that lets every account in; beside it lies the public one, and the private one as
// PuTTY has it.
func userKey() string {
	name := filepath.Join(filepath.Dir(binary), "id_ed25519")
	userKeyOnce.Do(func() {
		for _, argv := range [][]string{
			{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a test", "-f", name},
			{"puttygen", name, "-O", "private", "-o", name + ".ppk"},
		} {
			if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
				panic(fmt.Sprintf("%q: %v\n%s", argv, err, out))
			}
		}
	})
	return name
}

var userKeyOnce sync.Once

// knownHosts writes DATA/known_hosts, by which clients know the server.
func (s *server) knownHosts() {
	s.t.Helper()
	var b strings.Builder
	for _, kind := range []string{"ed25519", "rsa"} {
		b.WriteString(knownHost(s.sftp, string(read(s.t, filepath.Join(s.data, "ssh", "host_"+kind+".pub")))))
	}
	write(s.t, filepath.Join(s.data, "known_hosts"), []byte(b.String()))
}

func knownHost(addr, key string) string {
	host, port, _ := net.SplitHostPort(addr)
	return fmt.Sprintf("[%s]:%s %s\n", host, port, strings.TrimSpace(key))
}

// fingerprint is that of the first host key that the client knows.
func fingerprint(r route) string {
	line, err := os.ReadFile(r.ca)
	if err != nil {
		panic(err)
	}
	_, _, key, _, _, err := ssh.ParseKnownHosts(line)
	if err != nil {
		panic(err)
	}
	return ssh.FingerprintSHA256(key)
}

// hostKey: a server that shows another key than the known one is told nothing.
func hostKey(v *visit) {
	other := v.local("other")
	v.programs(command{argv: []string{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other}})
	v.r.ca = v.local("known")
	write(v.t, v.r.ca, []byte(knownHost(net.JoinHostPort(v.r.host, v.r.port), string(read(v.t, other+".pub")))))
	v.toldNothing()
}

// sshOptions are how OpenSSH reaches the server, and nobody else's settings.
func sshOptions(r route) []string {
	all := []string{
		"Port=" + r.port, "User=" + r.user, "UserKnownHostsFile=" + r.ca, "GlobalKnownHostsFile=/dev/null",
		"StrictHostKeyChecking=yes", "IdentityAgent=none", "IdentitiesOnly=yes", "NumberOfPasswordPrompts=1", "LogLevel=ERROR",
	}
	if r.key == "" {
		all = append(all, "PubkeyAuthentication=no", "BatchMode=no") // sftp -b sets it, and then no password is asked for
	} else {
		all = append(all, "IdentityFile="+r.key, "BatchMode=yes")
	}
	argv := []string{"-F", "/dev/null"}
	for _, o := range all {
		argv = append(argv, "-o", o)
	}
	return argv
}

// askpass lets OpenSSH have a password without a terminal.
func askpass(r route) []string {
	file, err := filepath.Abs("testdata/clients/askpass")
	if err != nil {
		panic(err)
	}
	return []string{"SSH_ASKPASS=" + file, "SSH_ASKPASS_REQUIRE=force", "PASSWORD=" + r.password}
}

// openSSH is told not to show what it is told.
func openSSH(r route, do []step) []command {
	var lines []string
	for _, s := range do {
		local, remote, to := quoted(s.local), quoted(plainName(s.remote)), quoted(plainName(s.to))
		lines = append(lines, map[string]string{
			"list":       "@ls -1 " + remote,
			"put":        "@put " + local + " " + remote,
			"resume-put": "@reput " + local + " " + remote,
			"get":        "@get " + remote + " " + local,
			"resume-get": "@reget " + remote + " " + local,
			"rename":     "@rename " + remote + " " + to,
			"delete":     "@rm " + remote,
			"mkdir":      "@mkdir " + remote,
			"rmdir":      "@rmdir " + remote,
		}[s.op])
	}
	return []command{openSSHSays(r, lines...)}
}

func openSSHSays(r route, lines ...string) command {
	argv := slices.Concat([]string{"sftp", "-q"}, sshOptions(r), []string{"-b", "-", r.bracketed()})
	return command{argv: argv, stdin: strings.Join(lines, "\n") + "\n", env: askpass(r)}
}

func openSSHTree(v *visit) {
	tree := v.tree()
	v.programs(openSSHSays(v.r, "mkdir trees", "put -pR "+tree+" trees", "get -pR trees/tree "+v.local("back")))
	v.sameTree("what arrived", v.disk("trees/tree"), tree)
	v.sameTree("what came back", v.local("back"), tree)
}

// copied are the steps of a client that copies and does nothing else, and lists at most.
func copied(says func(route, ...string) command) func(r route, do []step) []command {
	return func(r route, do []step) (all []command) {
		for _, s := range do {
			remote := r.bracketed() + ":" + s.remote
			argv := map[string][]string{"put": {s.local, remote}, "get": {remote, s.local}, "list": {"-ls", remote}}[s.op]
			all = append(all, says(r, argv...))
		}
		return all
	}
}

func copiedTree(says func(route, ...string) command, how ...string) func(v *visit) {
	return func(v *visit) {
		tree, there := v.tree(), v.r.bracketed()+":"
		if err := os.Mkdir(v.disk("trees"), 0o777); err != nil {
			v.t.Fatal(err)
		}
		v.programs(says(v.r, append(how, tree, there+"trees/")...))
		v.sameTree("what arrived", v.disk("trees/tree"), tree)
		v.programs(says(v.r, append(how, there+"trees/tree", v.local("back"))...))
		v.sameTree("what came back", v.local("back"), tree)
	}
}

func scp(r route, do []step) []command { return copied(scpSays)(r, do) }

func scpSays(r route, more ...string) command {
	return command{argv: slices.Concat([]string{"scp", "-q"}, sshOptions(r), more), env: askpass(r)}
}

func pscp(r route, do []step) []command { return copied(pscpSays)(r, do) }

func pscpSays(r route, more ...string) command {
	return command{argv: append(puttySays(r, "pscp", "-q", "-sftp"), more...)}
}

// puttySays is a program of PuTTY, with how it reaches the server.
func puttySays(r route, argv ...string) []string {
	argv = append(argv, "-batch", "-noagent", "-P", r.port, "-l", r.user, "-hostkey", fingerprint(r))
	if r.key == "" {
		return append(argv, "-pw", r.password)
	}
	return append(argv, "-i", r.key+".ppk")
}

// psftp lists in a session of its own.
func psftp(r route, do []step) (all []command) {
	word := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
	var lines []string
	moves := func() {
		if len(lines) > 0 {
			all = append(all, psftpSays(r, lines...))
			all[len(all)-1].mute = true
		}
		lines = nil
	}
	for _, s := range do {
		local, remote, to := word(s.local), word(plainName(s.remote)), word(plainName(s.to))
		if s.op == "list" {
			moves()
			all = append(all, psftpSays(r, "ls "+remote))
			continue
		}
		lines = append(lines, map[string]string{
			"put":        "put " + local + " " + remote,
			"resume-put": "reput " + local + " " + remote,
			"get":        "get " + remote + " " + local,
			"resume-get": "reget " + remote + " " + local,
			"rename":     "mv " + remote + " " + to,
			"delete":     "del " + remote,
			"mkdir":      "mkdir " + remote,
			"rmdir":      "rmdir " + remote,
		}[s.op])
	}
	moves()
	return all
}

func psftpSays(r route, lines ...string) command {
	return command{argv: append(puttySays(r, "psftp"), "-b", "/dev/stdin", r.host), stdin: strings.Join(lines, "\n") + "\n"}
}

func psftpTree(v *visit) {
	tree := v.tree()
	v.programs(psftpSays(v.r, "mkdir trees", "put -r "+tree+" trees/tree", "get -r trees/tree "+v.local("back")))
	v.sameTree("what arrived", v.disk("trees/tree"), tree)
	v.sameTree("what came back", v.local("back"), tree)
}

func curlSFTP(r route, do []step) []command {
	argv := []string{"curl", "-sS", "--disable", "--fail-early"}
	for i, s := range do {
		if i > 0 {
			argv = append(argv, "--next", "-sS")
		}
		common, base := curlWay(r)
		argv = append(argv, common...)
		url, remote, to := base+escapeURL(s.remote), quoted("/"+s.remote), quoted("/"+s.to)
		argv = append(argv, map[string][]string{
			"list":       {"--list-only", url + "/"},
			"put":        {"-T", s.local, url},
			"resume-put": {"-C", "-", "-T", s.local, url},
			"get":        {"-o", s.local, url},
			"resume-get": {"-C", "-", "-o", s.local, url},
			"abort":      {"-r", "0-999", "-o", s.local, url},
			"rename":     {"-o", os.DevNull, "-Q", "-rename " + remote + " " + to, base},
			"delete":     {"-o", os.DevNull, "-Q", "-rm " + remote, base},
			"mkdir":      {"-o", os.DevNull, "-Q", "-mkdir " + remote, base},
			"rmdir":      {"-o", os.DevNull, "-Q", "-rmdir " + remote, base},
		}[s.op]...)
	}
	return []command{{argv: argv}}
}

func paramikoCheck(v *visit) {
	source := v.source(v.t, 10<<20+1)
	copyFile(v.t, source, v.disk("checked"))
	got := v.programs(script("/usr/bin/python3", "paramiko_client.py")(v.r, []step{{op: "check", remote: "checked"}})...)
	if want := v.sum(source); strings.TrimSpace(got) != want {
		v.t.Errorf("the server's SHA-256 is %q, want %s", got, want)
	}
}

// noFUSE tells why nothing can be mounted here. What a mount needs is not told by any number, so one is made.
func noFUSE() error {
	device, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer device.Close()
	if os.Geteuid() != 0 {
		return nil // fusermount3 is root's
	}
	dir, err := os.MkdirTemp("", "sampan-fuse-")
	if err != nil {
		return err
	}
	defer os.Remove(dir)
	how := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", device.Fd())
	if err := syscall.Mount("fuse", dir, "fuse", syscall.MS_NOSUID|syscall.MS_NODEV, how); err != nil {
		return fmt.Errorf("this system lets nobody mount FUSE: %w", err)
	}
	return syscall.Unmount(dir, syscall.MNT_DETACH)
}

// sshfs does the steps with the programs that people have for files, in one mount.
func sshfs(r route, do []step) []command {
	var lines []string
	for _, s := range do {
		local, there, to := shellWord(s.local), `"$there"/`+shellWord(s.remote), `"$there"/`+shellWord(s.to)
		lines = append(lines, map[string]string{
			"list":       "ls -1 " + there,
			"put":        "cp " + local + " " + there,
			"resume-put": "tail -c +$((" + s.to + "+1)) " + local + " >>" + there,
			"get":        "cp " + there + " " + local,
			"resume-get": "tail -c +$(($(stat -c %s " + local + ")+1)) " + there + " >>" + local,
			"abort":      "head -c 1000 " + there + " >" + local,
			"rename":     "mv -T " + there + " " + to,
			"delete":     "rm " + there,
			"mkdir":      "mkdir " + there,
			"rmdir":      "rmdir " + there,
		}[s.op])
	}
	return []command{sshfsSays(r, lines...)}
}

// sshfsSays is a mount with a script in it, which knows it as $there. The kernel tells sshfs of a close without waiting, and
// forgets to at an unmount, so that comes when all is published.
func sshfsSays(r route, lines ...string) command {
	how := "ssh " + strings.Join(sshOptions(r), " ")
	script := append([]string{
		"there=$(mktemp -d)",
		`trap 'fusermount3 -u "$there" || fusermount3 -uz "$there"; rmdir "$there"' EXIT`,
		"sshfs -o idmap=user -o ssh_command=" + shellWord(how) + " " + shellWord(r.bracketed()+":/") + ` "$there"`,
	}, lines...)
	script = append(script, "cd /", `until [ -z "$(ls `+shellWord(r.stages)+`)" ]; do sleep 0.02; done`)
	return command{argv: []string{"sh", "-euc", strings.Join(script, "\n")}, env: append(askpass(r), "GIT_CONFIG_NOSYSTEM=1")}
}

// shellWord is a word as the shell reads it.
func shellWord(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// sshfsInPlace: programs that change files where they are.
func sshfsInPlace(v *visit) {
	source := v.source(v.t, 300_001)
	v.programs(sshfsSays(v.r,
		"cp "+source+` "$there"/a`,
		`cp "$there"/a "$there"/b && cmp "$there"/a "$there"/b`,
		`mv "$there"/b "$there"/a`, // over a file that is there
		`printf 1234567890 | dd of="$there"/a bs=1 seek=1000 conv=notrunc status=none`,
		`truncate -s 200000 "$there"/a`,
		`truncate -s 300000 "$there"/a`,
		`echo the end >>"$there"/a`,
		`test "$(stat -c %s "$there"/a)" = 300008`,
		`chmod 600 "$there"/a && touch -d 2020-02-02T02:02:02Z "$there"/a`,
		`mkdir -p "$there"/x/y && mv "$there"/a "$there"/x/y/a`,
		`cat "$there"/x/y/a >`+v.local("back"),
	))
	want := read(v.t, source)[:200_000]
	copy(want[1000:], "1234567890")
	want = append(append(want, make([]byte, 100_000)...), "the end\n"...)
	for _, name := range []string{v.disk("x/y/a"), v.local("back")} {
		if got := read(v.t, name); string(got) != string(want) {
			v.t.Errorf("%s: %d bytes, and not what was meant", filepath.Base(name), len(got))
		}
	}
	info, err := os.Stat(v.disk("x/y/a"))
	if err != nil || info.Mode().Perm() != 0o600 || info.ModTime().UTC().Format("2006-01-02T15:04:05") != "2020-02-02T02:02:02" {
		v.t.Errorf("%v, %v", info, err)
	}
}

// sshfsGit: git clones into the mount and commits there.
func sshfsGit(v *visit) {
	tree := v.tree()
	git := "git -c user.name=a -c user.email=a@example.org -c init.defaultBranch=main "
	v.programs(sshfsSays(v.r,
		git+"init -q "+tree, "cd "+tree, git+"add .", git+"commit -qm first",
		git+"clone -q file://"+tree+` "$there"/clone`,
		`cd "$there"/clone`,
		"echo more >>a.bin", git+"commit -qam second", git+"fsck --strict", git+"gc -q",
		`test -z "$(git status --porcelain)"`,
		git+"push -q origin HEAD:refs/heads/back",
		"cd "+tree+" && "+git+"checkout -q back",
	))
	if err := os.RemoveAll(filepath.Join(tree, ".git")); err != nil {
		v.t.Fatal(err)
	}
	if err := os.RemoveAll(v.disk("clone/.git")); err != nil {
		v.t.Fatal(err)
	}
	v.sameTree("what was committed in the mount", v.disk("clone"), tree)
}

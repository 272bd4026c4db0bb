//go:build linux

package stories

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

var anySecurity = []string{"plain", "explicit", "implicit"}

// foreigners are the rows of the table.
var foreigners = []foreign{
	{
		name: "lftp", account: "lftp", version: "4.9.2", needs: []string{"lftp"},
		security: anySecurity, active: true, v6: true, run: lftp,
		own: []job{{name: "mirror, both ways", run: lftpMirror}, {name: "pget", run: lftpSegments}},
	},
	{
		name: "curl", account: "curl", version: "7.88.1", needs: []string{"curl"},
		security: anySecurity, active: true, v6: true, run: curl,
		own: []job{{name: "--ftp-method", run: curlMethods}, {name: "--quote", run: curlQuotes}, {name: "the reason of a refusal over TLS", run: curlRefused}},
		cannot: map[string]string{
			"explicit, active, IPv4": curlActive, "implicit, active, IPv4": curlActive, "explicit, active, IPv6": curlActive, "implicit, active, IPv6": curlActive,
		},
		met: []string{
			`creates directories level by level only: with --ftp-method nocwd and singlecwd each has to be there, whatever --ftp-create-dirs says.`,
			`shakes hands on a TLS data connection while it waits for the reply. If that connection ends first, it tells "Bad PASV/EPSV response" instead of why the upload was refused; so the server leaves it open.`,
			`sends ABOR when it has the range that it wants, and then begins a new session for the next file.`,
			`waits up to a second of its own accord between two transfers of one command.`,
		},
	},
	{
		name: "wget", account: "wget", version: "1.21.3", needs: []string{"wget"},
		security: anySecurity, active: true, v6: true, downloads: true, rawText: true, run: wget,
		own:    []job{{name: "--mirror", run: wgetMirror}},
		cannot: map[string]string{"abort, go on": "it gives nothing up"},
		met: []string{
			`leaves CRLF as it came in TYPE A.`,
			`leaves a file .listing in each directory that it mirrors.`,
		},
	},
	{
		name: "ncftp", account: "ncftp", version: "3.2.6", needs: []string{"ncftp", "ncftpget", "ncftpput", "ncftpls"},
		security: []string{"plain"}, active: true, run: ncftp,
		own:    []job{{name: "-R, both ways", run: ncftpTree}},
		cannot: map[string]string{"abort, go on": "each of its programs moves once and ends"},
		met: []string{
			`sends all of a file when it resumes an upload, unless ncftpput has -s: its sendfile begins at 0; so the test has -s.`,
			`cuts commands behind -W short at about 120 letters; its shell does not.`,
		},
	},
	{
		name: "tnftp", account: "tnftp", version: "20210827", needs: []string{"tnftp"},
		security: []string{"plain"}, active: true, v6: true, run: tnftp,
		own: []job{{name: "mput and mget", run: tnftpMany}},
		met: []string{
			`ends well whatever went wrong; only the files tell.`,
		},
	},
	{
		name: "aria2", account: "aria2", version: "1.36.0", needs: []string{"aria2c"},
		security: []string{"plain"}, active: true, v6: true, downloads: true, rawText: true, run: aria2,
		own:    []job{{name: "segments", run: aria2Segments}},
		cannot: map[string]string{"1,000 entries": "it lists nothing", "abort, go on": "it gives nothing up but segments"},
		met: []string{
			`may take 150 and 226 in one read, and then waits its whole time-out (a minute) for the 226 that it has. It says REST before each download, so the server sends 226 behind REST when the client has closed its end, or after 100 ms.`,
			`leaves CRLF as it came in TYPE A.`,
		},
	},
	{
		name: "rclone", account: "rclone", version: "1.60.1", needs: []string{"rclone"},
		security: anySecurity, v6: true, run: rclone,
		own: []job{{name: "copy, check, sync", run: rcloneTrees}, {name: "cat --head", run: rcloneHeads}},
		cannot: map[string]string{
			"abort, go on": "each of its commands is a session of its own, but see below",
			"TYPE A":       "it knows TYPE I only", "resume up": "it begins anew", "resume down": "it begins anew", "resume over 4 GiB": "it begins anew",
		},
		met: []string{
			`keeps the TLS tickets of all its connections in one place, so that a data connection may resume the session of another control connection. The server takes any of the same account.`,
			`wants an IPv6 address in brackets as its host.`,
			`fails in this version with downloads of more than 250 MB, for it takes them in four pieces and the 426 of each that it breaks off for an error; so the test has --multi-thread-streams 1.`,
		},
	},
	{
		name: "Python ftplib", account: "ftplib", version: "3.11", needs: []string{"python3"},
		security: anySecurity, active: true, v6: true, run: script("python3", "ftplib_client.py"),
		met: []string{
			`resumes no TLS session on data connections by itself; the test's own subclass does, as programs for picky servers do.`,
		},
	},
	{
		name: "Perl Net::FTP", account: "net-ftp", version: "3.14",
		needs:    []string{"perl", "/usr/share/perl5/IO/Socket/SSL.pm"},
		security: anySecurity, active: true, v6: true, lenient: true, run: script("perl", "net_ftp.pl"),
		own:    []job{{name: "abort, go on, in clear text", run: plainly(abortAndGoOn)}},
		cannot: map[string]string{"abort, go on": "under TLS it sends Telnet's signal beside TLS, which breaks the connection"},
		met: []string{
			`never resumes TLS on data connections: its account needs --lenient on.`,
			`sends Telnet's signal of an abort past TLS, straight into the socket, and so breaks its own control connection.`,
		},
	},
	{
		name: "Apache Commons Net", account: "commons-net", version: "3.9.0",
		needs:    []string{"java", "ecj", commonsNetJar},
		security: anySecurity, active: true, v6: true, lenient: true, prepare: compileCommonsNet, run: commonsNet,
		met: []string{
			`never resumes TLS on data connections: its account needs --lenient on.`,
			`calls an abort failed, since the first of the two replies is 426; completePendingCommand takes the second, and the session goes on.`,
		},
	},
	{
		name: "PHP ftp functions", account: "php", version: "8.2", needs: []string{"php"},
		security: []string{"plain", "explicit"}, active: true, v6: true, lenient: true, run: script("php", "ftp_functions.php"),
		own: []job{{name: "ftps:// streams", run: phpStreams}},
		cannot: map[string]string{
			"abort, go on": "they have none for that, and behind a raw ABOR they take the second reply for the next command's",
			"certificate":  "they verify none; its ftps:// streams do",
		},
		met: []string{
			`resume TLS on data connections; PHP's ftps:// streams never do, and need an account with --lenient on.`,
			`verify no certificate. PHP's ftps:// streams do, and send the path as it stands in the URL, %20 and all.`,
		},
	},
}

// script returns how a client is driven by a program of ours, which takes the route as arguments and steps as lines.
func script(program ...string) func(route, []step) []command {
	return func(r route, do []step) []command {
		file, err := filepath.Abs(filepath.Join("testdata", "clients", program[len(program)-1]))
		if err != nil {
			panic(err)
		}
		return []command{scripted(append(program[:len(program)-1:len(program)-1], file), r, do)}
	}
}

func scripted(program []string, r route, do []step) command {
	var lines strings.Builder
	for _, s := range do {
		fmt.Fprintf(&lines, "%s\t%s\t%s\t%s\n", s.op, s.local, s.remote, s.to)
	}
	argv := append(program, r.security, r.mode, r.host, r.port, r.user, r.password, r.ca)
	if r.ssh() {
		argv = append(argv, r.key)
	}
	return command{argv: argv, stdin: lines.String()}
}

const commonsNetJar = "/usr/share/java/commons-net.jar"

// javaClasses is where the compiled Java client is.
func javaClasses() string { return filepath.Join(filepath.Dir(binary), "classes") }

func compileCommonsNet() error {
	out, err := exec.Command("ecj", "-proc:none", "-11", "-cp", commonsNetJar, "-d", javaClasses(), "testdata/clients/CommonsNet.java").CombinedOutput()
	if err != nil {
		return fmt.Errorf("ecj: %w\n%s", err, out)
	}
	return nil
}

func commonsNet(r route, do []step) []command {
	return []command{scripted([]string{"java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", javaClasses() + ":" + commonsNetJar, "CommonsNet"}, r, do)}
}

// quoted is a word as lftp and tnftp read it.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// plainName keeps a name from being read as a switch.
func plainName(name string) string {
	if strings.HasPrefix(name, "-") {
		return "./" + name
	}
	return name
}

func lftp(r route, do []step) []command {
	lines := []string{}
	for _, s := range do {
		local, remote, to := quoted(s.local), quoted(plainName(s.remote)), quoted(plainName(s.to))
		lines = append(lines, map[string]string{
			"list":       "cls -1 " + remote,
			"put":        "put " + local + " -o " + remote,
			"put-text":   "put -a " + local + " -o " + remote,
			"resume-put": "put -c " + local + " -o " + remote,
			"get":        "get " + remote + " -o " + local,
			"get-text":   "get -a " + remote + " -o " + local,
			"resume-get": "get -c " + remote + " -o " + local,
			"abort":      "cat " + remote + " | head -c 1000 >/dev/null",
			"rename":     "mv " + remote + " " + to,
			"delete":     "rm " + remote,
			"mkdir":      "mkdir " + remote,
			"rmdir":      "rmdir " + remote,
		}[s.op])
	}
	return []command{lftpSays(r, lines...)}
}

// lftpSays is lftp, logged in, with lines of its language.
func lftpSays(r route, lines ...string) command {
	scheme := "ftp"
	set := "set net:max-retries 1; set net:timeout 60; set cmd:fail-exit yes; set xfer:clobber yes; set ftp:use-mdtm no;"
	switch r.security {
	case "plain":
		set += "set ftp:ssl-allow no;"
	case byKey, byPassword:
		scheme = "sftp"
		set += "set sftp:connect-program " + quoted("ssh -a -x "+strings.Join(sshOptions(r), " ")) + ";"
	case "implicit":
		scheme = "ftps"
		fallthrough
	default:
		set += "set ftp:ssl-force yes; set ftp:ssl-protect-data yes; set ssl:verify-certificate yes; set ssl:ca-file " + quoted(r.ca) + ";"
	}
	set += fmt.Sprintf("set ftp:passive-mode %t;", r.mode == "passive")
	set += fmt.Sprintf("open -u %s,%s %s://%s:%s;", r.user, r.password, scheme, r.bracketed(), r.port)
	return command{argv: []string{"lftp", "--norc", "-c", set + strings.Join(lines, ";")}}
}

func lftpMirror(v *visit) {
	tree, twin := v.tree(), v.local("twin")
	v.programs(lftpSays(v.r, "mirror -R "+tree+" mirrored", "mirror mirrored "+twin))
	v.sameTree("what arrived", v.disk("mirrored"), tree)
	v.sameTree("what came back", twin, tree)
	// A second time, in parallel, with one file more, one changed and one gone.
	write(v.t, filepath.Join(tree, "new.bin"), awkward(3, 40_000))
	write(v.t, filepath.Join(tree, "a.bin"), awkward(4, 70_000))
	if err := os.Remove(filepath.Join(tree, "e/f.bin")); err != nil {
		v.t.Fatal(err)
	}
	v.programs(lftpSays(v.r, "mirror -R -e -P 3 "+tree+" mirrored", "mirror -e -P 3 mirrored "+twin))
	v.sameTree("what arrived then", v.disk("mirrored"), tree)
	v.sameTree("what came back then", twin, tree)
}

func lftpSegments(v *visit) {
	source := v.source(v.t, 10<<20+1)
	copyFile(v.t, source, v.disk("segments"))
	v.programs(lftpSays(v.r, "pget -n 4 segments -o "+v.local("down")))
	v.same("what came", v.local("down"), source)
}

// curl does all in one process, which keeps its connection.
func curl(r route, do []step) []command {
	argv := []string{"curl", "-sS", "--disable", "--fail-early"}
	for i, s := range do {
		if i > 0 {
			argv = append(argv, "--next", "-sS")
		}
		common, base := curlWay(r)
		argv = append(argv, common...)
		url := base + escapeURL(s.remote)
		remote := plainName(s.remote)
		argv = append(argv, map[string][]string{
			"list":       {"--list-only", url + "/"},
			"put":        {"-T", s.local, url},
			"put-text":   {"-T", s.local, url + ";type=a"},
			"resume-put": {"-C", "-", "-T", s.local, url},
			"get":        {"-o", s.local, url},
			"get-text":   {"-o", s.local, url + ";type=a"},
			"resume-get": {"-C", "-", "-o", s.local, url},
			"abort":      {"-r", "0-999", "-o", s.local, url},
			"rename":     {"-o", os.DevNull, "-Q", "-RNFR " + remote, "-Q", "-RNTO " + plainName(s.to), base},
			"delete":     {"-o", os.DevNull, "-Q", "-DELE " + remote, base},
			"mkdir":      {"-o", os.DevNull, "-Q", "-MKD " + remote, base},
			"rmdir":      {"-o", os.DevNull, "-Q", "-RMD " + remote, base},
		}[s.op]...)
	}
	return []command{{argv: argv}}
}

// curlWay are the arguments for a route, and how its URLs begin.
func curlWay(r route) (argv []string, base string) {
	argv = []string{"--max-time", "500", "-u", r.user + ":" + r.password}
	scheme := "ftp"
	switch r.security {
	case "explicit":
		argv = append(argv, "--ssl-reqd", "--cacert", r.ca)
	case "implicit":
		scheme = "ftps"
		argv = append(argv, "--cacert", r.ca)
	case byKey:
		argv = append(argv, "--key", r.key, "--pubkey", r.key+".pub")
	}
	if r.ssh() {
		scheme = "sftp"
		argv = append(argv, "--hostpubsha256", strings.TrimPrefix(fingerprint(r), "SHA256:"))
	}
	if r.mode == "active" {
		argv = append(argv, "-P", "-")
	}
	return argv, fmt.Sprintf("%s://%s:%s/", scheme, r.bracketed(), r.port)
}

// escapeURL escapes every byte that is not plainly harmless.
func escapeURL(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c < 0x80 && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._/", c) >= 0) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func curlMethods(v *visit) {
	source := v.source(v.t, 300_001)
	for _, method := range []string{"multicwd", "nocwd", "singlecwd"} {
		way, base := curlWay(v.r)
		run := func(more ...string) {
			v.t.Helper()
			argv := append([]string{"curl", "-sS", "--disable", "--fail-early", "--ftp-method", method}, way...)
			v.programs(command{argv: append(argv, more...)})
		}
		url := base + escapeURL("methods/"+method+"/内 里/f.bin")
		create := []string{"--ftp-create-dirs"} // which it does level by level only
		if method != "multicwd" {
			if err := os.MkdirAll(v.disk("methods/"+method+"/内 里"), 0o777); err != nil {
				v.t.Fatal(err)
			}
			create = nil
		}
		run(append(create, "-T", source, url)...)
		v.same(method, v.disk("methods/"+method+"/内 里/f.bin"), source)
		run("-o", v.local(method), url)
		v.same(method+" back", v.local(method), source)
		absolute := base + "%2F" + escapeURL("methods/"+method+"/内 里/f.bin") // RFC 1738 section 3.2.2
		run("-o", v.local(method), absolute)
		v.same(method+" from the top", v.local(method), source)
	}
}

// curlActive is why ways are left out.
const curlActive = "before its version 8.0 it sends clear text on active data connections under TLS"

// curlRefused: the reason of a refusal is told under TLS too.
func curlRefused(v *visit) {
	way, base := curlWay(v.r)
	argv := append([]string{"curl", "-sSv", "--disable", "-T", v.source(v.t, 1)}, way...)
	got := runIn(v.t, v.dir, "", append(argv, "--ftp-method", "nocwd", base+"nowhere/f")...)
	if got.code != 25 || !strings.Contains(got.err, "550 /nowhere: no such file or directory") {
		v.t.Errorf("exit %d\n%s", got.code, got.err)
	}
}

func curlQuotes(v *visit) {
	way, base := curlWay(v.r)
	write(v.t, v.disk("quoted"), []byte("content"))
	argv := append([]string{"curl", "-sSv", "--disable"}, way...)
	argv = append(argv, "-Q", "SITE CHMOD 600 quoted", "-Q", "+MDTM quoted", "-Q", "-RNFR quoted", "-Q", "-RNTO renamed", "-Q", "*NONSENSE", base+"quoted")
	if out := v.programs(command{argv: argv}); out != "content" {
		v.t.Errorf("%q came", out)
	}
	info, err := os.Stat(v.disk("renamed"))
	if err != nil || info.Mode().Perm() != 0o600 {
		v.t.Errorf("renamed: %v, %v", info, err)
	}
}

func wget(r route, do []step) []command {
	var all []command
	for _, s := range do {
		argv, base := wgetWay(r)
		url := base + escapeURL(s.remote)
		argv = append(argv, map[string][]string{
			"list":       {"--no-remove-listing", "-O", os.DevNull, url + "/"},
			"get":        {"-O", s.local, url},
			"get-text":   {"-O", s.local, url + ";type=a"},
			"resume-get": {"-c", "-O", s.local, url},
		}[s.op]...)
		all = append(all, command{argv: argv})
		if s.op == "list" {
			all = append(all, command{argv: []string{"cat", ".listing"}})
		}
	}
	return all
}

func wgetWay(r route) (argv []string, base string) {
	argv = []string{"wget", "--no-config", "-q", "--tries=1", "--timeout=100", "--ftp-user", r.user, "--ftp-password", r.password}
	scheme := "ftp"
	if r.security != "plain" {
		scheme = "ftps"
		argv = append(argv, "--ca-certificate", r.ca)
	}
	if r.security == "implicit" {
		argv = append(argv, "--ftps-implicit")
	}
	if r.mode == "active" {
		argv = append(argv, "--no-passive-ftp")
	}
	return argv, fmt.Sprintf("%s://%s:%s/", scheme, r.bracketed(), r.port)
}

func wgetMirror(v *visit) {
	tree := v.tree()
	if err := os.CopyFS(v.disk("mirrored"), os.DirFS(tree)); err != nil {
		v.t.Fatal(err)
	}
	argv, base := wgetWay(v.r)
	v.programs(command{argv: append(argv, "--mirror", "--no-host-directories", "--restrict-file-names=nocontrol", base+"mirrored/")})
	for _, dir := range []string{"", "b", "b/c", "e"} {
		if err := os.Remove(v.local(filepath.Join("mirrored", dir, ".listing"))); err != nil {
			v.t.Error(err)
		}
	}
	v.sameTree("what came", v.local("mirrored"), tree)
}

func ncftp(r route, do []step) []command {
	var all []command
	for _, s := range do {
		remote := plainName(s.remote)
		if line, ok := map[string]string{
			"rename": "rename " + quoted(remote) + " " + quoted(plainName(s.to)),
			"delete": "rm " + quoted(remote),
			"mkdir":  "mkdir " + quoted(remote),
			"rmdir":  "rmdir " + quoted(remote),
		}[s.op]; ok { // these are of its shell
			all = append(all, command{argv: append(ncftpSays(r, "ncftp"), r.host), stdin: line + "\nquit\n"})
			continue
		}
		all = append(all, command{argv: map[string][]string{
			"list":       ncftpSays(r, "ncftpls", "-1", "ftp://"+r.host+"/"+escapeURL(s.remote)+"/"),
			"put":        ncftpSays(r, "ncftpput", "-V", "-C", r.host, s.local, remote),
			"put-text":   ncftpSays(r, "ncftpput", "-V", "-a", "-C", r.host, s.local, remote),
			"resume-put": ncftpSays(r, "ncftpput", "-V", "-z", "-s", "-C", r.host, s.local, remote),
			"get":        ncftpSays(r, "ncftpget", "-V", "-Z", "-C", r.host, remote, s.local),
			"get-text":   ncftpSays(r, "ncftpget", "-V", "-Z", "-a", "-C", r.host, remote, s.local),
			"resume-get": ncftpSays(r, "ncftpget", "-V", "-z", "-C", r.host, remote, s.local),
		}[s.op]})
	}
	return all
}

func ncftpSays(r route, program string, more ...string) []string {
	mode := map[string]string{"passive": "-F", "active": "-E"}[r.mode]
	argv := []string{program, mode, "-u", r.user, "-p", r.password, "-P", r.port, "-t", "100"}
	if program == "ncftp" {
		argv = slices.Concat(argv[:1], argv[2:8])
	}
	return append(argv, more...)
}

func ncftpTree(v *visit) {
	tree := v.tree()
	v.programs(command{argv: ncftpSays(v.r, "ncftpput", "-V", "-R", "-m", v.r.host, "put", tree)})
	v.sameTree("what arrived", v.disk("put/tree"), tree)
	v.programs(command{argv: ncftpSays(v.r, "ncftpget", "-V", "-R", v.r.host, v.local("back"), "put/tree")})
	v.sameTree("what came back", v.local("back/tree"), tree)
}

func tnftp(r route, do []step) []command {
	lines := []string{}
	for _, s := range do {
		local, remote, to := quoted(s.local), quoted(s.remote), quoted(s.to)
		lines = append(lines, map[string]string{
			"list":       "nlist " + remote,
			"put":        "put " + local + " " + remote,
			"put-text":   "ascii\nput " + local + " " + remote + "\nbinary",
			"resume-put": "restart " + s.to + "\nput " + local + " " + remote,
			"get":        "get " + remote + " " + local,
			"get-text":   "ascii\nget " + remote + " " + local + "\nbinary",
			"resume-get": "reget " + remote + " " + local,
			"abort":      "get " + remote + ` "|head -c 1000"`,
			"rename":     "rename " + remote + " " + to,
			"delete":     "delete " + remote,
			"mkdir":      "mkdir " + remote,
			"rmdir":      "rmdir " + remote,
		}[s.op])
	}
	return []command{tnftpSays(r, lines...)}
}

func tnftpSays(r route, lines ...string) command {
	lines = append([]string{"user " + r.user + " " + r.password, "binary"}, lines...)
	mode := map[string]string{"passive": "-p", "active": "-A"}[r.mode]
	return command{argv: []string{"tnftp", "-n", "-i", "-V", mode, r.host, r.port}, stdin: strings.Join(lines, "\n") + "\nquit\n"}
}

func tnftpMany(v *visit) {
	up, back := v.local("up"), v.local("back")
	for _, dir := range []string{up, back, v.disk("many")} {
		if err := os.Mkdir(dir, 0o777); err != nil {
			v.t.Fatal(err)
		}
	}
	for i := range 20 {
		write(v.t, filepath.Join(up, fmt.Sprintf("f%d.bin", i)), awkward(i, 1000*i))
	}
	v.programs(tnftpSays(v.r, "cd many", "lcd "+up, "mput *.bin", "lcd "+back, "mget *.bin"))
	v.sameTree("what arrived", v.disk("many"), up)
	v.sameTree("what came back", back, up)
}

func aria2(r route, do []step) []command {
	var all []command
	for _, s := range do {
		argv := map[string][]string{
			"get":        {"--split=1", "--allow-overwrite=true"},
			"get-text":   {"--split=1", "--ftp-type=ascii"},
			"resume-get": {"--split=1", "--continue=true"},
		}[s.op]
		all = append(all, command{argv: aria2Says(r, s, argv...)})
	}
	return all
}

func aria2Says(r route, s step, more ...string) []string {
	argv := []string{
		"aria2c", "--no-conf", "--quiet", "--max-tries=1", "--timeout=100", "--file-allocation=none", "--ftp-user", r.user, "--ftp-passwd", r.password,
		fmt.Sprintf("--ftp-pasv=%t", r.mode == "passive"), "--dir", filepath.Dir(s.local), "--out", filepath.Base(s.local),
	}
	return append(append(argv, more...), fmt.Sprintf("ftp://%s:%s/%s", r.bracketed(), r.port, escapeURL(s.remote)))
}

func aria2Segments(v *visit) {
	source := v.source(v.t, 10<<20+1)
	copyFile(v.t, source, v.disk("segments"))
	s := step{local: v.local("down"), remote: "segments"}
	v.programs(command{argv: aria2Says(v.r, s, "--split=5", "--max-connection-per-server=5", "--min-split-size=1M")})
	v.same("what came", v.local("down"), source)
}

func rclone(r route, do []step) []command {
	var all []command
	for _, s := range do {
		remote := "there:" + s.remote
		all = append(all, rcloneSays(r, map[string][]string{
			"list":   {"lsf", remote},
			"put":    {"copyto", s.local, remote},
			"get":    {"copyto", remote, s.local},
			"rename": {"moveto", remote, "there:" + s.to},
			"delete": {"deletefile", remote},
			"mkdir":  {"mkdir", remote},
			"rmdir":  {"rmdir", remote},
		}[s.op]...))
	}
	return all
}

// rcloneSays is rclone with a remote called there.
func rcloneSays(r route, argv ...string) command {
	env := []string{"RCLONE_CONFIG=/dev/null", "SSL_CERT_FILE=" + r.ca, "SSL_CERT_DIR=/nowhere"}
	remote := map[string]string{
		"TYPE": "ftp", "HOST": r.bracketed(), "PORT": r.port, "USER": r.user,
		"TLS": fmt.Sprint(r.security == "implicit"), "EXPLICIT_TLS": fmt.Sprint(r.security == "explicit"),
	}
	if r.ssh() {
		remote = map[string]string{"TYPE": "sftp", "HOST": r.bracketed(), "PORT": r.port, "USER": r.user, "KNOWN_HOSTS_FILE": r.ca, "KEY_FILE": r.key}
	}
	if r.password != "" {
		remote["PASS"] = obscured(r.password)
	}
	for name, value := range remote {
		env = append(env, "RCLONE_CONFIG_THERE_"+name+"="+value)
	}
	return command{argv: append([]string{"rclone", "--retries", "1", "--low-level-retries", "1", "--multi-thread-streams", "1"}, argv...), env: env}
}

// obscured is a password as rclone wants it.
func obscured(password string) string {
	out, err := exec.Command("rclone", "obscure", password).Output()
	if err != nil {
		panic(err)
	}
	return strings.TrimSpace(string(out))
}

func rcloneTrees(v *visit) {
	tree, twin := v.tree(), v.local("twin")
	v.programs(
		rcloneSays(v.r, "copy", "--create-empty-src-dirs", tree, "there:tree"),
		rcloneSays(v.r, "check", "--download", tree, "there:tree"),
		rcloneSays(v.r, "copy", "there:tree", twin),
	)
	v.sameTree("what arrived", v.disk("tree"), tree)
	v.sameTree("what came back", twin, tree)
	write(v.t, filepath.Join(tree, "a.bin"), awkward(4, 70_000))
	write(v.t, filepath.Join(tree, "new.bin"), awkward(3, 40_000))
	if err := os.Remove(filepath.Join(tree, "e/f.bin")); err != nil {
		v.t.Fatal(err)
	}
	v.programs(rcloneSays(v.r, "sync", tree, "there:tree"), rcloneSays(v.r, "sync", "there:tree", twin))
	v.sameTree("what arrived then", v.disk("tree"), tree)
	v.sameTree("what came back then", twin, tree)
}

// rcloneHeads gives up one download after another, in one command.
func rcloneHeads(v *visit) {
	if err := os.Mkdir(v.disk("heads"), 0o777); err != nil {
		v.t.Fatal(err)
	}
	for i := range 3 {
		copyFile(v.t, v.source(v.t, 10<<20+1), v.disk(fmt.Sprintf("heads/%d", i)))
	}
	head := string(read(v.t, v.source(v.t, 10<<20+1))[:1000])
	if got := v.programs(rcloneSays(v.r, "cat", "--head", "1000", "there:heads")); got != strings.Repeat(head, 3) {
		v.t.Errorf("%d bytes came, or not the right ones", len(got))
	}
}

func phpStreams(v *visit) {
	source := v.source(v.t, 300_001)
	v.programs(script("php", "ftp_streams.php")(v.r, []step{{op: "put", local: source, remote: "streamed-流"}, {op: "get", local: v.local("down"), remote: "streamed-流"}})...)
	v.same("what arrived", v.disk("streamed-流"), source)
	v.same("what came back", v.local("down"), source)
}

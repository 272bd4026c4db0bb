//go:build linux

package stories

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestForeignTickets: what other people's clients do with TLS tickets, and what becomes of their data connections. curl
// shows a ticket of TLS 1.3 once and shares it among its connections, lftp and a ftplib that resumes show theirs always;
// ftplib as it is never does.
func TestForeignTickets(t *testing.T) {
	t.Parallel()
	const content = "some content"
	get := func(flags ...string) func(*server) []string {
		return func(s *server) []string {
			argv := append([]string{"curl", "-sS", "--disable", "--max-time", "60", "--ssl-reqd", "--cacert", cert(s), "-u", "alice:pw-of-alice"}, flags...)
			for i := range 6 {
				argv = append(argv, "-o", fmt.Sprint("down", i), "ftp://"+s.addr+"/f")
			}
			return argv
		}
	}
	python := func(connection string) func(*server) []string {
		return func(s *server) []string {
			host, port, _ := strings.Cut(s.addr, ":")
			return []string{"python3", "-c", `
import ftplib, ssl, sys
class Resuming(ftplib.FTP_TLS):
    def ntransfercmd(self, cmd, rest=None):
        conn, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        return self.context.wrap_socket(conn, server_hostname=self.host, session=self.sock.session), size
Plain = ftplib.FTP_TLS
ftp = ` + connection + `(context=ssl.create_default_context(cafile=sys.argv[3]))
ftp.connect(sys.argv[1], int(sys.argv[2]))
ftp.login("alice", "pw-of-alice")
ftp.prot_p()
for i in range(6):
    with open("down%d" % i, "wb") as f:
        ftp.retrbinary("RETR f", f.write)
ftp.quit()
`, host, port, cert(s)}
		}
	}
	lftp := func(s *server) []string {
		script := "set net:max-retries 1; set net:timeout 60; set cmd:fail-exit yes; set ftp:ssl-force yes; set ssl:ca-file " + cert(s) +
			"; open -u alice,pw-of-alice ftp://" + s.addr
		for i := range 6 {
			script += fmt.Sprint("; get f -o down", i)
		}
		return []string{"lftp", "--norc", "-c", script}
	}
	for _, test := range []struct {
		name    string
		mode    string
		lenient bool
		argv    func(*server) []string
		refusal string // "" if all is well
	}{
		{"curl", "auto", false, get(), ""},
		{"curl with TLS 1.2", "auto", false, get("--tls-max", "1.2"), ""},
		{"curl, many at once", "auto", false, get("-Z"), ""},
		{"lftp", "auto", false, lftp, ""},
		{"lftp", "required", false, lftp, ""},
		{"ftplib that resumes", "auto", false, python("Resuming"), ""},
		{"ftplib that resumes", "required", false, python("Resuming"), ""},
		{"ftplib", "auto", false, python("Plain"), "sampan user set alice --lenient on"},
		{"ftplib", "auto", true, python("Plain"), ""},
		{"ftplib", "required", true, python("Plain"), "required here"},
		{"ftplib", "off", false, python("Plain"), ""},
	} {
		t.Run(strings.TrimSpace(fmt.Sprintf("%s %s", test.mode, test.name)), func(t *testing.T) {
			t.Parallel()
			s := startServer(t, "--tls-data", test.mode)
			s.addUser("alice")
			if test.lenient {
				if got := s.sampan("", "user", "set", "alice", "--lenient", "on"); got.code != 0 {
					t.Fatal(got)
				}
			}
			write(t, filepath.Join(s.home("alice"), "f"), []byte(content))
			dir := t.TempDir()
			got := runIn(t, dir, "", test.argv(s)...)
			if test.refusal != "" {
				if got.code == 0 || !strings.Contains(got.out+got.err, test.refusal) {
					t.Fatalf("exit %d\n%s%s", got.code, got.out, got.err)
				}
				return
			}
			if got.code != 0 {
				t.Fatalf("exit %d\n%s%s", got.code, got.out, got.err)
			}
			for i := range 6 {
				if b := read(t, filepath.Join(dir, fmt.Sprint("down", i))); string(b) != content {
					t.Errorf("file %d: %q", i, b)
				}
			}
		})
	}
}

func cert(s *server) string { return filepath.Join(s.data, "tls", "cert.pem") }

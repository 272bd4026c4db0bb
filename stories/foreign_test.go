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
	"testing"
)

// The tables of foreign clients, one for FTP and one for SFTP. Their rows are other people's clients (foreign_clients_test.go
// and foreign_sftp_test.go tell how each is driven), their columns are jobs (foreign_jobs_test.go). docs/compatibility.md
// is written from them (foreign_page_test.go).

// foreign is somebody else's client: a row of the table.
type foreign struct {
	name      string
	account   string
	version   string   // what the page was written with
	needs     []string // programs, and files with their whole path
	security  []string // plain, explicit, implicit; over SFTP key, password
	active    bool
	v6        bool
	downloads bool                               // and nothing else
	copies    bool                               // and makes, renames and removes nothing
	lenient   bool                               // never resumes TLS, which its account has to be allowed
	rawText   bool                               // TYPE A leaves CRLF as it came
	prepare   func() error                       // before anything is run, if not nil
	absent    func() error                       // why this machine cannot run it, if not nil
	run       func(r route, do []step) []command // how it is told what to do
	own       []job                              // what only this client does
	cannot    map[string]string                  // columns and ways that stay empty, and why
	met       []string                           // what the page tells about it
}

// step is one thing that a client is asked to do.
type step struct {
	op            string // list put get resume-put resume-get put-text get-text abort rename delete mkdir rmdir
	local, remote string
	to            string // the new name; before resume-put, how many bytes are there
}

// command is one run of a program.
type command struct {
	argv  []string
	stdin string
	env   []string
	mute  bool // what it prints tells names that are in no list
}

// job is a column of the table.
type job struct {
	name string
	up   bool // is about uploads
	tls  bool // is about TLS
	long bool // is for the long run, alone
	run  func(v *visit)
}

// way is how a client reaches the server.
type way struct{ security, mode, family string }

func (w way) String() string {
	if w.mode == "" {
		return w.security + ", " + w.family
	}
	return w.security + ", " + w.mode + ", " + w.family
}

// ssh reports whether it is a way of SFTP.
func (w way) ssh() bool { return slices.Contains(anyLogin, w.security) }

// ways are all that the client knows; the first is the one by which it does its jobs.
func (f foreign) ways() []way {
	security, modes, families := slices.Clone(f.security), []string{"passive"}, []string{"IPv4"}
	if f.active {
		modes = append(modes, "active")
	}
	if (way{security: security[0]}).ssh() {
		modes = []string{""}
	}
	if f.v6 {
		families = append(families, "IPv6")
	}
	slices.SortStableFunc(security, func(a, b string) int { // explicit TLS first
		return strings.Compare(strings.TrimPrefix(a, "explicit"), strings.TrimPrefix(b, "explicit"))
	})
	var all []way
	for _, family := range families {
		for _, mode := range modes {
			for _, s := range security {
				all = append(all, way{s, mode, family})
			}
		}
	}
	return all
}

// route is a way to one server for one account.
type route struct {
	way
	host, port     string // as the certificate names it
	user, password string
	ca             string // the certificate that is trusted; over SFTP the file of known hosts
	key            string // the file of the private key, for who comes by key
	stages         string // where on the server's disk lies what is not published yet
}

// bracketed is the host as it stands in a URL.
func (r route) bracketed() string {
	if r.family == "IPv6" {
		return "[" + r.host + "]"
	}
	return r.host
}

func (s *server) route(w way, user string) route {
	s.t.Helper()
	addr := s.addr
	switch {
	case w.security == "implicit":
		addr = s.ftps
	case w.ssh():
		addr = s.sftp
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		s.t.Fatalf("the address for %v: %v", w, err)
	}
	r := route{w, host, port, user, "pw-of-" + user, filepath.Join(s.data, "tls", "cert.pem"), "", filepath.Join(s.home(user), ".sampan", "stage")}
	if w.ssh() {
		r.ca = filepath.Join(s.data, "known_hosts")
	}
	if w.security == byKey {
		r.password, r.key = "", userKey()
	}
	return r
}

// why tells why a client does not do a job; "" if it does.
func (f foreign) why(j job) string {
	switch {
	case f.cannot[j.name] != "":
		return f.cannot[j.name]
	case j.up && f.downloads:
		return "it downloads only"
	case j.tls && !slices.Contains(f.security, "explicit"):
		return "it knows no TLS"
	}
	return ""
}

// ready makes sure that all is there that the client needs.
func (f foreign) ready() error {
	for _, need := range f.needs {
		var err error
		if filepath.IsAbs(need) {
			_, err = os.Stat(need)
		} else {
			_, err = exec.LookPath(need)
		}
		if err != nil {
			return fmt.Errorf("%s is not installed; scripts/install-test-deps installs it: %w", need, err)
		}
	}
	if f.prepare != nil {
		return f.prepare()
	}
	return nil
}

// TestForeignClients: other people's clients do the jobs of the table, and reach the server by every way that they know.
func TestForeignClients(t *testing.T) {
	t.Parallel()
	servers := startFamilies(t, "--ftps")
	x := &fixtures{dir: t.TempDir(), sums: map[string]string{}}
	x.other = filepath.Join(startServer(t).data, "tls", "cert.pem")
	x.visits(t, foreigners, jobs, servers, func(s *server, f foreign) {
		if f.lenient {
			if r := s.sampan("", "user", "set", f.account, "--lenient", "on"); r.code != 0 {
				t.Fatalf("--lenient on: %s%s", r.out, r.err)
			}
		}
	})
}

// startFamilies starts a server for each family of addresses that this machine has; it listens at listener, too.
func startFamilies(t *testing.T, listener string) map[string]*server {
	t.Helper()
	servers := map[string]*server{"IPv4": startServer(t, listener, "127.0.0.1:0", "--max-sessions-per-address", "1000")}
	if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
		l.Close()
		servers["IPv6"] = startServer(t, "--ftp", "[::1]:0", listener, "[::1]:0", "--max-sessions-per-address", "1000")
	} else {
		t.Logf("this machine has no IPv6: %v", err)
	}
	return servers
}

// visits has every client of a table do its jobs, and come by every way that it knows. Servers are by family; allow is done
// for each new account.
func (x *fixtures) visits(t *testing.T, clients []foreign, jobs []job, servers map[string]*server, allow func(*server, foreign)) {
	for _, f := range clients {
		if err := f.ready(); err != nil {
			t.Error(err)
			continue
		}
		if f.absent != nil {
			if err := f.absent(); err != nil {
				t.Logf("%s CANNOT BE TRIED HERE: %v", f.name, err)
				continue
			}
		}
		for _, s := range servers {
			s.addUser(f.account)
			allow(s, f)
		}
		for i, w := range f.ways() {
			s := servers[w.family]
			if s == nil || f.cannot[w.String()] != "" {
				continue
			}
			work := []job{{name: w.String(), run: roundTrip}}
			if i == 0 {
				work = slices.Concat(jobs, f.own)
			}
			for _, j := range work {
				if f.why(j) != "" || j.long && !longRun {
					continue
				}
				t.Run(f.name+"/"+j.name, func(t *testing.T) {
					if !j.long {
						t.Parallel()
					}
					j.run(&visit{t, s, f, s.route(w, f.account), t.TempDir(), x})
				})
			}
		}
	}
}

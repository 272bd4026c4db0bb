package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows is the import policy of the module: who may import whom, and why. A line without an arrow continues the
// reason above it. A package that is not listed, and an import that no line allows, fail the test.
//
// main may import all of them: it is the wiring.
const arrows = `
words                                       It imports nothing of ours: whatever speaks can use it.
fault    <- words                           A failure is a kind and a sentence, below everything that can fail.
files    <- words fault                     Trees of files know nothing of accounts or protocols, so both ends share them.
account  <- words fault files               Grants are by path; the Book does not know who is connected.
session  <- words fault files account       The one door: nothing of a protocol in it, and nobody goes round it.
ftp      <- words fault                     Grammar only, pure, for both ends; it cannot touch a file or a socket of ours.
sftp     <- words fault                     The same.
ftpd     <- words fault files account session ftp
                                            A protocol translates to the door. It sees neither the client nor
                                            another protocol, so a door can be closed without touching the next.
sftpd    <- words fault files account session sftp
                                            The same.
admin    <- words fault files account session
                                            The operator's API over the book and the hub, whatever serves it.
console  <- words fault files account session admin
                                            The live screen says what the API says, in the server's own process.
webd     <- words fault files account session admin
                                            The web door mounts the API's handlers beside its own.
client   <- words fault files ftp sftp      The client knows a server by its protocols only: no shortcut through our own
                                            server's packages, so it works with anybody's.
shell    <- words fault files ftp sftp client
                                            The interactive face of the client.
files/filestest <- words fault files        The suite of every Store; only tests import it.
console/consoletest <-                      A terminal for tests; only they import it.
stories  <- console/consoletest             Whole-program tests: they run the binary and import nothing of it.
bench                                       A program of its own that measures servers from outside; ours is one of them.
`

// A rule says what one package may import.
type rule struct {
	may map[string]bool
	why string
}

func parseArrows(t *testing.T) map[string]*rule {
	t.Helper()
	rules := map[string]*rule{}
	var last *rule
	for line := range strings.Lines(arrows) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "":
		case line[0] == ' ' && last != nil:
			last.why += " " + strings.TrimSpace(line)
		default:
			name, rest, _ := strings.Cut(line, " ")
			last = &rule{may: map[string]bool{}}
			rest = strings.TrimLeft(rest, " ")
			if list, ok := strings.CutPrefix(rest, "<-"); ok {
				list, why, _ := strings.Cut(list, "  ")
				for _, p := range strings.Fields(list) {
					if rules[p] == nil {
						t.Errorf("%s: %s stands below it or nowhere", name, p)
					}
					last.may[p] = true
				}
				rest = why
			}
			last.why = strings.TrimSpace(rest)
			rules[name] = last
		}
	}
	for name, r := range rules {
		if r.why == "" {
			t.Errorf("%s: no reason is given", name)
		}
	}
	return rules
}

// A source is one file of the module.
type source struct {
	path, dir string
	test      bool
	file      *ast.File
}

func moduleSources(t *testing.T) (*token.FileSet, []source) {
	t.Helper()
	fset := token.NewFileSet()
	var all []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "tools" || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		all = append(all, source{path, filepath.ToSlash(filepath.Dir(path)), strings.HasSuffix(path, "_test.go"), f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fset, all
}

func TestArrows(t *testing.T) {
	t.Parallel()
	rules := parseArrows(t)
	_, list := moduleSources(t)
	seen := map[string]bool{}
	for _, s := range list {
		if s.dir == "." {
			continue
		}
		r := rules[s.dir]
		if r == nil {
			t.Errorf("%s: package %s has no rule; write one with its reason", s.path, s.dir)
			continue
		}
		seen[s.dir] = true
		for _, imp := range s.file.Imports {
			name, _ := strconv.Unquote(imp.Path.Value)
			ours, ok := strings.CutPrefix(name, "sampan/")
			switch {
			case !ok && name != "sampan":
			case ours == s.dir && s.test: // an external test of the package
			case strings.HasSuffix(ours, "test") && s.test:
			case strings.HasSuffix(ours, "test"):
				t.Errorf("%s imports %s: only tests do", s.path, ours)
			case s.test && mayTest[s.dir][ours] != "":
			case !r.may[ours]:
				t.Errorf("%s imports %s; %s may import %v: %s", s.path, ours, s.dir, slices.Sorted(maps.Keys(r.may)), r.why)
			}
		}
	}
	if len(seen) < 8 {
		t.Errorf("only %d packages were found: the test does not see them", len(seen))
	}
}

// mayTest lists what only a package's tests may import besides, with the reason.
var mayTest = map[string]map[string]string{
	"client": {
		"ftpd":    "the suite runs through our client and our server",
		"sftpd":   "the same over SFTP",
		"session": "a real server needs a hub",
		"account": "and a real book",
	},
	"shell": {
		"ftpd":    "the shell is tried on a real server",
		"session": "a real server needs a hub",
		"account": "and a real book",
	},
}

// TestHouseRules holds what the packages promise each other besides their imports.
func TestHouseRules(t *testing.T) {
	t.Parallel()
	fset, list := moduleSources(t)
	for _, s := range list {
		switch name := s.file.Name.Name; strings.TrimSuffix(name, "_test") {
		case "util", "utils", "common", "helper", "helpers", "misc", "base":
			t.Errorf("%s: package %s says nothing about what is in it", s.path, name)
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: init() acts before main can decide", fset.Position(f.Pos()))
			}
		}
		if s.test || s.file.Name.Name == "main" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if pkg, ok := sel.X.(*ast.Ident); ok && ends[pkg.Name+"."+sel.Sel.Name] {
					t.Errorf("%s: %s.%s ends the process; only a program's main package does", fset.Position(n.Pos()), pkg.Name, sel.Sel.Name)
				}
			}
			return true
		})
	}
}

// ends are the calls that end the process past every deferred Close.
var ends = map[string]bool{"os.Exit": true, "log.Fatal": true, "log.Fatalf": true, "log.Fatalln": true, "syscall.Exit": true}

package words

import (
	"fmt"
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
	"unicode"
)

// The convention that this test holds the whole module to:
//
//   - A sentence is written as a literal where it arises, as the format of words.M, fault.New or fault.Wrap, or as the
//     Text of a words.Message.
//   - A function or method that passes a sentence on to them is a helper. Its last parameters are named and typed
//     `text string, args ...any`, and its callers are looked at as if they called words.M. Nothing else may give
//     words.M, fault.New or fault.Wrap a format that is not a literal.
//   - Helpers are found by name, without types: a package's own by their name, exported ones also behind any
//     selector in other packages. So the name of a helper is not given to something else.

// A use is one sentence in the source.
type use struct {
	at   token.Position
	text string
	args int // -1 if they are passed on as a slice
}

// sources is what the test reads: every package of the module, tests left out.
type sources struct {
	fset    *token.FileSet
	files   map[string][]*ast.File    // by directory, relative to the module
	helpers map[string]map[string]int // by directory ("*" for exported ones): name to the index of text
}

func readSources(t *testing.T) *sources {
	t.Helper()
	s := &sources{token.NewFileSet(), map[string][]*ast.File{}, map[string]map[string]int{"*": {}}}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != ".." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "tools" || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(s.fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel("..", filepath.Dir(path))
		dir := filepath.ToSlash(rel)
		s.files[dir] = append(s.files[dir], f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir, list := range s.files {
		s.helpers[dir] = map[string]int{}
		for _, f := range list {
			for _, d := range f.Decls {
				s.addHelper(dir, d)
			}
		}
	}
	// A method's name in another package says nothing about its receiver, but these are meant.
	return s
}

// addHelper notes d if it is a helper.
func (s *sources) addHelper(dir string, d ast.Decl) {
	f, ok := d.(*ast.FuncDecl)
	if !ok {
		return
	}
	at, ok := textParameter(f.Type)
	if !ok {
		return
	}
	s.helpers[dir][f.Name.Name] = at
	if f.Name.IsExported() && dir != "fault" && dir != "words" { // New and M have namesakes everywhere
		s.helpers["*"][f.Name.Name] = at
	}
}

// textParameter returns the index of `text string` before a last `args ...any`.
func textParameter(f *ast.FuncType) (int, bool) {
	var names, types []string
	for _, field := range f.Params.List {
		for _, n := range field.Names {
			names, types = append(names, n.Name), append(types, typeName(field.Type))
		}
	}
	n := len(names)
	if n < 2 || types[n-1] != "...any" || types[n-2] != "string" || names[n-2] != "text" {
		return 0, false
	}
	return n - 2, true
}

func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.Ellipsis:
		return "..." + typeName(e.Elt)
	}
	return ""
}

// textOf returns the index of the sentence among the arguments of call, which stands in package dir.
func (s *sources) textOf(dir string, call *ast.CallExpr) (int, bool) {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		at, ok := s.helpers[dir][f.Name]
		return at, ok
	case *ast.SelectorExpr:
		if pkg, ok := f.X.(*ast.Ident); ok && (pkg.Name == "words" || pkg.Name == "fault") {
			at, ok := s.helpers[pkg.Name][f.Sel.Name]
			return at, ok
		}
		if at, ok := s.helpers[dir][f.Sel.Name]; ok && dir != "fault" && dir != "words" {
			return at, ok
		}
		at, ok := s.helpers["*"][f.Sel.Name]
		return at, ok
	}
	return 0, false
}

// uses returns every sentence of the module; what breaks the convention is an error of t.
func (s *sources) uses(t *testing.T) []use {
	t.Helper()
	var all []use
	for dir, list := range s.files {
		for _, f := range list {
			for _, d := range f.Decls {
				fn, _ := d.(*ast.FuncDecl)
				ast.Inspect(d, func(n ast.Node) bool {
					switch n := n.(type) {
					case *ast.CallExpr:
						if u, ok := s.call(t, dir, fn, n); ok {
							all = append(all, u)
						}
					case *ast.CompositeLit:
						if u, ok := s.composite(n); ok {
							all = append(all, u)
						}
					}
					return true
				})
			}
		}
	}
	return all
}

func (s *sources) call(t *testing.T, dir string, in *ast.FuncDecl, call *ast.CallExpr) (use, bool) {
	at, ok := s.textOf(dir, call)
	if !ok || at >= len(call.Args) {
		return use{}, false
	}
	pos := s.fset.Position(call.Pos())
	text, ok := literal(call.Args[at])
	if !ok {
		if name, isName := call.Args[at].(*ast.Ident); !isName || name.Name != "text" || in == nil || !isHelper(in) {
			t.Errorf("%s: the sentence is not a literal", pos)
		}
		return use{}, false
	}
	args := len(call.Args) - at - 1
	if call.Ellipsis.IsValid() {
		args = -1
	}
	return use{pos, text, args}, true
}

func isHelper(f *ast.FuncDecl) bool {
	_, ok := textParameter(f.Type)
	return ok
}

// composite finds words.Message{Text: "…"}.
func (s *sources) composite(lit *ast.CompositeLit) (use, bool) {
	sel, ok := lit.Type.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != "Message" {
		return use{}, false
	}
	for _, e := range lit.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if key, ok := kv.Key.(*ast.Ident); ok && key.Name == "Text" {
				if text, ok := literal(kv.Value); ok {
					return use{s.fset.Position(lit.Pos()), text, -1}, true
				}
			}
		}
	}
	return use{}, false
}

// literal evaluates a string literal, or several joined by +.
func literal(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil && e.Kind == token.STRING
	case *ast.ParenExpr:
		return literal(e.X)
	case *ast.BinaryExpr:
		a, okA := literal(e.X)
		b, okB := literal(e.Y)
		return a + b, okA && okB && e.Op == token.ADD
	}
	return "", false
}

// verbs returns the verbs of a format by argument, "1d" for the first; a format that package fmt would not take is an error.
func verbs(format string) ([]string, error) {
	set := map[string]bool{}
	next := 1
	runes := []rune(format)
	for i := 0; i < len(runes); i++ {
		if runes[i] != '%' {
			continue
		}
		i++
		for i < len(runes) && strings.ContainsRune("+-# 0123456789.[]*", runes[i]) {
			switch runes[i] {
			case '[':
				end := slices.Index(runes[i:], ']')
				n, err := strconv.Atoi(string(runes[i+1 : i+max(end, 1)]))
				if err != nil || n < 1 {
					return nil, fmt.Errorf("a bad argument index in %q", format)
				}
				next, i = n, i+end
			case '*':
				set[strconv.Itoa(next)+"*"] = true
				next++
			}
			i++
		}
		switch {
		case i == len(runes) || !unicode.IsLetter(runes[i]) && runes[i] != '%':
			return nil, fmt.Errorf("a %% without a verb in %q", format)
		case runes[i] != '%':
			set[strconv.Itoa(next)+string(runes[i])] = true
			next++
		}
	}
	return slices.Sorted(maps.Keys(set)), nil
}

// arguments returns how many arguments the verbs of a format ask for.
func arguments(verbs []string) int {
	most := 0
	for _, v := range verbs {
		n, _ := strconv.Atoi(v[:len(v)-1])
		most = max(most, n)
	}
	return most
}

// TestCatalogue reads the whole module: every sentence has its Chinese in exactly one table, with the same verbs, and
// no table holds what nobody says.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	spoken := map[string]token.Position{}
	missing := map[string]bool{}
	for _, u := range readSources(t).uses(t) {
		v, err := verbs(u.text)
		switch {
		case err != nil:
			t.Errorf("%s: %v", u.at, err)
		case u.args >= 0 && u.args != arguments(v):
			t.Errorf("%s: %q asks for %d arguments and gets %d", u.at, u.text, arguments(v), u.args)
		}
		if _, ok := lookup(u.text); !ok && !missing[u.text] {
			missing[u.text] = true
			t.Errorf("%s: no Chinese for %q", u.at, u.text)
		}
		spoken[u.text] = u.at
	}
	if len(spoken) < 20 {
		t.Errorf("only %d sentences were found: the test does not see them", len(spoken))
	}
	seen := map[string]bool{}
	for _, table := range catalogues {
		for text, chinese := range table {
			if seen[text] {
				t.Errorf("%q is in two tables", text)
			}
			seen[text] = true
			if _, ok := spoken[text]; !ok {
				t.Errorf("nobody says %q", text)
			}
			checkTranslation(t, text, chinese)
		}
	}
}

func checkTranslation(t *testing.T, text, chinese string) {
	t.Helper()
	want, _ := verbs(text)
	got, err := verbs(chinese)
	if err != nil {
		t.Errorf("the Chinese of %q: %v", text, err)
	}
	if !slices.Equal(want, got) {
		t.Errorf("%q has the verbs %v, its Chinese %q has %v", text, want, chinese, got)
	}
	if hasWords(text) && !strings.ContainsFunc(chinese, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
		t.Errorf("the Chinese of %q is %q", text, chinese)
	}
	if strings.HasSuffix(text, "\n") != strings.HasSuffix(chinese, "\n") {
		t.Errorf("%q and its Chinese do not end alike", text)
	}
}

// hasWords reports whether a format says something besides its verbs and names in capitals.
func hasWords(text string) bool {
	word := 0
	for _, r := range text {
		if unicode.IsLower(r) {
			word++
		} else {
			word = 0
		}
		if word == 3 {
			return true
		}
	}
	return false
}

func TestVerbs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ format, want string }{
		{"plain", ""},
		{"100%%", ""},
		{"%s of %d", "1s 2d"},
		{"%[2]d 之 %[1]s", "1s 2d"},
		{"%-10s|%6.2f|%q", "1s 2f 3q"},
		{"%*d", "1* 2d"},
		{"%[1]s %[1]s", "1s"},
	} {
		got, err := verbs(c.format)
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("verbs(%q) = %v, %v; want %s", c.format, got, err, c.want)
		}
	}
	for _, bad := range []string{"50%", "% ", "%[x]d", "%[0]d"} {
		if v, err := verbs(bad); err == nil {
			t.Errorf("verbs(%q) = %v without an error", bad, v)
		}
	}
}

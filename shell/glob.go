package shell

import (
	"context"
	"net/url"
	"path"
	"slices"
	"strings"

	"sampan/client"
	"sampan/fault"
)

// cutPattern parts a pattern of path.Match into the directory in front of its first wildcard, without escapes, and
// the rest.
func cutPattern(pattern string) (dir, rest string) {
	elems := strings.Split(pattern, "/")
	n := 0
	for n < len(elems)-1 && !hasWildcard(elems[n]) {
		n++
	}
	dir = unescapePattern(strings.Join(elems[:n], "/"))
	if n > 0 && dir == "" {
		dir = "/"
	}
	return dir, strings.Join(elems[n:], "/")
}

func hasWildcard(elem string) bool {
	for i := 0; i < len(elem); i++ {
		switch elem[i] {
		case '\\':
			i++
		case '*', '?', '[':
			return true
		}
	}
	return false
}

// unescapePattern takes the backslashes off a pattern without wildcards.
func unescapePattern(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// escapePattern writes s as a pattern that matches only s.
func escapePattern(s string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(s)
}

// glob returns what a pattern of path.Match finds below dir, in order of names. As in every shell a wildcard does not
// match a dot at the beginning of a name. BadName tells of names that cannot be used; the others are found nevertheless.
func glob(ctx context.Context, dir place, pattern string) (found []place, odd error) {
	elem, rest, more := strings.Cut(pattern, "/")
	if elem == "" && more {
		return glob(ctx, dir, rest)
	}
	if _, err := path.Match(elem, ""); err != nil {
		return nil, fault.New(fault.Syntax, "%s: the pattern is not complete; write \\[ for a bracket", elem)
	}
	if !hasWildcard(elem) && more {
		next, err := dir.below(unescapePattern(elem))
		if err != nil {
			return nil, err
		}
		return glob(ctx, next, rest)
	}
	var names []string
	isDir := map[string]bool{}
	for i, err := range dir.store.List(ctx, dir.path) {
		if err != nil && fault.KindOf(err) == fault.BadName {
			odd = err
			continue
		}
		if err != nil {
			return nil, err
		}
		name := i.Path.Base()
		if ok, _ := path.Match(elem, name); ok && (name[0] != '.' || elem[0] == '.') {
			names = append(names, name)
			isDir[name] = i.Mode.IsDir()
		}
	}
	slices.Sort(names)
	for _, name := range names {
		p, err := dir.below(name)
		if err != nil {
			return nil, err
		}
		if !more || rest == "" {
			found = append(found, p)
			continue
		}
		if !isDir[name] {
			continue
		}
		inner, err := glob(ctx, p, rest)
		if err != nil && fault.KindOf(err) != fault.BadName {
			return nil, err
		}
		if err != nil {
			odd = err
		}
		found = append(found, inner...)
	}
	return found, odd
}

// wild are the wildcards of URLs, and what stands for them while the URL is decoded: "%2A" is a star in a name.
var wild = strings.NewReplacer("*", "\uf8f1", "?", "\uf8f2", "[", "\uf8f3")

// globURL takes the pattern out of a URL's path and returns the URL without its path. The pattern is "" and the URL
// whole if it holds no wildcard.
func globURL(raw string) (base, pattern string, err error) {
	scheme, rest, _ := strings.Cut(raw, "://")
	authority, name, _ := strings.Cut(rest, "/")
	if !strings.ContainsAny(name, "*?[") {
		return raw, "", nil
	}
	base = scheme + "://" + authority + "/"
	u, err := client.ParseURL(base + wild.Replace(name))
	if err != nil {
		return "", "", err
	}
	pattern = strings.NewReplacer("\uf8f1", "*", "\uf8f2", "?", "\uf8f3", "[").Replace(escapePattern(u.Path))
	return base, pattern, nil
}

// literalURL writes the path of a URL: a slash at its beginning makes it absolute.
func literalURL(name string) string {
	if name == "" {
		return ""
	}
	lead := ""
	if name[0] == '/' {
		lead, name = "%2F", name[1:]
	}
	elems := strings.Split(name, "/")
	for i, e := range elems {
		elems[i] = url.PathEscape(e)
	}
	return lead + strings.Join(elems, "/")
}

package ftp

import "strings"

// Features are what a server lists in its reply to FEAT (RFC 2389 section 3): names in capitals, with parameters.
type Features map[string]string

// ParseFeatures reads the reply. A name that comes twice keeps the parameters of both, with a space between.
func ParseFeatures(r Reply) Features {
	f := Features{}
	if len(r.Lines) < 2 {
		return f
	}
	for _, line := range r.Lines[1 : len(r.Lines)-1] {
		name, params, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name = strings.ToUpper(name); name == "" {
			continue
		}
		if old := f[name]; old != "" {
			params = strings.TrimSpace(old + " " + params)
		}
		f[name] = params
	}
	return f
}

// Has reports whether name is listed, with all of words among its parameters; case does not matter, and a mark
// behind a word ("SHA-256*", "type*;") neither.
func (f Features) Has(name string, words ...string) bool {
	params, ok := f[name]
	if !ok {
		return false
	}
	listed := strings.FieldsFunc(params, func(r rune) bool { return r == ' ' || r == ';' || r == ',' || r == '*' })
next:
	for _, w := range words {
		for _, l := range listed {
			if strings.EqualFold(l, w) {
				continue next
			}
		}
		return false
	}
	return true
}

package shell

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"sampan/fault"
)

// A word is one argument as the person wrote it.
type word struct {
	text string // without quotes
	glob string // a pattern of path.Match if an unquoted * ? or [ is in it, else ""
	at   int    // byte offset in the line
}

// split cuts a line into words. Blanks part them; 'single quotes' keep everything, "double quotes" keep everything but
// \" and \\, and a backslash outside quotes keeps the next character. A # at the start of a word begins a comment.
// An open quote is Syntax.
func split(line string) ([]word, error) {
	words, quote := scan(line)
	if quote != 0 {
		return nil, fault.New(fault.Syntax, "the quote %s is not closed", string(quote))
	}
	return words, nil
}

// scan is split for a line that is still being written: quote is the one that is open at the end, else 0.
func scan(line string) (found []word, quote rune) {
	var (
		text, glob  strings.Builder
		inside, pat bool
		escaped     bool
		begin       int
	)
	put := func(s string, literal bool) { // s is one character
		text.WriteString(s)
		if special := strings.Contains(`*?[\`, s); special && literal {
			glob.WriteByte('\\')
		} else if special {
			pat = true
		}
		glob.WriteString(s)
	}
	end := func() {
		if inside {
			w := word{text: text.String(), at: begin}
			if pat {
				w.glob = glob.String()
			}
			found = append(found, w)
		}
		text.Reset()
		glob.Reset()
		inside, pat = false, false
	}
	for i, n := 0, 0; i < len(line); i += n {
		var r rune
		r, n = utf8.DecodeRuneInString(line[i:])
		c := line[i : i+n] // as sent, also if it is no UTF-8
		blank := unicode.IsSpace(r) && quote == 0 && !escaped
		if blank {
			end()
			continue
		}
		if !inside {
			if r == '#' {
				return found, 0
			}
			inside, begin = true, i
		}
		switch {
		case escaped:
			if quote == '"' && r != '"' && r != '\\' {
				put(`\`, true)
			}
			put(c, true)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped = true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			put(c, true)
		case r == '\'' || r == '"':
			quote = r
		default:
			put(c, false)
		}
	}
	if escaped { // a backslash that ends the line stands for itself
		put(`\`, true)
	}
	end()
	return found, quote
}

// quoted writes s so that split reads it back as one word without a pattern, in the style of quote: 0, ' or ".
func quoted(s string, quote rune) string {
	switch {
	case quote == '\'' && !strings.Contains(s, "'"):
		return "'" + s + "'"
	case quote == 0 && s != "" && !strings.ContainsFunc(s, needsQuote) && s[0] != '#':
		return s
	}
	return `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(s) + `"`
}

func needsQuote(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`'"\*?[`, r) }

// flags takes the flags that a verb of the shell knows out of its words, wherever they stand, as in a command. "--" ends
// them.
func (o *Options) flags(args []word, v *verb) (names []word, err error) {
	for i, w := range args {
		switch {
		case w.text == "--":
			return append(names, args[i+1:]...), nil
		case len(w.text) < 2 || w.text[0] != '-':
			names = append(names, w)
		case v.has(flagListing) && strings.Trim(w.text, "la") == "-":
		case (w.text == "-r" || w.text == "-R") && v.has(flagRecursive):
			o.Recursive = true
		case (w.text == "-n" || w.text == "--no-clobber") && v.has(flagNoClobber):
			o.NoClobber = true
		case (w.text == "-u" || w.text == "--update") && v.has(flagUpdate):
			o.Update = true
		case w.text == "--json":
			o.JSON = true
		default:
			return nil, fault.New(fault.Syntax, "%s does not know the flag %s; write -- before a name that begins with -", v.name, w.text)
		}
	}
	return names, nil
}

package shell

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sampan/files"
	"sampan/words"
)

// A completion is what Tab does: the line up to the cursor becomes line; if several names fit, they are listed.
type completion struct {
	line    string
	choices []string
}

// complete completes the line up to the cursor.
func (t *task) complete(ctx context.Context, line string) completion {
	list, quote := scan(line)
	current := word{at: len(line)}
	last, _ := utf8.DecodeLastRuneInString(line)
	if n := len(list); n > 0 && (quote != 0 || !isBlank(last) || line[list[n-1].at:] == `\ `) {
		current, list = list[n-1], list[:n-1]
	}
	names := t.candidates(ctx, list, current.text)
	if len(names) == 0 {
		return completion{line: line}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	common := names[0]
	for _, n := range names[1:] {
		common = commonPrefix(common, n)
	}
	done := completion{line: line}
	if len(names) == 1 || len(common) > len(current.text) {
		done.line = line[:current.at] + written(common, quote, len(names) == 1 && !strings.HasSuffix(common, "/"))
	}
	if len(names) > 1 && done.line == line {
		for _, n := range names {
			n = strings.TrimSuffix(n, "/") + map[bool]string{true: "/"}[strings.HasSuffix(n, "/")]
			done.choices = append(done.choices, words.Escape(n[strings.LastIndex(strings.TrimSuffix(n, "/"), "/")+1:]))
		}
	}
	return done
}

func isBlank(r rune) bool { return r == ' ' || r == '\t' }

// written is a completed word: quoted where it must be; whole closes the quote and parts it from the next word.
func written(s string, quote rune, whole bool) string {
	q := quoted(s, quote)
	switch {
	case whole:
		return q + " "
	case q[0] == '"' || q[0] == '\'':
		return q[:len(q)-1]
	}
	return q
}

// candidates are the words that can stand behind before and begin with text.
func (t *task) candidates(ctx context.Context, before []word, text string) []string {
	if len(before) == 0 {
		return verbNames(text)
	}
	v, err := find(before[0].text)
	if err != nil || len(v.names) == 0 {
		return nil
	}
	n := 0
	for _, w := range before[1:] {
		if len(w.text) < 2 || w.text[0] != '-' {
			n++
		}
	}
	switch k := v.names[min(n, len(v.names)-1)]; k {
	case verbName:
		return verbNames(text)
	case remoteName, remoteDir:
		return t.namesIn(ctx, text, false, k == remoteDir)
	case localName, localDir:
		return t.namesIn(ctx, text, true, k == localDir)
	}
	return nil
}

func verbNames(text string) []string {
	var names []string
	for _, v := range verbs() {
		if strings.HasPrefix(v.name, text) && v.name != "!" {
			names = append(names, v.name)
		}
	}
	return names
}

// patience is how long Tab waits for a server.
const patience = 3 * time.Second

// namesIn lists the names that begin with text, directories with a slash behind them.
func (t *task) namesIn(ctx context.Context, text string, local, dirs bool) []string {
	slash := strings.LastIndexByte(text, '/') + 1
	dir, begin := text[:slash], text[slash:]
	var names []string
	for _, i := range t.listing(ctx, dir, local) {
		name := i.Path.Base()
		switch {
		case !strings.HasPrefix(name, begin), dirs && !i.Mode.IsDir(), name[0] == '.' && begin == "":
		case i.Mode.IsDir():
			names = append(names, dir+name+"/")
		default:
			names = append(names, dir+name)
		}
	}
	return names
}

// listing lists a directory for completion; what was seen since the last line is kept.
func (t *task) listing(ctx context.Context, dir string, local bool) []files.Info {
	key := dir
	if local {
		key = "\x00" + dir
	}
	if all, ok := t.seen[key]; ok {
		return all
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	if dir == "" {
		dir = "."
	}
	p, err := t.placeOf(ctx, dir, local)
	if err != nil {
		return nil
	}
	var all []files.Info
	for i, err := range p.store.List(ctx, p.path) {
		if err != nil {
			return all
		}
		all = append(all, i)
	}
	t.seen[key] = all
	return all
}

func commonPrefix(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	for n > 0 && n < len(a) && !utf8.RuneStart(a[n]) {
		n--
	}
	return a[:n]
}

// inColumns sets names in columns that fit cols.
func inColumns(names []string, cols int) string {
	widest := 0
	for _, n := range names {
		widest = max(widest, words.Width(n))
	}
	across := max(1, cols/(widest+2))
	down := (len(names) + across - 1) / across
	var b strings.Builder
	for row := range down {
		line := ""
		for i := row; i < len(names); i += down {
			line += words.Pad(words.Cut(names[i], cols-1), widest+2)
		}
		b.WriteString(strings.TrimRight(line, " "))
		if row < down-1 {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

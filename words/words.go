// Package words holds every sentence that a person reads, in English and 简体中文.
//
// A message is written in English where it arises, M("no such file: %s", name); the English format is its key.
// Only the edges (the commands, the shell, the console, the web pages, FTP replies) render it, in the reader's language;
// log lines are always English. The Chinese catalogues stand in the zh_*.go files, one a package that
// speaks; a test reads the source of the whole module and fails on a message without a translation.
package words

import (
	"fmt"
	"strings"
)

// Lang is a language that Sampan speaks.
type Lang uint8

const (
	English Lang = iota
	Chinese      // 简体中文
)

// A Message is a sentence that is not rendered yet.
type Message struct {
	Text string // English format of package fmt, and the key of the catalogues
	Args []any  // a Message among them is rendered in the same language
}

// M returns the message with an English format and its arguments. Text must be a literal, so that the catalogue
// test finds it.
func M(text string, args ...any) Message { return Message{text, args} }

// IsZero reports whether m says nothing.
func (m Message) IsZero() bool { return m.Text == "" }

// String renders m in English.
func (m Message) String() string { return m.In(English) }

// In renders m in l. A message without a translation is rendered in English.
func (m Message) In(l Lang) string {
	format := m.Text
	if l == Chinese {
		if s, ok := lookup(m.Text); ok {
			format = s
		}
	}
	if len(m.Args) == 0 {
		return strings.ReplaceAll(format, "%%", "%")
	}
	args := make([]any, len(m.Args))
	for i, a := range m.Args {
		if inner, ok := a.(Message); ok {
			a = inner.In(l)
		}
		args[i] = a
	}
	return fmt.Sprintf(format, args...)
}

func lookup(text string) (string, bool) {
	for _, table := range catalogues {
		if s, ok := table[text]; ok {
			return s, true
		}
	}
	return "", false
}

// Parse reads a language tag or a POSIX locale name: "zh", "zh-CN", "zh_CN.UTF-8", "en_US", "C".
func Parse(tag string) (Lang, bool) {
	tag, _, _ = strings.Cut(strings.ToLower(tag), ".")
	tag, _, _ = strings.Cut(tag, "@")
	base, _, _ := strings.Cut(strings.ReplaceAll(tag, "_", "-"), "-")
	switch base {
	case "zh", "chinese", "中文", "简体中文":
		return Chinese, true
	case "en", "c", "posix", "english":
		return English, true
	}
	return English, false
}

// Detect returns the language that the environment asks for: the first of LC_ALL, LC_MESSAGES and LANG that is set.
func Detect(getenv func(string) string) Lang {
	for _, k := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := getenv(k); v != "" {
			l, _ := Parse(v)
			return l
		}
	}
	return English
}

package console

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"sampan/admin"
	"sampan/words"
)

// stage is how far the operator is with the request on the screen.
type stage uint8

const (
	choosing stage = iota
	allowing       // 1 was pressed: a note may follow
	refusing       // 2 was pressed
)

// picture is all that the live area shows. What it looks like, and what a key does to it, depend on nothing else.
type picture struct {
	people []admin.Session
	asks   []admin.Request // oldest first; the first is asked about
	quota  int64           // that an approval gives
	broken words.Message

	stage stage
	note  []rune
	since time.Time // when the request that is asked about came on the screen
}

// settle is how long a request has to be on the screen before a key counts, so that nobody answers for one that took
// another's place under the finger.
const settle = 300 * time.Millisecond

// show replaces what is live. A request that is being answered keeps its stage and note only while it is the first;
// news reports that there is another one to ask about.
func (p *picture) show(people []admin.Session, asks []admin.Request, now time.Time) (news bool) {
	changed := len(asks) > 0 && (len(p.asks) == 0 || p.asks[0].Name != asks[0].Name || p.asks[0].Asked != asks[0].Asked)
	if changed || len(asks) == 0 {
		p.stage, p.note, p.since = choosing, nil, now
	}
	p.people, p.asks, p.broken = people, asks, words.Message{}
	return changed
}

// deed is what a key asks for.
type deed struct {
	leave   bool
	redraw  bool
	decide  bool // about name
	name    string
	approve bool
	note    string
}

const (
	keyLeave     = 0x03 // ^C
	keyRedraw    = 0x0c // ^L
	keyClear     = 0x15 // ^U
	keyBack      = 0x08 // ^H
	keyBackspace = 0x7f
	keyEscape    = 0x1b
	maxNote      = 200 // runes
)

// press takes one key.
func (p *picture) press(key rune, now time.Time) deed {
	switch {
	case key == keyLeave:
		return deed{leave: true}
	case key == keyRedraw:
		return deed{redraw: true}
	case len(p.asks) == 0:
		return deed{}
	case p.stage == choosing:
		if now.Sub(p.since) >= settle {
			switch key {
			case '1':
				p.stage = allowing
			case '2':
				p.stage = refusing
			}
		}
		return deed{}
	}
	switch key {
	case '\r', '\n':
		d := deed{decide: true, name: p.asks[0].Name, approve: p.stage == allowing, note: strings.TrimSpace(string(p.note))}
		p.stage, p.note, p.since = choosing, nil, now
		return d
	case keyEscape:
		p.stage, p.note = choosing, nil
	case keyClear:
		p.note = nil
	case keyBack, keyBackspace:
		p.note = p.note[:max(0, len(p.note)-1)]
	default:
		if key >= ' ' && len(p.note) < maxNote {
			p.note = append(p.note, key)
		}
	}
	return deed{}
}

// lines draws the picture for a terminal of so many columns and rows. The last column stays empty, for terminals
// wrap there.
func (p *picture) lines(lang words.Lang, columns, rows int) []string {
	width := max(columns-1, 20)
	say := func(m words.Message) string { return m.In(lang) }

	head := say(words.M("%d in, %d moving; ^C stops the server", len(p.people), p.moving()))
	if len(p.people) == 0 {
		head = say(words.M("nobody is in yet; ^C stops the server"))
	}
	if !p.broken.IsZero() {
		head = words.Escape(say(p.broken))
	}
	out := []string{bold(words.Cut(head, width))}

	asking := p.question(say, width)
	room := max(rows-len(out)-len(asking)-1, 1)
	shown := p.people
	if len(shown) > room {
		shown = shown[:room-1]
	}
	for _, one := range shown {
		out = append(out, line(one, say, width))
	}
	if n := len(p.people) - len(shown); n > 0 {
		out = append(out, words.Cut(say(words.M("… and %d more", n)), width))
	}
	return append(out, asking...)
}

func (p *picture) moving() (n int) {
	for _, one := range p.people {
		if one.Doing != nil {
			n++
		}
	}
	return n
}

// question is what the operator is asked, if anything.
func (p *picture) question(say func(words.Message) string, width int) []string {
	if len(p.asks) == 0 {
		return nil
	}
	a := p.asks[0]
	name := words.Escape(a.Name)
	switch p.stage {
	case allowing:
		return []string{tailOf(say(words.M("allow %s; a note, or just Enter: ", name)), string(p.note), width)}
	case refusing:
		return []string{tailOf(say(words.M("refuse %s; a note, or just Enter: ", name)), string(p.note), width)}
	}
	var out []string
	if about := strings.TrimSpace(words.Escape(a.Email) + " " + words.Escape(a.Note)); about != "" {
		out = append(out, words.Cut(say(words.M("%s says: %s", name, about)), width))
	}
	quota := say(words.M("no quota"))
	if p.quota >= 0 {
		quota = words.Bytes(p.quota)
	}
	text := say(words.M("%s (%s) asks for an account, %s: 1 allows, 2 refuses", name, words.Escape(host(a.Remote)), quota))
	if more := len(p.asks) - 1; more > 0 {
		text += say(words.M(" (%d more wait)", more))
	}
	return append(out, bold(words.Cut(text, width)))
}

// tailOf keeps the end of what is typed in sight.
func tailOf(prompt, typed string, width int) string {
	prompt = words.Cut(prompt, width/2)
	return prompt + words.CutHead(words.Escape(typed), width-words.Width(prompt))
}

// Columns of a line: who, where from, what, and, as far as there is room, a bar, percent and rate.
const (
	whoWidth  = 12
	fromWidth = 15
	tlsWidth  = 5
	verbWidth = 4
	barWidth  = 12
	rateWidth = 6 // "999K/s"
)

func line(one admin.Session, say func(words.Message) string, width int) string {
	who := words.Escape(one.Account)
	if who == "" {
		who = say(words.M("(logging in)"))
	}
	column := func(s string, n int) string { return words.Pad(words.Cut(s, n), n) + " " }
	head := column(who, whoWidth) + column(words.Escape(host(one.Remote)), fromWidth)
	switch {
	case one.Proto == "sftp":
		head += column("SSH", tlsWidth)
	case one.TLS:
		head += column("TLS", tlsWidth)
	default:
		head += column(say(words.M("plain")), tlsWidth)
	}
	m := one.Doing
	if m == nil {
		return words.Cut(head+say(words.M("idle %s", idle(one.Idle))), width)
	}
	verb := words.M("get")
	if m.Verb == "put" {
		verb = words.M("put")
	}
	head += column(say(verb), verbWidth)
	tail := " " + progress(m) + fmt.Sprintf(" %*s", rateWidth, words.Bytes(int64(m.BytesPerSec))+"/s")
	path := words.Escape(strings.TrimPrefix(m.Path, "/"))
	room := width - words.Width(head) - words.Width(tail)
	if room < 8 { // a narrow terminal: the name matters more than the bar
		return words.Cut(head+words.CutHead(path, max(8, width-words.Width(head))), width)
	}
	return head + words.Pad(words.CutHead(path, room), room) + tail
}

// host is an address without its port.
func host(remote string) string {
	if a, err := netip.ParseAddrPort(remote); err == nil {
		return a.Addr().String()
	}
	return remote
}

// progress is a bar with the percent, or the bytes so far where the size is not known.
func progress(m *admin.Moving) string {
	if m.Size <= 0 || m.Done > m.Size {
		return fmt.Sprintf("%*s", barWidth+5, words.Bytes(m.Done))
	}
	part := float64(m.Done) / float64(m.Size)
	full := int(part * (barWidth - 2))
	bar := "[" + strings.Repeat("=", full) + strings.Repeat(" ", barWidth-2-full) + "]"
	return fmt.Sprintf("%s %3d%%", bar, int(part*100))
}

// idle writes seconds so that the screen changes seldom.
func idle(seconds float64) string {
	switch d := time.Duration(seconds * float64(time.Second)); {
	case d < time.Minute:
		return "<1m"
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	default:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
}

func bold(s string) string { return "\x1b[1m" + s + "\x1b[0m" }

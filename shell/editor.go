package shell

import (
	"context"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/term"

	"sampan/fault"
	"sampan/words"
)

// An editor reads one line after another from a terminal in raw mode. It knows the keys of Emacs and the arrows, shows
// a window of a line that is too long, and counts Chinese characters as two columns. It asks the terminal nothing, so
// that a slow connection to it costs nothing and what was typed ahead stays in order.
type editor struct {
	in       io.Reader
	out      io.Writer
	cols     func() int
	prompt   string
	hidden   bool                           // show nothing of the line
	history  []string                       // older lines, oldest first
	complete func(before string) completion // what Tab does; nil is nothing

	before, after string // the line, parted at the cursor
	at            int    // where in the history; len(history) is the line itself
	draft         string // the line while older ones are looked at
}

// read reads one line. io.EOF is ^D in an empty line or the end of the input, context.Canceled is ^C.
func (e *editor) read() (string, error) {
	e.before, e.after, e.at, e.draft = "", "", len(e.history), ""
	e.draw()
	var pending []byte
	for {
		c, err := e.key()
		if err != nil {
			return "", err
		}
		if c >= 0x20 && c != 0x7f {
			pending = append(pending, c)
			if !utf8.FullRune(pending) {
				continue
			}
			if r, _ := utf8.DecodeRune(pending); !unicode.IsControl(r) && r != utf8.RuneError && len(e.before)+len(e.after) < 4096 {
				e.insert(string(r))
			}
			pending = pending[:0]
			continue
		}
		pending = pending[:0]
		switch c {
		case '\r', '\n':
			line := e.before + e.after
			e.before, e.after = line, ""
			e.draw()
			return line, nil
		case ctrl('C'):
			return "", context.Canceled
		case ctrl('D'):
			if e.before+e.after == "" {
				return "", io.EOF
			}
		}
		if err := e.control(c); err != nil {
			return "", err
		}
	}
}

// key reads one byte.
func (e *editor) key() (byte, error) {
	var b [1]byte
	for {
		n, err := e.in.Read(b[:])
		if n == 1 {
			return b[0], nil
		}
		if err != nil {
			return 0, err
		}
	}
}

func ctrl(c byte) byte { return c & 0x1f }

// insert puts s at the cursor.
func (e *editor) insert(s string) {
	old := words.Width(e.prompt + words.Escape(e.before))
	e.before += s
	s = words.Escape(s)
	now := words.Width(e.prompt + words.Escape(e.before))
	if e.after == "" && !e.hidden && now < e.cols() && now == old+words.Width(s) {
		fmt.Fprint(e.out, s) // the usual case, without any control sequence
		return
	}
	e.draw()
}

// control does what a control key says.
func (e *editor) control(c byte) error {
	switch c {
	case ctrl('H'), 0x7f:
		e.before = e.before[:lastCluster(e.before)]
	case ctrl('D'):
		e.after = e.after[firstCluster(e.after):]
	case ctrl('B'):
		e.move(lastCluster(e.before))
	case ctrl('F'):
		e.move(len(e.before) + firstCluster(e.after))
	case ctrl('A'):
		e.move(0)
	case ctrl('E'):
		e.move(len(e.before) + len(e.after))
	case ctrl('U'):
		e.before = ""
	case ctrl('K'):
		e.after = ""
	case ctrl('W'):
		e.before = e.before[:lastWord(e.before)]
	case ctrl('P'):
		e.recall(e.at - 1)
	case ctrl('N'):
		e.recall(e.at + 1)
	case ctrl('L'):
		if !e.hidden {
			fmt.Fprint(e.out, "\x1b[H\x1b[2J")
		}
	case '\t':
		e.tab()
	case 0x1b:
		return e.escape()
	default:
		return nil
	}
	e.draw()
	return nil
}

// move puts the cursor behind the first n bytes.
func (e *editor) move(n int) {
	line := e.before + e.after
	e.before, e.after = line[:n], line[n:]
}

// escape reads what the arrows and their like send behind ESC (ECMA-48 CSI, and SS3), and Alt with a letter.
func (e *editor) escape() error {
	c, err := e.key()
	if err != nil {
		return err
	}
	sequence := string(rune(c))
	if c == '[' || c == 'O' {
		for len(sequence) < 16 {
			if c, err = e.key(); err != nil {
				return err
			}
			sequence += string(rune(c))
			if c >= 0x40 && c <= 0x7e {
				break
			}
		}
	}
	switch sequence {
	case "[A", "OA":
		e.recall(e.at - 1)
	case "[B", "OB":
		e.recall(e.at + 1)
	case "[C", "OC":
		e.move(len(e.before) + firstCluster(e.after))
	case "[D", "OD":
		e.move(lastCluster(e.before))
	case "[H", "OH", "[1~", "[7~":
		e.move(0)
	case "[F", "OF", "[4~", "[8~":
		e.move(len(e.before) + len(e.after))
	case "[3~":
		e.after = e.after[firstCluster(e.after):]
	case "b", "[1;5D", "[1;3D":
		e.move(lastWord(e.before))
	case "f", "[1;5C", "[1;3C":
		e.move(len(e.before) + firstWord(e.after))
	default:
		return nil
	}
	e.draw()
	return nil
}

// lastCluster is where the last character of s, with all its marks, begins.
func lastCluster(s string) int {
	at := 0
	for g := uniseg.NewGraphemes(s); g.Next(); {
		at, _ = g.Positions()
	}
	return at
}

// firstCluster is where the first character of s ends.
func firstCluster(s string) int {
	c, _, _, _ := uniseg.FirstGraphemeClusterInString(s, -1)
	return len(c)
}

// lastWord is where the last word of s begins, firstWord where the first one ends.
func lastWord(s string) int {
	return strings.LastIndexFunc(strings.TrimRightFunc(s, unicode.IsSpace), unicode.IsSpace) + 1
}

func firstWord(s string) int {
	rest := strings.TrimLeftFunc(s, unicode.IsSpace)
	if n := strings.IndexFunc(rest, unicode.IsSpace); n >= 0 {
		rest = rest[n:]
	} else {
		rest = ""
	}
	return len(s) - len(rest)
}

// recall shows line i of the history; behind the last one is what was being written.
func (e *editor) recall(i int) {
	if i < 0 || i > len(e.history) || e.hidden {
		return
	}
	if e.at == len(e.history) {
		e.draft = e.before + e.after
	}
	e.at, e.before, e.after = i, e.draft, ""
	if i < len(e.history) {
		e.before = e.history[i]
	}
}

// tab completes what stands before the cursor.
func (e *editor) tab() {
	if e.complete == nil {
		return
	}
	c := e.complete(e.before)
	e.before = c.line
	if len(c.choices) > 0 {
		e.draw()
		list := inColumns(c.choices, e.cols())
		fmt.Fprint(e.out, "\r\n"+strings.ReplaceAll(list, "\n", "\r\n")+"\r\n")
	}
}

// draw shows the line, or as much of it as there is room for.
func (e *editor) draw() {
	if e.hidden {
		fmt.Fprint(e.out, "\r"+e.prompt+"\x1b[K")
		return
	}
	before, after := words.Escape(e.before), words.Escape(e.after)
	room := max(8, e.cols()-1-words.Width(e.prompt))
	if words.Width(before+after) > room {
		before = words.CutHead(before, max(room-words.Width(after), room*3/4))
		after = words.Cut(after, room-words.Width(before))
	}
	fmt.Fprint(e.out, "\r"+e.prompt+before+after+"\x1b[K")
	if w := words.Width(after); w > 0 {
		fmt.Fprintf(e.out, "\x1b[%dD", w)
	}
}

// edit reads a line with e from the terminal fd, in raw mode, so that ^C is an answer too and no reader stays behind.
func (e *editor) edit(ctx context.Context, fd int) (string, error) {
	state, err := term.MakeRaw(fd)
	if err != nil {
		return "", fault.Wrap(fault.Local, err, "the terminal cannot be read")
	}
	defer func() {
		_ = term.Restore(fd, state)
		fmt.Fprintln(e.out)
	}()
	type answer struct {
		line string
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		line, err := e.read()
		done <- answer{line, err}
	}()
	select {
	case a := <-done:
		return a.line, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// lineReader returns what reads the lines of the shell: an editor with history and completion on a terminal. The
// error says why the history cannot be kept.
func (t *task) lineReader() (read func(ctx context.Context, prompt string) (string, error), err error) {
	fd, ok := terminal(t.In)
	if !ok {
		return func(ctx context.Context, _ string) (string, error) {
			if err := ctx.Err(); err != nil {
				return "", err
			}
			return readLine(t.In)
		}, nil
	}
	ed := &editor{in: t.In, out: t.Err, cols: func() int { return columns(t.Err) }}
	ed.complete = func(before string) completion { return t.complete(context.Background(), before) }
	h, err := t.openHistory()
	keep := err == nil
	return func(ctx context.Context, prompt string) (string, error) {
		ed.prompt, ed.history = words.CutHead(prompt, ed.cols()/2), h.lines
		line, err := ed.edit(ctx, fd)
		if err == nil && keep {
			if err := h.add(line); err != nil {
				t.warn(fault.Say(err))
				keep = false // one complaint will do
			}
		}
		return line, err
	}, err
}

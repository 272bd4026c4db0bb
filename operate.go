package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"

	"sampan/admin"
	"sampan/words"
)

// answer is what an operator's command tells: json with --json, else what say prints; then it ends with err.
type answer struct {
	json any
	say  func()
	err  error
}

// done is an answer of one sentence.
func (e *env) done(json any, text words.Message) answer {
	return answer{json: json, say: func() { e.say(text) }}
}

// operate makes a row of an operator's command: do gets a client of the API, of the running server or of this process.
// creates is true where a DATA that does not exist is made.
func (e *env) operate(row command, creates bool, do func(ctx context.Context, c *admin.Client, args []string) (answer, error)) command {
	var (
		place  string
		asJSON bool
	)
	row.group = operatorGroup
	row.flags = append(row.flags,
		flag{name: "data", arg: "DIR", to: &place, usage: words.M("where the server keeps everything (SAMPAN_DATA, else ./data)")},
		flag{name: "json", to: &asJSON, usage: words.M("answer in JSON")},
	)
	row.run = func(ctx context.Context, args []string) error {
		src := sources{flags: map[string]string{}, getenv: e.getenv}
		if place != "" {
			src.flags["data"] = place
		}
		s, err := src.resolve()
		if err != nil {
			return err
		}
		dir := string(s.Data)
		if creates {
			err = makeData(dir)
		} else {
			err = needData(dir)
		}
		if err != nil {
			return err
		}
		return withClient(ctx, dir, s, func(c *admin.Client) error {
			a, err := do(ctx, c, args)
			if err != nil {
				return err
			}
			if asJSON {
				return errors.Join(json.NewEncoder(e.out).Encode(a.json), a.err)
			}
			a.say()
			return a.err
		})
	}
	return row
}

// column is the head of one column of a table.
type column struct {
	title words.Message
	right bool                             // numbers stand at the right
	cut   func(s string, width int) string // shortens a cell where the table is too wide for the terminal; nil if it must not be
	least int                              // columns that cut leaves
}

// Columns that can be cut, and what is left of them.
const (
	leastTime = len("01-02 15:04")
	leastName = 8
	leastText = 11
)

// cutTime leaves the year out.
func cutTime(s string, width int) string {
	if long := len("2006-01-02 15:04"); width < long && len(s) == long {
		return s[long-leastTime:]
	}
	return s
}

// fit makes widths, and the two spaces behind each, no wider than room, as far as columns can be cut: times first, then
// whichever has most.
func fit(columns []column, widths []int, room int) {
	over := -room - 2
	for _, w := range widths {
		over += w + 2
	}
	shrink := func(i, n int) {
		widths[i] -= n
		over -= n
	}
	for i, c := range columns {
		if over > 0 && c.least == leastTime {
			shrink(i, max(0, widths[i]-leastTime))
		}
	}
	for over > 0 {
		most, spare := 0, 0
		for i, c := range columns {
			if n := widths[i] - c.least; c.cut != nil && n > spare {
				most, spare = i, n
			}
		}
		if spare == 0 {
			return
		}
		shrink(most, 1)
	}
}

// columns is how wide the output is; 0 where it is no terminal, and COLUMNS does not tell.
func (e *env) columns() int {
	if n, err := strconv.Atoi(e.getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	if f, ok := e.out.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil {
			return n
		}
	}
	return 0
}

// table prints rows under their heads, with widths as a terminal shows them, and cut to what a terminal has.
func (e *env) table(columns []column, rows [][]string) {
	titles := make([]string, len(columns))
	for i, c := range columns {
		titles[i] = e.text(c.title)
	}
	all := append([][]string{titles}, rows...)
	widths := make([]int, len(columns))
	for _, row := range all {
		for i := range row {
			row[i] = words.Escape(row[i])
			widths[i] = max(widths[i], words.Width(row[i]))
		}
	}
	if n := e.columns(); n > 0 {
		fit(columns, widths, n)
	}
	for _, row := range all {
		var line strings.Builder
		for i, cell := range row {
			if words.Width(cell) > widths[i] {
				cell = columns[i].cut(cell, widths[i])
			}
			if fill := strings.Repeat(" ", max(0, widths[i]-words.Width(cell))); columns[i].right {
				line.WriteString(fill + cell)
			} else {
				line.WriteString(cell + fill)
			}
			line.WriteString("  ")
		}
		fmt.Fprintln(e.out, strings.TrimRight(line.String(), " "))
	}
}

package shell

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"sampan/client"
	"sampan/words"
)

// size writes n bytes for the eye: "512 B", "1.5 KB", "123 MB"; the units are powers of 1024.
func size(n int64) string {
	s := words.Bytes(n)
	digits := strings.TrimRight(s, "KMGTP")
	return digits + " " + s[len(digits):] + "B"
}

// span writes a duration for the eye: "0.3 s", "12 s", "3:05", "1:02:03".
func span(d time.Duration) string {
	switch s := d.Round(time.Second); {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case s < time.Minute:
		return fmt.Sprintf("%d s", s/time.Second)
	}
	return clock(d)
}

// clock writes a duration as "0:05", "3:05", "1:02:03".
func clock(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case s < 3600:
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	case s < 100*3600:
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d h", s/3600)
}

// rate is bytes a second over d, -1 if d is too short to tell.
func rate(n int64, d time.Duration) int64 {
	if d < time.Millisecond {
		return -1
	}
	return int64(float64(n) / d.Seconds())
}

// A meter tells how a copy goes: a bar where Err is a terminal, events in JSON, else nothing until a file is there.
type meter struct {
	t     *task
	src   place
	dst   place
	now   func() time.Time
	bar   bool
	drawn bool
	last  time.Time // of the last bar or event
	file  client.Progress
	past  []sample // of the last seconds, oldest first
	tree  bool     // of a tree, a person at a terminal is told what failed, and how all of it ended
	bare  int      // files of which hashes were not compared
}

type sample struct {
	when time.Time
	done int64
}

// memory is how far back the rate looks.
const memory = 4 * time.Second

func (t *task) meter(src, dst place) *meter {
	_, tty := terminal(t.Err)
	return &meter{t: t, src: src, dst: dst, now: time.Now, bar: tty && !t.JSON}
}

// progress takes one look at the running copy.
func (m *meter) progress(p client.Progress) {
	now := m.now()
	news := p.From != m.file.From || p.Phase != m.file.Phase
	if news || p.Done < m.file.Done {
		m.past = m.past[:0]
	}
	m.file = p
	if n := len(m.past); n == 0 || now.Sub(m.past[n-1].when) >= memory/20 {
		m.past = append(m.past, sample{now, p.Done})
	}
	for len(m.past) > 2 && now.Sub(m.past[0].when) > memory {
		m.past = m.past[1:]
	}
	pause := 100 * time.Millisecond
	if m.t.JSON {
		pause = time.Second
	}
	if p.Phase == client.Finished || !news && now.Sub(m.last) < pause {
		return
	}
	m.last = now
	switch {
	case m.t.JSON:
		m.t.event(map[string]any{
			"event": "progress", "phase": p.Phase.String(), "from": m.src.name(p.From), "to": m.dst.name(p.To),
			"done": p.Done, "size": p.Size, "resumed": p.Resumed,
		})
	case m.bar:
		m.drawn = true
		fmt.Fprint(m.t.Err, "\r\x1b[K"+m.line(columns(m.t.Err)-3))
	}
}

// speed is the rate of the last seconds in bytes a second, -1 if it cannot be told yet.
func (m *meter) speed() int64 {
	if len(m.past) == 0 {
		return -1
	}
	first := m.past[0]
	d := m.now().Sub(first.when)
	if d < 200*time.Millisecond {
		return -1
	}
	return rate(m.file.Done-first.done, d)
}

// line draws the bar in exactly cols columns:
//
//	name      [=======>        ]  45%   90 MB/200 MB   12 MB/s  0:12
func (m *meter) line(cols int) string {
	p := m.file
	name := words.Escape(p.To.Base())
	right := m.figures()
	left := cols - words.Width(right)
	if left < 8 { // a narrow window: the figures matter more
		return fit(strings.TrimSpace(right), cols)
	}
	bar := 0
	if p.Size > 0 && p.Phase != client.Waiting {
		bar = min(24, max(0, left-words.Width(name)-5))
		if bar < 8 {
			bar = min(8, left/3)
		}
		if bar < 5 {
			bar = 0
		}
	}
	if bar == 0 {
		return fit(name, left) + right
	}
	full := int(float64(bar) * float64(min(p.Done, p.Size)) / float64(p.Size))
	head := ""
	if full < bar {
		head = ">"
	}
	return fit(name, left-bar-3) + " [" + strings.Repeat("=", full) + head + strings.Repeat(" ", bar-full-len(head)) + "]" + right
}

// figures are what stands to the right of the bar.
func (m *meter) figures() string {
	p := m.file
	what := ""
	switch p.Phase {
	case client.Comparing:
		what = m.t.text(words.M("comparing"))
	case client.Proving:
		what = m.t.text(words.M("proving"))
	case client.Waiting:
		return " " + m.t.text(words.M("waiting for the next try"))
	}
	percent := ""
	amount := size(p.Done)
	if p.Size > 0 {
		percent = fmt.Sprintf("%3d%%", min(100, int(float64(p.Done)/float64(p.Size)*100)))
		amount += "/" + size(p.Size)
	}
	speed, eta := m.speed(), ""
	if what == "" && speed >= 0 {
		what = size(speed) + "/s"
	}
	if p.Size > p.Done && speed > 0 && p.Phase == client.Moving {
		eta = m.t.text(words.M("ETA %s", clock(time.Duration(float64(p.Size-p.Done)/float64(speed)*1e9))))
	}
	return fmt.Sprintf(" %s %15s %9s %11s", percent, amount, fit(what, max(9, words.Width(what))), eta)
}

// clear takes the bar away.
func (m *meter) clear() {
	if m.drawn {
		fmt.Fprint(m.t.Err, "\r\x1b[K")
		m.drawn = false
	}
}

// remark passes on a remark without leaving half a bar behind.
func (m *meter) remark(w words.Message) {
	m.clear()
	flush(m.t.Out)
	m.t.remark(w)
}

// done tells how a file ended.
func (m *meter) done(r client.Result, err error) {
	m.clear()
	if errors.Is(err, context.Canceled) {
		return // told once, for all
	}
	if m.t.JSON {
		e := map[string]any{
			"event": "file", "from": m.src.name(r.From), "to": m.dst.name(r.To), "size": r.Size, "bytes": r.Bytes,
			"resumed": r.Resumed, "restarted": r.Restarted, "skipped": r.Skipped, "kept": r.Kept,
			"sha256": r.Sum, "verified": r.Verified, "seconds": r.Took.Seconds(),
		}
		if err != nil {
			e["kind"], e["message"] = errorKind(err), m.t.explain(err)
		}
		e["ok"] = err == nil
		m.t.event(e)
		return
	}
	if err != nil {
		flush(m.t.Out)
		m.t.fail(err)
		return
	}
	if !r.Verified && !r.Kept {
		m.bare++
	}
	if !m.tree || r.Restarted {
		m.t.flow(m.t.outcome(r))
	}
}

// outcome says in pieces what became of a file.
func (t *task) outcome(r client.Result) []string {
	name := words.Escape(r.To.Base())
	if r.Kept {
		return []string{t.text(words.M("%s: kept what is there", name))}
	}
	var pieces []string
	if r.Skipped && r.Sum == "" {
		return []string{t.text(words.M("%s: skipped, one of the same size (%s) that is not older is there", name, size(r.Size)))}
	}
	if r.Skipped {
		pieces = append(pieces, t.text(words.M("%s: skipped, an equal file of %s is there", name, size(r.Size))))
	} else {
		done := t.text(words.M("%s: %s in %s", name, size(r.Size), span(r.Took)))
		if v := rate(r.Bytes, r.Took); v > 0 {
			done += t.text(words.M(" (%s/s)", size(v)))
		}
		pieces = append(pieces, done)
	}
	if r.Resumed > 0 && !r.Skipped {
		pieces = append(pieces, t.text(words.M("resumed at %s after its SHA-256 matched", size(r.Resumed))))
	}
	if r.Restarted {
		pieces = append(pieces, t.text(words.M("started over, for the part that was there does not fit the source")))
	}
	switch {
	case r.Sum != "" && r.Verified:
		pieces = append(pieces, "SHA-256 "+r.Sum, t.text(words.M("equal at both ends")))
	case r.Sum != "":
		pieces = append(pieces, "SHA-256 "+r.Sum, t.text(words.M("not compared, for the server has no hashes")))
	case !r.Skipped:
		pieces = append(pieces, t.text(words.M("not compared by hash")))
	}
	return pieces
}

// flow prints pieces in one line, or on a terminal in as many as its width needs.
func (t *task) flow(pieces []string) {
	comma := t.text(words.M(", "))
	if _, tty := terminal(t.Out); !tty {
		fmt.Fprintln(t.Out, strings.Join(pieces, comma))
		return
	}
	cols := columns(t.Out)
	line := ""
	for i, p := range pieces {
		if i > 0 && words.Width(line+comma+p) > cols-2 {
			fmt.Fprintln(t.Out, line+strings.TrimRight(comma, " "))
			line = "  " + p
			continue
		}
		if i > 0 {
			line += comma
		}
		line += p
	}
	fmt.Fprintln(t.Out, line)
}

// event writes one event to Out.
func (t *task) event(e map[string]any) { _ = jsonLine(t.Out, e) }

// jsonLine writes v as a line of JSON.
func jsonLine(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

//go:build linux

package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
)

// The chart shows, for each row, every server beside the best peer, whose bar ends at 1. Bars are cut at most.
const (
	most      = 3.0
	chartWide = 900
	labelWide = 330
	barHigh   = 9
	rowGap    = 12
	topHigh   = 62
)

// colours tell the servers apart, in the order of the table; they differ in lightness too.
var colours = []string{"#0b5cad", "#7fb2e5", "#8a8a8a", "#c98b2b", "#5f9e6e", "#b66a9b", "#3f3f6e"}

// chart draws the figures as SVG.
func (r *report) chart() []byte {
	unit := float64(chartWide-labelWide-60) / most
	high := topHigh + 20
	for _, l := range r.rows {
		high += r.bars(l)*barHigh + rowGap
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n", chartWide, high)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", chartWide, high)
	fmt.Fprint(&b, `<text x="10" y="20" font-size="15">How many times better than the best peer (more is better)</text>`+"\n")
	for i, s := range r.servers {
		x := 10 + i*130
		fmt.Fprintf(&b, `<rect x="%d" y="32" width="11" height="11" fill="%s"/><text x="%d" y="42">%s</text>`+"\n",
			x, colours[i%len(colours)], x+16, html.EscapeString(s.name))
	}
	for q := 0.0; q <= most; q += 0.5 {
		x := labelWide + q*unit
		stroke := "#e4e4e4"
		if q == 1 {
			stroke = "#555"
		}
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s"/><text x="%.1f" y="%d" text-anchor="middle">%.1f</text>`+"\n",
			x, topHigh, x, high-18, stroke, x, high-5, q)
	}
	y := topHigh + rowGap/2
	for _, l := range r.rows {
		y += r.drawRow(&b, l, y, unit) + rowGap
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// bars is how many servers took part in a row that has a peer.
func (r *report) bars(l *line) int {
	n := 0
	for _, s := range r.servers {
		if _, ok := r.ratio(l, s.name); ok {
			n++
		}
	}
	return max(n, 1)
}

func (r *report) drawRow(b *bytes.Buffer, l *line, y int, unit float64) int {
	high := r.bars(l) * barHigh
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", labelWide-8, y+high/2+4, html.EscapeString(l.title))
	for i, s := range r.servers {
		q, ok := r.ratio(l, s.name)
		if !ok {
			continue
		}
		wide := math.Min(q, most) * unit
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"><title>%s: %.2f</title></rect>`+"\n",
			labelWide, y, wide, barHigh-1, colours[i%len(colours)], html.EscapeString(s.name), q)
		if s.ours || q > most {
			fmt.Fprintf(b, `<text x="%.1f" y="%d" font-size="9">%.2f</text>`+"\n", labelWide+wide+3, y+barHigh-1, q)
		}
		y += barHigh
	}
	return high
}

//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// A report is what was measured, in the order of the rows.
type report struct {
	servers []*server
	rows    []*line
	header  string
}

// A line is a row with its figures, by server.
type line struct {
	row
	figures
}

// figures are what was measured of a row; -keep writes them as JSON.
type figures struct {
	All       map[string][]measure
	Measured  int
	Disturbed int
}

// newReport begins with what was kept of all rows.
func newReport(o *options, l *lab) (*report, error) {
	r := &report{}
	for _, s := range l.sites {
		r.servers = append(r.servers, s.server)
	}
	r.header = fmt.Sprintf("%s, %d processors, Linux %s, %s; loopback; files in memory, those of sampan-strict on %s; medians of %d runs.",
		processor(), runtime.NumCPU(), release(), runtime.Version(), fileSystem(o.disk), o.runs)
	kept := map[string]figures{}
	if o.keep != "" {
		b, err := os.ReadFile(o.keep)
		if err == nil {
			err = json.Unmarshal(b, &kept)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return r, err
		}
	}
	for _, of := range rows(l.sizes) {
		r.rows = append(r.rows, &line{row: of, figures: kept[of.name]})
	}
	return r, nil
}

// begin forgets what was kept of a row.
func (r *report) begin(of *row) { r.line(of).figures = figures{All: map[string][]measure{}} }

func (r *report) line(of *row) *line {
	return r.rows[slices.IndexFunc(r.rows, func(l *line) bool { return l.name == of.name })]
}

func (r *report) add(of *row, server string, m measure, calm bool) {
	to := r.line(of)
	to.All[server] = append(to.All[server], m)
	to.Measured++
	if !calm {
		to.Disturbed++
	}
}

// save writes what was measured of all rows.
func (r *report) save(name string) error {
	if name == "" {
		return nil
	}
	kept := map[string]figures{}
	for _, l := range r.rows {
		if l.All != nil {
			kept[l.name] = l.figures
		}
	}
	b, err := json.MarshalIndent(kept, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(name, b, 0o644)
}

// median returns the median of a figure of a server; ok is false if it took no part.
func (l *line) median(server string, of func(measure) float64) (v float64, ok bool) {
	var all []float64
	for _, m := range l.All[server] {
		all = append(all, of(m))
	}
	if len(all) == 0 {
		return 0, false
	}
	slices.Sort(all)
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2, true
}

func value(m measure) float64 { return m.Value }
func cpu(m measure) float64   { return m.CPU }

// best returns the best peer's figure, of the row that l is compared with.
func (r *report) best(l *line) (v float64, ok bool) {
	if l.than != "" {
		i := slices.IndexFunc(r.rows, func(o *line) bool { return o.name == l.than })
		if i < 0 {
			return 0, false // it was not measured
		}
		l = r.rows[i]
	}
	for _, s := range r.servers {
		if s.ours {
			continue
		}
		if m, took := l.median(s.name, value); took && (!ok || (m < v) == l.less) {
			v, ok = m, true
		}
	}
	return v, ok
}

// ratio tells how many times better than the best peer a server is.
func (r *report) ratio(l *line, server string) (float64, bool) {
	best, ok := r.best(l)
	v, took := l.median(server, value)
	switch {
	case !ok || !took || best <= 0 || v <= 0:
		return 0, false
	case l.less:
		return best / v, true
	}
	return v / best, true
}

// print writes two tables, the figures and processor time, for FTP and for SFTP.
func (r *report) print(w io.Writer) {
	r.rows = slices.DeleteFunc(r.rows, func(l *line) bool { return l.All == nil })
	measured, disturbed := 0, 0
	for _, l := range r.rows {
		measured, disturbed = measured+l.Measured, disturbed+l.Disturbed
	}
	fmt.Fprintf(w, "%s\n", r.header)
	if disturbed > 0 {
		fmt.Fprintf(w, "**%d of %d measurements were disturbed by other programs.**\n", disturbed, measured)
	}
	for _, sftp := range []bool{false, true} {
		part := &report{servers: r.servers, rows: slices.DeleteFunc(slices.Clone(r.rows), func(l *line) bool { return l.sftp != sftp })}
		if len(part.rows) > 0 {
			part.tables(w)
		}
	}
}

func (r *report) tables(w io.Writer) {
	r.table(w, "row", "sampan / best peer | goal", func(l *line) (string, string) {
		end := "– | –"
		if q, ok := r.ratio(l, "sampan"); ok {
			end = fmt.Sprintf("**%.2f** | ", q)
			switch {
			case l.goal > 0:
				end += fmt.Sprintf("%.2f", l.goal)
			case l.most > 0:
				end += fmt.Sprintf("≤ %.0f %s", l.most, l.unit)
			default:
				end += "–"
			}
		}
		return l.title + ", " + l.unit, end
	}, value)
	r.table(w, "server's processor seconds", "per", func(l *line) (string, string) { return l.title, l.per }, cpu)
}

func (r *report) table(w io.Writer, first, last string, ends func(*line) (string, string), of func(measure) float64) {
	var names []string // of who took part
	for _, s := range r.servers {
		if slices.ContainsFunc(r.rows, func(l *line) bool { return len(l.All[s.name]) > 0 }) {
			names = append(names, s.name)
		}
	}
	fmt.Fprintf(w, "\n| %s | %s | %s |\n", first, strings.Join(names, " | "), last)
	fmt.Fprintf(w, "|---%s\n", strings.Repeat("|---:", len(names)+strings.Count(last, "|")+1)+"|")
	for _, l := range r.rows {
		title, end := ends(l)
		if end == "" {
			continue // nothing to tell
		}
		fmt.Fprintf(w, "| %s |", title)
		for _, name := range names {
			if v, ok := l.median(name, of); ok {
				fmt.Fprintf(w, " %s |", figure(v))
			} else {
				fmt.Fprint(w, " – |")
			}
		}
		fmt.Fprintf(w, " %s |\n", end)
	}
}

// figure writes three digits that count.
func figure(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	_, rest, _ := bytes.Cut(b, []byte("model name\t: "))
	name, _, _ := bytes.Cut(rest, []byte("\n"))
	if len(name) == 0 {
		return runtime.GOARCH
	}
	return string(name)
}

func release() string {
	b, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return string(bytes.TrimSpace(b))
}

// fileSystem names the kind of file system of a directory (statfs(2)).
func fileSystem(dir string) string {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return "a disk"
	}
	switch s.Type {
	case 0xef53:
		return "ext4"
	case 0x58465342:
		return "xfs"
	case 0x9123683e:
		return "btrfs"
	case 0x01021994:
		return "tmpfs"
	}
	return fmt.Sprintf("a file system of kind %#x", s.Type)
}

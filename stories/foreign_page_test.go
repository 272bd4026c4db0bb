//go:build linux

package stories

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/compatibility.md anew")

const pageFile = "../docs/compatibility.md"

// TestPage: docs/compatibility.md says what the tables of foreign clients say.
func TestPage(t *testing.T) {
	t.Parallel()
	want := page(t)
	if *update {
		if err := os.WriteFile(pageFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(pageFile)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("docs/compatibility.md is not what the tables say (%v): go test ./stories -run TestPage -update", err)
	}
}

const pageHead = `# Compatibility

Other people's clients that work with the server, what each of them does in our tests, and what was met on the way. The page
is written from the tables that the tests run by; a test fails when they differ.

` + "`make test`" + ` runs the tables without the sizes over 4 GiB, ` + "`make test-long`" + ` all of them. Files are compared by their SHA-256 at
both ends. The versions are those that the page was written with.
`

const pageFTP = `
## FTP and FTPS

Each way is tried with each other: a client that knows three kinds of
security, active mode and IPv6 comes in twelve ways.

`

const pageFTPJobs = `
Each client does the jobs by explicit TLS where it knows that, in passive mode. "down" is a client that only downloads; a number
leads to the reason why there is nothing.

- Sizes and names: put, list, get; names are also renamed and removed.
- directories: made, filled, listed, emptied and removed, with names that have spaces and Chinese letters.
- TYPE A: line ends arrive as LF, also where the file on the server has CRLF (some clients leave the CRLF of the wire).
- abort, go on: a download is given up in its middle, and the same command or program goes on with another.
- resume up: behind a cut upload; resume down: behind half a file.
- certificate: a server that shows another one is told nothing.

`

const pageSFTP = `
## SFTP

Each client comes by each way, over IPv4 and IPv6.

`

const pageSFTPJobs = `
Each client does the jobs by key. They are those of FTP; the cut upload behind which "resume up" goes on was begun over FTP.

- host key: a server that shows another one than the known is told nothing.

`

func page(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(pageHead + pageFTP)
	b.WriteString("| Client | Version | Clear text | Explicit TLS | Implicit TLS | Active | IPv6 |\n|---|---|---|---|---|---|---|\n")
	yes := func(ok bool) string {
		if ok {
			return "yes"
		}
		return "–"
	}
	for _, f := range foreigners {
		fmt.Fprintf(&b, "| %s | %s |", f.name, f.version)
		for _, security := range anySecurity {
			fmt.Fprintf(&b, " %s |", yes(slices.Contains(f.security, security)))
		}
		fmt.Fprintf(&b, " %s | %s |\n", yes(f.active), yes(f.v6))
	}
	b.WriteString(pageFTPJobs)
	pageTable(&b, foreigners, jobs)

	b.WriteString(pageSFTP)
	b.WriteString("| Client | Version | Key | Password | IPv6 |\n|---|---|---|---|---|\n")
	for _, f := range sftpForeigners {
		fmt.Fprintf(&b, "| %s | %s |", f.name, f.version)
		for _, login := range anyLogin {
			fmt.Fprintf(&b, " %s |", yes(slices.Contains(f.security, login)))
		}
		fmt.Fprintf(&b, " %s |\n", yes(f.v6))
	}
	b.WriteString(pageSFTPJobs)
	pageTable(&b, sftpForeigners, sftpJobs())
	return b.Bytes()
}

// pageTable writes who does which job, and what else is to be said.
func pageTable(b *bytes.Buffer, clients []foreign, jobs []job) {
	var reasons []string
	note := func(f foreign, why string) int {
		why = f.name + ": " + why
		if !slices.Contains(reasons, why) {
			reasons = append(reasons, why)
		}
		return slices.Index(reasons, why) + 1
	}
	b.WriteString("| Client |")
	for _, j := range jobs {
		fmt.Fprintf(b, " %s |", j.name)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(jobs)) + "\n")
	for _, f := range clients {
		fmt.Fprintf(b, "| %s |", f.name)
		for _, j := range jobs {
			switch why := f.why(j); {
			case why != "":
				fmt.Fprintf(b, " – (%d) |", note(f, why))
			case f.downloads && !j.tls:
				b.WriteString(" down |")
			default:
				b.WriteString(" yes |")
			}
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	for i, why := range reasons {
		fmt.Fprintf(b, "%d. %s.\n", i+1, why)
	}
	b.WriteString("\n### What only some do\n\n")
	for _, f := range clients {
		if len(f.own) > 0 {
			var names []string
			for _, j := range f.own {
				names = append(names, j.name)
			}
			fmt.Fprintf(b, "- %s: %s.\n", f.name, strings.Join(names, "; "))
		}
	}
	b.WriteString("\n### What was met\n\n")
	for _, f := range clients {
		for _, met := range f.met {
			fmt.Fprintf(b, "- %s %s\n", f.name, met)
		}
		for _, w := range leftOut(f) {
			fmt.Fprintf(b, "- %s %s\n", f.name, w)
		}
	}
}

// leftOut tells which ways of a client are not tried.
func leftOut(f foreign) []string {
	ways := map[string][]string{}
	for _, w := range f.ways() {
		if why := f.cannot[w.String()]; why != "" {
			ways[why] = append(ways[why], w.String())
		}
	}
	var all []string
	for why, list := range ways {
		all = append(all, fmt.Sprintf("does not come by (%s): %s.", strings.Join(list, "; "), why))
	}
	slices.Sort(all)
	return all
}

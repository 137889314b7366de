package main

import (
	"fmt"
	"html"
	"slices"
	"strings"
)

const pageHead = `# Figures

What was measured beside what, and how to repeat it. ` + "`make bench`" + ` writes this page, the plot and
` + "[`testdata/bench/figures.json`](../../testdata/bench/figures.json)" + ` and says what has moved since; ` + "`make bench-quick`" + ` writes
nothing, and its figures say little. Each value is a proportion to something measured in the same round, because figures
of two machines, or of one shared machine at two times, do not compare: requests and refreshes, and logins and logouts in a
full database, are measured in turns of a tenth of a round. A round of logins or of a storm is three times as long as
others. Beside the pruner it is not so: all rounds without it come first, on a server that has just started, and those with
it when it prunes.

The server is the program as it is shipped, a process of its own on a core of its own, with the default settings, but for
two. Limits are off where one address makes more logins or refreshes than they allow, and the parts that need many
sessions and measure no login make them with cheap hashes. It logs a line for each request at the default level into a
pipe that is read. Latencies are from the client's side.

`

const pageParts = `
What each part does:

* **requests**: 64 connections, each asks again when it is answered. The bare handler gets the same headers, answers a
  small JSON object and does nothing else. The three take turns of a fifth of a second.
* **first-seen**: tokens that are new to either, verified one after another in one process.
* **flood**: 4,000 accepted tokens, asked for before and after invalid ones, each of which has a wrong signature of its own.
* **logins**: eight clients. The hash alone runs in a process of its own on the server's core, as many at once as the
  server's permits, with golang.org/x/crypto's argon2.
* **storm**: 64 clients log in without a pause; meanwhile verified requests are sent 500 times a second whether answered or
  not, and their latency counts from when each was to be sent. A request that comes by itself wakes the server and costs
  more than one of many: what the bare handler takes for as many is in the table, and what the server takes for them, the
  logins lack. On two cores the load has one of the two, a quarter of which it took where this was looked at.
* **refreshes**: 32 sessions, each refreshes again when it is answered. The parts are one request to the bare handler from
  32 connections, one ES256 signature, and one row changed in a group of 32 with ` + "`synchronous=FULL`" + `; the sum is what they
  take one after another.
* **refreshes-postgres**: the database is on the server's core. pgx alone sends the compare-and-swap of a session from 32
  connections, on a table like the one of sessions and without the look at the user.
* **revocations**: from the 204 of a logout until each of 1,000 verifiers knows of it. 10,000 logouts a minute are aimed at.
* **footprint**: an existing database, nobody asks.
* **growth**, **growth-postgres**: two servers on one core, asked in turn by eight clients: one on a database of 64 users,
  and one on a database that was filled with 1,000,000 users and 10,000,000 sessions of 90 days. Hashes are cheap, so that
  the databases make the difference. Who signs in is chosen all over the table; 1,024 sessions are refreshed in turn, and
  960 others end in each round. A start lasts from the process's begin until ` + "`/readyz`" + ` says 200; it is repeated with
  1,000,000 revocations that are kept though they have expired. Before that 500,000 more sessions are due for pruning:
  requests are measured before the program first prunes, a minute after its start, and while it does; then deletes alone,
  in slices as the program makes them. With PostgreSQL, the database is on the server's core too.
`

const peerHead = `
## Beside what one would otherwise run

` + "`make bench-peers`" + ` builds or finds the others and asks each the same, on the same core as the server above. The share is
that of a bare Gin handler in the same run. What each of them does for a login, and what it keeps, differs: read the
notes.

`

// others tells which parts were measured at another commit than the last run.
func (f figures) others() string {
	var parts []string
	for _, r := range f.Rows {
		if r.Commit != "" && r.Commit != f.Setting.Commit {
			parts = append(parts, r.Part+" ("+r.Commit+")")
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " At another commit: " + strings.Join(slices.Compact(parts), ", ") + "."
}

// page is the figures as Markdown.
func (f figures) page() string {
	var b strings.Builder
	b.WriteString(pageHead)
	if len(f.Rows) > 0 {
		fmt.Fprintf(&b, "%s.%s\n\n![Shares of the targets that are reached](figures.svg)\n\n", f.Setting, f.others())
		b.WriteString("| part | work | figure | value (least to most of the rounds or turns) | target | |\n|---|---|---|---|---|---|\n")
		for _, r := range f.Rows {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", r.Part, cell(r.Work), cell(r.Figure), r.ranged(), r.bound(), r.verdict())
		}
		b.WriteString(f.missed())
		b.WriteString(pageParts)
	}
	if len(f.Peers) > 0 {
		b.WriteString(peerHead)
		fmt.Fprintf(&b, "%s.\n\n", f.PeerSetting)
		b.WriteString(peerTable(f.Peers))
	}
	return b.String()
}

func (r row) ranged() string {
	if !r.measured() || r.Low == r.High {
		return r.value()
	}
	return fmt.Sprintf("%s (%s–%s)", r.value(), number(r.Low), number(r.High))
}

// missed says in words what is not reached.
func (f figures) missed() string {
	var lines []string
	for _, r := range f.Rows {
		if r.verdict() == "missed" {
			lines = append(lines, fmt.Sprintf("* %s, %s: %s, where %s is asked for.\n", r.Part, r.Work, r.value(), r.bound()))
		}
	}
	if lines == nil {
		return ""
	}
	return "\nNot yet good:\n\n" + strings.Join(lines, "")
}

const (
	plotLabel = 420 // pixels left of the bars
	plotUnit  = 240 // pixels from nothing to the target
	plotRow   = 22
	plotMost  = 2.0 // longer bars are cut off there
)

// plot draws for each row with a target how much of it is reached.
func (f figures) plot() string {
	var b strings.Builder
	y := 34
	for _, r := range f.Rows {
		if r.Target.Bound == 0 {
			continue
		}
		share, colour := r.score(), "#2a7f62"
		if share < 1 {
			colour = "#b5462f"
		}
		length := int(min(share, plotMost) * plotUnit)
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", plotLabel-8, y+12, html.EscapeString(r.Work))
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>`+"\n", plotLabel, y, length, plotRow-6, colour)
		fmt.Fprintf(&b, `<text x="%d" y="%d">%s, target %s</text>`+"\n", plotLabel+length+6, y+12, html.EscapeString(number(r.Value)), html.EscapeString(r.bound()))
		y += plotRow
	}
	const width = plotLabel + int(plotMost*plotUnit) + 180
	head := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", width, y+10, width, y+10)
	head += fmt.Sprintf(`<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, y+10)
	head += fmt.Sprintf(`<text x="%d" y="20" text-anchor="middle">target</text>`+"\n", plotLabel+plotUnit)
	line := fmt.Sprintf(`<line x1="%d" y1="26" x2="%d" y2="%d" stroke="#333333" stroke-dasharray="3 3"/>`+"\n</svg>\n", plotLabel+plotUnit, plotLabel+plotUnit, y+4)
	return head + b.String() + line
}

package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Where figures are kept, from the root of the repository on.
const (
	figuresJSON = "testdata/bench/figures.json"
	figuresPage = "configs/docs/figures.md"
	figuresPlot = "configs/docs/figures.svg"
)

// figures is what a run came to.
type figures struct {
	Setting     setting   `json:"setting"`
	Rows        []row     `json:"rows"`
	PeerSetting setting   `json:"peer_setting"`
	Peers       []peerRow `json:"peers"`
}

// setting is what a run was made with.
type setting struct {
	Date    string `json:"date"`
	Machine string `json:"machine"`
	Cores   int    `json:"cores"`
	Go      string `json:"go"`
	Commit  string `json:"commit"`
	Pinned  string `json:"pinned"`
	Rounds  int    `json:"rounds"`
	Length  string `json:"length"`
	// Busy is the load average before the run: a machine that does other things is no judge.
	Busy string `json:"load_average,omitempty"`
}

func (s setting) String() string {
	text := fmt.Sprintf("%s, %d cores, %s; %s; median of %d rounds of %s; %s, commit %s",
		s.Machine, s.Cores, s.Go, s.Pinned, s.Rounds, s.Length, s.Date, s.Commit)
	if s.Busy != "" {
		text += "; load average before the run " + s.Busy
	}
	return text
}

// row is one line of the table. Value is in proportion to something measured in the
// same run, as Of tells, unless Of is a unit.
type row struct {
	Part   string  `json:"part"`
	Commit string  `json:"commit,omitempty"` // if it is not that of the setting
	Work   string  `json:"work"`
	Figure string  `json:"figure"`
	Value  float64 `json:"value,omitempty"`
	Low    float64 `json:"low,omitempty"`
	High   float64 `json:"high,omitempty"`
	Of     string  `json:"of,omitempty"`
	Target target  `json:"target,omitzero"`
}

// target is what a value is to reach; there is none where Bound is 0.
type target struct {
	Bound  float64 `json:"bound"`
	AtMost bool    `json:"at_most,omitempty"`
}

func atLeast(bound float64) target { return target{Bound: bound} }
func atMost(bound float64) target  { return target{Bound: bound, AtMost: true} }

// Units of values that stand for themselves.
const (
	milliseconds = "ms"
	mebibytes    = "MiB"
	megabytes    = "MB"
)

// score is the share of the target that is reached: 1 and more is enough.
func (r row) score() float64 {
	if r.Target.AtMost {
		return r.Target.Bound / r.Value
	}
	return r.Value / r.Target.Bound
}

func (r row) verdict() string {
	switch {
	case r.Target.Bound == 0:
		return ""
	case r.score() >= 1:
		return "reached"
	default:
		return "missed"
	}
}

// measured reports whether there is a value. Each part has a row with one, unless it could
// not be measured.
func (r row) measured() bool { return r.Of != "" }

func (r row) value() string {
	if !r.measured() {
		return ""
	}
	return number(r.Value) + " " + r.Of
}

func (r row) bound() string {
	switch {
	case r.Target.Bound == 0:
		return ""
	case r.Target.AtMost:
		return "≤ " + number(r.Target.Bound)
	default:
		return "≥ " + number(r.Target.Bound)
	}
}

func number(v float64) string {
	switch {
	case v >= 100 || v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// add takes a line whose value is the median of what the rounds came to.
func (b *bench) add(work, figure string, values []float64, of string, t target) {
	b.rows = append(b.rows, row{
		Work: work, Figure: figure, Value: median(values), Low: slices.Min(values), High: slices.Max(values), Of: of, Target: t,
	})
}

// addMemory takes a line of MiB, if the system tells of them.
func (b *bench) addMemory(work, figure string, values []float64, bound float64) {
	if slices.Max(values) == 0 {
		b.row(work, "not measured: this system does not tell")
		return
	}
	b.add(work, figure, values, mebibytes, atMost(bound))
}

// row takes a line that is in proportion to nothing.
func (b *bench) row(work, figure string) { b.rows = append(b.rows, row{Work: work, Figure: figure}) }

func printTable(out io.Writer, rows []row) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", r.Work, r.Figure, r.value(), r.bound(), r.verdict())
	}
	if err := t.Flush(); err != nil {
		fmt.Fprintln(out, err)
	}
}

// noise is the share of a value that says nothing, however close the rounds were.
const noise = 0.03

// moved says which values differ from those that are kept by more than the rounds
// of either run differ among themselves. Times are left out: another machine has
// others.
func moved(kept, now []row) []string {
	var lines []string
	compared := 0
	for _, r := range now {
		i := slices.IndexFunc(kept, func(k row) bool { return k.Part == r.Part && k.Work == r.Work })
		if i < 0 || !r.measured() || r.Of == milliseconds || kept[i].Of != r.Of {
			continue
		}
		compared++
		was := kept[i]
		spread := max(was.High-was.Low, r.High-r.Low, noise*was.Value)
		if math.Abs(r.Value-was.Value) > spread {
			lines = append(lines, fmt.Sprintf("moved: %s: %s: %s, was %s (%s)", r.Part, r.Work, r.value(), number(was.Value), r.direction(was)))
		}
	}
	if compared > 0 && len(lines) == 0 {
		lines = append(lines, fmt.Sprintf("%d values are where they were, within the spread of the rounds", compared))
	}
	return lines
}

func (r row) direction(was row) string {
	higher := r.Value > was.Value
	switch {
	case r.Target.Bound == 0 && higher:
		return "higher"
	case r.Target.Bound == 0:
		return "lower"
	case higher != r.Target.AtMost:
		return "better"
	default:
		return "worse"
	}
}

// with returns the figures with the parts that were measured now in place of the
// same parts measured before. Those of another machine do not stay beside them, and those
// that could not be measured now stay as they were.
func (f figures) with(now figures) figures {
	now.Rows = slices.DeleteFunc(slices.Clone(now.Rows), func(r row) bool { return !slices.Contains(everyPart(), r.Part) })
	if slices.ContainsFunc(now.Rows, row.measured) {
		if f.Setting.Machine != now.Setting.Machine || f.Setting.Cores != now.Setting.Cores {
			f.Rows = nil
		}
		f.Rows = slices.Clone(f.Rows)
		for i := range f.Rows {
			f.Rows[i].Commit = cmp.Or(f.Rows[i].Commit, f.Setting.Commit)
		}
		f.Setting = now.Setting
	}
	var rows []row
	for _, part := range everyPart() {
		of := func(all []row) []row {
			return slices.DeleteFunc(slices.Clone(all), func(r row) bool { return r.Part != part })
		}
		before, since := of(f.Rows), of(now.Rows)
		if len(before) == 0 || slices.ContainsFunc(since, row.measured) {
			rows = append(rows, since...)
		} else {
			rows = append(rows, before...)
		}
	}
	f.Rows = rows
	if len(now.Peers) > 0 {
		f.PeerSetting, f.Peers = now.Setting, now.Peers
	}
	return f
}

func readFigures(path string) (f figures, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return figures{}, nil
	}
	if err != nil {
		return figures{}, err
	}
	err = json.Unmarshal(text, &f)
	return f, err
}

func (f figures) write() error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(figuresJSON, append(text, '\n'), 0o644),
		os.WriteFile(figuresPage, []byte(f.page()), 0o644),
		os.WriteFile(figuresPlot, []byte(f.plot()), 0o644),
	)
}

// median is 0 where nothing was measured.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// shares divides round by round: what slows the machine for a moment slows both.
func shares(values, floor []float64) []float64 {
	all := make([]float64, len(values))
	for i, v := range values {
		all[i] = v / floor[i]
	}
	return all
}

// byRound is the median of each round's turns, which differ among themselves by far more
// than runs do.
func byRound(turns []float64) []float64 {
	var rounds []float64
	for some := range slices.Chunk(turns, perRound) {
		rounds = append(rounds, median(some))
	}
	return rounds
}

// cell is text as a table of Markdown takes it.
func cell(text string) string { return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text) }

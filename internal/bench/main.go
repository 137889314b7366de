// Command bench measures jotgate against the floor under it, in one run on one
// machine, and tells the ratios. The server runs as a process of its own, as
// shipped; it has one core to itself, and the load comes from this process on the
// others, over loopback.
//
// Figures of two runs or two machines do not compare; ratios within one run do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 && args[0] == floorArg {
		return floor(ctx, args[1:], out)
	}
	cores, args, err := takeCores(args)
	if err != nil {
		return err
	}
	b := &bench{out: out, cores: cores}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.IntVar(&b.rounds, "rounds", 5, "rounds, of which the median counts")
	fs.DurationVar(&b.length, "length", 2*time.Second, "length of one measurement")
	fs.BoolVar(&b.quick, "quick", false, "one short round of each, whose figures say little")
	fs.StringVar(&b.program, "program", "", "the jotgate to measure; built from this tree if empty")
	fs.StringVar(&b.other, "other", "", "another build of jotgate, which the part against compares with")
	fs.StringVar(&b.profileTo, "profile", "", "where the part profile puts its profile")
	fs.StringVar(&b.dir, "dir", os.TempDir(), "where the data of the servers goes for the time being")
	only := fs.String("only", strings.Join(everyPart(), ","), "parts to run, in this order; there are also peers, profile and against, and with none the page is written anew")
	write := fs.Bool("write", false, "put the figures into "+figuresJSON+" and the page made of it")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if b.quick && *write {
		return errors.New("figures of -quick say too little to be kept")
	}
	if b.quick {
		b.rounds, b.length = 1, 500*time.Millisecond
	}
	names := strings.FieldsFunc(*only, func(r rune) bool { return r == ',' })
	if len(names) == 0 && *write {
		kept, err := readFigures(figuresJSON)
		if err != nil {
			return err
		}
		return kept.write()
	}
	return b.run(ctx, names, *write)
}

// run measures the parts of these names, says what has moved since the figures that
// are kept, and keeps the new ones if it is to.
func (b *bench) run(ctx context.Context, names []string, keep bool) (err error) {
	if err := known(names); err != nil {
		return err
	}
	kept, err := readFigures(figuresJSON)
	if err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp(b.dir, "jotgate-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if err := b.build(ctx); err != nil {
		return err
	}
	now := figures{Setting: b.setting()}
	fmt.Fprintf(b.out, "%s\n\n", now.Setting)
	for _, name := range names {
		before := len(b.rows)
		if err := errors.Join(parts()[name](b, ctx), ctx.Err(), b.probe(ctx)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for i := range b.rows[before:] {
			b.rows[before+i].Part = name
		}
		printTable(b.out, b.rows[before:])
	}
	now.Rows, now.Peers = b.rows, b.peerRows
	for _, line := range moved(kept.Rows, now.Rows) {
		fmt.Fprintln(b.out, line)
	}
	return b.end(kept.with(now), keep)
}

// known refuses a name that is none before the parts of others are measured.
func known(names []string) error {
	for _, name := range names {
		if parts()[name] == nil {
			return fmt.Errorf("there is no part %q", name)
		}
	}
	return nil
}

// bench is one run.
type bench struct {
	out          io.Writer
	cores        cores
	rounds       int
	length       time.Duration
	quick        bool
	dir, program string
	other        string // to compare with
	profileTo    string
	rows         []row
	peerRows     []peerRow
	gotShares    []float64 // of the server's core, by processes that want all of it
}

// parts is what can be measured.
func parts() map[string]func(*bench, context.Context) error {
	return map[string]func(*bench, context.Context) error{
		"requests": (*bench).requests, "first-seen": (*bench).firstSeen, "flood": (*bench).flood,
		"logins": (*bench).logins, "storm": (*bench).storms,
		"refreshes": (*bench).refreshesOnSQLite, "refreshes-postgres": (*bench).refreshesOnPostgres,
		"revocations": (*bench).revocations, "footprint": (*bench).footprint, "peers": (*bench).peers,
		"growth": (*bench).growthOnSQLite, "growth-postgres": (*bench).growthOnPostgres,
		"profile": (*bench).profile, "against": (*bench).against,
	}
}

// everyPart is what runs if nothing else is asked for.
func everyPart() []string {
	return []string{
		"requests", "first-seen", "flood", "logins", "storm", "refreshes", "refreshes-postgres", "revocations", "footprint",
		"growth", "growth-postgres",
	}
}

// build makes the program as it is shipped, unless there is one to measure.
func (b *bench) build(ctx context.Context) (err error) {
	if b.program != "" {
		b.program, err = filepath.Abs(b.program)
		return err
	}
	b.program = filepath.Join(b.dir, "jotgate")
	if text, err := exec.CommandContext(ctx, "make", "-s", "build", "BIN="+b.program).CombinedOutput(); err != nil {
		return fmt.Errorf("make build: %w: %s", err, text)
	}
	return nil
}

func (b *bench) setting() setting {
	return setting{
		Date: time.Now().Format(time.DateOnly), Machine: processor(), Cores: runtime.NumCPU() + len(b.cores.server),
		Go: runtime.Version(), Commit: commit(), Rounds: b.rounds, Length: b.length.String(), Pinned: b.cores.String(), Busy: loadAverage(),
	}
}

func commit() string {
	text, err := exec.Command("git", "describe", "--always", "--dirty").Output() //nolint:noctx // at once
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}

func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, "\t :"))
		}
	}
	return runtime.GOARCH
}

// Command bench measures jotgate against the floor under it, in one run on one
// machine, and prints the ratios. The server runs as a process of its own, as
// shipped and on one core; the load comes from this process over loopback.
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
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// helloArg makes this program the bare Gin server that the others are compared with.
const helloArg = "hello"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	if len(args) == 2 && args[0] == helloArg {
		return hello(ctx, args[1])
	}
	b := &bench{out: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.IntVar(&b.rounds, "rounds", 5, "rounds, of which the median counts")
	fs.DurationVar(&b.length, "length", 2*time.Second, "length of one measurement")
	only := fs.String("only", "requests,first-seen,logins,refreshes,refreshes-postgres,revocations,footprint", "parts to run, in this order")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "jotgate-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	b.program = filepath.Join(b.dir, "jotgate")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags=nomsgpack", "-ldflags=-s -w", "-o", b.program, "./cmd/jotgate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w: %s", err, text)
	}
	fmt.Fprintf(b.out, "%s, %d cores, %s, %s; median of %d rounds of %s; server on one core\n\n",
		processor(), runtime.NumCPU(), runtime.Version(), time.Now().Format(time.DateOnly), b.rounds, b.length)
	parts := map[string]func(context.Context) error{
		"requests": b.requests, "first-seen": b.firstSeen, "logins": b.logins, "refreshes": b.refreshesOnSQLite,
		"refreshes-postgres": b.refreshesOnPostgres, "revocations": b.revocations, "footprint": b.footprint,
	}
	for name := range strings.SplitSeq(*only, ",") {
		part, ok := parts[name]
		if !ok {
			return fmt.Errorf("there is no part %q", name)
		}
		if err := part(ctx); err != nil {
			return err
		}
		if err := errors.Join(b.out.Flush(), ctx.Err()); err != nil {
			return err
		}
	}
	return nil
}

// bench is one run.
type bench struct {
	out          *tabwriter.Writer
	rounds       int
	length       time.Duration
	dir, program string
}

// row prints one line of the table.
func (b *bench) row(what, figure, ratio string) {
	fmt.Fprintf(b.out, "%s\t%s\t%s\n", what, figure, ratio)
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

func median[T int | float64 | time.Duration](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}

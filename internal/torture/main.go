// Command torture hurts jotgate and sees whether it keeps its word. It runs the
// program as shipped, keeps a ledger of what was acknowledged to its users,
// brings a fault, and compares: what was acknowledged holds, what was ended stays
// ended, nobody is let in, and every answer is one that clients are made for.
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
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		os.Exit(1)
	}
}

// torture is one run.
type torture struct {
	dir, program string
	long         bool
	seed         uint64
}

// count is how many points a fault has: few in the short form.
func (tt *torture) count(short, long int) int {
	if tt.long {
		return long
	}
	return short
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	tt := &torture{}
	fs := flag.NewFlagSet("torture", flag.ContinueOnError)
	fs.BoolVar(&tt.long, "long", false, "every point, in minutes, instead of some in a minute and a half")
	fs.Uint64Var(&tt.seed, "seed", 0, "what chance begins with; 0 is the time")
	only := fs.String("only", "kill,kill-at-write,errors,disk,connections,postgres,postgres-cut,redis,clock,load", "faults, in this order")
	if err := fs.Parse(args); err != nil {
		return err
	}
	names := strings.Split(*only, ",")
	if err := tt.known(names); err != nil {
		return err
	}
	if tt.seed == 0 {
		tt.seed = uint64(time.Now().UnixNano())
	}
	if tt.dir, err = os.MkdirTemp("", "jotgate-torture-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tt.dir)) }()
	if err := tt.build(ctx); err != nil {
		return err
	}
	fmt.Fprintf(out, "seed %d\n", tt.seed)
	return tt.all(ctx, out, names)
}

func (tt *torture) build(ctx context.Context) error {
	tt.program = filepath.Join(tt.dir, "jotgate")
	if text, err := exec.CommandContext(ctx, "make", "-s", "build", "BIN="+tt.program).CombinedOutput(); err != nil {
		return fmt.Errorf("make build: %w: %s", err, text)
	}
	return nil
}

// known refuses a name that is none before the faults of others are brought.
func (tt *torture) known(names []string) error {
	faults := tt.faults()
	for _, name := range names {
		if faults[name] == nil {
			return fmt.Errorf("there is no fault %q", name)
		}
	}
	return nil
}

// all brings the faults one after another, and prints the table and what was found, also
// if the machinery of one fails. One that is interrupted finds what is our doing.
func (tt *torture) all(ctx context.Context, out io.Writer, names []string) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, heading)
	var notes []string
	var broken, failed error
	for _, name := range names {
		t, began := &tally{fault: name}, time.Now()
		if err := errors.Join(tt.faults()[name](ctx, t), ctx.Err()); err != nil {
			failed = fmt.Errorf("%s: %w", name, err)
		}
		if ctx.Err() != nil {
			break
		}
		t.took = time.Since(began)
		fmt.Fprint(table, t.row())
		notes = append(notes, t.notes...)
		if t.bad() {
			broken = errors.New("it did not keep its word")
		}
		if failed != nil {
			break
		}
	}
	err := table.Flush()
	for _, note := range notes {
		fmt.Fprintln(out, note)
	}
	return errors.Join(broken, failed, err)
}

func (tt *torture) faults() map[string]func(context.Context, *tally) error {
	return map[string]func(context.Context, *tally) error{
		"kill": tt.killAtRandom, "kill-at-write": tt.killAtWrite, "errors": tt.failCalls,
		"connections": tt.crowdConnections, "disk": tt.fillDisk, "postgres": tt.hurtPostgres,
		"postgres-cut": tt.cutPostgres, "redis": tt.hurtRedis, "clock": tt.stepClock, "load": tt.offerLogins,
	}
}

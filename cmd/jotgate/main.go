// Command jotgate signs people and programs in and hands out tokens.
//
// It wires: what a command does is in package app and the packages behind it.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/config"
	"github.com/jotgate/jotgate/internal/password"
	"github.com/jotgate/jotgate/internal/telemetry"
)

// Set by the linker.
//
//nolint:gochecknoglobals // -X sets variables only
var (
	version = "dev"
	commit  = "unknown"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], process{in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ(), again: again}))
}

// process is what a command has of the world.
type process struct {
	in       io.Reader
	out, err io.Writer
	environ  []string
	again    func(arg string) *exec.Cmd // nil where the program cannot start itself
}

// hashPasswords is the argument of a process that hashes for another one, which starts it.
const hashPasswords = "hash-passwords"

// again starts this program once more, with nothing of the environment: it holds secrets.
func again(arg string) *exec.Cmd {
	cmd := &exec.Cmd{Path: "/proc/self/exe", Args: []string{os.Args[0], arg}, Env: []string{"GOMAXPROCS=1"}}
	if runtime.GOOS != "linux" { // there it is this very program, even if another was put in its place since
		cmd.Path, cmd.Err = os.Executable()
	}
	return cmd
}

// hash ends with its input, and not by a signal that is meant for the one that started it.
func hash(p process) int {
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	if err := password.Serve(p.in, p.out); err != nil {
		return 1 // who started it hears of the end, and a line here would be of a password
	}
	return 0
}

func run(ctx context.Context, args []string, p process) int {
	if slices.Equal(args, []string{hashPasswords}) {
		return hash(p)
	}
	root := newRoot(p)
	root.InitDefaultCompletionCmd(args...)
	refuseUnknown(root)
	root.SetArgs(args)
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	if err := root.ExecuteContext(ctx); err != nil {
		lines := telemetry.NewLines(p.err) // which end even if nobody reads them
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintln(lines, "jotgate:", strings.TrimSpace(line))
		}
		_ = lines.Flush() //nolint:errcheck // there is nowhere to say so
		return 1
	}
	return 0
}

// refuseUnknown has commands that are only there for those below them refuse what
// they do not have below them. Alone they print help.
func refuseUnknown(c *cobra.Command) {
	if !c.HasSubCommands() {
		return
	}
	c.Args, c.DisableFlagsInUseLine = below, true
	c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	c.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if cmd.HasSubCommands() { // of a command that is none, the flags are unknown, too
			err = cmp.Or(below(cmd, cmd.Flags().Args()), err)
		}
		return err
	})
	for _, sub := range c.Commands() {
		refuseUnknown(sub)
	}
}

// below is [cobra.NoArgs] that says what may have been meant.
func below(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2 // as in cobra where it suggests by itself
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return fmt.Errorf("unknown command %q for %q%s", args[0], cmd.CommandPath(), hint)
}

// arguments is [cobra.RangeArgs] that says what is expected. It repeats none, which may be
// a password.
func arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) > most:
			return fmt.Errorf("too many arguments; usage: %s", cmd.UseLine())
		case len(args) < least:
			return fmt.Errorf("an argument is missing; usage: %s", cmd.UseLine())
		}
		return nil
	}
}

// program is what commands share.
type program struct {
	process
	file string // of the configuration
	json bool   // output
}

func newRoot(p process) *cobra.Command {
	g := &program{process: p}
	root := &cobra.Command{
		Use:   "jotgate",
		Short: "Sign people and programs in and hand out tokens that any service can check",
		Long: `Sign people and programs in and hand out tokens that any service can check.

Every setting is a key of the configuration file, a variable JOTGATE_… and, unless
it is a secret, a flag; configs/jotgate.yaml has them all. "jotgate serve" alone
needs none of them.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().StringVar(&g.file, "config", "", "configuration `file` (YAML)")
	config.RegisterFlags(root.PersistentFlags())
	root.AddCommand(
		g.serveCommand(), g.migrateCommand(), g.userCommand(), g.clientCommand(), g.keysCommand(), g.configCommand(), g.dbCommand(),
		g.tokenCommand(), g.healthCommand(), versionCommand(),
	)
	root.InitDefaultHelpCmd()
	if help, _, err := root.Find([]string{"help"}); err == nil {
		help.Args = helped
	}
	return root
}

// helped refuses a command that is not there, where cobra tells of the one above it.
func helped(help *cobra.Command, args []string) error {
	cmd, rest, _ := help.Root().Find(args) //nolint:errcheck // it says what below does
	return below(cmd, rest)
}

func (g *program) load(cmd *cobra.Command) (config.Config, error) {
	return config.Load(config.Source{File: g.file, Environ: g.environ, Flags: cmd.Flags()})
}

// open builds the program for a command that makes something, and a database for it
// where there is none.
func (g *program) open(cmd *cobra.Command) (*app.App, error) { return g.opened(cmd, true) }

// openFound builds the program for a command on what is there: it makes no database.
func (g *program) openFound(cmd *cobra.Command) (*app.App, error) { return g.opened(cmd, false) }

// opened builds the program for a command that runs beside a server, or without one.
func (g *program) opened(cmd *cobra.Command, may bool) (*app.App, error) {
	c, log, err := g.settings(cmd)
	if err != nil {
		return nil, err
	}
	missing := app.FindTables(cmd.Context(), c, log)
	if missing != nil && (!may || !errors.Is(missing, app.ErrNoDatabase)) {
		return nil, missing
	}
	a, err := app.New(cmd.Context(), c, build(), log)
	if err == nil && missing != nil {
		g.tellMade(c)
	}
	return a, err
}

// tellMade says where a command has made a database, which may not be where it was meant to.
func (g *program) tellMade(c config.Config) {
	place := "in PostgreSQL"
	if path, err := app.FindDatabase(c); err == nil && path != "" {
		place = "at " + path
	}
	fmt.Fprintln(g.err, "made a new database", place)
}

// settings loads the configuration of a command, and makes its log.
func (g *program) settings(cmd *cobra.Command) (config.Config, *slog.Logger, error) {
	c, err := g.load(cmd)
	if err != nil {
		return c, nil, err
	}
	log, err := g.quiet()
	return c, log, err
}

// quiet logs warnings only.
func (g *program) quiet() (*slog.Logger, error) { return telemetry.NewLogger(g.err, "warn", "text") }

func build() app.Build { return app.Build{Version: version, Commit: commit} }

// serving is the build of a server, which hashes in processes of their own.
func (g *program) serving() app.Build {
	b := build()
	if g.again != nil {
		b.Hashes = func() *exec.Cmd { return g.again(hashPasswords) }
	}
	return b
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print version, commit and Go version",
		Args:  arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			path := "github.com/jotgate/jotgate"
			if info, ok := debug.ReadBuildInfo(); ok {
				path = info.Main.Path
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s (commit %s, %s %s/%s)\n",
				path, version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

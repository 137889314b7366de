package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/config"
	"github.com/jotgate/jotgate/internal/store"
)

func (g *program) migrateCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "migrate", Short: "Bring the database's tables up to date, or tell how far they are"}
	cmd.AddCommand(
		&cobra.Command{
			Use: "up", Short: "Apply the migrations that are missing", Args: arguments(0, 0),
			RunE: func(cmd *cobra.Command, _ []string) error {
				c, err := g.load(cmd)
				if err != nil {
					return err
				}
				return g.withStore(cmd, c, func(db *store.DB) error {
					before, err := db.MigrationStatus(cmd.Context())
					if err != nil {
						return err
					}
					if err := db.Migrate(cmd.Context()); err != nil {
						return err
					}
					if before.Current == 0 {
						g.tellMade(c)
					}
					return g.printMigration(cmd, db)
				})
			},
		},
		&cobra.Command{
			Use: "status", Short: "Tell which migrations are applied", Args: arguments(0, 0), RunE: g.migrationStatus,
		},
	)
	g.addOutput(cmd)
	return cmd
}

func (g *program) withStore(cmd *cobra.Command, c config.Config, act func(db *store.DB) error) (err error) {
	log, err := g.quiet()
	if err != nil {
		return err
	}
	db, err := app.OpenStore(cmd.Context(), c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return act(db)
}

// migrationStatus opens a database that is there: one that it made would be empty.
func (g *program) migrationStatus(cmd *cobra.Command, _ []string) error {
	c, err := g.load(cmd)
	if err != nil {
		return err
	}
	_, missing := app.FindDatabase(c)
	if !errors.Is(missing, app.ErrNoDatabase) {
		return g.withStore(cmd, c, func(db *store.DB) error { return g.printMigration(cmd, db) })
	}
	s, err := store.Unmade()
	if err != nil {
		return err
	}
	return g.print(cmd.OutOrStdout(), s, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, missing)
		return err
	})
}

func (g *program) printMigration(cmd *cobra.Command, db *store.DB) error {
	s, err := db.MigrationStatus(cmd.Context())
	if err != nil {
		return err
	}
	return errors.Join(g.print(cmd.OutOrStdout(), s, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "at migration %d of %d\n", s.Current, s.Latest)
		return err
	}), s.Err())
}

func (g *program) configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check or print the configuration"}
	cmd.AddCommand(
		&cobra.Command{
			Use: "check", Short: "Say what is wrong with the configuration", Args: arguments(0, 0),
			Long: `Say what is wrong with the configuration and with the keys that it names. Nothing
is made, and nothing is reached: whether the database answers and the addresses are
free, the start tells.`,
			RunE: func(cmd *cobra.Command, _ []string) error {
				c, err := g.load(cmd)
				if err != nil {
					return err
				}
				if err := app.Check(cmd.Context(), c); err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), "the configuration is fine")
				return err
			},
		},
		&cobra.Command{
			Use: "print", Short: "Print the configuration in force, without secrets", Args: arguments(0, 0),
			RunE: func(cmd *cobra.Command, _ []string) error {
				c, err := g.load(cmd)
				if err != nil {
					return err
				}
				return c.WriteYAML(cmd.OutOrStdout())
			},
		},
	)
	return cmd
}

const maxInput = 64 << 10 // bytes

// readInput reads a file, or standard input for "-".
func readInput(cmd *cobra.Command, name string) ([]byte, error) {
	if name == "-" {
		return reading(cmd.Context(), "input", func() ([]byte, error) {
			return io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxInput))
		})
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxInput {
		return nil, fmt.Errorf("%s is too long", name)
	}
	return os.ReadFile(name) //nolint:gosec // the operator names the file
}

func (g *program) addOutput(cmd *cobra.Command) {
	cmd.PersistentFlags().Var((*format)(&g.json), "output", "text or json")
}

// format is the flag --output.
type format bool

// String implements [pflag.Value].
func (f *format) String() string {
	if *f {
		return "json"
	}
	return "text"
}

// Set implements [pflag.Value].
func (f *format) Set(s string) error {
	if s != "json" && s != "text" {
		return errors.New("must be text or json")
	}
	*f = s == "json"
	return nil
}

// Type implements [pflag.Value].
func (*format) Type() string { return "format" }

// print writes v as JSON, or with text.
func (g *program) print(w io.Writer, v any, text func(io.Writer) error) error {
	if !g.json {
		return text(w)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

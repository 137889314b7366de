package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/keyset"
	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/telemetry"
)

func (g *program) migrateCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "migrate", Short: "Bring the database's tables up to date, or tell how far they are"}
	withStore := func(act func(cmd *cobra.Command, db *store.DB) error) func(*cobra.Command, []string) error {
		return func(cmd *cobra.Command, _ []string) (err error) {
			c, err := g.load(cmd)
			if err != nil {
				return err
			}
			log, err := telemetry.NewLogger(g.err, "warn", "text")
			if err != nil {
				return err
			}
			db, err := app.OpenStore(cmd.Context(), c, log)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, db.Close()) }()
			return act(cmd, db)
		}
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "up", Short: "Apply the migrations that are missing", Args: cobra.NoArgs,
			RunE: withStore(func(cmd *cobra.Command, db *store.DB) error {
				if err := db.Migrate(cmd.Context()); err != nil {
					return err
				}
				return g.printMigration(cmd, db)
			}),
		},
		&cobra.Command{
			Use: "status", Short: "Tell which migrations are applied", Args: cobra.NoArgs, RunE: withStore(g.printMigration),
		},
	)
	g.addOutput(cmd)
	return cmd
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
			Use: "check", Short: "Say whether the configuration would start", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				if _, err := g.load(cmd); err != nil {
					return err
				}
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "the configuration is fine")
				return err
			},
		},
		&cobra.Command{
			Use: "print", Short: "Print the configuration in force, without secrets", Args: cobra.NoArgs,
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

// keyView is a signing key as it is printed.
type keyView struct {
	KID         string    `json:"kid"`
	Algorithm   string    `json:"alg"`
	State       string    `json:"state"`
	CreatedAt   time.Time `json:"created_at"`
	ActivatesAt time.Time `json:"activates_at"`
}

func viewKey(i keyset.Info) keyView {
	return keyView{i.KID, string(i.Algorithm), string(i.State), i.CreatedAt, i.ActivatesAt}
}

func (g *program) keysCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "keys", Short: "List signing keys, or bring your own"}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List the signing keys", Args: cobra.NoArgs, RunE: g.listKeys},
		&cobra.Command{
			Use:   "import FILE",
			Short: "Import a private key in PEM or as a JWK; - reads standard input",
			Long: `Import a private key: PEM (PKCS #8, PKCS #1, SEC 1) or a private JWK. It must be
for the configured token.alg. In a database that has keys it is published for ten
minutes before it signs, so that no verifier meets it unprepared.`,
			Args: cobra.ExactArgs(1), RunE: g.importKey,
		},
		g.bumpEpoch(),
	)
	g.addOutput(cmd)
	return cmd
}

func (g *program) listKeys(cmd *cobra.Command, _ []string) (err error) {
	a, err := g.open(cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	infos := a.Keys.List()
	views := make([]keyView, len(infos))
	for i, info := range infos {
		views[i] = viewKey(info)
	}
	return g.print(cmd.OutOrStdout(), views, func(w io.Writer) error { return writeKeys(w, views) })
}

func writeKeys(w io.Writer, views []keyView) error {
	for _, v := range views {
		if _, err := fmt.Fprintf(w, "%s  %-5s  %-8s  signs from %s\n",
			v.KID, v.Algorithm, v.State, v.ActivatesAt.Format(time.RFC3339)); err != nil {
			return err
		}
	}
	return nil
}

func (g *program) importKey(cmd *cobra.Command, args []string) (err error) {
	text, err := readInput(cmd, args[0])
	if err != nil {
		return err
	}
	c, err := g.load(cmd)
	if err != nil {
		return err
	}
	a, err := g.open(cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	info, err := a.Gate.ImportKey(cmd.Context(), a.Keys, text, keyset.Algorithm(c.Token.Alg))
	if err != nil {
		return err
	}
	v := viewKey(info)
	return g.print(cmd.OutOrStdout(), v, func(w io.Writer) error { return writeKeys(w, []keyView{v}) })
}

const maxInput = 64 << 10 // bytes

// readInput reads a file, or standard input for "-".
func readInput(cmd *cobra.Command, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxInput))
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

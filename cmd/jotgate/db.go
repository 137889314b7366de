package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/store"
)

func (g *program) dbCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "db", Short: "Copy the database from SQLite to PostgreSQL"}
	cmd.AddCommand(g.copyDatabase())
	g.addOutput(cmd)
	return cmd
}

func (g *program) copyDatabase() *cobra.Command {
	var from, toFile string
	var job store.Copy
	cmd := &cobra.Command{
		Use:   "copy",
		Short: "Make a PostgreSQL database equal to an SQLite one; a dry run without --apply",
		Long: `Make a PostgreSQL database equal to an SQLite one. Without --apply nothing is
written, on either side: the report says what would be.

Copy once while jotgate runs, which may take its time; stop jotgate, and copy again,
which brings over what has changed since; start jotgate on PostgreSQL with the same
master key. Tokens, sessions and keys go on working.

A copy that was interrupted is begun again by the same command. It ends with the
counts and checksums of all tables on both sides. A target that holds anything else
is refused, and one from which a jotgate has served since it was copied.

Leave the password out of --to and put it into PGPASSWORD or ~/.pgpass, or the whole
URL into a file (--to-file), where other users of the machine do not see it.`,
		Example: `  jotgate db copy --from sqlite:data/jotgate.db --to postgres://jotgate@db.example.com/jotgate
  jotgate db copy --from sqlite:data/jotgate.db --to-file database-url --apply`,
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if job.To, err = targetURL(cmd, job.To, toFile); err != nil {
				return err
			}
			c, log, err := g.settings(cmd)
			if err != nil {
				return err
			}
			job.Progress = progress(g.err)
			copied, err := app.CopyDatabase(cmd.Context(), c, from, job, log)
			if len(copied.Tables) == 0 {
				return err
			}
			return errors.Join(err, g.print(cmd.OutOrStdout(), copied, func(w io.Writer) error {
				return writeCopied(w, copied, toFile, err == nil)
			}))
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "sqlite:<path>, the database that is copied")
	cmd.Flags().StringVar(&job.To, "to", "", "postgres://…, the database that becomes equal to it")
	cmd.Flags().StringVar(&toFile, "to-file", "", "`file` that holds the URL of --to; - reads standard input")
	cmd.Flags().BoolVar(&job.Apply, "apply", false, "copy, rather than tell what would be copied")
	return cmd
}

func targetURL(cmd *cobra.Command, url, file string) (string, error) {
	if (url == "") == (file == "") {
		return "", errors.New("give the target with --to or with --to-file")
	}
	if file == "" {
		return url, nil
	}
	text, err := readInput(cmd, file)
	return strings.TrimSpace(string(text)), err
}

// progressEach is how often a long step tells how far it is.
const progressEach = 2 * time.Second

func progress(w io.Writer) func(store.CopyProgress) {
	told := time.Now()
	return func(p store.CopyProgress) {
		if !p.Done && time.Since(told) < progressEach {
			return
		}
		told = time.Now()
		more := "..."
		if p.Done {
			more = ""
		}
		fmt.Fprintf(w, "%s %s: %d rows, %.1f s%s\n", p.Step, p.Table, p.Rows, p.Took.Seconds(), more)
	}
}

func writeCopied(w io.Writer, c app.Copied, toFile string, well bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "source\ttarget before\tcopied\tchanged\tdeleted\t  table\n")
	for _, r := range c.Tables {
		fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%d\t  %s\n", r.Source, r.Target, r.Copied, r.Changed, r.Deleted, r.Name)
	}
	if err := t.Flush(); err != nil || !well {
		return err
	}
	if !c.Applied {
		_, err := fmt.Fprintln(w, "This was a dry run: nothing was written; --apply copies.")
		return err
	}
	return writeNext(w, c, toFile)
}

// writeNext says what is left to do. It does not repeat the URL, which may hold a
// password.
func writeNext(w io.Writer, c app.Copied, toFile string) error {
	url := "JOTGATE_DATABASE_URL=postgres://…"
	if toFile != "" && toFile != "-" {
		url = "JOTGATE_DATABASE_URL_FILE=" + toFile
	}
	key, checked := "JOTGATE_MASTER_KEY_FILE="+c.MasterKey, "It opens the signing keys that were copied."
	switch c.MasterKey {
	case "":
		key, checked = "JOTGATE_MASTER_KEY_FILE=…", "It was not found here, so nothing tells whether it opens the signing keys that were copied."
	case "master_key":
		key = "JOTGATE_MASTER_KEY=…"
	}
	_, err := fmt.Fprintf(w, `The copy is verified: counts and checksums of %d tables are the same on both sides.
Next:
  1. If jotgate ran meanwhile, stop it and run this command again for what has changed since.
  2. Start it on PostgreSQL with the same master key and the same public URL:
       %s %s jotgate serve
     %s
`, len(c.Tables), url, key, checked)
	return err
}

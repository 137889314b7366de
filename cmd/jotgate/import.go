package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/djangousers"
	"github.com/jotgate/jotgate/internal/user"
)

func (g *program) importUsers() *cobra.Command {
	var from, role string
	var s djangousers.Source
	var o djangousers.Options
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Import users from a Django project, with their passwords; a dry run without --apply",
		Long: `Import users from a Django project, with their passwords. Without --apply
nothing is kept: the report says what would happen, to an empty database where there
is none yet.

--source is an SQLite database, what "manage.py dumpdata auth.user" wrote, or a URL
postgres://…, which is read in a read-only transaction. Leave the password out of
the URL and put it into PGPASSWORD or ~/.pgpass, where other users of the machine
do not see it.

Importing again imports nobody twice: each user keeps the id from there as an
external id, such as django:42. A user who cannot be taken is told of and stops
nothing.`,
		Example: `  jotgate user import --from django --source db.sqlite3
  jotgate user import --from django --source postgres://django@db.example.com/shop --superuser-role admin --apply`,
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if from != "django" {
				return errors.New("users are imported --from django; nothing else is known")
			}
			if s.Location == "" {
				return errors.New("--source is needed: an SQLite database, a dump, or postgres://…")
			}
			if role != "" {
				if o.SuperuserRole, err = user.ParseRole(role); err != nil {
					return err
				}
			}
			return g.importFrom(cmd, s, o)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "what the users come from: django")
	cmd.Flags().StringVar(&s.Location, "source", "", "SQLite database, dump in JSON, or postgres://…")
	cmd.Flags().StringVar(&s.Table, "table", djangousers.DefaultTable, "table of the user model")
	cmd.Flags().StringVar(&role, "superuser-role", "", "`role` that superusers get; left out, none")
	cmd.Flags().BoolVar(&o.Apply, "apply", false, "import, rather than tell what would happen")
	return cmd
}

func (g *program) importFrom(cmd *cobra.Command, s djangousers.Source, o djangousers.Options) (err error) {
	t := importTarget{open: func() (*app.App, error) { return g.openRehearsal(cmd) }}
	if o.Apply {
		t.open = func() (*app.App, error) { return g.open(cmd) }
	}
	defer func() { err = errors.Join(err, t.close()) }()
	report, err := djangousers.Import(cmd.Context(), t.importUser, s, o)
	if t.failed != nil {
		return t.failed
	}
	if err != nil && report.Read == 0 {
		return err
	}
	return errors.Join(err, g.print(cmd.OutOrStdout(), report, func(w io.Writer) error { return writeReport(w, report) }))
}

// importTarget is the program that takes users in. It is not opened, nor anything made
// for it, before there is a user to take.
type importTarget struct {
	open   func() (*app.App, error)
	app    *app.App
	failed error // to open
}

func (t *importTarget) importUser(ctx context.Context, u user.Import, rehearse bool) (user.User, error) {
	if t.app == nil {
		if t.app, t.failed = t.open(); t.failed != nil {
			return user.User{}, t.failed
		}
	}
	return t.app.Gate.ImportUser(ctx, u, rehearse)
}

func (t *importTarget) close() error {
	if t.app == nil {
		return nil
	}
	return t.app.Close()
}

// openRehearsal is [program.openFound], but where no installation is yet it goes by an empty
// one that is gone when the program is closed.
func (g *program) openRehearsal(cmd *cobra.Command) (*app.App, error) {
	c, log, err := g.settings(cmd)
	if err != nil {
		return nil, err
	}
	switch missing := app.FindKeys(cmd.Context(), c, log); {
	case missing == nil:
		return app.New(cmd.Context(), c, build(), log)
	case !errors.Is(missing, app.ErrNoDatabase):
		return nil, missing
	default:
		fmt.Fprintf(g.err, "%v\nthe dry run goes by an empty one, which is not kept\n", missing)
		return app.NewScratch(cmd.Context(), c, build(), log)
	}
}

// writeReport quotes what comes from there: it may hold what moves a terminal's
// cursor.
func writeReport(w io.Writer, r djangousers.Report) error {
	for _, row := range r.Rows {
		why := strings.Join(row.Notes, "; ")
		if row.Reason != "" {
			why = row.Reason
		}
		if _, err := fmt.Fprintf(w, "%s  %q  %s: %s\n", row.ExternalID, row.Username, row.Outcome, why); err != nil {
			return err
		}
	}
	did, hint := djangousers.Imported, ""
	if !r.Applied {
		did, hint = djangousers.WouldImport, "; nothing was kept, --apply imports"
	}
	_, err := fmt.Fprintf(w, "read %d: %s %d, %s %d, %s %d%s\n", r.Read, did, r.Imported, djangousers.AlreadyThere, r.AlreadyThere, djangousers.Skipped, r.Skipped, hint)
	return err
}

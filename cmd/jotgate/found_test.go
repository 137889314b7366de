package main

import (
	"bytes"
	"database/sql"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pressly/goose/v3"

	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/internal/store"
)

// commandsOnWhatIsThere make no installation; commandsThatMake may.
func commandsOnWhatIsThere() []string {
	return []string{
		"user list", "user disable ada", "user enable ada", "user set-password ada", "user set-roles ada", "client list", "client delete client-x",
		"client rotate-secret client-x", "keys list", "keys rotate", "keys revoke KID", "keys reseal", "keys bump-epoch", "token inspect a.b.c",
	}
}

func commandsThatMake(t *testing.T) []string {
	t.Helper()
	dump := filepath.Join(t.TempDir(), "dump.json")
	if err := os.WriteFile(dump, []byte(`[{"model":"auth.user","pk":1,"fields":{"username":"eve","password":"!"}}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{
		"user create --username eve", "client create --name reports", "keys import ../../testdata/keys/es256.pem",
		"user import --from django --source " + dump, "user import --apply --from django --source " + dump,
	}
}

// typed runs commands one after the other in a world of their own.
type typed struct{ environ []string }

func (c typed) jotgate(t *testing.T, line string) (out, errs string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), strings.Fields(line), process{
		in: strings.NewReader("paper lantern over the river\n"), out: &o, err: &e, environ: append([]string{
			"JOTGATE_PASSWORD_MEMORY_KIB=64", "JOTGATE_PASSWORD_PASSES=1", "JOTGATE_MASTER_KEY=" + strings.Repeat("00", 32),
		}, c.environ...),
	})
	return o.String(), e.String(), code
}

// TestNothingIsMadeOnPostgres holds that a backup can still be restored into a database on
// which somebody typed a command too early.
func TestNothingIsMadeOnPostgres(t *testing.T) {
	dsn := pgtest.DSN(t)
	c := typed{[]string{"JOTGATE_DATABASE_URL=" + dsn}}
	for _, line := range commandsOnWhatIsThere() {
		want := "jotgate: there is no database yet in PostgreSQL: that of database.url has no tables; jotgate serve, migrate up or user create makes them\n"
		if out, errs, code := c.jotgate(t, line); code != 1 || out != "" || errs != want {
			t.Errorf("%s: %d %s%s", line, code, out, errs)
		}
	}
	if out, errs, code := c.jotgate(t, "migrate status"); code != 0 || !strings.HasPrefix(out, "at migration 0 of ") {
		t.Errorf("migrate status: %d %s%s", code, out, errs)
	}
	db, err := store.Open(t.Context(), store.Config{URL: dsn, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var made int
	if err := db.SQLDB()["postgres"].QueryRowContext(t.Context(),
		"SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace").Scan(&made); err != nil || made != 0 {
		t.Errorf("%d tables and indexes are there, %v", made, err)
	}
	if _, errs, code := c.jotgate(t, "user create --username ada"); code != 0 || errs != "made a new database in PostgreSQL\n" {
		t.Errorf("user create: %d %s", code, errs)
	}
	if _, errs, code := c.jotgate(t, "user create --username eve"); code != 0 || errs != "" {
		t.Errorf("user create again: %d %s", code, errs)
	}
}

// TestOnlyMigrateUpMigrates holds that a command of a newer program leaves the tables to the
// replicas that run on them.
func TestOnlyMigrateUpMigrates(t *testing.T) {
	for name, url := range map[string]string{
		"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "x.db"), "postgres": pgtest.DSN(t),
	} {
		t.Run(name, func(t *testing.T) {
			c := typed{[]string{"JOTGATE_DATABASE_URL=" + url, "JOTGATE_DATA_DIR=" + t.TempDir()}}
			if _, errs, code := c.jotgate(t, "user create --username ada"); code != 0 {
				t.Fatal(errs)
			}
			downOne(t, name, url)
			for _, line := range append(commandsOnWhatIsThere(), commandsThatMake(t)...) {
				_, errs, code := c.jotgate(t, line)
				if code != 1 || !regexp.MustCompile(`^jotgate: the database is at migration \d+ of \d+; run jotgate migrate up first \(operating\.md, Upgrade\)\n$`).MatchString(errs) {
					t.Errorf("%s: %d %s", line, code, errs)
				}
			}
			out, _, _ := c.jotgate(t, "migrate status")
			if at := regexp.MustCompile(`^at migration (\d+) of (\d+)\n$`).FindStringSubmatch(out); at == nil || at[1] == at[2] {
				t.Errorf("migrate status: %s", out)
			}
			for _, line := range []string{"migrate up", "user disable ada", "client create --name reports"} {
				if _, errs, code := c.jotgate(t, line); code != 0 || errs != "" {
					t.Errorf("%s: %d %s", line, code, errs)
				}
			}
			execute(t, name, url, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, "+map[string]string{"sqlite": "1", "postgres": "true"}[name]+")")
			for _, line := range []string{"user enable ada", "client create --name orders"} {
				if _, errs, code := c.jotgate(t, line); code != 0 || errs != "" {
					t.Errorf("%s on a newer database that takes this program: %d %s", line, code, errs)
				}
			}
		})
	}
}

func pool(t *testing.T, name, url string) *sql.DB {
	t.Helper()
	driver, source := "pgx", url
	if name == "sqlite" {
		driver, source = "sqlite", strings.TrimPrefix(url, "sqlite:")
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func execute(t *testing.T, name, url, statement string) {
	t.Helper()
	if _, err := pool(t, name, url).ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// downOne puts a database back by one migration, as the version before left it.
func downOne(t *testing.T, name, url string) {
	t.Helper()
	dialect := map[string]goose.Dialect{"sqlite": goose.DialectSQLite3, "postgres": goose.DialectPostgres}[name]
	p, err := goose.NewProvider(dialect, pool(t, name, url), os.DirFS("../../internal/store/migrations/"+name), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
}

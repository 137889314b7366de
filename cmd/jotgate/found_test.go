package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/internal/store"
)

// commandsOnWhatIsThere make no installation.
func commandsOnWhatIsThere() []string {
	return []string{
		"user list", "user disable ada", "user enable ada", "user set-password ada", "user set-roles ada", "client list", "client delete client-x",
		"client rotate-secret client-x", "keys list", "keys rotate", "keys revoke KID", "keys reseal", "keys bump-epoch", "token inspect a.b.c",
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
	if _, errs, code := c.jotgate(t, "user create --username ada"); code != 0 || errs != "" {
		t.Errorf("user create: %d %s", code, errs)
	}
}

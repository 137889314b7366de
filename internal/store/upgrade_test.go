package store

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/pgtest"
)

// TestStatementsOfTheVersionBefore prepares what the programs of earlier migrations
// run, as testdata has it, on the tables of today: their replicas are still at
// work while the first new one migrates. A file may go once the installation's
// oldest_program is past it.
func TestStatementsOfTheVersionBefore(t *testing.T) {
	for dialect, url := range map[string]string{
		"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "x.db"), "postgres": pgtest.DSN(t),
	} {
		t.Run(dialect, func(t *testing.T) {
			db := openTest(t, url)
			files, err := filepath.Glob("testdata/level*." + dialect + ".sql")
			if err != nil || len(files) == 0 {
				t.Fatalf("%v, %v", files, err)
			}
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				for statement := range strings.Lines(string(text)) {
					prepares(t, db, statement)
					insertsEnough(t, db, statement)
				}
			}
		})
	}
}

func prepares(t *testing.T, db *DB, statement string) {
	t.Helper()
	pool, err := db.writer.DB()
	if err != nil {
		t.Fatal(err)
	}
	prepared, err := pool.PrepareContext(t.Context(), statement)
	if err != nil {
		t.Errorf("%s: %v", statement, err)
		return
	}
	defer prepared.Close()
}

var insert = regexp.MustCompile("^INSERT INTO [`\"]?([a-z_]+)[`\"]? \\(([^)]*)\\)")

// insertsEnough fails t if an insert leaves out a column that has no default.
func insertsEnough(t *testing.T, db *DB, statement string) {
	t.Helper()
	found := insert.FindStringSubmatch(statement)
	if found == nil {
		return
	}
	columns := `SELECT column_name FROM information_schema.columns WHERE table_name = ? AND table_schema = current_schema()
		AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'`
	if db.server == nil {
		columns = `SELECT name FROM pragma_table_info(?) WHERE "notnull" = 1 AND dflt_value IS NULL AND NOT (pk = 1 AND type = 'INTEGER')`
	}
	var needed []string
	if err := db.writer.Raw(columns, found[1]).Scan(&needed).Error; err != nil {
		t.Fatal(err)
	}
	given := strings.FieldsFunc(found[2], func(r rune) bool { return strings.ContainsRune("`\", ", r) })
	for _, column := range needed {
		if !slices.Contains(given, column) {
			t.Errorf("%s\nleaves out %s, which has no default", statement, column)
		}
	}
}

// TestMigrationGoesOn has migrations 5 and 6 beside a transaction that goes on for longer than it
// waits for a table, and migrates again when both are over.
func TestMigrationGoesOn(t *testing.T) {
	db := openTest(t, pgtest.DSN(t))
	for _, statement := range []string{
		"DELETE FROM goose_db_version WHERE version_id >= 5",
		"DROP INDEX sessions_prune_at",
		"CREATE INDEX sessions_expires_at ON sessions (expires_at) WHERE ended_at = 0",
	} {
		if err := db.writer.Exec(statement).Error; err != nil {
			t.Fatal(err)
		}
	}
	long := db.writer.Begin(&sql.TxOptions{Isolation: sql.LevelRepeatableRead})
	if err := long.Exec("SELECT 1").Error; err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 7*time.Second)
	defer stop()
	if err := db.Migrate(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("beside an open transaction: %v", err)
	}
	if got, want := sessionIndexes(t, db, "NOT indisvalid"), []string{"sessions_prune_at"}; !slices.Equal(got, want) {
		t.Errorf("%q were begun, want %q", got, want)
	}
	if err := long.Rollback().Error; err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := sessionIndexes(t, db, "indisvalid"), []string{"sessions_ended_at", "sessions_pkey", "sessions_prune_at", "sessions_user_id_ended_at"}; !slices.Equal(got, want) {
		t.Errorf("the indexes are %q, want %q", got, want)
	}
}

func sessionIndexes(t *testing.T, db *DB, which string) (names []string) {
	t.Helper()
	if err := db.writer.Raw("SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'sessions'::regclass AND " + which + " ORDER BY 1").Scan(&names).Error; err != nil {
		t.Fatal(err)
	}
	return names
}

// TestMigrationsBuildIndexesBesideWrites keeps an update from holding up who writes to a
// large table. The migrations up to the fourth are older than any that is large.
func TestMigrationsBuildIndexesBesideWrites(t *testing.T) {
	files, err := fs.Glob(migrations, "migrations/postgres/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files[4:] {
		text, err := fs.ReadFile(migrations, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, index := range regexp.MustCompile(`(CREATE|DROP)( UNIQUE)? INDEX \w+`).FindAllString(string(text), -1) {
			if !strings.HasSuffix(index, " CONCURRENTLY") {
				t.Errorf("%s: %s", file, index)
			}
		}
	}
}

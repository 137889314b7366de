package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/user"
)

func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, url, want string }{
		{"no URL", "", "must begin with"},
		{"another database", "mysql://root:s3cret@example.com", "must begin with"},
		{"no file", "sqlite:", "must name a file"},
		{"memory", "sqlite::memory:", "must name a file"},
		{"no directory", "sqlite:" + filepath.Join(dir, "missing", "x.db"), "no such file or directory"},
		{"a directory", "sqlite:" + dir, "unable to open database file"},
		{"not a database", "sqlite:" + text, "file is not a database"},
		{"not a URL", "postgres://ada:s3cret@[::1:5432/x", "not one that PostgreSQL understands"},
		{"an impossible port", "postgres://ada:s3cret@example.com:port/x", "not one that PostgreSQL understands"},
		{"nobody listens", "postgres://ada:s3cret@" + closed + "/x", "connection refused"},
	} {
		t.Run(tt.name, func(t *testing.T) { wantOpenError(t, tt.url, tt.want) })
	}
}

func TestOpenRefusedByPostgres(t *testing.T) {
	u, err := url.Parse(pgtest.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("stranger", "s3cret")
	wantOpenError(t, u.String(), `role "stranger" does not exist`)
}

func wantOpenError(t *testing.T, url, want string) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{URL: url, Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		t.Fatal("opened", db.Close())
	}
	if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("error = %v, want one with %q", err, want)
	}
}

func TestSQLiteFilesArePrivate(t *testing.T) {
	// A name that an unescaped URL would cut off.
	path := filepath.Join(t.TempDir(), "a ? b%20#c.db")
	db := open(t, "sqlite:"+path)
	if err := db.Users().Create(t.Context(), user.User{ID: "u", Username: "ada"}); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("mode of the file with suffix %q = %o", suffix, mode)
		}
	}
}

// TestSettings looks at what durability, integrity and time-outs rest on.
func TestSettings(t *testing.T) {
	lite, pg := openSQLite(t).SQLDB(), openPostgres(t).SQLDB()
	for _, tt := range []struct {
		db        *sql.DB
		ask, want string
	}{
		{lite["writer"], "PRAGMA journal_mode", "wal"},
		{lite["writer"], "PRAGMA synchronous", "2"},
		{lite["writer"], "PRAGMA foreign_keys", "1"},
		{lite["writer"], "PRAGMA busy_timeout", "5000"},
		{lite["readers"], "PRAGMA query_only", "1"},
		{lite["readers"], "PRAGMA busy_timeout", "5000"},
		{pg["postgres"], "SHOW synchronous_commit", "on"},
		{pg["postgres"], "SHOW statement_timeout", "5s"},
		{pg["postgres"], "SHOW lock_timeout", "5s"},
		{pg["postgres"], "SHOW idle_in_transaction_session_timeout", "15s"},
	} {
		var got string
		if err := tt.db.QueryRowContext(t.Context(), tt.ask).Scan(&got); err != nil || got != tt.want {
			t.Errorf("%s = %q, %v; want %s", tt.ask, got, err, tt.want)
		}
	}
}

func TestMigrateIsIdempotentAndSafeTogether(t *testing.T) {
	for name, url := range map[string]string{
		"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "x.db"), "postgres": pgtest.DSN(t),
	} {
		t.Run(name, func(t *testing.T) {
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					db, err := store.Open(t.Context(), store.Config{URL: url, Logger: slog.New(slog.DiscardHandler)})
					if err != nil {
						t.Error(err)
						return
					}
					if err := errors.Join(db.Migrate(t.Context()), db.Migrate(t.Context()), db.Ping(t.Context()), db.Close()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			db := open(t, url)
			s, err := db.MigrationStatus(t.Context())
			if want := migrationFiles(t, name); err != nil || s.Current != want || s.Latest != want || s.Pending() != 0 {
				t.Errorf("status = %+v, %v", s, err)
			}
		})
	}
}

// TestAskingHowFarMakesNothing holds that a backup can still be restored into a database
// of which somebody asked.
func TestAskingHowFarMakesNothing(t *testing.T) {
	for name, url := range map[string]string{
		"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "x.db"), "postgres": pgtest.DSN(t),
	} {
		t.Run(name, func(t *testing.T) {
			db, err := store.Open(t.Context(), store.Config{URL: url, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			want := store.MigrationStatus{Latest: migrationFiles(t, name)}
			if got, err := db.MigrationStatus(t.Context()); err != nil || got != want {
				t.Errorf("status = %+v, %v; want %+v", got, err, want)
			}
			pool, count := db.SQLDB()["writer"], "SELECT count(*) FROM sqlite_schema"
			if name == "postgres" {
				pool, count = db.SQLDB()[name], "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
			}
			var tables int
			if err := pool.QueryRowContext(t.Context(), count).Scan(&tables); err != nil || tables != 0 {
				t.Errorf("it made %d tables, %v", tables, err)
			}
		})
	}
}

// SQLite says that it is busy, without waiting, to those who come while the first
// one turns the journal into a WAL or the last one removes it.
func TestSQLiteOpensWhileOthersOpenAndClose(t *testing.T) {
	for range 20 {
		url := "sqlite:" + filepath.Join(t.TempDir(), "x.db")
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 5 {
					db, err := store.Open(t.Context(), store.Config{URL: url, Logger: slog.New(slog.DiscardHandler)})
					if err != nil {
						t.Error(err)
						return
					}
					if err := errors.Join(db.Ping(t.Context()), db.Close()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	}
}

// migrationFiles counts the migrations of a dialect, which are numbered from 1.
func migrationFiles(t *testing.T, dialect string) int64 {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("migrations", dialect, "*.sql"))
	if err != nil || len(files) == 0 {
		t.Fatalf("migrations of %s: %v, %v", dialect, files, err)
	}
	return int64(len(files))
}

func TestMigrateRefusesANewerDatabase(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) *store.DB{"sqlite": openSQLite, "postgres": openPostgres} {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			latest := migrationFiles(t, name)
			newer(t, db, latest+1, latest+1)
			want := store.MigrationStatus{Current: latest + 1, Latest: latest, Oldest: latest + 1}
			got, err := db.MigrationStatus(t.Context())
			if err != nil || !cmp.Equal(got, want) || !errors.Is(got.Err(), store.ErrNewerDatabase) {
				t.Errorf("status = %+v, %v, %v", got, err, got.Err())
			}
			if err := db.Migrate(t.Context()); !errors.Is(err, store.ErrNewerDatabase) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Migrate = %v", err)
			}
		})
	}
}

// newer makes db what a program of another version leaves behind.
func newer(t *testing.T, db *store.DB, level, oldest int64) {
	t.Helper()
	pool := db.SQLDB()["writer"]
	if pool == nil {
		pool = db.SQLDB()["postgres"]
	}
	for _, statement := range []string{
		fmt.Sprintf("INSERT INTO goose_db_version (version_id, is_applied) VALUES (%d, true)", level),
		fmt.Sprintf("UPDATE installation SET oldest_program = %d", oldest),
		"ALTER TABLE users ADD COLUMN favourite text",
	} {
		if _, err := pool.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReplicaOfTheVersionBeforeStarts holds that in the course of an upgrade a
// replica of the old version may start again.
func TestReplicaOfTheVersionBeforeStarts(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) *store.DB{"sqlite": openSQLite, "postgres": openPostgres} {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			latest := migrationFiles(t, name)
			newer(t, db, latest+1, latest)
			if err := db.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := db.Users().Create(t.Context(), user.User{ID: "u", Username: "ada"}); err != nil {
				t.Fatal(err)
			}
			if got, err := db.Users().ByID(t.Context(), "u"); err != nil || got.Username != "ada" {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// TestTwoProcessesWrite reads and then writes in transactions of two openings of
// one file. Without immediate transactions most of them would fail.
func TestTwoProcessesWrite(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "x.db")
	dbs := []*store.DB{open(t, url), open(t, url)}
	if err := dbs[0].Users().Create(t.Context(), user.User{ID: "u", Username: "ada"}); err != nil {
		t.Fatal(err)
	}
	const each = 50
	var wg sync.WaitGroup
	for _, db := range dbs {
		wg.Go(func() {
			for range each {
				if err := db.InTx(t.Context(), func(ctx context.Context) error {
					u, err := db.Users().ByID(ctx, "u")
					hash := u.PasswordHash + "."
					return errors.Join(err, db.Users().Update(ctx, "u", user.Change{PasswordHash: &hash}))
				}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	u, err := dbs[0].Users().ByID(t.Context(), "u")
	if err != nil || len(u.PasswordHash) != len(dbs)*each {
		t.Errorf("%d updates are left, %v", len(u.PasswordHash), err)
	}
}

// wantUnavailable fails unless err is the database's fault and not the caller's.
func wantUnavailable(t *testing.T, err error) {
	t.Helper()
	e, ok := errors.AsType[*store.UnavailableError](err)
	if !ok || !e.Unavailable() || errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want the database unavailable", err)
	}
}

func TestFullDiskIsUnavailable(t *testing.T) {
	db := openSQLite(t)
	writer := db.SQLDB()["writer"]
	if _, err := writer.ExecContext(t.Context(), "PRAGMA max_page_count = 1"); err != nil {
		t.Fatal(err)
	}
	fill := func() error {
		for i := range 1000 {
			if err := db.Users().Create(t.Context(), user.User{
				ID: user.ID(fmt.Sprint(i)), Username: user.Username(fmt.Sprint(i)), PasswordHash: strings.Repeat("x", 1000),
			}); err != nil {
				return err
			}
		}
		return nil
	}
	wantUnavailable(t, fill())
	if _, err := writer.ExecContext(t.Context(), "PRAGMA max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	if err := db.Users().Create(t.Context(), user.User{ID: "again", Username: "again"}); err != nil {
		t.Error("there is room again:", err)
	}
}

func TestStalledDatabaseIsUnavailable(t *testing.T) {
	for name, url := range map[string]string{
		"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "x.db"), "postgres": pgtest.DSN(t),
	} {
		t.Run(name, func(t *testing.T) {
			holder := open(t, url)
			if err := holder.Users().Create(t.Context(), user.User{ID: "u", Username: "ada"}); err != nil {
				t.Fatal(err)
			}
			db, err := store.Open(t.Context(), store.Config{
				URL: url, Logger: slog.New(slog.DiscardHandler), Timeout: 200 * time.Millisecond,
			})
			if err != nil {
				t.Fatal(err)
			}
			disabled := true
			update := func(ctx context.Context) error {
				return db.Users().Update(ctx, "u", user.Change{Disabled: &disabled})
			}
			if err := holder.InTx(t.Context(), func(ctx context.Context) error {
				if _, err := holder.Users().ByID(ctx, "u"); err != nil {
					return err
				}
				wantUnavailable(t, update(t.Context()))
				wantUnavailable(t, db.InTx(t.Context(), update))
				short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
				if err := update(short); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("the caller's deadline: %v", err)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			err = update(t.Context())
			for range 20 { // on a busy machine the time-out may be too short for once
				if err == nil {
					break
				}
				err = update(t.Context())
			}
			if err := errors.Join(err, db.Close()); err != nil {
				t.Error("nobody holds the user any more:", err)
			}
		})
	}
}

// TestAnotherContextDoesNotHang leaves the transaction's context out by mistake.
func TestAnotherContextDoesNotHang(t *testing.T) {
	db, err := store.Open(t.Context(), store.Config{
		URL:    "sqlite:" + filepath.Join(t.TempDir(), "x.db"),
		Logger: slog.New(slog.DiscardHandler), Timeout: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantUnavailable(t, db.InTx(t.Context(), func(context.Context) error {
		return db.Users().Create(t.Context(), user.User{ID: "u", Username: "ada"})
	}))
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func TestPostgresComesBack(t *testing.T) {
	dsn := pgtest.DSN(t)
	db := open(t, dsn)
	admin, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	kill := func() {
		if _, err := admin.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
			t.Fatal(err)
		}
	}
	_, err = db.Sessions().ByID(t.Context(), "s")
	if !errors.Is(err, session.ErrNotFound) {
		t.Fatal(err)
	}
	wantUnavailable(t, db.InTx(t.Context(), func(ctx context.Context) error {
		kill()
		_, err := db.Sessions().ByID(ctx, "s")
		return err
	}))
	wantUnavailable(t, db.InTx(t.Context(), func(context.Context) error {
		kill()
		return nil
	}))
	if err := errors.Join(db.Ping(t.Context()), admin.Close(t.Context())); err != nil {
		t.Error("the server is back:", err)
	}
}

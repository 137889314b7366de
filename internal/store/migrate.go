package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrations embed.FS

// MigrationStatus is which migration the database is at and which one is the
// newest that this program knows.
type MigrationStatus struct {
	Current int64 `json:"current"`
	Latest  int64 `json:"latest"`
	// Oldest is the least migration whose programs may use the database as it is. It
	// is 0 where the database does not say, which is before migration 4.
	Oldest int64 `json:"oldest"`
}

// Pending returns how many migrations [DB.Migrate] would apply.
func (s MigrationStatus) Pending() int64 { return max(s.Latest-s.Current, 0) }

// Err returns [ErrNewerDatabase] if this program must not use the database. A
// newer one that says so goes with it: for the length of an upgrade, replicas of
// two versions run on one database, and one of the old may have to start again.
func (s MigrationStatus) Err() error {
	if s.Current > s.Latest && (s.Oldest == 0 || s.Oldest > s.Latest) {
		return fmt.Errorf("%w: it is at migration %d and this program knows up to %d; start a newer jotgate",
			ErrNewerDatabase, s.Current, s.Latest)
	}
	return nil
}

// toldFrom is the migration from which on the database says which programs may
// use it.
const toldFrom = 4

// Migrate brings the tables to the newest version that this program knows. It
// does nothing if they are there, and processes that start at once wait for each
// other. It returns [ErrNewerDatabase] rather than use a newer database that does not
// know this program any more, and
// [ErrHalfCopied] for one that no program should use yet.
func (db *DB) Migrate(ctx context.Context) error {
	if db.server != nil {
		if err := db.server.whole(ctx); err != nil {
			return err
		}
	}
	return db.migrate(ctx)
}

func (db *DB) migrate(ctx context.Context) error {
	return db.migrator(ctx, func(p *goose.Provider, s MigrationStatus) error {
		if err := s.Err(); err != nil || s.Pending() == 0 {
			return err
		}
		if _, err := p.Up(ctx); err != nil {
			return fmt.Errorf("store: migrate: %w", err)
		}
		return nil
	})
}

// Unmade is the status of an SQLite database that is not there yet.
func Unmade() (MigrationStatus, error) {
	latest, err := latestMigration("sqlite")
	return MigrationStatus{Latest: latest}, err
}

// MigrationStatus tells how far the database is. It waits for a process that
// migrates.
func (db *DB) MigrationStatus(ctx context.Context) (MigrationStatus, error) {
	var status MigrationStatus
	err := db.migrator(ctx, func(_ *goose.Provider, s MigrationStatus) error {
		status = s
		return nil
	})
	return status, err
}

// migrator runs f while nobody else migrates.
func (db *DB) migrator(ctx context.Context, f func(p *goose.Provider, s MigrationStatus) error) error {
	return db.dialect.locked(ctx, func(conns *sql.DB) error {
		name := db.dialect.migrations()
		files, err := fs.Sub(migrations, "migrations/"+name)
		if err != nil {
			return fmt.Errorf("store: find migrations: %w", err)
		}
		dialect := map[string]goose.Dialect{"sqlite": goose.DialectSQLite3, "postgres": goose.DialectPostgres}[name]
		p, err := goose.NewProvider(dialect, conns, files, goose.WithDisableGlobalRegistry(true))
		if err != nil {
			return fmt.Errorf("store: read migrations: %w", err)
		}
		s, err := readStatus(ctx, conns, name)
		if err != nil {
			return err
		}
		return f(p, s)
	})
}

// readStatus does without goose, which makes its table even to look at it: a backup could
// not be restored any more into a database of which somebody asked.
func readStatus(ctx context.Context, conns *sql.DB, dialect string) (s MigrationStatus, err error) {
	if s.Latest, err = latestMigration(dialect); err != nil {
		return s, err
	}
	there := "SELECT to_regclass('goose_db_version') IS NOT NULL"
	if dialect == "sqlite" {
		there = "SELECT count(*) FROM sqlite_schema WHERE name = 'goose_db_version'"
	}
	var made bool
	if err := conns.QueryRowContext(ctx, there).Scan(&made); err != nil {
		return s, fmt.Errorf("store: look for the database's migration: %w", err)
	}
	if !made {
		return s, nil
	}
	if err := conns.QueryRowContext(ctx, currentMigration).Scan(&s.Current); err != nil {
		return s, fmt.Errorf("store: read the database's migration: %w", err)
	}
	if s.Current >= toldFrom {
		if err := conns.QueryRowContext(ctx, "SELECT oldest_program FROM installation").Scan(&s.Oldest); err != nil {
			return s, fmt.Errorf("store: read which programs may use the database: %w", err)
		}
	}
	return s, nil
}

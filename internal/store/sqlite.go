package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sys/unix"
	gormsqlite "gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// sqliteReaders is how many reads run at once. They are short and their pages
	// are in memory, so more of them than cores only wait for each other.
	sqliteReaders = 8
	// lockRetry spaces out the attempts to open the database, or to become the
	// process that migrates it, while another process has it to itself.
	lockRetry = 20 * time.Millisecond
	// openTimeout bounds those attempts to open it.
	openTimeout = 5 * time.Second
)

// sqliteDialect is a database in a file of this machine. One connection writes:
// SQLite lets no two, and waiting for it in the pool is fair and costs nothing,
// while waiting in SQLite is a loop of sleeps.
type sqliteDialect struct {
	path            string
	writer, readers *sql.DB
}

func openSQLite(ctx context.Context, c Config, path string) (*DB, error) {
	path, err := createSQLite(path)
	if err != nil {
		return nil, err
	}
	d := &sqliteDialect{path: path}
	if d.writer, err = sqlitePool(ctx, c.Spans, path, 1, map[string]string{
		"_journal_mode": "WAL", "_synchronous": "FULL", "_txlock": "immediate",
	}); err != nil {
		return nil, err
	}
	if d.readers, err = sqlitePool(ctx, c.Spans, path, sqliteReaders, map[string]string{"_query_only": "1"}); err != nil {
		return nil, errors.Join(err, d.writer.Close())
	}
	db := &DB{dialect: d, timeout: c.Timeout, reading: make(chan struct{}, sqliteReaders)}
	// GORM prepares no statements for the writer, the group does: GORM would wait for the
	// one connection while it holds the statement, and a transaction that holds the
	// connection would wait for the statement.
	if db.writer, err = gorm.Open(sqliteDialector(d.writer), config(c.Logger, false)); err == nil {
		db.readers, err = gorm.Open(sqliteDialector(d.readers), config(c.Logger, true))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: open SQLite database %s: %w", path, err), db.Close())
	}
	db.group = newGroup(d.writer, db.writer, c.Timeout)
	return db, nil
}

// createSQLite returns path as an absolute one, and makes an empty file that
// only this user can read if there is none. SQLite gives the files that it puts
// beside the database the same mode.
func createSQLite(path string) (string, error) {
	if path == "" || path == ":memory:" {
		return "", errors.New("store: the database URL must name a file: sqlite:<path>")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("store: find the database file: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator names the file
	switch {
	case err == nil:
		err = f.Close()
	case errors.Is(err, fs.ErrExist):
		err = nil
	}
	if err != nil {
		return "", fmt.Errorf("store: create the database file: %w", err)
	}
	// SQLite itself would say that it cannot open the file, which is there.
	if err := unix.Access(filepath.Dir(path), unix.W_OK|unix.X_OK); err != nil {
		return "", fmt.Errorf("store: SQLite must write in the directory of the database: %w",
			&fs.PathError{Op: "write", Path: filepath.Dir(path), Err: err})
	}
	return path, nil
}

func sqlitePool(
	ctx context.Context, spans trace.TracerProvider, path string, conns int, options map[string]string,
) (*sql.DB, error) {
	q := url.Values{
		"_busy_timeout": {"5000"}, "_foreign_keys": {"1"}, "_time_format": {"sqlite"}, "_timezone": {"UTC"},
	}
	for k, v := range options {
		q.Set(k, v)
	}
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	pool, err := sqlitePoolOf(dsn.String(), spans)
	if err != nil {
		return nil, fmt.Errorf("store: open SQLite database %s: %w", path, err)
	}
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	if err := touch(ctx, pool); err != nil {
		return nil, errors.Join(fmt.Errorf("store: open SQLite database %s: %w", path, err), pool.Close())
	}
	return pool, nil
}

// touch makes the first connection of pool. The first process to come turns the
// journal into a WAL and the last one to leave removes it, each with the file to
// itself, and SQLite tells others at once that it is busy, whatever their
// time-out. They come again.
func touch(ctx context.Context, pool *sql.DB) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	for {
		var tables int
		err := pool.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables)
		if e, ok := errors.AsType[*sqlite.Error](err); !ok || e.Code()&0xff != sqlite3.SQLITE_BUSY {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(lockRetry):
		}
	}
}

func (d *sqliteDialect) migrations() string { return "sqlite" }

func (d *sqliteDialect) pools() map[string]*sql.DB {
	return map[string]*sql.DB{"writer": d.writer, "readers": d.readers}
}

// lockRows adds nothing: the transaction has been the only one that writes since
// it began.
func (d *sqliteDialect) lockRows() string { return "" }

func (d *sqliteDialect) turn(*gorm.DB, turn) error { return nil }

// locked holds a lock on a file beside the database. It belongs to the open
// file, so two users in one process exclude each other too, and the kernel lets
// it go when a process dies.
func (d *sqliteDialect) locked(ctx context.Context, f func(conns *sql.DB) error) (err error) {
	file, err := os.OpenFile(d.path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("store: create the lock of the database: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f(d.writer)
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("store: lock the database: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("store: wait for another process that migrates the database: %w", ctx.Err())
		case <-time.After(lockRetry):
		}
	}
}

// dialector is GORM's SQLite dialector over a driver in Go. It translates that
// driver's errors, which the dialector's own translation misses silently.
type dialector struct{ *gormsqlite.Dialector }

func sqliteDialector(conns *sql.DB) dialector {
	return dialector{&gormsqlite.Dialector{Conn: conns}}
}

// Translate implements [gorm.ErrorTranslator].
func (d dialector) Translate(err error) error {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() {
		case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
			return fmt.Errorf("%w: %w", gorm.ErrDuplicatedKey, err)
		case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
			return fmt.Errorf("%w: %w", gorm.ErrForeignKeyViolated, err)
		}
	}
	return err
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gorm.io/gorm"
)

// OpenToCopy opens the SQLite database at c.URL, which has to be there, on
// connections that cannot write. It is what [Copy] reads from.
func OpenToCopy(ctx context.Context, c Config) (*DB, error) {
	path, err := SQLitePath(c.URL)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("store: the source %s is not a database file", path), err)
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	// Two: the copy keeps one in its transaction.
	pool, err := sqlitePool(ctx, nil, path, 2, map[string]string{"_query_only": "1", "mode": "rw"})
	if err != nil {
		return nil, err
	}
	orm, err := gorm.Open(sqliteDialector(pool), config(c.Logger, false))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: open SQLite database %s: %w", path, err), pool.Close())
	}
	return &DB{dialect: &sqliteDialect{path: path, writer: pool, readers: pool}, writer: orm, readers: orm, timeout: c.Timeout}, nil
}

// SQLitePath returns the absolute path that sqlite:<path> names.
func SQLitePath(url string) (string, error) {
	path, ok := strings.CutPrefix(url, "sqlite:")
	path = strings.TrimPrefix(path, "//")
	if !ok || path == "" || path == ":memory:" {
		return "", errors.New("store: the source must be sqlite:<path>")
	}
	return filepath.Abs(path)
}

// copySource is the source as it was at one moment.
type copySource struct {
	conn *sql.Conn
	keys []string // ids of its signing keys, by which the source is known again
}

func beginSource(ctx context.Context, db *DB) (_ *copySource, err error) {
	d, ok := db.dialect.(*sqliteDialect)
	if !ok {
		return nil, errors.New("store: only an SQLite database can be copied")
	}
	conn, err := d.readers.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("store: open the source: %w", err)
	}
	s := &copySource{conn: conn}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(ctx))
		}
	}()
	// The first read fixes what the transaction sees.
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return nil, fmt.Errorf("store: begin to read the source: %w", err)
	}
	if err := s.checkMigration(ctx); err != nil {
		return nil, err
	}
	s.keys, err = s.strings(ctx, "SELECT kid FROM signing_keys ORDER BY kid")
	return s, err
}

func (s *copySource) close(ctx context.Context) error {
	_, err := s.conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	if err != nil && strings.Contains(err.Error(), "no transaction is active") {
		err = nil // it was never begun, or an interrupted statement ended it
	}
	return errors.Join(err, s.conn.Close())
}

// checkMigration does without goose, which makes its table even to look at it.
func (s *copySource) checkMigration(ctx context.Context) error {
	status := MigrationStatus{}
	var err error
	if status.Latest, err = latestMigration("sqlite"); err != nil {
		return err
	}
	there, err := s.strings(ctx, "SELECT name FROM sqlite_schema WHERE name = 'goose_db_version'")
	if err == nil && len(there) > 0 {
		err = s.conn.QueryRowContext(ctx, currentMigration).Scan(&status.Current)
	}
	if err != nil {
		return fmt.Errorf("store: read the source's migration: %w", err)
	}
	if status.Pending() > 0 {
		return fmt.Errorf("store: the source is at migration %d of %d; run jotgate migrate up on it first", status.Current, status.Latest)
	}
	return status.Err()
}

const currentMigration = "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied"

// latestMigration is the newest one that this program knows.
func latestMigration(dialect string) (int64, error) {
	files, err := fs.Glob(migrations, "migrations/"+dialect+"/*.sql")
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("store: find migrations: %w", errors.Join(err, fs.ErrNotExist))
	}
	number, _, _ := strings.Cut(filepath.Base(files[len(files)-1]), "_")
	return strconv.ParseInt(number, 10, 64)
}

// tables lists the tables, parents before children.
func (s *copySource) tables(ctx context.Context) ([]*copyTable, error) {
	names, err := s.strings(ctx, `
SELECT name FROM sqlite_schema
WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~' AND name <> 'goose_db_version'`)
	if err != nil {
		return nil, err
	}
	tables := make([]*copyTable, len(names))
	for i, name := range names {
		if tables[i], err = s.table(ctx, name); err != nil {
			return nil, err
		}
	}
	return sortTables(tables)
}

func (s *copySource) table(ctx context.Context, name string) (*copyTable, error) {
	t := &copyTable{name: name, unique: map[string]bool{}}
	// The primary key first, the others by name, so that the order is the same on
	// both databases whatever the migrations added when.
	columns, err := s.strings(ctx, "SELECT name FROM pragma_table_info(?) ORDER BY pk = 0, pk, name", name)
	if err != nil {
		return nil, err
	}
	for _, c := range columns {
		t.columns = append(t.columns, copyColumn{name: c})
	}
	if err := s.conn.QueryRowContext(ctx, "SELECT count(*) FROM pragma_table_info(?) WHERE pk > 0", name).Scan(&t.key); err != nil {
		return nil, fmt.Errorf("store: read the key of %s: %w", name, err)
	}
	if t.key == 0 {
		return nil, fmt.Errorf("store: table %s of the source has no primary key", name)
	}
	if t.parents, err = s.strings(ctx, `SELECT DISTINCT "table" FROM pragma_foreign_key_list(?)`, name); err != nil {
		return nil, err
	}
	unique, err := s.strings(ctx, `
SELECT DISTINCT c.name FROM pragma_index_list(?) i JOIN pragma_index_info(i.name) c
WHERE i."unique" = 1 AND i.origin <> 'pk'`, name)
	for _, c := range unique {
		t.unique[c] = true
	}
	return t, err
}

// page is a [pager].
func (s *copySource) page(ctx context.Context, t *copyTable, r keyRange, limit int) (_ [][]any, err error) {
	query, args := t.pageSQL("?", "", r, limit)
	rows, err := s.conn.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("store: read %s of the source: %w", t.name, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	page := make([][]any, 0, limit)
	into := make([]any, len(t.columns))
	for rows.Next() {
		row := make([]any, len(t.columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, fmt.Errorf("store: read %s of the source: %w", t.name, err)
		}
		page = append(page, row)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("store: read %s of the source: %w", t.name, err)
	}
	return page, nil
}

func (s *copySource) count(ctx context.Context, t *copyTable) (n int64, err error) {
	if err := s.conn.QueryRowContext(ctx, "SELECT count(*) FROM "+quote(t.name)).Scan(&n); err != nil {
		return 0, fmt.Errorf("store: count %s of the source: %w", t.name, err)
	}
	return n, nil
}

// highest is the highest number that the table ever gave out, though its row may
// be gone; 0 if it gives out none.
func (s *copySource) highest(ctx context.Context, t *copyTable) (n int64, err error) {
	err = s.conn.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?", t.name).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("store: read the sequence of %s: %w", t.name, err)
	}
	return n, nil
}

func (s *copySource) strings(ctx context.Context, query string, args ...any) (_ []string, err error) {
	rows, err := s.conn.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("store: read the source's tables: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var all []string
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			return nil, fmt.Errorf("store: read the source's tables: %w", err)
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

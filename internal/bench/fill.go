package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// slowIndexed is the table whose indexes are made after its rows, by sorting them.
const slowIndexed = "sessions"

// fill puts rows into a database that nobody uses and that has its tables.
func fill(ctx context.Context, url string, tables []table) error {
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		return fillSQLite(ctx, path, tables)
	}
	return fillPostgres(ctx, url, tables)
}

// openSQL opens a database beside the program.
func openSQL(url string) (*sql.DB, error) {
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		return sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)")
	}
	return sql.Open("pgx", url)
}

// empty deletes rows from a database that nobody uses.
func empty(ctx context.Context, url string, statements []string) (err error) {
	path, embedded := strings.CutPrefix(url, "sqlite:")
	open := openSQL
	if embedded {
		open, url = openFast, path
	}
	db, err := open(url)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, db.Close()); err == nil && embedded {
			err = toDisk(path)
		}
	}()
	if !embedded {
		statements = append(statements, afterwards()...)
	}
	return execute(ctx, db, statements)
}

// openFast opens a SQLite database without a journal, for itself alone: what fails is
// thrown away.
func openFast(path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+path+
		"?_pragma=busy_timeout(5000)&_pragma=journal_mode(OFF)&_pragma=synchronous(OFF)&_pragma=cache_size(-500000)&_pragma=locking_mode(EXCLUSIVE)")
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

func fillSQLite(ctx context.Context, path string, tables []table) (err error) {
	db, err := openFast(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close(), toDisk(path)) }()
	for _, t := range tables {
		if err := without(ctx, db, t, sqliteIndexes, func() error { return insert(ctx, db, t) }); err != nil {
			return fmt.Errorf("fill %s: %w", t.name, err)
		}
	}
	return nil
}

// toDisk writes what the system still holds of a file, which would otherwise be in the
// way of what is measured.
func toDisk(path string) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

const (
	sqliteIndexes   = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = $1"
	postgresIndexes = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = $1 AND indexname NOT LIKE '%_pkey'"
)

// indexesOf returns the names of the indexes of a table, and how each is made.
func indexesOf(ctx context.Context, db *sql.DB, t table, query string) (all [][2]string, err error) {
	rows, err := db.QueryContext(ctx, query, t.name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var p [2]string
		if err := rows.Scan(&p[0], &p[1]); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, rows.Err()
}

// without runs f while the indexes of a table are not there, if sorting takes less than
// putting row by row into them.
func without(ctx context.Context, db *sql.DB, t table, query string, f func() error) error {
	if t.name != slowIndexed {
		return f()
	}
	indexes, err := indexesOf(ctx, db, t, query)
	if err != nil {
		return err
	}
	for _, index := range indexes {
		if _, err := db.ExecContext(ctx, "DROP INDEX "+index[0]); err != nil {
			return err
		}
	}
	if err := f(); err != nil {
		return err
	}
	for _, index := range indexes {
		if _, err := db.ExecContext(ctx, index[1]); err != nil {
			return fmt.Errorf("%s: %w", index[1], err)
		}
	}
	return nil
}

// rowsAtOnce is how many rows one statement puts into SQLite.
const rowsAtOnce = 100

// insert is one transaction.
func insert(ctx context.Context, db *sql.DB, t table) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	whole := t.rows / rowsAtOnce * rowsAtOnce
	err = errors.Join(insertBy(ctx, tx, t, rowsAtOnce, 0, whole), insertBy(ctx, tx, t, 1, whole, t.rows))
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// insertBy puts the rows from first on, and before end, by some at a time.
func insertBy(ctx context.Context, tx *sql.Tx, t table, some, first, end int) (err error) {
	row := "(" + strings.Join(slices.Repeat([]string{"?"}, len(t.columns)), ", ") + ")"
	rows := strings.Join(slices.Repeat([]string{row}, some), ", ")
	put, err := tx.PrepareContext(ctx, "INSERT INTO "+t.name+" ("+strings.Join(t.columns, ", ")+") VALUES "+rows)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, put.Close()) }()
	values := make([]any, 0, some*len(t.columns))
	for i := first; i < end; i += some {
		values = values[:0]
		for j := range some {
			values = append(values, t.row(i+j)...)
		}
		if _, err := put.ExecContext(ctx, values...); err != nil {
			return err
		}
	}
	return nil
}

// afterwards is what PostgreSQL does by itself when it has the time.
func afterwards() []string { return []string{"VACUUM (ANALYZE, FREEZE)", "CHECKPOINT"} }

func execute(ctx context.Context, db *sql.DB, statements []string) error {
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// fillPostgres copies, checks no reference, and leaves the database as a server that has
// had the time to look after it.
func fillPostgres(ctx context.Context, url string, tables []table) (err error) {
	conf, err := pgx.ParseConfig(url)
	if err != nil {
		return err
	}
	conf.RuntimeParams["session_replication_role"] = "replica"
	conf.RuntimeParams["synchronous_commit"] = "off"
	conf.RuntimeParams["maintenance_work_mem"] = "1GB"
	db := stdlib.OpenDB(*conf)
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, t := range tables {
		if err := without(ctx, db, t, postgresIndexes, func() error { return copyIn(ctx, conf, t) }); err != nil {
			return fmt.Errorf("fill %s: %w", t.name, err)
		}
	}
	return execute(ctx, db, afterwards())
}

func copyIn(ctx context.Context, conf *pgx.ConnConfig, t table) (err error) {
	conn, err := pgx.ConnectConfig(ctx, conf)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	rows := pgx.CopyFromSlice(t.rows, func(i int) ([]any, error) { return t.row(i), nil })
	_, err = conn.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, rows)
	return err
}

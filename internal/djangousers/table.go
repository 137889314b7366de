package djangousers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

const connectTimeout = 10 * time.Second

// columns are what is read. A user model must have the first two.
func columns() []string {
	return []string{"id", "password", "username", "email", "is_active", "is_staff", "is_superuser", "date_joined"}
}

const neededColumns = 2

func readPostgres(ctx context.Context, s Source, each func(Row, *RowError) error) (err error) {
	conf, err := pgx.ParseConfig(s.Location)
	if err != nil {
		// The parser's error may quote the URL, and so the password.
		return errors.New("djangousers: the source is not a URL that PostgreSQL understands: postgres://user@host:port/database?sslmode=…")
	}
	if conf.ConnectTimeout == 0 || conf.ConnectTimeout > connectTimeout {
		conf.ConnectTimeout = connectTimeout
	}
	maps.Copy(conf.RuntimeParams, map[string]string{
		"application_name": "jotgate user import", "timezone": "UTC", "datestyle": "ISO",
	})
	pool := stdlib.OpenDB(*conf)
	defer func() { err = errors.Join(err, pool.Close()) }()
	return readTable(ctx, pool, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}, s.Table, each)
}

func readSQLite(ctx context.Context, s Source, each func(Row, *RowError) error) (err error) {
	path, err := filepath.Abs(s.Location)
	if err != nil {
		return fmt.Errorf("djangousers: find the source: %w", err)
	}
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{
		"mode": {"ro"}, "_query_only": {"1"}, "_busy_timeout": {"5000"},
	}.Encode()}
	pool, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return fmt.Errorf("djangousers: open the SQLite database: %w", err)
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	return readTable(ctx, pool, &sql.TxOptions{ReadOnly: true}, s.Table, each)
}

// readTable reads in one transaction, so that all rows are of one moment.
func readTable(ctx context.Context, pool *sql.DB, o *sql.TxOptions, table string, each func(Row, *RowError) error) (err error) {
	tx, err := pool.BeginTx(ctx, o)
	if err != nil {
		return fmt.Errorf("djangousers: reach the source: %w", err)
	}
	defer func() { err = errors.Join(err, ended(tx.Rollback())) }()
	query, err := selectUsers(ctx, tx, table)
	if err != nil {
		return err
	}
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return fmt.Errorf("djangousers: read table %s: %w", table, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		values := make([]sql.NullString, len(columns()))
		into := make([]any, len(values))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("djangousers: read table %s: %w", table, err)
		}
		if err := each(fromColumns(values)); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("djangousers: read table %s: %w", table, err)
	}
	return nil
}

// ended is nil for a transaction that the end of its context rolled back.
func ended(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// selectUsers writes the query for the columns that the table has, whose name has
// no quotes in it. Everything is
// read as text, so that both databases answer the same and nothing is converted
// before it was checked.
func selectUsers(ctx context.Context, tx *sql.Tx, table string) (_ string, err error) {
	rows, err := tx.QueryContext(ctx, fmt.Sprintf(`SELECT * FROM "%s" WHERE 1 = 0`, table))
	if err != nil {
		return "", fmt.Errorf("djangousers: read table %s: %w", table, err)
	}
	defer func() { err = errors.Join(err, rows.Close(), rows.Err()) }()
	there, err := rows.Columns()
	if err != nil {
		return "", fmt.Errorf("djangousers: read table %s: %w", table, err)
	}
	terms := make([]string, len(columns()))
	for i, name := range columns() {
		switch {
		case slices.Contains(there, name):
			terms[i] = fmt.Sprintf(`CAST("%s" AS TEXT)`, name)
		case i < neededColumns:
			return "", fmt.Errorf("djangousers: table %s has no column %s", table, name)
		default:
			terms[i] = "NULL"
		}
	}
	if !slices.Contains(there, "username") && !slices.Contains(there, "email") {
		return "", fmt.Errorf("djangousers: table %s has neither a username nor an email", table)
	}
	return fmt.Sprintf(`SELECT %s FROM "%s" ORDER BY "id"`, strings.Join(terms, ", "), table), nil
}

// fromColumns takes the values of columns. A model without is_active has active
// users, as Django holds it.
func fromColumns(v []sql.NullString) (Row, *RowError) {
	r := Row{ID: v[0].String, Password: v[1].String, Username: v[2].String, Email: v[3].String, Active: true}
	if bad := r.check(); bad != nil {
		return r, bad
	}
	for i, flag := range map[int]*bool{4: &r.Active, 5: &r.Staff, 6: &r.Superuser} {
		switch text := v[i]; {
		case !text.Valid:
		case text.String == "1" || text.String == "true":
			*flag = true
		case text.String == "0" || text.String == "false":
			*flag = false
		default:
			return r, &RowError{ID: r.ID, Reason: columns()[i] + " is neither true nor false"}
		}
	}
	var ok bool
	if r.Joined, ok = parseTime(v[7].String); !ok {
		return r, &RowError{ID: r.ID, Reason: "date_joined is not a time"}
	}
	return r, nil
}

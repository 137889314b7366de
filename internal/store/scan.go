package store

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"
)

// scan runs a statement that returns one row, and scans it into dest, or returns
// [sql.ErrNoRows]. It uses GORM's connections and tells GORM's logger, and does without
// GORM's look at the statement and at a struct, which cost more than SQLite's at the
// table. It asks for rows until there are none, since a statement that writes may fail
// after the first.
func scan(ctx context.Context, q *gorm.DB, dest []any, statement string, values ...any) (err error) {
	if q.Name() == "postgres" {
		statement = numbered(statement)
	}
	found := 0
	defer traced(ctx, q, statement, values, &found, &err)()
	rows, err := q.Statement.ConnPool.QueryContext(ctx, statement, values...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		found++
	}
	if err := rows.Err(); err != nil || found > 0 {
		return err
	}
	return sql.ErrNoRows
}

// traced begins a statement and returns what tells GORM's logger when it is over, how many
// rows were found and whether it failed.
func traced(ctx context.Context, q *gorm.DB, statement string, values []any, found *int, err *error) func() {
	begin := time.Now() //nolint:forbidigo // for the log of slow ones
	return func() {
		q.Logger.Trace(ctx, begin, func() (string, int64) {
			if hides, ok := q.Logger.(gorm.ParamsFilter); ok {
				statement, _ = hides.ParamsFilter(ctx, statement, values...)
			}
			return statement, int64(*found)
		}, *err)
	}
}

// numbered writes the places of values as PostgreSQL wants them. A statement has no
// question mark that is something else.
func numbered(statement string) string {
	var b strings.Builder
	parts := strings.Split(statement, "?")
	for i, part := range parts[:len(parts)-1] {
		b.WriteString(part)
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(i + 1))
	}
	b.WriteString(parts[len(parts)-1])
	return b.String()
}

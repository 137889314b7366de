package store

import (
	"context"
	"database/sql"
	"errors"

	"gorm.io/gorm"
)

// scan runs a statement that returns one row, and scans it into dest, or returns
// [sql.ErrNoRows]. GORM's look at a struct costs more than SQLite's at the table. It asks
// for rows until there are none, since a statement that writes may fail after the first,
// and does not use GORM's Row, which panics where a statement cannot be prepared.
func scan(ctx context.Context, q *gorm.DB, dest []any, statement string, values ...any) (err error) {
	rows, err := q.WithContext(ctx).Raw(statement, values...).Rows()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	found := false
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		found = true
	}
	if err := rows.Err(); err != nil || found {
		return err
	}
	return sql.ErrNoRows
}

package httpapi_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// newest is how many rows of a table are looked at, those that were made last: it is
// more than one cast has. Of the others the number counts.
const newest = 12

// rows reads what a database holds, past the program, but for what a refused
// request may leave: its audit event, and the count of wrong passwords.
type rows struct {
	tb     testing.TB
	conn   *sql.Conn
	marker string // a statement whose answer changes with every commit
	tables []string
	at     string
	last   string
}

func openRows(tb testing.TB, driver, dsn string) *rows {
	tb.Helper()
	list, marker := `SELECT name FROM sqlite_schema WHERE type = 'table'`, `PRAGMA data_version`
	if driver == "pgx" {
		list, marker = `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'`, `SELECT pg_snapshot_xmax(pg_current_snapshot())::text`
	}
	pool, err := sql.Open(driver, dsn)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { pool.Close() })
	conn, err := pool.Conn(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	r := &rows{tb: tb, conn: conn, marker: marker}
	passing := []string{"audit_events", "password_attempts", "goose_db_version", "sqlite_sequence"}
	for _, row := range r.query(list) {
		if name := strings.TrimSpace(row); !slices.Contains(passing, name) {
			r.tables = append(r.tables, name)
		}
	}
	slices.Sort(r.tables)
	if len(r.tables) < 6 {
		tb.Fatalf("tables = %v", r.tables)
	}
	return r
}

// now returns the rows as they are. It reads them only if something was committed
// since it last did.
func (r *rows) now() string {
	at := fmt.Sprint(r.query(r.marker))
	if at == r.at && r.last != "" {
		return r.last
	}
	var b strings.Builder
	for _, table := range r.tables {
		fmt.Fprintf(&b, "%s: %s\n%s\n", table, r.query("SELECT count(*) FROM "+table), strings.Join(r.query(fmt.Sprintf("SELECT * FROM %s ORDER BY 1 DESC LIMIT %d", table, newest)), "\n"))
	}
	r.at, r.last = at, b.String()
	return r.last
}

// query returns the answer, a line for each row.
func (r *rows) query(statement string) (lines []string) {
	found, err := r.conn.QueryContext(context.WithoutCancel(r.tb.Context()), statement)
	if err != nil {
		r.tb.Error(err)
		return nil
	}
	defer found.Close()
	columns, err := found.Columns()
	if err != nil {
		r.tb.Error(err)
	}
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for found.Next() {
		if err := found.Scan(into...); err != nil {
			r.tb.Error(err)
		}
		lines = append(lines, strings.TrimSuffix(fmt.Sprintln(values...), "\n"))
	}
	if err := found.Err(); err != nil {
		r.tb.Error(err)
	}
	return lines
}

// firstDifference returns the first lines in which two texts differ.
func firstDifference(a, b string) string {
	left, right := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(left), len(right)) {
		if left[i] != right[i] {
			return left[i] + "\n" + right[i]
		}
	}
	return "one has more lines"
}

package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// turnCopy is held by a copy for as long as it runs.
const turnCopy turn = 0x6a6f74_0c

// copyTarget is the PostgreSQL database that becomes equal to the source. It has
// one connection: what several could gain, the source could not deliver.
type copyTarget struct {
	conn   *pgx.Conn
	empty  bool // it has no tables yet, and nothing is to be made
	marker copyMarker
}

// copyMarker is the row of the table db_copy, by which a target is known again as
// one that a copy has filled. It stays there, so that the differences can follow.
type copyMarker struct {
	there bool
	keys  []string          // ids of the source's signing keys
	sums  map[string]string // of the tables when the copy was done; nil while one is under way
}

func dialTarget(ctx context.Context, url string, readOnly bool) (_ *copyTarget, err error) {
	if !strings.HasPrefix(url, "postgres://") && !strings.HasPrefix(url, "postgresql://") {
		return nil, errors.New("store: the target must be postgres://…")
	}
	conf, err := postgresConfig(url)
	if err != nil {
		return nil, err
	}
	maps.Copy(conf.RuntimeParams, map[string]string{
		"application_name": applicationName + "-db-copy", "synchronous_commit": "on", "statement_timeout": "0", "lock_timeout": "5s",
	})
	if readOnly {
		conf.RuntimeParams["default_transaction_read_only"] = "on"
	}
	t := &copyTarget{}
	if t.conn, err = pgx.ConnectConfig(ctx, conf); err != nil {
		return nil, fmt.Errorf("store: reach the target: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close(ctx))
		}
	}()
	_, err = t.conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(turnCopy))
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "55P03" {
		return nil, fmt.Errorf("store: another copy into the target is under way: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("store: lock the target: %w", err)
	}
	return t, nil
}

func (t *copyTarget) close(ctx context.Context) error {
	return t.conn.Close(context.WithoutCancel(ctx))
}

// admit refuses a target that is in use or that holds what is not of the source
// with these keys.
func (t *copyTarget) admit(ctx context.Context, keys []string) error {
	if err := t.unused(ctx); err != nil {
		return err
	}
	if err := t.readMarker(ctx); err != nil {
		return err
	}
	if t.marker.there {
		known := slices.ContainsFunc(keys, func(k string) bool { return slices.Contains(t.marker.keys, k) })
		if !known && len(t.marker.keys) > 0 {
			return fmt.Errorf("%w: an earlier copy into it was of another source", ErrForeignTarget)
		}
		return nil
	}
	// A jotgate that was started on the target made a key there, at least.
	for _, table := range []string{"signing_keys", "users", "oauth_clients"} {
		if there, err := t.has(ctx, table); err != nil || !there {
			return err
		}
		n := 0
		if err := t.conn.QueryRow(ctx, "SELECT count(*) FROM "+quote(table)).Scan(&n); err != nil {
			return fmt.Errorf("store: count %s of the target: %w", table, err)
		}
		if n > 0 {
			return fmt.Errorf("%w: %d rows in %s; copy into an empty database", ErrForeignTarget, n, table)
		}
	}
	return nil
}

// unused returns an error if a jotgate is connected to the target. PostgreSQL needs
// a moment to part with one that was stopped just now.
func (t *copyTarget) unused(ctx context.Context) error {
	const tries, pause = 20, 100 * time.Millisecond
	for range tries {
		var users int
		if err := t.conn.QueryRow(ctx, `
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = $1`, applicationName).Scan(&users); err != nil {
			return fmt.Errorf("store: ask who uses the target: %w", err)
		}
		if users == 0 {
			return nil
		}
		time.Sleep(pause)
	}
	return errors.New("store: a jotgate uses the target; stop it first")
}

func (t *copyTarget) has(ctx context.Context, table string) (there bool, err error) {
	if err := t.conn.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", quote(table)).Scan(&there); err != nil {
		return false, fmt.Errorf("store: look for table %s in the target: %w", table, err)
	}
	return there, nil
}

func (t *copyTarget) readMarker(ctx context.Context) error {
	there, err := t.has(ctx, "db_copy")
	if err != nil || !there {
		return err
	}
	var sums *string
	err = t.conn.QueryRow(ctx, "SELECT source_keys, sums FROM db_copy").Scan(&t.marker.keys, &sums)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("store: read db_copy of the target: %w", err)
	}
	t.marker.there = true
	if sums == nil {
		return nil
	}
	return json.Unmarshal([]byte(*sums), &t.marker.sums)
}

// unchanged refuses a target in which somebody wrote since a copy was done: a
// jotgate has served from it, and its users would lose what they did.
func (t *copyTarget) unchanged(sums map[string]string) error {
	if t.marker.sums == nil || maps.Equal(t.marker.sums, sums) {
		return nil
	}
	return fmt.Errorf("%w: it was written to since it was copied; copy into an empty database", ErrForeignTarget)
}

// begin notes that a copy of the source with these keys is under way.
func (t *copyTarget) begin(ctx context.Context, keys []string) error {
	return pgx.BeginFunc(ctx, t.conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
CREATE TABLE IF NOT EXISTS db_copy (
	id          integer PRIMARY KEY CHECK (id = 1),
	source_keys text[] NOT NULL,
	sums        text -- of each table, in JSON; NULL while a copy is under way
)`); err != nil {
			return fmt.Errorf("store: make db_copy in the target: %w", err)
		}
		if _, err := tx.Exec(ctx, `
INSERT INTO db_copy (id, source_keys) VALUES (1, $1)
ON CONFLICT (id) DO UPDATE SET source_keys = excluded.source_keys, sums = NULL`, append([]string{}, keys...)); err != nil {
			return fmt.Errorf("store: note the copy in the target: %w", err)
		}
		return nil
	})
}

func (t *copyTarget) finish(ctx context.Context, sums map[string]string) error {
	text, err := json.Marshal(sums)
	if err != nil {
		return err
	}
	if _, err := t.conn.Exec(ctx, "UPDATE db_copy SET sums = $1", string(text)); err != nil {
		return fmt.Errorf("store: note the end of the copy in the target: %w", err)
	}
	return nil
}

func (j *copyJob) migrateTarget(ctx context.Context) (err error) {
	db, err := openPostgres(ctx, Config{URL: j.To, Logger: j.Logger, Timeout: defaultTimeout})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.migrate(ctx)
}

// ready reports whether the target has this program's tables; it may have none.
func (t *copyTarget) ready(ctx context.Context) (bool, error) {
	there, err := t.has(ctx, "goose_db_version")
	if err != nil || !there {
		return false, err
	}
	status := MigrationStatus{}
	if status.Latest, err = latestMigration("postgres"); err != nil {
		return false, err
	}
	if err := t.conn.QueryRow(ctx, currentMigration).Scan(&status.Current); err != nil {
		return false, fmt.Errorf("store: read the target's migration: %w", err)
	}
	if status.Pending() > 0 && status.Current > 0 {
		return false, fmt.Errorf("store: the target is at migration %d of %d; --apply, or jotgate migrate up, brings it there", status.Current, status.Latest)
	}
	return status.Current > 0, status.Err()
}

// match learns the types of a table's columns, which must be those of the source.
func (t *copyTarget) match(ctx context.Context, table *copyTable) error {
	rows, err := t.conn.Query(ctx, `
SELECT column_name, data_type FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = $1`, table.name)
	if err != nil {
		return fmt.Errorf("store: read the columns of %s: %w", table.name, err)
	}
	kinds := map[string]string{}
	var name, kind string
	if _, err := pgx.ForEachRow(rows, []any{&name, &kind}, func() error {
		kinds[name] = kind
		return nil
	}); err != nil {
		return fmt.Errorf("store: read the columns of %s: %w", table.name, err)
	}
	for i, c := range table.columns {
		kind := kinds[c.name]
		if !slices.Contains([]string{"text", "bigint", "integer", "boolean", "bytea"}, kind) {
			return fmt.Errorf("store: column %s.%s of the target has type %q, which cannot be copied", table.name, c.name, kind)
		}
		table.columns[i].kind = kind
	}
	if len(kinds) != len(table.columns) {
		return fmt.Errorf("store: table %s has %d columns in the source and %d in the target", table.name, len(table.columns), len(kinds))
	}
	return nil
}

// page is a [pager].
func (t *copyTarget) page(ctx context.Context, table *copyTable, r keyRange, limit int) ([][]any, error) {
	if t.empty {
		return nil, nil
	}
	query, args := table.pageSQL("$", ` COLLATE "C"`, r, limit)
	rows, err := t.conn.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("store: read %s of the target: %w", table.name, err)
	}
	page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) {
		values, err := row.Values()
		for i, v := range values {
			switch v := v.(type) {
			case bool:
				values[i] = int64(0)
				if v {
					values[i] = int64(1)
				}
			case int32:
				values[i] = int64(v)
			}
		}
		return values, err
	})
	if err != nil {
		return nil, fmt.Errorf("store: read %s of the target: %w", table.name, err)
	}
	return page, nil
}

// changes are written together. Deletes are keys.
type changes struct{ inserts, updates, deletes [][]any }

func (c changes) size() int { return len(c.inserts) + len(c.updates) + len(c.deletes) }

// write commits changes in one transaction.
func (t *copyTarget) write(ctx context.Context, table *copyTable, c changes) error {
	b := &pgx.Batch{}
	for _, key := range c.deletes {
		b.Queue("DELETE FROM "+quote(table.name)+" WHERE "+table.assign(0, table.key, " AND "), key...)
	}
	for _, row := range c.updates {
		b.Queue("UPDATE "+quote(table.name)+" SET "+table.assign(table.key, len(table.columns), ", ")+
			" WHERE "+table.assign(0, table.key, " AND "), table.values(row)...)
	}
	err := pgx.BeginFunc(ctx, t.conn, func(tx pgx.Tx) error {
		if b.Len() > 0 {
			if err := tx.SendBatch(ctx, b).Close(); err != nil {
				return err
			}
		}
		if len(c.inserts) == 0 {
			return nil
		}
		_, err := tx.CopyFrom(ctx, pgx.Identifier{table.name}, table.names(), pgx.CopyFromSlice(len(c.inserts), func(i int) ([]any, error) {
			return table.values(c.inserts[i]), nil
		}))
		return err
	})
	if err != nil {
		return fmt.Errorf("store: write %s of the target: %w", table.name, err)
	}
	return nil
}

// assign is the columns from to to, each equal to the parameter of its place.
func (t *copyTable) assign(from, to int, separator string) string {
	var terms []string
	for i := from; i < to; i++ {
		terms = append(terms, quote(t.columns[i].name)+" = $"+strconv.Itoa(i+1))
	}
	return strings.Join(terms, separator)
}

// values is row as PostgreSQL takes it.
func (t *copyTable) values(row []any) []any {
	out := slices.Clone(row)
	for i, c := range t.columns {
		if n, ok := row[i].(int64); ok && c.kind == "boolean" {
			out[i] = n != 0
		}
	}
	return out
}

// advance lets a table that numbers its rows go on after the highest number that
// either side gave out.
func (t *copyTarget) advance(ctx context.Context, table *copyTable, highest int64) error {
	column := table.columns[0].name
	var sequence *string
	if err := t.conn.QueryRow(ctx, "SELECT pg_get_serial_sequence($1, $2)", quote(table.name), column).Scan(&sequence); err != nil {
		return fmt.Errorf("store: look for the sequence of %s: %w", table.name, err)
	}
	if sequence == nil {
		return nil
	}
	if _, err := t.conn.Exec(ctx, fmt.Sprintf(`
SELECT setval($1::text::regclass, n) FROM (
	SELECT greatest($2::bigint, (SELECT max(%s) FROM %s), (SELECT last_value FROM %s WHERE is_called)) AS n
) AS highest WHERE n > 0`, quote(column), quote(table.name), *sequence), *sequence, highest); err != nil {
		return fmt.Errorf("store: set the sequence of %s: %w", table.name, err)
	}
	return nil
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/jotgate/jotgate/internal/pgtest"
)

// copySetup is a source with odd rows, and an empty target.
type copySetup struct {
	path, dsn string
	source    *DB
}

func newCopySetup(t *testing.T) *copySetup {
	t.Helper()
	s := &copySetup{path: filepath.Join(t.TempDir(), "x.db"), dsn: pgtest.DSN(t)}
	s.source = openTest(t, "sqlite:"+s.path)
	s.exec(t, oddRows)
	return s
}

// oddRows has keys that locales sort otherwise than bytes, empty and absent and
// long values, both booleans, and numbers that were given out and are gone.
const oddRows = `
INSERT INTO users (id, username, email, email_verified, roles, password_hash, disabled, created_at, tokens_valid_after, external_id) VALUES
	('a', 'ada', 'ada@example.com', 1, '["admin"]', '$argon2id$x', 0, 1, 0, NULL),
	('B', 'bob', NULL, 0, '[]', '', 1, -5, 9223372036854775807, 'django:7'),
	('ä', NULL, 'ä@example.com', 0, '[]', 'é''"\;', 0, 3, 0, NULL),
	('Z z', 'Zoë 😀', NULL, 0, '[]', '', 0, 4, 0, 'x'),
	('~', 'tilde', NULL, 0, '[]', '', 0, 5, 0, NULL),
	('_', 'under', NULL, 0, '[]', '', 0, 6, 0, NULL),
	('😀', 'smile', NULL, 0, '[]', '', 0, 7, 0, NULL);
INSERT INTO sessions (id, user_id, mode, device, ip, user_agent, created_at, generation, last_used_at, retry, expires_at, absolute_at, ended_at, end_reason)
	SELECT u.id || '-' || n.value, u.id, 'bearer', 'line
feed', '', '',
	1, 1, 1, '', n.value, 100, 0, '' FROM users u, json_each('[1, 2, 3, 10]') n;
INSERT INTO api_keys (id, user_id, hash, hint, name, scopes, created_at, expires_at, last_used_at)
	SELECT 'k' || id, id, 'h' || id, 'jk_', '', '[]', 1, 0, 0 FROM users;
INSERT INTO oauth_clients (id, name, scopes, audiences, created_at, secret_hash, previous_hash, previous_until, tokens_valid_after)
	VALUES ('c', 'reports', '["a:b"]', '[]', 1, 'h', '', 0, 0);
INSERT INTO password_attempts (bucket, tat) VALUES ('b', 17), ('A', 18);
INSERT INTO audit_events (id, at, kind, user_id, session_id, detail, ip, user_agent, request_id)
	VALUES (1, 1, 'logged-in', 'a', '', '', '', '', ''), (7, 1, 'x', 'gone', '', '', '', '', '');
INSERT INTO revocations (kind, subject_id, not_before, expires_at)
	SELECT 'user', id, 1, 2 FROM users;
DELETE FROM revocations WHERE seq > 4;
INSERT INTO signing_keys (kid, alg, private, created_at, activates_at)
	VALUES ('kid1', 'ES256', zeroblob(200000), 1, 1), ('kid2', 'EdDSA', x'00ff80', 2, 2);`

// laterRows is what happens after a first copy, in ways that no order of updates
// could repeat row by row.
const laterRows = `
UPDATE users SET username = 'tmp' WHERE id = 'a';
UPDATE users SET username = 'ada' WHERE id = 'B';
UPDATE users SET username = 'bob', disabled = 1 WHERE id = 'a';
DELETE FROM users WHERE id = '~';
INSERT INTO users (id, username, email_verified, roles, password_hash, disabled, created_at, tokens_valid_after)
	VALUES ('0', 'tilde', 0, '[]', '', 0, 9, 0);
UPDATE sessions SET generation = 8 WHERE id = 'ä-2';
DELETE FROM sessions WHERE id = 'a-1';
DELETE FROM revocations;
DELETE FROM oauth_clients;
INSERT INTO password_attempts (bucket, tat) VALUES ('C', 1);`

func (s *copySetup) exec(t *testing.T, statements string) {
	t.Helper()
	if _, err := s.source.SQLDB()["writer"].ExecContext(t.Context(), statements); err != nil {
		t.Fatal(err)
	}
}

func (s *copySetup) psql(t *testing.T, statements string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.dsn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), statements); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// migrateTarget makes the tables, and leaves nobody connected.
func (s *copySetup) migrateTarget(t *testing.T) {
	t.Helper()
	if err := openTest(t, s.dsn).Close(); err != nil {
		t.Fatal(err)
	}
}

// run copies in batches of three rows.
func (s *copySetup) run(ctx context.Context, apply bool, progress func(CopyProgress)) (CopyReport, error) {
	log := slog.New(slog.DiscardHandler)
	from, err := OpenToCopy(ctx, Config{URL: "sqlite:" + s.path, Logger: log})
	if err != nil {
		return CopyReport{}, err
	}
	report, err := Copy{From: from, To: s.dsn, Apply: apply, Logger: log, Now: time.Now, Progress: progress, batch: 3}.Run(ctx)
	return report, errors.Join(err, from.Close())
}

func (s *copySetup) mustRun(t *testing.T, apply bool) CopyReport {
	t.Helper()
	report, err := s.run(t.Context(), apply, nil)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// wantEqual compares all rows, read without the help of the copy.
func (s *copySetup) wantEqual(t *testing.T) {
	t.Helper()
	if diff := cmp.Diff(s.sourceRows(t), s.targetRows(t)); diff != "" {
		t.Errorf("-source +target:\n%s", diff)
	}
}

const sqliteTables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name <> 'goose_db_version'"

func (s *copySetup) sourceRows(t *testing.T) map[string][]string {
	t.Helper()
	return allRows(t, s.source.SQLDB()["writer"], sqliteTables)
}

func (s *copySetup) targetRows(t *testing.T) map[string][]string {
	t.Helper()
	pool, err := sql.Open("pgx", s.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	}()
	return allRows(t, pool, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('goose_db_version', 'db_copy')")
}

// allRows writes each row as "column=type:value …", sorted.
func allRows(t *testing.T, pool *sql.DB, tables string) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, row := range query(t, pool, tables) {
		table, _ := row["name"].(string)
		if table == "" {
			table, _ = row["tablename"].(string)
		}
		all[table] = []string{}
		for _, row := range query(t, pool, "SELECT * FROM "+table) {
			var cells []string
			for name, v := range row {
				if b, ok := v.(bool); ok {
					v = map[bool]int64{true: 1}[b]
				}
				cells = append(cells, fmt.Sprintf("%s=%T:%v", name, v, v))
			}
			slices.Sort(cells)
			all[table] = append(all[table], strings.Join(cells, " "))
		}
		slices.Sort(all[table])
	}
	return all
}

func query(t *testing.T, pool *sql.DB, text string) []map[string]any {
	t.Helper()
	rows, err := pool.QueryContext(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	}()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		row := map[string]any{}
		for i, name := range columns {
			row[name] = values[i]
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// wantCounts compares copied, changed and deleted of the tables of oddRows in
// which there is anything.
func wantCounts(t *testing.T, r CopyReport, want map[string][3]int64) {
	t.Helper()
	got := map[string][3]int64{}
	for _, table := range r.Tables {
		n := [3]int64{table.Copied, table.Changed, table.Deleted}
		if _, odd := first[table.Name]; odd && n != [3]int64{} {
			got[table.Name] = n
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// first is all oddRows, and later what laterRows makes of them.
var (
	first = map[string][3]int64{
		"users": {7}, "sessions": {28}, "api_keys": {7}, "oauth_clients": {1}, "password_attempts": {2},
		"audit_events": {2}, "revocations": {4}, "signing_keys": {2},
	}
	later = map[string][3]int64{
		"users": {1, 2, 1}, "sessions": {0, 1, 5}, "api_keys": {0, 0, 1}, "oauth_clients": {0, 0, 1},
		"password_attempts": {1, 0, 0}, "revocations": {0, 0, 4},
	}
)

// wantServable tells whether a program starts on the target.
func (s *copySetup) wantServable(t *testing.T, want bool) {
	t.Helper()
	db, err := Open(t.Context(), Config{URL: s.dsn, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Migrate(t.Context())
	if got := err == nil; got != want || !want && !errors.Is(err, ErrHalfCopied) {
		t.Errorf("servable = %v, want %v: %v", got, want, err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func (s *copySetup) files(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(filepath.Dir(s.path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(s.path), e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(text)
	}
	return all
}

package djangousers_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/jotgate/jotgate/internal/djangousers"
	"github.com/jotgate/jotgate/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// collected is what a source has.
type collected struct {
	rows []djangousers.Row
	bad  []djangousers.RowError
}

func read(t *testing.T, location, table string) (collected, error) {
	t.Helper()
	var c collected
	err := djangousers.Read(t.Context(), djangousers.Source{Location: location, Table: table}, func(r djangousers.Row, bad *djangousers.RowError) error {
		if bad != nil {
			c.bad = append(c.bad, *bad)
		} else {
			c.rows = append(c.rows, r)
		}
		return nil
	})
	return c, err
}

// newSQLite returns a database with the tables that statements make.
func newSQLite(t *testing.T, statements ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a?b #%20.sqlite3") // a path, not a URL
	pool, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path}).String())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statements {
		if _, err := pool.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if err := pool.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

const sqliteTable = `CREATE TABLE "auth_user" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "password" varchar(128) NOT NULL,
	"last_login" datetime NULL, "is_superuser" bool NOT NULL, "username" varchar(150) NOT NULL UNIQUE, "last_name" varchar(150) NOT NULL,
	"email" varchar(254) NOT NULL, "is_staff" bool NOT NULL, "is_active" bool NOT NULL, "date_joined" datetime NOT NULL,
	"first_name" varchar(150) NOT NULL)`

func insert(id, username, email, flag, joined string) string {
	return fmt.Sprintf(`INSERT INTO auth_user VALUES (%s, '!x', NULL, 0, %s, '', %s, 0, %s, %s, '')`, id, username, email, flag, joined)
}

func TestReadSQLite(t *testing.T) {
	path := newSQLite(
		t, sqliteTable,
		insert("7", "'ada'", "'ada@example.com'", "1", "'2019-01-02 03:04:05.678901'"), insert("2", "'off'", "''", "0", "'2019-01-02 03:04:05'"),
		insert("3", "x'ff'", "''", "1", "'2019-01-02 03:04:05'"), insert("4", "'nul' || char(0)", "''", "1", "'2019-01-02 03:04:05'"),
		insert("5", "'flag'", "''", "'maybe'", "'2019-01-02 03:04:05'"), insert("6", "'when'", "''", "1", "'yesterday'"),
	)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := read(t, path, djangousers.DefaultTable)
	if err != nil {
		t.Fatal(err)
	}
	want := collected{
		rows: []djangousers.Row{
			{ID: "2", Username: "off", Password: "!x", Joined: time.Date(2019, 1, 2, 3, 4, 5, 0, time.UTC)},
			{ID: "7", Username: "ada", Email: "ada@example.com", Password: "!x", Active: true, Joined: time.Date(2019, 1, 2, 3, 4, 5, 678901000, time.UTC)},
		},
		bad: []djangousers.RowError{
			{ID: "3", Reason: "username is not text"},
			{ID: "4", Reason: "username is not text"},
			{ID: "5", Reason: "is_active is neither true nor false"},
			{ID: "6", Reason: "date_joined is not a time"},
		},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(collected{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	after, err := os.ReadFile(path)
	if err != nil || string(after) != string(before) {
		t.Errorf("the source has changed, or %v", err)
	}
	if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 1 {
		t.Errorf("files are left beside the source: %v, %v", files, err)
	}
}

func TestReadCustomTables(t *testing.T) {
	path := newSQLite(
		t, `CREATE TABLE shop_user (id char(32) PRIMARY KEY, password text, email text)`, `INSERT INTO shop_user VALUES ('0a1b', '!', 'ada@example.com')`,
		`CREATE TABLE no_password (id integer, username text)`, `CREATE TABLE no_names (id integer, password text)`,
	)
	got, err := read(t, path, "shop_user")
	want := collected{rows: []djangousers.Row{{ID: "0a1b", Email: "ada@example.com", Password: "!", Active: true}}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(collected{})); diff != "" || err != nil {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	for table, want := range map[string]string{
		"no_password": "no column password", "no_names": "neither a username nor an email", "nothing": "no such table",
		`x" UNION SELECT * FROM "shop_user`: "not the name of a table", "": "not the name of a table", strings.Repeat("x", 64): "not the name of a table",
	} {
		if _, err := read(t, path, table); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", table, err, want)
		}
	}
}

func TestReadPostgres(t *testing.T) {
	dsn := pgtest.DSN(t)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	if _, err := conn.Exec(t.Context(), `CREATE TABLE auth_user (id uuid PRIMARY KEY, password varchar(128), username varchar(150),
			is_active boolean, is_superuser boolean, date_joined timestamptz);
		INSERT INTO auth_user VALUES ('550e8400-e29b-41d4-a716-446655440000', '!', 'ada', true, true, '2019-01-02 05:04:05.678901+02'),
			('550e8400-e29b-41d4-a716-446655440001', '!', 'eve', false, NULL, 'infinity');
		CREATE FUNCTION spoil() RETURNS text LANGUAGE sql AS $$ INSERT INTO auth_user VALUES (gen_random_uuid(), '!', 'x', true, true, now()) RETURNING 'x' $$;
		CREATE VIEW spoiling AS SELECT id, password, spoil() AS username FROM auth_user`); err != nil {
		t.Fatal(err)
	}
	got, err := read(t, dsn, djangousers.DefaultTable)
	want := collected{
		rows: []djangousers.Row{{
			ID: "550e8400-e29b-41d4-a716-446655440000", Username: "ada", Password: "!", Active: true, Superuser: true,
			Joined: time.Date(2019, 1, 2, 3, 4, 5, 678901000, time.UTC),
		}},
		bad: []djangousers.RowError{{ID: "550e8400-e29b-41d4-a716-446655440001", Reason: "date_joined is not a time"}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(collected{})); diff != "" || err != nil {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	if _, err := read(t, dsn, "spoiling"); err == nil || !strings.Contains(err.Error(), "read-only transaction") {
		t.Errorf("a view that writes: %v", err)
	}
}

func TestReadDump(t *testing.T) {
	const ada = `{"model":"auth.user","pk":1,"fields":{"username":"ada","password":"!"}}`
	for _, tt := range []struct {
		name, text, bad, err string
		rows                 int
	}{
		{"one", "[" + ada + "]", "", "", 1},
		{"other models", `[{"model":"auth.group","pk":1,"fields":{"name":"x"}},` + ada + "]\n", "", "", 1},
		{"no rows of the model", `[{"model":"auth.group","pk":1,"fields":{}}]`, "", "no rows of a model", 0},
		{"empty", "", "", "EOF", 0},
		{"no list", ada, "", "neither an SQLite database nor a dump", 0},
		{"no JSON", "INSERT INTO auth_user", "", "neither an SQLite database nor a dump", 0},
		{"XML", "<django-objects>", "", "neither an SQLite database nor a dump", 0},
		{"cut off", "[" + ada + ",", "", "cut off", 1},
		{"cut off without a comma", "[" + ada, "", "cut off", 1},
		{"goes on", "[" + ada + "] []", "", "goes on after its end", 1},
		{"not rows", "[1]", "", "something else than rows", 0},
		{"a member twice", `[{"model":"auth.user","model":"auth.group"}]`, "", "not JSON", 0},
		{"not UTF-8", "[{\"model\":\"\xff\"}]", "", "not JSON", 0},
		{"no pk", `[{"model":"auth.user","fields":{"username":"ada","password":"!"}},` + ada + `]`, "no pk", "", 1},
		{"pk is a fraction", `[{"model":"auth.user","pk":1.5,"fields":{"username":"ada","password":"!"}},` + ada + `]`, "no pk", "", 1},
		{"pk is empty", `[{"model":"auth.user","pk":"","fields":{"username":"ada","password":"!"}},` + ada + `]`, "no id", "", 1},
		{"pk is text", `[{"model":"auth.user","pk":"0a1b","fields":{"username":"ada","password":"!"}}]`, "", "", 1},
		{"no password", `[{"model":"auth.user","pk":2,"fields":{"username":"eve"}},` + ada + `]`, "not those of a user", "", 1},
		{"no fields", `[{"model":"auth.user","pk":2},` + ada + `]`, "not those of a user", "", 1},
		{"wrong type", `[{"model":"auth.user","pk":2,"fields":{"username":1,"password":"!"}},` + ada + `]`, "not those of a user", "", 1},
		{"flag is a number", `[{"model":"auth.user","pk":2,"fields":{"username":"e","password":"!","is_active":1}},` + ada + `]`, "not those of a user", "", 1},
		{"NUL", `[{"model":"auth.user","pk":2,"fields":{"username":"e\u0000","password":"!"}},` + ada + `]`, "username is not text", "", 1},
		{"time", `[{"model":"auth.user","pk":2,"fields":{"username":"eve","password":"!","date_joined":"now"}},` + ada + `]`, "date_joined is not a time", "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "dump.json")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := read(t, path, djangousers.DefaultTable)
			if len(got.rows) != tt.rows || (len(got.bad) == 1) != (tt.bad != "") || tt.bad != "" && !strings.Contains(got.bad[0].Reason, tt.bad) {
				t.Errorf("rows = %+v, bad = %+v", got.rows, got.bad)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error = %v, want %q", err, tt.err)
			}
		})
	}
}

func TestReadStopsWithItsCaller(t *testing.T) {
	stop := errors.New("stop")
	path := newSQLite(t, sqliteTable, insert("1", "'a'", "''", "1", "'2019-01-02 03:04:05'"), insert("2", "'b'", "''", "1", "'2019-01-02 03:04:05'"))
	calls := 0
	err := djangousers.Read(t.Context(), djangousers.Source{Location: path, Table: djangousers.DefaultTable}, func(djangousers.Row, *djangousers.RowError) error {
		calls++
		return stop
	})
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

func TestReadTellsNoPassword(t *testing.T) {
	for _, location := range []string{
		"postgres://u:hunter2@127.0.0.1:1/x", "postgresql://u:hunter2@[::bad", "postgre://u:hunter2@127.0.0.1/x", "postgres:/u:hunter2@127.0.0.1/x",
	} {
		if _, err := read(t, location, djangousers.DefaultTable); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", location, err)
		}
	}
}

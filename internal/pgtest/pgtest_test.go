package pgtest_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/jotgate/jotgate/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestDSNIsADatabaseOfItsOwn(t *testing.T) {
	names := map[string]bool{}
	for range 2 {
		conn, err := pgx.Connect(t.Context(), pgtest.DSN(t))
		if err != nil {
			t.Fatal(err)
		}
		var name string
		var tables int
		if err := conn.QueryRow(t.Context(), `SELECT current_database(),
			(SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public')`).Scan(&name, &tables); err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if names[name] || tables != 0 {
			t.Errorf("database %s has %d tables and was given out before: %t", name, tables, names[name])
		}
		names[name] = true
	}
}

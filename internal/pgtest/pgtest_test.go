package pgtest_test

import (
	"errors"
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

func TestClusterKeepsWhatItCommittedWhenItIsKilled(t *testing.T) {
	pgtest.DSN(t) // skips where there is no PostgreSQL
	c, err := pgtest.StartCluster()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	}()
	execute := func(sql string) error {
		conn, err := pgx.Connect(t.Context(), c.URL())
		if err != nil {
			return err
		}
		_, err = conn.Exec(t.Context(), sql)
		return errors.Join(err, conn.Close(t.Context()))
	}
	if err := execute("CREATE TABLE kept (a int)"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := execute("SELECT"); err == nil {
			t.Error("a killed server answers")
		}
		if err := c.Restart(); err != nil {
			t.Fatal(err)
		}
		if err := execute("INSERT INTO kept VALUES (1)"); err != nil {
			t.Error(err)
		}
	}
}

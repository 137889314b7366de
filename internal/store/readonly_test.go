package store

import (
	"errors"
	"testing"

	"github.com/jotgate/jotgate/internal/pgtest"
)

// TestPingOfAReplica has a PostgreSQL that takes no writes, as one that was a primary
// before somebody failed over.
func TestPingOfAReplica(t *testing.T) {
	dsn := pgtest.DSN(t)
	admin := openTest(t, dsn)
	var name string
	if err := admin.SQLDB()["postgres"].QueryRowContext(t.Context(), "SELECT quote_ident(current_database())").Scan(&name); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.SQLDB()["postgres"].ExecContext(t.Context(), "ALTER DATABASE "+name+" SET default_transaction_read_only = on"); err != nil {
		t.Fatal(err)
	}
	if err := admin.Ping(t.Context()); err != nil {
		t.Error("on a connection of before:", err)
	}
	db, err := Open(t.Context(), Config{URL: dsn})
	if err != nil {
		t.Fatal(err)
	}
	_, ok := errors.AsType[*UnavailableError](db.Ping(t.Context()))
	if err := db.Close(); err != nil || !ok {
		t.Errorf("it is said to take writes; %v", err)
	}
}

package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	sqlite3 "modernc.org/sqlite/lib"
)

func TestWhoseFault(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{&pgconn.PgError{Code: "08006"}, true},
		{&pgconn.PgError{Code: "40001"}, true},
		{&pgconn.PgError{Code: "40P01"}, true},
		{&pgconn.PgError{Code: "53100"}, true},
		{&pgconn.PgError{Code: "53300"}, true},
		{&pgconn.PgError{Code: "55P03"}, true},
		{&pgconn.PgError{Code: "57014"}, true},
		{&pgconn.PgError{Code: "57P01"}, true},
		{&pgconn.PgError{Code: "25006"}, true},
		{&pgconn.PgError{Code: "23505"}, false},
		{&pgconn.PgError{Code: "42601"}, false},
		{&pgconn.PgError{Code: "22021"}, false},
		{&pgconn.PgError{Code: ""}, false},
		{&net.OpError{Op: "read", Err: errors.New("connection reset by peer")}, true},
		{driver.ErrBadConn, true},
		{errors.New("store: a bug"), false},
	} {
		err := wrap(t.Context(), "try", fmt.Errorf("deep: %w", tt.err))
		_, got := errors.AsType[*UnavailableError](err)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("wrap(%v) = %v, unavailable %t, want %t", tt.err, err, got, tt.want)
		}
	}
}

func TestSQLiteThatCannotReadIsUnavailable(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]bool{
		sqlite3.SQLITE_IOERR_READ: true, sqlite3.SQLITE_IOERR_CORRUPTFS: true, sqlite3.SQLITE_CORRUPT: true,
		sqlite3.SQLITE_FULL: true, sqlite3.SQLITE_BUSY_SNAPSHOT: true, sqlite3.SQLITE_CONSTRAINT_UNIQUE: false, sqlite3.SQLITE_ERROR: false,
	} {
		if got := sqliteUnavailable(code); got != want {
			t.Errorf("sqliteUnavailable(%d) = %t", code, got)
		}
	}
}

func TestCallerWhoLeftIsNotTheDatabasesFault(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := wrap(ctx, "try", driver.ErrBadConn)
	if _, ok := errors.AsType[*UnavailableError](err); ok || !errors.Is(err, context.Canceled) {
		t.Errorf("wrap = %v", err)
	}
}

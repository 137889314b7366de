package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrNewerDatabase is a database that a newer program has migrated.
var ErrNewerDatabase = errors.New("store: the database was migrated by a newer jotgate")

// ErrHalfCopied is a database into which a [Copy] was begun and is not done.
var ErrHalfCopied = errors.New("store: a copy into the database was begun and is not done; run jotgate db copy again")

// errStalled is the cause of a context that ended because the database took
// longer than Config.Timeout.
var errStalled = errors.New("store: the database does not answer in time")

// UnavailableError is a failure that is the database's and passes without
// anybody changing the request: it is away, full, locked or overloaded.
type UnavailableError struct{ Err error }

func (e *UnavailableError) Error() string { return e.Err.Error() }

// Unwrap returns the failure itself.
func (e *UnavailableError) Unwrap() error { return e.Err }

// Unavailable reports true. Edges and package session ask for this method, so that
// they need not know this package.
func (e *UnavailableError) Unavailable() bool { return true }

// wrap says what was tried and whose fault err is. Where the caller gave up, the
// result is context.Canceled or context.DeadlineExceeded under errors.Is,
// whatever the driver made of it.
func wrap(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	switch {
	case errors.Is(context.Cause(ctx), errStalled), errors.Is(err, errStalled):
		return &UnavailableError{fmt.Errorf("store: %s: %w: %w", op, errStalled, err)}
	case ctx.Err() != nil && !errors.Is(err, ctx.Err()):
		return fmt.Errorf("store: %s: %w: %w", op, ctx.Err(), err)
	case ctx.Err() == nil && unavailable(err):
		return &UnavailableError{fmt.Errorf("store: %s: %w", op, err)}
	}
	return fmt.Errorf("store: %s: %w", op, err)
}

func unavailable(err error) bool {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return sqliteUnavailable(e.Code())
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && postgresUnavailable(e.Code) {
		return true
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	for _, gone := range []error{
		errAlongside,
		driver.ErrBadConn, sql.ErrConnDone, sql.ErrTxDone, pgconn.ErrConnClosed, io.EOF, io.ErrUnexpectedEOF,
		// With ctx alive, these are of a transaction that others share.
		context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return false
}

// deadlocked reports whether PostgreSQL undid a transaction so that another one could go on.
func deadlocked(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "40P01" || e.Code == "40001")
}

// sqliteUnavailable looks at the primary code, which is the lowest byte. SQLite says
// SQLITE_CORRUPT also where the disk once failed to read a page.
func sqliteUnavailable(code int) bool {
	switch code & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR,
		sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_CORRUPT:
		return true
	}
	return false
}

// postgresUnavailable looks at the class, which is the first two characters
// (PostgreSQL's manual, appendix A).
func postgresUnavailable(code string) bool {
	switch code {
	case "55P03", // lock not available
		"25006", // read-only transaction: connected to what is a replica now
		"25P03": // idle in transaction
		return true
	}
	if len(code) != len("08000") {
		return false
	}
	switch code[:2] {
	case "08", // connection
		"40", // serialization, deadlock
		"53", // resources: disk full, too many connections
		"57", // operator: shutdown, statement timeout
		"58": // system error
		return true
	}
	return false
}

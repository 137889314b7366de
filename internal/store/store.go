// Package store keeps what the nouns ask for in SQLite or PostgreSQL: one file
// and one type per noun, each of which implements that noun's Store.
//
// It is the only place that knows GORM, and SQL of our own tables, and it decides nothing:
// what has to be atomic is one statement here, and what has to happen together
// is one [DB.InTx] of a flow. Rows stay private. Times are kept as microseconds
// since 1970 in integer columns, so that comparing them is the same on both
// databases, and come back in UTC.
//
// Package storetest says how a store must behave; both databases pass it.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
	"gorm.io/gorm"
)

// defaultTimeout is longer than what the databases allow one statement and one
// wait for a lock, so that it only ends what they cannot end themselves.
const defaultTimeout = 10 * time.Second

// listenAgain is the pause before a lost connection to listen on is made again.
const listenAgain = time.Second

// Config is how a database is opened.
type Config struct {
	// URL is sqlite:<path> or postgres://…. It may hold a password and is never
	// printed.
	URL string
	// Logger receives statements that were slow, without their values.
	Logger *slog.Logger
	// Timeout bounds a transaction, or a method outside of one, waiting for a
	// connection included; of one that reads SQLite it bounds that waiting alone. Zero
	// stands for 10 seconds.
	Timeout time.Duration
	// Spans is where connections make a span of each statement; nil is nowhere.
	Spans trace.TracerProvider
}

// DB is an open database. Create one with [Open]; it is safe for concurrent use.
type DB struct {
	dialect dialect
	writer  *gorm.DB
	readers *gorm.DB      // the same as writer on PostgreSQL
	reading chan struct{} // as many as read at once; nil on PostgreSQL
	group   *group        // nil on PostgreSQL, whose commits share a sync of the disk
	timeout time.Duration
	server  server // nil on SQLite
}

// server is what only a database does that processes on many machines share.
type server interface {
	// tell wakes those who listen, once the transaction q is committed.
	tell(q *gorm.DB) error
	// listen calls heard once it listens, and whenever it was told something, until
	// its connection is lost or ctx ends.
	listen(ctx context.Context, heard func()) error
	// whole returns ErrHalfCopied while a Copy into the database is not done.
	whole(ctx context.Context) error
	// writable returns an error unless the transaction q may write.
	writable(q *gorm.DB) error
	// rotate scans what rotateHolderFree finds, in a transaction that others may share. It
	// returns errAlone if nothing was changed.
	rotate(ctx context.Context, values, dest []any) error
}

// dialect is what differs between the databases beyond their SQL.
type dialect interface {
	// locked runs f while no other process migrates the database, on connections
	// on which a migration may take its time.
	locked(ctx context.Context, f func(conns *sql.DB) error) error
	// migrations names the folder of the migrations, which is goose's name of the
	// dialect too.
	migrations() string
	// lockRows ends a select of rows that the transaction will change.
	lockRows() string
	// turn waits, in the transaction q, until no other one holds the same turn.
	turn(q *gorm.DB, t turn) error
	// lead is [DB.AsLeader].
	lead(ctx context.Context, patience time.Duration, d Duty, f func(ctx context.Context) error) (bool, error)
	// pools names the connection pools.
	pools() map[string]*sql.DB
}

// Open connects to the database and checks that it answers. The tables are
// [DB.Migrate]'s part. Its errors are one line, name what to look at, and hold
// no password.
func Open(ctx context.Context, c Config) (*DB, error) {
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	scheme, rest, _ := strings.Cut(c.URL, ":")
	switch scheme {
	case "sqlite":
		return openSQLite(ctx, c, strings.TrimPrefix(rest, "//"))
	case "postgres", "postgresql":
		return openPostgres(ctx, c)
	}
	return nil, errors.New("store: the database URL must begin with sqlite: or postgres://")
}

// CheckURL returns what [Open] would refuse of url, and opens nothing.
func CheckURL(url string) error {
	if strings.HasPrefix(url, "sqlite:") {
		_, err := SQLitePath(url)
		return err
	}
	_, err := postgresConfig(url)
	return err
}

// Close closes all connections, those on which a statement runs when it is over. On SQLite
// it waits for the group that commits, so that who opens the file next finds it free. Nobody
// may use db any more.
func (db *DB) Close() error {
	var errs []error
	if db.group != nil {
		db.group.idle()
	}
	for name, pool := range db.SQLDB() {
		if err := pool.Close(); err != nil {
			errs = append(errs, fmt.Errorf("store: close %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// Ping reports whether the database answers, and would take a write as far as
// that can be told without one.
func (db *DB) Ping(ctx context.Context) error {
	return db.InTx(ctx, func(ctx context.Context) error {
		return write(ctx, db, "ping", func(ctx context.Context, q *gorm.DB) error {
			if db.server != nil {
				return db.server.writable(q.WithContext(ctx))
			}
			return q.WithContext(ctx).Exec("SELECT 1").Error
		})
	})
}

// Listen calls heard when another process may have appended to the feed of
// revocations, until ctx ends. It comes back by itself after the connection was
// lost, and nobody may rely on it: what is said meanwhile is not repeated. On
// SQLite it hears nothing.
func (db *DB) Listen(ctx context.Context, heard func()) {
	for ctx.Err() == nil {
		if db.server != nil {
			// What is wrong with the database, those who read it tell.
			_ = db.server.listen(ctx, heard) //nolint:errcheck // see above
		}
		select {
		case <-ctx.Done():
		case <-time.After(listenAgain):
		}
	}
}

// SQLDB returns the connection pools by name, for their statistics.
func (db *DB) SQLDB() map[string]*sql.DB { return db.dialect.pools() }

// Users returns the store of users.
func (db *DB) Users() *Users { return &Users{db} }

// Attempts returns the counts of password attempts.
func (db *DB) Attempts() *Attempts { return &Attempts{db} }

// Sessions returns the store of sessions.
func (db *DB) Sessions() *Sessions { return &Sessions{db} }

// Revocations returns the store of the revocation feed.
func (db *DB) Revocations() *Revocations { return &Revocations{db} }

// Audit returns the store of security events.
func (db *DB) Audit() *Audit { return &Audit{db} }

// APIKeys returns the store of API keys.
func (db *DB) APIKeys() *APIKeys { return &APIKeys{db} }

// Clients returns the store of OAuth clients.
func (db *DB) Clients() *Clients { return &Clients{db} }

// Keys returns the store of sealed signing keys.
func (db *DB) Keys() *Keys { return &Keys{db} }

// TokenLives returns the store of how long tokens live.
func (db *DB) TokenLives() *TokenLives { return &TokenLives{db} }

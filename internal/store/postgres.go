package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3/lock"
	"go.opentelemetry.io/otel/trace"
	gormpostgres "gorm.io/driver/postgres"
	"gorm.io/gorm"
)

const (
	// postgresConns leaves room for four replicas under PostgreSQL's default of
	// 100 connections.
	postgresConns    = 20
	postgresIdleTime = 5 * time.Minute
	postgresLifetime = time.Hour // so that connections move to a new server
	connectTimeout   = 5 * time.Second
	// applicationName is what PostgreSQL shows of our connections.
	applicationName = "jotgate"
	// migrateWait is how many seconds a process waits for another one that migrates.
	migrateWait = 300
)

// turn names what only one transaction may do at a time. The numbers are keys of
// PostgreSQL's advisory locks.
type turn int64

const (
	turnRevocations turn = 0x6a6f74_01
	turnKeys        turn = 0x6a6f74_02
)

type postgresDialect struct {
	conf      *pgx.ConnConfig
	pool      *sql.DB
	spans     trace.TracerProvider
	rotations *rotations
}

// postgresConfig reads a URL. Its error does not repeat it.
func postgresConfig(url string) (*pgx.ConnConfig, error) {
	conf, err := pgx.ParseConfig(url)
	if err != nil {
		// The parser's error may quote the URL, and so the password.
		return nil, errors.New("store: the database URL is not one that PostgreSQL understands: postgres://user:password@host:port/database?sslmode=…")
	}
	if conf.ConnectTimeout == 0 || conf.ConnectTimeout > connectTimeout {
		conf.ConnectTimeout = connectTimeout
	}
	conf.DialFunc = postgresDialer().DialContext
	if conf.RuntimeParams["application_name"] == "" {
		conf.RuntimeParams["application_name"] = applicationName
	}
	return conf, nil
}

func openPostgres(ctx context.Context, c Config) (*DB, error) {
	conf, err := postgresConfig(c.URL)
	if err != nil {
		return nil, err
	}
	d := &postgresDialect{conf: conf, spans: c.Spans}
	d.pool = d.open(postgresConns, map[string]string{
		"synchronous_commit": "on", "statement_timeout": "5s", "lock_timeout": "5s",
		"idle_in_transaction_session_timeout": "15s",
	})
	if err := d.pool.PingContext(ctx); err != nil {
		return nil, errors.Join(unreached(err), d.pool.Close())
	}
	// pgx prepares statements by itself, in transactions too, where GORM would
	// prepare anew each time.
	orm, err := gorm.Open(gormpostgres.New(gormpostgres.Config{Conn: d.pool}), config(c.Logger, false))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: open PostgreSQL database: %w", err), d.pool.Close())
	}
	d.rotations = &rotations{orm: orm, timeout: c.Timeout}
	return &DB{dialect: d, server: d, writer: orm, readers: orm, timeout: c.Timeout}, nil
}

// unreached is err in one line: pgx begins one for each address and for each way,
// with TLS and without, though they often say the same.
func unreached(err error) error {
	var all []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); !slices.Contains(all, line) {
			all = append(all, line)
		}
	}
	text := strings.Replace(strings.Join(all, "; "), ":; ", ": ", 1) // the first one only begins
	return fmt.Errorf("store: reach PostgreSQL: %s; see that it runs and that database.url is right", text)
}

func (d *postgresDialect) open(conns int, params map[string]string) *sql.DB {
	conf := d.conf.Copy()
	maps.Copy(conf.RuntimeParams, params)
	var pool *sql.DB
	pool = postgresPoolOf(conf, d.spans, stdlib.OptionShouldPing(func(ctx context.Context, c stdlib.ShouldPingParams) bool {
		return suspect(ctx, c, func() { dropIdle(pool, conns) })
	}))
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	pool.SetConnMaxIdleTime(postgresIdleTime)
	pool.SetConnMaxLifetime(postgresLifetime)
	return pool
}

func (d *postgresDialect) migrations() string { return "postgres" }

func (d *postgresDialect) pools() map[string]*sql.DB { return map[string]*sql.DB{"postgres": d.pool} }

func (d *postgresDialect) lockRows() string { return " FOR UPDATE" }

func (d *postgresDialect) writable(q *gorm.DB) error {
	var not bool
	err := q.Raw("SELECT current_setting('transaction_read_only')::boolean").Scan(&not).Error
	if err == nil && not {
		err = &UnavailableError{errors.New("it takes no writes")}
	}
	return err
}

// turn is held until the transaction is over, and by then others see its rows.
func (d *postgresDialect) turn(q *gorm.DB, t turn) error {
	return q.Exec("SELECT pg_advisory_xact_lock(?)", int64(t)).Error
}

// channel is where PostgreSQL tells of appended revocations.
const channel = "jotgate_revocations"

// tell implements [server].
func (d *postgresDialect) tell(q *gorm.DB) error {
	return q.Exec("SELECT pg_notify(?, '')", channel).Error
}

// rotate implements [server].
func (d *postgresDialect) rotate(ctx context.Context, values, dest []any) error {
	return d.rotations.do(ctx, values, dest)
}

// listen implements [server].
func (d *postgresDialect) listen(ctx context.Context, heard func()) (err error) {
	conn, err := pgx.ConnectConfig(ctx, d.conf.Copy())
	if err != nil {
		return fmt.Errorf("store: connect to listen: %w", err)
	}
	defer func() {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		err = errors.Join(err, conn.Close(bounded))
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return fmt.Errorf("store: listen: %w", err)
	}
	for {
		heard()
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return fmt.Errorf("store: wait to be told: %w", err)
		}
	}
}

// whole implements [server].
func (d *postgresDialect) whole(ctx context.Context) error {
	var marked bool
	if err := d.pool.QueryRowContext(ctx, "SELECT to_regclass('db_copy') IS NOT NULL").Scan(&marked); err != nil || !marked {
		return wrap(ctx, "look for db_copy", err)
	}
	var open int
	if err := d.pool.QueryRowContext(ctx, "SELECT count(*) FROM db_copy WHERE sums IS NULL").Scan(&open); err != nil {
		return wrap(ctx, "read db_copy", err)
	}
	if open > 0 {
		return ErrHalfCopied
	}
	return nil
}

// locked holds goose's advisory lock on one connection while f migrates on
// another. A migration may take longer than a request's statement, and waits for
// no longer for locks than one, so that it does not hold up the requests that
// queue behind it.
func (d *postgresDialect) locked(ctx context.Context, f func(conns *sql.DB) error) (err error) {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, migrateWait))
	if err != nil {
		return fmt.Errorf("store: prepare the lock of the database: %w", err)
	}
	pool := d.open(2, map[string]string{"synchronous_commit": "on", "statement_timeout": "0", "lock_timeout": "5s"})
	defer func() { err = errors.Join(err, pool.Close()) }()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return unreached(err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := locker.SessionLock(ctx, conn); err != nil {
		return fmt.Errorf("store: wait for another process that migrates the database: %w", err)
	}
	defer func() { err = errors.Join(err, locker.SessionUnlock(context.WithoutCancel(ctx), conn)) }()
	return f(pool)
}

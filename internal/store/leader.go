package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
)

// Duty is work that one process is to do for all that share the database. The
// numbers are keys of PostgreSQL's advisory locks.
type Duty int64

// The duties.
const (
	Pruning  Duty = 0x6a6f74_11
	Rotating Duty = 0x6a6f74_12
)

// leaveTimeout bounds the farewell to a server that may be gone.
const leaveTimeout = 2 * time.Second

// AsLeader runs f unless another process does the same duty at the moment, and
// reports whether it did. Nobody keeps a duty when f is over, so whoever comes
// next has it, and a leader that dies needs no other to notice. f's context ends
// when this process can no longer know that it is the only one.
//
// On SQLite everybody leads: one process is what it is for, and two that meet
// there do some work twice, each step in a transaction that sees the other's.
func (db *DB) AsLeader(ctx context.Context, d Duty, f func(ctx context.Context) error) (led bool, err error) {
	return db.dialect.lead(ctx, db.timeout, d, f)
}

func (*sqliteDialect) lead(ctx context.Context, _ time.Duration, _ Duty, f func(ctx context.Context) error) (bool, error) {
	return true, f(ctx)
}

// lead holds a lock that lives as long as a connection of its own, which goes
// back to no pool. The server probes that connection, so that a machine that is cut
// off leads for half a minute more and not for two hours. patience bounds the asking.
func (d *postgresDialect) lead(ctx context.Context, patience time.Duration, duty Duty, f func(ctx context.Context) error) (led bool, err error) {
	conf := d.conf.Copy()
	maps.Copy(conf.RuntimeParams, map[string]string{
		"statement_timeout": "5s", "tcp_keepalives_idle": "15", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3",
	})
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := pgx.ConnectConfig(asking, conf)
	if err != nil {
		return false, wrap(ctx, "reach the database to lead", err)
	}
	defer func() {
		leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
		defer cancel()
		err = errors.Join(err, conn.Close(leaving))
	}()
	if err := conn.QueryRow(asking, "SELECT pg_try_advisory_lock($1)", int64(duty)).Scan(&led); err != nil || !led {
		return false, wrap(ctx, "ask to lead", err)
	}
	leading, stop := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		stop(watch(leading, conn))
	}()
	defer func() { stop(nil); <-watched }()
	err = f(leading)
	if err != nil && ctx.Err() == nil && leading.Err() != nil {
		err = &UnavailableError{fmt.Errorf("store: the connection that leads is gone: %w", context.Cause(leading))}
	}
	return true, err
}

// watch returns when conn is gone or ctx ends.
func watch(ctx context.Context, conn *pgx.Conn) error {
	for {
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return err
		}
	}
}

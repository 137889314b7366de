package store

import (
	"context"
	"database/sql"
	"net"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// pingAfter is how long a connection was idle that is asked for an answer before it
	// is used, and pingPatience how long that answer may take.
	pingAfter    = time.Second
	pingPatience = 3 * time.Second
)

// postgresDialer makes connections that notice within eleven seconds that the host at
// their other end is gone without a word, unless they have sent it something. The one
// that listens never does.
func postgresDialer() *net.Dialer {
	return &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}}
}

// suspect reports that a connection is not to be used, which it asks for an answer if it
// was idle for long: pgx by itself waits for that as long as the caller. Where none comes,
// silent closes what else is idle: a host that is gone without a word left all of that
// behind, and each would keep somebody waiting in turn.
func suspect(ctx context.Context, c stdlib.ShouldPingParams, silent func()) bool {
	if c.IdleDuration <= pingAfter {
		return false
	}
	bounded, cancel := context.WithTimeout(ctx, pingPatience)
	defer cancel()
	err := c.Conn.PgConn().Ping(bounded)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		silent()
	}
	return err != nil
}

// dropIdle closes the connections of a pool that nobody uses.
func dropIdle(pool *sql.DB, keep int) {
	pool.SetMaxIdleConns(0)
	pool.SetMaxIdleConns(keep)
}

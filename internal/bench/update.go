package main

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// rotation is the compare-and-swap of a session alone, on a table like store's. What store
// sends looks at the user besides.
const rotation = `
UPDATE bare_sessions SET generation = generation + 1, last_used_at = $1, retry = $2,
	expires_at = CASE WHEN absolute_at < $3 THEN absolute_at ELSE $3 END
WHERE id = $4 AND user_id = $5 AND mode = $6 AND generation = $7 AND ended_at = 0 AND expires_at > $1
RETURNING device, ip, user_agent, created_at, expires_at, absolute_at`

const bareSessions = `
DROP TABLE IF EXISTS bare_sessions;
CREATE TABLE bare_sessions (LIKE sessions INCLUDING ALL);
INSERT INTO bare_sessions SELECT * FROM sessions`

// bareSession is what its connection knows of one.
type bareSession struct {
	id, user, mode string
	generation     int64
	conn           *pgx.Conn
}

// updates rotates sessions by pgx alone, each on a connection of its own, in a database
// that jotgate has made sessions in.
func updates(ctx context.Context, length time.Duration, args []string) (rate float64, err error) {
	all, err := bareOnes(ctx, args[0])
	defer func() {
		for _, s := range all {
			err = errors.Join(err, s.conn.Close(ctx))
		}
	}()
	if err != nil {
		return 0, err
	}
	return repeat(length, len(all), func(i int) error { return all[i].rotate(ctx) })
}

func bareOnes(ctx context.Context, url string) (all []*bareSession, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	if _, err := conn.Exec(ctx, bareSessions); err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, "SELECT id, user_id, mode, generation FROM bare_sessions WHERE ended_at = 0 LIMIT $1", sessions)
	if err != nil {
		return nil, err
	}
	if all, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (*bareSession, error) {
		s := &bareSession{}
		return s, r.Scan(&s.id, &s.user, &s.mode, &s.generation)
	}); err != nil {
		return nil, err
	}
	for i, s := range all {
		if s.conn, err = pgx.Connect(ctx, url); err != nil {
			return all[:i], err
		}
	}
	return all, nil
}

func (s *bareSession) rotate(ctx context.Context) error {
	now := time.Now()
	var device, ip, userAgent string
	var created, expires, absolute int64
	err := s.conn.QueryRow(ctx, rotation, now.UnixMicro(), "", now.Add(time.Hour).UnixMicro(), s.id, s.user, s.mode, s.generation).
		Scan(&device, &ip, &userAgent, &created, &expires, &absolute)
	if err == nil {
		s.generation++
	}
	return err
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/jotgate/jotgate/internal/session"
)

// sessionRow is the sessions table. EndedAt is 0 while the session lives. The pruner looks
// at it after PruneAt, which is no later than ExpiresAt unless that was set back.
type sessionRow struct {
	ID         string `gorm:"primaryKey"`
	UserID     string
	Mode       string
	Device     string
	IP         string
	UserAgent  string
	CreatedAt  int64 `gorm:"autoCreateTime:false"`
	Generation int64
	LastUsedAt int64
	Retry      string
	ExpiresAt  int64
	AbsoluteAt int64
	EndedAt    int64
	EndReason  string
	PruneAt    int64
}

// TableName implements GORM's Tabler.
func (sessionRow) TableName() string { return "sessions" }

func (r sessionRow) session() session.Session {
	return session.Session{
		ID: session.ID(r.ID), UserID: r.UserID, Mode: session.Mode(r.Mode), Device: r.Device, IP: r.IP,
		UserAgent: r.UserAgent, CreatedAt: fromMicros(r.CreatedAt), Generation: session.Generation(r.Generation),
		LastUsedAt: fromMicros(r.LastUsedAt), Retry: session.RetryKey(r.Retry), ExpiresAt: fromMicros(r.ExpiresAt),
		AbsoluteAt: fromMicros(r.AbsoluteAt), EndedAt: fromMicros(r.EndedAt),
	}
}

// sessionColumns are those of a session.Session, in the order of fields.
const sessionColumns = `sessions.id, sessions.user_id, sessions.mode, sessions.device, sessions.ip, sessions.user_agent, sessions.created_at,
	sessions.generation, sessions.last_used_at, sessions.retry, sessions.expires_at, sessions.absolute_at, sessions.ended_at`

func sessionFields(r *sessionRow) []any {
	return []any{
		&r.ID, &r.UserID, &r.Mode, &r.Device, &r.IP, &r.UserAgent, &r.CreatedAt,
		&r.Generation, &r.LastUsedAt, &r.Retry, &r.ExpiresAt, &r.AbsoluteAt, &r.EndedAt,
	}
}

// rotate is the compare-and-swap. The absolute end caps the idle one here, where
// nobody can forget it. It returns what the caller does not know.
const (
	rotate = `
UPDATE sessions SET generation = generation + 1, last_used_at = ?, retry = ?,
	expires_at = CASE WHEN absolute_at < ? THEN absolute_at ELSE ? END`
	rotateWhere = `
WHERE sessions.id = ? AND user_id = ? AND mode = ? AND generation = ? AND ended_at = 0 AND expires_at > ?`
	rotateReturning = `
RETURNING device, ip, user_agent, sessions.created_at, expires_at, absolute_at`
)

func rotationValues(r session.Rotation) []any {
	at, idle := micros(r.At), micros(r.IdleUntil)
	return []any{at, string(r.Retry), idle, idle, text(r.ID), text(r.UserID), string(r.Mode), int64(r.From), at}
}

// rotatedRow is the row after r, but for what rotate returns.
func rotatedRow(r session.Rotation) sessionRow {
	return sessionRow{
		ID: string(r.ID), UserID: r.UserID, Mode: string(r.Mode), Generation: int64(r.From) + 1,
		LastUsedAt: micros(r.At), Retry: string(r.Retry),
	}
}

func rotatedFields(r *sessionRow) []any {
	return []any{&r.Device, &r.IP, &r.UserAgent, &r.CreatedAt, &r.ExpiresAt, &r.AbsoluteAt}
}

// Sessions is the [session.Store] kept in the database.
type Sessions struct{ db *DB }

var _ session.Store = (*Sessions)(nil)

// Create implements [session.Store]. What a client calls itself is kept with
// U+FFFD in place of what is not text. A session of a user who is not there is
// an error that no caller can act on: the flow that opens it has looked at the
// user in the same transaction, and so holds the user.
func (s *Sessions) Create(ctx context.Context, o session.Session) error {
	return write(ctx, s.db, "insert session", func(ctx context.Context, q *gorm.DB) error {
		return gorm.G[sessionRow](q).Create(ctx, &sessionRow{
			ID: string(o.ID), UserID: o.UserID, Mode: string(o.Mode), Device: text(o.Device), IP: text(o.IP),
			UserAgent: text(o.UserAgent), CreatedAt: micros(o.CreatedAt), Generation: int64(o.Generation),
			LastUsedAt: micros(o.LastUsedAt), Retry: string(o.Retry), ExpiresAt: micros(o.ExpiresAt),
			AbsoluteAt: micros(o.AbsoluteAt), EndedAt: micros(o.EndedAt), PruneAt: micros(o.ExpiresAt),
		})
	})
}

// ByID implements [session.Store].
func (s *Sessions) ByID(ctx context.Context, id session.ID) (session.Session, error) {
	row, err := read(ctx, s.db, "select session", func(ctx context.Context, q *gorm.DB) (row sessionRow, err error) {
		err = scan(ctx, q, sessionFields(&row), "SELECT "+sessionColumns+" FROM sessions WHERE id = ?"+s.db.locking(ctx), text(id))
		return row, err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return session.Session{}, session.ErrNotFound
	}
	if err != nil {
		return session.Session{}, err
	}
	return row.session(), nil
}

// Living implements [session.Store].
func (s *Sessions) Living(ctx context.Context, userID string, now time.Time, limit int) ([]session.Session, error) {
	rows, err := read(ctx, s.db, "list sessions", func(ctx context.Context, q *gorm.DB) ([]sessionRow, error) {
		return gorm.G[sessionRow](q).
			Where("user_id = ? AND ended_at = 0 AND expires_at > ?", text(userID), micros(now)).
			Order("last_used_at DESC, id DESC").Limit(limit).Find(ctx)
	})
	if err != nil {
		return nil, err
	}
	living := make([]session.Session, len(rows))
	for i, r := range rows {
		living[i] = r.session()
	}
	return living, nil
}

// End implements [session.Store].
func (s *Sessions) End(ctx context.Context, w session.Which, why session.Reason, now time.Time) ([]session.ID, error) {
	if w.ID == "" && w.UserID == "" && w.Before.IsZero() {
		return nil, nil
	}
	rows, err := change(ctx, s.db, "end sessions", func(ctx context.Context, q *gorm.DB) ([]sessionRow, error) {
		var ended []sessionRow
		which := selected(q.WithContext(ctx).Model(&ended), w, now)
		if w.Keep > 0 {
			unused, err := unusedSessions(ctx, q, w, now)
			if err != nil || len(unused) == 0 {
				return nil, err
			}
			which = which.Where("id IN ?", unused)
		}
		err := which.Clauses(clause.Returning{Columns: []clause.Column{{Name: "id"}}}).
			Updates(map[string]any{"ended_at": micros(now), "end_reason": string(why)}).Error
		return ended, err
	})
	if err != nil {
		return nil, err
	}
	ids := make([]session.ID, len(rows))
	for i, r := range rows {
		ids[i] = session.ID(r.ID)
	}
	return ids, nil
}

func selected(q *gorm.DB, w session.Which, now time.Time) *gorm.DB {
	q = q.Where("ended_at = 0 AND expires_at > ?", micros(now.Add(-session.Leeway)))
	if w.ID != "" {
		q = q.Where("id = ?", text(w.ID))
	}
	if w.UserID != "" {
		q = q.Where("user_id = ?", text(w.UserID))
	}
	if w.Except != "" {
		q = q.Where("id <> ?", text(w.Except))
	}
	if !w.Before.IsZero() {
		q = q.Where(olderSessions, micros(now), micros(w.Before), w.Limit)
	}
	return q
}

// unusedSessions are those beyond the w.Keep that were used last. As a part of the update
// PostgreSQL would look for them once for each of the user's.
func unusedSessions(ctx context.Context, q *gorm.DB, w session.Which, now time.Time) (ids []string, err error) {
	err = q.WithContext(ctx).Model(&sessionRow{}).
		Where("user_id = ? AND id <> ? AND ended_at = 0 AND expires_at > ?", text(w.UserID), text(w.Except), micros(now)).
		Order("last_used_at DESC, id DESC").Offset(w.Keep).Limit(w.Limit).Pluck("id", &ids).Error
	return ids, err
}

// Remember implements [session.Store].
func (s *Sessions) Remember(ctx context.Context, id session.ID, current session.Generation, retry session.RetryKey) error {
	return write(ctx, s.db, "remember retry", func(ctx context.Context, q *gorm.DB) error {
		return q.WithContext(ctx).Exec(remember, string(retry), text(id), int64(current), maxRetries).Error
	})
}

// maxRetries is the bytes of the retry keys to which another one is added.
const maxRetries = 512

// Prune implements [session.Store]. A session that was refreshed since the pruner last
// looked at it is put off until it expires.
func (s *Sessions) Prune(ctx context.Context, t time.Time, limit int) (seen int, err error) {
	before := micros(t)
	for _, step := range []struct {
		op, sql string
		values  []any // but for the limit
	}{
		{"prune expired sessions", pruneExpired, []any{before, before}},
		{"put off pruning", putOff, []any{before, before}},
		{"prune ended sessions", pruneEnded, []any{before}},
	} {
		n, err := prune(ctx, s.db, step.op, step.sql, append(step.values, limit-seen)...)
		seen += n
		if err != nil || seen >= limit {
			return seen, err
		}
	}
	return seen, nil
}

const (
	// olderSessions goes through the whole index of the living, which those leave that it
	// finds: its condition on prune_at names the index and bounds nothing.
	olderSessions = `id IN (
	SELECT id FROM sessions WHERE ended_at = 0 AND prune_at >= 0 AND expires_at > ? AND created_at < ? ORDER BY prune_at LIMIT ?)`
	remember = `
UPDATE sessions SET retry = CASE WHEN retry = '' THEN '' ELSE retry || ' ' END || ?
WHERE id = ? AND generation = ? AND ended_at = 0 AND length(retry) < ?`
	pruneExpired = `
DELETE FROM sessions WHERE expires_at < ? AND id IN (
	SELECT id FROM sessions WHERE ended_at = 0 AND prune_at < ? ORDER BY prune_at LIMIT ?)`
	putOff = `
UPDATE sessions SET prune_at = expires_at WHERE expires_at >= ? AND id IN (
	SELECT id FROM sessions WHERE ended_at = 0 AND prune_at < ? ORDER BY prune_at LIMIT ?)`
	pruneEnded = `
DELETE FROM sessions WHERE id IN (
	SELECT id FROM sessions WHERE ended_at > 0 AND ended_at < ? ORDER BY ended_at LIMIT ?)`
)

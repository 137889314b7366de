package store

import (
	"context"
	"database/sql"
	"errors"

	"gorm.io/gorm"

	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/user"
)

// holder is what every request asks that needs the user as they are now: one
// statement, scanned by hand, since a look by GORM at each struct costs more than
// the database does.
const holder = `
SELECT s.id, s.user_id, s.mode, s.device, s.ip, s.user_agent, s.created_at, s.generation, s.last_used_at, s.retry, s.expires_at,
	s.absolute_at, s.ended_at, u.id, u.username, u.email, u.email_verified, u.roles, u.external_id, u.password_hash, u.disabled,
	u.created_at, u.tokens_valid_after
FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = ?`

// Holder returns a session, living or not, and its user, or [session.ErrNotFound].
func (db *DB) Holder(ctx context.Context, id session.ID) (session.Session, user.User, error) {
	type pair struct {
		s sessionRow
		u userRow
	}
	found, err := read(ctx, db, "select session and user", func(ctx context.Context, q *gorm.DB) (pair, error) {
		var p pair
		s, u := &p.s, &p.u
		err := q.WithContext(ctx).Raw(holder, text(id)).Row().Scan(
			&s.ID, &s.UserID, &s.Mode, &s.Device, &s.IP, &s.UserAgent, &s.CreatedAt, &s.Generation, &s.LastUsedAt, &s.Retry, &s.ExpiresAt,
			&s.AbsoluteAt, &s.EndedAt, &u.ID, &u.Username, &u.Email, &u.EmailVerified, &u.Roles, &u.ExternalID, &u.PasswordHash, &u.Disabled,
			&u.CreatedAt, &u.TokensValidAfter)
		return p, err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return session.Session{}, user.User{}, session.ErrNotFound
	}
	if err != nil {
		return session.Session{}, user.User{}, err
	}
	u, err := found.u.user()
	return found.s.session(), u, err
}

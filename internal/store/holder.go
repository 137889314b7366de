package store

import (
	"context"
	"database/sql"
	"errors"

	"gorm.io/gorm"

	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/user"
)

const (
	// holder is what every request asks that needs the user as they are now.
	holder = "SELECT " + sessionColumns + ", " + userColumns + " FROM sessions JOIN users ON users.id = sessions.user_id WHERE sessions.id = ?"
	// rotateHolder reads the user as of the statement's begin. What changes the user
	// later has its border for tokens after that, and what ends the session waits for
	// the statement, or the statement for it.
	rotateHolder = rotate + " FROM users" + rotateWhere + " AND users.id = user_id" + rotateReturning + ", " + userColumns
)

// held is a row of both.
type held struct {
	s sessionRow
	u userRow
}

func (h *held) fields() []any { return append(sessionFields(&h.s), userFields(&h.u)...) }

func (h *held) both() (session.Session, user.User, error) {
	u, err := h.u.user()
	return h.s.session(), u, err
}

// Holder returns a session, living or not, and its user, or [session.ErrNotFound].
func (db *DB) Holder(ctx context.Context, id session.ID) (session.Session, user.User, error) {
	found, err := read(ctx, db, "select session and user", func(ctx context.Context, q *gorm.DB) (h held, err error) {
		err = scan(ctx, q, h.fields(), holder, text(id))
		return h, err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return session.Session{}, user.User{}, session.ErrNotFound
	}
	if err != nil {
		return session.Session{}, user.User{}, err
	}
	return found.both()
}

// RotateHolder is [Sessions.Rotate] that returns the user too. SQLite returns columns of
// one table only, and reading the other one there is no round trip. The user is
// [user.ErrNotFound] if somebody deleted them in between.
func (db *DB) RotateHolder(ctx context.Context, r session.Rotation) (session.Session, user.User, error) {
	if db.server == nil {
		s, err := db.Sessions().Rotate(ctx, r)
		if err != nil {
			return session.Session{}, user.User{}, err
		}
		u, err := db.Users().ByID(ctx, user.ID(s.UserID))
		return s, u, err
	}
	h := held{s: rotatedRow(r)}
	err := write(ctx, db, "rotate session", func(ctx context.Context, q *gorm.DB) error {
		return scan(ctx, q, append(rotatedFields(&h.s), userFields(&h.u)...), rotateHolder, rotationValues(r)...)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return session.Session{}, user.User{}, session.ErrConflict
	}
	if err != nil {
		return session.Session{}, user.User{}, err
	}
	return h.both()
}

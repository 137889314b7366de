package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"go.opentelemetry.io/otel/trace"
	"gorm.io/gorm"

	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/user"
)

const (
	// holder is what every request asks that needs the user as they are now.
	holder = "SELECT " + sessionColumns + ", " + userColumns + " FROM sessions JOIN users ON users.id = sessions.user_id WHERE sessions.id = ?"
	// rotateHolder reads the user as of the statement's begin. What changes the user is
	// committed before its border for tokens, so that this one's is older, and what ends
	// the session waits for the statement, or the statement for it.
	rotateHolder = rotateOfUser + rotateReturning + ", " + userColumns
	rotateOfUser = rotate + " FROM users" + rotateWhere + " AND users.id = user_id"
	// rotateHolderSQLite asks for the user as one value: SQLite returns columns of the
	// table that it changes only, and a statement of its own costs more than this.
	rotateHolderSQLite = rotate + rotateWhere + rotateReturning + `, (SELECT json_object(
	'ID', id, 'Username', username, 'Email', email, 'EmailVerified', json(iif(email_verified, 'true', 'false')), 'Roles', roles,
	'ExternalID', external_id, 'PasswordHash', password_hash, 'Disabled', json(iif(disabled, 'true', 'false')),
	'CreatedAt', created_at, 'TokensValidAfter', tokens_valid_after) FROM users WHERE users.id = user_id)`
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

// RotateHolder is a [session.Swap] that returns the user too. It calls use with what it
// is going to return, so that use can work on it while the write is committed: what comes
// of that is void if RotateHolder returns an error.
func (db *DB) RotateHolder(ctx context.Context, r session.Rotation, use func(session.Session, user.User)) (s session.Session, u user.User, err error) {
	h := held{s: rotatedRow(r)}
	var unread error
	err = db.rotateHolder(ctx, r, &h, func() {
		if s, u, unread = h.both(); unread == nil {
			use(s, u)
		}
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = session.ErrConflict
	}
	if err = cmp.Or(err, unread); err != nil {
		return session.Session{}, user.User{}, err
	}
	return s, u, nil
}

func (db *DB) rotateHolder(ctx context.Context, r session.Rotation, h *held, found func()) error {
	const op = "rotate session"
	statement, fields, values := rotateHolder, userFields(&h.u), rotationValues(r)
	if db.server == nil {
		statement, fields = rotateHolderSQLite, []any{(*userJSON)(&h.u)}
	}
	dest := append(rotatedFields(&h.s), fields...)
	if err := db.rotateTogether(ctx, append(values, text(r.ID)), dest); !errors.Is(err, errAlone) {
		if err == nil {
			found()
		}
		return wrap(ctx, op, err)
	}
	return writeAhead(ctx, db, op, func(ctx context.Context, q *gorm.DB) error {
		return scan(ctx, q, dest, statement, values...)
	}, found)
}

// rotateTogether returns errAlone if nothing was changed, or this is not for a batch: one
// belongs to no transaction, and has no part in the trace of a request.
func (db *DB) rotateTogether(ctx context.Context, values, dest []any) error {
	if db.server == nil {
		return errAlone
	}
	if _, ok := db.tx(ctx); ok || trace.SpanFromContext(ctx).IsRecording() {
		return errAlone
	}
	ctx, cancel := db.bound(ctx)
	defer cancel()
	return db.server.rotate(ctx, values, dest)
}

// userJSON is a userRow that arrives as one value.
type userJSON userRow

// Scan implements [sql.Scanner].
func (u *userJSON) Scan(src any) error {
	text, ok := src.(string)
	if !ok {
		return fmt.Errorf("a user as %T", src)
	}
	return json.Unmarshal([]byte(text), (*userRow)(u))
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/jotgate/jotgate/internal/user"
)

// userRow is the users table.
type userRow struct {
	ID               string `gorm:"primaryKey"`
	Username         *string
	Email            *string
	EmailVerified    bool
	Roles            string
	ExternalID       *string
	PasswordHash     string
	Disabled         bool
	CreatedAt        int64 `gorm:"autoCreateTime:false"`
	TokensValidAfter int64
}

// TableName implements GORM's Tabler.
func (userRow) TableName() string { return "users" }

func (r userRow) user() (user.User, error) {
	roles, err := fromList[user.Role](r.Roles)
	if err != nil {
		return user.User{}, fmt.Errorf("store: read roles of user %s: %w", r.ID, err)
	}
	return user.User{
		ID: user.ID(r.ID), Username: fromNullable[user.Username](r.Username), Email: fromNullable[user.Email](r.Email),
		EmailVerified: r.EmailVerified, Roles: roles, ExternalID: fromNullable[user.ExternalID](r.ExternalID),
		PasswordHash: r.PasswordHash, Disabled: r.Disabled,
		CreatedAt: fromMicros(r.CreatedAt), TokensValidAfter: fromMicros(r.TokensValidAfter),
	}, nil
}

// userColumns are all, in the order of fields.
const userColumns = `users.id, users.username, users.email, users.email_verified, users.roles, users.external_id, users.password_hash,
	users.disabled, users.created_at, users.tokens_valid_after`

func userFields(r *userRow) []any {
	return []any{
		&r.ID, &r.Username, &r.Email, &r.EmailVerified, &r.Roles, &r.ExternalID, &r.PasswordHash,
		&r.Disabled, &r.CreatedAt, &r.TokensValidAfter,
	}
}

// Users is the [user.Store] kept in the database.
type Users struct{ db *DB }

var _ user.Store = (*Users)(nil)

// Create implements [user.Store].
func (s *Users) Create(ctx context.Context, u user.User) error {
	roles, err := list(u.Roles)
	if err != nil {
		return fmt.Errorf("store: write roles: %w", err)
	}
	err = write(ctx, s.db, "insert user", func(ctx context.Context, q *gorm.DB) error {
		return gorm.G[userRow](q).Create(ctx, &userRow{
			ID: string(u.ID), Username: nullable(u.Username), Email: nullable(u.Email), EmailVerified: u.EmailVerified,
			Roles: roles, ExternalID: nullable(u.ExternalID), PasswordHash: u.PasswordHash, Disabled: u.Disabled,
			CreatedAt: micros(u.CreatedAt), TokensValidAfter: micros(u.TokensValidAfter),
		})
	})
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return user.ErrIdentityTaken
	}
	return err
}

// ByID implements [user.Store].
func (s *Users) ByID(ctx context.Context, id user.ID) (user.User, error) {
	return s.one(ctx, "select user by id", "id = ?"+s.db.locking(ctx), text(id))
}

// ByIdentifier implements [user.Store].
func (s *Users) ByIdentifier(ctx context.Context, i user.Identifier) (user.User, error) {
	switch {
	case i.Username != "":
		return s.one(ctx, "select user by username", "username = ?", text(i.Username))
	case i.Email != "":
		return s.one(ctx, "select user by email", "email = ?", text(i.Email))
	}
	return user.User{}, user.ErrNotFound
}

// ByExternalID implements [user.Store].
func (s *Users) ByExternalID(ctx context.Context, x user.ExternalID) (user.User, error) {
	return s.one(ctx, "select user by external id", "external_id = ?", text(x))
}

func (s *Users) one(ctx context.Context, op, where, value string) (user.User, error) {
	row, err := read(ctx, s.db, op, func(ctx context.Context, q *gorm.DB) (row userRow, err error) {
		err = scan(ctx, q, userFields(&row), "SELECT "+userColumns+" FROM users WHERE "+where, value)
		return row, err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return user.User{}, user.ErrNotFound
	}
	if err != nil {
		return user.User{}, err
	}
	return row.user()
}

// List implements [user.Store].
func (s *Users) List(ctx context.Context, after user.ID, limit int) ([]user.User, error) {
	rows, err := read(ctx, s.db, "list users", func(ctx context.Context, q *gorm.DB) ([]userRow, error) {
		return gorm.G[userRow](q).Where("id > ?", text(after)).Order("id").Limit(limit).Find(ctx)
	})
	if err != nil {
		return nil, err
	}
	return each(rows, userRow.user)
}

// Update implements [user.Store].
func (s *Users) Update(ctx context.Context, id user.ID, c user.Change) error {
	set, err := assignments(c)
	if err != nil {
		return err
	}
	if len(set) == 0 {
		_, err := s.ByID(ctx, id)
		return err
	}
	n, err := change(ctx, s.db, "update user", func(ctx context.Context, q *gorm.DB) (int, error) {
		return assign(ctx, q, userRow{}, text(id), set)
	})
	switch {
	case errors.Is(err, gorm.ErrDuplicatedKey):
		return user.ErrIdentityTaken
	case err != nil:
		return err
	case n == 0:
		return user.ErrNotFound
	}
	return nil
}

// assignments names the columns one by one, so that a false and an empty string
// are written like any other value.
func assignments(c user.Change) (clause.Set, error) {
	var set clause.Set
	assign := func(column string, value any) {
		set = append(set, clause.Assignment{Column: clause.Column{Name: column}, Value: value})
	}
	if c.Username != nil {
		assign("username", nullable(*c.Username))
	}
	if c.Email != nil {
		assign("email", nullable(*c.Email))
	}
	if c.EmailVerified != nil {
		assign("email_verified", *c.EmailVerified)
	}
	if c.Roles != nil {
		roles, err := list(*c.Roles)
		if err != nil {
			return nil, fmt.Errorf("store: write roles: %w", err)
		}
		assign("roles", roles)
	}
	if c.PasswordHash != nil {
		assign("password_hash", *c.PasswordHash)
	}
	if c.Disabled != nil {
		assign("disabled", *c.Disabled)
	}
	if c.TokensValidAfter != nil {
		assign("tokens_valid_after", micros(*c.TokensValidAfter))
	}
	return set, nil
}

// Delete implements [user.Store]. The sessions go with the user, by the
// database's own doing; events and revocations stay.
func (s *Users) Delete(ctx context.Context, id user.ID) error {
	n, err := change(ctx, s.db, "delete user", func(ctx context.Context, q *gorm.DB) (int, error) {
		return gorm.G[userRow](q).Where("id = ?", text(id)).Delete(ctx)
	})
	if err == nil && n == 0 {
		return user.ErrNotFound
	}
	return err
}

package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/jotgate/jotgate/internal/apikey"
)

// apiKeyRow is the api_keys table.
type apiKeyRow struct {
	ID         string `gorm:"primaryKey"`
	UserID     string
	Hash       string
	Hint       string
	Name       string
	Scopes     string
	CreatedAt  int64 `gorm:"autoCreateTime:false"`
	ExpiresAt  int64
	LastUsedAt int64
}

// TableName implements GORM's Tabler.
func (apiKeyRow) TableName() string { return "api_keys" }

func (r apiKeyRow) key() (apikey.Key, error) {
	scopes, err := fromList[string](r.Scopes)
	if err != nil {
		return apikey.Key{}, fmt.Errorf("store: read scopes of API key %s: %w", r.ID, err)
	}
	return apikey.Key{
		ID: apikey.ID(r.ID), UserID: r.UserID, Name: r.Name, Scopes: scopes, Hint: r.Hint,
		CreatedAt: fromMicros(r.CreatedAt), ExpiresAt: fromMicros(r.ExpiresAt), LastUsedAt: fromMicros(r.LastUsedAt),
	}, nil
}

// APIKeys is the [apikey.Store] kept in the database.
type APIKeys struct{ db *DB }

var _ apikey.Store = (*APIKeys)(nil)

// Create implements [apikey.Store].
func (s *APIKeys) Create(ctx context.Context, k apikey.Key, hash string) error {
	scopes, err := list(k.Scopes)
	if err != nil {
		return fmt.Errorf("store: write scopes: %w", err)
	}
	return write(ctx, s.db, "insert API key", func(ctx context.Context, q *gorm.DB) error {
		return gorm.G[apiKeyRow](q).Create(ctx, &apiKeyRow{
			ID: string(k.ID), UserID: k.UserID, Hash: hash, Hint: k.Hint, Name: k.Name, Scopes: scopes,
			CreatedAt: micros(k.CreatedAt), ExpiresAt: micros(k.ExpiresAt), LastUsedAt: micros(k.LastUsedAt),
		})
	})
}

// ByHash implements [apikey.Store].
func (s *APIKeys) ByHash(ctx context.Context, hash string) (apikey.Key, error) {
	row, err := read(ctx, s.db, "select API key", func(ctx context.Context, q *gorm.DB) (apiKeyRow, error) {
		return gorm.G[apiKeyRow](q).Where("hash = ?", text(hash)).Take(ctx)
	})
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return apikey.Key{}, apikey.ErrNotFound
	}
	if err != nil {
		return apikey.Key{}, err
	}
	return row.key()
}

// List implements [apikey.Store].
func (s *APIKeys) List(ctx context.Context, userID string) ([]apikey.Key, error) {
	rows, err := read(ctx, s.db, "list API keys", func(ctx context.Context, q *gorm.DB) ([]apiKeyRow, error) {
		return gorm.G[apiKeyRow](q).Where("user_id = ?", text(userID)).Order("created_at DESC, id DESC").Find(ctx)
	})
	if err != nil {
		return nil, err
	}
	return each(rows, apiKeyRow.key)
}

// Delete implements [apikey.Store].
func (s *APIKeys) Delete(ctx context.Context, id apikey.ID, userID string) error {
	n, err := change(ctx, s.db, "delete API key", func(ctx context.Context, q *gorm.DB) (int, error) {
		return gorm.G[apiKeyRow](q).Where("id = ? AND user_id = ?", text(id), text(userID)).Delete(ctx)
	})
	if err == nil && n == 0 {
		return apikey.ErrNotFound
	}
	return err
}

// DeleteAll implements [apikey.Store].
func (s *APIKeys) DeleteAll(ctx context.Context, userID string) (int, error) {
	return change(ctx, s.db, "delete API keys", func(ctx context.Context, q *gorm.DB) (int, error) {
		return gorm.G[apiKeyRow](q).Where("user_id = ?", text(userID)).Delete(ctx)
	})
}

// Touch implements [apikey.Store]. A time that lies ahead of at was written by a
// clock that has stepped back since.
func (s *APIKeys) Touch(ctx context.Context, id apikey.ID, at, since time.Time) error {
	return write(ctx, s.db, "touch API key", func(ctx context.Context, q *gorm.DB) error {
		_, err := gorm.G[apiKeyRow](q).
			Where("id = ? AND (last_used_at <= ? OR last_used_at > ?)", text(id), micros(since), micros(at)).
			Update(ctx, "last_used_at", micros(at))
		return err
	})
}

// Prune deletes at most limit keys that expired before t, and returns how many.
func (s *APIKeys) Prune(ctx context.Context, t time.Time, limit int) (int, error) {
	return prune(ctx, s.db, "prune API keys", `
DELETE FROM api_keys WHERE id IN (
	SELECT id FROM api_keys WHERE expires_at > 0 AND expires_at < ? ORDER BY expires_at LIMIT ?)`, micros(t), limit)
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/jotgate/jotgate/internal/client"
)

// clientRow is the oauth_clients table.
type clientRow struct {
	ID               string `gorm:"primaryKey"`
	Name             string
	Scopes           string
	Audiences        string
	CreatedAt        int64 `gorm:"autoCreateTime:false"`
	SecretHash       string
	PreviousHash     string
	PreviousUntil    int64
	TokensValidAfter int64
}

// TableName implements GORM's Tabler.
func (clientRow) TableName() string { return "oauth_clients" }

func (r clientRow) client() (client.Client, error) {
	scopes, err := fromList[string](r.Scopes)
	audiences, errAudiences := fromList[string](r.Audiences)
	if err := errors.Join(err, errAudiences); err != nil {
		return client.Client{}, fmt.Errorf("store: read client %s: %w", r.ID, err)
	}
	return client.Client{
		ID: client.ID(r.ID), Name: r.Name, Scopes: scopes, Audiences: audiences, CreatedAt: fromMicros(r.CreatedAt),
		SecretHash: r.SecretHash, PreviousHash: r.PreviousHash, PreviousUntil: fromMicros(r.PreviousUntil),
		TokensValidAfter: fromMicros(r.TokensValidAfter),
	}, nil
}

// clientColumns are all, in the order of fields.
const clientColumns = `id, name, scopes, audiences, created_at, secret_hash, previous_hash, previous_until, tokens_valid_after`

func clientFields(r *clientRow) []any {
	return []any{
		&r.ID, &r.Name, &r.Scopes, &r.Audiences, &r.CreatedAt, &r.SecretHash, &r.PreviousHash, &r.PreviousUntil, &r.TokensValidAfter,
	}
}

// Clients is the [client.Store] kept in the database.
type Clients struct{ db *DB }

var _ client.Store = (*Clients)(nil)

// Create implements [client.Store].
func (s *Clients) Create(ctx context.Context, c client.Client) error {
	scopes, err := list(c.Scopes)
	audiences, errAudiences := list(c.Audiences)
	if err := errors.Join(err, errAudiences); err != nil {
		return fmt.Errorf("store: write client: %w", err)
	}
	return write(ctx, s.db, "insert client", func(ctx context.Context, q *gorm.DB) error {
		return gorm.G[clientRow](q).Create(ctx, &clientRow{
			ID: string(c.ID), Name: c.Name, Scopes: scopes, Audiences: audiences, CreatedAt: micros(c.CreatedAt),
			SecretHash: c.SecretHash, PreviousHash: c.PreviousHash, PreviousUntil: micros(c.PreviousUntil),
			TokensValidAfter: micros(c.TokensValidAfter),
		})
	})
}

// ByID implements [client.Store].
func (s *Clients) ByID(ctx context.Context, id client.ID) (client.Client, error) {
	row, err := read(ctx, s.db, "select client", func(ctx context.Context, q *gorm.DB) (row clientRow, err error) {
		err = scan(ctx, q, clientFields(&row), "SELECT "+clientColumns+" FROM oauth_clients WHERE id = ?"+s.db.locking(ctx), text(id))
		return row, err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return client.Client{}, client.ErrNotFound
	}
	if err != nil {
		return client.Client{}, err
	}
	return row.client()
}

// List implements [client.Store].
func (s *Clients) List(ctx context.Context, after client.ID, limit int) ([]client.Client, error) {
	rows, err := read(ctx, s.db, "list clients", func(ctx context.Context, q *gorm.DB) ([]clientRow, error) {
		return gorm.G[clientRow](q).Where("id > ?", text(after)).Order("id").Limit(limit).Find(ctx)
	})
	if err != nil {
		return nil, err
	}
	return each(rows, clientRow.client)
}

// SetSecret implements [client.Store].
func (s *Clients) SetSecret(ctx context.Context, c client.Client) error {
	n, err := change(ctx, s.db, "update client", func(ctx context.Context, q *gorm.DB) (int, error) {
		return assign(ctx, q, clientRow{}, text(c.ID), clause.Set{
			{Column: clause.Column{Name: "secret_hash"}, Value: c.SecretHash},
			{Column: clause.Column{Name: "previous_hash"}, Value: c.PreviousHash},
			{Column: clause.Column{Name: "previous_until"}, Value: micros(c.PreviousUntil)},
			{Column: clause.Column{Name: "tokens_valid_after"}, Value: micros(c.TokensValidAfter)},
		})
	})
	if err == nil && n == 0 {
		return client.ErrNotFound
	}
	return err
}

// Delete implements [client.Store].
func (s *Clients) Delete(ctx context.Context, id client.ID) error {
	n, err := change(ctx, s.db, "delete client", func(ctx context.Context, q *gorm.DB) (int, error) {
		return gorm.G[clientRow](q).Where("id = ?", text(id)).Delete(ctx)
	})
	if err == nil && n == 0 {
		return client.ErrNotFound
	}
	return err
}

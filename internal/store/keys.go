package store

import (
	"context"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/jotgate/jotgate/internal/keyset"
)

// keyRow is the signing_keys table.
type keyRow struct {
	Kid         string `gorm:"primaryKey"`
	Alg         string
	Private     []byte
	CreatedAt   int64 `gorm:"autoCreateTime:false"`
	ActivatesAt int64
	RevokedAt   int64
}

// TableName implements GORM's Tabler.
func (keyRow) TableName() string { return "signing_keys" }

// Keys is the [keyset.Store] kept in the database.
type Keys struct{ db *DB }

var _ keyset.Store = (*Keys)(nil)

// All implements [keyset.Store], in the order in which the keys start to sign.
func (s *Keys) All(ctx context.Context) ([]keyset.Sealed, error) {
	rows, err := read(ctx, s.db, "select signing keys", func(ctx context.Context, q *gorm.DB) ([]keyRow, error) {
		return gorm.G[keyRow](q).Order("activates_at, kid").Find(ctx)
	})
	if err != nil {
		return nil, err
	}
	keys := make([]keyset.Sealed, len(rows))
	for i, r := range rows {
		keys[i] = keyset.Sealed{
			KID: r.Kid, Algorithm: keyset.Algorithm(r.Alg), Private: r.Private,
			CreatedAt: fromMicros(r.CreatedAt), ActivatesAt: fromMicros(r.ActivatesAt),
			RevokedAt: fromMicros(r.RevokedAt),
		}
	}
	return keys, nil
}

// Change implements [keyset.Store]. Others who change keys wait until decide has
// returned and what it returned is committed.
func (s *Keys) Change(ctx context.Context, decide func(have []keyset.Sealed) ([]keyset.Sealed, error)) error {
	return s.db.InTx(ctx, func(ctx context.Context) error {
		if err := write(ctx, s.db, "lock signing keys", func(ctx context.Context, q *gorm.DB) error {
			return s.db.dialect.turn(q.WithContext(ctx), turnKeys)
		}); err != nil {
			return err
		}
		have, err := s.All(ctx)
		if err != nil {
			return err
		}
		put, err := decide(have)
		if err != nil {
			return err
		}
		for _, k := range put {
			if err := s.put(ctx, k); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Keys) put(ctx context.Context, k keyset.Sealed) error {
	return write(ctx, s.db, "write signing key", func(ctx context.Context, q *gorm.DB) error {
		return gorm.G[keyRow](q, clause.OnConflict{
			Columns: []clause.Column{{Name: "kid"}}, DoUpdates: clause.AssignmentColumns([]string{"private", "activates_at", "revoked_at"}),
		}).Create(ctx, &keyRow{
			Kid: k.KID, Alg: string(k.Algorithm), Private: k.Private,
			CreatedAt: micros(k.CreatedAt), ActivatesAt: micros(k.ActivatesAt),
			RevokedAt: micros(k.RevokedAt),
		})
	})
}

package store

import (
	"context"

	"gorm.io/gorm"

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

// Add implements [keyset.Store]. Others who add wait until decide has returned
// and the key is committed.
func (s *Keys) Add(ctx context.Context, decide func(have []keyset.Sealed) (keyset.Sealed, bool, error)) error {
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
		key, ok, err := decide(have)
		if err != nil || !ok {
			return err
		}
		return s.insert(ctx, key)
	})
}

func (s *Keys) insert(ctx context.Context, k keyset.Sealed) error {
	return write(ctx, s.db, "insert signing key", func(ctx context.Context, q *gorm.DB) error {
		return gorm.G[keyRow](q).Create(ctx, &keyRow{
			Kid: k.KID, Alg: string(k.Algorithm), Private: k.Private,
			CreatedAt: micros(k.CreatedAt), ActivatesAt: micros(k.ActivatesAt),
			RevokedAt: micros(k.RevokedAt),
		})
	})
}

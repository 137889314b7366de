package store

import (
	"context"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/jotgate/jotgate/internal/revocation"
)

// insertRows bounds one insert: SQLite takes at most 32,766 values.
const insertRows = 1000

// revocationRow is the revocations table.
type revocationRow struct {
	Seq       int64 `gorm:"primaryKey;autoIncrement"`
	Kind      string
	SubjectID string
	NotBefore int64
	ExpiresAt int64
}

// TableName implements GORM's Tabler.
func (revocationRow) TableName() string { return "revocations" }

// Revocations is the [revocation.Store] kept in the database.
type Revocations struct{ db *DB }

var _ revocation.Store = (*Revocations)(nil)

// Append implements [revocation.Store]. On PostgreSQL a lock keeps the order: a
// number drawn earlier could be committed later without it.
func (s *Revocations) Append(ctx context.Context, entries []revocation.Entry) error {
	rows := make([]revocationRow, len(entries))
	for i, e := range entries {
		rows[i] = revocationRow{
			Kind: string(e.Kind), SubjectID: e.ID, NotBefore: micros(e.NotBefore), ExpiresAt: micros(e.ExpiresAt),
		}
	}
	return s.db.InTx(ctx, func(ctx context.Context) error {
		return write(ctx, s.db, "append revocations", func(ctx context.Context, q *gorm.DB) error {
			q = q.WithContext(ctx)
			if err := s.db.dialect.turn(q, turnRevocations); err != nil {
				return err
			}
			for some := range slices.Chunk(rows, insertRows) {
				if err := q.Create(&some).Error; err != nil {
					return err
				}
			}
			if s.db.server != nil {
				return s.db.server.tell(q)
			}
			return nil
		})
	})
}

// installationRow is the one row of the installation table.
type installationRow struct {
	ID            int64 `gorm:"primaryKey"`
	Epoch         int64
	OldestProgram int64
}

// TableName implements GORM's Tabler.
func (installationRow) TableName() string { return "installation" }

const head = "SELECT epoch, COALESCE((SELECT max(seq) FROM revocations), 0) AS seq FROM installation WHERE id = 1"

// Head implements [revocation.Store].
func (s *Revocations) Head(ctx context.Context) (epoch, seq int64, err error) {
	type place struct{ Epoch, Seq int64 }
	at, err := read(ctx, s.db, "select the feed's head", func(ctx context.Context, q *gorm.DB) (place, error) {
		return gorm.G[place](q).Raw(head).Take(ctx)
	})
	return at.Epoch, at.Seq, err
}

// unexpired adds nothing to seq, but keeps a database from walking through the numbers
// up to the first that will do: most have expired, and are the smaller ones.
const unexpired = "SELECT COALESCE(min(+seq), 0) AS seq FROM revocations WHERE expires_at >= ?"

// Unexpired implements [revocation.Store].
func (s *Revocations) Unexpired(ctx context.Context, t time.Time) (int64, error) {
	return read(ctx, s.db, "select the first revocation in force", func(ctx context.Context, q *gorm.DB) (seq int64, err error) {
		err = scan(ctx, q, []any{&seq}, unexpired, micros(t))
		return seq, err
	})
}

// NextEpoch implements [revocation.Store].
func (s *Revocations) NextEpoch(ctx context.Context) error {
	return write(ctx, s.db, "begin an epoch", func(ctx context.Context, q *gorm.DB) error {
		return q.WithContext(ctx).Exec("UPDATE installation SET epoch = epoch + 1 WHERE id = 1").Error
	})
}

// After implements [revocation.Store].
func (s *Revocations) After(ctx context.Context, seq int64, limit int) ([]revocation.Entry, error) {
	rows, err := read(ctx, s.db, "select revocations", func(ctx context.Context, q *gorm.DB) ([]revocationRow, error) {
		return gorm.G[revocationRow](q).Where("seq > ?", seq).Order("seq").Limit(limit).Find(ctx)
	})
	if err != nil {
		return nil, err
	}
	entries := make([]revocation.Entry, len(rows))
	for i, r := range rows {
		entries[i] = revocation.Entry{
			Seq: r.Seq, Kind: revocation.Kind(r.Kind), ID: r.SubjectID,
			NotBefore: fromMicros(r.NotBefore), ExpiresAt: fromMicros(r.ExpiresAt),
		}
	}
	return entries, nil
}

// Prune implements [revocation.Store].
func (s *Revocations) Prune(ctx context.Context, t time.Time, limit int) (int, error) {
	return prune(ctx, s.db, "prune revocations", `
DELETE FROM revocations WHERE seq IN (
	SELECT seq FROM revocations WHERE expires_at < ? AND seq < (SELECT max(seq) FROM revocations)
	ORDER BY expires_at LIMIT ?)`, micros(t), limit)
}

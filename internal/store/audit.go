package store

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/jotgate/jotgate/internal/audit"
)

// auditRow is the audit_events table.
type auditRow struct {
	ID        int64 `gorm:"primaryKey;autoIncrement"`
	At        int64
	Kind      string
	UserID    string
	SessionID string
	Detail    string
	IP        string
	UserAgent string
	RequestID string
}

// TableName implements GORM's Tabler.
func (auditRow) TableName() string { return "audit_events" }

// Audit is the [audit.Store] kept in the database.
type Audit struct{ db *DB }

var _ audit.Store = (*Audit)(nil)

// Append implements [audit.Store]. What a request says of itself is kept with
// U+FFFD in place of what is not text.
func (s *Audit) Append(ctx context.Context, e audit.Event) error {
	return write(ctx, s.db, "insert audit event", func(ctx context.Context, q *gorm.DB) error {
		return gorm.G[auditRow](q).Create(ctx, &auditRow{
			At: micros(e.At), Kind: string(e.Kind), UserID: text(e.UserID), SessionID: text(e.SessionID),
			Detail: text(e.Detail), IP: text(e.Origin.IP), UserAgent: text(e.Origin.UserAgent),
			RequestID: text(e.Origin.RequestID),
		})
	})
}

// Prune implements [audit.Store].
func (s *Audit) Prune(ctx context.Context, t time.Time, limit int) (int, error) {
	return prune(ctx, s.db, "prune audit events", `
DELETE FROM audit_events WHERE id IN (
	SELECT id FROM audit_events WHERE at < ? ORDER BY at LIMIT ?)`, micros(t), limit)
}

package store

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/jotgate/jotgate/internal/revocation"
)

// lifeRow is the token_lives table.
type lifeRow struct {
	Life   int64 `gorm:"primaryKey;autoIncrement:false"`
	SeenAt int64
}

// TableName implements GORM's Tabler.
func (lifeRow) TableName() string { return "token_lives" }

// TokenLives keeps how long access tokens live by the configurations that are or
// were at work, because one process must wait for the tokens of another one that
// lets them live longer, or did.
type TokenLives struct{ db *DB }

// Seen notes that a process which issues tokens of this life was at work at the
// time given. A time noted before that is later by more than [revocation.MaxAhead] was that
// of a clock which was wrong, and gives way.
func (s *TokenLives) Seen(ctx context.Context, life time.Duration, at time.Time) error {
	return write(ctx, s.db, "note token life", func(ctx context.Context, q *gorm.DB) error {
		return q.WithContext(ctx).Exec(`
INSERT INTO token_lives (life, seen_at) VALUES (?, ?)
ON CONFLICT (life) DO UPDATE SET seen_at = excluded.seen_at
WHERE excluded.seen_at > token_lives.seen_at OR token_lives.seen_at > ?`,
			life.Microseconds(), micros(at), micros(at.Add(revocation.MaxAhead))).Error
	})
}

// Longest returns the longest life of a token that can be about at now, when
// tokens are accepted for over longer than they live: of those that somebody still
// issued so lately. It is zero if there is none.
func (s *TokenLives) Longest(ctx context.Context, now time.Time, over time.Duration) (time.Duration, error) {
	rows, err := read(ctx, s.db, "select token lives", func(ctx context.Context, q *gorm.DB) ([]lifeRow, error) {
		return gorm.G[lifeRow](q).Where("seen_at + life > ?", micros(now.Add(-over))).Order("life DESC").Limit(1).Find(ctx)
	})
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	return time.Duration(rows[0].Life) * time.Microsecond, nil
}

// Shortest returns the shortest life of a token by those who were seen after since. It is
// zero if there is none.
func (s *TokenLives) Shortest(ctx context.Context, since time.Time) (time.Duration, error) {
	life, err := read(ctx, s.db, "select the shortest token life", func(ctx context.Context, q *gorm.DB) (life int64, err error) {
		err = scan(ctx, q, []any{&life}, "SELECT COALESCE(min(life), 0) FROM token_lives WHERE seen_at > ?", micros(since))
		return life, err
	})
	return time.Duration(life) * time.Microsecond, err
}

// Latest returns the latest time at which a process that issues tokens was seen, by its
// own clock, or zero. What is ahead of now by more than [revocation.MaxAhead] does not count.
func (s *TokenLives) Latest(ctx context.Context, now time.Time) (time.Time, error) {
	latest, err := read(ctx, s.db, "select the latest time seen", func(ctx context.Context, q *gorm.DB) (at int64, err error) {
		err = scan(ctx, q, []any{&at}, "SELECT COALESCE(max(seen_at), 0) FROM token_lives WHERE seen_at <= ?",
			micros(now.Add(revocation.MaxAhead)))
		return at, err
	})
	return fromMicros(latest), err
}

// Prune deletes at most limit lives of which no token was valid at t any more,
// and returns how many.
func (s *TokenLives) Prune(ctx context.Context, t time.Time, limit int) (int, error) {
	return prune(ctx, s.db, "prune token lives", `
DELETE FROM token_lives WHERE life IN (SELECT life FROM token_lives WHERE seen_at + life < ? LIMIT ?)`, micros(t), limit)
}

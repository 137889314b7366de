package store

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/jotgate/jotgate/internal/user"
)

// attemptsRow is the password_attempts table. Tat is GCRA's theoretical arrival
// time: when the bucket is whole again.
type attemptsRow struct {
	Bucket string `gorm:"primaryKey"`
	Tat    int64
}

// TableName implements GORM's Tabler.
func (attemptsRow) TableName() string { return "password_attempts" }

// clocksApart is how far the clocks of replicas may be apart. To one that is behind, a
// bucket that another one has emptied is more than empty.
const clocksApart = time.Minute

// charge moves the tat on by one recovery, unless it would then be more than a
// full burst ahead. A tat that is further ahead already than clocks are apart was written
// by a clock that has stepped back since, and is brought to where an emptied bucket is.
const charge = `
INSERT INTO password_attempts (bucket, tat) VALUES (@bucket, @fresh)
ON CONFLICT (bucket) DO UPDATE SET tat = CASE
	WHEN password_attempts.tat > @beyond THEN @full
	WHEN password_attempts.tat > @now THEN password_attempts.tat + @recovery
	ELSE @fresh END
WHERE password_attempts.tat + @recovery <= @full OR password_attempts.tat > @beyond
RETURNING bucket, tat`

// minWait is the shortest wait that is told to anybody.
const minWait = time.Millisecond

// Attempts is the [user.Attempts] kept in the database.
type Attempts struct{ db *DB }

var _ user.Attempts = (*Attempts)(nil)

// Charge implements [user.Attempts]. a.Burst is at least 1, and a.Recovery at
// least a microsecond.
func (s *Attempts) Charge(ctx context.Context, bucket string, a user.Allowance, now time.Time) (time.Duration, error) {
	full := now.Add(time.Duration(a.Burst) * a.Recovery)
	charged, err := change(ctx, s.db, "charge attempt", func(ctx context.Context, q *gorm.DB) ([]attemptsRow, error) {
		return gorm.G[attemptsRow](q).Raw(charge, map[string]any{
			"bucket": bucket, "now": micros(now), "fresh": micros(now.Add(a.Recovery)), "full": micros(full),
			"beyond":   micros(full.Add(clocksApart)),
			"recovery": a.Recovery.Microseconds(),
		}).Find(ctx)
	})
	if err != nil || len(charged) > 0 {
		return 0, err
	}
	rows, err := read(ctx, s.db, "select attempts", func(ctx context.Context, q *gorm.DB) ([]attemptsRow, error) {
		return gorm.G[attemptsRow](q).Where("bucket = ?", bucket).Find(ctx)
	})
	if err != nil || len(rows) == 0 {
		return minWait, err // it was cleared just now
	}
	return max(fromMicros(rows[0].Tat).Add(a.Recovery).Sub(full), minWait), nil
}

// Clear implements [user.Attempts].
func (s *Attempts) Clear(ctx context.Context, buckets ...string) error {
	return write(ctx, s.db, "clear attempts", func(ctx context.Context, q *gorm.DB) error {
		_, err := gorm.G[attemptsRow](q).Where("bucket IN ?", buckets).Delete(ctx)
		return err
	})
}

// Prune deletes at most limit buckets that were whole before t, and returns how
// many. A bucket that is not there is whole.
func (s *Attempts) Prune(ctx context.Context, t time.Time, limit int) (int, error) {
	return prune(ctx, s.db, "prune attempts", `
DELETE FROM password_attempts WHERE bucket IN (
	SELECT bucket FROM password_attempts WHERE tat < ? ORDER BY tat LIMIT ?)`, micros(t), limit)
}

package store

import (
	"context"
	"time"
)

// slicing bounds what is deleted at once.
type slicing struct {
	least, most int // rows of one delete
	// span is how long one should take at most. How many rows that is depends on how many
	// pages they lie on, and on the disk.
	span  time.Duration
	pause time.Duration // left to others after each
}

// sqliteSlices are short: SQLite's one writer is taken meanwhile, and a core, which Go
// takes from nobody for 10 ms.
func sqliteSlices() slicing {
	return slicing{least: 10, most: 500, span: 4 * time.Millisecond, pause: 40 * time.Millisecond}
}

// serverSlices are few: nobody waits for one, but each syncs the disk.
func serverSlices() slicing {
	return slicing{least: 25, most: 500, span: 20 * time.Millisecond, pause: 100 * time.Millisecond}
}

// InSlices calls del until it finds fewer rows than it may take, or ctx ends. It asks for
// so many rows that nobody waits for one delete for long, and pauses after each.
func (db *DB) InSlices(ctx context.Context, del func(ctx context.Context, limit int) (int, error)) error {
	if db.server == nil {
		return sqliteSlices().all(ctx, del)
	}
	return serverSlices().all(ctx, del)
}

func (s slicing) all(ctx context.Context, del func(ctx context.Context, limit int) (int, error)) error {
	for limit := s.least; ; {
		begin := time.Now() //nolint:forbidigo // for a span
		n, err := del(ctx, limit)
		if err != nil || n < limit {
			return err
		}
		limit = s.next(limit, time.Since(begin))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(s.pause):
		}
	}
}

func (s slicing) next(limit int, took time.Duration) int {
	switch {
	case took > s.span:
		return max(limit/2, s.least)
	case took < s.span/2:
		return min(2*limit, s.most)
	}
	return limit
}

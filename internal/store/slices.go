package store

import (
	"context"
	"time"
)

const (
	// sliceLeast and sliceMost bound how many rows one delete takes.
	sliceLeast = 10
	sliceMost  = 500
	// sliceSpan is how long one should take at most: SQLite's one writer is taken
	// meanwhile, and a core, which Go takes from nobody for 10 ms. How many rows that is
	// depends on how many pages they lie on, and on the disk.
	sliceSpan = 4 * time.Millisecond
	// slicePause is left to others after each.
	slicePause = 40 * time.Millisecond
)

// InSlices calls del until it finds fewer rows than it may take, or ctx ends. It asks for
// so many rows that nobody waits for one delete for long, and pauses after each.
func InSlices(ctx context.Context, del func(ctx context.Context, limit int) (int, error)) error {
	for limit := sliceLeast; ; {
		begin := time.Now() //nolint:forbidigo // for a span
		n, err := del(ctx, limit)
		if err != nil || n < limit {
			return err
		}
		limit = nextSlice(limit, time.Since(begin))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(slicePause):
		}
	}
}

func nextSlice(limit int, took time.Duration) int {
	switch {
	case took > sliceSpan:
		return max(limit/2, sliceLeast)
	case took < sliceSpan/2:
		return min(2*limit, sliceMost)
	}
	return limit
}

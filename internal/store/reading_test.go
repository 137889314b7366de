package store

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"gorm.io/gorm"
)

// TestReadersAreWaitedForInTime holds that a read which finds no reader free, because a
// disk stalls those who read, ends in time, and that one which has a reader finishes.
func TestReadersAreWaitedForInTime(t *testing.T) {
	db := openConfigured(t, Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "x.db"), Timeout: 200 * time.Millisecond})
	on, stalled := make(chan struct{}), make(chan struct{})
	results := make(chan error, sqliteReaders)
	ctx, leave := context.WithCancel(t.Context())
	for range sqliteReaders {
		go func() {
			_, err := read(ctx, db, "read", func(ctx context.Context, _ *gorm.DB) (struct{}, error) {
				on <- struct{}{}
				<-stalled
				return struct{}{}, ctx.Err()
			})
			results <- err
		}()
		<-on
	}
	leave() // while the disk stalls

	_, err := db.Users().ByID(t.Context(), "u")
	if _, ok := errors.AsType[*UnavailableError](err); !ok || !errors.Is(err, errStalled) {
		t.Errorf("no reader is free: %v", err)
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := db.Users().ByID(short, "u"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the caller's deadline: %v", err)
	}
	close(stalled)
	for range sqliteReaders {
		if err := <-results; err != nil {
			t.Errorf("a read that had a reader: %v", err)
		}
	}
	if _, err := db.Users().ByID(ctx, "u"); !errors.Is(err, context.Canceled) {
		t.Errorf("who has left reads: %v", err)
	}
}

package revocation_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/internal/revocation"
)

// TestStalledSyncHoldsUpNobodyForLong has a disk stall whoever reads the feed.
func TestStalledSyncHoldsUpNobodyForLong(t *testing.T) {
	f, s, _ := newFeed()
	asked, end := make(chan struct{}), make(chan struct{})
	s.asked = func() { asked <- struct{}{}; <-end }
	first := make(chan error)
	go func() { first <- f.Sync(t.Context()) }()
	<-asked
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := f.Sync(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second one: %v", err)
	}
	close(end)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// TestAnswerAfterAWaitTellsItsAge holds that a page that was waited for in vain, while
// nobody could read the feed, is told to be as old as it is by then.
func TestAnswerAfterAWaitTellsItsAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := revocation.NewFeed(&table{epoch: 1}, func() time.Duration { return life }, time.Now)
		mustSync(t, f)
		time.Sleep(5 * time.Second)
		if p := f.Next(t.Context(), f.Next(t.Context(), revocation.Cursor{}, 1, 0).Next, 1, 10*time.Second); p.Lag != 15*time.Second {
			t.Errorf("lag = %s, want 15s", p.Lag)
		}
	})
}

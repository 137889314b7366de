package revocation_test

import (
	"context"
	"errors"
	"testing"
	"time"
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

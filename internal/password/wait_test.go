package password

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestCallsThatWaitedLongAreToldToComeBack has a worker that is busy for as long as
// anybody waits, and one that is not.
func TestCallsThatWaitedLongAreToldToComeBack(t *testing.T) {
	for busy, want := range map[time.Duration]error{longestWait - time.Second: nil, longestWait + time.Second: ErrOverloaded} {
		synctest.Test(t, func(t *testing.T) {
			h := NewHasher(Params{MemoryKiB: 8, Passes: 1, Lanes: 1}, 1, 1)
			defer h.Close()
			nothing := task{Params: h.params, Salt: random(saltLen)}
			var first sync.WaitGroup
			first.Go(func() {
				if _, err := h.do(t.Context(), func(context.Context) error { time.Sleep(busy); return nil }, nothing); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
			ran := false
			if _, err := h.do(t.Context(), func(context.Context) error { ran = true; return nil }, nothing); !errors.Is(err, want) || ran == (want != nil) {
				t.Errorf("after %v in the queue: %v, hashed: %t", busy, err, ran)
			}
			first.Wait()
			synctest.Wait()
			if ran != (want == nil) {
				t.Errorf("after %v in the queue: hashed: %t, when the worker was free again", busy, ran)
			}
		})
	}
}

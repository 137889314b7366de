package password

import (
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
			var first sync.WaitGroup
			first.Go(func() {
				if err := h.do(t.Context(), nil, func() { time.Sleep(busy) }); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
			ran := false
			if err := h.do(t.Context(), nil, func() { ran = true }); !errors.Is(err, want) || ran == (want != nil) {
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

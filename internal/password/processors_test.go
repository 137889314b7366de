package password

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// TestProcessorsAreThereWhileSomebodyHashes holds that a hash takes no place from the
// rest of the program, and that none is kept for it when nobody hashes any more.
func TestProcessorsAreThereWhileSomebodyHashes(t *testing.T) {
	own := runtime.GOMAXPROCS(0)
	want := func(when string, more int) {
		t.Helper()
		if got := runtime.GOMAXPROCS(0) - own; got != more {
			t.Errorf("%s: %d more than before, want %d", when, got, more)
		}
	}
	synctest.Test(t, func(*testing.T) {
		p := newProcessors(2)
		p.enter()
		p.enter()
		want("two hash", 2)
		p.leave()
		time.Sleep(2 * processorsLinger)
		want("one hashes", 2)
		p.leave()
		want("just after the last", 2)
		p.enter()
		time.Sleep(2 * processorsLinger)
		want("one hashes again", 2)
		p.leave()
		time.Sleep(2 * processorsLinger)
		want("long after the last", 0)
	})
}

// TestCloseGivesProcessorsBack holds that a hasher leaves nothing of itself.
func TestCloseGivesProcessorsBack(t *testing.T) {
	own := runtime.GOMAXPROCS(0)
	h := NewHasher(Params{MemoryKiB: 8, Passes: 1, Lanes: 1}, 2, 1)
	within := 0
	if err := h.do(t.Context(), nil, func() { within = runtime.GOMAXPROCS(0) }); err != nil {
		t.Fatal(err)
	}
	h.Close()
	if after := runtime.GOMAXPROCS(0); within != own+2 || after != own {
		t.Errorf("%d within and %d after, want %d and %d", within, after, own+2, own)
	}
}

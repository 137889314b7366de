package password

import (
	"runtime"
	"testing"
)

// TestWorkIsTodays holds that what an outdated hash costs less than today's is asked for
// besides, to within a KiB for each pass.
func TestWorkIsTodays(t *testing.T) {
	work := func(p Params) uint32 { return p.MemoryKiB * p.Passes }
	today := Params{MemoryKiB: 64 << 10, Passes: 3, Lanes: 1}
	for _, stored := range []Params{
		{MemoryKiB: 19 << 10, Passes: 2, Lanes: 1},
		{MemoryKiB: 64 << 10, Passes: 1, Lanes: 1},
		{MemoryKiB: 19 << 10, Passes: 3, Lanes: 1},
		{MemoryKiB: 8, Passes: 1, Lanes: 1},
		{MemoryKiB: 19 << 10, Passes: 10, Lanes: 4},
	} {
		besides := today.without(stored)
		got := work(stored) + work(besides)
		if got > work(today) || got < work(today)-today.Passes || besides.MemoryKiB > today.MemoryKiB {
			t.Errorf("%+v and %+v besides: %d, want %d", stored, besides, got, work(today))
		}
	}
	for _, stored := range []Params{today, {MemoryKiB: 64 << 10, Passes: 4, Lanes: 1}, {MemoryKiB: 128 << 10, Passes: 2, Lanes: 1}, {}} {
		if got := today.without(stored); got.Passes != 0 {
			t.Errorf("%+v costs as much, and %+v is spent besides", stored, got)
		}
	}
}

// TestOutdatedHashCostsTodays holds that a check asks for the same memory, whoever has
// which hash: one pass over it is all of the work here.
func TestOutdatedHashCostsTodays(t *testing.T) {
	const old, today = 1 << 10, 16 << 10
	before, h := NewHasher(Params{old, 1, 1}, 1, 8), NewHasher(Params{today, 1, 1}, 1, 8)
	defer before.Close()
	defer h.Close()
	outdated, err := before.Hash(t.Context(), "right")
	if err != nil {
		t.Fatal(err)
	}
	current, err := h.Hash(t.Context(), "right")
	if err != nil {
		t.Fatal(err)
	}
	for name, typed := range map[string]struct{ plain, stored string }{
		"nobody": {"wrong", ""}, "somebody": {"wrong", current},
		"somebody of before": {"wrong", outdated}, "somebody of before, who is right": {"right", outdated},
	} {
		var begin, end runtime.MemStats
		runtime.ReadMemStats(&begin)
		if _, err := h.Verify(t.Context(), typed.plain, typed.stored, nil); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&end)
		if kib := (end.TotalAlloc - begin.TotalAlloc) >> 10; kib < today || kib > today+old {
			t.Errorf("%s: %d KiB, want %d", name, kib, today)
		}
	}
}

package password

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestHashesStandBack asks for the priorities of the thread that hashes and of one
// that does not.
func TestHashesStandBack(t *testing.T) {
	h := NewHasher(Params{MemoryKiB: 8, Passes: 1, Lanes: 1}, 1, 1)
	defer h.Close()
	var hashing int
	if err := h.do(t.Context(), nil, func() { hashing = nice(t) }); err != nil {
		t.Fatal(err)
	}
	if own := nice(t); hashing <= own && own < 19 {
		t.Errorf("hashing at nice %d, the rest at %d", hashing, own)
	}
}

func nice(t *testing.T) int {
	t.Helper()
	// The system call returns 20 less it, so as not to be negative.
	v, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid())
	if err != nil {
		t.Error(err)
	}
	return 20 - v
}

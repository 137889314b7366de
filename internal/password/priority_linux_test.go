package password

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestHashesStandBack asks for the priorities of a process that hashes and of this one.
func TestHashesStandBack(t *testing.T) {
	h, started, _ := outside(t)
	if _, err := h.Hash(t.Context(), "paper lantern"); err != nil {
		t.Fatal(err)
	}
	hashing, own := nice(t, (*started)[0].Process.Pid), nice(t, 0)
	if hashing <= own && own < 19 {
		t.Errorf("hashing at nice %d, the rest at %d", hashing, own)
	}
}

func nice(t *testing.T, pid int) int {
	t.Helper()
	// The system call returns 20 less it, so as not to be negative.
	v, err := unix.Getpriority(unix.PRIO_PROCESS, pid)
	if err != nil {
		t.Error(err)
	}
	return 20 - v
}

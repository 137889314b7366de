package password

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hung returns outside whose process has hashed once and hangs.
func hung(t *testing.T) (h *Hasher, process *os.Process, failed *[]error) {
	t.Helper()
	h, started, failed := outside(t)
	if _, err := h.Hash(t.Context(), "paper lantern"); err != nil {
		t.Fatal(err)
	}
	process = (*started)[0].Process
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := process.Kill(); err == nil {
			t.Error("it is still there")
		}
	})
	return h, process, failed
}

// overIn has f be over in time.
func overIn(t *testing.T, d time.Duration, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(d):
		t.Fatalf("it does not end within %s", d)
	}
}

// TestProcessThatHangsIsReplaced holds that a hash is made here when the process does not
// answer, which is killed and followed by another one.
func TestProcessThatHangsIsReplaced(t *testing.T) {
	h, _, failed := hung(t)
	h.patience = 100 * time.Millisecond
	overIn(t, 5*time.Second, func() {
		encoded, err := h.Hash(t.Context(), "paper lantern")
		if err != nil {
			t.Error(err)
		}
		h.patience = answerWithin
		wantMatch(t, h, "paper lantern", encoded)
	})
	if len(*failed) != 1 || !strings.Contains((*failed)[0].Error(), "no answer in 100ms") {
		t.Errorf("failures: %v", *failed)
	}
}

// TestHasherEndsWithAProcessThatHangs has the process hang with nothing to do, and in the
// middle of a hash.
func TestHasherEndsWithAProcessThatHangs(t *testing.T) {
	for name, busy := range map[string]bool{"idle": false, "busy": true} {
		t.Run(name, func(t *testing.T) {
			h, _, failed := hung(t)
			asked := make(chan error, 1)
			if busy {
				go func() { _, err := h.Hash(t.Context(), "paper lantern"); asked <- err }()
				overIn(t, 5*time.Second, func() {
					for h.Running() == 0 {
						time.Sleep(time.Millisecond)
					}
				})
			} else {
				asked <- ErrClosed
			}
			overIn(t, 5*time.Second, h.Close)
			if err := <-asked; !errors.Is(err, ErrClosed) || len(*failed) != 0 {
				t.Errorf("Hash: %v, failures: %v", err, *failed)
			}
		})
	}
}

// TestFailureSaysHowTheProcessEnded kills one.
func TestFailureSaysHowTheProcessEnded(t *testing.T) {
	h, process, failed := hung(t)
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Hash(t.Context(), "paper lantern"); err != nil {
		t.Error(err)
	}
	if len(*failed) != 1 || !strings.Contains((*failed)[0].Error(), "signal: killed") {
		t.Errorf("failures: %v", *failed)
	}
}

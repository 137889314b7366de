package password

import (
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"
)

// outside returns a hasher whose one worker has a process, the processes that it
// starts, and what they failed with.
func outside(t *testing.T) (h *Hasher, started *[]*exec.Cmd, failed *[]error) {
	t.Helper()
	return lingering(t, workerLinger)
}

// lingering is outside whose processes stay so long.
func lingering(t *testing.T, linger time.Duration) (h *Hasher, started *[]*exec.Cmd, failed *[]error) {
	t.Helper()
	h = newHasher(Params{MemoryKiB: 64, Passes: 1, Lanes: 1}, 1, 8, linger)
	t.Cleanup(h.Close)
	started, failed = new([]*exec.Cmd), new([]error)
	h.Command = func() *exec.Cmd {
		cmd := exec.Command(os.Args[0], "serve-hashes")
		*started = append(*started, cmd)
		return cmd
	}
	h.Failed = func(err error) { *failed = append(*failed, err) }
	return h, started, failed
}

// wantMatch holds that a password is told from another one.
func wantMatch(t *testing.T, h *Hasher, plain, encoded string) {
	t.Helper()
	for typed, want := range map[string]bool{plain: true, plain + " ": false, "": false} {
		got, err := h.Verify(t.Context(), typed, encoded, nil)
		if err != nil || got.OK != want || got.Outdated {
			t.Errorf("%q: %+v, %v; want %t", typed, got, err, want)
		}
	}
	if got, err := h.Verify(t.Context(), plain, "", nil); err != nil || got.OK {
		t.Errorf("nobody's: %+v, %v", got, err)
	}
}

// TestHashesOfAnotherProcess holds that a hash is the same wherever it is made.
func TestHashesOfAnotherProcess(t *testing.T) {
	const plain = "pässword \xff\x00 \u2028"
	h, started, failed := outside(t)
	within := NewHasher(h.params, 1, 8)
	defer within.Close()
	for _, by := range []*Hasher{h, within} {
		encoded, err := by.Hash(t.Context(), plain)
		if err != nil {
			t.Fatal(err)
		}
		wantMatch(t, h, plain, encoded)
		wantMatch(t, within, plain, encoded)
	}
	if len(*started) != 1 || len(*failed) != 0 {
		t.Errorf("%d processes, failures: %v", len(*started), *failed)
	}
}

// TestHashingOutlivesItsProcess kills the process, and has the next one fail to start.
func TestHashingOutlivesItsProcess(t *testing.T) {
	h, started, failed := outside(t)
	encoded, err := h.Hash(t.Context(), "paper lantern")
	if err != nil {
		t.Fatal(err)
	}
	if err := (*started)[0].Process.Kill(); err != nil {
		t.Fatal(err)
	}
	wantMatch(t, h, "paper lantern", encoded)
	if len(*started) != 2 || len(*failed) != 1 {
		t.Errorf("%d processes, failures: %v; want a second one after one failure", len(*started), *failed)
	}
	if err := (*started)[1].Process.Kill(); err != nil {
		t.Fatal(err)
	}
	h.Command = func() *exec.Cmd { return exec.Command("/nowhere") }
	wantMatch(t, h, "paper lantern", encoded)
	if len(*failed) < 3 {
		t.Errorf("failures: %v; want one of each hash", *failed)
	}
}

// TestProcessEndsWithItsHasher holds that nothing is left behind.
func TestProcessEndsWithItsHasher(t *testing.T) {
	h, started, _ := outside(t)
	if _, err := h.Hash(t.Context(), "paper lantern"); err != nil {
		t.Fatal(err)
	}
	h.Close()
	if state := (*started)[0].ProcessState; state == nil {
		t.Error("the process lives on")
	}
}

// TestServeEndsWithItsInput holds that a process does not outlive who has started it,
// even one that was killed, and that it answers nothing to what it cannot read.
func TestServeEndsWithItsInput(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	for input, ok := range map[string]bool{"": true, "{": false, "x\n": false, `{"Stored":"$argon2id$v=19$x"}` + "\n": false} {
		var out strings.Builder
		done := make(chan error, 1)
		go func() { done <- Serve(strings.NewReader(input), &out) }()
		select {
		case err := <-done:
			if (err == nil) != ok || out.Len() > 0 {
				t.Errorf("%q: %v, %q", input, err, &out)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%q: it goes on", input)
		}
	}
}

// TestProcessWithNothingToDoEnds waits until the process has gone, and hashes again.
func TestProcessWithNothingToDoEnds(t *testing.T) {
	h, started, failed := lingering(t, 20*time.Millisecond)
	for range 2 {
		if _, err := h.Hash(t.Context(), "a password"); err != nil {
			t.Fatal(err)
		}
	}
	pid := (*started)[0].Process.Pid
	for end := time.Now().Add(10 * time.Second); syscall.Kill(pid, 0) == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the process is still there")
		}
	}
	if _, err := h.Hash(t.Context(), "a password"); err != nil || len(*failed) != 0 {
		t.Errorf("afterwards: %v, failures: %v", err, *failed)
	}
}

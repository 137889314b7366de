package client_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/jotgate/jotgate/pkg/client"
)

const lockOf = "CLIENT_TEST_LOCK"

// TestHoldsLock is the other process of [TestLockOfAnotherProcess].
func TestHoldsLock(t *testing.T) {
	path := os.Getenv(lockOf)
	if path == "" {
		return
	}
	end, err := client.NewFileStore(path).Turn(t.Context())
	check(t, err)
	fmt.Println("locked")
	time.Sleep(time.Hour)
	check(t, end()) // or the file would be closed as garbage
}

func TestLockOfAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	other := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHoldsLock$")
	other.Env = append(os.Environ(), lockOf+"="+path)
	out, err := other.StdoutPipe()
	check(t, err)
	check(t, other.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("it said %q, %v", line, err)
	}
	s := client.NewFileStore(path)
	gone := errors.New("gone")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, gone)
	defer cancel()
	if _, err := s.Turn(ctx); !errors.Is(err, gone) {
		t.Errorf("locked twice: %v", err)
	}
	check(t, other.Process.Kill())
	if err := other.Wait(); err == nil {
		t.Error("it ended by itself")
	}
	for range 2 { // what is unlocked can be locked
		unlock, err := s.Turn(t.Context())
		check(t, err)
		check(t, unlock())
	}
	if info, err := os.Stat(path + ".turn"); err != nil || info.Mode().Perm() != 0o600 || info.Size() > 0 {
		t.Errorf("the file of the lock: %v, %v", info, err)
	}
}

// TestLockThatCannotBe fails the refresh, and the session lives on.
func TestLockThatCannotBe(t *testing.T) {
	w := newWorld(t)
	p := newPhone(t, w, 0)
	p.sleep()
	check(t, os.Mkdir(p.file+".turn", 0o700))
	if _, err := p.Token(t.Context()); err == nil || errors.Is(err, client.ErrSignedOut) || len(p.network.keys()) > 0 {
		t.Errorf("error = %v after %d refreshes, want one that is passing, and none", err, len(p.network.keys()))
	}
	check(t, os.Remove(p.file+".turn"))
	p.works(t)
}

package redistest

import (
	"context"
	"testing"
	"time"
)

func TestServerGoesAndComesBack(t *testing.T) {
	s := Start(t)
	if other := Start(t); other.URL() == s.URL() {
		t.Fatalf("two servers at %s", s.URL())
	}
	check := func(what string, wait time.Duration, well bool) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		if err := ping(ctx, s.Addr()); (err == nil) != well {
			t.Errorf("%s: %v", what, err)
		}
	}
	const long, short = 30 * time.Second, 50 * time.Millisecond
	check("started", long, true)
	s.Pause()
	check("paused", short, false)
	s.Resume()
	check("resumed", long, true)
	s.Stop()
	check("stopped", long, false)
	s.Restart()
	check("started again", long, true)
	s.Pause() // is ended all the same
}

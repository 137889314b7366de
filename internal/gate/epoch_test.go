package gate_test

import (
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// TestEpochEndsWhatSessionsGotMeanwhile refreshes a session whose turn to end has not come.
func TestEpochEndsWhatSessionsGotMeanwhile(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.register(t, "ada")
		w.open(t, u, 1000)
		w.step(time.Second)
		last := w.login(t, "ada", passOne)
		w.step(time.Second)
		var got gate.Tokens
		steps := 0
		if err := w.BumpEpoch(t.Context(), func(int) {
			if steps++; steps > 1 {
				return
			}
			w.step(2 * time.Second)
			var err error
			if got, err = w.refresh(t.Context(), last.Refresh, ""); err != nil {
				t.Fatal(err)
			}
		}); err != nil {
			t.Fatal(err)
		}
		if steps != 2 {
			t.Fatalf("the sessions ended in %d steps", steps)
		}
		if !w.feed.Revoked(string(got.Session.ID), string(u.ID), got.IssuedAt) {
			t.Error("a token from the middle of it is good")
		}
		w.step(time.Second)
		if !w.valid(t, w.login(t, "ada", passOne)) {
			t.Error("nobody gets in any more")
		}
	})
}

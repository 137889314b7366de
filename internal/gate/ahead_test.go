package gate_test

import (
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// TestEndedOnceTheClockWasPutRight has somebody sign in by a clock that is ahead, which is
// put right before the session ends. Their access token is dated ahead, and is no good when
// its time comes.
func TestEndedOnceTheClockWasPutRight(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(t *testing.T, w *world, held gate.Tokens) error{
		"logout": func(t *testing.T, w *world, held gate.Tokens) error {
			t.Helper()
			return w.Logout(t.Context(), string(held.Session.ID), string(held.User.ID), visit())
		},
		"refresh and logout": func(t *testing.T, w *world, held gate.Tokens) error {
			t.Helper()
			if _, err := w.refresh(t.Context(), held.Refresh, ""); err != nil {
				return err
			}
			return w.Logout(t.Context(), string(held.Session.ID), string(held.User.ID), visit())
		},
		"disable": func(t *testing.T, w *world, held gate.Tokens) error {
			t.Helper()
			return w.Disable(t.Context(), held.User.ID)
		},
		"set-roles": func(t *testing.T, w *world, held gate.Tokens) error {
			t.Helper()
			return w.SetRoles(t.Context(), held.User.ID, nil)
		},
		"close": func(t *testing.T, w *world, held gate.Tokens) error {
			t.Helper()
			return w.Close(t.Context(), w.caller(t, held), passOne, visit())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, w *world) {
				w.register(t, "ada")
				w.setTo(t, time.Hour)
				held := w.login(t, "ada", passOne)
				w.setTo(t, -time.Hour)
				if err := end(t, w, held); err != nil {
					t.Fatal(err)
				}
				for range 35 {
					w.setTo(t, 2*time.Minute)
				}
				if !w.feed.Revoked(string(held.Session.ID), string(held.User.ID), held.IssuedAt) {
					t.Errorf("the token is good %v after its date", w.now().Sub(held.IssuedAt))
				}
			})
		})
	}
}

// setTo sets the clock by d, and has the feed notice.
func (w *world) setTo(tb testing.TB, d time.Duration) {
	tb.Helper()
	w.step(d)
	if err := w.feed.Sync(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

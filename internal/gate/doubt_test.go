package gate_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jotgate/jotgate/internal/session"
)

// TestLogoutWhoseAnswerFromTheDatabaseWasLost is tried again, and then has shut everybody out of
// the session in this process too: nothing was left to do for the second try.
func TestLogoutWhoseAnswerFromTheDatabaseWasLost(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		u := w.register(t, "ada")
		phone, laptop, tablet := w.login(t, "ada", passOne), w.login(t, "ada", passOne), w.login(t, "ada", passOne)
		logout := func() error { return w.Logout(t.Context(), string(laptop.Session.ID), string(u.ID), visit()) }
		revoke := func() error {
			return w.EndSession(t.Context(), w.caller(t, phone), tablet.Session.ID, visit())
		}
		inTx, errLost := w.InTx, errors.New("connection reset by peer")
		lost := func(ctx context.Context, f func(ctx context.Context) error) error {
			return errors.Join(inTx(ctx, f), errLost)
		}
		for _, try := range []struct {
			what  func() error
			again error
		}{{logout, nil}, {revoke, session.ErrNotFound}} {
			w.InTx = lost
			if err := try.what(); !errors.Is(err, errLost) {
				t.Fatal(err)
			}
			w.InTx = inTx
			if err := try.what(); !errors.Is(err, try.again) {
				t.Fatal(err)
			}
		}
		if w.valid(t, laptop) || w.valid(t, tablet) || !w.valid(t, phone) {
			t.Error("not exactly the sessions that were ended are over")
		}
	})
}

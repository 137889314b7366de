package gate_test

import (
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/audit"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/session"
)

// TestSessionsOfAUserAreBounded holds that nobody opens so many that they cannot be ended.
func TestSessionsOfAUserAreBounded(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.register(t, "ada")
		first := w.login(t, "ada", passOne)
		w.step(time.Second)
		second := w.login(t, "ada", passOne)
		w.step(time.Second)
		w.open(t, u, session.MaxPerUser-2)
		if first.IssuedAt.Equal(second.IssuedAt) || !w.valid(t, first) {
			t.Fatal("a session ended before there are too many")
		}
		next, err := w.refresh(t.Context(), first.Refresh, "") // the second is used last before the others
		if err != nil {
			t.Fatal(err)
		}
		w.step(-time.Hour) // the new one looks as if it was not used for longest
		third := w.login(t, "ada", passOne)
		w.step(time.Hour)
		for what, s := range map[string]struct {
			tokens gate.Tokens
			want   bool
		}{"the one that was refreshed": {next, true}, "the new one": {third, true}, "the one that was not used": {second, false}} {
			if w.valid(t, s.tokens) != s.want {
				t.Errorf("%s: valid is not %t", what, s.want)
			}
		}
		if w.events.last() != audit.SessionsEnded {
			t.Errorf("last on record: %s", w.events.last())
		}
		if err := w.Disable(t.Context(), u.ID); err != nil {
			t.Errorf("disable: %v", err)
		}
	})
}

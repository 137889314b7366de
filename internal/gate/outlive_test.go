package gate_test

import (
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/session"
)

// TestAccessTokenEndsWithItsSession refreshes ever closer to the end of a session.
func TestAccessTokenEndsWithItsSession(t *testing.T) {
	for _, tt := range []struct {
		name           string
		idle, absolute time.Duration
	}{{"absolute", idle, time.Hour}, {"idle", time.Minute, absolute}} {
		t.Run(tt.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				w.Sessions = session.New(session.Config{Store: w.db.Sessions(), Idle: tt.idle, Absolute: tt.absolute, Grace: grace, Now: w.now})
				w.register(t, "ada")
				w.step(300 * time.Millisecond) // a session begins at any moment of a second
				got := w.login(t, "ada", passOne)
				for {
					want := got.IssuedAt.Add(accessTTL)
					if end := got.Session.ExpiresAt; end.Before(want) {
						want = end.Truncate(time.Second)
					}
					if least := got.IssuedAt.Add(time.Second); want.Before(least) {
						want = least
					}
					if !got.AccessExpires.Equal(want) {
						t.Errorf("issued at %s for a session until %s: expires %s, want %s", got.IssuedAt, got.Session.ExpiresAt, got.AccessExpires, want)
					}
					left := got.Session.AbsoluteAt.Sub(w.now())
					if tt.idle < accessTTL || left < 10*time.Millisecond {
						return
					}
					w.step(left / 2)
					next, err := w.refresh(t.Context(), got.Refresh, "")
					if err != nil {
						t.Fatal(err)
					}
					got = next
				}
			})
		})
	}
}

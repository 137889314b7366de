package gate_test

import (
	"errors"
	"testing"

	"github.com/jotgate/jotgate/internal/apikey"
)

// TestOperatorsPasswordDeletesKeys holds that what a thief made for later is gone with
// the password, and in no step of its own.
func TestOperatorsPasswordDeletesKeys(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u, other := w.register(t, "ada"), w.register(t, "bob")
		key := func(name string) string {
			t.Helper()
			d, err := w.Keys.Draft("later", nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			_, secret, err := w.CreateKey(t.Context(), w.caller(t, w.login(t, name, passOne)), d, visit())
			if err != nil {
				t.Fatal(err)
			}
			return secret
		}
		wantKey := func(secret string, want error) {
			t.Helper()
			if _, _, err := w.UserOfKey(t.Context(), secret); !errors.Is(err, want) {
				t.Errorf("key: %v, want %v", err, want)
			}
		}
		first, second, others := key("ada"), key("ada"), key(string(other.Username))
		if err := w.ChangePassword(t.Context(), w.caller(t, w.login(t, "ada", passOne)), passOne, passTwo, visit()); err != nil {
			t.Fatal(err)
		}
		wantKey(first, nil) // the contract
		if err := w.SetPassword(t.Context(), u.ID, passOne, true); err != nil {
			t.Fatal(err)
		}
		wantKey(first, nil)

		w.events.fail(true)
		if err := w.SetPassword(t.Context(), u.ID, passTwo, false); !errors.Is(err, errBroken) {
			t.Errorf("without a record: %v", err)
		}
		w.events.fail(false)
		wantKey(first, nil)
		w.login(t, "ada", passOne)

		_, head, err := w.db.Revocations().Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := w.SetPassword(t.Context(), u.ID, passTwo, false); err != nil {
			t.Fatal(err)
		}
		wantKey(first, apikey.ErrInvalid)
		wantKey(second, apikey.ErrInvalid)
		wantKey(others, nil)
		told, err := w.db.Revocations().After(t.Context(), head, 10)
		if err != nil || len(told) != 4 { // a session, two keys, and that the user changed
			t.Errorf("in the feed: %+v, %v", told, err)
		}
	})
}

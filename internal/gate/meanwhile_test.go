package gate_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/audit"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/user"
)

// meanwhile has do done just before the next transaction begins.
func (w *world) meanwhile(do func(ctx context.Context) error) {
	inTx := w.InTx
	w.InTx = func(ctx context.Context, f func(ctx context.Context) error) error {
		w.InTx = inTx
		return errors.Join(do(ctx), inTx(ctx, f))
	}
}

// changed changes a user.
func (w *world) changed(id user.ID, c user.Change) func(ctx context.Context) error {
	return func(ctx context.Context) error { return w.db.Users().Update(ctx, id, c) }
}

// TestHashRenewedMeanwhile has a login of the same user replace an outdated hash while
// the user confirms something: their password is as right as before.
func TestHashRenewedMeanwhile(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.register(t, "ada")
		found, err := w.Users.Store.ByID(t.Context(), u.ID)
		if err != nil {
			t.Fatal(err)
		}
		renewed, outdated := found.PasswordHash, djangoHash
		who, name := w.caller(t, w.login(t, "ada", passOne)), "grace"
		for what, do := range map[string]func() error{
			"rename": func() error {
				_, err := w.ChangeIdentity(t.Context(), who, gate.IdentityChange{Username: &name}, passOne, visit())
				return err
			},
			"password": func() error { return w.ChangePassword(t.Context(), who, passOne, passOne, visit()) },
		} {
			if err := w.db.Users().Update(t.Context(), u.ID, user.Change{PasswordHash: &outdated}); err != nil {
				t.Fatal(err)
			}
			w.meanwhile(w.changed(u.ID, user.Change{PasswordHash: &renewed}))
			if err := do(); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

// TestRefusedMeanwhile holds that what is refused because of what changed while the hash
// ran is on record as what was refused at once.
func TestRefusedMeanwhile(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.register(t, "ada")
		who, yes, other := w.caller(t, w.login(t, "ada", passOne)), true, "x"
		w.meanwhile(w.changed(u.ID, user.Change{PasswordHash: &other}))
		if err := w.Close(t.Context(), who, passOne, visit()); !errors.Is(err, gate.ErrReauthentication) || w.events.last() != audit.PasswordRefused {
			t.Errorf("close: %v, event %q", err, w.events.last())
		}
		b := w.register(t, "bob")
		w.meanwhile(w.changed(b.ID, user.Change{Disabled: &yes}))
		c := gate.Credentials{Identifier: "bob", Password: passOne, Mode: session.Bearer}
		if _, err := w.Login(t.Context(), c, visit()); !errors.Is(err, user.ErrBadCredentials) || w.events.last() != audit.LoginRefused {
			t.Errorf("login: %v, event %q", err, w.events.last())
		}
	})
}

// TestWhoIsGoneHasNoWrongPassword holds that whoever was deleted or disabled while the hash
// ran is told that the session is over, whatever the password, and not accused of guessing.
func TestWhoIsGoneHasNoWrongPassword(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for name, gone := range map[string]func(ctx context.Context, who gate.Caller) error{
			"deleted":  func(ctx context.Context, who gate.Caller) error { return w.Close(ctx, who, passOne, visit()) },
			"disabled": func(ctx context.Context, who gate.Caller) error { return w.Disable(ctx, who.User.ID) },
		} {
			for _, plain := range []string{passOne, passTwo} {
				u := w.register(t, name)
				who := w.caller(t, w.login(t, name, passOne))
				w.meanwhile(func(ctx context.Context) error { return gone(ctx, who) })
				for range 2 { // the other time it is so before the hash runs
					if err := w.Close(t.Context(), who, plain, visit()); !errors.Is(err, session.ErrEnded) || w.events.last() == audit.PasswordRefused {
						t.Errorf("%s, %q: %v, event %q", name, plain, err, w.events.last())
					}
				}
				if err := w.db.Users().Delete(t.Context(), u.ID); err != nil && !errors.Is(err, user.ErrNotFound) {
					t.Fatal(err)
				}
			}
		}
	})
}

// TestEndedMeanwhile ends the session of each act before its turn to write, as a change of
// the password does elsewhere: nothing comes of it.
func TestEndedMeanwhile(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		d, err := w.Keys.Draft("late", nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		name := "grace"
		for act, do := range map[string]func(ctx context.Context, who gate.Caller, kept apikey.ID, other session.ID) error{
			"create-key": func(ctx context.Context, who gate.Caller, _ apikey.ID, _ session.ID) error {
				_, _, err := w.CreateKey(ctx, who, d, visit())
				return err
			},
			"delete-key": func(ctx context.Context, who gate.Caller, kept apikey.ID, _ session.ID) error {
				return w.DeleteKey(ctx, who, kept, visit())
			},
			"end-session": func(ctx context.Context, who gate.Caller, _ apikey.ID, other session.ID) error {
				return w.EndSession(ctx, who, other, visit())
			},
			"end-sessions": func(ctx context.Context, who gate.Caller, _ apikey.ID, _ session.ID) error {
				return w.EndSessions(ctx, who, true, visit())
			},
			"rename": func(ctx context.Context, who gate.Caller, _ apikey.ID, _ session.ID) error {
				_, err := w.ChangeIdentity(ctx, who, gate.IdentityChange{Username: &name}, passOne, visit())
				return err
			},
			"password": func(ctx context.Context, who gate.Caller, _ apikey.ID, _ session.ID) error {
				return w.ChangePassword(ctx, who, passOne, passTwo, visit())
			},
			"close": func(ctx context.Context, who gate.Caller, _ apikey.ID, _ session.ID) error {
				return w.Close(ctx, who, passOne, visit())
			},
			"wrong-password": func(ctx context.Context, who gate.Caller, _ apikey.ID, _ session.ID) error {
				return w.Close(ctx, who, passTwo, visit())
			},
		} {
			u := w.register(t, act)
			who, other := w.caller(t, w.login(t, act, passOne)), w.login(t, act, passOne)
			k, _, err := w.CreateKey(t.Context(), who, d, visit())
			if err != nil {
				t.Fatal(err)
			}
			before := len(w.events.kinds)
			w.meanwhile(func(ctx context.Context) error {
				return w.Logout(ctx, string(who.Session.ID), string(u.ID), visit())
			})
			if err := do(t.Context(), who, k.ID, other.Session.ID); !errors.Is(err, session.ErrEnded) {
				t.Errorf("%s: %v", act, err)
			}
			if got := w.events.kinds[before:]; len(got) != 1 {
				t.Errorf("%s: %q on record", act, got)
			}
			keys, err := w.ListKeys(t.Context(), w.caller(t, other))
			if err != nil || len(keys) != 1 {
				t.Errorf("%s: %d keys, %v", act, len(keys), err)
			}
			w.login(t, act, passOne)
		}
	})
}

// TestRolesWhoseCommitIsSlow holds that no token with the old roles is dated after the
// border, which a commit may take longer than.
func TestRolesWhoseCommitIsSlow(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.register(t, "ada")
		inTx := w.InTx
		var committed time.Time
		w.InTx = func(ctx context.Context, f func(ctx context.Context) error) error {
			w.InTx = inTx
			err := inTx(ctx, f)
			w.step(2 * time.Second)
			committed = w.now()
			return err
		}
		if err := w.SetRoles(t.Context(), u.ID, nil); err != nil {
			t.Fatal(err)
		}
		got, err := w.Users.Store.ByID(t.Context(), u.ID)
		if err != nil || !got.TokensValidAfter.After(committed) {
			t.Errorf("committed at %s, tokens are valid after %s; %v", committed, got.TokensValidAfter, err)
		}
	})
}

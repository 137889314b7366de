package gate_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/audit"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/keyset"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/store/storetest"
	"github.com/jotgate/jotgate/internal/token"
	"github.com/jotgate/jotgate/internal/user"
)

// TestEveryEndIsAnnounced ends access in every way there is, and looks whether
// the token is refused by the set in memory, by the database, and in a second
// process that only reads the feed.
func TestEveryEndIsAnnounced(t *testing.T) {
	ends := []struct {
		name string
		kind audit.Kind
		act  func(ctx context.Context, w *world, u user.User, this, other gate.Tokens, who gate.Caller) error
		// whether the session that acts, and the other one, go on
		this, other bool
	}{
		{"logout", audit.LoggedOut, func(ctx context.Context, w *world, u user.User, _, other gate.Tokens, _ gate.Caller) error {
			return w.Logout(ctx, string(other.Session.ID), string(u.ID), visit())
		}, true, false},
		{"end one session", audit.SessionsEnded, func(ctx context.Context, w *world, _ user.User, _, other gate.Tokens, who gate.Caller) error {
			return w.EndSession(ctx, who, other.Session.ID, visit())
		}, true, false},
		{"end other sessions", audit.SessionsEnded, func(ctx context.Context, w *world, _ user.User, _, _ gate.Tokens, who gate.Caller) error {
			return w.EndSessions(ctx, who, true, visit())
		}, true, false},
		{"end all sessions", audit.SessionsEnded, func(ctx context.Context, w *world, _ user.User, _, _ gate.Tokens, who gate.Caller) error {
			return w.EndSessions(ctx, who, false, visit())
		}, false, false},
		{"change password", audit.PasswordChanged, func(ctx context.Context, w *world, _ user.User, _, _ gate.Tokens, who gate.Caller) error {
			return w.ChangePassword(ctx, who, passOne, passTwo, visit())
		}, true, false},
		{"close", audit.UserDeleted, func(ctx context.Context, w *world, _ user.User, _, _ gate.Tokens, who gate.Caller) error {
			return w.Close(ctx, who, passOne, visit())
		}, false, false},
		{"disable", audit.UserDisabled, func(ctx context.Context, w *world, u user.User, _, _ gate.Tokens, _ gate.Caller) error {
			return w.Disable(ctx, u.ID)
		}, false, false},
		{"set password", audit.PasswordChanged, func(ctx context.Context, w *world, u user.User, _, _ gate.Tokens, _ gate.Caller) error {
			return w.SetPassword(ctx, u.ID, passTwo, false)
		}, false, false},
		{"reuse", audit.RefreshReused, func(ctx context.Context, w *world, _ user.User, _, other gate.Tokens, _ gate.Caller) error {
			spent := other.Refresh
			for range 2 {
				next, err := w.refresh(ctx, other.Refresh, "")
				if err != nil {
					return err
				}
				other = next
			}
			if _, err := w.refresh(ctx, spent, ""); !errors.Is(err, session.ErrReused) {
				return fmt.Errorf("a spent token: %w", err)
			}
			return nil
		}, true, false},
	}
	onBoth(t, func(t *testing.T, w *world) {
		second := newWorld(t, w.db)
		for i, tt := range ends {
			t.Run(tt.name, func(t *testing.T) {
				u := w.register(t, fmt.Sprintf("user%d", i))
				this, other := w.login(t, string(u.Username), passOne), w.login(t, string(u.Username), passOne)
				who := w.caller(t, this)
				w.events.fail(true)
				if err := tt.act(t.Context(), w, u, this, other, who); !errors.Is(err, errBroken) && tt.name != "reuse" {
					t.Errorf("without a record: error = %v, want %v", err, errBroken)
				}
				w.events.fail(false)
				if tt.name == "reuse" {
					other = w.login(t, string(u.Username), passOne)
				}
				if !w.valid(t, this) || !w.valid(t, other) {
					t.Error("what could not be recorded was done all the same")
				}
				if err := tt.act(t.Context(), w, u, this, other, who); err != nil {
					t.Fatal(err)
				}
				if w.events.last() != tt.kind {
					t.Errorf("event = %s, want %s", w.events.last(), tt.kind)
				}
				if err := second.feed.Sync(t.Context()); err != nil {
					t.Fatal(err)
				}
				for _, in := range []*world{w, second} {
					if in.valid(t, this) != tt.this || in.valid(t, other) != tt.other {
						t.Errorf("this goes on: %t, want %t; the other: %t, want %t", in.valid(t, this), tt.this, in.valid(t, other), tt.other)
					}
				}
			})
		}
	})
}

func TestThirtyTwoRefreshesGetOneChild(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.register(t, "ada")
		login := w.login(t, "ada", passOne)
		raw := login.Refresh
		for range 5 {
			children := map[string]int{}
			race(32, func(int) {
				got, err := w.refresh(t.Context(), raw, "")
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				children[got.Refresh]++
			})
			if len(children) != 1 {
				t.Fatalf("%d children, want 1", len(children))
			}
			for raw = range children {
			}
		}
		read, err := w.reader.Read(raw)
		if err != nil || read.Generation != 6 {
			t.Errorf("generation = %d, %v; want 6", read.Generation, err)
		}
	})
}

var mu sync.Mutex

func race(n int, f func(i int)) {
	var ready, done sync.WaitGroup
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			f(i)
		})
	}
	done.Wait()
}

func TestLogoutWinsEveryRace(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.register(t, "ada")
		for range 10 {
			login := w.login(t, "ada", passOne)
			tokens := []gate.Tokens{login}
			race(16, func(i int) {
				if i == 7 {
					if err := w.Logout(t.Context(), string(login.Session.ID), string(login.User.ID), visit()); err != nil {
						t.Error(err)
					}
					return
				}
				if got, err := w.refresh(t.Context(), login.Refresh, ""); err == nil {
					mu.Lock()
					defer mu.Unlock()
					tokens = append(tokens, got)
				}
			})
			for _, tok := range tokens {
				if w.valid(t, tok) {
					t.Error("an access token outlived the logout")
				}
				if _, err := w.refresh(t.Context(), tok.Refresh, ""); !errors.Is(err, gate.ErrInvalidRefresh) {
					t.Errorf("a refresh token after the logout: %v", err)
				}
			}
		}
	})
}

func TestOneOfManyRegistrationsWins(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		var won, taken int
		race(16, func(int) {
			_, err := w.Register(t.Context(), gate.Registration{Username: "Ada", Email: "ada@example.com", Password: passOne}, visit())
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case errors.Is(err, user.ErrIdentityTaken):
				taken++
			default:
				t.Error(err)
			}
		})
		if won != 1 || taken != 15 {
			t.Errorf("%d won and %d found the name taken", won, taken)
		}
	})
}

func TestPasswordIsLookedAtAgainAfterTheHash(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.register(t, "ada")
		changed := false
		w.Users.Attempts = during{w.Users.Attempts, func() {
			if !changed {
				changed = true
				if err := w.Disable(t.Context(), u.ID); err != nil {
					t.Error(err)
				}
			}
		}}
		_, err := w.Login(t.Context(), gate.Credentials{Identifier: "ada", Password: passOne, Mode: session.Bearer}, visit())
		if !errors.Is(err, user.ErrBadCredentials) {
			t.Errorf("a user who is disabled while the hash runs: %v", err)
		}
		if err := w.Enable(t.Context(), u.ID); err != nil {
			t.Fatal(err)
		}
		changed = false
		w.Users.Attempts = during{w.db.Attempts(), func() {
			if !changed {
				changed = true
				if err := w.SetPassword(t.Context(), u.ID, passTwo, false); err != nil {
					t.Error(err)
				}
			}
		}}
		_, err = w.Login(t.Context(), gate.Credentials{Identifier: "ada", Password: passOne, Mode: session.Bearer}, visit())
		if !errors.Is(err, user.ErrBadCredentials) {
			t.Errorf("a password that is changed while the hash runs: %v", err)
		}
	})
}

// during runs f while an attempt is being charged, which is between the look-up
// of the user and the hash. It must not wait for a worker: the charge has one.
type during struct {
	user.Attempts
	f func()
}

func (d during) Charge(ctx context.Context, bucket string, a user.Allowance, now time.Time) (time.Duration, error) {
	d.f()
	return d.Attempts.Charge(ctx, bucket, a, now)
}

func TestAheadOfTheDatabase(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.register(t, "ada")
		login := w.login(t, "ada", passOne)
		ahead, err := w.reader.Mint(token.Refresh{
			Subject: string(login.User.ID), SessionID: string(login.Session.ID), Generation: 7, IssuedAt: w.now(), ExpiresAt: w.now().Add(time.Hour),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.refresh(t.Context(), ahead, ""); !errors.Is(err, gate.ErrInvalidRefresh) || !errors.Is(err, session.ErrAhead) {
			t.Errorf("error = %v", err)
		}
		if w.events.last() != audit.RefreshAhead {
			t.Errorf("event = %s", w.events.last())
		}
		if !w.valid(t, login) {
			t.Error("the session was ended")
		}
	})
}

func TestModeAndOwnerAreHeld(t *testing.T) {
	w := newWorld(t, storetest.OpenSQLite(t))
	w.register(t, "ada")
	bob := w.register(t, "bob")
	login := w.login(t, "ada", passOne)
	if _, err := w.Refresh(t.Context(), gate.Refreshing{Token: login.Refresh, Mode: session.Cookie}, visit()); !errors.Is(err, gate.ErrInvalidRefresh) {
		t.Errorf("the other mode: %v", err)
	}
	forged, err := w.reader.Mint(token.Refresh{
		Subject: string(bob.ID), SessionID: string(login.Session.ID), Generation: 1, IssuedAt: w.now(), ExpiresAt: w.now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.refresh(t.Context(), forged, ""); !errors.Is(err, gate.ErrInvalidRefresh) {
		t.Errorf("another user: %v", err)
	}
	if err := w.Logout(t.Context(), string(login.Session.ID), string(bob.ID), visit()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Caller(t.Context(), string(login.Session.ID), string(bob.ID)); !errors.Is(err, session.ErrEnded) {
		t.Errorf("somebody else's session: %v", err)
	}
	if !w.valid(t, login) {
		t.Error("somebody else ended the session")
	}
	if _, err := w.refresh(t.Context(), login.Refresh, ""); err != nil {
		t.Error(err)
	}
}

func TestTokensAroundAChangeOfRoles(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.register(t, "ada")
		for i := range 4 { // several within one second
			before := w.login(t, "ada", passOne)
			issued := before.AccessExpires.Add(-accessTTL)
			if w.feed.Revoked(string(before.Session.ID), string(u.ID), issued) {
				t.Fatalf("%d: a fresh token is refused", i)
			}
			if err := w.SetRoles(t.Context(), u.ID, []user.Role{user.Role(fmt.Sprintf("role%d", i))}); err != nil {
				t.Fatal(err)
			}
			if !w.feed.Revoked(string(before.Session.ID), string(u.ID), issued) {
				t.Errorf("%d: a token with the old roles is accepted", i)
			}
			after, err := w.refresh(t.Context(), before.Refresh, "")
			if err != nil {
				t.Fatal(err)
			}
			if w.feed.Revoked(string(after.Session.ID), string(u.ID), after.AccessExpires.Add(-accessTTL)) {
				t.Errorf("%d: a token with the new roles is refused", i)
			}
		}
	})
}

func TestClosedRegistration(t *testing.T) {
	w := newWorld(t, storetest.OpenSQLite(t))
	w.Closed = true
	if _, err := w.Register(t.Context(), gate.Registration{Username: "ada", Password: passOne}, visit()); !errors.Is(err, gate.ErrRegistrationClosed) {
		t.Errorf("error = %v", err)
	}
	if _, err := w.CreateUser(t.Context(), gate.Registration{Username: "ada", Password: passOne}, []user.Role{"admin"}); err != nil {
		t.Errorf("an operator's: %v", err)
	}
}

func TestImportedKeyIsOnRecord(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		text, err := os.ReadFile("../../testdata/keys/eddsa.pem")
		if err != nil {
			t.Fatal(err)
		}
		w.events.fail(true)
		if _, err := w.ImportKey(t.Context(), w.keys, text, keyset.EdDSA); !errors.Is(err, errBroken) {
			t.Errorf("without a record: %v", err)
		}
		w.events.fail(false)
		if err := w.keys.Reload(t.Context()); err != nil || len(w.keys.List()) != 1 {
			t.Errorf("%d keys, %v; a key is there that nobody put on record", len(w.keys.List()), err)
		}
		if _, err := w.ImportKey(t.Context(), w.keys, text, keyset.EdDSA); err != nil || w.events.last() != audit.KeyImported || len(w.keys.List()) != 2 {
			t.Errorf("%d keys, event %q, %v", len(w.keys.List()), w.events.last(), err)
		}
	})
}

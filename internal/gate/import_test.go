package gate_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/audit"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/password"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/user"
)

// djangoHash is what Django made of passOne, with few iterations.
const djangoHash = "pbkdf2_sha256$1000$saltysaltysalt$QhaBw7NAESn1I3YiXNIWWw5v+ITedNpMbNapBcpHxN8="

func arrival() user.Import {
	return user.Import{
		ExternalID: "django:42", Username: "ada", Email: "ada@example.com", PasswordHash: djangoHash,
		Roles: []user.Role{"staff"}, CreatedAt: time.Date(2019, 1, 2, 3, 4, 5, 6000, time.UTC),
	}
}

func TestImportUser(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		i := arrival()
		rehearsed, err := w.ImportUser(t.Context(), i, true)
		if err != nil || rehearsed.Username != "ada" || w.events.last() != "" {
			t.Fatalf("rehearsal: %+v, %v, event %q", rehearsed, err, w.events.last())
		}
		if _, err := w.Users.Store.ByExternalID(t.Context(), i.ExternalID); !errors.Is(err, user.ErrNotFound) {
			t.Fatalf("a rehearsal leaves a user behind: %v", err)
		}
		w.events.fail(true)
		if _, err := w.ImportUser(t.Context(), i, false); !errors.Is(err, errBroken) {
			t.Errorf("without a record: %v", err)
		}
		w.events.fail(false)
		u, err := w.ImportUser(t.Context(), i, false)
		if err != nil || w.events.last() != audit.UserImported {
			t.Fatalf("%v, event %q", err, w.events.last())
		}
		got, err := w.Users.Store.ByExternalID(t.Context(), i.ExternalID)
		if err != nil || got.ID != u.ID || !got.CreatedAt.Equal(i.CreatedAt) || len(got.Roles) != 1 || got.EmailVerified {
			t.Errorf("user = %+v, %v", got, err)
		}
		for _, rehearse := range []bool{true, false} {
			if _, err := w.ImportUser(t.Context(), i, rehearse); !errors.Is(err, gate.ErrAlreadyImported) {
				t.Errorf("again: %v", err)
			}
			for _, other := range []user.Import{
				{ExternalID: "django:43", Username: "ada"}, {ExternalID: "django:43", Username: "eve", Email: "ada@example.com"},
			} {
				if _, err := w.ImportUser(t.Context(), other, rehearse); !errors.Is(err, user.ErrIdentityTaken) {
					t.Errorf("%+v: %v", other, err)
				}
			}
		}
	})
}

func TestImportUserRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for want, edit := range map[error]func(*user.Import){
			user.ErrNoIdentity:           func(i *user.Import) { i.Username, i.Email = "", "" },
			user.ErrInvalidExternal:      func(i *user.Import) { i.ExternalID = "" },
			password.ErrMalformedHash:    func(i *user.Import) { i.PasswordHash = strings.Replace(djangoHash, "1000", "9999999", 1) },
			password.ErrForeignAlgorithm: func(i *user.Import) { i.PasswordHash = "md5$salt$0123456789abcdef0123456789abcdef" },
		} {
			i := arrival()
			edit(&i)
			if _, err := w.ImportUser(t.Context(), i, false); !errors.Is(err, want) {
				t.Errorf("error = %v, want %v", err, want)
			}
		}
	})
}

// TestImportedPasswordBecomesOurs signs in with what Django hashed, and looks
// whether the hash is ours from then on.
func TestImportedPasswordBecomesOurs(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u, err := w.ImportUser(t.Context(), arrival(), false)
		if err != nil {
			t.Fatal(err)
		}
		stored := func() string {
			got, err := w.Users.Store.ByID(t.Context(), u.ID)
			if err != nil {
				t.Fatal(err)
			}
			return got.PasswordHash
		}
		wrong := gate.Credentials{Identifier: "ada", Password: passTwo, Mode: session.Bearer}
		if _, err := w.Login(t.Context(), wrong, visit()); !errors.Is(err, user.ErrBadCredentials) || stored() != djangoHash {
			t.Errorf("a wrong password: %v, hash %q", err, stored())
		}
		w.login(t, "ada", passOne)
		if !strings.HasPrefix(stored(), "$argon2id$") {
			t.Errorf("after logging in the hash is %q", stored())
		}
		w.login(t, "ada", passOne)
	})
}

// TestFirstLoginsMeet holds that of as many first logins as the budget has
// attempts none fails because another one has renewed the hash in the meantime.
func TestFirstLoginsMeet(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		if _, err := w.ImportUser(t.Context(), arrival(), false); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				c := gate.Credentials{Identifier: "ada", Password: passOne, Mode: session.Bearer}
				if _, err := w.Login(context.WithoutCancel(t.Context()), c, visit()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

// TestImportedPasswordIsTakenAsTyped holds that a password which was hashed
// decomposed reaches the hasher like that, and that it is ours in NFC afterwards.
func TestImportedPasswordIsTakenAsTyped(t *testing.T) {
	const decomposed = "cafe\u0301 au lait, please"
	onBoth(t, func(t *testing.T, w *world) {
		i := arrival()
		i.PasswordHash = "pbkdf2_sha256$1000$saltysaltysalt$d4Gt7qgJJRjrkCQSWMoQzCw0mbiZSfFEyLJvxRY5jvI="
		if _, err := w.ImportUser(t.Context(), i, false); err != nil {
			t.Fatal(err)
		}
		w.login(t, "ada", decomposed)
		w.login(t, "ada", "caf\u00e9 au lait, please")
		w.login(t, "ada", decomposed)
	})
}

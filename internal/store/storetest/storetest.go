// Package storetest says how a store must behave: every sentence that a noun's
// Store interface promises, as a test that runs on each database.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/user"
)

// racers is how many callers meet in a race.
const racers = 32

// Run runs all tests. open returns an empty, migrated database, which it closes
// when its t is over.
func Run(t *testing.T, open func(t *testing.T) *store.DB) {
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"Users", userTests()},
		{"Attempts", attemptTests()},
		{"Sessions", sessionTests()},
		{"Revocations", revocationTests()},
		{"Audit", auditTests()},
		{"APIKeys", apiKeyTests()},
		{"Clients", clientTests()},
		{"Keys", keyTests()},
		{"TokenLives", lifeTests()},
		{"InTx", txTests()},
	} {
		for _, tt := range group.tests {
			t.Run(group.name+"/"+tt.name, func(t *testing.T) { tt.run(kit{t, open(t)}) })
		}
	}
}

type test struct {
	name string
	run  func(k kit)
}

// kit is what a test works with.
type kit struct {
	*testing.T
	db *store.DB
}

// epoch is when the tests take place. It is in the precision that is kept.
func epoch() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 891011000, time.UTC) }

// must ends the test if err is an error.
func (k kit) must(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

// wantErr ends the test if err is not want.
func (k kit) wantErr(err, want error) {
	k.Helper()
	if !errors.Is(err, want) {
		k.Fatalf("error = %v, want %v", err, want)
	}
}

// equal fails the test if got differs from want.
func (k kit) equal(got, want any) {
	k.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		k.Errorf("-want +got:\n%s", diff)
	}
}

// race calls f from n goroutines at once and returns their errors.
func (k kit) race(n int, f func(ctx context.Context, i int) error) []error {
	errs := make([]error, n)
	var ready, done sync.WaitGroup
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			errs[i] = f(k.Context(), i)
		})
	}
	done.Wait()
	return errs
}

// count returns how many of errs are target; nil counts the calls that succeeded.
func count(errs []error, target error) int {
	n := 0
	for _, err := range errs {
		if errors.Is(err, target) {
			n++
		}
	}
	return n
}

func (k kit) id() string {
	k.Helper()
	id, err := uuid.NewV7()
	k.must(err)
	return id.String()
}

// user stores a user named name and returns it.
func (k kit) user(name string) user.User {
	k.Helper()
	u := user.User{
		ID: user.ID(k.id()), Username: user.Username(name), Email: user.Email(name + "@example.com"), EmailVerified: true,
		Roles: []user.Role{"admin", "billing:read"}, ExternalID: user.ExternalID("django:" + name), PasswordHash: "$argon2id$…", CreatedAt: epoch(),
		TokensValidAfter: epoch().Add(time.Hour).Truncate(time.Second),
	}
	k.must(k.db.Users().Create(k.Context(), u))
	return u
}

// opened is a session that lives for an hour, a day at most, and is not stored.
func (k kit) opened(u user.User) session.Session {
	k.Helper()
	return session.Session{
		ID: session.ID(k.id()), UserID: string(u.ID), Mode: session.Bearer, Device: `Ada's "phone" 📱; DROP TABLE users`,
		IP: "2001:db8::1", UserAgent: "agent/1", CreatedAt: epoch(), Generation: 1, LastUsedAt: epoch(),
		ExpiresAt: epoch().Add(time.Hour), AbsoluteAt: epoch().Add(24 * time.Hour),
	}
}

// session stores a session of u, changed by edit, and returns it.
func (k kit) session(u user.User, edit ...func(s *session.Session)) session.Session {
	k.Helper()
	s := k.opened(u)
	for _, f := range edit {
		f(&s)
	}
	k.must(k.db.Sessions().Create(k.Context(), s))
	return s
}

// ids returns the ids of sessions, sorted.
func ids(sessions ...session.Session) []session.ID {
	all := make([]session.ID, len(sessions))
	for i, s := range sessions {
		all[i] = s.ID
	}
	slices.Sort(all)
	return all
}

// unavailable reports whether err is the database's fault.
func unavailable(err error) bool {
	e, ok := errors.AsType[interface {
		error
		Unavailable() bool
	}](err)
	return ok && e.Unavailable()
}

// strange are texts that a careless statement would trip over. PostgreSQL cannot
// hold the last two.
func strange() []string {
	return []string{
		`'`, `"`, `\`, `%`, `_`, `?`, `$1`, `@id`, `; --`, "\u202e", "é", "🗝", "\n", fmt.Sprintf("%0300d", 1),
		"a\x00b", "\xff\xfe",
	}
}

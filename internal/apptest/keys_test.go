package apptest_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/apptest"
	"github.com/jotgate/jotgate/internal/keyset"
	"github.com/jotgate/jotgate/pkg/bearer"
)

// load is clients that sign in, refresh and present tokens, old ones too, at two
// replicas and two verifiers, and note what is refused.
type load struct {
	*fleet
	verifiers [2]*bearer.Verifier
	stop      atomic.Bool
	running   sync.WaitGroup

	logins, refreshes, checks atomic.Int64

	mu     sync.Mutex
	tokens []string // of all times
	kids   map[string]int
	bad    []error
}

func newLoad(f *fleet) *load {
	l := &load{fleet: f, kids: map[string]int{}}
	for i := range l.verifiers {
		l.verifiers[i] = f.patientVerifier(i)
	}
	f.signUp()
	l.running.Go(func() { l.each(l.signIn) })
	l.running.Go(func() { l.each(l.presentOld) })
	for range 3 {
		l.running.Go(l.refresher())
	}
	f.Cleanup(func() { l.stop.Store(true); l.running.Wait() })
	return l
}

func (l *load) each(f func(i int) error) {
	for i := 0; !l.stop.Load(); i++ {
		if err := f(i % 2); err != nil {
			l.refused(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (l *load) refused(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bad = append(l.bad, err)
}

func (l *load) signIn(i int) error {
	t, err := l.login(i)
	if err != nil {
		return err
	}
	l.logins.Add(1)
	return l.accepted(t.Access)
}

// accepted presents a new token everywhere and keeps it.
func (l *load) accepted(token string) error {
	if err := l.present(token); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tokens = append(l.tokens, token)
	return nil
}

func (l *load) present(token string) error {
	for i, v := range l.verifiers {
		if _, err := v.Verify(context.WithoutCancel(l.Context()), token); err != nil {
			return fmt.Errorf("verifier %d: %w", i, err)
		}
		if err := l.me(i, token); err != nil {
			return err
		}
		l.checks.Add(1)
	}
	header, _, _ := strings.Cut(token, ".")
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kids[header]++
	return nil
}

func (l *load) presentOld(int) error {
	l.mu.Lock()
	token := ""
	if len(l.tokens) > 0 {
		token = l.tokens[draw(len(l.tokens))]
	}
	l.mu.Unlock()
	if token == "" {
		return nil
	}
	return l.present(token)
}

// refresher keeps one session. Every refresh is made at one replica and again at
// the other, as by a client whose answer was lost, and it goes on with either.
func (l *load) refresher() func() {
	t, err := l.login(0)
	if err != nil {
		l.Fatal(err)
	}
	return func() {
		l.each(func(i int) error {
			children := make([]apptest.Tokens, 2)
			for n := range children {
				if _, err := l.call((i+n)%2, http.MethodPost, "/v1/refresh", "", map[string]string{"refresh_token": t.Refresh}, &children[n]); err != nil {
					return err
				}
				l.refreshes.Add(1)
			}
			t = children[draw(2)]
			return l.accepted(t.Access)
		})
	}
}

// draw returns a number below n, at most 65,536, and each as often as others about.
func draw(n int) int {
	var b [2]byte
	rand.Read(b[:])
	return (int(b[0])<<8 | int(b[1])) % n
}

// more waits until everybody has done some more.
func (l *load) more() {
	l.Helper()
	logins, refreshes, checks := l.logins.Load()+5, l.refreshes.Load()+20, l.checks.Load()+30
	for end := time.Now().Add(patience); l.logins.Load() < logins || l.refreshes.Load() < refreshes || l.checks.Load() < checks; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			l.Fatalf("the load stands still: %d logins, %d refreshes, %d checks", l.logins.Load(), l.refreshes.Load(), l.checks.Load())
		}
	}
}

// well fails the test if anything was refused so far.
func (l *load) well(when string) {
	l.Helper()
	l.more()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.bad) > 0 {
		l.Fatalf("%s: %d refusals, the first: %v", when, len(l.bad), l.bad[0])
	}
}

// rotate rotates as the command does and waits until the new key signs.
func (l *load) rotate(alg keyset.Algorithm, environ ...string) {
	l.Helper()
	var kid string
	l.operate(func(a *app.App) error {
		info, err := a.Gate.RotateKey(l.Context(), a.Keys, alg)
		kid = info.KID
		return err
	}, environ...)
	l.wait("that the new key signs", func(a *app.App) bool {
		signer, err := a.Keys.Signer()
		return err == nil && signer.KID == kid
	})
	l.well("rotation to " + string(alg))
}

// TestKeysChangeUnnoticed is that nobody is refused anything while keys change
// under a steady load.
func TestKeysChangeUnnoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	f := newFleet(t, masterKey("a"))
	l := newLoad(f)
	l.well("nothing changes")
	for _, alg := range []keyset.Algorithm{keyset.ES256, keyset.EdDSA, keyset.RS256} {
		l.rotate(alg, masterKey("a"))
	}
	for _, step := range []struct {
		name    string
		environ []string
	}{
		{"the new master key is known", []string{masterKey("a"), otherKey("b")}},
		{"the new master key is in force", []string{masterKey("b"), otherKey("a")}},
	} {
		for i := range f.replicas {
			f.restart(i, step.environ...)
			l.well(fmt.Sprintf("%s to replica %d", step.name, i))
		}
	}
	l.operate(func(a *app.App) error {
		n, err := a.Gate.ResealKeys(t.Context(), a.Keys)
		if n != 4 {
			t.Errorf("resealed %d keys, want 4", n)
		}
		return err
	}, masterKey("b"), otherKey("a"))
	l.well("the keys are resealed")
	for i := range f.replicas { // every session has been refreshed by now
		f.restart(i, masterKey("b"))
		l.well("the old master key has left")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kids) != 4 {
		t.Errorf("tokens of %d keys were presented, want 4", len(l.kids))
	}
	t.Logf("%d logins, %d refreshes, %d checks at each of two replicas and two verifiers, 0 refusals",
		l.logins.Load(), l.refreshes.Load(), l.checks.Load()/2)
}

// TestKeyIsRevoked revokes a key from beside two replicas. They learn of it by the
// feed: the next reload of the keys is an hour away.
func TestKeyIsRevoked(t *testing.T) {
	pace := hurry()
	pace.ReloadEach = time.Hour
	f := newFleetPaced(t, pace, masterKey("a"))
	f.signUp()
	before, err := f.login(0)
	if err != nil {
		t.Fatal(err)
	}
	var kid string
	f.operate(func(a *app.App) error {
		kid = a.Keys.List()[0].KID
		_, err := a.Gate.RevokeKey(t.Context(), a.Keys, kid)
		return err
	}, masterKey("a"))
	f.wait("that the key is refused", func(a *app.App) bool {
		_, err := a.Verifier.Verify(t.Context(), before.Access)
		return err != nil
	})
	for i := range f.replicas {
		if err := f.me(i, before.Access); err == nil || !strings.Contains(err.Error(), "401") {
			t.Errorf("replica %d: what the revoked key signed: %v", i, err)
		}
		after, err := f.login(i)
		if err != nil {
			t.Fatal(err)
		}
		var again apptest.Tokens
		if _, err := f.call(i, http.MethodPost, "/v1/refresh", "", map[string]string{"refresh_token": after.Refresh}, &again); err != nil {
			t.Error(err)
		}
		for at := range f.replicas {
			for _, token := range []string{after.Access, again.Access} {
				if err := f.me(at, token); err != nil {
					t.Errorf("after the revocation: %v", err)
				}
			}
		}
	}
}

// TestKeysRotateByAge makes the key of two replicas old.
func TestKeysRotateByAge(t *testing.T) {
	f := newFleet(t, masterKey("a"))
	db, err := pgx.Connect(t.Context(), f.dsn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(t.Context(), "UPDATE signing_keys SET activates_at = activates_at - $1", (90 * 24 * time.Hour).Microseconds()); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.wait("a second key", func(a *app.App) bool { return len(a.Keys.List()) > 1 })
	f.wait("that it signs", func(a *app.App) bool {
		keys := a.Keys.List()
		return keys[len(keys)-1].State == keyset.Active
	})
	f.wait("two keys", func(a *app.App) bool { return len(a.Keys.List()) == 2 })
}

// TestKeyStaysForTheLongestToken lowers token.access_ttl.
func TestKeyStaysForTheLongestToken(t *testing.T) {
	f := newFleet(t, masterKey("a"), "JOTGATE_TOKEN_ACCESS_TTL=3h")
	for i := range f.replicas {
		f.restart(i, masterKey("a"), "JOTGATE_TOKEN_ACCESS_TTL=5m")
	}
	f.operate(func(a *app.App) error {
		_, err := a.Gate.RotateKey(t.Context(), a.Keys, keyset.ES256)
		if old := a.Keys.List()[0]; old.GoneAt.Sub(old.RetiresAt) < 3*time.Hour {
			t.Errorf("the old key is gone %s after it retires", old.GoneAt.Sub(old.RetiresAt))
		}
		return err
	}, masterKey("a"), "JOTGATE_TOKEN_ACCESS_TTL=5m")
}

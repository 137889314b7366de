package keyset_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/keyset"
)

const (
	publishAhead = 10 * time.Minute
	retain       = 11 * time.Minute
)

// memory is a [keyset.Store] in a slice. readErr, if set, is what All answers.
type memory struct {
	mu      sync.Mutex
	keys    []keyset.Sealed
	readErr error
}

func (m *memory) All(context.Context) ([]keyset.Sealed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.keys), m.readErr
}

func (m *memory) Change(_ context.Context, decide func([]keyset.Sealed) ([]keyset.Sealed, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	put, err := decide(slices.Clone(m.keys))
	if err != nil {
		return err
	}
	for _, k := range put {
		m.keys = slices.DeleteFunc(m.keys, func(old keyset.Sealed) bool { return old.KID == k.KID })
		m.keys = append(m.keys, k)
	}
	return nil
}

// lagging is a memory in which All is one step late: what another process added
// in the meantime only Change sees.
type lagging struct{ *memory }

func (lagging) All(context.Context) ([]keyset.Sealed, error) { return nil, nil }

func masterKey(t *testing.T, digit string) keyset.MasterKey {
	t.Helper()
	m, err := keyset.ParseMasterKey(strings.Repeat(digit, 64))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func now() time.Time { return time.Now() }

func retaining() time.Duration { return retain }

func newSet(t *testing.T, store keyset.Store) *keyset.Set {
	t.Helper()
	return keyset.New(store, masterKey(t, "a"), keyset.Config{PublishAhead: publishAhead, Retain: retaining, Now: now})
}

func ensure(t *testing.T, s *keyset.Set, alg keyset.Algorithm) {
	t.Helper()
	if err := s.Ensure(t.Context(), alg); err != nil {
		t.Fatal(err)
	}
}

func reload(t *testing.T, s *keyset.Set) {
	t.Helper()
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func fresh(t *testing.T, alg keyset.Algorithm) keyset.Fresh {
	t.Helper()
	f, err := keyset.Generate(alg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// rotate rotates to alg and reloads.
func rotate(t *testing.T, s *keyset.Set, alg keyset.Algorithm) keyset.Info {
	t.Helper()
	info, err := s.Rotate(t.Context(), fresh(t, alg))
	if err != nil {
		t.Fatal(err)
	}
	reload(t, s)
	return info
}

// states returns what List tells, as "ES256 active".
func states(s *keyset.Set) []string {
	var got []string
	for _, k := range s.List() {
		got = append(got, string(k.Algorithm)+" "+string(k.State))
	}
	return got
}

func signs(t *testing.T, s *keyset.Set) keyset.Algorithm {
	t.Helper()
	signer, err := s.Signer()
	if err != nil {
		t.Fatal(err)
	}
	return signer.Algorithm
}

func TestLifeOfAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSet(t, &memory{})
		check := func(when string, signer keyset.Algorithm, want ...string) {
			t.Helper()
			if diff := cmp.Diff(want, states(s)); diff != "" {
				t.Errorf("%s: states (-want +got):\n%s", when, diff)
			}
			if got := signs(t, s); got != signer {
				t.Errorf("%s: %s signs, want %s", when, got, signer)
			}
			body, _ := s.JWKS()
			for _, k := range s.List() {
				live := k.State != keyset.Gone
				if public, ok := s.Public(k.KID); ok != live || ok && (public.KID != k.KID || public.Algorithm != k.Algorithm) {
					t.Errorf("%s: Public(%s %s) = %v, %t", when, k.Algorithm, k.State, public, ok)
				}
				if got := strings.Contains(string(body), k.KID); got != live {
					t.Errorf("%s: %s %s in JWKS: %t", when, k.Algorithm, k.State, got)
				}
			}
		}

		ensure(t, s, keyset.ES256)
		check("first start", keyset.ES256, "ES256 active")
		ensure(t, s, keyset.ES256)
		check("second start", keyset.ES256, "ES256 active")
		ensure(t, s, keyset.EdDSA)
		check("another algorithm is configured", keyset.ES256, "ES256 active")
		rotate(t, s, keyset.EdDSA)
		check("other algorithm", keyset.ES256, "ES256 active", "EdDSA pending")
		time.Sleep(publishAhead - time.Nanosecond)
		check("just before it signs", keyset.ES256, "ES256 active", "EdDSA pending")
		time.Sleep(time.Nanosecond)
		check("it signs", keyset.EdDSA, "ES256 retiring", "EdDSA active")
		time.Sleep(retain - time.Nanosecond)
		check("the last token of the old key is valid", keyset.EdDSA, "ES256 retiring", "EdDSA active")
		time.Sleep(time.Nanosecond)
		check("it is not any more", keyset.EdDSA, "ES256 gone", "EdDSA active")
	})
}

func TestEnsureRefusesAnUnknownAlgorithm(t *testing.T) {
	store := &memory{}
	if err := newSet(t, store).Ensure(t.Context(), "HS256"); err == nil || len(store.keys) != 0 {
		t.Errorf("Ensure(HS256) = %v with %d keys", err, len(store.keys))
	}
}

func TestEnsureInManyProcessesMakesOneKey(t *testing.T) {
	store := &memory{}
	var wg sync.WaitGroup
	sets := make([]*keyset.Set, 8)
	for i := range sets {
		sets[i] = newSet(t, store)
		wg.Go(func() {
			if err := sets[i].Ensure(t.Context(), keyset.ES256); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(store.keys) != 1 {
		t.Errorf("%d keys, want 1", len(store.keys))
	}
	for _, s := range sets {
		if diff := cmp.Diff([]string{"ES256 active"}, states(s)); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
	}
}

func TestOfTwoKeysAtOnceTheGreaterKIDSigns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		s := newSet(t, store)
		for _, text := range []string{rfc8037Key, ecJWK(t)} {
			alg := keyset.ES256
			if text == rfc8037Key {
				alg = keyset.EdDSA
			}
			if _, err := s.Import(t.Context(), []byte(text), alg); err != nil {
				t.Fatal(err)
			}
		}
		store.keys[1].ActivatesAt = store.keys[0].ActivatesAt
		for range 2 { // in either order
			slices.Reverse(store.keys)
			if err := s.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := max(store.keys[0].KID, store.keys[1].KID)
			if got, err := s.Signer(); err != nil || got.KID != want {
				t.Errorf("Signer = %q, %v; want %q", got.KID, err, want)
			}
			if got := s.List(); got[0].State != keyset.Retiring || got[1].State != keyset.Active || got[1].KID != want {
				t.Errorf("List = %v", got)
			}
		}
	})
}

func TestNoKeySigns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		s := newSet(t, store)
		if _, err := s.Signer(); !errors.Is(err, keyset.ErrNoKey) {
			t.Errorf("empty set: %v, want ErrNoKey", err)
		}
		if _, ok := s.Public(""); ok {
			t.Error("empty set: Public found a key")
		}
		ensure(t, s, keyset.ES256)
		store.keys[0].ActivatesAt = now().Add(time.Second)
		if err := s.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if signs, err := s.Signer(); err != nil || signs.KID != store.keys[0].KID {
			t.Errorf("the clock is behind the only key: %v, %v", signs.KID, err)
		}
	})
}

func TestReloadAfterRestart(t *testing.T) {
	for _, alg := range []keyset.Algorithm{keyset.ES256, keyset.EdDSA, keyset.RS256} {
		t.Run(string(alg), func(t *testing.T) {
			store := &memory{}
			first, second := newSet(t, store), newSet(t, store)
			ensure(t, first, alg)
			if err := second.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			a, errA := first.Signer()
			b, errB := second.Signer()
			if errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			if diff := cmp.Diff(a, b); diff != "" || a.Algorithm != alg {
				t.Errorf("another key came back (-made +read):\n%s", diff)
			}
			bodyA, tagA := first.JWKS()
			bodyB, tagB := second.JWKS()
			if string(bodyA) != string(bodyB) || tagA != tagB {
				t.Errorf("JWKS differ: %s %s, %s %s", bodyA, tagA, bodyB, tagB)
			}
		})
	}
}

func TestReloadKeepsTheKeysWhenItFails(t *testing.T) {
	store := &memory{}
	s := newSet(t, store)
	ensure(t, s, keyset.ES256)
	store.readErr = errors.New("database away")
	if err := s.Reload(t.Context()); !errors.Is(err, store.readErr) {
		t.Errorf("Reload = %v, want %v", err, store.readErr)
	}
	if got := signs(t, s); got != keyset.ES256 {
		t.Errorf("%s signs", got)
	}
	if err := s.Ensure(t.Context(), keyset.EdDSA); !errors.Is(err, store.readErr) {
		t.Errorf("Ensure = %v, want %v", err, store.readErr)
	}
}

func TestReloadTakesNewTimesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		s := newSet(t, store)
		ensure(t, s, keyset.ES256)
		rotate(t, s, keyset.EdDSA)
		time.Sleep(time.Second)
		store.keys[1].ActivatesAt = now()
		if err := s.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := signs(t, s); got != keyset.EdDSA {
			t.Errorf("%s signs, want EdDSA", got)
		}
	})
}

// TestReadersDoNotWait is for the race detector.
func TestReadersDoNotWait(t *testing.T) {
	s := newSet(t, &memory{})
	ensure(t, s, keyset.ES256)
	signer, err := s.Signer()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if err := s.Reload(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 200 {
				got, err := s.Signer()
				_, ok := s.Public(got.KID)
				body, etag := s.JWKS()
				if err != nil || got.KID != signer.KID || !ok || len(body) == 0 || etag == "" || len(s.List()) != 1 {
					t.Errorf("Signer = %v, %v; Public %t; JWKS %s %s", got, err, ok, body, etag)
				}
			}
		})
	}
	wg.Wait()
}

func TestParseAlgorithm(t *testing.T) {
	for _, alg := range []string{"ES256", "EdDSA", "RS256"} {
		if got, err := keyset.ParseAlgorithm(alg); err != nil || string(got) != alg {
			t.Errorf("ParseAlgorithm(%q) = %q, %v", alg, got, err)
		}
	}
	for _, alg := range []string{"", "none", "HS256", "es256", "EDDSA", "Ed25519", "RS384", "PS256", " ES256"} {
		if got, err := keyset.ParseAlgorithm(alg); err == nil {
			t.Errorf("ParseAlgorithm(%q) = %q", alg, got)
		}
	}
}

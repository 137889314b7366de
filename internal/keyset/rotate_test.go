package keyset_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/keyset"
)

func TestRotateTellsTheTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSet(t, &memory{})
		ensure(t, s, keyset.ES256)
		info := rotate(t, s, keyset.ES256)
		if info.State != keyset.Pending || !info.ActivatesAt.Equal(now().Add(publishAhead)) || !info.RetiresAt.IsZero() {
			t.Errorf("Rotate = %+v", info)
		}
		old := s.List()[0]
		if !old.RetiresAt.Equal(info.ActivatesAt) || !old.GoneAt.Equal(info.ActivatesAt.Add(retain)) {
			t.Errorf("the old key retires at %s and is gone at %s", old.RetiresAt, old.GoneAt)
		}
	})
}

func TestOneRotationAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		s := newSet(t, store)
		ensure(t, s, keyset.ES256)
		next := rotate(t, s, keyset.EdDSA)
		for _, alg := range []keyset.Algorithm{keyset.EdDSA, keyset.ES256} {
			_, err := s.Rotate(t.Context(), fresh(t, alg))
			if !errors.Is(err, keyset.ErrPending) || !strings.Contains(err.Error(), next.KID) || len(store.keys) != 2 {
				t.Errorf("Rotate to %s = %v with %d keys, want ErrPending", alg, err, len(store.keys))
			}
		}
		time.Sleep(publishAhead)
		rotate(t, s, keyset.ES256)
	})
}

// TestConfigurationsThatDiffer starts replicas with the old and the new algorithm
// in turn, as a roll-out does.
func TestConfigurationsThatDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		ensure(t, newSet(t, store), keyset.ES256)
		rotate(t, newSet(t, store), keyset.EdDSA)
		for _, alg := range []keyset.Algorithm{keyset.ES256, keyset.EdDSA, keyset.RS256, keyset.ES256, keyset.EdDSA} {
			ensure(t, newSet(t, store), alg)
			time.Sleep(publishAhead)
		}
		if len(store.keys) != 2 {
			t.Errorf("%d keys, want 2: a start rotates", len(store.keys))
		}
	})
}

const every = 24 * time.Hour

// byAge rotates s if it is due and reports whether it was.
func byAge(t *testing.T, s *keyset.Set) bool {
	t.Helper()
	reload(t, s)
	due := s.Due(every)
	_, rotated, err := s.RotateDue(t.Context(), fresh(t, keyset.ES256), every)
	if err != nil || rotated != due {
		t.Fatalf("Due = %t, RotateDue = %t, %v", due, rotated, err)
	}
	reload(t, s)
	return rotated
}

func TestNoKeySignsLongerThanItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		s := newSet(t, store)
		ensure(t, s, keyset.ES256)
		for range 3 * every / time.Hour {
			for range 6 {
				byAge(t, s)
				if _, since, _ := s.SignsSince(); time.Since(since) > every {
					t.Fatalf("a key has signed for %s", time.Since(since))
				}
				time.Sleep(publishAhead)
			}
		}
		if len(store.keys) != 4 {
			t.Errorf("%d keys after three periods, want 4", len(store.keys))
		}
	})
}

func TestJumpingClockMakesOneKey(t *testing.T) {
	var jump time.Duration
	store := &memory{}
	s := keyset.New(store, masterKey(t, "a"), keyset.Config{
		PublishAhead: publishAhead, Retain: retaining, Now: func() time.Time { return time.Now().Add(jump) },
	})
	ensure(t, s, keyset.ES256)
	for range 5 {
		for _, jump = range []time.Duration{10 * every, 0} {
			byAge(t, s)
		}
	}
	if len(store.keys) != 2 {
		t.Errorf("%d keys, want 2", len(store.keys))
	}
	if _, err := s.Signer(); err != nil {
		t.Error(err)
	}
}

func TestManyProcessesRotateOnce(t *testing.T) {
	store := &memory{}
	ensure(t, newSet(t, store), keyset.ES256)
	store.keys[0].ActivatesAt = store.keys[0].ActivatesAt.Add(-every)
	var wg sync.WaitGroup
	for range 8 {
		s, f := newSet(t, store), fresh(t, keyset.ES256)
		reload(t, s)
		wg.Go(func() {
			if _, _, err := s.RotateDue(t.Context(), f, every); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(store.keys) != 2 {
		t.Errorf("%d keys, want 2", len(store.keys))
	}
}

// TestRetainFollows has the longest life of a token rise and fall.
func TestRetainFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		longest := retain
		s := keyset.New(&memory{}, masterKey(t, "a"), keyset.Config{
			PublishAhead: publishAhead, Retain: func() time.Duration { return longest }, Now: now,
		})
		ensure(t, s, keyset.ES256)
		old := s.List()[0].KID
		rotate(t, s, keyset.ES256)
		time.Sleep(publishAhead + retain)
		published := func(want bool) {
			t.Helper()
			body, _ := s.JWKS()
			if _, ok := s.Public(old); ok != want || strings.Contains(string(body), old) != want {
				t.Errorf("Public = %t, in JWKS %t; want %t", ok, !want, want)
			}
		}
		published(false)
		longest = time.Hour
		published(true)
		time.Sleep(time.Hour - retain)
		published(false)
	})
}

// under returns a set of store with the master keys of these digits.
func under(t *testing.T, store keyset.Store, master, other string) *keyset.Set {
	t.Helper()
	c := keyset.Config{PublishAhead: publishAhead, Retain: retaining, Now: now}
	if other != "" {
		c.Other = masterKey(t, other)
	}
	return keyset.New(store, masterKey(t, master), c)
}

// TestAnotherMasterKey goes through the steps of README with two replicas, and
// rotates at each.
func TestAnotherMasterKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		ensure(t, under(t, store, "a", ""), keyset.ES256)
		for _, step := range []struct {
			name string
			sets []*keyset.Set
		}{
			{"the new one is known to one", []*keyset.Set{under(t, store, "a", "b"), under(t, store, "a", "")}},
			{"the new one is known", []*keyset.Set{under(t, store, "a", "b"), under(t, store, "a", "b")}},
			{"the new one is in force at one", []*keyset.Set{under(t, store, "b", "a"), under(t, store, "a", "b")}},
			{"the new one is in force", []*keyset.Set{under(t, store, "b", "a"), under(t, store, "b", "a")}},
		} {
			for _, s := range step.sets {
				reload(t, s)
				rotate(t, s, keyset.EdDSA)
				time.Sleep(publishAhead)
			}
			for _, s := range step.sets {
				reload(t, s)
			}
			if diff := cmp.Diff(states(step.sets[0]), states(step.sets[1])); diff != "" {
				t.Errorf("%s: the replicas differ: %s", step.name, diff)
			}
		}
		if err := under(t, store, "b", "").Reload(t.Context()); !errors.Is(err, keyset.ErrWrongMasterKey) {
			t.Errorf("before resealing, without the old one: %v", err)
		}
		running := under(t, store, "b", "a")
		reload(t, running)
		for _, want := range []int{6, 0} {
			if n, err := running.Reseal(t.Context()); n != want || err != nil {
				t.Errorf("Reseal = %d, %v; want %d", n, err, want)
			}
		}
		reload(t, running)
		alone := under(t, store, "b", "")
		reload(t, alone)
		if diff := cmp.Diff(running.List(), alone.List()); diff != "" || len(alone.List()) != 9 {
			t.Errorf("resealing changed more than the seal: %s", diff)
		}
		if err := under(t, store, "a", "").Reload(t.Context()); !errors.Is(err, keyset.ErrWrongMasterKey) {
			t.Errorf("the old one alone: %v", err)
		}
	})
}

func TestResealRefusesWhatNeitherOpens(t *testing.T) {
	store := &memory{}
	s := under(t, store, "a", "")
	ensure(t, s, keyset.ES256)
	rotate(t, s, keyset.ES256)
	before := store.keys[0].Private
	store.keys[1].Private = append([]byte{0}, store.keys[1].Private...)
	if n, err := under(t, store, "b", "a").Reseal(t.Context()); n != 0 || !errors.Is(err, keyset.ErrWrongMasterKey) {
		t.Errorf("Reseal = %d, %v; want ErrWrongMasterKey", n, err)
	}
	if diff := cmp.Diff(before, store.keys[0].Private); diff != "" {
		t.Error("a key was resealed all the same")
	}
}

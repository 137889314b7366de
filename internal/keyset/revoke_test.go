package keyset_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/keyset"
)

// revoke revokes key i of s and reloads.
func revoke(t *testing.T, s *keyset.Set, i int) keyset.RevokedKey {
	t.Helper()
	done, err := s.Revoke(t.Context(), s.List()[i].KID, fresh(t, keyset.ES256))
	if err != nil {
		t.Fatal(err)
	}
	reload(t, s)
	return done
}

// dead fails the test if the key of that kid is of any use, in s or in a set of
// the same store whose clock is late or early.
func dead(t *testing.T, store keyset.Store, kid string) {
	t.Helper()
	for _, off := range []time.Duration{0, -time.Minute, time.Minute} {
		s := keyset.New(store, masterKey(t, "a"), keyset.Config{
			PublishAhead: publishAhead, Retain: retaining, Now: func() time.Time { return time.Now().Add(off) },
		})
		reload(t, s)
		signer, err := s.Signer()
		if err != nil || signer.KID == kid {
			t.Errorf("clock off by %s: Signer = %s, %v", off, signer.KID, err)
		}
		if _, ok := s.Public(signer.KID); !ok {
			t.Errorf("clock off by %s: what signs is not published", off)
		}
		if _, ok := s.Public(kid); ok {
			t.Errorf("clock off by %s: the revoked key verifies", off)
		}
		if body, _ := s.JWKS(); strings.Contains(string(body), kid) || !strings.Contains(string(body), signer.KID) {
			t.Errorf("clock off by %s: JWKS %s", off, body)
		}
	}
}

func wantStates(t *testing.T, s *keyset.Set, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, states(s)); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
}

func TestRevokeTheKeyThatSigns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		s := newSet(t, store)
		ensure(t, s, keyset.ES256)
		for range 3 { // at once, with nothing between
			kid := s.List()[len(s.List())-1].KID
			done := revoke(t, s, len(s.List())-1)
			if !done.Made || done.Already || done.Successor == nil || done.Key.KID != kid || done.Key.State != keyset.Revoked {
				t.Errorf("Revoke = %+v", done)
			}
			if signer, err := s.Signer(); err != nil || signer.KID != done.Successor.KID {
				t.Errorf("Signer = %s, %v; want the successor", signer.KID, err)
			}
			dead(t, store, kid)
		}
		wantStates(t, s, "ES256 revoked", "ES256 revoked", "ES256 revoked", "ES256 pending")
		time.Sleep(time.Millisecond)
		wantStates(t, s, "ES256 revoked", "ES256 revoked", "ES256 revoked", "ES256 active")
	})
}

func TestRevokeLetsTheNextKeyTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		s := newSet(t, store)
		ensure(t, s, keyset.ES256)
		next := rotate(t, s, keyset.EdDSA)
		time.Sleep(time.Second)
		kid := s.List()[0].KID
		done := revoke(t, s, 0)
		if done.Made || done.Successor == nil || done.Successor.KID != next.KID || !done.Successor.ActivatesAt.Equal(now()) {
			t.Errorf("Revoke = %+v", done)
		}
		wantStates(t, s, "ES256 revoked", "EdDSA active")
		dead(t, store, kid)
	})
}

func TestRevokeAKeyThatDoesNotSign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		s := newSet(t, store)
		ensure(t, s, keyset.ES256)
		rotate(t, s, keyset.EdDSA)
		pending := s.List()[1].KID
		if done := revoke(t, s, 1); done.Successor != nil || done.Already {
			t.Errorf("Revoke = %+v", done)
		}
		dead(t, store, pending)
		time.Sleep(publishAhead + retain) // the first one does not retire for one that never signed
		wantStates(t, s, "ES256 active", "EdDSA revoked")

		rotate(t, s, keyset.EdDSA)
		time.Sleep(publishAhead)
		retiring := s.List()[0].KID
		if done := revoke(t, s, 0); done.Successor != nil {
			t.Errorf("Revoke = %+v", done)
		}
		wantStates(t, s, "ES256 revoked", "EdDSA revoked", "EdDSA active")
		dead(t, store, retiring)
	})
}

func TestGoneStaysGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		s := newSet(t, store)
		ensure(t, s, keyset.ES256)
		rotate(t, s, keyset.EdDSA)
		gone := s.List()[0].KID
		time.Sleep(publishAhead + retain + 2*time.Minute)
		revoke(t, s, 1)
		time.Sleep(time.Millisecond)
		wantStates(t, s, "ES256 gone", "EdDSA revoked", "ES256 active")
		dead(t, store, gone)
	})
}

func TestRevokeTwiceAndNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		s := newSet(t, store)
		ensure(t, s, keyset.ES256)
		first := revoke(t, s, 0)
		time.Sleep(time.Minute)
		again := revoke(t, s, 0)
		if !again.Already || again.Successor != nil || !again.Key.RevokedAt.Equal(first.Key.RevokedAt) || len(store.keys) != 2 {
			t.Errorf("again: %+v with %d keys", again, len(store.keys))
		}
		if _, err := s.Revoke(t.Context(), "nothing", fresh(t, keyset.ES256)); !errors.Is(err, keyset.ErrUnknownKey) {
			t.Errorf("unknown kid: %v", err)
		}
	})
}

// TestNoKeyIsLeft has a set whose only key was revoked by somebody who left
// no other: it makes one at the next start.
func TestNoKeyIsLeft(t *testing.T) {
	store := &memory{}
	s := newSet(t, store)
	ensure(t, s, keyset.ES256)
	store.keys[0].RevokedAt = now()
	reload(t, s)
	if _, err := s.Signer(); !errors.Is(err, keyset.ErrNoKey) {
		t.Errorf("Signer = %v, want ErrNoKey", err)
	}
	if body, _ := s.JWKS(); string(body) != `{"keys":[]}` {
		t.Errorf("JWKS = %s", body)
	}
	ensure(t, s, keyset.EdDSA)
	if got := signs(t, s); got != keyset.EdDSA {
		t.Errorf("%s signs", got)
	}
}

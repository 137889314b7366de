package keyset_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/keyset"
)

func TestSealedHidesTheKey(t *testing.T) {
	store := &memory{}
	s := newSet(t, store)
	if _, err := s.Import(t.Context(), []byte(rfc8037Key), keyset.EdDSA); err != nil {
		t.Fatal(err)
	}
	signer, err := s.Signer()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(signer.Key)
	if err != nil {
		t.Fatal(err)
	}
	seed := signer.Key.(ed25519.PrivateKey).Seed()
	sealed := store.keys[0].Private
	for i := range len(seed) - 3 {
		if bytes.Contains(sealed, seed[i:i+4]) {
			t.Errorf("sealed key shows bytes %d to %d of the private key", i, i+3)
		}
	}
	if bytes.Contains(sealed, der[:8]) {
		t.Error("sealed key shows its PKCS #8 frame")
	}
	if want := 12 + len(der) + 16; len(sealed) != want {
		t.Errorf("sealed key has %d bytes, want %d: nonce, text, tag", len(sealed), want)
	}

	other := &memory{}
	if _, err := newSet(t, other).Import(t.Context(), []byte(rfc8037Key), keyset.EdDSA); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(other.keys[0].Private, sealed) {
		t.Error("the same key sealed twice looks the same: the nonce is not random")
	}
}

func TestReloadRefusesAnAlteredRow(t *testing.T) {
	alterations := []struct {
		name  string
		alter func(k *keyset.Sealed)
	}{
		{"kid", func(k *keyset.Sealed) { k.KID = strings.Repeat("A", 43) }},
		{"algorithm", func(k *keyset.Sealed) { k.Algorithm = keyset.RS256 }},
		{"part of the kid moved to the algorithm", func(k *keyset.Sealed) {
			k.KID, k.Algorithm = k.KID[:42], keyset.Algorithm(k.KID[42:])+k.Algorithm
		}},
		{"nonce", func(k *keyset.Sealed) { k.Private[0] ^= 1 }},
		{"text", func(k *keyset.Sealed) { k.Private[20] ^= 1 }},
		{"tag", func(k *keyset.Sealed) { k.Private[len(k.Private)-1] ^= 1 }},
		{"truncated", func(k *keyset.Sealed) { k.Private = k.Private[:len(k.Private)-1] }},
		{"shorter than a nonce", func(k *keyset.Sealed) { k.Private = k.Private[:5] }},
		{"empty", func(k *keyset.Sealed) { k.Private = nil }},
	}
	for _, tt := range alterations {
		t.Run(tt.name, func(t *testing.T) {
			store := &memory{}
			running := newSet(t, store)
			ensure(t, running, keyset.ES256)
			store.keys[0].Private = slices.Clone(store.keys[0].Private)
			tt.alter(&store.keys[0])
			for name, s := range map[string]*keyset.Set{"running": running, "started": newSet(t, store)} {
				if err := s.Reload(t.Context()); !errors.Is(err, keyset.ErrWrongMasterKey) {
					t.Errorf("%s: Reload = %v, want ErrWrongMasterKey", name, err)
				}
			}
			if got := signs(t, running); got != keyset.ES256 {
				t.Errorf("%s signs, want the key from before", got)
			}
		})
	}
}

func TestTwoRowsExchanged(t *testing.T) {
	store := &memory{}
	s := newSet(t, store)
	ensure(t, s, keyset.ES256)
	if _, err := s.Import(t.Context(), []byte(ecJWK(t)), keyset.ES256); err != nil {
		t.Fatal(err)
	}
	store.keys[0].Private, store.keys[1].Private = store.keys[1].Private, store.keys[0].Private
	if err := s.Reload(t.Context()); !errors.Is(err, keyset.ErrWrongMasterKey) {
		t.Errorf("Reload = %v, want ErrWrongMasterKey", err)
	}
}

func TestWrongMasterKey(t *testing.T) {
	store := &memory{}
	ensure(t, newSet(t, store), keyset.ES256)
	cfg := keyset.Config{PublishAhead: publishAhead, Retain: retaining, Now: now}
	for name, view := range map[string]keyset.Store{"database": store, "database that lags": lagging{store}} {
		other := keyset.New(view, masterKey(t, "b"), cfg)
		acts := map[string]func() error{
			"Ensure": func() error { return other.Ensure(t.Context(), keyset.EdDSA) },
			"Import": func() error {
				_, err := other.Import(t.Context(), []byte(rfc8037Key), keyset.EdDSA)
				return err
			},
		}
		for act, do := range acts {
			err := do()
			if !errors.Is(err, keyset.ErrWrongMasterKey) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s, %s = %v, want ErrWrongMasterKey in one line", name, act, err)
			}
		}
		if len(store.keys) != 1 {
			t.Fatalf("%s: %d keys, want 1: a key was sealed under another master key than its neighbour", name, len(store.keys))
		}
	}
}

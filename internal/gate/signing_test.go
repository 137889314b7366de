package gate_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/audit"
	"github.com/jotgate/jotgate/internal/keyset"
	"github.com/jotgate/jotgate/internal/revocation"
	"github.com/jotgate/jotgate/internal/store/storetest"
)

func TestRevokeKeyIsOneAct(t *testing.T) {
	w := newWorld(t, storetest.OpenSQLite(t))
	kid := w.keys.List()[0].KID

	w.events.fail(true)
	if _, err := w.RevokeKey(t.Context(), w.keys, kid); !errors.Is(err, errBroken) {
		t.Errorf("without a record: %v", err)
	}
	if signer, err := w.keys.Signer(); err != nil || signer.KID != kid {
		t.Errorf("a revocation that was rolled back holds: %s, %v", signer.KID, err)
	}
	w.events.fail(false)

	done, err := w.RevokeKey(t.Context(), w.keys, kid)
	if err != nil || done.Successor == nil || done.Successor.Algorithm != keyset.EdDSA {
		t.Fatalf("RevokeKey = %+v, %v", done, err)
	}
	if signer, err := w.keys.Signer(); err != nil || signer.KID != done.Successor.KID {
		t.Errorf("Signer = %s, %v", signer.KID, err)
	}
	if _, ok := w.keys.Public(kid); ok {
		t.Error("the revoked key verifies")
	}
	if want := []audit.Kind{audit.KeyRevoked, audit.KeyRotated}; !slices.Equal(w.events.kinds, want) {
		t.Errorf("events %v, want %v", w.events.kinds, want)
	}
	entries, err := w.db.Revocations().After(t.Context(), 0, 9)
	if err != nil || len(entries) != 1 || entries[0].Kind != revocation.Key || entries[0].ID != kid ||
		!entries[0].ExpiresAt.Equal(w.now().Add(accessTTL+30*time.Second)) {
		t.Errorf("feed %+v, %v", entries, err)
	}

	again, err := w.RevokeKey(t.Context(), w.keys, kid)
	if err != nil || !again.Already || len(w.events.kinds) != 2 {
		t.Errorf("again: %+v, %v, events %v", again, err, w.events.kinds)
	}
	if _, err := w.RevokeKey(t.Context(), w.keys, "nothing"); !errors.Is(err, keyset.ErrUnknownKey) {
		t.Errorf("unknown kid: %v", err)
	}
}

func TestRotationsAreRecorded(t *testing.T) {
	w := newWorld(t, storetest.OpenSQLite(t))
	info, err := w.RotateKey(t.Context(), w.keys, keyset.ES256)
	if err != nil || info.State != keyset.Pending || w.events.last() != audit.KeyRotated {
		t.Errorf("RotateKey = %+v, %v, recorded as %s", info, err, w.events.last())
	}
	if _, err := w.RotateKey(t.Context(), w.keys, keyset.ES256); !errors.Is(err, keyset.ErrPending) {
		t.Errorf("again: %v", err)
	}
	const every = 24 * time.Hour
	for i, want := range []bool{false, true, false} {
		rotated, err := w.RotateKeyByAge(t.Context(), w.keys, keyset.ES256, every)
		if rotated != want || err != nil {
			t.Errorf("RotateKeyByAge = %t, %v; want %t", rotated, err, want)
		}
		if i == 0 {
			w.step(every - time.Minute) // a day but for twice the minute of publishing
		}
	}
	if n := len(w.keys.List()); n != 3 || len(w.events.kinds) != 2 {
		t.Errorf("%d keys, events %v", n, w.events.kinds)
	}
	if n, err := w.ResealKeys(t.Context(), w.keys); n != 0 || err != nil || len(w.events.kinds) != 2 {
		t.Errorf("ResealKeys = %d, %v, events %v", n, err, w.events.kinds)
	}
}

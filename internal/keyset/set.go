package keyset

import (
	"cmp"
	"context"
	"crypto"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Set is the signing keys of one database, opened. Create one with [New] and
// call [Set.Ensure] or [Set.Reload] before the first use; call Reload from time to
// time to learn of keys that other processes add. It is safe for concurrent
// use, and what reads it takes no lock.
type Set struct {
	store Store
	vault vault
	cfg   Config

	mu   sync.Mutex // held by Reload, so that an older read never replaces a newer one
	keys atomic.Pointer[snapshot]
}

// New returns a Set without keys.
func New(store Store, master MasterKey, cfg Config) *Set {
	s := &Set{store: store, vault: newVault(master), cfg: cfg}
	s.keys.Store(newSnapshot(nil))
	return s
}

// Reload reads the keys. If that fails the set stays as it was; a master key that
// does not open every one of them gives [ErrWrongMasterKey].
func (s *Set) Reload(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, err := s.store.All(ctx)
	if err != nil {
		return fmt.Errorf("keyset: read keys: %w", err)
	}
	keys, err := s.open(all)
	if err != nil {
		return err
	}
	s.keys.Store(newSnapshot(keys))
	return nil
}

// open opens all, or takes over what is open already.
func (s *Set) open(all []Sealed) ([]opened, error) {
	snap := s.keys.Load()
	keys := make([]opened, 0, len(all))
	for _, sealed := range all {
		i, known := snap.byKID[sealed.KID]
		if known && snap.keys[i].same(sealed) {
			key := snap.keys[i]
			key.Sealed = sealed
			keys = append(keys, key)
			continue
		}
		key, err := s.vault.open(sealed)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// Ensure sees to it that alg is what the set signs with, now or once its newest
// key starts to sign, and makes a key if not; then it reloads. The first key of a
// database signs at once. A later one is published first, so that to change the
// algorithm is a rotation that no verifier notices.
func (s *Set) Ensure(ctx context.Context, alg Algorithm) error {
	if err := s.Reload(ctx); err != nil {
		return err
	}
	if infos := s.List(); len(infos) > 0 && infos[len(infos)-1].Algorithm == alg {
		return nil
	}
	// An RSA key takes long to find: too long to hold up other writers.
	key, err := generate(alg)
	if err != nil {
		return err
	}
	err = s.store.Add(ctx, func(have []Sealed) (Sealed, bool, error) {
		if endsWith(have, alg) {
			return Sealed{}, false, nil
		}
		added, err := s.sealAfter(have, key, alg)
		return added, err == nil, err
	})
	if err != nil {
		return fmt.Errorf("keyset: ensure a key: %w", err)
	}
	return s.Reload(ctx)
}

// sealAfter returns key as it joins have. It opens have first: a key sealed under
// another master key than its neighbours would make the database useless to both.
func (s *Set) sealAfter(have []Sealed, key crypto.Signer, alg Algorithm) (Sealed, error) {
	if _, err := s.open(have); err != nil {
		return Sealed{}, err
	}
	sealed, err := s.vault.seal(key, alg)
	if err != nil {
		return Sealed{}, err
	}
	sealed.CreatedAt = s.cfg.Now().UTC().Truncate(time.Microsecond) // what both databases keep
	sealed.ActivatesAt = sealed.CreatedAt
	if len(have) > 0 {
		sealed.ActivatesAt = sealed.CreatedAt.Add(s.cfg.PublishAhead)
	}
	return sealed, nil
}

// endsWith reports whether the key of have that signs last of all is of alg.
// That key is active or pending, because only a later one can retire it. An active
// key of alg with one of another algorithm behind it is not enough.
func endsWith(have []Sealed, alg Algorithm) bool {
	return len(have) > 0 && slices.MaxFunc(have, bySigning).Algorithm == alg
}

// bySigning orders keys by when they start to sign; of two at once, the greater
// kid signs.
func bySigning(a, b Sealed) int {
	return cmp.Or(a.ActivatesAt.Compare(b.ActivatesAt), cmp.Compare(a.KID, b.KID))
}

// Signer returns the key that signs now: of those whose time has come the latest.
// Where none's has, the clock was set back behind the first one, which signs all
// the same. It returns [ErrNoKey] for a set without keys.
func (s *Set) Signer() (Signer, error) {
	snap, now := s.keys.Load(), s.cfg.Now()
	if len(snap.keys) == 0 {
		return Signer{}, ErrNoKey
	}
	signs := snap.keys[0]
	for _, k := range slices.Backward(snap.keys) {
		if !k.ActivatesAt.After(now) {
			signs = k
			break
		}
	}
	return Signer{KID: signs.KID, Algorithm: signs.Algorithm, Key: signs.signer}, nil
}

// Public returns the key named kid: pending, active or retiring, not gone.
func (s *Set) Public(kid string) (PublicKey, bool) {
	snap := s.keys.Load()
	i, ok := snap.byKID[kid]
	if !ok || snap.state(i, s.cfg.Now(), s.cfg.Retain) == Gone {
		return PublicKey{}, false
	}
	k := snap.keys[i]
	return PublicKey{KID: k.KID, Algorithm: k.Algorithm, Key: k.signer.Public()}, true
}

// List tells of all keys, gone ones too, in the order in which they start to sign.
func (s *Set) List() []Info {
	snap, now := s.keys.Load(), s.cfg.Now()
	infos := make([]Info, len(snap.keys))
	for i, k := range snap.keys {
		infos[i] = Info{
			KID: k.KID, Algorithm: k.Algorithm, State: snap.state(i, now, s.cfg.Retain),
			CreatedAt: k.CreatedAt, ActivatesAt: k.ActivatesAt,
		}
	}
	return infos
}

// JWKS returns the public halves of the keys that are not gone as a JWK set
// (RFC 7517, section 5), and a strong entity tag for it (RFC 9110, section
// 8.8.3). Callers share body and do not change it.
func (s *Set) JWKS() (body []byte, etag string) {
	snap := s.keys.Load()
	d := snap.document(snap.firstLive(s.cfg.Now(), s.cfg.Retain))
	return d.body, d.etag
}

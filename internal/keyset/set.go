package keyset

import (
	"context"
	"fmt"
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
	s := &Set{store: store, vault: newVault(master, cfg.Other), cfg: cfg}
	s.keys.Store(newSnapshot(nil))
	return s
}

// Reload reads the keys. If that fails the set stays as it was; a master key that
// does not open every one of them, nor the other one, gives [ErrWrongMasterKey].
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

// Ensure sees to it that the set has a key that may sign, and makes one of alg
// that signs at once if it has none; then it reloads. It does not look at the
// algorithm of a key that is there: of several processes whose configurations
// differ for a while each would rotate to its own. To change the algorithm is
// [Set.Rotate].
func (s *Set) Ensure(ctx context.Context, alg Algorithm) error {
	if err := s.Reload(ctx); err != nil {
		return err
	}
	if s.keys.Load().line.newest() >= 0 {
		return nil
	}
	fresh, err := Generate(alg)
	if err != nil {
		return err
	}
	err = s.store.Change(ctx, func(have []Sealed) ([]Sealed, error) {
		if timeline(have).newest() >= 0 {
			_, err := s.open(have)
			return nil, err
		}
		first, err := s.sealAfter(have, fresh)
		return []Sealed{first}, err
	})
	if err != nil {
		return fmt.Errorf("keyset: ensure a key: %w", err)
	}
	return s.Reload(ctx)
}

// sealAfter returns fresh as it joins have: published first, unless none of have
// may sign. It opens have first: a key sealed under another master key than its
// neighbours would make the database useless to both.
func (s *Set) sealAfter(have []Sealed, fresh Fresh) (Sealed, error) {
	if _, err := s.open(have); err != nil {
		return Sealed{}, err
	}
	sealed, err := s.vault.seal(fresh.key, fresh.alg)
	if err != nil {
		return Sealed{}, err
	}
	sealed.CreatedAt = s.now()
	sealed.ActivatesAt = sealed.CreatedAt
	if timeline(have).newest() >= 0 {
		sealed.ActivatesAt = sealed.CreatedAt.Add(s.cfg.PublishAhead)
	}
	return sealed, nil
}

// now is the time as both databases keep it.
func (s *Set) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// Signer returns the key that signs now, or [ErrNoKey] if none may.
func (s *Set) Signer() (Signer, error) {
	snap := s.keys.Load()
	i := snap.line.signer(s.cfg.Now())
	if i < 0 {
		return Signer{}, ErrNoKey
	}
	k := snap.keys[i]
	return Signer{KID: k.KID, Algorithm: k.Algorithm, Key: k.signer}, nil
}

// SignsSince returns the algorithm of the key that signs now and since when it
// does, for its age to be watched. ok is false where none may sign.
func (s *Set) SignsSince() (alg Algorithm, since time.Time, ok bool) {
	line := s.keys.Load().line
	i := line.signer(s.cfg.Now())
	if i < 0 {
		return "", time.Time{}, false
	}
	return line[i].Algorithm, line[i].ActivatesAt, true
}

// Public returns the key named kid: pending, active or retiring, neither gone nor
// revoked.
func (s *Set) Public(kid string) (PublicKey, bool) {
	snap := s.keys.Load()
	i, ok := snap.byKID[kid]
	if !ok || !snap.line.state(i, s.cfg.Now(), s.cfg.Retain()).published() {
		return PublicKey{}, false
	}
	k := snap.keys[i]
	return PublicKey{KID: k.KID, Algorithm: k.Algorithm, Key: k.signer.Public()}, true
}

// List tells of all keys, gone and revoked ones too, in the order in which they
// start to sign.
func (s *Set) List() []Info {
	return s.keys.Load().line.infos(s.cfg.Now(), s.cfg.Retain())
}

// JWKS returns the public halves of the keys that are neither gone nor revoked as a JWK set
// (RFC 7517, section 5), and a strong entity tag for it (RFC 9110, section
// 8.8.3). Callers share body and do not change it.
func (s *Set) JWKS() (body []byte, etag string) {
	snap := s.keys.Load()
	d := snap.document(snap.firstLive(s.cfg.Now(), s.cfg.Retain()))
	return d.body, d.etag
}

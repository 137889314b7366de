package apikey

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/jotgate/jotgate/internal/opaque"
	"github.com/jotgate/jotgate/internal/scope"
)

const (
	// touchEach is how often the use of one key is written down.
	touchEach = time.Minute
	// touchPatience is how long whoever presents a key waits for that.
	touchPatience = 250 * time.Millisecond
)

// Service applies the rules of keys. Create one with [New]; it is safe for
// concurrent use.
type Service struct {
	Store Store
	now   func() time.Time
}

// New returns a Service. now is time.Now everywhere but in tests.
func New(store Store, now func() time.Time) *Service { return &Service{store, now} }

// Draft is a key that does not exist yet: what [Service.Draft] checked.
type Draft struct {
	name   string
	scopes []string
	life   time.Duration
}

// Scopes returns what the key is to be granted.
func (d Draft) Scopes() []string { return d.scopes }

// Draft checks what somebody wants a key with. A life of zero is one without an
// end. Its errors are [ErrInvalidName], [scope.ErrInvalid] and [ErrInvalidLife].
func (s *Service) Draft(name string, scopes []string, life time.Duration) (Draft, error) {
	sorted, err := scope.Parse(scopes)
	if !opaque.IsName(name) {
		err = errors.Join(ErrInvalidName, err)
	}
	if life != 0 && (life < MinLife || life > MaxLife) {
		err = errors.Join(err, ErrInvalidLife)
	}
	return Draft{name, sorted, life}, err
}

// Create makes the key and returns it with its secret, which is kept nowhere. It
// returns [ErrTooMany]. The caller holds a transaction in which nobody else adds
// a key to the user.
func (s *Service) Create(ctx context.Context, userID string, d Draft) (Key, string, error) {
	have, err := s.Store.List(ctx, userID)
	if err != nil {
		return Key{}, "", fmt.Errorf("apikey: count keys: %w", err)
	}
	if len(have) >= MaxPerUser {
		if err := s.makeRoom(ctx, have); err != nil {
			return Key{}, "", err
		}
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Key{}, "", fmt.Errorf("apikey: make an id: %w", err)
	}
	secret := opaque.New(Prefix)
	k := Key{
		ID: ID(id.String()), UserID: userID, Name: d.name, Scopes: d.scopes, Hint: opaque.Hint(Prefix, secret),
		CreatedAt: s.now().UTC().Truncate(time.Microsecond),
	}
	if d.life > 0 {
		k.ExpiresAt = k.CreatedAt.Add(d.life)
	}
	if err := s.Store.Create(ctx, k, opaque.Hash(secret)); err != nil {
		return Key{}, "", fmt.Errorf("apikey: insert key: %w", err)
	}
	return k, secret, nil
}

// makeRoom deletes the oldest of a user's keys that have expired, which would stay for a
// while to be looked at. It returns [ErrTooMany] if none has.
func (s *Service) makeRoom(ctx context.Context, have []Key) error {
	now := s.now()
	for _, k := range slices.Backward(have) {
		if k.Over(now) {
			if err := s.Store.Delete(ctx, k.ID, k.UserID); err != nil && !errors.Is(err, ErrNotFound) {
				return fmt.Errorf("apikey: delete an expired key: %w", err)
			}
			return nil
		}
	}
	return ErrTooMany
}

// Find returns the key that secret is, or [ErrInvalid]. What does not have the
// right checksum costs no look-up.
func (s *Service) Find(ctx context.Context, secret string) (Key, error) {
	if !opaque.Valid(Prefix, secret) {
		return Key{}, ErrInvalid
	}
	k, err := s.Store.ByHash(ctx, opaque.Hash(secret))
	if errors.Is(err, ErrNotFound) {
		return Key{}, ErrInvalid
	}
	if err != nil {
		return Key{}, fmt.Errorf("apikey: look up key: %w", err)
	}
	if k.Over(s.now()) {
		return Key{}, ErrInvalid
	}
	return k, nil
}

// Used writes down that k was used just now, at most once a minute, or gives up soon: a
// database that takes no writes keeps nobody out who can be known without.
func (s *Service) Used(ctx context.Context, k Key) error {
	at := s.now().UTC()
	// One that lies ahead was written by a clock that has stepped back since.
	if since := at.Sub(k.LastUsedAt); since >= 0 && since < touchEach {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, touchPatience)
	defer cancel()
	if err := s.Store.Touch(ctx, k.ID, at, at.Add(-touchEach)); err != nil {
		return fmt.Errorf("apikey: write last use: %w", err)
	}
	return nil
}

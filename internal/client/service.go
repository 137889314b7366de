package client

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/jotgate/jotgate/internal/opaque"
	"github.com/jotgate/jotgate/internal/scope"
)

const maxAudience = 512 // bytes

// Service applies the rules of clients. Create one with [New]; it is safe for
// concurrent use.
type Service struct {
	Store    Store
	audience string
	now      func() time.Time
}

// New returns a Service. audience is that of clients which name none; now is
// time.Now everywhere but in tests.
func New(store Store, audience string, now func() time.Time) *Service {
	return &Service{store, audience, now}
}

// Draft returns a client that is not stored yet, and its secret, which is kept
// nowhere. Its errors are [ErrInvalidName], [scope.ErrInvalid] and
// [ErrInvalidAudience].
func (s *Service) Draft(name string, scopes, audiences []string) (Client, string, error) {
	sorted, err := scope.Parse(scopes)
	if !opaque.IsName(name) {
		err = errors.Join(ErrInvalidName, err)
	}
	if len(audiences) == 0 {
		audiences = []string{s.audience}
	}
	if !s.areAudiences(audiences) {
		err = errors.Join(err, ErrInvalidAudience)
	}
	if err != nil {
		return Client{}, "", err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Client{}, "", fmt.Errorf("client: make an id: %w", err)
	}
	secret := opaque.New(secretPrefix)
	return Client{
		ID: ID(idPrefix + id.String()), Name: name, Scopes: sorted, Audiences: audiences,
		CreatedAt: s.now().UTC().Truncate(time.Microsecond), SecretHash: opaque.Hash(secret),
	}, secret, nil
}

// Rotate returns c with a new secret, and that secret. The old one goes on for
// overlap, at most [MaxOverlap], and one before the old one ends at once.
func (s *Service) Rotate(c Client, overlap time.Duration) (Client, string, error) {
	if overlap < 0 || overlap > MaxOverlap {
		return Client{}, "", ErrInvalidOverlap
	}
	secret := opaque.New(secretPrefix)
	c.PreviousHash, c.PreviousUntil = "", time.Time{}
	if overlap > 0 {
		c.PreviousHash, c.PreviousUntil = c.SecretHash, s.now().UTC().Truncate(time.Microsecond).Add(overlap)
	}
	c.SecretHash = opaque.Hash(secret)
	return c, secret, nil
}

// Authenticate returns the client that id and secret belong to, or
// [ErrUnauthenticated].
func (s *Service) Authenticate(ctx context.Context, id ID, secret string) (Client, error) {
	if !opaque.Valid(secretPrefix, secret) {
		return Client{}, ErrUnauthenticated
	}
	c, err := s.Store.ByID(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return Client{}, ErrUnauthenticated
	}
	if err != nil {
		return Client{}, fmt.Errorf("client: look up: %w", err)
	}
	hash := opaque.Hash(secret)
	current := same(hash, c.SecretHash)
	previous := same(hash, c.PreviousHash) && s.now().Before(c.PreviousUntil)
	if !current && !previous {
		return Client{}, ErrUnauthenticated
	}
	return c, nil
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// areAudiences takes the service's own audience, which the operator has chosen, and
// else wants absolute URIs without a fragment, as RFC 8707, section 2 does of a
// resource: another word is most likely a mistake.
func (s *Service) areAudiences(list []string) bool {
	return len(list) <= MaxAudiences && !slices.ContainsFunc(list, func(text string) bool {
		return text != s.audience && !isResource(text)
	})
}

func isResource(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.IsAbs() && !strings.Contains(text, "#") && len(text) <= maxAudience && isASCII(text)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

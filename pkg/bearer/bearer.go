// Package bearer verifies the access tokens that jotgate issues (RFC 9068) in
// any Go service, and jotgate itself has no other verifier.
//
// A [Verifier] tells what a token is worth. A [Guard] finds the token on an HTTP
// request, in the Authorization header or in jotgate's cookie, and protects
// handlers with it; package ginbearer does the same for Gin.
//
// It takes access tokens only. An API key says nothing by itself: a service that is to
// take one asks jotgate, by introspection or through a proxy with forward-auth.
//
// The package asks nobody about a single token. Keys are fetched when there is
// traffic, in the background and before they expire, so that a token waits for them
// only if its kid is unknown or nobody has come for longer than the issuer lets them
// be kept. While the issuer is away the keys that are there stay good.
//
// What ended before its time is still a valid token by itself. A [Feed] tells a
// Verifier of it within a second, knows how old its knowledge is, and does what
// FeedConfig.OnStale says when that is too old. It is the only thing that runs by
// itself here, as long as its Run does. Without one, Config.Revoked decides, or
// nobody.
package bearer

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Errors a caller can act on. The text of an error says what was wrong with a
// token and is for logs: clients are told no more than that it is not valid.
var (
	// ErrNoCredentials is a request that presents nothing that this package reads.
	ErrNoCredentials = errors.New("bearer: no credentials")
	// ErrMalformedRequest is a request that presents credentials twice.
	ErrMalformedRequest = errors.New("bearer: credentials presented twice")
	// ErrInvalidToken is a token that is not valid, for whatever reason.
	ErrInvalidToken = errors.New("bearer: invalid token")
	// ErrExpired is an [ErrInvalidToken] that was valid until it expired.
	ErrExpired = fmt.Errorf("%w: expired", ErrInvalidToken)
	// ErrRevoked is an [ErrInvalidToken] that the feed, the issuer it had asked, or
	// Config.Revoked refused.
	ErrRevoked = fmt.Errorf("%w: revoked", ErrInvalidToken)
	// ErrWrongMode is an [ErrInvalidToken] of a cookie session in the header, or the
	// reverse.
	ErrWrongMode = fmt.Errorf("%w: issued for the other way to present it", ErrInvalidToken)
	// ErrCrossOrigin is a request with a cookie that would change something and does
	// not show that it comes from an origin that may.
	ErrCrossOrigin = errors.New("bearer: not provably from an allowed origin")
	// ErrUnavailable is a token that cannot be judged, because the issuer's keys are
	// not there and cannot be fetched, or because the feed is stale.
	ErrUnavailable = errors.New("bearer: tokens cannot be judged")
)

// RevokedError is the [ErrRevoked] of [Config.Revoked], with what the token says:
// it is genuine, and who issued it may have to know whose it was.
type RevokedError struct{ Claims *Claims }

func (e *RevokedError) Error() string { return ErrRevoked.Error() }

// Unwrap returns [ErrRevoked].
func (e *RevokedError) Unwrap() error { return ErrRevoked }

// NotYetError is an [ErrInvalidToken] that is genuine and whose only fault is that it was
// issued later than now: by a clock that is ahead, or was. Whoever is to end it cannot wait
// until its time comes.
type NotYetError struct{ Claims *Claims }

func (e *NotYetError) Error() string { return ErrInvalidToken.Error() + ": issued in the future" }

// Unwrap returns [ErrInvalidToken].
func (e *NotYetError) Unwrap() error { return ErrInvalidToken }

// ScopeError is a valid token without a scope that is needed.
type ScopeError struct {
	Scope string // the scopes needed, separated by spaces
}

func (e *ScopeError) Error() string { return "bearer: scope needed: " + e.Scope }

// RoleError is a valid token of somebody without a role that is needed.
type RoleError struct {
	Roles []string // any of which would do
}

func (e *RoleError) Error() string {
	return "bearer: role needed: " + strings.Join(e.Roles, " or ")
}

// Key is a public key and the one algorithm that it verifies.
type Key struct {
	Algorithm string // ES256, EdDSA or RS256
	// Public is an *ecdsa.PublicKey on P-256, an ed25519.PublicKey or an
	// *rsa.PublicKey, as Algorithm says.
	Public crypto.PublicKey
}

// Config is what a [Verifier] accepts. Issuer is needed, and Audience or AnyAudience.
type Config struct {
	// Issuer is jotgate's public URL, compared exactly with iss.
	Issuer string
	// Audience is what aud must contain. jotgate's default audience is its issuer.
	Audience string
	// AnyAudience accepts every token of the issuer's, whomever it is for: aud must
	// be there and well-formed, but need not contain Audience. It is for an issuer
	// that looks at its own tokens (RFC 7662). A resource server leaves it false, or
	// it accepts what was meant for its neighbours (RFC 9068, section 4).
	AnyAudience bool
	// Keys returns the key of a kid, or an error that is [ErrUnavailable] if that
	// cannot be told. Nil fetches the issuer's JWK set.
	Keys func(ctx context.Context, kid string) (Key, error)
	// Revoked reports whether a token that is otherwise valid is to be refused. Nil
	// refuses none. It is asked besides Feed, for services with a list of their own.
	Revoked func(*Claims) bool
	// Feed tells of what ended before it expired. Without it an ended session's token
	// is accepted until it expires.
	Feed *Feed
	// Client fetches the JWK set. Nil stands for one with a time-out of 5 s. Its
	// redirects are not followed. If it has a Transport, that should ping its HTTP/2
	// connections ([http.HTTP2Config]), or stays with one that died.
	Client *http.Client
	// CacheSize is how many accepted tokens are remembered by their text, so that one
	// which is presented again costs no signature. Key, revocation and age are looked at
	// each time. Zero stands for 8192, about 12 MB when full; below zero none is.
	CacheSize int
	// Leeway is how far the clocks of issuer and verifier may differ. Zero stands
	// for 30 s; more than 60 s is refused.
	Leeway time.Duration
	// Now is the clock. Nil stands for time.Now.
	Now func() time.Time
}

const (
	defaultLeeway = 30 * time.Second
	maxLeeway     = time.Minute
	maxLife       = 24 * time.Hour // of an access token; jotgate issues none that lives longer
	firstParty    = "jotgate"      // client_id of jotgate's own API
)

// Verifier verifies access tokens. Create one with [New]; it is safe for
// concurrent use.
type Verifier struct {
	keys    func(ctx context.Context, kid string) (Key, error)
	revoked func(*Claims) bool
	feed    *Feed
	parser  parser
	cache   *cache
	now     func() time.Time
}

// New returns a Verifier. Without Config.Keys it asks the issuer for its
// metadata (RFC 8414) and its keys, and fails if they cannot be had; ctx bounds
// that. No goroutine outlives a fetch, which takes 5 s at most.
func New(ctx context.Context, c Config) (*Verifier, error) {
	switch {
	case c.Issuer == "" || (c.Audience == "" && !c.AnyAudience):
		return nil, errors.New("bearer: Issuer and Audience are needed")
	case c.Audience != "" && c.AnyAudience:
		return nil, errors.New("bearer: Audience and AnyAudience exclude each other")
	case c.Leeway < 0 || c.Leeway > maxLeeway:
		return nil, fmt.Errorf("bearer: Leeway of %s is not within 0 and %s", c.Leeway, maxLeeway)
	}
	if c.Feed != nil && c.Feed.issuer != c.Issuer {
		return nil, fmt.Errorf("bearer: the feed is that of another issuer, %s", c.Feed.issuer)
	}
	if c.Leeway == 0 {
		c.Leeway = defaultLeeway
	}
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // where none is injected
	}
	if c.Keys == nil {
		remote, err := discover(ctx, c)
		if err != nil {
			return nil, err
		}
		c.Keys = remote.key
	}
	return &Verifier{
		keys: c.Keys, revoked: c.Revoked, feed: c.Feed, parser: newParser(c), cache: newCache(c.CacheSize), now: c.Now,
	}, nil
}

// Claims is what a valid token says (RFC 9068, section 2.2). It is of a user's
// session, or of a client that acts for itself (RFC 6749, section 4.4). The latter
// has no session, so that SessionID is empty, AuthTime zero, AMR and Roles are
// without elements, Mode is bearer, and Subject is ClientID and no user's.
type Claims struct {
	Issuer    string
	Audience  []string
	Subject   string // the user's id, or the client's
	ClientID  string // jotgate for its own API
	SessionID string // empty if a client acts for itself
	ID        string // jti: names the token, unlike its text
	IssuedAt  time.Time
	ExpiresAt time.Time
	AuthTime  time.Time // when the user proved who they are
	AMR       []string  // how they did (RFC 8176)
	Roles     []string
	Scope     string // separated by spaces
	Mode      string // how it has to be presented: bearer or cookie
}

// HasScope reports whether the token was granted scope, one name.
func (c *Claims) HasScope(scope string) bool {
	for granted := range strings.SplitSeq(c.Scope, " ") {
		if granted == scope {
			return scope != ""
		}
	}
	return false
}

func (c *Claims) hasScopes(scopes []string) bool {
	return !slices.ContainsFunc(scopes, func(s string) bool { return !c.HasScope(s) })
}

// HasRole reports whether the user had role when the token was issued.
func (c *Claims) HasRole(role string) bool { return slices.Contains(c.Roles, role) }

// Verify returns what token says if it is valid here and now. Every refusal is
// an [ErrInvalidToken], or [ErrUnavailable] if it could not be judged. It does
// not look at how the token was presented; [Guard.Check] does. The elements of
// the lists in the claims are shared by all who present the token, and not to be changed.
func (v *Verifier) Verify(ctx context.Context, token string) (*Claims, error) {
	now := v.now()
	known := v.cache.find(token, now)
	if known != nil {
		key, err := v.key(ctx, known.keyID)
		if err != nil {
			return nil, err
		}
		if !known.key.same(key) {
			known = nil
		}
	}
	if known == nil {
		var err error
		if known, err = v.judge(ctx, token, now); err != nil {
			return nil, err
		}
		v.cache.add(token, known, now)
	}
	c := known.claims
	if v.revoked != nil && v.revoked(&c) {
		return nil, &RevokedError{&c}
	}
	if v.feed != nil {
		if err := v.feed.check(ctx, token, known.keyID, &c); err != nil {
			return nil, err
		}
	}
	return &c, nil
}

// judge looks at a token itself: its form, its signature and its claims.
func (v *Verifier) judge(ctx context.Context, token string, now time.Time) (*acceptance, error) {
	h, err := gate(token)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	}
	key, err := v.key(ctx, h.KeyID)
	switch {
	case err != nil:
		return nil, err
	case key.Algorithm != h.Algorithm:
		return nil, fmt.Errorf("%w: alg %q does not fit the key, which is for %q", ErrInvalidToken, h.Algorithm, key.Algorithm)
	}
	if err := key.check(); err != nil {
		return nil, fmt.Errorf("%w: key %q: %w", ErrInvalidToken, h.KeyID, err)
	}
	c, err := v.parser.parse(token, key)
	if err != nil {
		return nil, err
	}
	return &acceptance{keyID: h.KeyID, key: key, claims: *c, since: now.Round(0)}, nil
}

func (v *Verifier) key(ctx context.Context, kid string) (Key, error) {
	if v.feed != nil && v.feed.set.endsKey(kid) {
		return Key{}, ErrRevoked // nobody needs to look for that key
	}
	key, err := v.keys(ctx, kid)
	if err != nil && !errors.Is(err, ErrUnavailable) {
		err = fmt.Errorf("%w: key %q: %w", ErrInvalidToken, kid, err)
	}
	return key, err
}

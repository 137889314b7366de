// Package token mints jotgate's JWTs: access tokens, which anybody verifies with
// the published keys (package bearer does), and refresh tokens, which only this
// program reads.
//
// It decides nothing about a sign-in and keeps no state. A token says who may
// hold it and until when; whether that is still so, sessions and the revocation
// feed know. Times in tokens are whole seconds (RFC 7519, section 2).
package token

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/jotgate/jotgate/internal/keyset"
)

const typeAccess = "at+jwt" // RFC 9068, section 2.1

// Access is what an access token says, besides iss and jti. A client that acts
// for itself is its own subject, and has no session and nothing that tells of a
// sign-in (RFC 9068, section 2.2).
type Access struct {
	Subject   string // the user id, or the client's
	ClientID  string
	SessionID string // empty if a client acts for itself
	Audience  string // empty for the default one
	IssuedAt  time.Time
	ExpiresAt time.Time // exclusive, after IssuedAt by a second or more
	AuthTime  time.Time // when the user proved who they are
	AMR       []string  // how they did (RFC 8176)
	Roles     []string
	Scope     string // space-separated, may be empty
	Mode      string // how the session's tokens travel
}

// Issuer mints access tokens. Create one with [NewIssuer]; it is safe for
// concurrent use.
type Issuer struct {
	issuer, audience string
	signer           func() (keyset.Signer, error)
}

// NewIssuer returns an Issuer of tokens with the iss and aud given, neither of
// which may be empty. signer is asked at every token for the key that signs now.
func NewIssuer(issuer, audience string, signer func() (keyset.Signer, error)) (*Issuer, error) {
	if issuer == "" || audience == "" {
		return nil, errors.New("token: issuer and audience are needed")
	}
	return &Issuer{issuer: issuer, audience: audience, signer: signer}, nil
}

// Access mints an access token (RFC 9068) with a jti of its own. It refuses
// an Access that no verifier would take, and returns the error of the signer.
func (i *Issuer) Access(a Access) (string, error) {
	if err := a.check(); err != nil {
		return "", err
	}
	key, err := i.signer()
	if err != nil {
		return "", fmt.Errorf("token: signing key: %w", err)
	}
	method, err := methodOf(key.Algorithm)
	if err != nil {
		return "", err
	}
	text, err := i.unsigned(a, method.Alg(), key.KID)
	if err != nil {
		return "", fmt.Errorf("token: encode access token: %w", err)
	}
	signature, err := method.Sign(text, key.Key)
	if err != nil {
		return "", fmt.Errorf("token: sign access token: %w", err)
	}
	return text + "." + encode(signature), nil
}

// unsigned is what the signature of an access token is made of (RFC 7515, section 5.1).
func (i *Issuer) unsigned(a Access, alg, kid string) (string, error) {
	header := object{text: make([]byte, 0, 128)}
	header.string("alg", alg)
	header.string("kid", kid)
	header.string("typ", typeAccess)
	head, err := header.segment()
	if err != nil {
		return "", err
	}
	claims, err := i.claims(a).segment()
	return head + "." + claims, err
}

// claims is what an access token says (RFC 9068, section 2.2).
func (i *Issuer) claims(a Access) *object {
	c := &object{text: make([]byte, 0, 512)}
	c.string("iss", i.issuer)
	c.string("aud", cmp.Or(a.Audience, i.audience))
	c.string("sub", a.Subject)
	c.string("client_id", a.ClientID)
	c.string("jti", rand.Text()) // 130 random bits
	c.number("iat", a.IssuedAt.Unix())
	c.number("exp", a.ExpiresAt.Unix())
	c.strings("roles", a.Roles)
	c.string("scope", a.Scope)
	c.string("mode", a.Mode)
	if a.SessionID != "" {
		c.string("sid", a.SessionID)
		c.number("auth_time", a.AuthTime.Unix())
		c.strings("amr", a.AMR)
	}
	return c
}

func (a Access) check() error {
	itself := a.Subject == a.ClientID && a.AuthTime.IsZero() && len(a.AMR)+len(a.Roles) == 0
	switch {
	case a.Subject == "", a.ClientID == "", a.Mode == "", a.SessionID == "" && !itself:
		return errors.New("token: an access token needs a subject, a session, a client and a mode")
	case a.IssuedAt.IsZero(), a.ExpiresAt.Unix() <= a.IssuedAt.Unix(), a.SessionID != "" && a.AuthTime.IsZero():
		return errors.New("token: an access token needs the times of sign-in and issue, and an end after them")
	}
	return nil
}

func methodOf(alg keyset.Algorithm) (jwt.SigningMethod, error) {
	switch alg {
	case keyset.ES256:
		return jwt.SigningMethodES256, nil
	case keyset.EdDSA:
		return jwt.SigningMethodEdDSA, nil
	case keyset.RS256:
		return jwt.SigningMethodRS256, nil
	}
	return nil, fmt.Errorf("token: no signing method for algorithm %q", alg)
}

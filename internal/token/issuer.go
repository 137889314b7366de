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

	"github.com/go-json-experiment/json"
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
	header, err := json.Marshal(accessHeader{Algorithm: method.Alg(), KID: key.KID, Type: typeAccess})
	if err != nil {
		return "", fmt.Errorf("token: encode access token: %w", err)
	}
	claims, err := json.Marshal(i.claims(a))
	if err != nil {
		return "", fmt.Errorf("token: encode access token: %w", err)
	}
	text := encode(header) + "." + encode(claims)
	signature, err := method.Sign(text, key.Key)
	if err != nil {
		return "", fmt.Errorf("token: sign access token: %w", err)
	}
	return text + "." + encode(signature), nil
}

// accessHeader is the JOSE header (RFC 9068, section 2.1). A map would have to be sorted
// for each token.
type accessHeader struct {
	Algorithm string `json:"alg"`
	KID       string `json:"kid"`
	Type      string `json:"typ"`
}

// accessClaims is what an access token says (RFC 9068, section 2.2).
type accessClaims struct {
	Issuer    string   `json:"iss"`
	Audience  string   `json:"aud"`
	Subject   string   `json:"sub"`
	ClientID  string   `json:"client_id"`
	ID        string   `json:"jti"`
	IssuedAt  int64    `json:"iat"`
	ExpiresAt int64    `json:"exp"`
	Roles     []string `json:"roles"`
	Scope     string   `json:"scope"`
	Mode      string   `json:"mode"`
	SessionID string   `json:"sid,omitzero"`
	AuthTime  int64    `json:"auth_time,omitzero"`
	AMR       []string `json:"amr,omitzero"`
}

func (i *Issuer) claims(a Access) accessClaims {
	c := accessClaims{
		Issuer: i.issuer, Audience: cmp.Or(a.Audience, i.audience), Subject: a.Subject, ClientID: a.ClientID,
		ID:       rand.Text(), // 130 random bits
		IssuedAt: a.IssuedAt.Unix(), ExpiresAt: a.ExpiresAt.Unix(), Roles: a.Roles, Scope: a.Scope, Mode: a.Mode,
	}
	if a.SessionID != "" {
		c.SessionID, c.AuthTime, c.AMR = a.SessionID, a.AuthTime.Unix(), append([]string{}, a.AMR...) // empty, but there
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

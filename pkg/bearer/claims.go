package bearer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// parser is golang-jwt's, set to be as strict as it can.
type parser struct{ jwt *jwt.Parser }

func newParser(c Config) parser {
	options := []jwt.ParserOption{
		jwt.WithValidMethods([]string{"ES256", "EdDSA", "RS256"}), jwt.WithStrictDecoding(), jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(), jwt.WithIssuer(c.Issuer), jwt.WithLeeway(c.Leeway), jwt.WithTimeFunc(c.Now),
	}
	if !c.AnyAudience {
		options = append(options, jwt.WithAudience(c.Audience))
	}
	return parser{jwt.NewParser(options...)}
}

// parse verifies a token that has passed the gate and whose alg is key's.
func (p parser) parse(token string, key Key) (*Claims, error) {
	var w wire
	_, err := p.jwt.ParseWithClaims(token, &w, func(*jwt.Token) (any, error) { return key.Public, nil })
	switch {
	case only(err, jwt.ErrTokenExpired):
		return nil, ErrExpired
	case only(err, jwt.ErrTokenUsedBeforeIssued):
		return nil, &NotYetError{&w.Claims}
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	}
	return &w.Claims, nil
}

// only reports whether nothing but fault is wrong with a token: golang-jwt tells of all
// that it finds wrong with the claims at once, and looks at them after the signature.
func only(err, fault error) bool {
	faults := []error{
		jwt.ErrTokenInvalidIssuer, jwt.ErrTokenInvalidAudience, jwt.ErrTokenExpired, jwt.ErrTokenUsedBeforeIssued,
		jwt.ErrTokenNotValidYet, jwt.ErrTokenRequiredClaimMissing,
	}
	return errors.Is(err, fault) &&
		!slices.ContainsFunc(faults, func(other error) bool { return !errors.Is(fault, other) && errors.Is(err, other) })
}

// wire is the claims as golang-jwt wants to see them. It is strict when it is
// decoded, so that nothing golang-jwt overlooks gets past it.
type wire struct {
	Claims

	notBefore *jwt.NumericDate
}

var _ jwt.Claims = (*wire)(nil)

// UnmarshalJSON implements [json.Unmarshaler].
func (w *wire) UnmarshalJSON(text []byte) error {
	members, err := object(text)
	if err != nil {
		return fmt.Errorf("claims: %w", err)
	}
	r := reader{members: members}
	w.Claims = Claims{
		Issuer: r.text("iss"), Audience: r.audience(), Subject: r.text("sub"), ClientID: r.text("client_id"),
		ID: r.text("jti"), IssuedAt: r.time("iat"), ExpiresAt: r.time("exp"),
		Roles: r.list("roles"), Scope: r.maybeEmpty("scope"), Mode: r.text("mode"),
	}
	if r.has("sid") {
		w.SessionID, w.AuthTime, w.AMR = r.text("sid"), r.time("auth_time"), r.list("amr")
	} else {
		r.client(&w.Claims)
	}
	if r.has("nbf") {
		w.notBefore = jwt.NewNumericDate(r.time("nbf"))
	}
	life := w.ExpiresAt.Sub(w.IssuedAt)
	switch {
	case r.err != nil:
		return fmt.Errorf("claims: %w", r.err)
	case w.Mode != modeBearer && w.Mode != modeCookie:
		return errors.New("claims: mode is neither bearer nor cookie")
	case life <= 0 || life > maxLife:
		return fmt.Errorf("claims: a life of %s", life)
	}
	return nil
}

// GetExpirationTime implements [jwt.Claims].
func (w *wire) GetExpirationTime() (*jwt.NumericDate, error) {
	return jwt.NewNumericDate(w.ExpiresAt), nil
}

// GetIssuedAt implements [jwt.Claims].
func (w *wire) GetIssuedAt() (*jwt.NumericDate, error) { return jwt.NewNumericDate(w.IssuedAt), nil }

// GetNotBefore implements [jwt.Claims].
func (w *wire) GetNotBefore() (*jwt.NumericDate, error) { return w.notBefore, nil }

// GetIssuer implements [jwt.Claims].
func (w *wire) GetIssuer() (string, error) { return w.Issuer, nil }

// GetSubject implements [jwt.Claims].
func (w *wire) GetSubject() (string, error) { return w.Subject, nil }

// GetAudience implements [jwt.Claims].
func (w *wire) GetAudience() (jwt.ClaimStrings, error) { return w.Audience, nil }

// reader reads members one after another and keeps the first error.
type reader struct {
	members map[string]json.RawMessage
	err     error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

func (r *reader) has(name string) bool {
	_, ok := r.members[name]
	return ok
}

// client accepts a token without a session only as that of a client that acts for
// itself (RFC 9068, section 2.2): nobody signed in, so nothing tells when or how,
// and there are no roles. firstParty acts for users alone.
func (r *reader) client(c *Claims) {
	switch {
	case c.Subject != c.ClientID || c.ClientID == firstParty:
		r.fail("sid is missing, and the subject is not the client")
	case r.has("auth_time") || r.has("amr"):
		r.fail("a client has signed in")
	case c.Mode != modeBearer || len(c.Roles) > 0:
		r.fail("a client in a cookie, or with roles")
	}
}

func (r *reader) text(name string) string {
	s, err := stringIn(r.members, name)
	if err != nil {
		r.fail("%w", err)
	}
	return s
}

// maybeEmpty reads a string that must be there.
func (r *reader) maybeEmpty(name string) string {
	if string(r.members[name]) == `""` {
		return ""
	}
	return r.text(name)
}

// latest is the last NumericDate that counts, some 30,000 years on: no arithmetic
// overflows below it.
const latest = 1 << 40

// time reads a NumericDate in whole seconds, as jotgate writes them.
func (r *reader) time(name string) time.Time {
	raw, ok := r.members[name]
	if !ok {
		r.fail("%s is missing", name)
		return time.Time{}
	}
	seconds, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || seconds <= 0 || seconds > latest {
		r.fail("%s is not a time in whole seconds", name)
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// list reads an array of strings that must be there.
func (r *reader) list(name string) []string {
	raw, ok := r.members[name]
	var elements []*string
	if !ok || raw[0] != '[' || json.Unmarshal(raw, &elements) != nil {
		r.fail("%s is not an array of strings", name)
		return nil
	}
	list := make([]string, len(elements))
	for i, e := range elements {
		if e == nil || *e == "" {
			r.fail("%s has an element that is no string with something in it", name)
			return nil
		}
		list[i] = *e
	}
	return list
}

// audience reads aud, a string or an array of some (RFC 7519, section 4.1.3).
func (r *reader) audience() []string {
	if raw, ok := r.members["aud"]; ok && raw[0] == '[' {
		list := r.list("aud")
		if len(list) == 0 {
			r.fail("aud is empty")
		}
		return list
	}
	return []string{r.text("aud")}
}

package token_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/keyset"
	"github.com/jotgate/jotgate/internal/token"
)

const (
	issuer   = "https://login.example.com"
	audience = "https://api.example.com"
)

var noon = time.Date(2026, 8, 20, 12, 0, 0, 999_999_999, time.UTC)

func access() token.Access {
	return token.Access{
		Subject: "user-1", ClientID: "jotgate", SessionID: "session-1",
		IssuedAt: noon, ExpiresAt: noon.Add(10 * time.Minute), AuthTime: noon.Add(-time.Hour),
		AMR: []string{"pwd"}, Roles: []string{"admin", "ops"}, Scope: "read write", Mode: "bearer",
	}
}

// oneKey is a [keyset.Store] for what Ensure adds to it.
type oneKey struct{ keys []keyset.Sealed }

func (o *oneKey) All(context.Context) ([]keyset.Sealed, error) { return slices.Clone(o.keys), nil }

func (o *oneKey) Change(_ context.Context, decide func([]keyset.Sealed) ([]keyset.Sealed, error)) error {
	put, err := decide(slices.Clone(o.keys))
	o.keys = append(o.keys, put...)
	return err
}

func newSet(t testing.TB, alg keyset.Algorithm) *keyset.Set {
	t.Helper()
	s := keyset.New(&oneKey{}, masterKey(t, "a"), keyset.Config{Retain: func() time.Duration { return 0 }, Now: func() time.Time { return noon }})
	if err := s.Ensure(t.Context(), alg); err != nil {
		t.Fatal(err)
	}
	return s
}

func newIssuer(t testing.TB, signer func() (keyset.Signer, error)) *token.Issuer {
	t.Helper()
	i, err := token.NewIssuer(issuer, audience, signer)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// segment returns part i of a compact JWS as text.
func segment(t testing.TB, raw string, i int) string {
	t.Helper()
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		t.Fatalf("%d segments in %q", len(parts), raw)
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(parts[i])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func members(t testing.TB, text string) map[string]any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return m
}

func TestAccessToken(t *testing.T) {
	for _, alg := range []keyset.Algorithm{keyset.ES256, keyset.EdDSA, keyset.RS256} {
		t.Run(string(alg), func(t *testing.T) {
			set := newSet(t, alg)
			raw, err := newIssuer(t, set.Signer).Access(access())
			if err != nil {
				t.Fatal(err)
			}
			kid := set.List()[0].KID
			header := members(t, segment(t, raw, 0))
			if diff := cmp.Diff(map[string]any{"alg": string(alg), "kid": kid, "typ": "at+jwt"}, header); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			claims := members(t, segment(t, raw, 1))
			if jti, ok := claims["jti"].(string); !ok || len(jti) < 22 {
				t.Errorf("jti = %v", claims["jti"])
			}
			delete(claims, "jti")
			want := map[string]any{
				"iss": issuer, "aud": audience, "sub": "user-1", "client_id": "jotgate", "sid": "session-1",
				"iat": json.Number("1787227200"), "exp": json.Number("1787227800"), "auth_time": json.Number("1787223600"),
				"amr": []any{"pwd"}, "roles": []any{"admin", "ops"}, "scope": "read write", "mode": "bearer",
			}
			if diff := cmp.Diff(want, claims); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
			public, ok := set.Public(kid)
			if !ok {
				t.Fatal("no public key")
			}
			_, err = jwt.Parse(raw, func(*jwt.Token) (any, error) { return public.Key, nil },
				jwt.WithValidMethods([]string{string(alg)}), jwt.WithTimeFunc(func() time.Time { return noon.Add(time.Second) }))
			if err != nil {
				t.Errorf("golang-jwt: %v", err)
			}
		})
	}
}

func TestAccessTokenListsAreNeverNull(t *testing.T) {
	a := access()
	a.AMR, a.Roles, a.Scope = nil, nil, ""
	raw, err := newIssuer(t, newSet(t, keyset.ES256).Signer).Access(a)
	if err != nil {
		t.Fatal(err)
	}
	claims := members(t, segment(t, raw, 1))
	want := map[string]any{"amr": []any{}, "roles": []any{}, "scope": ""}
	got := map[string]any{"amr": claims["amr"], "roles": claims["roles"], "scope": claims["scope"]}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
}

func TestAccessTokenIsNotMinted(t *testing.T) {
	i := newIssuer(t, newSet(t, keyset.ES256).Signer)
	tests := []struct {
		name  string
		spoil func(a *token.Access)
	}{
		{"without a subject", func(a *token.Access) { a.Subject = "" }},
		{"without a session", func(a *token.Access) { a.SessionID = "" }},
		{"without a client", func(a *token.Access) { a.ClientID = "" }},
		{"without a mode", func(a *token.Access) { a.Mode = "" }},
		{"without a time of issue", func(a *token.Access) { a.IssuedAt = time.Time{} }},
		{"without a time of sign-in", func(a *token.Access) { a.AuthTime = time.Time{} }},
		{"without an end", func(a *token.Access) { a.ExpiresAt = time.Time{} }},
		{"with an end before the issue", func(a *token.Access) { a.ExpiresAt = a.IssuedAt.Add(-time.Hour) }},
		{"with an end in the same second", func(a *token.Access) {
			a.IssuedAt = noon.Truncate(time.Second)
			a.ExpiresAt = a.IssuedAt.Add(999 * time.Millisecond)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := access()
			tt.spoil(&a)
			if raw, err := i.Access(a); err == nil || raw != "" {
				t.Errorf("Access = %q, %v", raw, err)
			}
		})
	}
}

func TestAccessTokenNeedsAKey(t *testing.T) {
	if _, err := newIssuer(t, func() (keyset.Signer, error) { return keyset.Signer{}, keyset.ErrNoKey }).Access(access()); !errors.Is(err, keyset.ErrNoKey) {
		t.Errorf("no key: %v, want ErrNoKey", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, alg := range []keyset.Algorithm{"", "none", "HS256", keyset.EdDSA, keyset.RS256} {
		i := newIssuer(t, func() (keyset.Signer, error) { return keyset.Signer{KID: "k", Algorithm: alg, Key: key}, nil })
		if raw, err := i.Access(access()); err == nil || raw != "" {
			t.Errorf("a P-256 key for %q: %q, %v", alg, raw, err)
		}
	}
}

func TestNewIssuerNeedsNames(t *testing.T) {
	for _, names := range [][2]string{{"", audience}, {issuer, ""}, {"", ""}} {
		if _, err := token.NewIssuer(names[0], names[1], nil); err == nil {
			t.Errorf("NewIssuer(%q, %q) = nil error", names[0], names[1])
		}
	}
}

// TestAccessTokenIDsDiffer is I2 of the security requirements.
func TestAccessTokenIDsDiffer(t *testing.T) {
	n := tokens
	if testing.Short() {
		n = 1000
	}
	i := newIssuer(t, newSet(t, keyset.EdDSA).Signer)
	seen := make(map[string]bool, n)
	for range n {
		raw, err := i.Access(access())
		if err != nil {
			t.Fatal(err)
		}
		var claims struct{ JTI string }
		if err := json.Unmarshal([]byte(segment(t, raw, 1)), &claims); err != nil {
			t.Fatal(err)
		}
		if claims.JTI == "" || seen[claims.JTI] {
			t.Fatalf("jti %q came twice in %d tokens", claims.JTI, len(seen))
		}
		seen[claims.JTI] = true
	}
}

func BenchmarkAccess(b *testing.B) {
	set := newSet(b, keyset.ES256)
	i, a := newIssuer(b, set.Signer), access()
	for b.Loop() {
		if _, err := i.Access(a); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBareSign is what golang-jwt takes for the signature alone.
func BenchmarkBareSign(b *testing.B) {
	set := newSet(b, keyset.ES256)
	raw, err := newIssuer(b, set.Signer).Access(access())
	if err != nil {
		b.Fatal(err)
	}
	signer, err := set.Signer()
	if err != nil {
		b.Fatal(err)
	}
	text := raw[:strings.LastIndexByte(raw, '.')]
	for b.Loop() {
		if _, err := jwt.SigningMethodES256.Sign(text, signer.Key); err != nil {
			b.Fatal(err)
		}
	}
}

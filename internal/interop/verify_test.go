package interop_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/jotgate/jotgate/internal/needs"
	"github.com/jotgate/jotgate/pkg/bearer"
)

func TestGoOIDC(t *testing.T) {
	inEachCourt(t, func(t *testing.T, c *court) {
		keys := oidc.NewRemoteKeySet(t.Context(), c.jwks())
		v := oidc.NewVerifier(c.URL, keys, &oidc.Config{
			ClientID:             audience,                            // it compares aud with that
			SupportedSigningAlgs: []string{"ES256", "EdDSA", "RS256"}, // which of them, the key says
		})
		c.judge(t, func(token string) (string, error) {
			got, err := v.Verify(t.Context(), token)
			if err != nil {
				return "", err
			}
			return got.Subject, nil
		})
	})
}

func TestJWX(t *testing.T) {
	inEachCourt(t, func(t *testing.T, c *court) {
		keys, err := jwk.Fetch(t.Context(), c.jwks())
		check(t, err)
		c.judge(t, func(token string) (string, error) {
			got, err := jwt.Parse([]byte(token), jwt.WithKeySet(keys, jws.WithRequireKid(true)),
				jwt.WithIssuer(c.URL), jwt.WithAudience(audience), jwt.WithRequiredClaim("exp"))
			if err != nil {
				return "", err
			}
			subject, ok := got.Subject()
			if !ok {
				return "", errors.New("no subject")
			}
			return subject, nil
		})
	})
}

// TestBearer is our own verifier before the same court, from outside.
func TestBearer(t *testing.T) {
	inEachCourt(t, func(t *testing.T, c *court) {
		v, err := bearer.New(t.Context(), bearer.Config{Issuer: c.URL, Audience: audience})
		check(t, err)
		c.judge(t, func(token string) (string, error) {
			got, err := v.Verify(t.Context(), token)
			if err != nil {
				return "", err
			}
			return got.Subject, nil
		})
	})
}

// TestThumbprints: a kid is the RFC 7638 thumbprint that others compute of its key.
func TestThumbprints(t *testing.T) {
	inEachCourt(t, func(t *testing.T, c *court) {
		keys, err := jwk.Fetch(t.Context(), c.jwks())
		check(t, err)
		if keys.Len() == 0 {
			t.Fatal("no keys")
		}
		before := ids(t, keys)
		for i := range keys.Len() {
			key, _ := keys.Key(i)
			check(t, key.Remove(jwk.KeyIDKey))
			check(t, jwk.AssignKeyID(key))
		}
		for i, id := range ids(t, keys) {
			if id != before[i] {
				t.Errorf("kid = %q, thumbprint = %q", before[i], id)
			}
		}
	})
}

func ids(t *testing.T, keys jwk.Set) []string {
	t.Helper()
	var all []string
	for i := range keys.Len() {
		key, _ := keys.Key(i)
		id, ok := key.KeyID()
		if private, err := jwk.IsPrivateKey(key); err != nil || private || !ok {
			t.Errorf("key %d: kid %q, private %t, %v", i, id, private, err)
		}
		all = append(all, id)
	}
	return all
}

// TestNode asks npm's jose, and jsonwebtoken with jwks-rsa.
func TestNode(t *testing.T) {
	needs.Node(t, "node", nil, "--check", "verify.test.js") // installs once, not in each court
	inEachCourt(t, func(t *testing.T, c *court) {
		exhibits, err := json.Marshal(c.exhibits)
		check(t, err)
		needs.Node(t, "node", []string{
			"JOTGATE_ISSUER=" + c.URL, "JOTGATE_AUDIENCE=" + audience, "JOTGATE_JWKS=" + c.jwks(), "JOTGATE_ALG=" + c.alg,
			"JOTGATE_SUBJECT=" + c.user, "JOTGATE_EXHIBITS=" + string(exhibits),
		}, "--test", "verify.test.js")
	})
}
